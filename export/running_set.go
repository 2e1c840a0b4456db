package export

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// readSet reads the configuration of Junos or VyOS as "set" commands, each of which
// is complete in itself.
func readSet(f Format, text string) (*running, error) {
	s := &setReader{running: newRunning(), terms: map[string][]*term{}, pending: map[listKey]map[int]*pendingRule{}}
	n := 0
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "set" {
			continue
		}
		n++
		for j := range words {
			words[j] = unquoted(words[j])
		}
		read := s.junos
		if f == VyOS {
			read = s.vyos
		}
		if err := read(words[1:]); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if n == 0 {
		how := "show configuration | display set"
		if f == VyOS {
			how = "show configuration commands"
		}
		return nil, fmt.Errorf("it has no set command: give it as `%s` shows it", how)
	}
	s.finish()
	return s.running, nil
}

// setReader gathers what is said in pieces.
type setReader struct {
	*running
	terms   map[string][]*term               // Junos policies, by name, in their order
	pending map[listKey]map[int]*pendingRule // VyOS lists, by rule
}

// term is one term of a Junos policy.
type term struct {
	name      string
	v4, v6    bool
	entries   []listEntry
	accepts   bool
	rejects   bool
	condition bool
	strange   string
}

type pendingRule struct {
	permit bool
	words  []string // the prefix, and its lengths
}

func (s *setReader) junos(words []string) error {
	switch {
	case starts(words, "routing-options", "autonomous-system"):
		s.asn = number(words[2])
	case starts(words, "policy-options", "as-list") && len(words) > 4 && words[3] == "members":
		spec := s.filters[words[2]]
		spec.add(words[4])
		s.filters[words[2]] = spec
	case starts(words, "policy-options", "policy-statement") && len(words) > 3:
		return s.junosPolicy(words[2], words[3:])
	case starts(words, "protocols", "bgp", "group") && len(words) > 4:
		return s.junosGroup(words[3], words[4:])
	}
	return nil
}

// starts reports whether the words begin so and go on.
func starts(words []string, with ...string) bool {
	return len(words) > len(with) && slices.Equal(words[:len(with)], with)
}

func (s *setReader) junosPolicy(policy string, words []string) error {
	name := ""
	if words[0] == "term" && len(words) > 2 {
		name, words = words[1], words[2:]
	}
	t := s.term(policy, name)
	switch {
	case starts(words, "from", "family"):
		t.v4, t.v6 = words[2] == "inet", words[2] == "inet6"
	case starts(words, "from", "route-filter") && len(words) > 3:
		e, err := junosEntry(words[2:])
		if err != nil {
			return fmt.Errorf("policy-statement %s: %w", policy, err)
		}
		t.entries = append(t.entries, e)
	case words[0] == "from", words[0] == "to":
		t.condition, t.strange = true, strings.Join(words, " ")
	case starts(words, "then"):
		t.accepts = t.accepts || words[1] == "accept"
		t.rejects = t.rejects || words[1] == "reject"
	}
	return nil
}

// term gives the term of a policy, and adds it behind the others where it is new.
func (s *setReader) term(policy, name string) *term {
	terms := s.terms[policy]
	if i := slices.IndexFunc(terms, func(t *term) bool { return t.name == name }); i >= 0 {
		return terms[i]
	}
	t := &term{name: name}
	s.terms[policy] = append(terms, t)
	return t
}

// junosEntry reads "PREFIX exact", "orlonger" or "upto /N".
func junosEntry(words []string) (listEntry, error) {
	e, err := newEntry(strings.Contains(words[0], ":"), true, words[:1])
	if err != nil {
		return e, err
	}
	switch {
	case words[1] == "exact":
	case words[1] == "orlonger":
		e.to = e.prefix.Addr().BitLen()
	case words[1] == "upto" && len(words) > 2:
		e.to = int(number(strings.TrimPrefix(words[2], "/")))
	default:
		return e, fmt.Errorf("route-filter %s is not understood", strings.Join(words, " "))
	}
	return e, nil
}

func (s *setReader) junosGroup(group string, words []string) error {
	p := s.peer(group)
	if words[0] == "neighbor" && len(words) > 1 {
		p = s.peer(words[1])
		if words = words[2:]; p.group == "" {
			p.group = group
		}
		if len(words) == 0 {
			return nil
		}
	}
	if words[0] == "allow" && len(words) > 1 {
		network, err := netip.ParsePrefix(words[1])
		if err != nil {
			return fmt.Errorf("allow: %q is not a network", words[1])
		}
		s.ranges = append(s.ranges, runningRange{network: network.Masked(), group: group})
		return nil
	}
	s.junosPeer(p, words)
	return nil
}

func (s *setReader) junosPeer(p *runningPeer, words []string) {
	last := words[len(words)-1]
	switch words[0] {
	case "type":
		if last == "internal" {
			p.as.internal = true
		}
	case "peer-as":
		p.as = asSpec{}
		p.as.add(last)
	case "peer-as-list":
		p.asList = last
	case "authentication-key":
		p.password = last
		if strings.HasPrefix(last, "$9$") {
			p.password = hidden
		}
	case "ttl":
		p.ttlSecurity = true
	case "multihop":
		p.multihop = true
	case "shutdown", "disable":
		p.shutdown = true
	case "import":
		for i := range p.families {
			if f := &p.families[i]; f.in == "" {
				f.in = last
			} else if f.in != last {
				f.strange = "import " + f.in + " " + last
			}
		}
	case "family":
		s.junosFamily(p, words[1:])
	}
}

