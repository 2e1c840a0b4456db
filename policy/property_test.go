package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fairway-bgp/fairway/e2e/rapidseed"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

func TestMain(m *testing.M) { rapidseed.Main(m) }

// snapshotGen draws small clusters in which everything that can be wrong often
// is, and in which prefixes often meet.
func snapshotGen() *rapid.Generator[policy.Snapshot] {
	return rapid.Custom(func(t *rapid.T) policy.Snapshot {
		s := policy.Snapshot{Snapshot: routes.Snapshot{Settings: routes.DefaultSettings}}
		s.AdoptKubeOVN = rapid.Bool().Draw(t, "adopt")
		for i := range 3 {
			s.Nodes = append(s.Nodes, nodeGen(t, fmt.Sprintf("n%d", i+1), i))
		}
		for i := range rapid.IntRange(0, 6).Draw(t, "subnets") {
			s.Subnets = append(s.Subnets, subnetGen(t, fmt.Sprintf("s%d", i)))
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "peers") {
			s.Peers = append(s.Peers, peerGen(t, fmt.Sprintf("tor-%c", 'a'+i), i))
		}
		var pods []routes.Pod
		for i := range rapid.IntRange(0, 5).Draw(t, "pods") {
			pods = append(pods, routes.Pod{Name: fmt.Sprintf("p%d", i), Node: pick(t, "n1", "n2"), Subnet: pick(t, "s0", "s1", "s2"),
				Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(rapid.IntRange(0, 5).Draw(t, "net")), 0, byte(i)})}})
		}
		s.Pods = routes.PodsOf(pods...)
		return s
	})
}

func pick(t *rapid.T, of ...string) string { return rapid.SampledFrom(of).Draw(t, "pick") }

// seldom draws false nine times of ten.
func seldom(t *rapid.T) bool { return rapid.IntRange(0, 9).Draw(t, "seldom") == 0 }

func nodeGen(t *rapid.T, name string, i int) routes.Node {
	n := routes.Node{Name: name, Ready: !seldom(t), Allocated: !seldom(t), NetworkUnavailable: seldom(t), Labels: map[string]string{"rack": pick(t, "a", "b")}, Annotations: map[string]string{}}
	n.InternalIPs = []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(11 + i)})}
	if rapid.Bool().Draw(t, "v6") {
		n.InternalIPs = append(n.InternalIPs, netip.MustParseAddr(fmt.Sprintf("fd00:30::%d", 11+i)))
	}
	if seldom(t) {
		n.Labels[routes.LabelExclude] = ""
	}
	if seldom(t) {
		n.Annotations[routes.AnnotationDrain] = "true"
	}
	if seldom(t) {
		n.Annotations[routes.AnnotationLocalASN] = pick(t, "65011", "0", "x")
	}
	return n
}

func subnetGen(t *rapid.T, name string) *routes.Subnet {
	s := routes.Subnet{
		Name: name, VPC: "ovn-cluster", Provider: "ovn", Validated: !seldom(t), Ready: !seldom(t), NATOutgoing: seldom(t), Deleting: seldom(t),
		Created:       time.Unix(int64(rapid.IntRange(0, 2).Draw(t, "created")), 0),
		CIDRBlock:     pick(t, "10.0.0.0/16", "10.1.0.0/16", "10.0.0.0/15", "10.2.0.1/16,fd00:2::/64", "fd00:2::/48,10.3.0.0/24", "172.30.0.0/24", "0.0.0.0/0", "10.4.0.0/33", "10.0.1.0/24,10.0.5.0/24", "10.0.5.128/25", "10.1.0.0/16,10.1.2.0/24", ""),
		GatewayType:   pick(t, "distributed", "centralized", "centralized", ""),
		GatewayNode:   pick(t, "", "n1", "n1,n2:10.0.0.1", "n9"),
		EnableECMP:    rapid.Bool().Draw(t, "ecmp"),
		ActiveGateway: pick(t, "", "n1", "n2"),
		Private:       seldom(t),
		Annotations:   map[string]string{},
	}
	if rapid.Bool().Draw(t, "selector") {
		s.GatewayNodeSelectors = []routes.Selector{{MatchLabels: map[string]string{"rack": "a"}}}
	}
	for _, a := range []struct {
		key    string
		values []string
	}{
		{"advertise", []string{"true", "true", "true", "false", "ture"}}, {"mode", []string{"cidr", "pods"}}, {"peers", []string{"tor-a", "tor-b,tor-x"}},
		{"med", []string{"5", "x"}}, {"communities", []string{"65000:1", "no-export,65000:1:2"}}, {"next-hop", []string{"172.30.0.100"}},
		{"standby", []string{"true"}}, {"max-pod-prefixes", []string{"0", "1", "x"}}, {"as-path-prepend", []string{"2"}}, {"local-pref", []string{"200"}},
	} {
		if a.key == "advertise" || seldom(t) {
			s.Annotations[routes.Prefix+a.key] = rapid.SampledFrom(a.values).Draw(t, a.key)
		}
	}
	return s.Parsed()
}

