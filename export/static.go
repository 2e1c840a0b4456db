package export

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// static is what a host or router without BGP needs: routes by the nodes that
// carry each prefix now. It does not follow when a gateway moves, unless the
// Subnet has a next hop of its own that does. What is exported is there for the
// templates.
type static struct {
	Routes []staticRoute
	// for whom, as the words after "for" in the header.
	whom  string
	nodes []string
	notes []string
}

// staticRoute is one prefix and its next hops, sorted.
type staticRoute struct {
	Prefix netip.Prefix
	Hops   []netip.Addr
	// Note says of which Subnet it is and who carries it.
	Note string
	// floats is whether the next hop is the Subnet's own, and no node's.
	floats bool
}

// floatNote is said where there is such a route.
const floatNote = "Only a route by an address that the nodes share (annotation " + routes.AnnotationNextHop + ") goes where that one moves."

// staticOf judges the plans from the point of view of a host on the nodes' L2.
func staticOf(in Input) (static, error) {
	s := static{whom: "a host or router on the nodes' L2"}
	if in.Peer != "" {
		peer, err := choosePeer(in)
		if err != nil {
			return static{}, err
		}
		s.whom = "the router of BGPPeer " + plain(peer)
	}
	plans := byNode(in.Plans)
	for _, p := range plans {
		s.nodes = append(s.nodes, plain(p.Node))
	}
	book := addressBook(in.Nodes)
	for _, prefix := range advertised(plans, in.Peer) {
		r, notes := staticRouteOf(prefix, in.Peer, plans, book)
		s.notes = append(s.notes, notes...)
		if len(r.Hops) > 0 {
			s.Routes = append(s.Routes, r)
		}
	}
	s.notes = append(s.notes, unannounced(plans)...)
	if slices.ContainsFunc(s.Routes, func(r staticRoute) bool { return r.floats }) {
		s.notes = append([]string{floatNote}, s.notes...)
	}
	return s, nil
}

// advertised lists the prefixes that any node announces, to peer if one is
// given.
func advertised(plans []policy.Plan, peer string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range plans {
		for _, a := range p.Adverts {
			if peer == "" || slices.Contains(a.Peers, peer) {
				out = append(out, a.Prefix)
			}
		}
	}
	return routes.SortedSet(out, netip.Prefix.Compare)
}

// staticRouteOf gathers the next hops of one prefix. Standby gateways are left
// out, because a static route has no worse path; but a next hop of the Subnet's
// own is the same whoever announces it.
func staticRouteOf(prefix netip.Prefix, peer string, plans []policy.Plan, book map[string]routes.Node) (staticRoute, []string) {
	r := staticRoute{Prefix: prefix.Masked()}
	var subnet string
	var by, standby, notes []string
	for _, plan := range plans {
		for _, a := range plan.Adverts {
			if a.Prefix != prefix || peer != "" && !slices.Contains(a.Peers, peer) {
				continue
			}
			subnet = plain(a.Subnet)
			if a.Role == routes.RoleStandby && !a.NextHop.IsValid() {
				standby = append(standby, plain(plan.Node))
				continue
			}
			hop := nextHop(a, book[plan.Node])
			if !hop.IsValid() {
				notes = append(notes, fmt.Sprintf("%s by %s is left out: the node has no %s InternalIP",
					prefix, plain(plan.Node), familyName(prefix.Addr().Is6())))
				continue
			}
			by = append(by, plain(plan.Node))
			r.Hops = append(r.Hops, hop)
			r.floats = r.floats || a.NextHop.IsValid()
		}
	}
	r.Hops = routes.SortedSet(r.Hops, netip.Addr.Compare)
	r.Note = fmt.Sprintf("%s: Subnet %s, by %s", prefix, subnet, some(by))
	switch {
	case r.floats:
		r.Note = fmt.Sprintf("%s: Subnet %s, by whoever has the next hop; announced by %s", prefix, subnet, some(by))
	case len(standby) > 0 && len(by) > 0:
		r.Note += "; standby, left out: " + some(standby)
	case len(standby) > 0:
		notes = append(notes, fmt.Sprintf("%s: Subnet %s has standby gateways only: %s", prefix, subnet, some(standby)))
	}
	return r, notes
}

// nextHop is the advert's own, or the node's InternalIP of the prefix's family.
func nextHop(a *policy.Advert, n routes.Node) netip.Addr {
	if hop := a.NextHop.Unmap(); hop.IsValid() {
		if hop.Zone() != "" || hop.Is6() != a.Prefix.Addr().Is6() {
			return netip.Addr{}
		}
		return hop
	}
	return internalIP(n, a.Prefix.Addr().Is6())
}

// unannounced says for each prefix that no node announces why not, because the
// reader looks for it here.
func unannounced(plans []policy.Plan) []string {
	type key struct{ prefix, subnet string }
	announced := map[key]bool{}
	for _, p := range plans {
		for _, a := range p.Adverts {
			announced[key{a.Prefix.String(), a.Subnet}] = true
			if a.Role == routes.RolePod { // the Subnet's CIDR is then another
				announced[key{"", a.Subnet}] = true
			}
		}
	}
	reasons := map[key][]routes.Reason{}
	var keys []key
	for _, p := range plans {
		for _, w := range p.Withheld {
			k := key{w.Prefix, w.Subnet}
			if announced[k] || announced[key{"", w.Subnet}] {
				continue
			}
			if reasons[k] == nil {
				keys = append(keys, k)
			}
			reasons[k] = append(reasons[k], w.Reason)
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		return strings.Compare(a.prefix+" "+a.subnet, b.prefix+" "+b.subnet)
	})
	var out []string
	for _, k := range keys {
		out = append(out, fmt.Sprintf("Not announced now: %s, Subnet %s (%s)", plain(k.prefix), plain(k.subnet),
			join(routes.SortedSet(reasons[k], func(a, b routes.Reason) int { return strings.Compare(string(a), string(b)) }))))
	}
	return out
}

// addressBook gives nodes by name.
func addressBook(nodes []routes.Node) map[string]routes.Node {
	book := make(map[string]routes.Node, len(nodes))
	for _, n := range nodes {
		book[n.Name] = n
	}
	return book
}

// internalIP is the node's first InternalIP of a family that others can reach
// without naming an interface; the zero Addr if there is none.
func internalIP(n routes.Node, v6 bool) netip.Addr {
	for _, a := range n.InternalIPs {
		a = a.Unmap()
		if a.IsValid() && a.Is6() == v6 && a.Zone() == "" && !a.IsLinkLocalUnicast() && !a.IsUnspecified() {
			return a
		}
	}
	return netip.Addr{}
}
