package enforce_test

import (
	"testing"

	"github.com/fairway-bgp/fairway/host"
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
