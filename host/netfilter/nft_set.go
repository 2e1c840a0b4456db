package netfilter

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
)

// This file answers: which elements has a set or a map of nft's, and does a value fit
// one of them?
//
//	{ 80, 443 }                     anonymous, in the rule itself
//	@blocked                        named, an object of its own
//	{ 10.0.0.0/8 : accept }         a map; here from addresses to verdicts
//	{ 10.0.0.1 . 80 }               a key of two parts
//
// Elements may carry more (libnftables-json(5), SET and ELEMENT): a timeout, a
// counter or a comment changes nothing, a limit or a quota may refuse the packet.
//
// An element that does not parse does not fail the set: what the others hold is still
// certain. Only that something is not in the set cannot be said any more. Such are
// types that are not listed in kindsOfSet. The element "*" is for all that no other
// fits.

// nftSet is a set, a map, or a verdict map.
type nftSet struct {
	elements []nftElement
	// otherwise is the element "*", if there is one.
	otherwise *nftElement
	// unparsed is set where an element does not parse.
	unparsed bool
	// limited is set where the set gives all its elements a limit.
	limited bool
	// crowded is set where the set may soon be full: half of its size is taken.
	crowded bool
	// isMap is set where each element leads somewhere of its own.
	isMap bool
}

// nftElement is a key, with what a map has for it.
type nftElement struct {
	key     []pattern
	verdict []decision
	// data is what a map leads to beside verdicts.
	data value
	// limited is set where the element has a limit, a quota or the like, which
	// may say no to a packet that the key fits.
	limited bool
}

// setWith is a set of the patterns.
func setWith(in ...pattern) *nftSet {
	s := &nftSet{}
	for _, p := range in {
		s.elements = append(s.elements, nftElement{key: []pattern{p}})
	}
	return s
}

// newSet reads a named set or map, with its elements.
func (t *Table) newSet(j *nftSetJSON) *nftSet {
	s := &nftSet{limited: mayRefuse(j.Stmt), crowded: j.Size > 0 && 2*len(j.Elem) >= j.Size, isMap: j.Map != nil}
	for _, raw := range j.Elem {
		if s.isMap {
			s.addPair(raw, kindsOfSet(j.Type))
		} else {
			s.add(raw, kindsOfSet(j.Type))
		}
	}
	return s
}

// all are the elements, and what stands for all others.
func (s *nftSet) all() []nftElement {
	if s.otherwise == nil {
		return s.elements
	}
	return append(slices.Clone(s.elements), *s.otherwise)
}

// kindsOfSet reads the type of a named set: one name, or a list of them for keys of
// several parts. An anonymous set has no type; what it is compared with says it.
func kindsOfSet(raw json.RawMessage) []kind {
	var names []string
	var single string
	if json.Unmarshal(raw, &single) == nil {
		names = []string{single}
	} else if json.Unmarshal(raw, &names) != nil {
		return nil
	}
	var out []kind
	for _, n := range names {
		k := map[string]kind{
			"ipv4_addr": kindAddr, "ipv6_addr": kindAddr, "inet_service": kindNumber, "inet_proto": kindProtocol, "ifname": kindLink,
			"iface_index": kindLink, "mark": kindMark, "ct_state": kindState, "icmp_type": kindICMP, "icmpv6_type": kindICMPv6, "ct_dir": kindDirection, "dscp": kindDSCP,
			"ecn": kindECN, "devgroup": kindGroup, "iface_type": kindLinkType, "nf_proto": kindNFProto, "ether_type": kindEther, "fib_addrtype": kindAddrType,
		}[n]
		out = append(out, k)
	}
	return out
}

// addPair reads one element of a map: a list of the key and what it leads to, which
// is a verdict, an address, or something that nobody asks for here. A map whose
// elements lead to no verdict is none to decide by (verdictMap looks for that).
func (s *nftSet) addPair(raw json.RawMessage, kinds []kind) {
	var pair []json.RawMessage
	if json.Unmarshal(raw, &pair) != nil || len(pair) != 2 {
		s.unparsed = true
		return
	}
	e := s.add(pair[0], kinds)
	if e == nil {
		return
	}
	var verdict map[string]json.RawMessage
	if json.Unmarshal(pair[1], &verdict) == nil {
		if d, ok := verdictOf(verdict); ok {
			e.verdict = []decision{d}
			return
		}
	}
	e.data = unknownValue
	if p, ok := parsePattern(pair[1], kindAddr); ok {
		e.data.to = p.addrs
	}
	if n, ok := parseNumber(pair[1], kindMark); ok {
		e.data = value{number: n}
	}
}

// add reads one element of a set: a value, or an object {"elem": {"val": …}}
// with its options. It is nil where it does not parse.
func (s *nftSet) add(raw json.RawMessage, kinds []kind) *nftElement {
	e := nftElement{limited: s.limited || hasLimit(raw)}
	value := unwrapElem(raw)
	if string(value) == `"*"` {
		s.otherwise = &e
		return &e
	}
	var ok bool
	if e.key, ok = parseKey(value, kinds); !ok {
		s.unparsed = true
		return nil
	}
	s.elements = append(s.elements, e)
	return &s.elements[len(s.elements)-1]
}

