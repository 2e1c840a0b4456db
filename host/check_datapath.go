package host

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
)

func datapath() Criterion {
	return Criterion{
		ID:    "datapath",
		Asks:  "Is there exactly one route to the CIDR, by the overlay link, is that link up, does the join gateway answer, takes no narrower route a part of it another way, nor a rule of `ip rule`, and is no address of the node inside the CIDR? Does the route to each router leave by another link?",
		Why:   "without a way by the overlay link, traffic that the routers send here has nowhere to go; with a second route, or a node address inside, kube-ovn-cni gives up or flaps (pkg/daemon/controller_linux.go).",
		Mend:  "Look at kube-ovn-cni and ovn-controller on this node; remove routes to the CIDR, and to parts of it, that do not leave by the overlay link (`ip route del`), and addresses of the node that lie inside it. Give a Subnet that contains a router another CIDR.",
		Drops: true,
		judge: func(c *checker) []Finding {
			var out []Finding
			x := c.facts.Datapath.waysFor(c.want)
			for _, n := range c.want.Networks {
				out = append(out, x.judge(n.Prefix)...)
			}
			out = append(out, c.facts.silentGateways(c.want.Networks)...)
			return append(out, c.facts.Datapath.peersInOverlay(c.want)...)
		},
	}
}

// silentGateways are the join gateways of the networks that the kernel has asked in
// vain. Of others it only knows that they answered once, which is no finding.
func (f *Facts) silentGateways(networks []Network) []Finding {
	var hops []netip.Addr
	for _, n := range networks {
		hops = append(hops, f.Datapath.NextHops(n.Prefix)...)
	}
	slices.SortFunc(hops, netip.Addr.Compare)
	var out []Finding
	for _, hop := range slices.Compact(hops) {
		found := Finding{About: aboutAddress(hop), Want: "the join gateway answers on " + f.Datapath.Link.Name, Fix: "kubectl get nodes: without its Node object OVN cuts a node off; else look at ovn-controller and kube-ovn-cni here"}
		switch f.Neighbours[hop].State {
		case NUDFailed:
			found.State, found.Got = Wrong, "the join gateway does not answer on "+f.Datapath.Link.Name+" (neighbour FAILED)"
		case NUDIncomplete:
			found.State, found.Got = Unknown, "the join gateway has not answered yet (neighbour INCOMPLETE)"
		case NUDPermanent:
			found.State, found.Got = Unknown, "the join gateway's entry on "+f.Datapath.Link.Name+" is permanent, so the kernel never asks whether it is right"
			found.Fix = ipCommand(hop.Is6()) + " neigh del " + hop.String() + " dev " + f.Datapath.Link.Name
		default:
			continue
		}
		out = append(out, found)
	}
	return out
}

// peersInOverlay are the routers that this node looks for in the overlay.
func (d Datapath) peersInOverlay(w Want) []Finding {
	var out []Finding
	for _, peer := range w.Peers {
		if network, why := d.InOverlay(peer); why != "" {
			out = append(out, Finding{
				About: aboutAddress(peer), State: Wrong, Want: "the route to this router leaves by an uplink", Got: why,
				Why: "Kube-OVN accepts such a Subnet, and the node's own route to the router no longer counts: no session comes up.",
				Fix: fmt.Sprintf("kubectl get subnets.kubeovn.io | grep -F %s: give that Subnet a CIDR without the router, or remove it", network),
			})
		}
	}
	return out
}

// InOverlay says why this node looks for a router in the overlay, and by which
// network's route, or "" where it does not. Kube-OVN accepts a Subnet that contains
// one, as long as there is no node's address inside.
func (d Datapath) InOverlay(router netip.Addr) (network netip.Prefix, why string) {
	if d.Err != nil || router.Zone() != "" {
		return network, ""
	}
	if way := d.way(Trip{To: router}); way.Err != nil || !slices.Contains(way.Links, d.Link.Name) {
		return network, ""
	}
	network, _, ok := d.routeTo(router)
	if !ok {
		network = netip.PrefixFrom(router, router.BitLen())
	}
	return network, fmt.Sprintf("the route to the router %s leaves by %s: the Subnet with %s contains it", router, d.Link.Name, network)
}

