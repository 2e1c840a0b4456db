package export

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// readBIRD reads a bird.conf: filters, templates and protocols of BGP.
func readBIRD(text string) (*running, error) {
	b := &birdReader{running: newRunning(), refused: map[string]string{}}
	statements, err := birdParse(birdWords(text))
	if err != nil {
		return nil, err
	}
	for _, s := range statements {
		if err := b.top(s); err != nil {
			return nil, err
		}
	}
	for _, p := range b.peers {
		for i := range p.families {
			if why := b.refused[p.families[i].in]; why != "" {
				p.families[i].strange = why
			}
		}
	}
	return b.running, nil
}

type birdReader struct {
	*running
	// refused are filters that do more than a prefix set says, and what.
	refused map[string]string
}

// statement is words up to ";", or up to a block in braces and that block.
type statement struct {
	words []string
	block []statement
	// inside is the block as words.
	inside []string
}

// birdWord is a string in quotes, a run of letters or a single sign.
var birdWord = regexp.MustCompile(`/\*(?s:.*?)\*/|#[^\n]*|"[^"\n]*"|'[^'\n]*'|[\w.:/*-]+|[^\s]`)

// birdWords cuts a text into words, without its comments.
func birdWords(text string) []string {
	return slices.DeleteFunc(birdWord.FindAllString(text, -1), func(w string) bool {
		return strings.HasPrefix(w, "#") || strings.HasPrefix(w, "/*")
	})
}

// birdParse makes statements of words.
func birdParse(words []string) ([]statement, error) {
	var out []statement
	var now []string
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case ";":
			if len(now) > 0 {
				out = append(out, statement{words: now})
			}
			now = nil
		case "{":
			end := closing(words, i)
			if end < 0 {
				return nil, fmt.Errorf("a { after %q is not closed", strings.Join(now, " "))
			}
			s := statement{words: now, inside: words[i+1 : end]}
			if !isCode(now) {
				var err error
				if s.block, err = birdParse(s.inside); err != nil {
					return nil, err
				}
			}
			out, now, i = append(out, s), nil, end
		case "}":
			return nil, fmt.Errorf("a } too many after %q", strings.Join(now, " "))
		default:
			now = append(now, words[i])
		}
	}
	return out, nil
}

// isCode reports whether a block holds statements of the filter language.
func isCode(words []string) bool {
	return len(words) > 0 && slices.Contains([]string{"filter", "function"}, words[0])
}