// hasLimit reports whether an element carries more than notes and counts: {"elem":
// {"val": "10.0.0.1", "limit": {…}}}. What is not known here counts as a limit.
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
// or a list of them, can end a rule. Those that only count cannot; "limit rate
// 5/second" can, and does so for each element by itself.
func mayRefuse(raw json.RawMessage) bool {
	var list []map[string]json.RawMessage
	var single map[string]json.RawMessage
	switch {
	case len(raw) == 0:
		return false
	case json.Unmarshal(raw, &single) == nil:
		list = []map[string]json.RawMessage{single}
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

// unwrapElem gives an element's value, without its options.
func unwrapElem(raw json.RawMessage) json.RawMessage {
	var wrapped struct {
		Elem *struct{ Val json.RawMessage }
	}
	if json.Unmarshal(raw, &wrapped) == nil && wrapped.Elem != nil {
		return wrapped.Elem.Val
	}
	return raw
}

// parseKey reads a value, or {"concat": […]} of several, one for each part of the key.
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

// pattern is one value or range that a field is compared with. A field is an address,
// a link, or a number; which of the three is set follows from its kind.
type pattern struct {
	addrs    addrRange
	from, to uint64
	link     string
	isAddr   bool
	isLink   bool
	// begins is set where all links fit whose names begin so.
	begins bool
	// partly is set where only some addresses of the range fit.
	partly bool
}

// numbers are patterns of one number each.
func numbers(list ...uint64) []pattern {
	var out []pattern
	for _, n := range list {
		out = append(out, pattern{from: n, to: n})
	}
	return out
}

// addressPatterns is a range of addresses.
func addressPatterns(r addrRange) []pattern { return []pattern{{isAddr: true, addrs: r}} }

// maskedPatterns are the addresses that are a after a mask. One with holes
// ("255.0.0.255") has several networks; where they are too many, it is not known
// which addresses fit of those that agree in front of the first hole.
func maskedPatterns(a, mask netip.Addr) []pattern {
	bits, last := maskEnds(mask.AsSlice())
	if a.BitLen() != mask.BitLen() {
		return nil
	}
	for i, b := range a.AsSlice() {
		if b&^mask.AsSlice()[i] != 0 {
			return nil // a bit that is never set
		}
	}
	var holes []int
	for i := bits; i < last; i++ {
		if mask.AsSlice()[i/8]&(0x80>>(i%8)) == 0 {
			holes = append(holes, i)
		}
	}
	if len(holes) > 8 {
		return []pattern{{isAddr: true, partly: true, addrs: rangeOf(netip.PrefixFrom(a, bits))}}
	}
	var out []pattern
	for n := range 1 << len(holes) {
		filled := a.AsSlice()
		for i, at := range holes {
			if n&(1<<i) != 0 {
				filled[at/8] |= 0x80 >> (at % 8)
			}
		}
		network, _ := netip.AddrFromSlice(filled)
		out = append(out, addressPatterns(rangeOf(netip.PrefixFrom(network, last)))...)
	}
	return out
}

// maskEnds are where the first bit of a mask is not set, and where none is set any more.
func maskEnds(mask []byte) (first, last int) {
	first = len(mask) * 8
	for i := range len(mask) * 8 {
		if mask[i/8]&(0x80>>(i%8)) != 0 {
			last = i + 1
		} else {
			first = min(first, i)
		}
	}
	return first, last
}

// linkPattern is a name, or the beginning of some in front of a wildcard.
func linkPattern(text, wildcard string) pattern {
	name, begins := strings.CutSuffix(text, wildcard)
	return pattern{isLink: true, link: name, begins: begins}
}

// holds compares. Of a number the bits in unknownBits are not known, or only that it is
// between number and most. A link, or an address, may be unknown where NAT has changed
// the packet's way.
func (p *pattern) holds(v *value) Truth {
	switch {
	case p.isAddr && p.partly:
		return min(p.addrs.has(v.addr), Maybe)
	case p.isAddr:
		return p.addrs.has(v.addr)
	case p.isLink:
		return p.hasLink(v.link)
	case v.unknownBits != 0:
		if p.from == p.to && (v.number^p.from)&^uint64(v.unknownBits) != 0 {
			return No
		}
		return Maybe
	case v.most > v.number && p.from <= v.most && v.number <= p.to:
		return truthOf(p.from <= v.number && v.most <= p.to).or(Maybe)
	}
	return truthOf(p.from <= v.number && v.number <= p.to)
}

// hasLink compares a link's name.
func (p *pattern) hasLink(link string) Truth {
	if link == unknownLink {
		return Maybe
	}
	return truthOf(link == p.link || p.begins && strings.HasPrefix(link, p.link))
}

// parsePattern reads a constant, {"prefix": …} or {"range": […]}, both ends of which
// are in it.
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
	case kindForeign:
		return pattern{}, true
	case kindAddr:
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return pattern{}, false
		}
		r, ok := parseRange(text)
		return pattern{isAddr: true, addrs: r}, ok
	case kindLink:
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return pattern{}, false // a link that is gone, by its number
		}
		return linkPattern(text, "*"), true
	}
	n, ok := parseNumber(raw, k)
	return pattern{from: n, to: n}, ok
}
