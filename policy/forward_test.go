package policy_test

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// TestForwards: what a node must let through does not end with what it
// announces.
func TestForwards(t *testing.T) {
	const cidr, asymmetricCIDR = "10.1.0.0/16", "10.1.0.0/16 asymmetric"
	type change struct {
		node   func(*routes.Node)
		subnet func(*routes.Subnet)
		peer   func(*policy.Peer)
		pods   []routes.Pod
	}
	centralized := func(active string) func(*routes.Subnet) {
		return func(s *routes.Subnet) {
			s.GatewayType, s.GatewayNode, s.ActiveGateway = routes.Centralized, "n1,n2", active
		}
	}
	with := func(key, value string, more func(*routes.Subnet)) func(*routes.Subnet) {
		return func(s *routes.Subnet) { more(s); s.Annotations[key] = value }
	}
	same := func(*routes.Subnet) {}
	pod := routes.Pod{Subnet: "blue", Node: "n1", Addresses: []netip.Addr{netip.MustParseAddr("10.1.0.7")}}
	for name, c := range map[string]struct {
		change
		want []string
	}{
		"distributed":             {change{}, []string{asymmetricCIDR}},
		"the active gateway":      {change{subnet: centralized("n1")}, []string{cidr}},
		"not the active gateway":  {change{subnet: centralized("n2")}, nil},
		"the standby":             {change{subnet: with(routes.AnnotationStandby, "true", centralized("n2"))}, []string{cidr}},
		"one of several gateways": {change{subnet: func(s *routes.Subnet) { centralized("n2")(s); s.EnableECMP = true }}, []string{asymmetricCIDR}},
		"a VIP that another node may have": {
			change{subnet: with(routes.AnnotationNextHop, "192.0.2.99", centralized("n1"))}, []string{asymmetricCIDR}},
		"drained, and its Pods still answer": {
			change{node: func(n *routes.Node) { n.Annotations = map[string]string{routes.AnnotationDrain: "true"} }}, []string{asymmetricCIDR}},
		"not Ready, and its Pods still answer": {change{node: func(n *routes.Node) { n.Ready = false }}, []string{asymmetricCIDR}},
		"no BGPPeer selects it, but other nodes": {
			change{peer: func(p *policy.Peer) { p.Nodes = routes.Selector{MatchLabels: map[string]string{"rack": "b"}} }}, []string{asymmetricCIDR}},
		"a BGPPeer for other nodes that cannot carry the family": {
			change{peer: func(p *policy.Peer) {
				p.Nodes, p.Families = routes.Selector{MatchLabels: map[string]string{"rack": "b"}}, []policy.Family{policy.IPv6Unicast}
			}}, nil},
		"asked for is a BGPPeer that is not there": {change{subnet: with(routes.AnnotationPeers, "gone", same)}, nil},
		"with NAT":                {change{subnet: func(s *routes.Subnet) { s.NATOutgoing = true }}, nil},
		"mode pods without a Pod": {change{subnet: with(routes.AnnotationMode, "pods", same)}, nil},
		"mode pods, requests and replies by the Pod's node": {
			change{subnet: with(routes.AnnotationMode, "pods", same), pods: []routes.Pod{pod}}, []string{cidr}},
		"mode pods, replies leave by the gateway": {
			change{subnet: with(routes.AnnotationMode, "pods", centralized("n2")), pods: []routes.Pod{pod}}, []string{asymmetricCIDR}},
		"mode pods, the gateway has no Pod and carries the replies": {
			change{subnet: with(routes.AnnotationMode, "pods", centralized("n1"))}, []string{asymmetricCIDR}},
	} {
		s := policy.Snapshot{
			Snapshot: routes.Snapshot{
				Settings: routes.DefaultSettings, Pods: routes.PodsOf(c.pods...),
				Nodes: []routes.Node{{Name: "n1", Ready: true, Allocated: true, InternalIPs: []netip.Addr{netip.MustParseAddr("192.0.2.11")}}},
				Subnets: []*routes.Subnet{{
					Name: "blue", Annotations: map[string]string{routes.AnnotationAdvertise: "true"}, CIDRBlock: cidr,
					VPC: routes.DefaultSettings.ClusterRouter, Provider: "ovn", GatewayType: routes.Distributed, Validated: true, Ready: true,
				}},
			},
			Peers: []policy.Peer{{Name: "tor", LocalASN: 65001, SessionSettings: policy.SessionSettings{
				Address: netip.MustParseAddr("192.0.2.1"), PeerASN: 65000, Families: []policy.Family{policy.IPv4Unicast},
			}}},
		}
		if c.node != nil {
			c.node(&s.Nodes[0])
		}
		if c.subnet != nil {
			c.subnet(s.Subnets[0])
		}
		s.Subnets[0] = s.Subnets[0].Parsed()
		if c.peer != nil {
			c.peer(&s.Peers[0])
		}
		var got []string
		for _, f := range policy.Make(s, "n1").Forwards {
			text := f.Prefix.String()
			if f.Asymmetric {
				text += " asymmetric"
			}
			got = append(got, text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: forwards %v, want %v", name, got, c.want)
		}
	}
}

func TestWhatIsAnnouncedIsForwarded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshotGen().Draw(t, "snapshot")
		for _, n := range s.Nodes {
			plan := policy.Make(s, n.Name)
			for _, a := range plan.Adverts {
				if !slices.ContainsFunc(plan.Forwards, func(f policy.Forward) bool { return f.Subnet == a.Subnet && f.Prefix.Overlaps(a.Prefix) }) {
					t.Fatalf("%s announces %s and forwards %v", n.Name, a.Prefix, plan.Forwards)
				}
			}
		}
	})
}
