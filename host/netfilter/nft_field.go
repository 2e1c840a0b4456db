package netfilter

import (
	"encoding/json"
	"slices"
	"strings"
)

// This file answers: what does a packet hold in a field that an nft rule asks for?
//
// Fields are of four sorts (nft(8), PAYLOAD EXPRESSIONS and META, CONNTRACK, FIB
// EXPRESSIONS): header fields (tcp dport), what the kernel notes beside the packet
// (meta iifname), what it knows of the connection (ct state), and what the routing
// table says (fib saddr type). What is not listed here is unknown: "ip id", "meta
// hour", "ct bytes", "socket", "numgen".

// nftExpression is the left side of a comparison.
type nftExpression struct {
	Payload  *struct{ Protocol, Field string }
	Meta, Rt *struct{ Key string }
	Ct       *struct{ Key, Dir string }
	// Exthdr, Option and TCPOption ask whether there is one, or for a field of it.
	Exthdr    *struct{ Name, Field string }
	Option    *struct{ Name, Field string } `json:"ip option"`
	TCPOption *struct{ Name, Field string } `json:"tcp option"`
	Fib       *struct {
		Result string
		Flags  flagList
	}
	Concat []json.RawMessage
	And    []json.RawMessage `json:"&"`
}

// flagList is one word or a list of them.
type flagList []string

// UnmarshalJSON reads both forms.
func (f *flagList) UnmarshalJSON(b []byte) error {
	var word string
	if json.Unmarshal(b, &word) == nil {
		*f = flagList{word}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(f))
}

// fields gives what a left side reads: one field, or several of a
// concatenation.
func (t *Table) fields(raw json.RawMessage) ([]field, bool) {
	var e nftExpression
	if json.Unmarshal(raw, &e) != nil {
		return nil, false
	}
	if e.Concat == nil {
		f, ok := t.field(e)
		return []field{f}, ok
	}
	var out []field
	for _, part := range e.Concat {
		more, ok := t.fields(part)
		if !ok || len(more) != 1 {
			return nil, false
		}
		out = append(out, more[0])
	}
	return out, true
}

// field gives what one expression reads.
func (t *Table) field(e nftExpression) (field, bool) {
	switch {
	case e.Payload != nil && e.Payload.Protocol == "arp":
		return field{kindForeign, func(p *Packet) (value, Truth) {
			if p.ARP {
				return value{}, Maybe
			}
			return value{}, No
		}}, true
	case e.Payload != nil:
		f, ok := payloadFields[e.Payload.Protocol+" "+e.Payload.Field]
		return f, ok
	case e.Meta != nil:
		f, ok := metaFields[e.Meta.Key]
		return f, ok
	case e.Rt != nil && e.Rt.Key == "ipsec":
		return metaFields["ipsec"], true
	case e.Ct != nil:
		f, ok := ctFields[strings.TrimSpace(e.Ct.Dir+" "+e.Ct.Key)]
		return f, ok
	case e.Exthdr != nil && e.Exthdr.Field == "":
		return noneOf(func(p *Packet) bool { return p.isIP(true) }), true
	case e.Option != nil && e.Option.Field == "":
		return noneOf(func(p *Packet) bool { return p.isIP(false) }), true
	case e.Exthdr != nil, e.Option != nil:
		return neverThere(kindNumber), true
	case e.TCPOption != nil && e.TCPOption.Name == "maxseg":
		if e.TCPOption.Field == "" {
			return mssExists, true
		}
		return mssField, true
	case e.Fib != nil:
		return fibField(e.Fib.Result, e.Fib.Flags)
	case len(e.And) == 2:
		return t.masked(e.And)
	}
	return field{}, false
}

// masked is FIELD & NUMBER, of marks, flags and numbers: "tcp flags & (fin|syn) == syn",
// "meta mark & 0x4000 != 0".
func (t *Table) masked(operands []json.RawMessage) (field, bool) {
	inner, ok := t.fields(operands[0])
	if !ok || len(inner) != 1 || inner[0].kind != kindMark && inner[0].kind != kindFlags && inner[0].kind != kindNumber {
		return field{}, false
	}
	n, ok := parseNumber(operands[1], inner[0].kind)
	return inner[0].masked(n), ok
}

// masked is the field with only the bits of a mask.
func (f field) masked(mask uint64) field {
	switch {
	case mask == uint64(^uint32(0)):
		return f
	case f.kind == kindFlags:
		return flagsField(uint8(mask))
	}
	return field{f.kind, func(p *Packet) (value, Truth) {
		v, there := f.read(p)
		if v.most > v.number {
			v = value{unknownBits: ^uint32(0)}
		}
		v.number &= mask
		v.unknownBits &= uint32(mask)
		return v, there
	}}
}

// has gives the value where the packet has the field.
func has(there bool, v value) (value, Truth) {
	if !there {
		return value{}, No
	}
	return v, Yes
}

