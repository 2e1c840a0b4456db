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
	// kindForeign is for what no IP packet has; its constants are not looked at.
	kindForeign
)

// value is what a field of a packet holds.
type value struct {
	addr   netip.Addr
	number uint64
	link   string
	// unknownBits are bits of number that are not known.
	unknownBits uint32
}

// presence is whether a packet has a field at all, and whether it is known. The
// order makes the larger of two what holds for both: of a concatenation with one
// unknown part nothing is known.
type presence uint8

const (
	known presence = iota
	// absent is what the kernel cannot read: it ends the rule (NFT_BREAK), also for
	// "!=". So "udp dport != 53 drop" does not drop TCP.
	absent
	unknownValue
)

// field reads one thing of a packet.
type field struct {
	kind kind
	// read gives the value, and whether the packet has one. A value that is absent or
	// unknown means nothing.
	read func(*Packet) (value, presence)
}

// constants are the names of values, by kind: those that `nft describe ct state` and
// the like print. Only kinds that a packet here has are in it; states and address
// types have numbers of this package's own.
var constants = map[kind]map[string]uint64{
	kindState:  {"new": uint64(New), "established": uint64(Established), "related": uint64(Related), "invalid": uint64(Invalid), "untracked": uint64(Untracked)},
	kindStatus: {"expected": 1, "seen-reply": 2, "assured": 4, "confirmed": 8, "snat": statusSNAT, "dnat": statusDNAT, "dying": 512},
	kindFlags:  {"fin": FIN, "syn": SYN, "rst": RST, "psh": PSH, "ack": ACK, "urg": URG, "ecn": 1 << 6, "cwr": 1 << 7},
	kindICMP: {"echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
		"router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12,
		"timestamp-request": 13, "timestamp-reply": 14, "info-request": 15, "info-reply": 16, "address-mask-request": 17, "address-mask-reply": 18},
	kindICMPv6: {"destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
		"echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131, "mld-listener-done": 132,
		"mld-listener-reduction": 132, "nd-router-solicit": 133, "nd-router-advert": 134, "nd-neighbor-solicit": 135,
		"nd-neighbor-advert": 136, "nd-redirect": 137, "router-renumbering": 138, "mld2-listener-report": 143},
	kindNFProto:  {"ipv4": 4, "ipv6": 6},
	kindEther:    {"ip": 4, "ip6": 6, "arp": 1},
	kindAddrType: {"local": 1, "unicast": 2, "unreachable": 4, "multicast": 8, "broadcast": 16},
	kindPktType:  {"unicast": 1, "host": 1, "broadcast": 2, "multicast": 3, "other": 4},
}

