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

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// mostChanges bounds what happens between two passes of a life, and passes is how many
// there are.
const (
	mostChanges = 3
	passes      = 15
)

// life is a cluster in which things change, and a daemon that plans for n1.
type life struct {
	t    *rapid.T
	s    policy.Snapshot
	now  time.Time
	live routes.Live
	// pods are those that there are, shown those of the last Snapshot.
	pods, shown []routes.Pod
	memory      policy.Memory
	planner     *policy.Planner
	born        int
}

// bornLife draws a cluster with so many Subnets that not all are asked about when one changes.
func bornLife(t *rapid.T) *life {
	l := &life{t: t, now: begin, planner: policy.NewPlanner("n1")}
	l.s = snapshotGen().Draw(t, "snapshot")
	if rapid.Bool().Draw(t, "well") {
		l.s.Nodes[0] = routes.Node{Name: "n1", Ready: true, Allocated: true}
		l.s.Peers = []policy.Peer{{Name: "tor-a", LocalASN: 65001, SessionSettings: policy.SessionSettings{
			Address: netip.MustParseAddr("172.30.0.1"), PeerASN: 64512, Families: []policy.Family{policy.IPv4Unicast}}}}
	}
	l.s.Subnets = nil
	for range rapid.IntRange(20, 40).Draw(t, "subnets") {
		l.addSubnet()
	}
	return l
}

// newSubnet draws a Subnet; most have CIDRs that no other has.
func (l *life) newSubnet(name string) *routes.Subnet {
	s := *subnetGen(l.t, name)
	if !seldom(l.t) {
		s.CIDRBlock = fmt.Sprintf("10.%d.0.0/16", 50+rapid.IntRange(0, 59).Draw(l.t, "net"))
		if seldom(l.t) {
			s.CIDRBlock += ",fd00:9::/64"
		}
	}
	if !seldom(l.t) {
		s.GatewayType, s.Controlled, s.ReadyAt = "distributed", true, pick(l.t, "1", "2")
		s.Annotations = map[string]string{routes.AnnotationAdvertise: "true"}
	}
	return s.Parsed()
}

func (l *life) addSubnet() {
	l.born++
	l.s.Subnets = append(slices.Clone(l.s.Subnets), l.newSubnet(fmt.Sprintf("s%d", l.born)))
	slices.SortFunc(l.s.Subnets, func(a, b *routes.Subnet) int { return strings.Compare(a.Name, b.Name) })
}

// subnet gives the place of some Subnet in a list of its own, false where there is none.
func (l *life) subnet() (int, bool) {
	if len(l.s.Subnets) == 0 {
		return 0, false
	}
	l.s.Subnets = slices.Clone(l.s.Subnets)
	return rapid.IntRange(0, len(l.s.Subnets)-1).Draw(l.t, "which"), true
}

// changeSubnet changes something of one.
func (l *life) changeSubnet(change func(*routes.Subnet)) {
	if i, some := l.subnet(); some {
		s := *l.s.Subnets[i]
		s.Annotations = cloned(s.Annotations)
		change(&s)
		l.s.Subnets[i] = s.Parsed()
	}
}

func cloned[K comparable, V any](m map[K]V) map[K]V {
	out := map[K]V{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// verdict changes what the node knows of some prefix.
func (l *life) verdict(of *map[netip.Prefix]string) {
	if i, some := l.subnet(); some && len(l.s.Subnets[i].CIDRs) > 0 {
		*of = cloned(*of)
		p := l.s.Subnets[i].CIDRs[0]
		if _, down := (*of)[p]; down {
			delete(*of, p)
		} else {
			(*of)[p] = pick(l.t, "link ovn0 is down", "no route")
		}
	}
}

// common is what happens to more than a Subnet: after most of it all are asked about.
var common = []string{"a node", "not Ready", "peer", "a restart", "a fork", "Subnets in another order"}

// happen lets one thing change.
func (l *life) happen() {
	t := l.t
	node := func() *routes.Node {
		l.s.Nodes = slices.Clone(l.s.Nodes)
		return &l.s.Nodes[rapid.IntRange(0, len(l.s.Nodes)-1).Draw(t, "node")]
	}
	things := map[string]func(){
		"a new Subnet": l.addSubnet,
		"a Subnet goes": func() {
			if i, some := l.subnet(); some {
				l.s.Subnets = slices.Delete(l.s.Subnets, i, i+1)
			}
		},
		"a Subnet is another": func() {
			if i, some := l.subnet(); some {
				l.s.Subnets[i] = l.newSubnet(l.s.Subnets[i].Name)
			}
		},
		"med": func() {
			l.changeSubnet(func(s *routes.Subnet) { s.Annotations[routes.AnnotationMED] = pick(t, "1", "2", "3") })
		},
		"typo": func() { l.changeSubnet(func(s *routes.Subnet) { s.Annotations[routes.AnnotationMED] = "x" }) },
		"advertise": func() {
			l.changeSubnet(func(s *routes.Subnet) { s.Annotations[routes.AnnotationAdvertise] = pick(t, "true", "false", "ture") })
		},
		"bad CIDR": func() { l.changeSubnet(func(s *routes.Subnet) { s.CIDRBlock = pick(t, "10.4.0.0/33", "") }) },
		"CIDR": func() {
			l.changeSubnet(func(s *routes.Subnet) {
				s.CIDRBlock = pick(t, "10.60.0.0/15", "10.70.0.0/24", "10.64.0.0/12", "10.48.0.0/13")
			})
		},
		"Ready":     func() { l.changeSubnet(func(s *routes.Subnet) { s.Ready = !s.Ready }) },
		"NAT":       func() { l.changeSubnet(func(s *routes.Subnet) { s.NATOutgoing = !s.NATOutgoing }) },
		"gateway":   func() { l.changeSubnet(func(s *routes.Subnet) { s.ActiveGateway = pick(t, "n1", "n2", "") }) },
		"a node":    func() { n := node(); *n = nodeGen(t, n.Name, rapid.IntRange(0, 2).Draw(t, "i")) },
		"not Ready": func() { n := node(); n.Ready = !n.Ready },
		"peer": func() {
			if l.s.Peers = slices.Clone(l.s.Peers); len(l.s.Peers) > 0 {
				l.s.Peers[0] = peerGen(t, l.s.Peers[0].Name, 0)
			}
		},
		"datapath": func() { l.verdict(&l.live.DatapathDown) },
		"host":     func() { l.verdict(&l.live.HostNotReady) },
		"a Pod": func() {
			l.pods = append(l.pods, routes.Pod{Node: pick(t, "n1", "n2"), Subnet: pick(t, "s1", "s2", "s3"), Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(rapid.IntRange(0, 70).Draw(t, "net")), 0, byte(rapid.IntRange(1, 4).Draw(t, "host"))})}})
		},
		"no Pods":                  func() { l.pods = nil },
		"the clock":                func() { l.now = l.now.Add(-2 * time.Second) },
		"a restart":                func() { l.memory, l.planner = l.reread(), policy.NewPlanner("n1") },
		"a fork":                   func() { l.memory = l.reread() },
		"Subnets in another order": func() { l.s.Subnets = rapid.Permutation(l.s.Subnets).Draw(t, "order") },
	}
	names := make([]string, 0, len(things))
	for name := range things {
		names = append(names, name)
	}
	slices.Sort(names)
	if rapid.IntRange(0, 9).Draw(t, "what all have in common") > 0 {
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(common, name) })
	}
	things[rapid.SampledFrom(names).Draw(t, "thing")]()
}

