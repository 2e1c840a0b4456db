package netfilter

import (
	"fmt"
	"net/netip"
	"strings"
)

// This file has the packet that is walked through the rules, with all that rules
// may ask of it, and what is known of one that went two ways at once.

// IANA protocol numbers that the evaluator gives a meaning to.
const (
	ICMP   = 1
	TCP    = 6
	UDP    = 17
	ICMPv6 = 58
)

// TCP flags (RFC 9293 section 3.1).
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// State is a set of conntrack states (enum ip_conntrack_info in
// nf_conntrack_common.h). A packet has one of them; more than one bit means that it
// is not known which.
type State uint8

// The states of conntrack(8).
const (
	New State = 1 << iota
	Established
	Related
	Invalid
	Untracked
)

// String names the states, as iptables and nft do.
func (s State) String() string {
	var names []string
	for i, n := range []string{"new", "established", "related", "invalid", "untracked"} {
		if s&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, " or ")
}

// Packet is a packet and what the kernel knows about it on its way: a forwarded one, or
// one to or from the node itself, without Out or In then.
// Walk hands copies on; a Packet is a value.
type Packet struct {
	// In and Out are the names of the links that it comes and goes by.
	In, Out  string
	Src, Dst netip.Addr
	// Protocol is the IANA number; ports count for TCP and UDP, Flags for TCP,
	// Type and Code for ICMP and ICMPv6.
	Protocol         uint8
	SrcPort, DstPort uint16
	Flags            uint8
	Type, Code       uint8
	// HopLimit is that of IPv6, or IPv4's TTL; 0 where it is not known.
	HopLimit uint8
	// ARP is set for an ARP packet, of which only the links are known here.
	ARP   bool
	State State
	// ReturnsByIn is whether the route back to Src leaves by In, which reverse
	// path filters in rules ask ("-m rpfilter", "fib saddr . iif oif"). The caller knows
	// the routes; here it is only passed on, and unknown once a rule writes the source.
	ReturnsByIn Truth

	// asked is what rules have asked for on the way, for all copies of the packet.
	asked *questions
	// rules and hook are where the packet is on its way; beforeConntrack is set in
	// chains that run before conntrack has looked at it.
	rules           *Ruleset
	hook            Hook
	beforeConntrack bool
	six             bool
	// otherConnection is set where a rule has made the connection another one, by a
	// conntrack zone ("-j CT --zone 7") or another address in front of conntrack.
	otherConnection bool
	// natDone is whether NAT has been decided on for this connection and hook: then
	// no further chain of type nat sees it (nf_nat_initialized).
	natDone Truth
	// mark and ctMark are what rules on the way have set.
	mark, ctMark mark
	// written are the sets that rules on the way have written to, by setBit:
	// what was listed of them is no longer known.
	written uint64
	// source and destination are whether a rule on the way rewrites the address.
	source, destination rewrite
	// routed is whether the kernel chooses the way by a source that a rule wrote,
	// which it may refuse.
	routed rewrite
}

// questions are what the rules on a packet's way have asked of it.
type questions struct{ flags uint8 }

// flags are those TCP flags of a mask that the packet has. That they were asked for is
// noted: packets that differ in nothing else fare alike where nobody asks.
func (p *Packet) flags(mask uint8) uint8 {
	if p.asked != nil {
		p.asked.flags |= mask
	}
	return p.Flags & mask
}

// begins is whether a packet in state new can be the first of its connection. A FIN or
// a RST never is: it is new where the other direction has not been seen.
func (p *Packet) begins() bool { return p.Protocol != TCP || p.Flags&(FIN|RST) == 0 }

// isError is whether it is an ICMP error: one about another packet.
func (p *Packet) isError() bool {
	switch p.Protocol {
	case ICMP:
		return p.Type == 3 || p.Type == 4 || p.Type == 5 || p.Type == 11 || p.Type == 12
	case ICMPv6:
		return p.Type < 128
	}
	return false
}

// unknownLink is the name of the outgoing link where the kernel has chosen it
// for an address that is not known. No link has that name.
const unknownLink = "/"

// mark is a number of which only the bits in known are known. Kubernetes and
// Kube-OVN give meanings to single bits ("--set-xmark 0x4000/0x4000"), so a rule may
// be certain of a bit where the others are not known.
type mark struct{ value, known uint32 }

// join keeps the bits that are known to be the same in both.
func (m mark) join(o mark) mark {
	known := m.known & o.known &^ (m.value ^ o.value)
	return mark{m.value & known, known}
}