// payloadFields are header fields. A question about IPv4 is No for an IPv6
// packet, and one about TCP for UDP: nft puts those questions in front.
var payloadFields = map[string]field{
	"ip saddr": addressField(false, true), "ip daddr": addressField(false, false),
	"ip6 saddr": addressField(true, true), "ip6 daddr": addressField(true, false),
	"ip protocol": protocolField(false), "ip6 nexthdr": protocolField(true),
	"tcp sport": portOf(TCP, true), "tcp dport": portOf(TCP, false),
	"udp sport": portOf(UDP, true), "udp dport": portOf(UDP, false),
	// Of a protocol without ports those are the first bytes of another header.
	"th sport": anyPort(true, Maybe), "th dport": anyPort(false, Maybe),
	"tcp flags":  flagsField(0xff),
	"ip version": constantOf(false, value{number: 4}), "ip6 version": constantOf(true, value{number: 6}),
	"ip hdrlength": constantOf(false, value{number: 5}), "ip frag-off": constantOf(false, value{unknownBits: 1 << 14}), // may be fragmented
	"ip dscp": ofFamily(kindDSCP, false, dscp), "ip6 dscp": ofFamily(kindDSCP, true, dscp),
	"ip ecn": ofFamily(kindECN, false, ecn), "ip6 ecn": ofFamily(kindECN, true, ecn),
	"ip ttl": ofFamily(kindNumber, false, hops), "ip6 hoplimit": ofFamily(kindNumber, true, hops),
	"ip length": ofFamily(kindNumber, false, length), "ip6 length": ofFamily(kindNumber, true, func(p *Packet) value {
		v := length(p)
		v.number -= p.headerLength()
		return v
	}),
	"icmp type": icmpField("icmp", "type"), "icmp code": icmpField("icmp", "code"),
	"icmpv6 type": icmpField("icmpv6", "type"), "icmpv6 code": icmpField("icmpv6", "code"),
}

// flagsField is those of TCP's flags that are in a mask.
func flagsField(mask uint8) field {
	return field{kindFlags, func(p *Packet) (value, Truth) {
		return has(p.Protocol == TCP, value{number: uint64(p.flags(mask))})
	}}
}

// addressField is absent from packets of the other family.
func addressField(six, source bool) field {
	return field{kindAddr, func(p *Packet) (value, Truth) {
		return has(p.isIP(six), value{addr: p.addr(source)})
	}}
}

// protocolField is "ip protocol" or "ip6 nexthdr". The packet asked about has no
// extension headers, so the next header is the transport protocol.
func protocolField(six bool) field {
	return field{kindProtocol, func(p *Packet) (value, Truth) {
		return has(p.isIP(six), value{number: uint64(p.Protocol)})
	}}
}

// portOf is a port of one protocol, absent from packets of others.
func portOf(protocol uint8, source bool) field {
	return field{kindNumber, func(p *Packet) (value, Truth) {
		port, ok := p.port(source)
		return has(ok && p.Protocol == protocol, value{number: uint64(port)})
	}}
}

// anyPort reads the ports of any protocol; others have them or not.
func anyPort(source bool, others Truth) field {
	return field{kindNumber, func(p *Packet) (value, Truth) {
		port, ok := p.port(source)
		if !ok {
			return unknownValue, others
		}
		return value{number: uint64(port)}, Yes
	}}
}

// icmpField is "icmp type" and the like, absent from packets of other protocols.
func icmpField(protocol, name string) field {
	k, number := kindICMP, uint8(ICMP)
	if protocol == "icmpv6" {
		k, number = kindICMPv6, ICMPv6
	}
	if name == "code" {
		k = kindNumber
	}
	return field{k, func(p *Packet) (value, Truth) {
		v := value{number: uint64(p.Type)}
		if name == "code" {
			v.number = uint64(p.Code)
		}
		return has(p.Protocol == number, v)
	}}
}

// metaFields are what the kernel knows of a packet beside its headers. A link that is
// not there yet, as the outgoing one in prerouting, has the empty name
// (nft_meta_store_ifname in nft_meta.c). "iif eth0" is a link by its index: nft
// prints the index's name at the time of listing.
var metaFields = map[string]field{
	"iifname":  always(kindLink, func(p *Packet) value { return value{link: p.In} }),
	"iif":      always(kindLink, func(p *Packet) value { return value{link: p.In} }),
	"oifname":  always(kindLink, func(p *Packet) value { return value{link: p.Out} }),
	"oif":      always(kindLink, func(p *Packet) value { return value{link: p.Out} }),
	"l4proto":  always(kindProtocol, func(p *Packet) value { return value{number: uint64(p.Protocol)} }),
	"nfproto":  always(kindNFProto, ipVersion),
	"protocol": always(kindEther, ipVersion),
	"mark":     always(kindMark, func(p *Packet) value { return p.mark.asValue() }),
	"length":   always(kindNumber, length),
	"ipsec":    always(kindBool, secured),
	"iifgroup": linkProperty(kindGroup, true, linkGroup), "oifgroup": linkProperty(kindGroup, false, linkGroup),
	"iiftype": linkProperty(kindLinkType, true, linkType), "oiftype": linkProperty(kindLinkType, false, linkType),
	"skuid":   {kindNumber, func(p *Packet) (value, Truth) { return unknownValue, ofOwner(p) }},
	"skgid":   {kindNumber, func(p *Packet) (value, Truth) { return unknownValue, ofOwner(p) }},
	"cgroup":  {kindNumber, func(p *Packet) (value, Truth) { return unknownValue, ofOwner(p) }},
	"pkttype": always(kindPktType, func(p *Packet) value { return value{number: constants[kindPktType][p.sentTo()]} }),
}

