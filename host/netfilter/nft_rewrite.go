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

// newAddress gives the address, or the range of them, that a packet's is
// replaced by, and whether there is one: a map may have none for the packet. The
// zero range is an address that is not known.
type newAddress func(*Packet) (addrRange, Truth)

// newAddress reads a constant, a field of the packet, or a map.
func (t *Table) newAddress(raw json.RawMessage) newAddress {
	if p, ok := parsePattern(raw, kindAddr); ok {
		return func(*Packet) (addrRange, Truth) { return p.addrs, Yes }
	}
	var e struct {
		Map *struct{ Key, Data json.RawMessage }
	}
	if json.Unmarshal(raw, &e) == nil && e.Map != nil {
		return t.mapped(e.Map.Key, e.Map.Data)
	}
	if f, ok := t.fields(raw); ok && len(f) == 1 && f[0].kind == kindAddr {
		return func(p *Packet) (addrRange, Truth) {
			v, there := f[0].read(p)
			if there == absent || !v.addr.IsValid() {
				return addrRange{}, there.sure()
			}
			return addrRange{v.addr, v.addr}, Yes
		}
	}
	return func(*Packet) (addrRange, Truth) { return addrRange{}, Maybe }
}

// sure is whether a value is there, as far as that is known: an address that is there
// but not known is a Maybe too, for a map may have nothing for it.
func (h presence) sure() Truth {
	if h == absent {
		return No
	}
	return Maybe
}

// mapped is the address that a map has for the packet's key: "ip saddr map { 10.0.0.1 :
// 192.0.2.1 }".
func (t *Table) mapped(key, data json.RawMessage) newAddress {
	find := t.lookUp(key, data)
	return func(p *Packet) (addrRange, Truth) {
		e, found := find(p)
		return e.to, found
	}
}

// lookUp finds a packet's key in a map. Where no element surely fits but one may, the
// element is the zero one, and what it has is not known.
func (t *Table) lookUp(key, data json.RawMessage) func(*Packet) (nftElement, Truth) {
	unsure := func(*Packet) (nftElement, Truth) { return nftElement{}, Maybe }
	fields, ok := t.fields(key)
	if !ok {
		return unsure
	}
	set, ok := t.mapOf(data, fields)
	if !ok || set.unparsed {
		return unsure
	}
	written := writtenBit(data)
	return func(p *Packet) (nftElement, Truth) {
		values, there := readAll(fields, p)
		if there != known || p.written&written != 0 {
			return nftElement{}, there.sure()
		}
		found := No
		for _, e := range set.elements {
			fits := e.holds(values)
			if fits == Yes {
				return e, Yes
			}
			found = found.or(fits)
		}
		return nftElement{}, found
	}
}

// hasValue is whether an expression that is written somewhere has a value for a packet.
// Without one the rule ends there (NFT_BREAK in nf_tables_core.c), whatever the
// statement does with it: a map may lack the key ("meta mark set ip saddr map { … }"),
// and the packet what is read of it ("meta mark set ct mark" without a connection).
func (t *Table) hasValue(raw json.RawMessage) func(*Packet) Truth {
	always := func(*Packet) Truth { return Yes }
	var parts map[string]json.RawMessage
	if json.Unmarshal(raw, &parts) != nil {
		return always // a constant
	}
	for name, operand := range parts {
		switch name {
		case "prefix", "range", "set":
			return always
		case "map":
			var m struct{ Key, Data json.RawMessage }
			if json.Unmarshal(operand, &m) == nil {
				find := t.lookUp(m.Key, m.Data)
				return func(p *Packet) Truth { _, found := find(p); return found }
			}
		case "&", "|", "^", "<<", ">>", "concat":
			var list []json.RawMessage
			if json.Unmarshal(operand, &list) == nil {
				return t.haveValues(list...)
			}
		}
	}
	return t.fieldHasValue(raw)
}

// haveValues is whether all expressions have a value; what is not there needs none.
func (t *Table) haveValues(list ...json.RawMessage) func(*Packet) Truth {
	var all []func(*Packet) Truth
	for _, raw := range list {
		if raw != nil {
			all = append(all, t.hasValue(raw))
		}
	}
	return func(p *Packet) Truth {
		truth := Yes
		for _, has := range all {
			truth = min(truth, has(p))
		}
		return truth
	}
}

