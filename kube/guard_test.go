package kube

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/routes"
)

// storm drives a guard with a clock of its own.
type storm struct {
	*testing.T
	guard  guard
	now    time.Time
	have   map[objects.Key]*stored
	lapsed map[string]bool
}

func newStorm(t *testing.T, delay time.Duration) *storm {
	return &storm{
		T: t, guard: guard{node: "n1", delay: delay, settings: routes.DefaultSettings},
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), have: map[objects.Key]*stored{}, lapsed: map[string]bool{},
	}
}

func (s *storm) subnets(names ...string) {
	for _, n := range names {
		s.put(&objects.Subnet{Subnet: routes.Subnet{Name: n, Annotations: map[string]string{routes.AnnotationAdvertise: "true"}}}, objects.KindSubnet, n)
	}
}

func (s *storm) put(value any, kind, name string) {
	k := objects.Key{Kind: kind, Name: name}
	s.have[k] = &stored{Object: objects.Object{Key: k, Value: value}}
}

// peer puts a BGPPeer whose address is made of a word.
func (s *storm) peer(name, address string) {
	sum := sha256.Sum256([]byte(address))
	d := objects.Peer{}
	d.Name, d.Address = name, netip.AddrFrom4([4]byte(sum[:4]))
	s.put(d, objects.KindBGPPeer, name)
}

func (s *storm) lose(kind string, names ...string) {
	for _, n := range names {
		delete(s.have, objects.Key{Kind: kind, Name: n})
	}
}

// after lets time pass, looks when the guard asked for it, and gives the names in
// force of a kind, and what is held.
func (s *storm) after(d time.Duration, kind string) (names string, held []string) {
	for end := s.now.Add(d); ; {
		var again time.Time
		held, again = s.guard.step(observation{now: s.now, have: s.have, lapsed: s.lapsed, all: true, known: func(k objects.Key) bool { return true }})
		if !s.now.Before(end) {
			break
		}
		s.now = earlier(end, again)
	}
	var out []string
	for k := range s.guard.force {
		if k.Kind == kind {
			out = append(out, k.Name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ","), held
}

// nodes puts Nodes; another uid makes them other objects of the same name.
func (s *storm) nodes(uid types.UID, names ...string) {
	for _, n := range names {
		k := objects.Key{Kind: objects.KindNode, Name: n}
		s.have[k] = &stored{Object: objects.Object{Key: k, Value: objects.Node{Node: routes.Node{Name: n}}}, uid: uid}
	}
}

func (s *storm) want(d time.Duration, kind, names string, held int) {
	s.Helper()
	got, lines := s.after(d, kind)
	if got != names || len(lines) != held {
		s.Errorf("after %s %s in force: %q, held %q; want %q and %d lines", d, kind, got, lines, names, held)
	}
}

func many(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("s%02d", i))
	}
	return out
}

func TestGuardBelievesSingleDeletions(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.subnets("a", "b", "c")
	s.want(0, objects.KindSubnet, "a,b,c", 0)
	s.lose(objects.KindSubnet, "a")
	s.want(0, objects.KindSubnet, "a,b,c", 0)
	s.want(settleDeletion, objects.KindSubnet, "b,c", 0)
}

func TestGuardHoldsAMass(t *testing.T) {
	for _, c := range []struct {
		name string
		all  []string
		lost []string
	}{
		{"all of a few", []string{"a", "b"}, []string{"a", "b"}},
		{"the last object of its kind", []string{"a"}, []string{"a"}},
		{"many of more", many(30), many(12)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStorm(t, time.Hour)
			s.subnets(c.all...)
			all := strings.Join(c.all, ",")
			s.want(0, objects.KindSubnet, all, 0)
			s.lose(objects.KindSubnet, c.lost...)
			s.want(settleDeletion, objects.KindSubnet, all, 1)
			s.want(time.Hour-2*settleDeletion, objects.KindSubnet, all, 1)
			rest := slices.DeleteFunc(slices.Clone(c.all), func(n string) bool { return slices.Contains(c.lost, n) })
			s.want(2*settleDeletion, objects.KindSubnet, strings.Join(rest, ","), 0)
		})
	}
}

