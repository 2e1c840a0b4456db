package netfilter

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
)

// ParseIptables reads what iptables-save or ip6tables-save of one backend
// prints. Rules and chains that it does not understand are kept as unknown; an
// error means that the text is not of that form at all.
func ParseIptables(text string, backend Backend, family Family) ([]*Table, error) {
	var tables []*Table
	var t *Table
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "", line[0] == '#':
		case line == "COMMIT":
			t = nil
		case line[0] == '*':
			t = &Table{Backend: backend, Family: family, Name: line[1:], Chains: map[string]*Chain{}}
			tables = append(tables, t)
		case t == nil:
			return nil, fmt.Errorf("%s line %d: %q is outside a table", backend, n, line)
		case line[0] == ':':
			t.declare(line[1:])
		default:
			if err := t.append(line); err != nil {
				return nil, fmt.Errorf("%s line %d: %w", backend, n, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", backend, err)
	}
	return tables, nil
}

// declare reads ":CHAIN POLICY [packets:bytes]"; user chains have the policy
// "-".
func (t *Table) declare(line string) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return
	}
	c := t.chain(words[0])
	if words[1] == "-" {
		return
	}
	c.Drops = words[1] == "DROP"
	c.NAT = t.Name == "nat"
	c.Hook, c.Priority = builtin(t.Name, words[0])
}

// builtin gives hook and priority of iptables' own chains (iptable_*.c in the
// kernel). Chains of local packets have no hook here.
func builtin(table, chain string) (Hook, int) {
	hook := map[string]Hook{"PREROUTING": Prerouting, "FORWARD": Forward, "POSTROUTING": Postrouting}[chain]
	switch table {
	case "raw":
		return hook, priorityRaw
	case "mangle":
		return hook, priorityMangle
	case "nat":
		if hook == Prerouting {
			return hook, priorityDNAT
		}
		return hook, prioritySNAT
	case "security":
		return hook, prioritySecurity
	}
	return hook, priorityFilter
}

func (t *Table) append(line string) error {
	words, err := splitWords(line)
	if err != nil {
		return err
	}
	if strings.HasPrefix(words[0].text, "[") { // counters of iptables-save -c
		words = words[1:]
		_, line, _ = strings.Cut(line, " ")
	}
	if len(words) < 2 || words[0].text != "-A" {
		return fmt.Errorf("%q is not a rule", line)
	}
	r := &Rule{Text: line}
	parts := splitParts(words[2:])
	for _, p := range parts {
		if p.module == "comment" && len(p.options) > 0 {
			r.Comment = strings.Join(p.options[0].values, " ")
		}
		r.statements = append(r.statements, p.compile(t)...)
	}
	t.chain(words[1].text).add(r)
	return nil
}

// word is one argument; quoted ones are never options.
type word struct {
	text   string
	quoted bool
}

// splitWords splits as iptables-restore does: blanks separate, double quotes
// hold together, a backslash in quotes takes the next character as it is.
func splitWords(line string) ([]word, error) {
	var out []word
	var b strings.Builder
	started, inQuotes, quoted := false, false, false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case inQuotes && c == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		case c == '"':
			inQuotes, started, quoted = !inQuotes, true, true
		case !inQuotes && (c == ' ' || c == '\t'):
			if started {
				out = append(out, word{b.String(), quoted})
				b.Reset()
			}
			started, quoted = false, false
		default:
			b.WriteByte(c)
			started = true
		}
	}
	if inQuotes {
		return nil, fmt.Errorf("%q: a quote is not closed", line)
	}
	if started {
		out = append(out, word{b.String(), quoted})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%q is not a rule", line)
	}
	return out, nil
}

// part is the options of one match or of the target. The module of the built-in
// matches is "", a target has target set.
type part struct {
	module  string
	target  bool
	goTo    bool
	options []option
}

type option struct {
	negated bool
	name    string
	values  []string
}

// splitParts gives each -m and -j its options.
func splitParts(words []word) []part {
	parts := []part{{}}
	negated := false
	for i := 0; i < len(words); i++ {
		w, last := words[i], &parts[len(parts)-1]
		hasNext := i+1 < len(words)
		switch {
		case w.text == "!" && !w.quoted:
			negated = true
			continue
		case w.quoted || len(w.text) < 2 || w.text[0] != '-':
			if n := len(last.options); n > 0 {
				last.options[n-1].values = append(last.options[n-1].values, w.text)
			}
		case w.text == "-m" && hasNext:
			i++
			parts = append(parts, part{module: words[i].text})
		case (w.text == "-j" || w.text == "-g") && hasNext:
			i++
			parts = append(parts, part{module: words[i].text, target: true, goTo: w.text == "-g"})
		default:
			last.options = append(last.options, option{negated: negated, name: strings.TrimLeft(w.text, "-")})
		}
		negated = false
	}
	return parts
}

// text is the part as it was written.
func (p part) text() string {
	var words []string
	if p.module != "" && !p.target {
		words = append(words, "-m", p.module)
	}
	for _, o := range p.options {
		words = append(words, o.text(p.module))
	}
	return strings.Join(words, " ")
}

func (o option) text(module string) string {
	dashes := "--"
	if module == "" {
		dashes = "-"
	}
	words := append([]string{dashes + o.name}, o.values...)
	if o.negated {
		words = slices.Insert(words, 0, "!")
	}
	return strings.Join(words, " ")
}
