package files

import (
	"reflect"
	"slices"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// snapshotOfFiles makes the Snapshot of objects that no controller has seen.
func snapshotOfFiles(values objects.Good, settings routes.Settings) policy.Snapshot {
	d := values.Lists()
	subnets, nodes := fillIn(d.Subnets, d.Nodes, settings)
	d.Subnets, d.Nodes = nil, nil
	s := d.Snapshot(settings)
	s.Subnets, s.Nodes = subnets, nodes
	return s
}

// fillIn gives Subnets and Nodes of files as Kube-OVN's controller and the
// kubelet would have left them. What has a status is taken as it is: a
// controller has been there. The join Subnet is Kube-OVN's own and stays too.
// Both lists must be sorted by name.
func fillIn(subnets []*objects.Subnet, nodes []objects.Node, settings routes.Settings) ([]*routes.Subnet, []routes.Node) {
	var filledNodes []routes.Node
	for _, n := range nodes {
		// Nobody watches a Node that is written by hand.
		n.Ready = n.Ready || !n.Reported
		n.Allocated = n.Allocated || !n.Judged
		filledNodes = append(filledNodes, n.Node)
	}
	filled := slices.Grow([]*routes.Subnet(nil), len(subnets))
	for _, given := range subnets {
		s := &given.Subnet
		if !given.Formatted && s.Name != settings.NodeSwitch {
			formatted := *s
			s = &formatted
			format(s, filledNodes, settings)
		}
		filled = append(filled, s)
	}
	return filled, filledNodes
}

// format does what the controller does with a new Subnet
// (pkg/controller/subnet.go, formatSubnet and reconcileOvnDefaultVpcRoute).
func format(s *routes.Subnet, nodes []routes.Node, settings routes.Settings) {
	if s.VPC == "" {
		s.VPC = settings.ClusterRouter
	}
	if s.Provider == "" {
		s.Provider = "ovn"
	}
	if s.GatewayType == "" {
		s.GatewayType = routes.Distributed
	}
	s.Validated, s.Ready, s.Unjudged = true, true, false
	if s.GatewayType == routes.Centralized && !s.EnableECMP && s.ActiveGateway == "" {
		s.ActiveGateway = firstUsable(routes.Gateways(s, nodes), nodes)
	}
}

// sharing gives Subnets with those of a list before in the place of those that are the
// same. Both are sorted by name.
func sharing(subnets, before []*routes.Subnet) []*routes.Subnet {
	for i, s := range subnets {
		for len(before) > 0 && before[0].Name < s.Name {
			before = before[1:]
		}
		if len(before) > 0 && (before[0] == s || reflect.DeepEqual(before[0], s)) {
			subnets[i] = before[0]
		}
	}
	return subnets
}

// firstUsable gives the first gateway that could be active, or "". Without any
// Node in the input, the names are all that is known, and count.
func firstUsable(gateways []string, nodes []routes.Node) string {
	for _, g := range gateways {
		if len(nodes) == 0 || slices.ContainsFunc(nodes, func(n routes.Node) bool { return n.Name == g && n.Usable() }) {
			return g
		}
	}
	return ""
}
