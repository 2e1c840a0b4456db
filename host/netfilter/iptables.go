package netfilter

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
)

// This file answers: which tables, chains and rules does iptables-save print?
//
//	*filter                                    a table begins
//	:FORWARD DROP [0:0]                        a base chain and its policy
//	:KUBE-FORWARD - [0:0]                      a user's chain
//	-A FORWARD -s 10.0.0.0/8 -j ACCEPT         a rule
//	COMMIT                                     the table ends
//
// A rule is split into parts: the built-in matches, one part for each -m, and the
// target. What a part means is the business of iptables_match.go and
// iptables_target.go. iptables-save prints each option in one way only, whatever was
// typed (--syn becomes --tcp-flags FIN,SYN,RST,ACK SYN); that is why no synonyms are
// read here.

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
// "-". All chains are declared in front of the first rule, which is how a target is
// known to be one of them.
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

// builtin gives hook and priority of iptables' own chains (iptable_filter.c,
// iptable_nat.c and so on in net/ipv4/netfilter).
func builtin(table, chain string) (Hook, int) {
	hook := map[string]Hook{"PREROUTING": Prerouting, "FORWARD": Forward, "POSTROUTING": Postrouting, "INPUT": Input, "OUTPUT": Output}[chain]
	switch table {
	case "raw":
		return hook, priorityRaw
	case "mangle":
		return hook, priorityMangle
	case "nat":
		if hook == Prerouting || hook == Output {
			return hook, priorityDNAT
		}
		return hook, prioritySNAT
	case "security":
		return hook, prioritySecurity
	}
	return hook, priorityFilter
}

// append reads "-A CHAIN …".
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

// word is one argument. Quoted ones are never options: they are what follows
// --comment, --log-prefix or --string.
type word struct {
	text   string
	quoted bool
}

// splitWords splits a line as iptables-restore does (add_param_to_argv in iptables): blanks separate, double quotes
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

// part is the options of one match or of the target: "-m tcp --dport 80" is module
// tcp with one option. The module of the built-in matches (-s, -d, -i, -o, -p) is
// "", a target has target set.
type part struct {
	module  string
	target  bool
	goTo    bool
	options []option
}

// option is "! --name value…"; iptables negates one option, never a whole module.
type option struct {
	negated bool
	name    string
	values  []string
}

// splitParts gives each -m and -j its options. What is quoted is always a value: a
// comment may read "-j DROP".
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

// text is the option as it was written.
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
