// Package policytest has what tests of several rooms plan for.
package policytest

import (
	"net/netip"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// Cluster is a Snapshot with two Nodes and one BGPPeer for both.
func Cluster(subnets ...*routes.Subnet) policy.Snapshot {
	var s policy.Snapshot
	s.Settings = routes.DefaultSettings
	s.Nodes = []routes.Node{{Name: "n1", Ready: true, Allocated: true}, {Name: "n2", Ready: true, Allocated: true}}
	s.Subnets = subnets
	s.Peers = []policy.Peer{{Name: "tor", LocalASN: 65000, SessionSettings: policy.SessionSettings{
		Address: netip.MustParseAddr("192.0.2.254"), PeerASN: 64512, Families: []policy.Family{policy.IPv4Unicast},
	}}}
	return s
}

// Distributed is a Subnet that Kube-OVN has finished and whose annotations ask for
// its announcement; more annotations follow, each name before its value.
func Distributed(name, cidr string, annotations ...string) *routes.Subnet {
	s := routes.Subnet{
		Name: name, CIDRBlock: cidr, VPC: "ovn-cluster", Provider: "ovn", GatewayType: routes.Distributed, Validated: true, Ready: true,
		Annotations: map[string]string{routes.AnnotationAdvertise: "true"},
	}
	for i := 0; i+1 < len(annotations); i += 2 {
		s.Annotations[annotations[i]] = annotations[i+1]
	}
	return s.Parsed()
}
