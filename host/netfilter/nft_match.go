package netfilter

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
)

// This file answers: does a comparison of nft's hold for a packet?
//
//	tcp dport 80                {"match": {"op": "==", "left": {"payload": {"protocol":
//	                            "tcp", "field": "dport"}}, "right": 80}}
//	ip saddr != 10.0.0.0/8      op "!=", right {"prefix": {"addr": "10.0.0.0", "len": 8}}
//	ip saddr @blocked           op "==", right "@blocked"
//	tcp dport { 80, 443 }       op "==", right {"set": [80, 443]}
//	ct state new,established    op "in", right ["new", "established"]
//	ip saddr . tcp dport @web   left {"concat": […]}
//
// The left side is read from the packet (nft_field.go), the right side is a set of
// one or more elements (nft_set.go). A right side that does not parse makes the whole
// match unknown. What cannot be told of a packet, as the state behind a zone, makes
// it unknown for that packet.

// kind is what sort of constants a field is compared with: "new" is a number for ct
// state, another for icmp type, and a name for iifname.
type kind uint8

const (
	kindNone kind = iota
	kindAddr
	kindNumber
	kindProtocol
	kindLink
	kindMark
	kindState
	kindStatus
	kindFlags
	kindICMP
	kindICMPv6
	kindNFProto
	kindEther
	kindAddrType
	kindPktType
	kindBool
	kindDirection
	kindDSCP
	kindECN
	kindGroup
	kindLinkType
	// kindForeign is for what no IP packet has; its constants are not looked at.
	kindForeign
)

// value is what a field of a packet holds, or what is written there.
type value struct {
	addr netip.Addr
	link string
	// number is the lowest that it may be, and most the highest, where that is more.
	number, most uint64
	// unknownBits are bits of number that are not known.
	unknownBits uint32
	// to is an address, or a range of them, to write; none where it is not known.
	to addrRange
}

// unknownValue is one of which nothing is known.
var unknownValue = value{link: unknownLink, unknownBits: ^uint32(0)}

// field reads one thing of a packet: its value, and whether the packet has one. What is
// absent the kernel cannot read: it ends the rule (NFT_BREAK), also for "!=". So "udp
// dport != 53 drop" does not drop TCP. Where it may be absent, the value is what it is
// where it is there.
type field struct {
	kind kind
	get  func(*Packet) (value, Truth)
}

func (f field) read(p *Packet) (value, Truth) { return f.get(p) }

func (f field) touches() touches {
	switch f.kind {
	case kindMark:
		return readsMark
	case kindState:
		return readsState
	}
	return 0
}

// constants are the names of values, by kind: those that `nft describe ct state` and
// the like print. Only kinds that a packet here has are in it; states and address
// types have numbers of this package's own.
var constants = map[kind]map[string]uint64{
	kindState: {"new": uint64(New), "established": uint64(Established), "related": uint64(Related), "invalid": uint64(Invalid), "untracked": uint64(Untracked)},
	kindStatus: {"expected": statusExpected, "seen-reply": statusSeenReply, "assured": statusAssured, "confirmed": statusConfirmed,
		"snat": statusSNAT, "dnat": statusDNAT, "dying": 512},
	kindDirection: {"original": 0, "reply": 1},
	kindDSCP: {"cs0": 0, "cs1": 8, "cs2": 16, "cs3": 24, "cs4": 32, "cs5": 40, "cs6": 48, "cs7": 56, "df": 0, "be": 0, "lephb": 1, "ef": 46, "va": 44,
		"af11": 10, "af12": 12, "af13": 14, "af21": 18, "af22": 20, "af23": 22, "af31": 26, "af32": 28, "af33": 30, "af41": 34, "af42": 36, "af43": 38},
	kindECN:   {"not-ect": 0, "ect1": 1, "ect0": 2, "ce": 3},
	kindGroup: {"default": 0},
	// Numbers of if_arp.h.
	kindLinkType: {"ether": 1, "ppp": 512, "ipip": 768, "tunnel6": 769, "ipip6": 769, "loopback": 772, "sit": 776, "ipgre": 778, "ip6gre": 823, "none": 65534},
	kindFlags:    {"fin": FIN, "syn": SYN, "rst": RST, "psh": PSH, "ack": ACK, "urg": URG, "ecn": 1 << 6, "cwr": 1 << 7},
	kindICMP: {"echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
		"router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12,
		"timestamp-request": 13, "timestamp-reply": 14, "info-request": 15, "info-reply": 16, "address-mask-request": 17, "address-mask-reply": 18},
	kindICMPv6: {"destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
		"echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131, "mld-listener-done": 132,
		"mld-listener-reduction": 132, "nd-router-solicit": 133, "nd-router-advert": 134, "nd-neighbor-solicit": 135,
		"nd-neighbor-advert": 136, "nd-redirect": 137, "router-renumbering": 138, "mld2-listener-report": 143},
	kindNFProto: {"ipv4": 4, "ipv6": 6},
	kindEther:   {"ip": 4, "ip6": 6, "arp": 1},
	kindAddrType: {"local": 1, "unicast": 2, "unreachable": 4, "multicast": 8, "broadcast": 16, "anycast": 32, "blackhole": 64,
		"prohibit": 128, "throw": 256, "unspec": 512, "nat": 1024, "xresolve": 2048},
	kindPktType: {"unicast": 1, "host": 1, "broadcast": 2, "multicast": 3, "other": 4},
}

