package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// ConfirmMassWithdraw is the annotation on a Node with which a person confirms
// that what vanished shall be withdrawn; "true" as long as it stands.
const ConfirmMassWithdraw = routes.AnnotationConfirm

// When a deletion is believed.
const (
	// settleDeletion is how long deletions are collected before they are judged:
	// a CRD that is deleted takes its objects with it one by one.
	settleDeletion = time.Second
	// settleLastPeer is the same for the last BGPPeer, until its CRD is gone too.
	settleLastPeer = 2 * time.Second
	// manyDeletions at once are a mass, whatever is left.
	manyDeletions = 10
)

// guard stands between what a cluster has and what counts. An object that is
// taken out of service by hand (an annotation) leaves at once; objects that
// vanish in a mass (CRD deleted, etcd emptied or restored, a pruning tool gone
// astray) stay in force until time or a person confirms it.
type guard struct {
	// delay is how long a mass stays; 0 believes every deletion at once.
	delay    time.Duration
	settings routes.Settings
	// force is what counts. gone says since when something of it is missing.
	force map[key]stored
	gone  map[key]time.Time
}

// sight is what can be seen of the cluster at one moment.
type sight struct {
	now  time.Time
	have map[key]stored
	// known reports whether have is the whole truth about the object's kind.
	known func(key) bool
	// lapsed are the kinds that cannot be followed right now.
	lapsed map[string]bool
}

// step brings force up to date. It gives a line for each kind of which objects
// are held, and when to look again; the zero time for never.
func (g *guard) step(s sight) (held []string, again time.Time) {
	if g.force == nil {
		g.force, g.gone = map[key]stored{}, map[key]time.Time{}
	}
	g.takeIn(s)
	confirmed := g.delay == 0 || g.confirmed()
	massOfSubnets := g.massOfSubnets(s)
	until := map[string]time.Time{}
	var believed []key
	for k, since := range g.gone {
		wait, mass := g.doubt(k, s, massOfSubnets)
		due := since.Add(wait)
		if confirmed || !s.now.Before(due) {
			believed = append(believed, k)
			continue
		}
		if again.IsZero() || due.Before(again) {
			again = due
		}
		if mass && due.After(until[k.kind]) {
			until[k.kind] = due
		}
	}
	for _, k := range believed {
		g.release(k, s)
	}
	for _, kind := range slices.Sorted(maps.Keys(until)) {
		held = append(held, g.line(kind, until[kind]))
	}
	return held, again
}

// takeIn puts into force what is there, and notes what is missing.
func (g *guard) takeIn(s sight) {
	for k, o := range s.have {
		old, had := g.force[k]
		if had && g.leaves(o) && !g.leaves(old) && g.counts(o) {
			g.miss(k, s.now)
			continue
		}
		g.force[k] = o
		delete(g.gone, k)
	}
	for k := range g.force {
		if _, there := s.have[k]; !there && s.known(k) {
			g.miss(k, s.now)
		}
	}
}

func (g *guard) miss(k key, now time.Time) {
	if _, noted := g.gone[k]; !noted {
		g.gone[k] = now
	}
}

// release lets an object go, or be deleted, that was missing.
func (g *guard) release(k key, s sight) {
	delete(g.gone, k)
	if o, there := s.have[k]; there {
		g.force[k] = o
		return
	}
	delete(g.force, k)
}

// leaves reports whether an object has been deleted and only waits for its
// finalizers.
func (g *guard) leaves(o stored) bool {
	d, ok := o.value.(subnetDraft)
	return ok && d.Deleting
}

// counts reports whether an object is a Subnet that is announced if it can be.
func (g *guard) counts(o stored) bool {
	d, ok := o.value.(subnetDraft)
	return ok && routes.Selected(d.Annotations, g.settings)
}

func (g *guard) confirmed() bool {
	for k, o := range g.force {
		if d, ok := o.value.(nodeDraft); ok && k.kind == kindNode && d.Annotations[ConfirmMassWithdraw] == "true" {
			return true
		}
	}
	return false
}

// doubt says how long a missing object stays in force, and whether that is
// because it is one of many.
func (g *guard) doubt(k key, s sight, massOfSubnets bool) (wait time.Duration, mass bool) {
	switch k.kind {
	case kindSubnet:
		if !g.counts(g.force[k]) {
			return 0, false
		}
		if s.now.Sub(g.gone[k]) >= settleDeletion && massOfSubnets {
			return max(g.delay, settleDeletion), true
		}
		return settleDeletion, false
	case kindBGPPeer:
		if g.remain(s, kindBGPPeer, func(stored) bool { return true }) > 0 {
			return 0, false
		}
		if s.lapsed[kindBGPPeer] && s.now.Sub(g.gone[k]) >= settleLastPeer {
			return max(g.delay, settleLastPeer), true
		}
		return settleLastPeer, false
	case kindNode:
		// Without its Node a daemon would withdraw everything.
		return g.delay, true
	}
	return 0, false
}

// massOfSubnets judges the Subnets that are missing together.
func (g *guard) massOfSubnets(s sight) bool {
	missing := 0
	for k := range g.gone {
		if k.kind == kindSubnet && g.counts(g.force[k]) {
			missing++
		}
	}
	if s.lapsed[kindSubnet] || missing >= manyDeletions {
		return true
	}
	// A Kube-OVN cluster always has the join Subnet and the default one.
	anyLeft := g.remain(s, kindSubnet, func(stored) bool { return true }) > 0
	return !anyLeft || missing > 1 && g.remain(s, kindSubnet, g.counts) == 0
}

// remain counts the objects of a kind that are there to stay.
func (g *guard) remain(s sight, kind string, counts func(stored) bool) int {
	n := 0
	for k, o := range s.have {
		if k.kind == kind && !g.leaves(o) && counts(o) {
			n++
		}
	}
	return n
}

func (g *guard) line(kind string, until time.Time) string {
	const most = 3
	var names []string
	for _, k := range slices.SortedFunc(maps.Keys(g.gone), key.compare) {
		if k.kind == kind && (kind != kindSubnet || g.counts(g.force[k])) {
			names = append(names, k.name)
		}
	}
	shown := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		shown += ", …"
	}
	return fmt.Sprintf("%d of kind %s vanished together (%s): kept in force until %s; to withdraw now, annotate this Node with %s=true",
		len(names), kind, shown, until.UTC().Format(time.RFC3339), ConfirmMassWithdraw)
}