func always(k kind, v func(*Packet) value) field {
	return field{k, func(p *Packet) (value, Truth) { return v(p), Yes }}
}

func ipVersion(p *Packet) value {
	if p.ARP {
		return value{number: constants[kindEther]["arp"]}
	}
	if p.is6() {
		return value{number: 6}
	}
	return value{number: 4}
}

// ctFields are what conntrack knows of a packet's connection. Without a connection
// only the state can be asked for; it is invalid or untracked. All else ends the
// rule (nft_ct_get_eval in nft_ct.c).
var ctFields = map[string]field{
	"state": {kindState, func(p *Packet) (value, Truth) {
		v := value{number: uint64(p.State)}
		if v.number&(v.number-1) != 0 {
			v.unknownBits = uint32(p.State)
		}
		return v, Yes
	}},
	"status":    ofConnection(kindStatus, (*Packet).status),
	"mark":      ofConnection(kindMark, func(p *Packet) value { return p.ctMark.asValue() }),
	"direction": ofConnection(kindDirection, (*Packet).directionValue),
	"l3proto":   ofConnection(kindNFProto, ipVersion),
	"protocol":  ofConnection(kindProtocol, func(p *Packet) value { return value{number: uint64(p.Protocol)} }),
	"zone": ofConnection(kindNumber, func(p *Packet) value {
		if p.otherConnection {
			return unknownValue
		}
		return value{}
	}),
	// A helper has only what another connection expected.
	"helper":         {kindLink, func(p *Packet) (value, Truth) { return unknownValue, helpedMatch{}.matches(p) }},
	"original saddr": tupleAddress(Original, true), "original daddr": tupleAddress(Original, false),
	"reply saddr": tupleAddress(Reply, true), "reply daddr": tupleAddress(Reply, false),
	"original ip saddr": ofTupleFamily(false, Original, true), "original ip daddr": ofTupleFamily(false, Original, false),
	"reply ip saddr": ofTupleFamily(false, Reply, true), "reply ip daddr": ofTupleFamily(false, Reply, false),
	"original ip6 saddr": ofTupleFamily(true, Original, true), "original ip6 daddr": ofTupleFamily(true, Original, false),
	"reply ip6 saddr": ofTupleFamily(true, Reply, true), "reply ip6 daddr": ofTupleFamily(true, Reply, false),
	"original proto-src": tuplePort(Original, true), "original proto-dst": tuplePort(Original, false),
	"reply proto-src": tuplePort(Reply, true), "reply proto-dst": tuplePort(Reply, false),
}

// ofTupleFamily is an address of the connection, absent from packets of the other family.
func ofTupleFamily(six bool, d Direction, source bool) field {
	f := tupleAddress(d, source)
	return field{kindAddr, func(p *Packet) (value, Truth) {
		v, there := f.read(p)
		return v, min(there, truthOf(p.is6() == six))
	}}
}

// ofConnection is absent from packets without a connection.
func ofConnection(k kind, v func(*Packet) value) field {
	return field{k, func(p *Packet) (value, Truth) { return v(p), p.hasConnection() }}
}

// fibField asks the routing table (nft(8), FIB EXPRESSIONS): the type of an
// address ("fib daddr type local"), or whether the way back to the source leaves by
// the incoming link: "fib saddr . iif oif missing drop" is a strict reverse path
// filter, and firewalld has one for IPv6. With "mark" in it the kernel looks the way
// up with the packet's mark; here it is that of the main table all the same.
func fibField(result string, flags flagList) (field, bool) {
	switch {
	case result == "type" && (flags[0] == "saddr" || flags[0] == "daddr"):
		source, limited := flags[0] == "saddr", slices.Contains(flags, "iif") || slices.Contains(flags, "oif")
		return field{kindAddrType, func(p *Packet) (value, Truth) {
			kinds := p.kindsOf(source)
			switch {
			case limited && p.is6(): // to the routes and addresses of one link
				kinds = append(kinds, refusedKinds()...)
			case limited:
				kinds = append(kinds, "unicast")
			}
			v := value{number: constants[kindAddrType][kinds[0]]}
			for _, k := range kinds[1:] {
				v.unknownBits |= uint32(v.number ^ constants[kindAddrType][k])
			}
			return v, Yes
		}}, true
	case result == "oif" && slices.Contains(flags, "saddr") && slices.Contains(flags, "iif") && !slices.Contains(flags, "daddr"):
		return reversePathField, true
	}
	return field{}, false
}

// reversePathField is whether the way back to the source leaves by the incoming link.
var reversePathField = field{kindBool, func(p *Packet) (value, Truth) {
	switch p.ReturnsByIn {
	case Yes:
		return value{number: 1}, Yes
	case No:
		return value{}, Yes
	}
	return value{unknownBits: 1}, Yes
}}