func TestGuardHoldsWhatGoesOneByOne(t *testing.T) {
	s := newStorm(t, time.Hour)
	names := many(40)
	s.subnets(names...)
	s.put(&objects.Subnet{Subnet: routes.Subnet{Name: "join"}}, objects.KindSubnet, "join")
	all := "join," + strings.Join(names, ",")
	s.want(0, objects.KindSubnet, all, 0)
	for _, n := range names {
		s.lose(objects.KindSubnet, n)
		s.after(50*time.Millisecond, objects.KindSubnet)
	}
	s.want(10*time.Second, objects.KindSubnet, all, 1)
}

func TestGuardLetsThroughWhatPeopleDo(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.subnets("a", "b")
	s.want(0, objects.KindSubnet, "a,b", 0)
	// Un-annotated: no deletion at all.
	for _, n := range []string{"a", "b"} {
		s.put(&objects.Subnet{Subnet: routes.Subnet{Name: n}}, objects.KindSubnet, n)
	}
	s.after(0, objects.KindSubnet)
	for k, o := range s.guard.force {
		if s.guard.counts(o) {
			t.Errorf("%s is still selected", k)
		}
	}
	// Nobody announces what is not selected.
	s.lose(objects.KindSubnet, "a", "b")
	s.want(0, objects.KindSubnet, "", 0)
}

func TestGuardHoldsDeletionsThatWaitForFinalizers(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.subnets("a", "b")
	s.want(0, objects.KindSubnet, "a,b", 0)
	deleting := func(n, advertise string) {
		s.put(&objects.Subnet{Subnet: routes.Subnet{Name: n, Deleting: true, Annotations: map[string]string{routes.AnnotationAdvertise: advertise}}}, objects.KindSubnet, n)
	}
	deleting("a", "true")
	deleting("b", "true")
	s.want(time.Minute, objects.KindSubnet, "a,b", 1)
	inForce := func(n string) routes.Subnet {
		return s.guard.force[objects.Key{Kind: objects.KindSubnet, Name: n}].Value.(*objects.Subnet).Subnet
	}
	if inForce("a").Deleting || inForce("b").Deleting {
		t.Error("the deletion counts already")
	}
	// A person takes one of them out of service all the same.
	deleting("a", "false")
	s.after(0, objects.KindSubnet)
	if !inForce("a").Deleting || inForce("b").Deleting {
		t.Error("a was to be let go, and b to be held")
	}
	s.want(2*time.Hour, objects.KindSubnet, "a,b", 0)
	if !inForce("b").Deleting {
		t.Error("the deletion never counts")
	}
}

func TestGuardBelievesTheEndOfADeletionAtOnce(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.subnets("a", "b")
	s.want(0, objects.KindSubnet, "a,b", 0)
	s.put(&objects.Subnet{Subnet: routes.Subnet{Name: "a", Deleting: true, Annotations: map[string]string{routes.AnnotationAdvertise: "true"}}}, objects.KindSubnet, "a")
	s.want(10*time.Second, objects.KindSubnet, "a,b", 0)
	s.lose(objects.KindSubnet, "a")
	s.want(0, objects.KindSubnet, "b", 0)
}

func TestGuardForgetsWhatComesBack(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.subnets("a", "b")
	s.want(0, objects.KindSubnet, "a,b", 0)
	s.lose(objects.KindSubnet, "a", "b")
	s.want(time.Minute, objects.KindSubnet, "a,b", 1)
	s.subnets("a", "b")
	s.want(0, objects.KindSubnet, "a,b", 0)
	s.want(2*time.Hour, objects.KindSubnet, "a,b", 0)
}

