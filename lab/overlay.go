package lab

import (
	"net/netip"
	"slices"
	"strings"
)

// overlay is what the agents make of a cluster.
type overlay struct {
	// cidrs are the Subnets' CIDRs; every node routes them to ovn0
	// (pkg/daemon/controller_linux.go, reconcileRouters).
	cidrs []netip.Prefix
	// masqueraded are the CIDRs whose connections leave a node under the node's
	// address (natOutgoing).
	masqueraded []netip.Prefix
	// switches are the logical switches, one a Subnet.
	switches []logicalSwitch
	pods     []pod
	// returns say by which nodes packets from a source leave the overlay. The
	// longest prefix counts.
	returns []returnPath
}

// logicalSwitch is a Subnet's network with the logical router's addresses.
type logicalSwitch struct {
	name     string
	gateways []netip.Prefix
}

// returnPath is one reroute policy of OVN: a source and a returnTable.
type returnPath struct {
	from  netip.Prefix
	table int
}

// overlayOf decides; it looks at nothing but its argument.
func overlayOf(c cluster) overlay {
	var o overlay
	for _, s := range c.subnets {
		o.cidrs = append(o.cidrs, s.cidrs...)
		if s.nat {
			o.masqueraded = append(o.masqueraded, s.cidrs...)
		}
		sw := logicalSwitch{name: s.name}
		for _, cidr := range s.cidrs {
			sw.gateways = append(sw.gateways, netip.PrefixFrom(cidr.Addr().Next(), cidr.Bits()))
		}
		o.switches = append(o.switches, sw)
		o.returns = append(o.returns, returnsOf(s, c)...)
	}
	for _, p := range c.pods {
		if p.node != "" && slices.ContainsFunc(c.subnets, func(s subnet) bool { return s.name == p.subnet }) {
			o.pods = append(o.pods, p)
		}
	}
	slices.SortFunc(o.cidrs, netip.Prefix.Compare)
	o.cidrs = slices.Compact(o.cidrs)
	return o
}

// returnsOf is the Subnet's return path: by each Pod's own node where it is
// distributed, by the active gateways for the whole CIDR where it is
// centralized (pkg/controller/subnet.go, reconcileOvnDefaultVpcRoute).
func returnsOf(s subnet, c cluster) []returnPath {
	var out []returnPath
	if s.centralized {
		table := returnTable(activeGateways(s, c.nodes))
		for _, cidr := range s.cidrs {
			if table != 0 {
				out = append(out, returnPath{cidr, table})
			}
		}
		return out
	}
	for _, p := range c.pods {
		table := returnTable([]string{p.node})
		if p.subnet != s.name || table == 0 {
			continue
		}
		for _, a := range p.addrs {
			out = append(out, returnPath{netip.PrefixFrom(a, a.BitLen()), table})
		}
	}
	return out
}

// activeGateways are the nodes that carry a centralized Subnet's replies: all
// ready gateways with ECMP; else the one that the controller's status names, or
// the first that is ready.
func activeGateways(s subnet, known []node) []string {
	if s.active != "" && !s.ecmp {
		return []string{s.active}
	}
	names := s.gateways
	if len(names) == 0 {
		for _, n := range known {
			if n.matches(s.selectors) {
				names = append(names, n.name)
			}
		}
	}
	ready := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		i := slices.IndexFunc(known, func(n node) bool { return n.name == name })
		return i < 0 || !known[i].ready
	})
	if !s.ecmp && len(ready) > 1 {
		ready = ready[:1]
	}
	return ready
}

// linkName is the switch's bridge in the overlay's namespace.
func (s logicalSwitch) linkName() string { return shortName("ls-", s.name) }

// spaceName is the Pod's namespace, without the lab's prefix.
func (p pod) spaceName() string { return podSpace + strings.ReplaceAll(p.name, "/", "-") }

// portName is the Pod's end of the cable in the overlay's namespace.
func (p pod) portName() string { return shortName("p-", p.name) }

func (p pod) equal(q pod) bool {
	return p.name == q.name && p.node == q.node && p.subnet == q.subnet && slices.Equal(p.addrs, q.addrs)
}