// constant gives the value of a name. Protocols have the names of iptables too.
func constant(k kind, name string) (uint64, bool) {
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
		if n, ok := constant(k, name); ok {
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

// match is {"op": …, "left": …, "right": …}. A named set that a rule on the way has
// written to ("add @seen { ip saddr }") is no longer what was listed.
func (t *Table) match(raw json.RawMessage) statement {
	var m struct {
		Op          string
		Left, Right json.RawMessage
	}
	text := "match " + string(raw)
	if json.Unmarshal(raw, &m) != nil {
		return unknown(text)
	}
	fields, ok := t.fields(m.Left)
	if !ok {
		return unknown(text)
	}
	var compare func([]value) Truth
	switch m.Op {
	case "==", "!=":
		compare, ok = t.oneOf(m.Right, fields)
		if m.Op == "!=" && ok {
			equal := compare
			compare = func(v []value) Truth { return equal(v).Not() }
		}
	case "in": // nft prints it for "tcp flags syn" and "ct state new", which have no operator
		compare, ok = anyBit(m.Right, fields)
	case "<", ">", "<=", ">=":
		compare, ok = ordered(m.Op, m.Right, fields)
	default:
		ok = false
	}
	if !ok {
		return unknown(text)
	}
	written := writtenBit(m.Right)
	return asks(text, func(p *Packet) Truth {
		if p.written&written != 0 {
			return Maybe
		}
		values, there := readAll(fields, p)
		switch there {
		case absent:
			return No // a question about what the packet does not have ends the rule
		case unknownValue:
			return Maybe
		}
		return compare(values)
	})
}

// readAll reads the fields of a left side. One that is absent makes all absent,
// whatever the others hold: the kernel ends the rule at it.
func readAll(fields []field, p *Packet) ([]value, presence) {
	values, there := make([]value, 0, len(fields)), known
	for _, f := range fields {
		v, h := f.read(p)
		if h == absent {
			return nil, absent
		}
		there = max(there, h)
		values = append(values, v)
	}
	return values, there
}

// oneOf compares with a constant, an anonymous set or a named one. An element that
// fits makes it Yes even where others did not parse; that none fits is only certain
// where all did.
func (t *Table) oneOf(raw json.RawMessage, fields []field) (func([]value) Truth, bool) {
	set, ok := t.setOf(raw, fields)
	if !ok {
		return nil, false
	}
	return func(v []value) Truth {
		truth := No
		for _, e := range set.elements {
			truth = truth.or(e.holds(v))
			if truth == Yes {
				return Yes
			}
		}
		if set.unparsed {
			return Maybe
		}
		return truth
	}, true
}

// holds is whether the element fits. One with a limit of its own may refuse even
// then.
func (e nftElement) holds(v []value) Truth {
	truth := Yes
	for i, p := range e.key {
		truth = min(truth, p.holds(v[i]))
	}
	if e.limited {
		return min(truth, Maybe)
	}
	return truth
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
	s := &nftSet{}
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

// anyBit is nft's implicit comparison of flags: "tcp flags syn,ack" holds where any
// of them is set, also among others (netlink_gen_flagcmp in nftables: value & flags
// != 0). Of a connection's state exactly one bit is true; where several are possible,
// they must all be asked for.
func anyBit(raw json.RawMessage, fields []field) (func([]value) Truth, bool) {
	if len(fields) != 1 || fields[0].kind != kindState && fields[0].kind != kindFlags && fields[0].kind != kindStatus {
		return nil, false
	}
	bits, ok := parseNumber(raw, fields[0].kind)
	isState := fields[0].kind == kindState
	return func(v []value) Truth {
		unsure := uint64(v[0].unknownBits) & bits
		switch {
		case !isState && v[0].number&^uint64(v[0].unknownBits)&bits == 0 && unsure != 0:
			return Maybe
		case v[0].number&bits == 0:
			return No
		case isState && v[0].number&^bits != 0:
			return Maybe // several states are possible
		}
		return Yes
	}, ok
}

// ordered is "tcp dport > 1023". The kernel compares bytes in network order, which
// for numbers of one size is their order (nft_cmp.c).
func ordered(op string, raw json.RawMessage, fields []field) (func([]value) Truth, bool) {
	if len(fields) != 1 || fields[0].kind != kindNumber && fields[0].kind != kindProtocol {
		return nil, false
	}
	n, ok := parseNumber(raw, fields[0].kind)
	return func(v []value) Truth {
		a := v[0].number
		return truthOf(op == "<" && a < n || op == ">" && a > n || op == "<=" && a <= n || op == ">=" && a >= n)
	}, ok
}

// verdictMap is {"key": …, "data": …}: "ct state vmap { invalid : drop, established :
// accept }". A packet that no element fits goes on, as does one without the key. Of
// elements that may fit each is a decision that may be made; nft lets no two elements
// overlap, so that the first that surely fits is the only one.
func (t *Table) verdictMap(raw json.RawMessage) statement {
	var m struct{ Key, Data json.RawMessage }
	text := "vmap " + string(raw)
	unknownMap := decides(text, decision{kind: unknownTarget})
	if json.Unmarshal(raw, &m) != nil {
		return unknownMap
	}
	fields, ok := t.fields(m.Key)
	if !ok {
		return unknownMap
	}
	set, ok := t.mapOf(m.Data, fields)
	if !ok || set.unparsed || slices.ContainsFunc(set.elements, func(e nftElement) bool { return e.verdict == nil }) {
		return unknownMap
	}
	written := writtenBit(m.Data)
	return statement{text: text, decide: func(p *Packet) []decision {
		values, there := readAll(fields, p)
		if p.written&written != 0 && there == known {
			there = unknownValue
		}
		if there == absent {
			return []decision{{kind: goOn}}
		}
		var out []decision
		for _, e := range set.elements {
			truth := Maybe
			if there == known {
				truth = e.holds(values)
			}
			switch truth {
			case Yes:
				return e.verdict
			case Maybe:
				out = append(out, e.verdict...)
			}
		}
		return append(out, decision{kind: goOn})
	}}
}

// markExpression reads a number, meta mark, ct mark, a map, or "&", "|", "^" of one of
// them with a number: "meta mark set meta mark & 0xff | 0x100". Bits are followed one
// by one: after "& 0xff" all others are known to be 0, whatever they were.
func (t *Table) markExpression(raw json.RawMessage) (func(*Packet) mark, bool) {
	if n, ok := parseNumber(raw, kindMark); ok {
		return func(*Packet) mark { return mark{uint32(n), ^uint32(0)} }, true
	}
	var e struct {
		Meta, Ct *struct{ Key string }
		And      []json.RawMessage `json:"&"`
		Or       []json.RawMessage `json:"|"`
		Xor      []json.RawMessage `json:"^"`
		Map      *struct{ Key, Data json.RawMessage }
	}
	if json.Unmarshal(raw, &e) != nil {
		return nil, false
	}
	switch {
	case e.Meta != nil && e.Meta.Key == "mark":
		return func(p *Packet) mark { return p.mark }, true
	case e.Ct != nil && e.Ct.Key == "mark":
		return func(p *Packet) mark { return p.ctMark }, true
	case e.Map != nil:
		find := t.lookUp(e.Map.Key, e.Map.Data)
		return func(p *Packet) mark { e, _ := find(p); return e.mark }, true
	case len(e.And) == 2:
		return t.combined(e.And, func(m mark, n uint32) mark { return mark{m.value & n, m.known | ^n} })
	case len(e.Or) == 2:
		return t.combined(e.Or, func(m mark, n uint32) mark { return mark{m.value | n, m.known | n} })
	case len(e.Xor) == 2:
		return t.combined(e.Xor, func(m mark, n uint32) mark { return mark{(m.value ^ n) & m.known, m.known} })
	}
	return nil, false
}

// combined is an operation of an expression with a number.
func (t *Table) combined(operands []json.RawMessage, f func(mark, uint32) mark) (func(*Packet) mark, bool) {
	left, okLeft := t.markExpression(operands[0])
	n, okRight := parseNumber(operands[1], kindMark)
	if !okLeft || !okRight {
		return nil, false
	}
	return func(p *Packet) mark { return f(left(p), uint32(n)) }, true
}