// constantNamed gives the value of a name. Protocols have the names of iptables too.
func constantNamed(k kind, name string) (uint64, bool) {
	if k == kindProtocol {
		n, ok := protocols[name]
		return uint64(n), ok
	}
	n, ok := constants[k][name]
	return n, ok
}

// parseNumber reads a number, a boolean, the name of a constant, or a list of
// names that are flags: 80, false, "established", {"|": ["syn", "ack"]}. A bare number
// is refused where this package's numbers are not the kernel's.
func parseNumber(raw json.RawMessage, k kind) (uint64, bool) {
	var n uint64
	if json.Unmarshal(raw, &n) == nil {
		return n, k != kindState && k != kindNFProto && k != kindEther && k != kindAddrType && k != kindPktType
	}
	var b bool
	if json.Unmarshal(raw, &b) == nil && k == kindBool {
		if b {
			n = 1
		}
		return n, true
	}
	var name string
	if json.Unmarshal(raw, &name) == nil {
		if n, ok := constantNamed(k, name); ok {
			return n, true
		}
		n, err := strconv.ParseUint(name, 0, 64)
		return n, err == nil
	}
	var or struct {
		Or []json.RawMessage `json:"|"`
	}
	if json.Unmarshal(raw, &or) == nil && or.Or != nil {
		for _, part := range or.Or {
			bits, ok := parseNumber(part, k)
			if !ok {
				return 0, false
			}
			n |= bits
		}
		return n, true
	}
	var names []json.RawMessage
	if (k == kindState || k == kindFlags || k == kindStatus) && json.Unmarshal(raw, &names) == nil {
		for _, part := range names {
			bit, ok := parseNumber(part, k)
			if !ok {
				return 0, false
			}
			n |= bit
		}
		return n, true
	}
	return 0, false
}

// match is {"op": …, "left": …, "right": …}.
func (t *Table) match(raw json.RawMessage) statement {
	var m struct {
		Op          string
		Left, Right json.RawMessage
	}
	text := "match " + string(raw)
	if json.Unmarshal(raw, &m) != nil {
		return unknown(text)
	}
	if asked := t.comparison(m.Op, m.Left, m.Right); asked != nil {
		return statement{text, asked}
	}
	return unknown(text)
}

// comparison reads a match; nil where it is not understood.
func (t *Table) comparison(op string, left, right json.RawMessage) match {
	if f, in, ok := t.maskedAddress(left, right); ok && (op == "==" || op == "!=") {
		return comparison{lookup: lookup{fields: []field{f}, set: setWith(in...)}, negated: op == "!="}
	}
	fields, ok := t.fields(left)
	if !ok {
		return nil
	}
	switch op {
	case "==", "!=":
		if set, ok := t.setOf(right, fields); ok {
			return comparison{lookup: lookup{fields: fields, set: set, written: writtenBit(right)}, negated: op == "!="}
		}
	case "in": // nft prints it for "tcp flags syn" and "ct state new", which have no operator
		return anyBit(right, fields)
	case "<", ">", "<=", ">=":
		return ordered(op, right, fields)
	}
	return nil
}

// comparison is whether the packet's key is in a set. A packet without such a key is
// neither in it nor outside.
type comparison struct {
	lookup
	negated bool
}

func (c comparison) matches(p *Packet) Truth {
	_, found, there := c.find(p, nil)
	if c.negated {
		return min(found.Not(), there)
	}
	return found
}

func (c comparison) names(add func(names)) {
	c.lookup.names(func(n names) {
		n.negated = c.negated
		add(n)
	})
}

// maskedAddress is "ip saddr & 255.0.0.255 == 10.0.0.1".
func (t *Table) maskedAddress(left, right json.RawMessage) (field, []pattern, bool) {
	var e nftExpression
	if json.Unmarshal(left, &e) != nil || len(e.And) != 2 {
		return field{}, nil, false
	}
	inner, ok := t.fields(e.And[0])
	mask, okMask := parsePattern(e.And[1], kindAddr)
	a, okAddr := parsePattern(right, kindAddr)
	if !ok || !okMask || !okAddr || len(inner) != 1 || inner[0].kind != kindAddr || a.addrs.from != a.addrs.to {
		return field{}, nil, false
	}
	return inner[0], maskedPatterns(a.addrs.from, mask.addrs.from), true
}

// named gives the set that "@NAME" stands for; named is whether it is a name, and ok
// whether the set is there and has keys of as many parts as the left side.
func (t *Table) named(raw json.RawMessage, fields []field) (s *nftSet, named, ok bool) {
	var name string
	if json.Unmarshal(raw, &name) != nil || len(name) < 2 || name[0] != '@' {
		return nil, false, false
	}
	s = t.sets[name[1:]]
	return s, true, s != nil && (len(s.elements) == 0 || len(s.elements[0].key) == len(fields))
}

