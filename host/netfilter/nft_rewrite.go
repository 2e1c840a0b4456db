package netfilter

import (
	"encoding/json"
	"net/netip"
)

// This file answers: what do nft's rules write into a packet, and how does it go on
// with that?
//
// Addresses are rewritten in two ways. NAT (snat, dnat, masquerade, redirect) is for
// the whole connection, and replies are translated back. "ip saddr set 10.0.0.1"
// writes into this one packet, at any hook, without a connection. Either way later
// rules see the new address. "meta mark set" and "ct mark set" write numbers that
// later rules and the routing may ask for; "ip dscp set" and others write what
// nothing here asks for.

// translation is snat, dnat, masquerade or redirect: {"family": …, "addr": …, "port":
// …}, or null. Where a map has no address or port for the packet ("snat to ip saddr map
// { 10.0.0.1 : 192.0.2.1 }"), the rule ends there and nothing is rewritten; so it does
// for a packet of the other family in a table of family inet.
func (t *Table) translation(name string, raw json.RawMessage) []statement {
	var n struct {
		Family     string
		Addr, Port json.RawMessage
	}
	if json.Unmarshal(raw, &n) != nil {
		return []statement{decides(name, decision{kind: unknownTarget})}
	}
	out := translation{kind: rewriteSource, family: n.Family, to: constant{}, port: t.expression(n.Port, kindNone)}
	switch {
	case name == "dnat" || name == "redirect":
		out.kind = rewriteDestination
	case name == "snat" && n.Addr == nil: // ports alone
		out.kind = rewritePort
	}
	if n.Addr != nil {
		out.to = t.expression(n.Addr, kindAddr)
	}
	return []statement{{name + " " + string(raw), out}}
}

// translation is NAT to an address and a port; the kernel chooses what is not given.
type translation struct {
	kind     decisionKind
	family   string
	to, port expression
}

func (t translation) decisions() []decision { return []decision{{kind: t.kind}, {kind: goOn}} }
func (t translation) names(add func(names)) { several{t.to, t.port}.names(add) }
func (t translation) touches() touches      { return touchesOf(t.to) | touchesOf(t.port) }
func (t translation) decide(p *Packet) []decision {
	if t.family == "ip" && p.is6() || t.family == "ip6" && !p.is6() {
		return []decision{{kind: goOn}}
	}
	to, is := t.to.read(p)
	_, isPort := t.port.read(p)
	here := decision{kind: t.kind, to: to.addresses()}
	switch min(is, isPort) {
	case No:
		return []decision{{kind: goOn}}
	case Maybe:
		return []decision{here, {kind: goOn}}
	}
	return []decision{here}
}

// addresses are what an address is rewritten to; none where it is not known.
func (v value) addresses() addrRange {
	if v.addr.IsValid() {
		return addrRange{v.addr, v.addr}
	}
	return v.to
}

// mangleKey is what a mangle writes to.
type mangleKey struct {
	Payload   *struct{ Protocol, Field string }
	Meta, Ct  *struct{ Key string }
	TCPOption *struct{ Name string } `json:"tcp option"`
}

// isIn is whether a packet has what is written to. A header's field is only in packets
// of that protocol; for others the rule ends there. A connection's mark is written to
// none without a word where there is no connection.
func (k mangleKey) isIn(p *Packet) Truth {
	protocol := ""
	switch {
	case k.TCPOption != nil:
		protocol = "tcp"
	case k.Payload != nil:
		protocol = k.Payload.Protocol
	}
	switch protocol {
	case "ip", "ip6":
		return truthOf(p.is6() == (protocol == "ip6"))
	case "icmp", "icmpv6", "tcp", "udp", "sctp", "dccp", "udplite":
		return truthOf(p.Protocol == protocols[protocol])
	}
	return Yes
}

// mangle is {"key": …, "value": …}: "meta mark set 1" is key {"meta": {"key":
// "mark"}}, value 1. The rule ends there where there is nothing to write, or nothing to
// write it to. Writing what is not known here may do anything.
func (t *Table) mangle(name string, raw json.RawMessage) []statement {
	var m struct {
		Key   mangleKey
		Value json.RawMessage
	}
	text := name + " " + string(raw)
	if json.Unmarshal(raw, &m) != nil {
		return []statement{decides(text, decision{kind: unknownTarget})}
	}
	if k := m.Key.Payload; k != nil && (k.Field == "saddr" || k.Field == "daddr") && (k.Protocol == "ip" || k.Protocol == "ip6") {
		to := t.expression(m.Value, kindAddr)
		return []statement{{text, writable{m.Key, to}}, {text, rewriteAddress{k.Field == "saddr", to}}}
	}
	k := kindNone
	if m.Key.isMark() {
		k = kindMark
	}
	to := t.expression(m.Value, k)
	return []statement{{text, writable{m.Key, to}}, m.Key.write(text, to)}
}