func (s *setReader) junosFamily(p *runningPeer, words []string) {
	if len(words) < 2 || words[1] != "unicast" || words[0] != "inet" && words[0] != "inet6" {
		return
	}
	f := p.family(words[0] == "inet6")
	f.on = ptr(true)
	if i := slices.Index(words, "maximum"); i > 0 && i+1 < len(words) {
		f.limit = int(number(words[i+1]))
	}
}

// finish makes lists of what was said in pieces.
func (s *setReader) finish() {
	for name, terms := range s.terms {
		s.policyLists(name, terms)
	}
	for k, rules := range s.pending {
		for n, r := range rules {
			if e, err := newEntry(k.v6, r.permit, r.words); err == nil {
				e.seq = n
				s.addEntry(k.v6, k.name, e)
			}
		}
	}
	for _, p := range s.peers {
		if list, ok := s.filters[p.asList]; ok {
			p.as = list
		}
	}
}

// policyLists makes prefix lists of a Junos policy. What none of its terms decides
// is accepted, as BGP's default import policy does.
func (s *setReader) policyLists(name string, terms []*term) {
	for _, v6 := range []bool{false, true} {
		for _, t := range terms {
			if !t.accepts && !t.rejects || (t.v4 || t.v6) && t.v6 != v6 {
				continue
			}
			if t.condition {
				s.strangePolicy(name, v6, t)
				return
			}
			for _, e := range t.entries {
				if e.permit = t.accepts; e.prefix.Addr().Is6() == v6 {
					s.addEntry(v6, name, e)
				}
			}
			if len(t.entries) == 0 {
				e, _ := newEntry(v6, t.accepts, []string{"any"})
				s.addEntry(v6, name, e)
			}
		}
		e, _ := newEntry(v6, true, []string{"any"})
		s.addEntry(v6, name, e)
	}
}

// strangePolicy marks the peers that use a policy with a condition that is not read.
func (s *setReader) strangePolicy(policy string, v6 bool, t *term) {
	for _, p := range s.peers {
		if f := p.family(v6); f.in == policy {
			f.strange = fmt.Sprintf("policy-statement %s term %s %s", policy, t.name, t.strange)
		}
	}
}

func (s *setReader) vyos(words []string) error {
	switch {
	case starts(words, "protocols", "bgp", "system-as"):
		s.asn = number(words[3])
	case starts(words, "policy", "prefix-list"), starts(words, "policy", "prefix-list6"):
		s.vyosRule(words[1] == "prefix-list6", words[2:])
	case starts(words, "policy", "route-map") && len(words) > 6 && words[3] == "rule":
		s.vyosMap(words[2], words[4:])
	case starts(words, "protocols", "bgp", "listen"):
		return s.vyosListen(words[3:])
	case starts(words, "protocols", "bgp", "peer-group") && len(words) > 4,
		starts(words, "protocols", "bgp", "neighbor") && len(words) > 4:
		s.vyosPeer(s.peer(words[3]), words[4:])
	}
	return nil
}

// vyosRule reads "NAME rule N action|prefix|le|ge VALUE".
func (s *setReader) vyosRule(v6 bool, words []string) {
	if len(words) < 5 || words[1] != "rule" {
		return
	}
	k, n := listKey{v6, words[0]}, int(number(words[2]))
	if s.pending[k] == nil {
		s.pending[k] = map[int]*pendingRule{}
	}
	if s.pending[k][n] == nil {
		s.pending[k][n] = &pendingRule{}
	}
	rule := s.pending[k][n]
	switch words[3] {
	case "action":
		rule.permit = words[4] == "permit"
	case "prefix":
		rule.words = append([]string{words[4]}, rule.words...)
	case "le", "ge":
		rule.words = append(rule.words, words[3], words[4])
	}
}

// vyosMap reads "N action permit" and "N match …".
func (s *setReader) vyosMap(name string, words []string) {
	switch words[1] {
	case "action":
		s.maps[name] = append(s.maps[name], &mapEntry{permit: words[2] == "permit"})
	case "match":
		if n := len(s.maps[name]); n > 0 {
			s.maps[name][n-1].matches = true
		}
	}
}

func (s *setReader) vyosListen(words []string) error {
	if words[0] == "limit" {
		s.limit = int(number(words[1]))
	}
	if words[0] != "range" || len(words) < 4 {
		return nil
	}
	network, err := netip.ParsePrefix(words[1])
	if err != nil {
		return fmt.Errorf("listen range: %q is not a network", words[1])
	}
	s.ranges = append(s.ranges, runningRange{network: network.Masked(), group: words[3]})
	return nil
}

func (s *setReader) vyosPeer(p *runningPeer, words []string) {
	switch {
	case words[0] == "peer-group":
		p.group = words[1]
	case words[0] == "address-family" && len(words) > 2:
		s.vyosFamily(p.family(words[1] == "ipv6-unicast"), words[2:])
	default:
		p.read(words)
	}
}

func (s *setReader) vyosFamily(f *runningFamily, words []string) {
	f.on = ptr(true)
	switch {
	case starts(words, "prefix-list", "import"):
		f.in = words[2]
	case starts(words, "route-map", "import"):
		f.maps = append(f.maps, words[2])
	case len(words) > 2 && words[1] == "import":
		f.strange = strings.Join(words, " ")
	default:
		f.readLimit(words)
	}
}
