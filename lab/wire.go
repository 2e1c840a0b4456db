package lab

import (
	"maps"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
)

// wiring is all fixed namespaces of a lab, open.
type wiring struct {
	prefix string
	spaces map[string]*space
}

// openWiring opens the namespaces of a lab that exists.
func openWiring(prefix string) (*wiring, error) {
	w := &wiring{prefix, map[string]*space{}}
	for _, name := range fixedSpaces() {
		s, err := openSpace(prefix + name)
		if err != nil {
			w.close()
			return nil, err
		}
		w.spaces[name] = s
	}
	return w, nil
}

func (w *wiring) close() {
	for _, s := range w.spaces {
		s.close()
	}
}

// wire lays cables, addresses and the routes that never change.
func (w *wiring) wire() error {
	for _, step := range []func() error{w.settings, w.lan, w.outside, w.overlay, w.defaults, w.returnTables} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// settings makes nodes, router and overlay forward. rp_filter is off as
// Kube-OVN's init container leaves it: replies come in where no request went
// out. ECMP hashes ports too, so that one client reaches every next hop. The
// overlay's router answers by the link that has the address alone (arp_ignore).
func (w *wiring) settings() error {
	forward := map[string]string{
		"ipv4/ip_forward": "1", "ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0",
		"ipv4/conf/all/send_redirects": "0", "ipv4/conf/default/send_redirects": "0",
		"ipv4/fib_multipath_hash_policy": "1",
		"ipv6/conf/all/forwarding":       "1", "ipv6/fib_multipath_hash_policy": "1",
	}
	end := map[string]string{
		"ipv6/conf/all/accept_ra": "0", "ipv6/conf/default/accept_ra": "0",
		"ipv4/fib_multipath_hash_policy": "1", "ipv6/fib_multipath_hash_policy": "1",
	}
	for name, s := range w.spaces {
		set := forward
		if name == hostSpace || name == outsideSpace || name == lanSpace {
			set = end
		}
		if name == overlaySpace {
			set = maps.Clone(set)
			set["ipv4/conf/all/arp_ignore"] = "1"
		}
		if err := s.sysctl(set); err != nil {
			return err
		}
	}
	return nil
}

// lan joins router, nodes and host on one L2.
func (w *wiring) lan() error {
	lan := w.spaces[lanSpace]
	if err := lan.bridge("br0"); err != nil {
		return err
	}
	legs := append(nodes(), neighbour(), station{name: routerSpace, lan: prefixes(torLAN4, torLAN6)})
	for _, s := range legs {
		if err := connect(w.spaces[s.name], "eth0", lan, s.name); err != nil {
			return err
		}
		if err := lan.plug(s.name, "br0"); err != nil {
			return err
		}
		if err := w.spaces[s.name].address("eth0", s.lan...); err != nil {
			return err
		}
	}
	return nil
}

// outside puts the client behind the router.
func (w *wiring) outside() error {
	if err := connect(w.spaces[outsideSpace], "eth0", w.spaces[routerSpace], "ext0"); err != nil {
		return err
	}
	if err := w.spaces[outsideSpace].address("eth0", prefixes(ext4, ext6)...); err != nil {
		return err
	}
	return w.spaces[routerSpace].address("ext0", prefixes(torExt4, torExt6)...)
}

// overlay gives every node its ovn0 in the join network, whose gateway is the
// logical router.
func (w *wiring) overlay() error {
	ovn := w.spaces[overlaySpace]
	if err := ovn.bridge("join"); err != nil {
		return err
	}
	if err := ovn.address("join", prefixes(joinGw4, joinGw6)...); err != nil {
		return err
	}
	for _, n := range nodes() {
		if err := connect(w.spaces[n.name], "ovn0", ovn, n.name); err != nil {
			return err
		}
		if err := ovn.plug(n.name, "join"); err != nil {
			return err
		}
		if err := w.spaces[n.name].address("ovn0", n.join...); err != nil {
			return err
		}
	}
	return nil
}

// defaults sends everything unknown to the router. The host has no such route:
// it stands for one that speaks no BGP and has to be told by static routes.
func (w *wiring) defaults() error {
	towards := map[string][]string{outsideSpace: {torExt4, torExt6}}
	for _, n := range nodes() {
		towards[n.name] = []string{torLAN4, torLAN6}
	}
	for name, gateways := range towards {
		for _, gw := range gateways {
			r := route{to: defaultRoute(addrOf(gw).Is6()), via: []netip.Addr{addrOf(gw)}}
			if err := w.spaces[name].replaceRoute(r, routeProtocolStart); err != nil {
				return err
			}
		}
	}
	return nil
}

// returnTables fills the overlay's tables, one for each set of nodes, and makes
// the overlay's own networks win over them. They stand for OVN's reroute
// policies: 30000 for a node's own address, 29000 for a Pod's replies
// (pkg/controller/init.go, pkg/util/const.go).
func (w *wiring) returnTables() error {
	ovn := w.spaces[overlaySpace]
	for _, is6 := range []bool{false, true} {
		for _, n := range nodes() {
			own := ofFamily(n.lan, is6).Addr()
			r := route{to: netip.PrefixFrom(own, own.BitLen()), via: []netip.Addr{ofFamily(n.join, is6).Addr()}}
			if err := ovn.replaceRoute(r, routeProtocolStart); err != nil {
				return err
			}
		}
		for table := returnTableBase + 1; table < returnTableBase+1<<nodeCount; table++ {
			r := route{to: defaultRoute(is6), table: table}
			for _, n := range nodesOfTable(table) {
				r.via = append(r.via, ofFamily(n.join, is6).Addr())
			}
			if err := ovn.replaceRoute(r, routeProtocolStart); err != nil {
				return err
			}
		}
		own := netlink.NewRule()
		own.Family, own.Priority, own.Table, own.SuppressPrefixlen = family(is6), ownNetworksPriority, mainTable, 0
		if err := ovn.RuleAdd(own); err != nil {
			return err
		}
	}
	return nil
}

// mainTable is RT_TABLE_MAIN; the priorities are the lab's own, before the
// kernel's rule for the main table, 32766 (ip-rule(8)).
const (
	mainTable           = 254
	ownNetworksPriority = 1000
	returnPriority      = 2000
)

func defaultRoute(is6 bool) netip.Prefix {
	if is6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

func family(is6 bool) int {
	if is6 {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}

// shortName fits an object's name into the 15 bytes of a link's name
// (IFNAMSIZ), readable where it can be.
func shortName(kind, name string) string {
	if len(kind)+len(name) <= 15 && !strings.ContainsAny(name, "/ .:") {
		return kind + name
	}
	return kind + hashOf(name)
}
