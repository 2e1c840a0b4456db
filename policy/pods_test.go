package policy_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// apart gives so many Pods of a Subnet on n1, of which no two addresses make one prefix.
func apart(n int, subnet string) []routes.Pod {
	pods := make([]routes.Pod, n)
	for i := range pods {
		pods[i] = routes.Pod{Name: fmt.Sprint("p", i), Node: "n1", Subnet: subnet,
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 1, byte(i >> 7), byte(i << 1)})}}
	}
	return pods
}

// podCluster has a Subnet in mode pods and two BGPPeers, of which one takes no more than
// most prefixes of it.
func podCluster(t *testing.T, most uint32) policy.Snapshot {
	s := tell(t).s
	s.Subnets = []*routes.Subnet{inModePods("blue", "10.1.0.0/16")}
	small := s.Peers[0]
	small.Name, small.Address, small.MaxPodPrefixes = "small", netip.MustParseAddr("172.30.0.2"), most
	s.Peers = append(s.Peers, small)
	return s
}

func inModePods(name, cidr string) *routes.Subnet {
	s := subnetOf(name, cidr)
	s.Annotations[routes.AnnotationMode] = string(routes.ModePods)
	return s.Parsed()
}

// sentBy gives what each peer gets by the plan's wish, as the speaker reads it.
func sentBy(p policy.Plan) map[string][]netip.Prefix {
	out := map[string][]netip.Prefix{}
	w := p.Wish()
	for _, r := range w.RIB {
		for _, e := range w.Exports {
			if e.Class == r.Class {
				out[e.Peer] = append(out[e.Peer], r.Prefix)
			}
		}
	}
	return out
}

func TestAPodMoreOrLessAtTheLimitDoesNotChangeWhatThePeerHas(t *testing.T) {
	s := podCluster(t, 20)
	var memory policy.Memory
	for _, step := range []struct {
		pods  int
		whole bool
	}{{19, false}, {20, false}, {21, true}, {20, true}, {21, true}, {19, true}, {18, false}, {20, false}, {500, true}, {19, true}, {0, false}, {19, false}} {
		s.Pods = routes.PodsOf(apart(step.pods, "blue")...)
		plan := policy.Make(memory.Recall(s, time.Time{}), "n1")
		memory = memory.Remember(s, plan)
		all, small := sentBy(plan)["tor"], sentBy(plan)["small"]
		want := step.pods
		if step.whole {
			want = 1
		}
		if len(all) != step.pods || len(small) != want || step.whole != (fmt.Sprint(small) == "[10.1.0.0/16]") {
			t.Errorf("with %d Pods tor gets %d prefixes and small %v", step.pods, len(all), small)
		}
		warned := strings.Contains(fmt.Sprint(plan.Warnings), string(routes.PodPrefixLimit))
		if warned != step.whole {
			t.Errorf("with %d Pods warnings are %v", step.pods, plan.Warnings)
		}
	}
}

// A bound for one peer changes nothing of what another gets, and a peer that gets the
// CIDR for one Subnet gets the Pods of another.
func TestALimitConcernsOnePeerAndOneSubnet(t *testing.T) {
	s := podCluster(t, 3)
	s.Subnets = append(s.Subnets, inModePods("red", "10.2.0.0/16"))
	s.Pods = routes.PodsOf(append(apart(4, "blue"), routes.Pod{Name: "r", Node: "n1", Subnet: "red", Addresses: []netip.Addr{netip.MustParseAddr("10.2.0.1")}})...)
	got := sentBy(policy.Make(s, "n1"))
	if len(got["tor"]) != 5 || len(got["small"]) != 2 {
		t.Errorf("%v", got)
	}
	for peer := range got {
		for _, p := range got[peer] {
			if whole := p == s.Subnets[0].CIDRs[0]; whole && peer != "small" {
				t.Errorf("%s gets %s", peer, p)
			}
		}
	}
}

// Whatever comes and goes, each peer has a way to each Pod, and none has more prefixes of
// a CIDR than it takes.
func TestEachPeerReachesEachPodWithinItsLimit(t *testing.T) {
	cluster := podCluster(t, 0)
	rapid.Check(t, func(t *rapid.T) {
		s, most := cluster, rapid.IntRange(1, 12).Draw(t, "limit")
		s.Peers = slices.Clone(s.Peers)
		s.Peers[1].MaxPodPrefixes = uint32(most)
		var memory policy.Memory
		var pods []routes.Pod
		planner := policy.NewPlanner("n1")
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			before := pods
			pods = nil
			for i, h := range rapid.SliceOfN(rapid.IntRange(0, 40), 0, 30).Draw(t, "hosts") {
				pods = append(pods, routes.Pod{Name: fmt.Sprint("p", i), Node: "n1", Subnet: "blue", Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 1, 0, byte(h)})}})
			}
			s.Pods = s.Pods.Changed(before, pods)
			plan := planner.Make(memory.Recall(s, time.Time{}))
			if fresh := policy.Make(memory.Recall(s, time.Time{}), "n1"); asJSON(plan) != asJSON(fresh) || !reflect.DeepEqual(plan.Wish(), fresh.Wish()) {
				t.Fatalf("carried on: %s\nfrom nothing: %s", asJSON(plan), asJSON(fresh))
			}
			memory = memory.Remember(s, plan)
			got := sentBy(plan)
			if len(got["small"]) > most {
				t.Fatalf("%d prefixes for a peer that takes %d", len(got["small"]), most)
			}
			for _, p := range pods {
				for _, peer := range []string{"tor", "small"} {
					checkReached(t, got[peer], p.Addresses[0], peer)
				}
			}
		}
	})
}

func checkReached(t *rapid.T, by []netip.Prefix, addr netip.Addr, peer string) {
	n := 0
	for _, p := range by {
		if p.Contains(addr) {
			n++
		}
	}
	if n != 1 {
		t.Fatalf("%s has %d ways to %s: %v", peer, n, addr, by)
	}
}

// As a Pod goes from one node to another with its address, the decision follows the
// objects at once: the node that it left withdraws in the pass that sees it gone.
func TestAPodThatMovesHasOneAnnouncer(t *testing.T) {
	s := podCluster(t, 0)
	moving := func(node string) []routes.Pod {
		return []routes.Pod{{Name: "db-0", Node: node, Subnet: "blue", Addresses: []netip.Addr{netip.MustParseAddr("10.1.0.7")}}}
	}
	memory := map[string]policy.Memory{}
	announcers := func(pods routes.Pods) (out string) {
		s.Pods = pods
		for _, node := range []string{"n1", "n2"} {
			plan := policy.Make(memory[node].Recall(s, begin), node)
			memory[node] = memory[node].Remember(s, plan)
			if len(plan.Adverts) > 0 {
				out += node
			}
			if !plan.Next.IsZero() {
				t.Errorf("%s waits until %s", node, plan.Next)
			}
		}
		return out
	}
	before := routes.PodsOf(moving("n1")...)
	gone := before.Changed(moving("n1"), nil)
	for i, step := range []struct {
		pods routes.Pods
		want string
	}{{before, "n1"}, {gone, ""}, {gone.Changed(nil, moving("n2")), "n2"}, {before.Changed(moving("n1"), moving("n2")), "n2"}} {
		if got := announcers(step.pods); got != step.want {
			t.Errorf("step %d: announced by %q, want %q", i, got, step.want)
		}
	}
}
