package kube

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// storm drives a guard with a clock of its own.
type storm struct {
	*testing.T
	guard  guard
	now    time.Time
	have   map[key]stored
	lapsed map[string]bool
}

func newStorm(t *testing.T, delay time.Duration) *storm {
	return &storm{
		T: t, guard: guard{delay: delay, settings: routes.DefaultSettings},
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), have: map[key]stored{}, lapsed: map[string]bool{},
	}
}

func (s *storm) subnets(names ...string) {
	for _, n := range names {
		s.put(subnetDraft{Subnet: routes.Subnet{Name: n, Annotations: map[string]string{routes.AnnotationAdvertise: "true"}}}, kindSubnet, n)
	}
}

func (s *storm) put(value any, kind, name string) {
	k := key{kind: kind, name: name}
	s.have[k] = stored{object: object{key: k, value: value}}
}

func (s *storm) lose(kind string, names ...string) {
	for _, n := range names {
		delete(s.have, key{kind: kind, name: n})
	}
}

// after lets time pass in small steps, as a following does, and gives the names
// in force of a kind, and what is held.
func (s *storm) after(d time.Duration, kind string) (names string, held []string) {
	for end := s.now.Add(d); ; s.now = s.now.Add(min(200*time.Millisecond, end.Sub(s.now))) {
		held, _ = s.guard.step(sight{now: s.now, have: s.have, lapsed: s.lapsed, known: func(k key) bool { return true }})
		if !s.now.Before(end) {
			break
		}
	}
	var out []string
	for k := range s.guard.force {
		if k.kind == kind {
			out = append(out, k.name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ","), held
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
	s.want(0, kindSubnet, "a,b,c", 0)
	s.lose(kindSubnet, "a")
	s.want(0, kindSubnet, "a,b,c", 0)
	s.want(settleDeletion, kindSubnet, "b,c", 0)
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
			s.want(0, kindSubnet, all, 0)
			s.lose(kindSubnet, c.lost...)
			s.want(settleDeletion, kindSubnet, all, 1)
			s.want(time.Hour-2*settleDeletion, kindSubnet, all, 1)
			rest := slices.DeleteFunc(slices.Clone(c.all), func(n string) bool { return slices.Contains(c.lost, n) })
			s.want(2*settleDeletion, kindSubnet, strings.Join(rest, ","), 0)
		})
	}
}

func TestGuardHoldsWhatGoesOneByOne(t *testing.T) {
	s := newStorm(t, time.Hour)
	names := many(40)
	s.subnets(names...)
	s.put(subnetDraft{Subnet: routes.Subnet{Name: "join"}}, kindSubnet, "join")
	all := "join," + strings.Join(names, ",")
	s.want(0, kindSubnet, all, 0)
	for _, n := range names {
		s.lose(kindSubnet, n)
		s.after(50*time.Millisecond, kindSubnet)
	}
	s.want(10*time.Second, kindSubnet, all, 1)
}

func TestGuardLetsThroughWhatPeopleDo(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.subnets("a", "b")
	s.want(0, kindSubnet, "a,b", 0)
	// Un-annotated: no deletion at all.
	for _, n := range []string{"a", "b"} {
		s.put(subnetDraft{Subnet: routes.Subnet{Name: n}}, kindSubnet, n)
	}
	s.after(0, kindSubnet)
	for k, o := range s.guard.force {
		if s.guard.counts(o) {
			t.Errorf("%s is still selected", k)
		}
	}
	// Nobody announces what is not selected.
	s.lose(kindSubnet, "a", "b")
	s.want(0, kindSubnet, "", 0)
}

func TestGuardHoldsDeletionsThatWaitForFinalizers(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.subnets("a", "b")
	s.want(0, kindSubnet, "a,b", 0)
	deleting := func(n, advertise string) {
		s.put(subnetDraft{Subnet: routes.Subnet{Name: n, Deleting: true, Annotations: map[string]string{routes.AnnotationAdvertise: advertise}}}, kindSubnet, n)
	}
	deleting("a", "true")
	deleting("b", "true")
	s.want(time.Minute, kindSubnet, "a,b", 1)
	inForce := func(n string) routes.Subnet {
		return s.guard.force[key{kind: kindSubnet, name: n}].value.(subnetDraft).Subnet
	}
	if inForce("a").Deleting || inForce("b").Deleting {
		t.Error("the deletion counts already")
	}
	// A person takes one of them out of service all the same.
	deleting("a", "false")
	s.after(0, kindSubnet)
	if !inForce("a").Deleting || inForce("b").Deleting {
		t.Error("a was to be let go, and b to be held")
	}
	s.want(2*time.Hour, kindSubnet, "a,b", 0)
	if !inForce("b").Deleting {
		t.Error("the deletion never counts")
	}
}

func TestGuardForgetsWhatComesBack(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.subnets("a", "b")
	s.want(0, kindSubnet, "a,b", 0)
	s.lose(kindSubnet, "a", "b")
	s.want(time.Minute, kindSubnet, "a,b", 1)
	s.subnets("a", "b")
	s.want(0, kindSubnet, "a,b", 0)
	s.want(2*time.Hour, kindSubnet, "a,b", 0)
}

func TestGuardIsConfirmed(t *testing.T) {
	node := nodeDraft{Node: routes.Node{Name: "n1", Annotations: map[string]string{ConfirmMassWithdraw: "true"}}}
	s := newStorm(t, time.Hour)
	s.put(nodeDraft{Node: routes.Node{Name: "n1"}}, kindNode, "n1")
	s.subnets("a", "b")
	s.want(0, kindSubnet, "a,b", 0)
	s.lose(kindSubnet, "a", "b")
	s.want(time.Minute, kindSubnet, "a,b", 1)
	s.put(node, kindNode, "n1")
	s.want(0, kindSubnet, "", 0)
}

func TestGuardOffBelievesEverything(t *testing.T) {
	s := newStorm(t, 0)
	s.put(nodeDraft{}, kindNode, "n1")
	s.subnets("a", "b")
	s.want(0, kindSubnet, "a,b", 0)
	s.lose(kindSubnet, "a", "b")
	s.lose(kindNode, "n1")
	s.want(0, kindSubnet, "", 0)
	s.want(0, kindNode, "", 0)
}

func TestGuardOfPeersAndNode(t *testing.T) {
	s := newStorm(t, time.Hour)
	s.put(nodeDraft{}, kindNode, "n1")
	s.put(peerDraft{}, kindBGPPeer, "a")
	s.put(peerDraft{}, kindBGPPeer, "b")
	s.want(0, kindBGPPeer, "a,b", 0)
	s.lose(kindBGPPeer, "a")
	s.want(0, kindBGPPeer, "b", 0)
	s.lose(kindBGPPeer, "b")
	s.want(time.Second, kindBGPPeer, "b", 0)
	s.want(time.Second, kindBGPPeer, "", 0)

	// With their CRD gone too, nobody meant the peers.
	s.put(peerDraft{}, kindBGPPeer, "a")
	s.want(0, kindBGPPeer, "a", 0)
	s.lose(kindBGPPeer, "a")
	s.lapsed[kindBGPPeer] = true
	s.want(time.Minute, kindBGPPeer, "a", 1)

	s.lose(kindNode, "n1")
	s.want(30*time.Minute, kindNode, "n1", 2)
	s.want(time.Hour, kindNode, "", 0)
}