func peerGen(t *rapid.T, name string, i int) policy.Peer {
	p := policy.Peer{Name: name, LocalASN: 65001}
	p.Address = netip.AddrFrom4([4]byte{172, 30, 0, byte(1 + i)})
	if rapid.Bool().Draw(t, "v6 session") {
		p.Address = netip.MustParseAddr(fmt.Sprintf("fd00:30::%d", 1+i))
	}
	p.PeerASN = rapid.SampledFrom([]uint32{64512, 65001}).Draw(t, "asn")
	p.Families = rapid.SampledFrom([][]policy.Family{{policy.IPv4Unicast}, {policy.IPv4Unicast, policy.IPv6Unicast}}).Draw(t, "families")
	if seldom(t) {
		p.MaxPodPrefixes = 1
	}
	if rapid.Bool().Draw(t, "racked") {
		p.Nodes = routes.Selector{MatchLabels: map[string]string{"rack": "a"}}
	}
	return p
}

func TestShuffledInputGivesAnEqualPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshotGen().Draw(t, "snapshot")
		shuffled := s
		shuffled.Subnets = rapid.Permutation(s.Subnets).Draw(t, "subnets")
		shuffled.Nodes = rapid.Permutation(s.Nodes).Draw(t, "nodes")
		shuffled.Peers = rapid.Permutation(s.Peers).Draw(t, "peers")
		a, b := policy.Make(s, "n1"), policy.Make(shuffled, "n1")
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("plans differ:\n%s\n%s", asJSON(a), asJSON(b))
		}
		if !reflect.DeepEqual(a.Wish(), b.Wish()) {
			t.Fatalf("wishes differ")
		}
	})
}

func TestInputStaysAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshotGen().Draw(t, "snapshot")
		before := everyField(s)
		policy.Make(s, "n1")
		policy.Why(s, "n1", "s0")
		if after := everyField(s); after != before {
			t.Fatalf("the snapshot was changed:\n%s\n%s", before, after)
		}
	})
}

// everyField writes a Snapshot with what its pointers point to.
func everyField(s policy.Snapshot) string {
	var b strings.Builder
	for _, sub := range s.Subnets {
		fmt.Fprintf(&b, "%#v\n", *sub)
	}
	s.Subnets = nil
	fmt.Fprintf(&b, "%#v", s)
	return b.String()
}

// account says how often each (Subnet, CIDR) is in a plan; a prefix of role pod
// counts for the CIDR that holds it, once.
func account(s policy.Snapshot, p policy.Plan) map[string]int {
	got := map[string]map[string]bool{}
	n := map[string]int{}
	add := func(key, entry string) {
		if got[key] == nil {
			got[key] = map[string]bool{}
		}
		if !got[key][entry] {
			got[key][entry] = true
			n[key]++
		}
	}
	cidrs := map[string][]netip.Prefix{}
	for i := range s.Subnets {
		cidrs[s.Subnets[i].Name], _ = routes.ParseCIDRBlock(s.Subnets[i].CIDRBlock)
	}
	for _, a := range p.Adverts {
		for _, c := range cidrs[a.Subnet] {
			if c.Overlaps(a.Prefix) {
				entry := "advert " + string(a.Role)
				if a.Role != routes.RolePod {
					entry += a.Prefix.String()
				}
				add(a.Subnet+" "+c.String(), entry)
			}
		}
	}
	for i, w := range p.Withheld {
		add(w.Subnet+" "+w.Prefix, fmt.Sprint("withheld ", i))
	}
	return n
}

func TestEverySelectedCIDRIsAccountedForOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshotGen().Draw(t, "snapshot")
		plan := policy.Make(s, "n1")
		want := map[string]int{}
		for _, sub := range s.Subnets {
			if !routes.Selected(sub.Annotations, s.Settings) {
				continue
			}
			prefixes, err := routes.ParseCIDRBlock(sub.CIDRBlock)
			if err != nil {
				for _, part := range strings.Split(sub.CIDRBlock, ",") {
					want[sub.Name+" "+part] = 1
				}
			}
			for _, p := range prefixes {
				want[sub.Name+" "+p.String()] = 1
			}
		}
		if got := account(s, plan); !reflect.DeepEqual(got, want) {
			t.Fatalf("accounted for: %v\nwant:          %v\n%s", got, want, asJSON(plan))
		}
	})
}

func TestWhatIsAnnouncedIsSafeAndDisjoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshotGen().Draw(t, "snapshot")
		for _, node := range s.Nodes {
			plan := policy.Make(s, node.Name)
			for i, a := range plan.Adverts {
				if a.Prefix.Bits() == 0 {
					t.Fatalf("a default route is announced")
				}
				for _, n := range s.Nodes {
					if slices.ContainsFunc(n.InternalIPs, a.Prefix.Contains) {
						t.Fatalf("%s holds an address of %s", a.Prefix, n.Name)
					}
				}
				for _, b := range plan.Adverts[:i] {
					if a.Prefix.Overlaps(b.Prefix) && a.Subnet != b.Subnet {
						t.Fatalf("%s of %s and %s of %s overlap", a.Prefix, a.Subnet, b.Prefix, b.Subnet)
					}
				}
				checkExports(t, plan, a)
			}
		}
	})
}

