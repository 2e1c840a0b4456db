package policy_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// BenchmarkMake10k plans for one of two nodes with ten thousand Subnets that it
// announces.
func BenchmarkMake10k(b *testing.B) {
	s := policy.Snapshot{
		Snapshot: routes.Snapshot{Settings: routes.DefaultSettings},
		Peers: []policy.Peer{{Name: "tor", LocalASN: 65001, SessionSettings: policy.SessionSettings{
			Address: netip.MustParseAddr("192.0.2.1"), PeerASN: 65000, Families: []policy.Family{policy.IPv4Unicast},
		}}},
	}
	for i := range 2 {
		s.Nodes = append(s.Nodes, routes.Node{Name: fmt.Sprintf("n%d", i+1), Ready: true, Allocated: true, InternalIPs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)})}})
	}
	for i := range 10000 {
		s.Subnets = append(s.Subnets, routes.Subnet{
			Name: fmt.Sprintf("s%d", i), Annotations: map[string]string{routes.AnnotationAdvertise: "true"},
			CIDRBlock: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24).String(),
			VPC:       routes.DefaultSettings.ClusterRouter, Provider: "ovn", GatewayType: "distributed", Validated: true, Ready: true,
		}.Parsed())
	}
	for b.Loop() {
		if got := len(policy.Make(s, "n1").Adverts); got != len(s.Subnets) {
			b.Fatalf("%d of %d are announced: %+v", got, len(s.Subnets), policy.Make(s, "n1").Withheld[:1])
		}
	}
}
