package routes_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fairway-bgp/fairway/routes"
)

// podGen draws Pods of few nodes, Subnets and addresses, so that they often share one.
func podGen(name string) *rapid.Generator[routes.Pod] {
	return rapid.Custom(func(t *rapid.T) routes.Pod {
		p := routes.Pod{Name: name, Node: rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node"), Subnet: rapid.SampledFrom([]string{"blue", "red"}).Draw(t, "subnet")}
		for range rapid.IntRange(1, 2).Draw(t, "addresses") {
			p.Addresses = append(p.Addresses, netip.AddrFrom4([4]byte{10, 1, 0, byte(rapid.IntRange(0, 9).Draw(t, "host"))}))
		}
		return p
	})
}

func TestPodsOfAnyHistoryAreThoseMadeFromNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pods routes.Pods
		have := map[string][]routes.Pod{}
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			var gone, came []routes.Pod
			for i := range rapid.IntRange(1, 3).Draw(t, "at once") {
				name := fmt.Sprint("p", 3*rapid.IntRange(0, 4).Draw(t, "pod")+i)
				gone = append(gone, have[name]...)
				have[name] = rapid.SliceOfN(podGen(name), 0, 2).Draw(t, "attachments")
				came = append(came, have[name]...)
			}
			before, was := pods, fmt.Sprint(answers(pods))
			pods = pods.Changed(gone, came)
			if is := fmt.Sprint(answers(before)); is != was {
				t.Fatalf("the Pods before were changed: %s, now %s", was, is)
			}
		}
		var all []routes.Pod
		for _, p := range have {
			all = append(all, p...)
		}
		if want := routes.PodsOf(all...); !reflect.DeepEqual(pods, want) {
			t.Fatalf("after changes %+v, from nothing %+v", pods, want)
		}
		checkAddresses(t, pods, all)
		if none := pods.Changed(all, nil); !reflect.DeepEqual(none, routes.Pods{}) {
			t.Fatalf("without all %+v", none)
		}
	})
}

func answers(pods routes.Pods) map[string][]netip.Prefix {
	out := map[string][]netip.Prefix{}
	for _, node := range []string{"n1", "n2"} {
		for subnet, a := range pods.On(node) {
			out[node+" "+subnet] = a.In(netip.MustParsePrefix("10.1.0.0/24"))
		}
	}
	return out
}

// checkAddresses fails unless the prefixes are those of the Pods' addresses.
func checkAddresses(t *rapid.T, pods routes.Pods, of []routes.Pod) {
	for _, node := range []string{"n1", "n2"} {
		for _, subnet := range []string{"blue", "red"} {
			var want, got []netip.Addr
			for _, p := range of {
				if p.Node == node && p.Subnet == subnet {
					want = append(want, p.Addresses...)
				}
			}
			for _, p := range pods.On(node)[subnet].In(netip.MustParsePrefix("10.1.0.0/24")) {
				for a := p.Addr(); p.Contains(a); a = a.Next() {
					got = append(got, a)
				}
			}
			if want = routes.SortedSet(want, netip.Addr.Compare); !slices.Equal(got, want) {
				t.Fatalf("%s on %s: %v, want %v", subnet, node, got, want)
			}
		}
	}
}

func pod(name, node, subnet string, addresses ...string) routes.Pod {
	p := routes.Pod{Name: name, Node: node, Subnet: subnet}
	for _, a := range addresses {
		p.Addresses = append(p.Addresses, netip.MustParseAddr(a))
	}
	return p
}

func TestPodsKeepThePointersOfWhatDoesNotChange(t *testing.T) {
	web, db := pod("web", "n1", "blue", "10.1.0.1"), pod("db", "n1", "red", "10.2.0.1")
	before := routes.PodsOf(web, db, pod("other", "n2", "blue", "10.1.0.2"))
	renamed, moved := web, pod("web", "n1", "blue", "10.1.0.3")
	renamed.Name = "web-2"
	same := before.Changed([]routes.Pod{web}, []routes.Pod{renamed})
	after := before.Changed([]routes.Pod{web}, []routes.Pod{moved})
	if a, b := before.On("n1")["blue"], same.On("n1")["blue"]; a != b {
		t.Error("another pointer for the same addresses")
	}
	if before.On("n1")["blue"] == after.On("n1")["blue"] {
		t.Error("the same pointer for other addresses")
	}
	if before.On("n1")["red"] != after.On("n1")["red"] || before.On("n2")["blue"] != after.On("n2")["blue"] {
		t.Error("another pointer where nothing changed")
	}
	if got := fmt.Sprint(before.On("n1")["blue"].In(netip.MustParsePrefix("10.1.0.0/16"))); got != "[10.1.0.1/32]" {
		t.Errorf("what there was before is %s now", got)
	}
}

// An address stays while one of the Pods that have it is there.
func TestTwoPodsWithOneAddressOnOneNode(t *testing.T) {
	old, new := pod("vm-old", "n1", "blue", "10.1.0.1"), pod("vm-new", "n1", "blue", "10.1.0.1")
	both := routes.PodsOf(old).Changed(nil, []routes.Pod{new})
	one := both.Changed([]routes.Pod{old}, nil)
	cidr := netip.MustParsePrefix("10.1.0.0/16")
	if got := fmt.Sprint(both.On("n1")["blue"].In(cidr), one.On("n1")["blue"].In(cidr)); got != "[10.1.0.1/32] [10.1.0.1/32]" {
		t.Error(got)
	}
	if none := one.Changed([]routes.Pod{new}, nil); none.On("n1")["blue"].In(cidr) != nil {
		t.Errorf("%+v", none)
	}
}

// cluster has n Pods on a number of nodes, in one Subnet.
func cluster(n, nodes int) []routes.Pod {
	pods := make([]routes.Pod, n)
	for i := range pods {
		x := uint32(i) * 2654435761 >> 12 // spread over a /12
		pods[i] = routes.Pod{Name: fmt.Sprint("p", i), Node: fmt.Sprint("n", i%nodes), Subnet: "blue",
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 16 | byte(x>>16), byte(x >> 8), byte(x)})}}
	}
	return pods
}

func BenchmarkOnePodOf100k(b *testing.B) {
	for _, nodes := range []int{1, 10, 1000} {
		b.Run(fmt.Sprint("nodes=", nodes), func(b *testing.B) {
			of := cluster(100_000, nodes)
			pods := routes.PodsOf(of...)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				one := of[i%len(of) : i%len(of)+1]
				pods = pods.Changed(one, nil).Changed(nil, one)
			}
		})
	}
}

func Benchmark100kPodsFromNothing(b *testing.B) {
	of := cluster(100_000, 1000)
	b.ReportAllocs()
	for b.Loop() {
		routes.PodsOf(of...)
	}
}