// writable is whether there is something to write, and something to write it to.
type writable struct {
	key mangleKey
	to  expression
}

func (w writable) names(add func(names)) { namesOf(w.to, add) }
func (w writable) touches() touches      { return touchesOf(w.to) }
func (w writable) matches(p *Packet) Truth {
	return min(w.key.isIn(p), hasValue{w.to}.matches(p))
}

// isMark is whether the packet's mark is written, or its connection's.
func (k mangleKey) isMark() bool {
	return k.Meta != nil && k.Meta.Key == "mark" || k.Ct != nil && k.Ct.Key == "mark"
}

// write is what a mangle changes, where there is a value.
func (k mangleKey) write(text string, to expression) statement {
	switch {
	case k.isMark():
		return statement{text, setMark{ofConnection: k.Ct != nil, needsConnection: k.Ct != nil, to: to}}
	case k.Ct != nil && k.Ct.Key == "zone":
		return statement{text, changeConnection{}}
	case k.Payload != nil:
		if written, ok := harmlessFields[k.Payload.Protocol+" "+k.Payload.Field]; ok {
			return statement{text, writeSets(written)}
		}
	case k.TCPOption != nil:
		return statement{text, writeSets(mssWritten())}
	case k.isHarmless():
		return noEffect(text)
	}
	return decides(text, decision{kind: unknownTarget})
}

// harmlessFields are header fields by none of which the kernel routes, but the DSCP,
// where a rule of ip-rule(8) has a tos; with what other rules may ask for then.
var harmlessFields = map[string]uint64{"ip dscp": dscpWritten(), "ip ecn": ecnWritten(), "ip id": 0, "ip6 dscp": dscpWritten(), "ip6 ecn": ecnWritten(),
	"ip6 flowlabel": 0, "ether saddr": 0, "ether daddr": 0}

// isHarmless reports whether writing there changes nothing that is asked about.
func (k mangleKey) isHarmless() bool {
	switch {
	case k.Meta != nil:
		return k.Meta.Key == "priority" || k.Meta.Key == "nftrace" || k.Meta.Key == "secmark"
	case k.Ct != nil:
		return k.Ct.Key == "label" || k.Ct.Key == "event" || k.Ct.Key == "secmark"
	}
	return false
}

// setMark writes the packet's mark, or its connection's.
type setMark struct {
	ofConnection bool
	// needsConnection is set where nothing is written without a connection.
	needsConnection bool
	to              expression
}

func (m setMark) touches() touches      { return writesMark | touchesOf(m.to) }
func (m setMark) names(add func(names)) { namesOf(m.to, add) }
func (m setMark) apply(p *Packet) {
	has := p.hasConnection()
	if m.needsConnection && has == No {
		return
	}
	was := *p
	v, _ := m.to.read(p)
	if m.ofConnection {
		p.ctMark = v.mark()
	} else {
		p.mark = v.mark()
	}
	if m.needsConnection && has == Maybe {
		*p = p.join(was)
	}
}

// rewriteAddress writes an address into the header, without a connection
// (stateless NAT, nft(8), PAYLOAD STATEMENT). In front of conntrack it makes the
// packet one of another connection, whose state is not known.
type rewriteAddress struct {
	source bool
	to     expression
}

func (r rewriteAddress) touches() touches      { return writesAddress }
func (r rewriteAddress) names(add func(names)) { namesOf(r.to, add) }
func (r rewriteAddress) apply(p *Packet) {
	to, _ := r.to.read(p)
	p.rewrite(r.source, to.addresses())
	if p.beforeConntrack {
		p.otherConnection = true
	}
}

// rewrite replaces an address; the zero range is another one that is not known. Out
// of a range the kernel picks one by itself (find_best_ips_proto in nf_nat_core.c),
// so then the address is not known either.
//
// Behind the routing decision the packet's way stays. In front of it, in prerouting,
// the way follows from the new addresses: a destination chooses the link, and a
// source may be one that the kernel refuses, such as an address of its own
// (fib_validate_source).
func (p *Packet) rewrite(source bool, to addrRange) {
	address, done := &p.Src, &p.source
	if !source {
		address, done = &p.Dst, &p.destination
	}
	changes := Yes
	single := to.from.IsValid() && to.from == to.to
	if to.from.IsValid() {
		changes = to.has(*address).Not()
	}
	if changes > done.truth {
		*done = rewrite{truth: changes}
	}
	if changes == No && single {
		return
	}
	*address = netip.Addr{}
	if single {
		*address = to.from
	}
	if source {
		p.ReturnsByIn = Maybe // a rule may ask for the way back to the new one
	}
	switch {
	case !p.beforeRouting():
	case source:
		p.routed = rewrite{truth: Maybe}
	default:
		p.Out = unknownLink
	}
}
