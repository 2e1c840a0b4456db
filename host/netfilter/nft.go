package netfilter

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// nftObject is one entry of what `nft -j list` prints (libnftables-json(5)).
type nftObject struct {
	Table *struct {
		Family, Name string
		Flags        json.RawMessage
	}
	Chain *struct {
		Family, Table, Name, Type, Hook, Policy, Dev string
		Prio                                         int
		Handle                                       int
	}
	Rule *struct {
		Family, Table, Chain, Comment string
		Handle                        int
		Expr                          []map[string]json.RawMessage
	}
	Set *nftSetJSON
	Map *nftSetJSON
}

type nftSetJSON struct {
	Family, Table, Name string
	Type                json.RawMessage
	Map                 json.RawMessage
	Elem                []json.RawMessage
	Stmt                json.RawMessage
}

// ParseNft reads what `nft -j list ruleset` or `nft -j list table` prints. Rules
// have no text that people like to read; see Describe. Tables of other families
// than ip, ip6 and inet see no routed packet and are left out.
func ParseNft(listing []byte) ([]*Table, error) {
	var doc struct{ Nftables []nftObject }
	if err := json.Unmarshal(listing, &doc); err != nil {
		return nil, fmt.Errorf("nft -j list: %w", err)
	}
	tables := nftTables{}
	for _, o := range doc.Nftables {
		tables.declare(o)
	}
	for _, o := range doc.Nftables {
		for _, s := range []*nftSetJSON{o.Set, o.Map} {
			if s == nil {
				continue
			}
			if t := tables.find(s.Family, s.Table); t != nil {
				t.sets[s.Name] = t.newSet(s)
			}
		}
	}
	for _, o := range doc.Nftables {
		if o.Rule == nil {
			continue
		}
		t := tables.find(o.Rule.Family, o.Rule.Table)
		if t == nil {
			continue
		}
		r := &Rule{Handle: o.Rule.Handle, Comment: o.Rule.Comment, Text: textOf(o.Rule.Expr)}
		for i, e := range o.Rule.Expr {
			s := t.compile(e)
			if raw, ok := e["reject"]; ok {
				s = []statement{rejection(raw, t.Family != Inet || namesFamily(o.Rule.Expr[:i]))}
			}
			r.statements = append(r.statements, s...)
		}
		r.beyondIptables = beyondIptables(o.Rule.Expr)
		t.chain(o.Rule.Chain).add(r)
	}
	return tables.list, nil
}

type nftTables struct{ list []*Table }

func (ts *nftTables) find(family, name string) *Table {
	i := slices.IndexFunc(ts.list, func(t *Table) bool { return string(t.Family) == family && t.Name == name })
	if i < 0 {
		return nil
	}
	return ts.list[i]
}

func (ts *nftTables) declare(o nftObject) {
	switch {
	case o.Table != nil:
		f := Family(o.Table.Family)
		if f == IPv4 || f == IPv6 || f == Inet {
			var flags flagList
			_ = json.Unmarshal(o.Table.Flags, &flags) // most tables have none
			ts.list = append(ts.list, &Table{Backend: Nft, Family: f, Name: o.Table.Name, Chains: map[string]*Chain{}, sets: map[string]*nftSet{},
				Flagged: len(flags) > 0, dormant: slices.Contains(flags, "dormant")})
		}
	case o.Chain != nil:
		t := ts.find(o.Chain.Family, o.Chain.Table)
		if t == nil {
			return
		}
		c := t.chain(o.Chain.Name)
		c.Hook, c.Priority = Hook(o.Chain.Hook), o.Chain.Prio
		c.NAT, c.Drops = o.Chain.Type == "nat", o.Chain.Policy == "drop"
	}
}

// textOf is a rule as JSON, for lack of its own text.
func textOf(exprs []map[string]json.RawMessage) string {
	b, err := json.Marshal(exprs)
	if err != nil {
		return "?"
	}
	return string(b)
}

// Describe gives rules their own texts by handle, from ParseNftTexts.
func (t *Table) Describe(texts map[int]string) {
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			if text := texts[r.Handle]; text != "" {
				r.Text = text
			}
		}
	}
}

// ReadFlags takes the table's flags from what `nft list table` prints. Only that
// tells which one a Flagged table has.
func (t *Table) ReadFlags(listing string) {
	_, body, ok := strings.Cut(listing, "{")
	if !ok {
		return
	}
	t.dormant = false
	for _, line := range strings.Split(body, "\n") {
		flags, has := strings.CutPrefix(strings.TrimSpace(line), "flags ")
		if has {
			t.dormant = slices.Contains(strings.FieldsFunc(flags, func(c rune) bool { return c == ',' || c == ' ' }), "dormant")
		}
		if has || strings.HasSuffix(line, "{") {
			return
		}
	}
}

