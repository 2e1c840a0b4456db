package host

import (
	"iter"
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// Datapath is what the kernel knows about the ways out of this node.
type Datapath struct {
	// Err is set where the facts could not be read; then nothing is known.
	Err error
	// Link is the overlay link's state.
	Link LinkState
	// Routes holds the main table's routes, by destination. The first of several
	// is the one that counts: that of the lowest metric.
	Routes map[netip.Prefix][]Route
	// Named are the networks that routes of any table, or rules, tell from others;
	// sorted, without the default routes.
	Named []netip.Prefix
	// Addresses are this node's own.
	Addresses []netip.Addr
	// Links are this node's links by name, with what lies below each.
	Links map[string]netfilter.Link
	// Policy is how the kernel chooses another table than main.
	Policy Policy
	// Ways are the kernel's own answers of where packets go.
	Ways map[Trip]Way
	// Learning are the links that have a default route from a router
	// advertisement: IPv6 forwarding would end that (accept_ra).
	Learning []string
}

// LinkState is whether a link is there and up.
type LinkState struct {
	Name   string
	Exists bool
	Up     bool
}

// Route is one route of the kernel.
type Route struct {
	// Links are those that it leaves by, several with ECMP.
	Links []string
	// Via are the next hops, one for each of Links; the zero Addr where its network
	// is on the link itself. None says nothing of them.
	Via []netip.Addr
	// Refusal is the type of a route that leaves by none: blackhole, unreachable,
	// prohibit and such.
	Refusal string
	Metric  int
}

// leavesBy reports whether the route leaves by a link.
func (r Route) leavesBy(link string) bool { return r.Refusal == "" && slices.Contains(r.Links, link) }

// describe says where the route leads, behind "the route to 10.16.0.0/16".
func (r Route) describe() string {
	if r.Refusal != "" {
		return "is of type " + r.Refusal
	}
	return "leaves by " + listed(r.Links)
}

// NextHops are the join gateways that the route to the CIDR leads to; none where
// it goes by the overlay link without one. Traffic is lost where all are down.
func (d Datapath) NextHops(cidr netip.Prefix) []netip.Addr {
	routes := d.Routes[cidr]
	if len(routes) == 0 || routes[0].Refusal != "" {
		return nil
	}
	var out []netip.Addr
	for i, hop := range routes[0].Via {
		if routes[0].Links[i] != d.Link.Name {
			continue
		}
		if !hop.IsValid() {
			return nil
		}
		out = append(out, hop)
	}
	return out
}

// LinkTo is the link by which an address is reached, "" where there is no route.
// It knows the main table only.
func (d Datapath) LinkTo(a netip.Addr) string {
	if links := d.linksTo(a); len(links) > 0 {
		return links[0]
	}
	return ""
}

// linksTo are the links of the longest route to an address; several with ECMP,
// none where the kernel refuses to go there.
func (d Datapath) linksTo(a netip.Addr) []string {
	if a.Zone() != "" {
		return []string{a.Zone()}
	}
	if _, route, ok := d.routeTo(a); ok && route.Refusal == "" {
		return route.Links
	}
	return nil
}

// routeTo is the longest route to an address, and its network.
func (d Datapath) routeTo(a netip.Addr) (netip.Prefix, Route, bool) {
	for p := range wider(netip.PrefixFrom(a, a.BitLen())) {
		if routes := d.Routes[p]; len(routes) > 0 {
			return p, routes[0], true
		}
	}
	return netip.Prefix{}, Route{}, false
}

// wider goes through the prefix and all that contain it, the longest first.
func wider(p netip.Prefix) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for bits := p.Bits(); bits >= 0; bits-- {
			if !yield(netip.PrefixFrom(p.Addr(), bits).Masked()) {
				return
			}
		}
	}
}

// Policy is the rules of ip-rule(8) besides those that every node has: local, main and
// default, without a condition.
type Policy struct {
	// Other is whether there is one, by family (true for IPv6), that a packet without a
	// mark may match.
	Other map[bool]bool
	// Rules are those, in the order in which they are looked at.
	Rules map[bool][]PolicyRule
	// Marks are the marks that rules ask for.
	Marks map[bool][]netfilter.MarkRule
}

// ownAddressesIn are the node's own addresses in a prefix.
func (d Datapath) ownAddressesIn(p netip.Prefix) []netip.Addr {
	var out []netip.Addr
	for _, a := range d.Addresses {
		if p.Contains(a) {
			out = append(out, a)
		}
	}
	return out
}
