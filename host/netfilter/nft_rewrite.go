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

// mapped looks the packet's key up in a map of addresses: "ip saddr map { 10.0.0.1 :
// 192.0.2.1 }". Where no element surely fits but one may, the address is not
// known.
func (t *Table) mapped(key, data json.RawMessage) newAddress {
	unsure := func(*Packet) (addrRange, Truth) { return addrRange{}, Maybe }
	fields, ok := t.fields(key)
	if !ok {
		return unsure
	}
	set, ok := t.mapOf(data, fields)
	if !ok || set.unparsed {
		return unsure
	}
	written := writtenBit(data)
	return func(p *Packet) (addrRange, Truth) {
		values, there := readAll(fields, p)
		if there != known || p.written&written != 0 {
			return addrRange{}, there.sure()
		}
		found := No
		for _, e := range set.elements {
			fits := e.holds(values)
			if fits == Yes {
				return e.to, Yes
			}
			found = found.or(fits)
		}
		return addrRange{}, found
	}
}

// translation is snat or dnat: {"family": …, "addr": …, "port": …}. Where a map
// has no address for the packet ("snat to ip saddr map { 10.0.0.1 : 192.0.2.1 }"), the
// rule ends there and nothing is rewritten; so it does for a packet of the other
// family in a table of family inet.
func (t *Table) translation(name string, raw json.RawMessage) []statement {
	var n struct {
		Family string
		Addr   json.RawMessage
	}
	kind := rewriteSource
	if name == "dnat" {
		kind = rewriteDestination
	}
	if json.Unmarshal(raw, &n) != nil {
		return []statement{decides(name, decision{kind: unknownTarget})}
	}
	if n.Addr == nil { // ports alone
		if kind == rewriteSource {
			kind = rewritePort
		}
		return []statement{decides(name, decision{kind: kind})}
	}
	to := t.newAddress(n.Addr)
	return []statement{{text: name + " " + string(raw), decide: func(p *Packet) []decision {
		if n.Family == "ip" && p.is6() || n.Family == "ip6" && !p.is6() {
			return []decision{{kind: goOn}}
		}
		address, is := to(p)
		switch is {
		case No:
			return []decision{{kind: goOn}}
		case Maybe:
			return []decision{{kind: kind, to: address}, {kind: goOn}}
		}
		return []decision{{kind: kind, to: address}}
	}}}
}

// mangleKey is what a mangle writes to.
type mangleKey struct {
	Payload   *struct{ Protocol, Field string }
	Meta, Ct  *struct{ Key string }
	TCPOption *struct{ Name string } `json:"tcp option"`
}

// mangle is {"key": …, "value": …}: "meta mark set 1" is key {"meta": {"key":
// "mark"}}, value 1. Writing what is not known here may do anything.
func (t *Table) mangle(name string, raw json.RawMessage) []statement {
	var m struct {
		Key   mangleKey
		Value json.RawMessage
	}
	text := name + " " + string(raw)
	if json.Unmarshal(raw, &m) != nil {
		return []statement{decides(text, decision{kind: unknownTarget})}
	}
	switch k := m.Key; {
	case k.Meta != nil && k.Meta.Key == "mark":
		return []statement{setsMark(text, m.Value, func(p *Packet, to mark) { p.mark = to })}
	case k.Ct != nil && k.Ct.Key == "mark":
		return []statement{setsMark(text, m.Value, func(p *Packet, to mark) {
			if p.State&^(Invalid|Untracked) != 0 {
				p.ctMark = to
			}
		})}
	case k.Ct != nil && k.Ct.Key == "zone":
		return []statement{{text: text, change: changeConnection, carries: true}}
	case k.Payload != nil && (k.Payload.Field == "saddr" || k.Payload.Field == "daddr") && k.Payload.Protocol != "ether":
		return t.rewritesAddress(text, k.Payload.Protocol == "ip6", k.Payload.Field == "saddr", m.Value)
	case k.isHarmless():
		return []statement{noEffect(text)}
	}
	return []statement{decides(text, decision{kind: unknownTarget})}
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
func setsMark(text string, raw json.RawMessage, set func(*Packet, mark)) statement {
	read, ok := markExpression(raw)
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