// kindsOf are the kinds of constants that a left side is compared with.
func kindsOf(fields []field) []kind {
	var kinds []kind
	for _, f := range fields {
		kinds = append(kinds, f.kind)
	}
	return kinds
}

// mapOf gives the data of a map, named ("vmap @services") or not ("vmap { … }").
func (t *Table) mapOf(raw json.RawMessage, fields []field) (*nftSet, bool) {
	if s, named, ok := t.named(raw, fields); named {
		return s, ok
	}
	var anonymous struct{ Set []json.RawMessage }
	if json.Unmarshal(raw, &anonymous) != nil {
		return nil, false
	}
	s := &nftSet{isMap: true}
	for _, e := range anonymous.Set {
		s.addPair(e, kindsOf(fields))
	}
	return s, true
}

// setOf gives the right side of a comparison as a set; a single value is a set of
// one. Of that, if it does not parse, nothing can be said.
func (t *Table) setOf(raw json.RawMessage, fields []field) (*nftSet, bool) {
	if s, named, ok := t.named(raw, fields); named {
		return s, ok
	}
	kinds := kindsOf(fields)
	s := &nftSet{}
	var anonymous struct{ Set []json.RawMessage }
	if json.Unmarshal(raw, &anonymous) == nil && anonymous.Set != nil {
		for _, e := range anonymous.Set {
			s.add(e, kinds)
		}
		return s, true
	}
	s.add(raw, kinds)
	return s, !s.unparsed
}

// anyBit is nft's implicit comparison of flags: "tcp flags syn,ack".
func anyBit(raw json.RawMessage, fields []field) match {
	if len(fields) != 1 || fields[0].kind != kindState && fields[0].kind != kindFlags && fields[0].kind != kindStatus {
		return nil
	}
	bits, ok := parseNumber(raw, fields[0].kind)
	if !ok {
		return nil
	}
	if fields[0].kind == kindFlags {
		fields[0] = flagsField(uint8(bits))
	}
	return bitsMatch{fields[0], bits}
}

// bitsMatch holds where any bit of the field is set, also among others
// (netlink_gen_flagcmp in nftables: value & bits != 0). Of a connection's state exactly
// one bit is true; where several are possible, they must all be asked for.
type bitsMatch struct {
	field field
	bits  uint64
}

func (m bitsMatch) touches() touches { return m.field.touches() }

func (m bitsMatch) matches(p *Packet) Truth {
	v, there := m.field.read(p)
	unsure := uint64(v.unknownBits) & m.bits
	isState := m.field.kind == kindState
	truth := Yes
	switch {
	case !isState && v.number&^uint64(v.unknownBits)&m.bits == 0 && unsure != 0:
		truth = Maybe
	case v.number&m.bits == 0:
		truth = No
	case isState && v.number&^m.bits != 0:
		truth = Maybe // several states are possible
	}
	return min(there, truth)
}

// ordered is "tcp dport > 1023". The kernel compares bytes in network order, which
// for numbers of one size is their order (nft_cmp.c).
func ordered(op string, raw json.RawMessage, fields []field) match {
	if len(fields) != 1 || fields[0].kind != kindNumber && fields[0].kind != kindProtocol && fields[0].kind != kindMark {
		return nil
	}
	n, ok := parseNumber(raw, fields[0].kind)
	in := pattern{to: ^uint64(0)}
	switch op {
	case "<":
		ok, in.to = ok && n > 0, n-1
	case "<=":
		in.to = n
	case ">":
		in.from = n + 1
	case ">=":
		in.from = n
	}
	return one(fields[0], []pattern{in}, ok)
}

// verdictMap is {"key": …, "data": …}: "ct state vmap { invalid : drop, established :
// accept }".
func (t *Table) verdictMap(raw json.RawMessage) statement {
	var m struct{ Key, Data json.RawMessage }
	text := "vmap " + string(raw)
	if json.Unmarshal(raw, &m) == nil {
		l := t.lookup(m.Key, m.Data)
		if l.set != nil && !l.set.unparsed && !slices.ContainsFunc(l.set.all(), func(e nftElement) bool { return e.verdict == nil }) {
			return statement{text, verdictMap{l}}
		}
	}
	return decides(text, decision{kind: unknownTarget})
}

// verdictMap decides by the packet's key. A packet that no element fits goes on, as does
// one without the key. Of elements that may fit each is a decision that may be made; nft
// lets no two elements overlap, so that the first that surely fits is the only one.
type verdictMap struct{ lookup }

func (m verdictMap) decide(p *Packet) []decision {
	var out []decision
	e, found, _ := m.find(p, func(e *nftElement) { out = append(out, e.verdict...) })
	switch {
	case e != nil:
		return e.verdict
	case found == Maybe && out == nil: // what was written to it is not known
		return []decision{{kind: unknownTarget}}
	}
	return append(out, decision{kind: goOn})
}

func (m verdictMap) decisions() []decision {
	var out []decision
	for _, e := range m.set.all() {
		out = append(out, e.verdict...)
	}
	return append(out, decision{kind: goOn})
}
