package enforce_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/enforce"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// BenchmarkPlanRepair is the thinking between reading rules and writing one.
func BenchmarkPlanRepair(b *testing.B) {
	n := node(b)
	n.RunWith(hosttest.KubeOVNSets, "ipset", "restore")
	n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
	n.RunWith(hosttest.KubeOVNRules, "iptables-nft-restore", "-n")
	n.RunWith(hosttest.KubeProxyPlain, "iptables-legacy-restore", "-n")
	facts := read(n)
	b.ResetTimer()
	for range b.N {
		host.PlanRepair(facts, want4(), host.Means{})
	}
}

// bans are so many rules of a chain that each name somebody, and a FORWARD that drops.
func bans(chain string, many int) string {
	var rules strings.Builder
	rules.WriteString("*filter\n:FORWARD DROP\n")
	for i := range many {
		fmt.Fprintf(&rules, "-A %s -s 198.18.%d.%d/32 -j DROP\n", chain, i/250, i%250)
	}
	return rules.String() + "COMMIT\n"
}

// BenchmarkPlanBehindManyRules has a drop behind 20,000 rules that name somebody.
func BenchmarkPlanBehindManyRules(b *testing.B) {
	n := node(b)
	n.RunWith(bans("FORWARD", 20000), "iptables-nft-restore")
	facts := read(n)
	b.ResetTimer()
	for range b.N {
		host.PlanRepair(facts, want4(), host.Means{})
	}
}

// BenchmarkLook is a look at 40,000 rules that are as they were.
func BenchmarkLook(b *testing.B) {
	for _, whole := range []bool{false, true} {
		b.Run(fmt.Sprint("whole=", whole), func(b *testing.B) {
			n := node(b)
			n.RunWith(bans("INPUT", 40000), "iptables-legacy-restore")
			e := enforce.Enforcer{State: b.TempDir()}
			enforced(b, n, e, want4())
			look := e.EnforceFilter
			if whole {
				look = e.Enforce
			}
			b.ResetTimer()
			for range b.N {
				if err := n.Do(func() error { _, err := look(context.Background(), want4()); return err }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPlanBesideManyRules has 40,000 rules that name somebody where no forwarded
// packet comes.
func BenchmarkPlanBesideManyRules(b *testing.B) {
	n := node(b)
	n.RunWith(bans("INPUT", 40000), "iptables-legacy-restore")
	facts := read(n)
	b.ResetTimer()
	for range b.N {
		host.PlanRepair(facts, want4(), host.Means{})
	}
}

// BenchmarkPlanWithManyNames has 40,000 rules that name somebody where hardly a packet
// comes: each of them is asked about, until the budget is spent.
func BenchmarkPlanWithManyNames(b *testing.B) {
	n := node(b)
	rules := strings.Replace(bans("BANS", 40000), ":FORWARD DROP", ":FORWARD DROP\n:BANS - [0:0]\n-A FORWARD -s 203.0.113.1/32 -j BANS", 1)
	n.RunWith(rules, "iptables-legacy-restore")
	facts := read(n)
	b.ResetTimer()
	for range b.N {
		host.PlanRepair(facts, want4(), host.Means{})
	}
}
