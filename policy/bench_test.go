package policy_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// tenThousand gives two nodes and ten thousand Subnets that both announce.
func tenThousand() policy.Snapshot {
	s := policy.Snapshot{
		Snapshot: routes.Snapshot{Settings: routes.DefaultSettings, At: begin},
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
	s.Subnets = routes.SubnetsByName(s.Subnets)
	return s
}

// BenchmarkMake10k plans for one of the nodes from nothing.
func BenchmarkMake10k(b *testing.B) {
	s := tenThousand()
	b.ReportAllocs()
	for b.Loop() {
		if got := len(policy.Make(s, "n1").Adverts); got != len(s.Subnets) {
			b.Fatalf("%d of %d are announced: %+v", got, len(s.Subnets), policy.Make(s, "n1").Withheld[:1])
		}
	}
}

// BenchmarkChangeOneOf10k changes one annotation of one Subnet at a time: all that a
// daemon's pass does from the new Snapshot to what is to be set and withdrawn. A pass
// that nothing changed for comes after it, as in a daemon.
func BenchmarkChangeOneOf10k(b *testing.B) {
	for name, change := range map[string]func(annotations map[string]string, i int){
		"med":       func(a map[string]string, i int) { a[routes.AnnotationMED] = fmt.Sprint(i % 100) },
		"advertise": func(a map[string]string, i int) { a[routes.AnnotationAdvertise] = fmt.Sprint(i%2 == 1) },
	} {
		b.Run(name, func(b *testing.B) {
			d := &planning{s: tenThousand(), planner: policy.NewPlanner("n1")}
			for range 3 {
				d.pass()
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				sub := *d.s.Subnets[i/2*7919%len(d.s.Subnets)]
				sub.Annotations = map[string]string{routes.AnnotationAdvertise: "true"}
				change(sub.Annotations, i)
				d.s.Subnets = slices.Clone(d.s.Subnets)
				d.s.Subnets[i/2*7919%len(d.s.Subnets)] = sub.Parsed()
				if c := d.pass(); len(c.Set)+len(c.Withdraw) != 1 {
					b.Fatalf("%d routes are set and %d withdrawn, not one", len(c.Set), len(c.Withdraw))
				}
				d.pass()
			}
		})
	}
}

// planning is what a daemon does to decide.
type planning struct {
	s       policy.Snapshot
	memory  policy.Memory
	planner *policy.Planner
	rib     routes.RIB
}

// pass gives what is to be set and withdrawn.
func (d *planning) pass() routes.Changes {
	s := d.memory.Recall(d.s, d.s.At)
	d.planner.SelectedCIDRs(s)
	d.planner.Translating(s)
	s.Live = &routes.Live{}
	plan := d.planner.Make(s)
	d.memory = d.memory.Remember(s, plan)
	c := routes.Diff(d.rib, plan.Wish().RIB)
	d.rib = plan.Wish().RIB
	return c
}