// ParseNftTexts reads what `nft -a list table` prints for rules' texts by
// handle. A rule may take several lines; only its last one has the handle.
func ParseNftTexts(listing string) map[int]string {
	out := map[int]string{}
	var parts []string
	for _, line := range strings.Split(listing, "\n") {
		line = strings.TrimSpace(line)
		text, handle, has := strings.Cut(line, " # handle ")
		isHead := !has && (strings.HasPrefix(text, "type ") || strings.HasPrefix(text, "comment "))
		if strings.HasSuffix(text, "{") || line == "}" || line == "" || isHead {
			parts = nil
			continue
		}
		parts = append(parts, text)
		if !has {
			continue
		}
		var n int
		if _, err := fmt.Sscanf(handle, "%d", &n); err == nil {
			out[n] = strings.Join(parts, " ")
		}
		parts = nil
	}
	return out
}

// nftSet is a set, a map, or a verdict map.
type nftSet struct {
	elements []nftElement
	odd      bool
	// limited is set where the set gives all its elements a limit.
	limited bool
}

// nftElement is a key, with what a map has for it: a verdict or an address.
type nftElement struct {
	key     []pattern
	verdict []decision
	to      addrRange
	// limited is set where the element has a limit, a quota or the like, which
	// may say no to a packet that the key fits.
	limited bool
}

func (t *Table) newSet(j *nftSetJSON) *nftSet {
	s := &nftSet{limited: mayRefuse(j.Stmt)}
	add := s.add
	if j.Map != nil {
		add = s.addPair
	}
	for _, raw := range j.Elem {
		add(raw, kindsOfSet(j.Type))
	}
	return s
}

// kindsOfSet reads the type of a named set: one name, or a list of them.
func kindsOfSet(raw json.RawMessage) []kind {
	var names []string
	var one string
	if json.Unmarshal(raw, &one) == nil {
		names = []string{one}
	} else if json.Unmarshal(raw, &names) != nil {
		return nil
	}
	var out []kind
	for _, n := range names {
		k := map[string]kind{
			"ipv4_addr": kindAddr, "ipv6_addr": kindAddr, "inet_service": kindNumber, "inet_proto": kindProtocol, "ifname": kindLink,
			"iface_index": kindLink, "mark": kindMark, "ct_state": kindState, "icmp_type": kindICMP, "icmpv6_type": kindICMPv6,
		}[n]
		out = append(out, k)
	}
	return out
}

// addPair reads one element of a map: a list of the key and what it leads to.
func (s *nftSet) addPair(raw json.RawMessage, kinds []kind) {
	var pair []json.RawMessage
	if json.Unmarshal(raw, &pair) != nil || len(pair) != 2 {
		s.odd = true
		return
	}
	before := len(s.elements)
	s.add(pair[0], kinds)
	if len(s.elements) == before {
		return
	}
	e := &s.elements[before]
	var verdict map[string]json.RawMessage
	if json.Unmarshal(pair[1], &verdict) == nil {
		if d, ok := verdictOf(verdict); ok {
			e.verdict = []decision{d}
			return
		}
	}
	if p, ok := parsePattern(pair[1], kindAddr); ok {
		e.to = p.addrs
	}
}

// add reads one element of a set: a value, or an object {"elem": {"val": …}}
// with its options.
func (s *nftSet) add(raw json.RawMessage, kinds []kind) {
	e := nftElement{limited: s.limited || hasLimit(raw)}
	var ok bool
	if e.key, ok = parseKey(unwrapElem(raw), kinds); !ok {
		s.odd = true
		return
	}
	s.elements = append(s.elements, e)
}

// hasLimit reports whether an element carries more than notes and counts.
func hasLimit(raw json.RawMessage) bool {
	var wrapped struct{ Elem map[string]json.RawMessage }
	if json.Unmarshal(raw, &wrapped) != nil {
		return false
	}
	for option := range wrapped.Elem {
		switch option {
		case "val", "timeout", "expires", "comment", "counter", "last":
		default:
			return true
		}
	}
	return false
}

// mayRefuse reports whether one of a set's or a meter's statements, one object
// or a list of them, can end a rule. Those that only count cannot.
func mayRefuse(raw json.RawMessage) bool {
	var list []map[string]json.RawMessage
	var one map[string]json.RawMessage
	switch {
	case len(raw) == 0:
		return false
	case json.Unmarshal(raw, &one) == nil:
		list = []map[string]json.RawMessage{one}
	case json.Unmarshal(raw, &list) != nil:
		return true
	}
	for _, e := range list {
		for name := range e {
			if name != "counter" && name != "last" {
				return true
			}
		}
	}
	return false
}

func unwrapElem(raw json.RawMessage) json.RawMessage {
	var wrapped struct {
		Elem *struct{ Val json.RawMessage }
	}
	if json.Unmarshal(raw, &wrapped) == nil && wrapped.Elem != nil {
		return wrapped.Elem.Val
	}
	return raw
}

