package host

import (
	"fmt"
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
			elsewhere := c.facts.Datapath.notByOverlay()
			for _, n := range c.want.Networks {
				out = append(out, c.facts.Datapath.judge(n, elsewhere))
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
	network, route, ok := d.routeTo(router)
	if !ok || !route.leavesBy(d.Link.Name) {
		return network, ""
	}
	return network, fmt.Sprintf("the route to the router %s leaves by %s: the Subnet with %s contains it", router, d.Link.Name, network)
}

// notByOverlay are the networks whose route is not by the overlay link, by address.
func (d Datapath) notByOverlay() []netip.Prefix {
	var out []netip.Prefix
	for p, routes := range d.Routes {
		if !routes[0].leavesBy(d.Link.Name) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return out
}

// narrower gives the first of the sorted networks that lies in p, and is not p.
func narrower(sorted []netip.Prefix, p netip.Prefix) (netip.Prefix, bool) {
	i, is := slices.BinarySearchFunc(sorted, p, netip.Prefix.Compare)
	if is {
		i++
	}
	if i < len(sorted) && p.Contains(sorted[i].Addr()) {
		return sorted[i], true
	}
	return netip.Prefix{}, false
}

func (d Datapath) judge(n Network, elsewhere []netip.Prefix) Finding {
	p := n.Prefix
	found := Finding{About: aboutNetwork(p, ""), State: OK, Want: "one route by " + d.Link.Name, Got: "a route by " + d.Link.Name, Fix: "kubectl -n kube-system logs ds/kube-ovn-cni: it makes " + d.Link.Name + " and the routes"}
	if d.Err != nil {
		found.State, found.Got = Unknown, d.Err.Error()
		return found
	}
	down := d.Down(p)
	if len(d.Routes[p]) == 0 && (p.IsSingleIP() || d.covers(p)) {
		down = d.podDown(p)
	}
	part, parted := narrower(elsewhere, p)
	second, isSecond := d.secondRoute(p)
	away, unasked := d.ledAway(p)
	switch inside := d.ownAddressesIn(p); {
	case len(inside) > 0:
		found.State, found.Got = Wrong, fmt.Sprintf("the node's own address %s lies inside, so kube-ovn-cni makes no route", inside[0])
		found.Fix = "give the Subnet another CIDR, or the node another address"
	case down != "":
		found.State, found.Got = Wrong, down
		if isSecond {
			found.Fix = second.deleteCommand(p)
		}
	case isSecond:
		found.State, found.Got, found.Fix = Wrong, "a second route "+second.describe(), second.deleteCommand(p)
	case parted:
		route := d.Routes[part][0]
		found.State, found.Got, found.Fix = Wrong, fmt.Sprintf("the route to %s, a part of it, %s", part, route.describe()), route.deleteCommand(part)
	case away != "":
		found.State, found.Got, found.Fix = Wrong, away, "ip rule: have the rule's owner leave "+p.String()+" out"
	case unasked != nil:
		found.State, found.Got = Unknown, unasked.Error()
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

// covers reports whether a wider route by the overlay link leads to p: a part of
// a CIDR, as mode pods announces, has no route of its own.
func (d Datapath) covers(p netip.Prefix) bool {
	for w := range wider(p) {
		if routes := d.Routes[w]; w.Bits() > 0 && w != p && len(routes) > 0 && routes[0].leavesBy(d.Link.Name) {
			return true
		}
	}
	return false
}

func (d Datapath) podDown(p netip.Prefix) string {
	switch {
	case !d.Link.Exists || !d.Link.Up:
		return d.Down(p)
	case d.LinkTo(p.Addr()) != d.Link.Name:
		return fmt.Sprintf("%s is not reached by %s", p, d.Link.Name)
	}
	return ""
}
