package netfilter

// This file answers: which packets of a TCP connection does a router see, and what
// does conntrack call each?
//
// A router that sees both directions from the beginning sees the first packet NEW and
// all others ESTABLISHED. One that sees a single direction, because the other goes by
// another router, sees what conntrack's table of TCP makes of it (tcp_conntracks in
// nf_conntrack_proto_tcp.c):
//
//   - Of the side that began: the SYN is NEW. An ACK without the SYN-ACK before it
//     is INVALID, with or without data, until the entry of the SYN runs out
//     (nf_conntrack_tcp_timeout_syn_sent, 120 s); then it is as below. A RST is
//     INVALID, with nf_conntrack_tcp_be_liberal=1 NEW: who gives up before there is an
//     answer loses nothing by it, and it is left out here.
//   - Of the side that answers: the SYN-ACK is INVALID. Where nf_conntrack_tcp_loose is
//     1, the next ACK begins an entry in the middle (tcp_new), and it, and all that
//     follows in this direction, is NEW: only a packet of the other direction makes
//     a connection ESTABLISHED. A FIN or a RST begins none: it is INVALID, unless an
//     ACK was seen before. Where tcp_loose is 0, all of these are INVALID.
//
// nf_conntrack_tcp_be_liberal changes no more of this: it is about sequence numbers.
// Where a way changes in the middle, as when a router fails, both directions of a
// connection begin with the second case, and are then ESTABLISHED.

// Segment is a kind of packet of a TCP connection: its flags, and a state that it can
// be in.
type Segment struct {
	Flags uint8
	State State
}

// Begins reports whether the segment can be the first that conntrack sees of its
// connection: the one that NAT decides on.
func (s Segment) Begins() bool { return s.State == New && s.Flags&(FIN|RST) == 0 }

// stages are the flags of a connection's packets, in their order: two that open it,
// one without and one with data, and two that end it.
func stages() []uint8 { return []uint8{SYN, SYN | ACK, ACK, PSH | ACK, FIN | ACK, RST | ACK} }

// SeenWhole are the segments of connections of which a router sees both directions
// from the beginning.
func SeenWhole() []Segment {
	out := []Segment{{SYN, New}}
	for _, flags := range stages()[1:] {
		out = append(out, Segment{flags, Established})
	}
	return out
}

// SeenInPart are the segments of connections of which a router may see one
// direction, or begin to see both in the middle. loose is whether
// nf_conntrack_tcp_loose is 1.
func SeenInPart(loose Truth) []Segment {
	out := SeenWhole()
	if loose != No {
		out = append(out, Segment{ACK, New}, Segment{PSH | ACK, New}, Segment{FIN | ACK, New}, Segment{RST | ACK, New})
	}
	for _, flags := range stages()[1:] {
		out = append(out, Segment{flags, Invalid})
	}
	return out
}
