package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// spread gives Pods with addresses one after the other, as Kube-OVN's IPAM gives them,
// on nodes as a scheduler spreads them.
func spread(pods, nodes int) []routes.Pod {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]routes.Pod, pods)
	a := netip.MustParseAddr("10.0.0.2")
	for i := range out {
		out[i] = routes.Pod{Name: fmt.Sprint("p", i), Node: fmt.Sprint("n", r.IntN(nodes)), Subnet: "blue", Addresses: []netip.Addr{a}}
		a = a.Next()
	}
	return out
}

// BenchmarkOnePod is what one node decides anew when one of its Pods goes or comes, of
// all those of a cluster; prefixes is how many it announces.
func BenchmarkOnePod(b *testing.B) {
	for _, size := range []struct{ pods, nodes int }{{5000, 10}, {100_000, 1000}, {100_000, 10}} {
		b.Run(fmt.Sprintf("of=%d/nodes=%d", size.pods, size.nodes), func(b *testing.B) {
			s := policy.Snapshot{
				Snapshot: routes.Snapshot{Settings: routes.DefaultSettings, Subnets: []*routes.Subnet{inModePods("blue", "10.0.0.0/12")}},
				Peers: []policy.Peer{{Name: "tor", LocalASN: 65001, SessionSettings: policy.SessionSettings{
					Address: netip.MustParseAddr("192.0.2.1"), PeerASN: 65000, Families: []policy.Family{policy.IPv4Unicast},
				}}},
			}
			for i := range size.nodes {
				s.Nodes = append(s.Nodes, routes.Node{Name: fmt.Sprint("n", i), Ready: true, Allocated: true})
			}
			all := spread(size.pods, size.nodes)
			s.Pods = routes.PodsOf(all...)
			var own []routes.Pod
			for _, p := range all {
				if p.Node == "n0" {
					own = append(own, p)
				}
			}
			planner, memory := policy.NewPlanner("n0"), policy.Memory{}
			decide := func() policy.Wish {
				plan := planner.Make(memory.Recall(s, begin))
				memory = memory.Remember(s, plan)
				return plan.Wish()
			}
			last := decide()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				one := own[i/2%len(own) : i/2%len(own)+1]
				if i%2 == 0 {
					s.Pods = s.Pods.Changed(one, nil)
				} else {
					s.Pods = s.Pods.Changed(nil, one)
				}
				now := decide()
				if routes.Diff(last.RIB, now.RIB).Empty() {
					b.Fatal("nothing changed")
				}
				last = now
			}
			b.ReportMetric(float64(len(last.RIB)), "prefixes")
		})
	}
}