// checkExports holds an advert's peers against its export rules.
func checkExports(t *rapid.T, plan policy.Plan, a *policy.Advert) {
	var peers []string
	for _, x := range plan.Exports(a) {
		peers = append(peers, x.Peer)
		s := plan.Sessions[slices.IndexFunc(plan.Sessions, func(s policy.Session) bool { return s.Peer == x.Peer })]
		if x.Attributes.LocalPref != nil && !s.Internal() {
			t.Fatalf("LOCAL_PREF to external peer %s", x.Peer)
		}
		if a.Prefix.Addr().Is4() != s.Address.Is4() && !a.NextHop.IsValid() && !x.Attributes.NextHop.IsValid() {
			t.Fatalf("%s to %s over a session of the other family has no next hop", a.Prefix, x.Peer)
		}
	}
	if !slices.Equal(peers, a.Peers) || len(peers) == 0 {
		t.Fatalf("%s: peers %v, exports to %v", a.Prefix, a.Peers, peers)
	}
}

func TestWhyAgreesWithThePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshotGen().Draw(t, "snapshot")
		plan := policy.Make(s, "n1")
		withheld := map[policy.Withheld]bool{}
		for _, w := range plan.Withheld {
			withheld[w] = true
		}
		n := 0
		for i := range s.Subnets {
			for _, e := range policy.Why(s, "n1", s.Subnets[i].Name) {
				if e.Reason == "" {
					n += len(e.Adverts)
					continue
				}
				if !withheld[policy.Withheld{Prefix: e.Prefix, Subnet: e.Subnet, Reason: e.Reason, Detail: e.Detail, Undecided: e.Undecided}] {
					t.Fatalf("why %+v is not in the plan:\n%s", e, asJSON(plan))
				}
				if last := e.Steps[len(e.Steps)-1]; last.Passed || last.Reason != e.Reason || e.Mend == "" {
					t.Fatalf("the chain does not end at its reason, or without a remedy: %+v", e)
				}
			}
		}
		if n != len(plan.Adverts) {
			t.Fatalf("why explains %d adverts, the plan has %d", n, len(plan.Adverts))
		}
	})
}

func TestPlanReadsBackFromJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := policy.Make(snapshotGen().Draw(t, "snapshot"), "n1")
		var back policy.Plan
		if err := json.Unmarshal([]byte(asJSON(plan)), &back); err != nil {
			t.Fatal(err)
		}
		if asJSON(back) != asJSON(plan) {
			t.Fatalf("read back:\n%s\nwant:\n%s", asJSON(back), asJSON(plan))
		}
	})
}

func TestATypoIsNotAWithdrawal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshotGen().Draw(t, "snapshot")
		var memory policy.Memory
		first := policy.Make(memory.Recall(s, time.Time{}), "n1")
		memory = memory.Remember(s, first)
		broken := s
		broken.Subnets = slices.Clone(s.Subnets)
		for i := range broken.Subnets {
			if sub := *s.Subnets[i]; sub.Annotations[routes.AnnotationAdvertise] == "true" {
				sub.Annotations = map[string]string{routes.AnnotationAdvertise: "ture"}
				if first, err := routes.ParseCIDRBlock(sub.CIDRBlock); err == nil && seldom(t) {
					inside := first[0].Addr().Next()
					sub.Annotations = map[string]string{routes.AnnotationAdvertise: "true", routes.AnnotationNextHop: inside.String()}
				}
				broken.Subnets[i] = sub.Parsed()
			}
		}
		if rapid.Bool().Draw(t, "the local AS is gone") {
			broken.Peers = slices.Clone(s.Peers)
			for i := range broken.Peers {
				broken.Peers[i].LocalASN = 0
			}
		}
		second := policy.Make(memory.Recall(broken, time.Time{}), "n1")
		if !reflect.DeepEqual(second.Wish(), first.Wish()) {
			t.Fatalf("before: %s\nafter: %s", asJSON(first), asJSON(second))
		}
		text, err := json.Marshal(memory)
		var afterRestart policy.Memory
		if err := errors.Join(err, json.Unmarshal(text, &afterRestart)); err != nil {
			t.Fatal(err)
		}
		if !afterRestart.Equal(memory) || !reflect.DeepEqual(policy.Make(afterRestart.Recall(broken, time.Time{}), "n1"), second) {
			t.Fatalf("after a restart with the memory %s: %s", text, asJSON(policy.Make(afterRestart.Recall(broken, time.Time{}), "n1")))
		}
		memory = memory.Remember(broken, second)
		third := policy.Make(memory.Recall(s, time.Time{}), "n1")
		if !reflect.DeepEqual(third, first) {
			t.Fatalf("mended: %s\nwant: %s", asJSON(third), asJSON(first))
		}
	})
}

func asJSON(p policy.Plan) string {
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		panic(err)
	}
	return string(b)
}