// judge judges one network: what is true of it as a whole first, then parts of its
// clients and of its addresses.
func (x ways) judge(p netip.Prefix) []Finding {
	whole := x.judgeWhole(p)
	whole.About, whole.Want = aboutNetwork(p, ""), "the way to it is "+x.Link.Name+", and back an uplink"
	out := []Finding{whole}
	if x.Err != nil || x.linkDown() != "" {
		return out
	}
	add := func(part string, found Finding) {
		if found.State == OK || slices.ContainsFunc(out, func(f Finding) bool { return f.Got == found.Got }) {
			return
		}
		found.About, found.Want = aboutNetwork(p, part), whole.Want
		if part != "" {
			out = append(out, found)
			return
		}
		out[0] = worse(found, out[0])
	}
	inside, clients := x.plainAddress(p), x.clients[p.Addr().Is6()]
	for _, c := range clients[1:] {
		if c.network.IsValid() {
			add("from "+c.network.String(), x.between(p, inside, c))
		}
	}
	lost := 0.0 // share of the network
	for _, part := range x.askedParts(p) {
		found, name := x.between(p, x.plainAddress(part), clients[0]), "part "+part.String()
		if found.State == Wrong {
			lost += math.Pow(2, float64(p.Bits()-part.Bits()))
		}
		if lost >= smallShare {
			name = ""
		}
		add(name, found)
	}
	if n := len(x.partsOf(p)); n > mostParts {
		add("", Finding{State: Unknown, Got: fmt.Sprintf("%d of %d parts that routes and rules tell apart were asked about", mostParts, n), Fix: "ip route get: look where the others lead"})
	}
	return out
}

func (x ways) judgeWhole(p netip.Prefix) Finding {
	if x.Err != nil {
		return Finding{State: Unknown, Got: x.Err.Error()}
	}
	if inside := x.ownAddressesIn(p); len(inside) > 0 {
		return Finding{State: Wrong, Got: fmt.Sprintf("the node's own address %s lies inside, so kube-ovn-cni makes no route", inside[0]),
			Fix: "give the Subnet another CIDR, or the node another address"}
	}
	if why := x.linkDown(); why != "" {
		return Finding{State: Wrong, Got: why, Fix: x.cniFix()}
	}
	second, isSecond := x.secondRoute(p)
	found := x.anyClient(p)
	switch {
	case found.State == Wrong && isSecond && !x.Routes[p][0].leavesBy(x.Link.Name):
		found.Fix = second.deleteCommand(p)
	case isSecond:
		return Finding{State: Wrong, Got: "a second route " + second.describe(), Fix: second.deleteCommand(p)}
	case found.State == OK:
		found.Got = "by " + x.Link.Name
	}
	return found
}

// anyClient judges the ways between a network and anybody. Where anybody is not
// answered but some are, whether the others are there is not known from here.
func (x ways) anyClient(p netip.Prefix) Finding {
	inside, clients := x.plainAddress(p), x.clients[p.Addr().Is6()]
	found := x.between(p, inside, clients[0])
	if found.State != Wrong || x.judgeBack(p, x.back(inside, clients[0])).State != Wrong {
		return found
	}
	for _, c := range clients[1:] {
		if x.between(p, inside, c).State == OK {
			found.State = Unknown
			found.Evidence = append(found.Evidence, "answered are "+cmp.Or(c.network, netip.PrefixFrom(c.address, c.address.BitLen())).String()+" and such")
			return found
		}
	}
	return found
}

// secondRoute is a route to p that goes elsewhere than by the overlay link, or does so
// for a part of the packets.
func (d Datapath) secondRoute(p netip.Prefix) (Route, bool) {
	for _, r := range d.Routes[p] {
		if !r.leavesBy(d.Link.Name) || len(r.Links) > 1 {
			return r, true
		}
	}
	return Route{}, false
}

// deleteCommand is the command that takes the route to p away.
func (r Route) deleteCommand(p netip.Prefix) string {
	command := "ip route del "
	if p.Addr().Is6() {
		command = "ip -6 route del "
	}
	switch {
	case r.Refusal != "":
		command += r.Refusal + " " + p.String()
	case len(r.Links) == 1:
		command += p.String() + " dev " + r.Links[0]
	default:
		command += p.String()
	}
	if r.Metric > 0 {
		command += fmt.Sprintf(" metric %d", r.Metric)
	}
	return command
}
