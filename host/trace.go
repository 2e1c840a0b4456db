package host

import (
	"fmt"
	"io"
	"net/netip"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// Trace prints the walk of one packet through every rule that matches it, or may
// match it, and gives the outcome. The links follow from the routes.
func (f Facts) Trace(w io.Writer, src, dst netip.Addr, state netfilter.State) State {
	p := netfilter.Packet{In: f.Datapath.LinkTo(src), Out: f.Datapath.LinkTo(dst), Src: src, Dst: dst,
		Protocol: netfilter.TCP, SrcPort: askedSrcPort, DstPort: askedDstPort, Flags: netfilter.SYN, State: state}
	p.ReturnsByIn = f.Datapath.returns(p)
	if state != netfilter.New {
		p.Flags |= netfilter.ACK
	}
	fmt.Fprintf(w, "%s\n", p)
	r := f.Filter.of(src.Is6()).Walk(p)
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