// parseKey reads a value, or {"concat": […]} of several.
func parseKey(raw json.RawMessage, kinds []kind) ([]pattern, bool) {
	var concat struct{ Concat []json.RawMessage }
	parts := []json.RawMessage{raw}
	if json.Unmarshal(raw, &concat) == nil && concat.Concat != nil {
		parts = concat.Concat
	}
	if len(parts) != len(kinds) {
		return nil, false
	}
	var out []pattern
	for i, part := range parts {
		p, ok := parsePattern(unwrapElem(part), kinds[i])
		if !ok {
			return nil, false
		}
		out = append(out, p)
	}
	return out, true
}

// rejection restores what nft leaves out where it prints a reject in a table of
// family inet: the question for the family that the rule has in the kernel
// (nftables 1.0.6 drops "meta nfproto ipv6" before it). With an ICMP type the
// family follows from the type; with a TCP reset it cannot be known.
func rejection(raw json.RawMessage, familyKnown bool) statement {
	var how struct{ Type string }
	_ = json.Unmarshal(raw, &how) // null has no type
	return statement{text: "reject", decide: func(p *Packet) []decision {
		switch {
		case how.Type == "icmp" && p.is6(), how.Type == "icmpv6" && !p.is6(), how.Type == "tcp reset" && p.Protocol != TCP:
			return []decision{{kind: goOn}}
		case how.Type == "tcp reset" && !familyKnown:
			return []decision{{kind: reject}, {kind: goOn}}
		}
		return []decision{{kind: reject}}
	}}
}

// namesFamily reports whether one of the expressions asks for a family in a way
// that nft prints.
func namesFamily(exprs []map[string]json.RawMessage) bool {
	for _, e := range exprs {
		text := string(e["match"])
		for _, sign := range []string{`"nfproto"`, `"protocol": "ip"`, `"protocol": "ip6"`, `"protocol":"ip"`, `"protocol":"ip6"`} {
			if strings.Contains(text, sign) {
				return true
			}
		}
	}
	return false
}

func verdictOf(e map[string]json.RawMessage) (decision, bool) {
	for name, raw := range e {
		switch name {
		case "accept":
			return decision{kind: accept}, true
		case "drop":
			return decision{kind: drop}, true
		case "reject":
			return decision{kind: reject}, true
		case "return":
			return decision{kind: leave}, true
		case "continue":
			return decision{kind: goOn}, true
		case "jump", "goto":
			var to struct{ Target string }
			if json.Unmarshal(raw, &to) != nil {
				return decision{}, false
			}
			k := jump
			if name == "goto" {
				k = goTo
			}
			return decision{kind: k, chain: to.Target}, true
		}
	}
	return decision{}, false
}

// pattern is one value or range that a field is compared with.
type pattern struct {
	addrs    addrRange
	from, to uint64
	link     string
	isAddr   bool
	isLink   bool
}

// holds compares; the field's value is known.
func (p pattern) holds(v value) Truth {
	switch {
	case p.isAddr:
		return p.addrs.has(v.addr)
	case p.isLink:
		if beginning, ok := strings.CutSuffix(p.link, "*"); ok {
			return linkBegins(beginning, v.link)
		}
		return sameLink(p.link, v.link)
	}
	if v.unknownBits != 0 {
		if p.from == p.to && (v.number^p.from)&^uint64(v.unknownBits) != 0 {
			return No
		}
		return Maybe
	}
	return truthOf(p.from <= v.number && v.number <= p.to)
}

// parsePattern reads a constant, {"prefix": …} or {"range": […]}.
func parsePattern(raw json.RawMessage, k kind) (pattern, bool) {
	var object struct {
		Prefix *struct {
			Addr string
			Len  int
		}
		Range []json.RawMessage
	}
	if len(raw) > 0 && raw[0] == '{' {
		if json.Unmarshal(raw, &object) != nil {
			return pattern{}, false
		}
		switch {
		case object.Prefix != nil && k == kindAddr:
			a, err := netip.ParseAddr(object.Prefix.Addr)
			if err != nil {
				return pattern{}, false
			}
			return pattern{isAddr: true, addrs: rangeOf(netip.PrefixFrom(a, object.Prefix.Len))}, true
		case len(object.Range) == 2:
			from, okFrom := parsePattern(object.Range[0], k)
			to, okTo := parsePattern(object.Range[1], k)
			from.addrs.to, from.to = to.addrs.to, to.to
			return from, okFrom && okTo && k != kindLink
		}
		return pattern{}, false
	}
	switch k {
	case kindNone:
		return pattern{}, false
	case kindAddr:
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return pattern{}, false
		}
		if text == "*" {
			return pattern{}, false
		}
		r, ok := parseRange(text)
		return pattern{isAddr: true, addrs: r}, ok
	case kindLink:
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return pattern{}, false // a link that is gone, by its number
		}
		return pattern{isLink: true, link: text}, true
	}
	n, ok := parseNumber(raw, k)
	return pattern{from: n, to: n}, ok
}