func TestGuardIsConfirmed(t *testing.T) {
	node := objects.Node{Node: routes.Node{Name: "n1", Annotations: map[string]string{ConfirmMassWithdraw: "true"}}}
	s := newStorm(t, time.Hour)
	s.put(objects.Node{Node: routes.Node{Name: "n1"}}, objects.KindNode, "n1")
	s.subnets("a", "b")
	s.want(0, objects.KindSubnet, "a,b", 0)
	s.lose(objects.KindSubnet, "a", "b")
	s.want(time.Minute, objects.KindSubnet, "a,b", 1)
	s.put(node, objects.KindNode, "n1")
	s.want(0, objects.KindSubnet, "", 0)
}

func TestGuardOffBelievesEverything(t *testing.T) {
	s := newStorm(t, 0)
	s.put(objects.Node{}, objects.KindNode, "n1")
	s.subnets("a", "b")
	s.want(0, objects.KindSubnet, "a,b", 0)
	s.lose(objects.KindSubnet, "a", "b")
	s.lose(objects.KindNode, "n1")
	s.want(0, objects.KindSubnet, "", 0)
	s.want(0, objects.KindNode, "", 0)
}

func TestGuardOfPeers(t *testing.T) {
	// A step takes Peers away, or their CRD; the names are those in force after it.
	type step struct {
		lose    []string
		lapse   bool
		put     []string
		after   time.Duration
		inForce string
		held    int
	}
	const short = 200 * time.Millisecond
	for _, c := range []struct {
		name  string
		peers []string
		steps []step
	}{
		{"one of three is deleted by hand", []string{"a", "b", "c"}, []step{
			{lose: []string{"a"}, after: settlePeer - short, inForce: "a,b,c"},
			{after: short, inForce: "b,c"},
		}},
		{"two of three are deleted by hand", []string{"a", "b", "c"}, []step{
			{lose: []string{"a", "b"}, after: settlePeer, inForce: "c"},
		}},
		{"the last one is deleted by hand", []string{"a"}, []step{
			{lose: []string{"a"}, after: settlePeer - short, inForce: "a"},
			{after: short},
		}},
		{"the last one goes with its CRD", []string{"a"}, []step{
			{lose: []string{"a"}, lapse: true, after: time.Minute, inForce: "a", held: 1},
			{after: time.Hour},
		}},
		{"all three go one by one with their CRD", []string{"a", "b", "c"}, []step{
			{lose: []string{"a"}, after: short, inForce: "a,b,c"},
			{lose: []string{"b"}, after: short, inForce: "a,b,c"},
			{lose: []string{"c"}, after: short, inForce: "a,b,c"},
			{lapse: true, after: time.Minute, inForce: "a,b,c", held: 1},
			{after: time.Hour},
		}},
		{"all three are deleted and the CRD stays", []string{"a", "b", "c"}, []step{
			{lose: []string{"a", "b", "c"}, after: time.Minute, inForce: "a,b,c", held: 1},
		}},
		{"the CRD goes while some have not been seen to go", []string{"a", "b", "c"}, []step{
			{lose: []string{"a"}, lapse: true, after: time.Minute, inForce: "a,b,c", held: 1},
		}},
		{"many take longer to go than a deletion is looked at", many(30), []step{
			{lose: many(12), after: settlePeer, inForce: strings.Join(many(30), ","), held: 1},
			{lose: many(30), after: time.Minute, inForce: strings.Join(many(30), ","), held: 1},
		}},
		{"the first of them is back before the deletion is looked at", []string{"a", "b", "c"}, []step{
			{lose: []string{"a", "b", "c"}, after: short, inForce: "a,b,c"},
			{put: []string{"a"}, after: time.Minute, inForce: "a,b,c", held: 1},
		}},
		{"after a mass they come back one by one", []string{"a", "b", "c"}, []step{
			{lose: []string{"a", "b", "c"}, lapse: true, after: time.Minute, inForce: "a,b,c", held: 1},
			{put: []string{"a"}, after: time.Minute, inForce: "a,b,c", held: 1},
			{put: []string{"b", "c"}, after: 2 * time.Hour, inForce: "a,b,c"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStorm(t, time.Hour)
			for _, n := range c.peers {
				s.peer(n, n)
			}
			s.want(0, objects.KindBGPPeer, strings.Join(c.peers, ","), 0)
			for _, step := range c.steps {
				s.lose(objects.KindBGPPeer, step.lose...)
				s.lapsed[objects.KindBGPPeer] = step.lapse
				for _, n := range step.put {
					s.peer(n, n)
				}
				s.want(step.after, objects.KindBGPPeer, step.inForce, step.held)
			}
		})
	}
}

func TestGuardLetsGoOfAPeerThatGotANewName(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.peer("a", "one")
	s.peer("b", "two")
	s.want(0, objects.KindBGPPeer, "a,b", 0)
	s.lose(objects.KindBGPPeer, "a")
	s.peer("c", "one")
	s.want(0, objects.KindBGPPeer, "b,c", 0)
	// And where all of them vanished before.
	s.lose(objects.KindBGPPeer, "b", "c")
	s.want(time.Minute, objects.KindBGPPeer, "b,c", 1)
	s.peer("d", "two")
	s.want(0, objects.KindBGPPeer, "c,d", 1)
}

func TestGuardHoldsSubnetsOfWhichTheFirstIsBackAtOnce(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.subnets("a", "b", "c")
	s.want(0, objects.KindSubnet, "a,b,c", 0)
	s.lose(objects.KindSubnet, "a", "b", "c")
	s.want(settleDeletion/2, objects.KindSubnet, "a,b,c", 0)
	s.subnets("a")
	s.want(time.Minute, objects.KindSubnet, "a,b,c", 1)
}

func TestGuardHoldsSubnetsThatComeBackOneByOne(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.subnets("a", "b", "c")
	s.want(0, objects.KindSubnet, "a,b,c", 0)
	s.lose(objects.KindSubnet, "a", "b", "c")
	s.lapsed[objects.KindSubnet] = true
	s.want(time.Minute, objects.KindSubnet, "a,b,c", 1)
	s.lapsed[objects.KindSubnet] = false
	s.subnets("a")
	s.want(time.Minute, objects.KindSubnet, "a,b,c", 1)
	s.subnets("b", "c")
	s.want(2*time.Hour, objects.KindSubnet, "a,b,c", 0)
}

func TestGuardBelievesTheDeletionOfOneNodeAtOnce(t *testing.T) {
	for _, gone := range []string{"n1", "n2"} {
		t.Run(gone, func(t *testing.T) {
			s := newStorm(t, time.Hour)
			s.nodes("u", "n1", "n2", "n3")
			s.subnets("a", "b")
			s.want(0, objects.KindNode, "n1,n2,n3", 0)
			s.lose(objects.KindNode, gone)
			s.want(settleNode, objects.KindNode, strings.Join(slices.DeleteFunc([]string{"n1", "n2", "n3"}, func(n string) bool { return n == gone }), ","), 0)
			s.want(time.Hour, objects.KindSubnet, "a,b", 0)
		})
	}
}

func TestGuardBelievesTheDeletionOfTheOnlyNodeWhileTheSubnetsStay(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.nodes("u", "n1")
	s.subnets("a", "b")
	s.want(0, objects.KindNode, "n1", 0)
	s.lose(objects.KindNode, "n1")
	s.want(settleLastNode-time.Second, objects.KindNode, "n1", 1)
	s.want(time.Second, objects.KindNode, "", 0)
	s.want(time.Hour, objects.KindSubnet, "a,b", 0)
}

func TestGuardHoldsTheNodesOfAnEmptiedEtcd(t *testing.T) {
	// The order in which the kinds are seen to vanish, and how far apart.
	for _, c := range []struct {
		name  string
		steps func(s *storm)
	}{
		{"all at once", func(s *storm) {
			s.lose(objects.KindNode, "n1", "n2", "n3")
			s.lose(objects.KindSubnet, "a", "b")
		}},
		{"Nodes first, one by one", func(s *storm) {
			for _, n := range []string{"n1", "n2", "n3"} {
				s.lose(objects.KindNode, n)
				s.after(settleNode/2, objects.KindNode)
			}
			s.after(3*time.Second, objects.KindNode)
			s.lose(objects.KindSubnet, "a", "b")
		}},
		{"Subnets first", func(s *storm) {
			s.lose(objects.KindSubnet, "a", "b")
			s.after(5*time.Second, objects.KindNode)
			s.lose(objects.KindNode, "n1", "n2", "n3")
		}},
		{"Subnets cannot be read any more", func(s *storm) {
			s.lose(objects.KindNode, "n1", "n2", "n3")
			s.lapsed[objects.KindSubnet] = true
		}},
		{"a kubelet has registered again", func(s *storm) {
			s.lose(objects.KindNode, "n1", "n3")
			s.nodes("another", "n2")
			s.after(2*time.Second, objects.KindNode)
			s.lose(objects.KindSubnet, "a", "b")
		}},
		{"a kubelet registers again a moment later", func(s *storm) {
			s.lose(objects.KindNode, "n1", "n2", "n3")
			s.after(settleNode/2, objects.KindNode)
			s.nodes("another", "n2", "n4")
			s.after(2*time.Second, objects.KindNode)
			s.lose(objects.KindNode, "n4")
			s.lose(objects.KindSubnet, "a", "b")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStorm(t, time.Hour)
			s.nodes("u", "n1", "n2", "n3")
			s.subnets("a", "b")
			s.want(0, objects.KindNode, "n1,n2,n3", 0)
			c.steps(s)
			for range 2 {
				if names, held := s.after(20*time.Minute, objects.KindNode); !strings.HasPrefix(names, "n1,n2,n3") || len(held) == 0 {
					t.Errorf("Nodes in force: %s, held %q", names, held)
				}
			}
		})
	}
}

// TestGuardBelievesOneNodeWhileSubnetsAreHeld: the two have nothing to do with each
// other as long as other Nodes are there.
func TestGuardBelievesOneNodeWhileSubnetsAreHeld(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.nodes("u", "n1", "n2")
	s.subnets("a", "b")
	s.want(0, objects.KindNode, "n1,n2", 0)
	s.lose(objects.KindSubnet, "a", "b")
	s.want(time.Minute, objects.KindSubnet, "a,b", 1)
	s.lose(objects.KindNode, "n1")
	s.want(settleLastNode, objects.KindNode, "n2", 1)
}

func TestGuardOfANodeThatIsRegisteredAgain(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.nodes("u", "n1", "n2")
	s.subnets("a", "b")
	s.want(0, objects.KindNode, "n1,n2", 0)
	s.lose(objects.KindNode, "n2")
	s.want(settleNode, objects.KindNode, "n1", 0)
	s.nodes("another", "n2")
	s.want(time.Minute, objects.KindNode, "n1,n2", 0)
	// It counts as one that is left.
	s.lose(objects.KindNode, "n1")
	s.want(settleNode, objects.KindNode, "n2", 0)
}

func TestGuardIsConfirmedOnTheOwnNodeAlone(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.nodes("u", "n1", "n2")
	s.subnets("a", "b")
	s.want(0, objects.KindSubnet, "a,b", 0)
	s.lose(objects.KindSubnet, "a", "b")
	s.put(objects.Node{Node: routes.Node{Name: "n2", Annotations: map[string]string{ConfirmMassWithdraw: "true"}}}, objects.KindNode, "n2")
	s.want(time.Minute, objects.KindSubnet, "a,b", 1)
}

func TestGuardOfTheNode(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.put(objects.Node{}, objects.KindNode, "n1")
	s.subnets("a", "b")
	s.want(0, objects.KindNode, "n1", 0)
	s.lose(objects.KindNode, "n1")
	s.lose(objects.KindSubnet, "a", "b")
	s.want(30*time.Minute, objects.KindNode, "n1", 2)
	// Nobody can annotate what is not there.
	_, held := s.after(0, objects.KindNode)
	for _, line := range held {
		if !strings.Contains(line, "stop fairway") || strings.Contains(line, ConfirmMassWithdraw) {
			t.Errorf("what to do now is not said: %s", line)
		}
	}
	s.want(time.Hour, objects.KindNode, "", 0)
}
