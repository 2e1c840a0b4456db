package chaos

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// table is what a router has: the next hops of each prefix, sorted.
type table map[netip.Prefix][]netip.Addr

// String is one line for each prefix.
func (t table) String() string {
	var b strings.Builder
	for _, p := range slices.SortedFunc(maps.Keys(t), netip.Prefix.Compare) {
		fmt.Fprintf(&b, "  %s by %v\n", p, t[p])
	}
	return b.String()
}

func (t table) equal(u table) bool {
	return maps.EqualFunc(t, u, slices.Equal[[]netip.Addr])
}

// both gives the next hops that are in both tables.
func (t table) both(u table) table {
	out := table{}
	for p, hops := range t {
		for _, hop := range hops {
			if slices.Contains(u[p], hop) {
				out[p] = append(out[p], hop)
			}
		}
	}
	return out
}

// without gives the table without some nodes' next hops.
func (t table) without(nodes ...string) table {
	out := table{}
	for p, hops := range t {
		kept := slices.DeleteFunc(slices.Clone(hops), func(hop netip.Addr) bool {
			return slices.ContainsFunc(nodes, func(n string) bool { return hop == addressOf(n, hop.Is6()) })
		})
		if len(kept) > 0 {
			out[p] = kept
		}
	}
	return out
}

// model is what the cluster's files say that are in force, and what is broken. Who
// announces what follows from it.
type model struct {
	subnets map[string]subnet
	// notReady and drained name a node, or are "".
	notReady, drained string
	// cut are the nodes from which the router hears nothing: no daemon, no link, no
	// packets. blind are those without their link into the overlay, lost those that
	// lack the route to one prefix alone.
	cut, blind map[string]bool
	lost       map[string]netip.Prefix
	// routerDown: nobody is there to learn anything.
	routerDown bool
}

// subnet is one Subnet.
type subnet struct {
	cidrs          []netip.Prefix
	advertise, nat bool
	// gateways are those of a centralized Subnet; a distributed one has none.
	gateways []string
	ecmp     bool
}

// String is what there is to know of it.
func (s subnet) String() string {
	return fmt.Sprintf("%v, advertise %t, NAT %t, gateways %v with ECMP %t", s.cidrs, s.advertise, s.nat, s.gateways, s.ecmp)
}

// beacon is the Subnet that is announced or not so that it can be seen that every
// daemon has read the files.
const beacon = "beacon"

func nodeNames() []string { return []string{"n1", "n2", "n3"} }

// addressOf is a node's address in the lab's LAN.
func addressOf(node string, is6 bool) netip.Addr {
	part := 10 + int(node[1]-'0')
	if is6 {
		return netip.MustParseAddr(fmt.Sprintf("fd00:30::%d", part))
	}
	return netip.MustParseAddr(fmt.Sprintf("172.30.0.%d", part))
}

// newModel is the cluster that a run begins with.
func newModel() *model {
	m := &model{subnets: map[string]subnet{}, cut: map[string]bool{}, blind: map[string]bool{}, lost: map[string]netip.Prefix{}}
	m.subnets["routed"] = subnet{cidrs: []netip.Prefix{netip.MustParsePrefix("10.166.0.0/16"), netip.MustParsePrefix("fd00:10:166::/64")}, advertise: true}
	m.subnets["nat"] = subnet{cidrs: []netip.Prefix{netip.MustParsePrefix("10.167.0.0/16")}, advertise: true, nat: true}
	m.subnets[beacon] = subnet{cidrs: cidrsOf(0)}
	for i, gateways := range [][]string{nil, {"n1", "n2"}, {"n2", "n3"}} {
		m.subnets[nameOf(i+1)] = subnet{cidrs: cidrsOf(i + 1), advertise: true, gateways: gateways, ecmp: i == 2}
	}
	return m
}

// mostSubnets is how many Subnets a run makes and removes.
const mostSubnets = 6

func nameOf(i int) string { return fmt.Sprintf("s%d", i) }

