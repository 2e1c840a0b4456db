package host

import (
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// TraceFlow traces each packet of TCP connections that this node may see, also of those
// that it sees in part, and gives the worst outcome. Packets that rules do not tell
// apart are traced once.
func (f Facts) TraceFlow(w io.Writer, src, dst netip.Addr) State {
	var done []walked
	worst := OK
	for _, at := range netfilter.SeenInPart(f.picksUp()) {
		if slices.ContainsFunc(done, func(w walked) bool { return w.answersFor(at) }) {
			continue
		}
		state, r := f.trace(w, src, dst, at)
		done = append(done, walked{at, r.FlagsAsked})
		if state == Wrong || worst == OK {
			worst = state
		}
	}
	return worst
}

// Trace prints the walk of one packet through every rule that matches it, or may
// match it, and gives the outcome. The links follow from the routes. It is the first
// packet of a connection, or the answer to it.
func (f Facts) Trace(w io.Writer, src, dst netip.Addr, state netfilter.State) State {
	at := netfilter.Segment{Flags: netfilter.SYN, State: state}
	if state != netfilter.New {
		at.Flags |= netfilter.ACK
	}
	outcome, _ := f.trace(w, src, dst, at)
	return outcome
}

func (f Facts) trace(w io.Writer, src, dst netip.Addr, at netfilter.Segment) (State, netfilter.Result) {
	p := netfilter.Packet{In: f.Datapath.LinkTo(src), Out: f.Datapath.LinkTo(dst), Src: src, Dst: dst,
		Protocol: netfilter.TCP, SrcPort: sampleSrcPort, DstPort: sampleDstPort, Flags: at.Flags, State: at.State}
	p.ReturnsByIn = f.Datapath.returns(p)
	fmt.Fprintf(w, "%s\n", p)
	if why := f.notForwarded(src, dst); why != "" {
		fmt.Fprintf(w, "UNKNOWN: %s\n\n", why)
		return Unknown, netfilter.Result{}
	}
	r := f.Filter.of(src.Is6()).Walk(p)
	return f.outcome(w, r), r
}

// outcome prints the walk and how it ended.
func (f Facts) outcome(w io.Writer, r netfilter.Result) State {
	for i := range r.Trail {
		fmt.Fprintf(w, "  %s\n    %s\n", &r.Trail[i], r.Trail[i].Did)
	}
	switch r.Verdict {
	case netfilter.Dropped:
		fmt.Fprintf(w, "DROPPED by %s\n\n", r.By)
		return Wrong
	case netfilter.Unknown:
		fmt.Fprintf(w, "UNKNOWN: %s asks %s\n\n", r.Doubt, r.Question)
		return Unknown
	}
	if len(f.Filter.Unread) > 0 {
		fmt.Fprintf(w, "UNKNOWN: %s\n\n", f.Filter.Unread[0])
		return Unknown
	}
	fmt.Fprint(w, "FORWARDED")
	if r.Rewritten != netfilter.No {
		fmt.Fprintf(w, ", source rewritten (%s) by %s", r.Rewritten, r.RewrittenBy)
	}
	fmt.Fprint(w, "\n\n")
	return OK
}

// notForwarded says why there is no forwarded packet to follow, or "".
func (f Facts) notForwarded(src, dst netip.Addr) string {
	for _, a := range []netip.Addr{src, dst} {
		if kind := neverForwarded(a); kind != "" {
			return a.String() + " is " + kind + ": the kernel never forwards such a packet"
		}
		switch {
		case f.Datapath.Err != nil:
			return f.Datapath.Err.Error()
		case slices.Contains(f.Datapath.Addresses, a):
			return a.String() + " is this node's own address: such a packet is not forwarded"
		case f.Datapath.LinkTo(a) == "":
			return "no route to " + a.String()
		}
	}
	return ""
}

// neverForwarded names the kind of an address that keeps the kernel from
// forwarding, or is "" (ip_route_input_slow and ip6_forward in the kernel).
func neverForwarded(a netip.Addr) string {
	switch {
	case a.IsUnspecified(), a.Is4() && a.As4()[0] == 0:
		return "no address of a host"
	case a.IsMulticast():
		return "a multicast address"
	case a.IsLoopback():
		return "a loopback address"
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address"
	case a.Is6() && a.IsLinkLocalUnicast():
		return "a link-local address"
	}
	return ""
}