// closing finds the brace that closes the one at i, -1 where there is none.
func closing(words []string, i int) int {
	depth := 0
	for ; i < len(words); i++ {
		switch words[i] {
		case "{":
			depth++
		case "}":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func (b *birdReader) top(s statement) error {
	switch {
	case starts(s.words, "filter"):
		return b.filter(s.words[1], s.inside)
	case starts(s.words, "template", "bgp"):
		return b.bgp(unquoted(s.words[2]), s.words[3:], s.block)
	case len(s.words) >= 2 && s.words[0] == "protocol" && s.words[1] == "bgp":
		name, rest := fmt.Sprintf("a protocol bgp without a name, %d", len(b.peers)), s.words[2:]
		if len(rest) > 0 && rest[0] != "from" {
			name, rest = unquoted(rest[0]), rest[1:]
		}
		return b.bgp(name, rest, s.block)
	}
	return nil
}

// birdTail is what an exported filter does with what its set has, and with the rest.
const birdTail = "then { if ( 65535 , 0 ) ~ bgp_community then bgp_local_pref = 0 ; accept ; } reject ;"

// filter reads a filter as Fairway exports it. One that does more is not judged.
func (b *birdReader) filter(name string, words []string) error {
	if strings.Join(words, " ") == "reject ;" {
		b.lists[listKey{false, name}], b.lists[listKey{true, name}] = []listEntry{}, []listEntry{}
		return nil
	}
	end := slices.Index(words, "]")
	if end < 0 || !starts(words, "if", "net", "~", "[") {
		b.refused[name] = "filter " + name + ", which does not begin with \"if net ~ [\""
		return nil
	}
	if tail := strings.Join(words[end+1:], " "); tail != birdTail && tail != "then accept ; reject ;" {
		b.refused[name] = "filter " + name + ", which does more than compare with its set"
		return nil
	}
	for _, item := range birdItems(words[4:end]) {
		e, err := birdEntry(item)
		if err != nil {
			return fmt.Errorf("filter %s: %w", name, err)
		}
		b.addEntry(e.prefix.Addr().Is6(), name, e)
	}
	return nil
}

// birdItems parts the members of a set, of which some have a comma of their own.
func birdItems(words []string) []string {
	var out []string
	now, inside := "", false
	for _, w := range words {
		switch {
		case w == "," && !inside:
			out, now = append(out, now), ""
			continue
		case w == "{":
			inside = true
		case w == "}":
			inside = false
		}
		now += w
	}
	return append(out, now)
}

// birdSet is "10.0.0.0/8", and which lengths of it: "+", "-" or "{8,24}".
var birdSet = regexp.MustCompile(`^([0-9a-fA-F.:]+/\d+)(?:([+-])|\{(\d+),(\d+)\})?$`)

func birdEntry(item string) (listEntry, error) {
	m := birdSet.FindStringSubmatch(item)
	if m == nil {
		return listEntry{}, fmt.Errorf("%q is not understood", item)
	}
	e, err := newEntry(strings.Contains(m[1], ":"), true, m[1:2])
	switch {
	case err != nil:
	case m[2] == "+":
		e.to = e.prefix.Addr().BitLen()
	case m[2] == "-":
		e.from = 0
	case m[3] != "":
		e.from, _ = strconv.Atoi(m[3])
		e.to, _ = strconv.Atoi(m[4])
	}
	return e, err
}

// bgp reads a template or protocol. A protocol is a neighbour, or a range of them.
func (b *birdReader) bgp(name string, from []string, block []statement) error {
	p := &runningPeer{name: name}
	if len(from) > 1 && from[0] == "from" {
		p.group = unquoted(from[1])
	}
	for i := range p.families {
		if p.group == "" {
			p.families[i].on = ptr(false)
		}
	}
	b.peers[name] = p
	for _, s := range block {
		if len(s.words) == 0 {
			continue
		}
		if err := b.statement(p, s); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (b *birdReader) statement(p *runningPeer, s statement) error {
	last := unquoted(s.words[len(s.words)-1])
	switch s.words[0] {
	case "local":
		if i := slices.Index(s.words, "as"); i > 0 && i+1 < len(s.words) {
			b.asn = number(s.words[i+1])
		}
	case "neighbor":
		return b.neighbor(p, s.words[1:])
	case "password":
		p.password = last
	case "ttl":
		p.ttlSecurity = !slices.Contains([]string{"off", "no"}, last)
	case "multihop":
		p.multihop = true
	case "disabled":
		p.shutdown = !slices.Contains([]string{"off", "no"}, last)
	case "ipv4", "ipv6":
		p.family(s.words[0] == "ipv6").birdChannel(s.block)
	}
	return nil
}

// neighbor reads "ADDRESS|range NETWORK [port N] [as N|external|internal]".
func (b *birdReader) neighbor(p *runningPeer, words []string) error {
	for i := range words {
		switch {
		case words[i] == "as" && i+1 < len(words):
			p.as.add(words[i+1])
		case words[i] == "external", words[i] == "internal":
			p.as.add(words[i])
		}
	}
	if len(words) > 1 && words[0] == "range" {
		network, err := netip.ParsePrefix(words[1])
		if err != nil {
			return fmt.Errorf("neighbor range: %q is not a network", words[1])
		}
		b.ranges = append(b.ranges, runningRange{network: network.Masked(), group: p.name})
		return nil
	}
	if a, err := netip.ParseAddr(words[0]); err == nil {
		b.peers[a.String()] = &runningPeer{name: a.String(), group: p.name}
	}
	return nil
}

// birdChannel reads what a family may bring.
func (f *runningFamily) birdChannel(block []statement) {
	f.on = ptr(true)
	for _, s := range block {
		switch {
		case starts(s.words, "import", "filter"):
			f.in = s.words[2]
		case starts(s.words, "import", "limit"):
			f.limit = int(number(s.words[2]))
		case slices.Equal(s.words, []string{"import", "all"}):
			f.in = anything
		case len(s.words) > 1 && s.words[0] == "import":
			f.strange = strings.Join(s.words, " ")
		}
	}
}

// anything is the list of a family that filters nothing.
const anything = "\x00all"
