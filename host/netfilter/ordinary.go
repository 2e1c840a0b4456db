package netfilter

import "slices"

// This file answers: what has a packet that nobody describes further?
//
// Those that are asked about are ordinary. They are whole, without options of IP and
// without extension headers. They ask for no special treatment (DSCP and ECN 0), as
// those of nearly all programs do. How long they are and how many hops they have left is
// not known: the widest that is usual is taken, so that a rule has an answer only where
// it takes all or none of them. To shut out what is special is somebody's decision.

// Hops that packets have left: systems begin with 64 or more (RFC 1700), and no way in
// use is longer than 32.
const leastHops, mostHops = 32, 255

// MSS that a SYN asks for: RFC 879 has the lowest that all must take.
const leastMSS, mostMSS = 536, 65535

// Things that rules write and others ask for are noted in Packet.written too, under
// names that no set has.
func hopsWritten() uint64 { return setBit("/hops") }
func dscpWritten() uint64 { return setBit("/dscp") }
func ecnWritten() uint64  { return setBit("/ecn") }
func mssWritten() uint64  { return setBit("/mss") }

// unlessWritten is the value that the packet came with, as long as no rule wrote another.
func (p *Packet) unlessWritten(what uint64, v value) value {
	if p.written&what != 0 {
		return unknownValue
	}
	return v
}

// ofFamily is a field of one family's header.
func ofFamily(k kind, six bool, v func(*Packet) value) field {
	return field{k, func(p *Packet) (value, Truth) { return v(p), truthOf(p.isIP(six)) }}
}

// constantOf is a field of one family's header that is always the same.
func constantOf(six bool, v value) field {
	return ofFamily(kindNumber, six, func(*Packet) value { return v })
}

// hops are those that the packet has left.
func hops(p *Packet) value {
	if p.HopLimit != 0 {
		return p.unlessWritten(hopsWritten(), value{number: uint64(p.HopLimit)})
	}
	return p.unlessWritten(hopsWritten(), value{number: leastHops, most: mostHops})
}

func dscp(p *Packet) value { return p.unlessWritten(dscpWritten(), value{}) }

func ecn(p *Packet) value { return p.unlessWritten(ecnWritten(), value{}) }

// tos is the byte that DSCP and ECN share.
func tos(p *Packet) value { return p.unlessWritten(dscpWritten()|ecnWritten(), value{}) }

// length is a packet's: at least its headers, at most what a length field
// of IP can say.
func length(p *Packet) value {
	least := uint64(8) // UDP, ICMP
	if p.Protocol == TCP {
		least = 20
	}
	return value{number: least + p.headerLength(), most: 65535}
}

// headerLength is that of IP's header.
func (p *Packet) headerLength() uint64 {
	if p.is6() {
		return 40
	}
	return 20
}

// mssField is the size of segments that a TCP packet asks for: only those that open a
// connection do (RFC 9293 section 3.7.1).
var mssField = field{kindNumber, func(p *Packet) (value, Truth) {
	v := p.unlessWritten(mssWritten(), value{number: leastMSS, most: mostMSS})
	return v, truthOf(p.Protocol == TCP && p.flags(SYN) != 0)
}}

// noneOf is whether a thing is there that no ordinary packet has. Where a packet cannot
// have it at all, nft may ask for that first, and may not.
func noneOf(can func(*Packet) bool) field {
	return field{kindBool, func(p *Packet) (value, Truth) { return value{}, truthOf(can(p)).or(Maybe) }}
}

// mssExists is whether the packet has the option of TCP that names its segment size.
var mssExists = field{kindBool, func(p *Packet) (value, Truth) {
	var v value
	if p.Protocol == TCP && p.flags(SYN) != 0 {
		v = p.unlessWritten(mssWritten(), value{number: 1})
	}
	return v, truthOf(p.Protocol == TCP).or(Maybe)
}}

// neverThere is a field of what no ordinary packet has.
func neverThere(k kind) field {
	return field{k, func(*Packet) (value, Truth) { return value{}, No }}
}

// ofOwner is what a packet's socket knows; one that is only forwarded has none.
func ofOwner(p *Packet) Truth {
	if p.forwarded() {
		return No
	}
	return Maybe
}

// forwarded is whether the packet is surely none of this node's own.
func (p *Packet) forwarded() bool { return p.In != "" && p.In != "lo" }

// linkProperty is what is known of the link that a packet comes, or goes, by; absent where
// there is none yet.
func linkProperty(k kind, in bool, of func(Link) value) field {
	return field{k, func(p *Packet) (value, Truth) {
		name := p.Out
		if in {
			name = p.In
		}
		l, isKnown := p.rules.Links[name]
		switch {
		case name == "":
			return value{}, No
		case !isKnown:
			return unknownValue, Yes
		}
		return of(l), Yes
	}}
}

func linkGroup(l Link) value { return value{number: uint64(l.Group)} }

// linkType is a link's type, where it has a name.
func linkType(l Link) value {
	if n, ok := constantNamed(kindLinkType, l.Type); ok {
		return value{number: n}
	}
	return unknownValue
}

// secured is whether IPsec has to do with the packet; none where the node has no
// policies of it.
func secured(p *Packet) value {
	if p.rules.IPsec {
		return value{unknownBits: 1}
	}
	return value{}
}

// helpedMatch is whether the packet's connection was expected by a helper, as the data of
// FTP are. Such a connection begins RELATED.
type helpedMatch struct{}

func (helpedMatch) matches(p *Packet) Truth {
	if p.State&Related != 0 || p.otherConnection {
		return Maybe
	}
	return No
}

// crowd is whether a client's connections are more, or not more, than a number: of the
// first that it opens that is known.
type crowd struct {
	limit uint64
	over  bool
}

func (c crowd) matches(p *Packet) Truth {
	if p.hasConnection() != Yes {
		return Maybe
	}
	return truthOf((c.limit == 0) == c.over)
}

// bridged is whether the packet may have come by a port of a bridge.
type bridged struct{}

func (bridged) matches(p *Packet) Truth {
	return p.rules.maybeBelow(p.In, func(_ string, l Link) bool { return l.Bridge })
}

// time is "-m time": for all times it is known.
func (p part) time() match {
	for _, o := range p.options {
		everyTime := []string{"contiguous", "kerneltz", "utc", "localtz"}
		switch v := o.value(); {
		case o.name == "timestart" && v == "00:00:00", o.name == "timestop" && v == "23:59:59":
		case o.name == "datestop" && v == "2038-01-19T03:14:07": // what iptables-save prints for none
		case slices.Contains(everyTime, o.name):
		default:
			return nil
		}
	}
	return answer(Yes)
}
