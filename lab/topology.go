package lab

import (
	"fmt"
	"net/netip"
)

// The autonomous systems: private use (RFC 6996). All nodes share one, so their
// paths are equal to the router and become one ECMP route.
const (
	RouterASN = 65000
	NodeASN   = 65001
)

// The addresses that do not belong to one station alone. Kube-OVN's join network
// is 100.64.0.0/16 by default (pkg/util/const.go); its gateway is OVN's logical
// router. The outside is documentation space (RFC 5737, RFC 3849).
const (
	torLAN4, torLAN6   = "172.30.0.1/24", "fd00:30::1/64"
	torExt4, torExt6   = "198.51.100.1/24", "2001:db8:100::1/64"
	ext4, ext6         = "198.51.100.2/24", "2001:db8:100::2/64"
	joinGw4, joinGw6   = "100.64.0.1/16", "fd00:100:64::1/112"
	overlaySpace       = "ovn"
	lanSpace           = "lan"
	routerSpace        = "tor"
	outsideSpace       = "ext"
	hostSpace          = "host"
	podSpace           = "pod-"
	nodeCount          = 3
	firstNodeHostPart  = 11
	hostHostPart       = 50
	returnTableBase    = 100
	routeProtocolStart = 4 // RTPROT_STATIC (linux/rtnetlink.h)
)

// station is a namespace with a leg in the LAN.
type station struct {
	name string
	// lan holds its addresses there, IPv4 and IPv6.
	lan []netip.Prefix
	// join holds the addresses of ovn0; only nodes have them.
	join []netip.Prefix
}

// nodes are n1, n2 and n3: .11, .12 and .13 in the LAN and in the join network.
func nodes() []station {
	all := make([]station, 0, nodeCount)
	for i := range nodeCount {
		part := firstNodeHostPart + i
		all = append(all, station{
			name: fmt.Sprintf("n%d", i+1),
			lan:  prefixes(fmt.Sprintf("172.30.0.%d/24", part), fmt.Sprintf("fd00:30::%d/64", part)),
			join: prefixes(fmt.Sprintf("100.64.0.%d/16", part), fmt.Sprintf("fd00:100:64::%d/112", part)),
		})
	}
	return all
}

// neighbour is the host on the nodes' own network, for static routes.
func neighbour() station {
	return station{
		name: hostSpace,
		lan:  prefixes(fmt.Sprintf("172.30.0.%d/24", hostHostPart), fmt.Sprintf("fd00:30::%d/64", hostHostPart)),
	}
}

// fixedSpaces are the namespaces that every lab has, without prefix.
func fixedSpaces() []string {
	names := []string{lanSpace, routerSpace, outsideSpace, hostSpace, overlaySpace}
	for _, n := range nodes() {
		names = append(names, n.name)
	}
	return names
}

// returnTable is the routing table of the overlay whose default route leads to
// exactly the given nodes. There is one for every set of nodes, numbered by the
// set's bits, so a return path changes by a rule and tables never do.
func returnTable(names []string) int {
	mask := 0
	for i, n := range nodes() {
		for _, name := range names {
			if n.name == name {
				mask |= 1 << i
			}
		}
	}
	if mask == 0 {
		return 0
	}
	return returnTableBase + mask
}

// nodesOfTable are the nodes that a return table leads to.
func nodesOfTable(table int) []station {
	var in []station
	for i, n := range nodes() {
		if (table-returnTableBase)&(1<<i) != 0 {
			in = append(in, n)
		}
	}
	return in
}

func prefixes(ss ...string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(ss))
	for _, s := range ss {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func addrOf(prefix string) netip.Addr { return netip.MustParsePrefix(prefix).Addr() }

// ofFamily picks the prefix of the same family as addr.
func ofFamily(from []netip.Prefix, is6 bool) netip.Prefix {
	for _, p := range from {
		if p.Addr().Is6() == is6 {
			return p
		}
	}
	return netip.Prefix{}
}

// joinGateway is the logical router's address in the join network.
func joinGateway(is6 bool) netip.Addr {
	if is6 {
		return addrOf(joinGw6)
	}
	return addrOf(joinGw4)
}
