package routes

import (
	"fmt"
	"slices"
	"strings"
)

// Gateway types (pkg/apis/kubeovn/v1/subnet.go).
const (
	Distributed = "distributed"
	Centralized = "centralized"
)

// ParseGatewayNodes gives the node names of spec.gatewayNode, in order, each
// once. "n1,n2", "n1:ip,n2:ip" and mixtures are allowed; the address, which may
// be IPv6, is an SNAT source and never a next hop, so the name ends at the first
// colon (pkg/util/strings.go).
func ParseGatewayNodes(s string) []string {
	var names []string
	for _, item := range strings.Split(s, ",") {
		name, _, _ := strings.Cut(item, ":")
		name = strings.TrimSpace(name)
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Gateways gives the names of a centralized Subnet's gateways: those of
// spec.gatewayNode, whether such Nodes exist or not, else the Nodes that
// spec.gatewayNodeSelectors select, sorted.
func Gateways(s *Subnet, nodes []Node) []string {
	if names := ParseGatewayNodes(s.GatewayNode); len(names) > 0 {
		return names
	}
	var names []string
	for i := range nodes {
		if slices.ContainsFunc(s.GatewayNodeSelectors, func(sel Selector) bool { return sel.Matches(nodes[i].Labels) }) {
			names = append(names, nodes[i].Name)
		}
	}
	slices.Sort(names)
	return names
}

// Usable reports whether Kube-OVN would let the node be a gateway
// (pkg/controller/node.go: Ready and not NetworkUnavailable).
func (n *Node) Usable() bool { return n.Ready && !n.NetworkUnavailable }

// carriage is the answer to "does this node carry this Subnet now, and as
// what?". Reason is empty where it does.
type carriage struct {
	role   Role
	reason Reason
	detail string
}

// carriage follows Kube-OVN's gateway semantics. gatewayNode, enableEcmp and
// status.activateGateway are left-overs on a distributed Subnet.
func (c *Case) carriage() carriage {
	switch {
	case c.Tuning.Mode == ModePods:
		// Inbound goes straight to the hosting node; the gateway only matters for
		// the way back.
		return carriage{role: RolePod}
	case c.Subnet.GatewayType == Distributed:
		return carriage{role: RoleDistributed}
	case c.Subnet.EnableECMP:
		return c.carriageECMP()
	}
	return c.carriageSingle()
}

// carriageECMP computes ready ∩ list: with ECMP status.activateGateway may be
// stale (pkg/controller/subnet.go).
func (c *Case) carriageECMP() carriage {
	gateways := Gateways(c.Subnet, c.Snapshot.Nodes)
	if !slices.Contains(gateways, c.Node.Name) {
		return carriage{reason: NotGateway, detail: notOneOf(gateways)}
	}
	if c.Node.Usable() {
		return carriage{role: RoleECMP}
	}
	others := slices.DeleteFunc(slices.Clone(gateways), func(name string) bool {
		return !slices.ContainsFunc(c.Snapshot.Nodes, func(n Node) bool { return n.Name == name && n.Usable() })
	})
	if len(others) == 0 {
		return carriage{reason: NoActiveGateway, detail: "none of the gateways " + strings.Join(gateways, ", ") + " is known to be Ready"}
	}
	return carriage{reason: NotGateway, detail: fmt.Sprintf("%s is not Ready; carried by %s", c.Node.Name, strings.Join(others, ", "))}
}

// carriageSingle follows status.activateGateway, which is OVN's truth for
// centralized without ECMP, sticky and without fail-back.
func (c *Case) carriageSingle() carriage {
	active := c.Subnet.ActiveGateway
	gateways := Gateways(c.Subnet, c.Snapshot.Nodes)
	switch {
	case active == c.Node.Name:
		return carriage{role: RoleActive}
	case !slices.Contains(gateways, c.Node.Name):
		return carriage{reason: NotGateway, detail: notOneOf(gateways)}
	case active == "":
		return carriage{reason: NoActiveGateway, detail: "status.activateGateway is empty: Kube-OVN has none of " + strings.Join(gateways, ", ") + " active"}
	case c.Tuning.Standby:
		return carriage{role: RoleStandby}
	}
	return carriage{reason: NotGateway, detail: "the active gateway is " + active}
}

// CarriesReplies reports whether replies of the CIDR's Pods may leave the overlay
// by the node: by the Pods' own where the Subnet is distributed, by any gateway
// with ECMP, else by the active one. What Fairway announces, and whether the
// node is Ready for it, does not change that. In mode pods a distributed Subnet
// concerns the nodes that have Pods of it.
func (c *Case) CarriesReplies() bool {
	switch {
	case c.Subnet.GatewayType == Distributed:
		return len(c.Prefixes()) > 0
	case c.Subnet.EnableECMP:
		return slices.Contains(Gateways(c.Subnet, c.Snapshot.Nodes), c.Node.Name)
	}
	return c.Subnet.ActiveGateway == c.Node.Name
}

// notOneOf is true as well where only this node is known, as in a daemon.
func notOneOf(gateways []string) string {
	if len(gateways) == 0 {
		return "centralized, and neither gatewayNode nor gatewayNodeSelectors name this node"
	}
	return "this node is not one of the gateways " + strings.Join(gateways, ", ")
}
