package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// A node's Pods become too many for one of two peers, and fewer again. That peer hears of
// the CIDR before the Pods are withdrawn, and of the Pods before the CIDR is; nothing is
// withdrawn from the other.
func TestPeerWithALimitIsNeverWithoutAWayToAPod(t *testing.T) {
	s, w, a, b := pair(t)
	cluster := policy.Snapshot{Snapshot: routes.Snapshot{
		Settings: routes.DefaultSettings,
		Nodes:    []routes.Node{{Name: "n1", Ready: true, Allocated: true}},
		Subnets: []*routes.Subnet{routes.Subnet{
			Name: "blue", CIDRBlock: "10.1.0.0/16", VPC: "ovn-cluster", Provider: "ovn", GatewayType: routes.Distributed, Validated: true, Ready: true,
			Annotations: map[string]string{routes.AnnotationAdvertise: "true", routes.AnnotationMode: "pods"},
		}.Parsed()},
	}}
	for _, session := range w.Sessions {
		cluster.Peers = append(cluster.Peers, policy.Peer{Name: session.Peer, LocalASN: session.LocalASN, SessionSettings: session.SessionSettings})
	}
	cluster.Peers[1].MaxPodPrefixes = 2
	hear := func(pods int) [][]string {
		var all []routes.Pod
		for i := range pods {
			all = append(all, routes.Pod{Node: "n1", Subnet: "blue", Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 1, 0, byte(2 * i)})}})
		}
		cluster.Pods = routes.PodsOf(all...)
		plan := policy.Make(cluster, "n1").Wish()
		w.RIB, w.Exports = plan.RIB, plan.Exports
		return syncAndHear(t, s, w, a, b)
	}
	hear(2)
	for _, step := range []struct {
		pods        int
		first, last string
	}{{3, "+10.1.0.0/16", "-10.1.0.2/32"}, {1, "+10.1.0.0/32", "-10.1.0.0/16"}} {
		got := hear(step.pods)
		if first, last := slices.Index(got[1], step.first), slices.Index(got[1], step.last); first < 0 || last < first {
			t.Errorf("with %d Pods %s hears %v, want %s before %s", step.pods, b.name, got[1], step.first, step.last)
		}
		for n := range step.pods {
			if pod := fmt.Sprintf("-10.1.0.%d/32", 2*n); slices.Contains(got[0], pod) || slices.Contains(got[0], "+10.1.0.0/16") {
				t.Errorf("with %d Pods %s hears %v", step.pods, a.name, got[0])
			}
		}
	}
}