// fieldHasValue is hasValue of one field of the packet. Of one that is not listed in
// nft_field.go it is only known that a connection's needs a connection.
func (t *Table) fieldHasValue(raw json.RawMessage) func(*Packet) Truth {
	var e nftExpression
	if json.Unmarshal(raw, &e) != nil {
		return func(*Packet) Truth { return Maybe }
	}
	f, ok := t.field(e)
	return func(p *Packet) Truth {
		switch {
		case ok:
			_, there := f.read(p)
			if there == known {
				return Yes
			}
			return there.sure()
		case e.Ct != nil && p.State&^(Invalid|Untracked) == 0:
			return No
		}
		return Maybe
	}
}

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
	d := decision{kind: rewriteSource}
	to := func(*Packet) (addrRange, Truth) { return addrRange{}, Yes } // the kernel chooses
	switch {
	case name == "dnat" || name == "redirect":
		d.kind = rewriteDestination
	case name == "snat" && n.Addr == nil: // ports alone
		d.kind = rewritePort
	}
	if n.Addr != nil {
		to = t.newAddress(n.Addr)
	}
	hasPort := t.haveValues(n.Port)
	return []statement{{text: name + " " + string(raw), decide: func(p *Packet) []decision {
		if n.Family == "ip" && p.is6() || n.Family == "ip6" && !p.is6() {
			return []decision{{kind: goOn}}
		}
		address, is := to(p)
		here := d
		here.to = address
		switch min(is, hasPort(p)) {
		case No:
			return []decision{{kind: goOn}}
		case Maybe:
			return []decision{here, {kind: goOn}}
		}
		return []decision{here}
	}}}
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
		return t.rewritesAddress(text, k.Protocol == "ip6", k.Field == "saddr", m.Value)
	}
	hasValue := t.hasValue(m.Value)
	return []statement{
		asks(text, func(p *Packet) Truth { return min(m.Key.isIn(p), hasValue(p)) }),
		t.writes(text, m.Key, m.Value),
	}
}

// writes is what a mangle changes, where there is a value.
func (t *Table) writes(text string, k mangleKey, value json.RawMessage) statement {
	switch {
	case k.Meta != nil && k.Meta.Key == "mark":
		return t.setsMark(text, value, func(p *Packet, to mark) { p.mark = to })
	case k.Ct != nil && k.Ct.Key == "mark":
		return t.setsMark(text, value, func(p *Packet, to mark) {
			if p.State&^(Invalid|Untracked) != 0 {
				p.ctMark = to
			}
		})
	case k.Ct != nil && k.Ct.Key == "zone":
		return statement{text: text, change: changeConnection, carries: true}
	case k.isHarmless():
		return noEffect(text)
	}
	return decides(text, decision{kind: unknownTarget})
}

// harmlessFields are header fields that no verdict hangs on: nothing here asks for
// them, and the kernel routes by none of them but the DSCP, where a rule of ip-rule(8)
// has a tos.
var harmlessFields = map[string]bool{"ip dscp": true, "ip ecn": true, "ip id": true, "ip6 dscp": true, "ip6 ecn": true, "ip6 flowlabel": true,
	"ether saddr": true, "ether daddr": true}

// isHarmless reports whether writing there changes nothing that is asked about.
func (k mangleKey) isHarmless() bool {
	switch {
	case k.Payload != nil:
		return harmlessFields[k.Payload.Protocol+" "+k.Payload.Field]
	case k.Meta != nil:
		return k.Meta.Key == "priority" || k.Meta.Key == "nftrace" || k.Meta.Key == "secmark"
	case k.Ct != nil:
		return k.Ct.Key == "label" || k.Ct.Key == "event" || k.Ct.Key == "secmark"
	}
	return k.TCPOption != nil
}

// setsMark writes a mark; an expression that does not parse makes it unknown.
func (t *Table) setsMark(text string, raw json.RawMessage, set func(*Packet, mark)) statement {
	read, ok := t.markExpression(raw)
	return statement{text: text, carries: true, change: func(p *Packet) {
		if ok {
			set(p, read(p))
		} else {
			set(p, mark{})
		}
	}}
}

// rewritesAddress writes an address into the header, without a connection
// (stateless NAT, nft(8), PAYLOAD STATEMENT). In front of conntrack it makes the
// packet one of another connection, whose state is not known.
func (t *Table) rewritesAddress(text string, six, source bool, value json.RawMessage) []statement {
	to := t.newAddress(value)
	return []statement{
		asks(text, func(p *Packet) Truth {
			if p.is6() != six {
				return No
			}
			_, is := to(p)
			return is
		}),
		{text: text, rewrites: true, change: func(p *Packet) {
			address, _ := to(p)
			p.rewrite(source, address)
			if p.beforeConntrack {
				changeConnection(p)
			}
		}},
	}
}

// changeConnection makes the connection another one than the packet's State speaks of.
func changeConnection(p *Packet) { p.otherConnection = true }

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
