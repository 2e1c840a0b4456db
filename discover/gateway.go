package discover

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/policy"
)

// gateways reads the next hops of the default route of a family: the route with the
// lowest metric in the main table, as the kernel chooses (ip-route(8)). Of several next
// hops the lowest address comes first, so that the choice is the same after a restart.
func gateways(f policy.Family) policy.Found {
	family, word := unix.AF_INET, "IPv4"
	if f == policy.IPv6Unicast {
		family, word = unix.AF_INET6, "IPv6"
	}
	all, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST, Dst: nil},
		netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE|netlink.RT_FILTER_DST)
	if err != nil {
		return policy.Found{Why: fmt.Sprintf("the %s default route cannot be read: %v", word, err)}
	}
	if routers := hopsOf(all); len(routers) > 0 {
		return policy.Found{Routers: routers}
	}
	if len(all) > 0 {
		return policy.Found{Why: fmt.Sprintf("this node's %s default route names a link and no gateway: add `via ADDRESS`, or give the BGPPeer a peerAddress", word)}
	}
	return policy.Found{Why: fmt.Sprintf("this node has no %s default route in its main table (ip route show default): add one, or give the BGPPeer a peerAddress", word)}
}

// hopsOf gives the gateways of the routes with the lowest metric, sorted. IPv6 has a
// route for each next hop.
func hopsOf(all []netlink.Route) []netip.Addr {
	if len(all) == 0 {
		return nil
	}
	best := slices.MinFunc(all, func(a, b netlink.Route) int { return cmp.Compare(a.Priority, b.Priority) }).Priority
	var out []netip.Addr
	for _, r := range all {
		if r.Priority != best {
			continue
		}
		for _, hop := range append(r.MultiPath, &netlink.NexthopInfo{LinkIndex: r.LinkIndex, Gw: r.Gw, Via: r.Via}) {
			if a := hopAddress(hop); a.IsValid() {
				out = append(out, a)
			}
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// hopAddress is the address of a next hop, with its link as zone where it is
// link-local; the zero Addr where it has none. An IPv4 route may have an IPv6 one.
func hopAddress(hop *netlink.NexthopInfo) netip.Addr {
	ip := hop.Gw
	if via, ok := hop.Via.(*netlink.Via); ok && ip == nil {
		ip = via.Addr
	}
	a, _ := netip.AddrFromSlice(ip)
	a = a.Unmap()
	if !a.Is6() || !a.IsLinkLocalUnicast() {
		return a
	}
	link, err := netlink.LinkByIndex(hop.LinkIndex)
	if err != nil {
		return netip.Addr{}
	}
	return a.WithZone(link.Attrs().Name)
}