// cidrsOf are the networks of a numbered Subnet, of both families or one.
func cidrsOf(i int) []netip.Prefix {
	both := []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", 200+i)), netip.MustParsePrefix(fmt.Sprintf("fd00:10:%d::/64", 200+i))}
	if i%3 == 2 {
		return both[i%2 : i%2+1]
	}
	return both
}

// planned are the nodes whose plan has a Subnet. A node that is not Ready leaves it
// to the others, of which there are some at all times; a drained one does so too,
// but goes on being the active gateway for Kube-OVN, which knows of no drain.
func (m *model) planned(s subnet) []string {
	if !s.advertise || s.nat {
		return nil
	}
	nodes := nodeNames()
	if s.gateways != nil {
		nodes = slices.DeleteFunc(slices.Clone(s.gateways), func(n string) bool { return n == m.notReady })
		if !s.ecmp {
			nodes = nodes[:1]
		}
		slices.Sort(nodes)
	}
	return slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == m.notReady || n == m.drained })
}

// wanted is the table that the router is to have: what is planned, by the nodes that
// can carry it and are heard.
func (m *model) wanted() table {
	t := table{}
	if m.routerDown {
		return t
	}
	for _, s := range m.subnets {
		for _, p := range s.cidrs {
			for _, n := range m.planned(s) {
				if !m.cut[n] && !m.blind[n] && m.lost[n] != p {
					t[p] = append(t[p], addressOf(n, p.Addr().Is6()))
				}
			}
		}
	}
	return t
}

// names are the Subnets that a step may choose from, sorted: what is drawn must not
// depend on a map's order.
func (m *model) names(which func(subnet) bool) []string {
	var out []string
	for name, s := range m.subnets {
		if name != beacon && name != "nat" && which(s) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// text is the file of a Subnet.
func (s subnet) text(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata:\n  name: %s\n", name)
	fmt.Fprintf(&b, "  annotations:\n    fairway.dev/advertise: \"%t\"\n", s.advertise)
	var cidrs []string
	for _, p := range s.cidrs {
		cidrs = append(cidrs, p.String())
	}
	fmt.Fprintf(&b, "spec:\n  cidrBlock: %s\n", strings.Join(cidrs, ","))
	if s.gateways == nil {
		b.WriteString("  gatewayType: distributed\n")
	} else {
		fmt.Fprintf(&b, "  gatewayType: centralized\n  gatewayNode: %s\n  enableEcmp: %t\n", strings.Join(s.gateways, ","), s.ecmp)
	}
	fmt.Fprintf(&b, "  natOutgoing: %t\n", s.nat)
	return b.String()
}

// nodesText is the file of the Nodes.
func (m *model) nodesText() string {
	var docs []string
	for i, n := range nodeNames() {
		drain, ready := "", "True"
		if n == m.drained {
			drain = "    fairway.dev/drain: \"true\"\n"
		}
		if n == m.notReady {
			ready = "Unknown"
		}
		docs = append(docs, fmt.Sprintf(`apiVersion: v1
kind: Node
metadata:
  name: %s
  annotations:
%s    ovn.kubernetes.io/allocated: "true"
    ovn.kubernetes.io/ip_address: 100.64.0.%[3]d,fd00:100:64::%[3]d
    ovn.kubernetes.io/gateway: 100.64.0.1,fd00:100:64::1
status:
  addresses:
  - {type: InternalIP, address: %s}
  - {type: InternalIP, address: "%s"}
  conditions:
  - {type: Ready, status: "%s"}
`, n, drain, 11+i, addressOf(n, false), addressOf(n, true), ready))
	}
	return strings.Join(docs, "---\n")
}

// peersText is the file of the BGPPeers: the router, with a hold time that a test has
// patience for, and one that never comes, for which the daemons open port 179.
const peersText = `apiVersion: fairway.dev/v1alpha1
kind: BGPPeer
metadata: {name: tor}
spec: {peerAddress: 172.30.0.1, peerASN: 65000, localASN: 65001, holdTime: 9s, keepaliveTime: 3s, connectRetryTime: 1s}
---
apiVersion: fairway.dev/v1alpha1
kind: BGPPeer
metadata: {name: silent}
spec: {peerAddress: 172.30.0.50, peerASN: 65050, localASN: 65001, passive: true}
`