// asValue is the mark as what a field holds.
func (m mark) asValue() value { return value{number: uint64(m.value), unknownBits: ^m.known} }

// equals is whether mark & mask == value. A value with a bit outside the mask is
// never equal, as in the kernel (xt_mark.c).
func (m mark) equals(value, mask uint32) Truth {
	if (m.value^value)&mask&m.known != 0 || value&^mask != 0 {
		return No
	}
	return truthOf(mask&^m.known == 0).or(Maybe)
}

func (t Truth) or(o Truth) Truth { return max(t, o) }

// rewrite is whether, and by which rule, NAT rewrites an address.
type rewrite struct {
	truth Truth
	by    *Step
}

func (r rewrite) join(o rewrite) rewrite {
	by := r.by
	if by == nil {
		by = o.by
	}
	return rewrite{either(r.truth, o.truth), by}
}

// is6 is whether it is an IPv6 packet. It is kept apart from the addresses, which
// may be unknown after NAT.
func (p *Packet) is6() bool { return p.six }

// isIP is whether it is an IP packet of a family.
func (p *Packet) isIP(six bool) bool { return !p.ARP && p.six == six }

// sentTo is what the kernel calls the link address that the packet came to.
func (p *Packet) sentTo() string {
	if p.Dst.IsMulticast() {
		return "multicast"
	}
	return "unicast"
}

// beforeRouting is whether the kernel has yet to choose the packet's way.
func (p *Packet) beforeRouting() bool { return p.hook == Ingress || p.hook == Prerouting }

// join is what is known of a packet that went one of two ways: what both have in
// common. A state is one of either, a set that one way wrote to is no longer
// known, an address or a link that differs is unknown.
func (p Packet) join(q Packet) Packet {
	p.State |= q.State
	p.written |= q.written
	p.mark, p.ctMark = p.mark.join(q.mark), p.ctMark.join(q.ctMark)
	p.source, p.destination, p.routed = p.source.join(q.source), p.destination.join(q.destination), p.routed.join(q.routed)
	p.natDone = either(p.natDone, q.natDone)
	p.otherConnection = p.otherConnection || q.otherConnection
	if p.ReturnsByIn != q.ReturnsByIn {
		p.ReturnsByIn = Maybe
	}
	if p.Out != q.Out {
		p.Out = unknownLink
	}
	if p.Src != q.Src {
		p.Src = netip.Addr{}
	}
	if p.Dst != q.Dst {
		p.Dst = netip.Addr{}
	}
	return p
}

// String is the packet in one line, for people.
func (p Packet) String() string {
	kind := ProtocolName(p.Protocol)
	switch {
	case p.ARP:
		kind = "arp"
	case p.Protocol == TCP:
		kind = fmt.Sprintf("tcp %d>%d %s", p.SrcPort, p.DstPort, flagText(p.Flags))
	case p.Protocol == UDP:
		kind = fmt.Sprintf("udp %d>%d", p.SrcPort, p.DstPort)
	case p.isError():
		kind = fmt.Sprintf("%s type %d code %d", kind, p.Type, p.Code)
	case p.Protocol == ICMP, p.Protocol == ICMPv6:
		kind = fmt.Sprintf("%s type %d", kind, p.Type)
	}
	text := fmt.Sprintf("%s -> %s, %s", p.Src, p.Dst, kind)
	if p.ARP {
		text = kind
	} else {
		text += ", conntrack " + p.State.String()
	}
	if p.In != "" {
		text += ", in by " + p.In
	}
	if p.Out != "" {
		text += ", out by " + p.Out
	}
	return text
}

func flagText(f uint8) string {
	var names []string
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, strings.ToUpper(n))
		}
	}
	return strings.Join(names, "+")
}

// flagNames are the TCP flags from the lowest bit.
var flagNames = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"}

// protocols are the names that iptables-save and nft print.
var protocols = map[string]uint8{
	"icmp": ICMP, "igmp": 2, "ipip": 4, "ipencap": 4, "tcp": TCP, "udp": UDP, "dccp": 33, "ipv6": 41, "gre": 47, "esp": 50,
	"ah": 51, "icmpv6": ICMPv6, "ipv6-icmp": ICMPv6, "ospf": 89, "pim": 103, "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
}

// ProtocolName is the name of an IANA number, or the number.
func ProtocolName(n uint8) string {
	switch n {
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMPv6:
		return "icmpv6"
	}
	return fmt.Sprintf("protocol %d", n)
}