// reread gives the memory as the next run of a daemon reads it.
func (l *life) reread() (m policy.Memory) {
	text, err := json.Marshal(l.memory)
	if err := errors.Join(err, json.Unmarshal(text, &m)); err != nil {
		l.t.Fatal(err)
	}
	return m
}

// pass plans as a daemon does, and from nothing.
func (l *life) pass() {
	l.s.Pods, l.shown = l.s.Pods.Changed(l.shown, l.pods), slices.Clone(l.pods)
	s := l.memory.Recall(l.s, l.now)
	if rapid.Bool().Draw(l.t, "with a gate") {
		anew := policy.NewPlanner("n1")
		if got, want := l.planner.SelectedCIDRs(s), anew.SelectedCIDRs(s); !slices.Equal(got, want) {
			l.t.Fatalf("selected CIDRs %v, from nothing %v", got, want)
		}
		if got, want := l.planner.Translating(s), anew.Translating(s); !slices.Equal(got, want) {
			l.t.Fatalf("may be translated still: %v, from nothing %v", got, want)
		}
	}
	live := l.live
	s.Live = &live
	got, want := l.planner.Make(s), policy.Make(s, "n1")
	if !reflect.DeepEqual(got, want) {
		l.t.Fatalf("%s\nfrom nothing:\n%s", asJSON(got), asJSON(want))
	}
	if !reflect.DeepEqual(got.Wish(), want.Wish()) {
		l.t.Fatal("the wishes differ")
	}
	next := l.memory.Remember(s, got)
	if !next.Equal(l.memory.Remember(s, want)) {
		l.t.Fatal("the memories differ")
	}
	l.memory = next
}

// TestPlannerGivesWhatMakeGives over lives in which everything changes that can.
func TestPlannerGivesWhatMakeGives(t *testing.T) { rapid.Check(t, liveLife) }

// FuzzPlanner looks for the lives that chance does not come by.
func FuzzPlanner(f *testing.F) { f.Fuzz(rapid.MakeFuzz(liveLife)) }

// liveLife compares a Planner's plan with Make's in each pass of a life.
func liveLife(t *rapid.T) {
	l := bornLife(t)
	for range passes {
		for range rapid.IntRange(0, mostChanges).Draw(t, "changes") {
			l.happen()
		}
		l.now = l.now.Add(rapid.SampledFrom([]time.Duration{0, 100 * time.Millisecond, time.Second, 3 * time.Second, time.Minute}).Draw(t, "later"))
		l.pass()
	}
}

// mostAllocated bounds what the decision on one change among ten thousand Subnets
// allocates, in two passes: that in which it changes, and the one after it.
const mostAllocated = 2000

// TestOneChangeAmongTenThousandCostsLittle: what does not change is not asked about, and
// shared with the plan before.
func TestOneChangeAmongTenThousandCostsLittle(t *testing.T) {
	d := &planning{s: tenThousand(), planner: policy.NewPlanner("n1")}
	for range 3 {
		d.pass()
	}
	const changes = 5
	i, before := 0, d.plan
	allocated := testing.AllocsPerRun(changes, func() {
		sub := *d.s.Subnets[i]
		sub.Annotations = map[string]string{routes.AnnotationAdvertise: "true", routes.AnnotationMED: "5"}
		d.s.Subnets = slices.Clone(d.s.Subnets)
		d.s.Subnets[i] = sub.Parsed()
		i++
		d.pass()
		d.pass()
	})
	if allocated > mostAllocated {
		t.Errorf("%.0f allocations, at most %d", allocated, mostAllocated)
	}
	others := 0
	for i, a := range d.plan.Adverts {
		if a != before.Adverts[i] {
			others++
		}
	}
	if others != i {
		t.Errorf("%d adverts are others than before, of which %d changed", others, i)
	}
	if &d.plan.Forwards[0] != &before.Forwards[0] {
		t.Error("what traffic the node lets through is listed anew, and did not change")
	}
}
