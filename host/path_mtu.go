package host

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// This file answers: do the errors get through that path-MTU discovery needs?
//
// Who sends packets that are too large for a link on the way learns it by an ICMP error
// of the router there (RFC 1191, RFC 8201). Where it is lost, connections open and then
// transfer nothing. The errors come from routers' addresses, not from the CIDR:
//
//   - from a router outside to a Pod;
//   - from this node itself, where the overlay link takes less than the uplink, or the
//     reverse.
//
// Conntrack calls them RELATED where it has the connection that they are about, else
// INVALID (nf_conntrack_inet_error in nf_conntrack_proto_icmp.c): where returns are
// asymmetric, an error may come by another node than the connection.

// pathMTU is what findings call it.
const pathMTU = "path MTU"

// Types of the errors.
const (
	icmpUnreachable, icmpFragmentationNeeded = 3, 4
	icmpv6PacketTooBig                       = 2
)

// tooBig is such an error, without the way that it goes.
func tooBig(six bool, state netfilter.State) netfilter.Packet {
	if six {
		return netfilter.Packet{Protocol: netfilter.ICMPv6, Type: icmpv6PacketTooBig, State: state}
	}
	return netfilter.Packet{Protocol: netfilter.ICMP, Type: icmpUnreachable, Code: icmpFragmentationNeeded, State: state}
}

// tooLarge are the errors as a kind of traffic.
func tooLarge(six bool) traffic {
	return traffic{name: pathMTU, client: outsideAddress(six), errors: true}
}

// pathMTU asks about the errors of routers outside, and of this node itself.
func (c *checker) pathMTU(p netip.Prefix, asymmetric bool) answer {
	question, states := pathMTU, []netfilter.State{netfilter.Related}
	if asymmetric {
		question, states = question+" and asymmetric", append(states, netfilter.Invalid)
	}
	return c.passage.once(question, p, func() answer {
		found := c.conclude(c.passage.survey(p, func(inside netip.Addr) Finding { return c.errorsPass(inside, states) }), "forwarded")
		found.Why, found.part = withoutErrors, nil // who shuts an address out means its errors too
		return found
	})
}

// withoutErrors is why they matter.
const withoutErrors = "the errors say how large packets may be: without them connections open, and transfer nothing once a packet is larger than a link on the way takes."

// errorsPass walks the errors that concern an address inside.
func (c *checker) errorsPass(inside netip.Addr, states []netfilter.State) Finding {
	found := Finding{State: OK}
	for _, uplink := range c.uplinks[inside.Is6()] {
		for _, state := range states {
			for _, p := range c.errors(inside, uplink, state) {
				r := c.walkAnyway(p)
				switch {
				case r.Verdict == netfilter.Dropped:
					return lostTo(p, r, c.allowErrors(p, r))
				case r.Verdict == netfilter.Unknown && found.State == OK:
					found = doubtfulBy(p, r, "ask the rule's owner whether it lets ICMP errors pass")
				}
			}
		}
	}
	return found
}

// errors are the packets of one uplink and state.
func (c *checker) errors(inside netip.Addr, uplink string, state netfilter.State) []netfilter.Packet {
	six := inside.Is6()
	outside, d := outsideAddress(six), &c.facts.Datapath
	in := tooBig(six, state)
	in.In, in.Out, in.Src, in.Dst = uplink, c.want.Overlay, outside, inside
	in.ReturnsByIn = d.returns(in)
	all := []netfilter.Packet{in}
	own, has := c.ownAddress(six)
	up, overlay := c.facts.Links.MTU[uplink], c.facts.Links.MTU[c.want.Overlay]
	switch {
	case !has || up == overlay:
	case overlay < up: // to the client, whose packets do not fit into the overlay
		in.In, in.Out, in.Src, in.Dst = "", uplink, own, outside
		all = append(all, in)
	default: // to the Pod
		in.In, in.Out, in.Src, in.Dst = "", c.want.Overlay, own, inside
		all = append(all, in)
	}
	return all
}

// ownAddress is an address of this node's that it sends from.
func (c *checker) ownAddress(six bool) (netip.Addr, bool) {
	i := slices.IndexFunc(c.facts.Datapath.Addresses, func(a netip.Addr) bool {
		return a.Is6() == six && !a.IsLoopback() && !a.IsLinkLocalUnicast()
	})
	if i < 0 {
		return netip.Addr{}, false
	}
	return c.facts.Datapath.Addresses[i], true
}

// walkAnyway walks a packet that is forwarded, or that the node itself sends.
func (c *checker) walkAnyway(p netfilter.Packet) netfilter.Result {
	if p.In != "" {
		return c.passage.walk(p)
	}
	return c.passage.walkBy((*netfilter.Ruleset).WalkOut, p)
}

// allowErrors says how to let errors pass.
func (c *checker) allowErrors(p netfilter.Packet, r netfilter.Result) string {
	if p.State == netfilter.Invalid && c.want.covers(p.Dst) && p.In != "" {
		return c.fix(p, r)
	}
	what := "ICMP type 3 code 4 (fragmentation needed)"
	if p.Src.Is6() {
		what = "ICMPv6 type 2 (packet too big)"
	}
	return fmt.Sprintf("let %s pass before %s, in the configuration of whoever made it", what, r.By)
}
