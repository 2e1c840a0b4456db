package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/objects"
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
	// settlePeer is the same for BGPPeers, until their CRD is seen to be gone too:
	// nothing else tells the last of them from one that was deleted by hand.
	settlePeer = 2 * time.Second
	// settleNode is the same for Nodes, counted from the last object of any kind that
	// went: OVN cuts a node off as soon as its Node is deleted (pkg/controller/node.go,
	// handleDeleteNode), but an etcd that is emptied tells of it one object after the
	// other.
	settleNode = 300 * time.Millisecond
	// settleLastNode is how long the deletion of the last Node waits for that of the
	// Subnets: lists of two kinds that are read anew come seconds apart.
	settleLastNode = 10 * time.Second
	// manyDeletions at once are a mass, whatever is left.
	manyDeletions = 10
)

// guard stands between what a cluster has and what counts. An object that is
// taken out of service by hand (an annotation) leaves at once; objects that
// vanish in a mass (CRD deleted, etcd emptied or restored, a pruning tool gone
// astray) stay in force until time or a person confirms it. A Node that goes alone
// is believed almost at once: its node can carry nothing any more.
type guard struct {
	// node is the daemon's own, on which a person confirms.
	node string
	// delay is how long a mass stays; 0 believes every deletion at once.
	delay    time.Duration
	settings routes.Settings
	// force is what counts. gone is what is missing of it. news has what came into force,
	// went out of it, or changed, since take, as it was before: nil for what was not there.
	force map[objects.Key]*stored
	gone  map[objects.Key]absence
	news  map[objects.Key]*stored
	// anew are the Nodes that came, or came back, since the first of those that are
	// missing went. noneLeft is true while no Node is there that was there before.
	anew     map[objects.Key]bool
	noneLeft bool
}

// absence says since when an object is missing. mass is true once it was judged
// to be one of many, and stays true: who brings them back does so one by one.
type absence struct {
	since time.Time
	mass  bool
}

// observation is what can be seen of the cluster at one moment.
type observation struct {
	now time.Time
	// have is what is there. Of what has not changed since the last observation, and is
	// not in news, nothing is said anew, unless all is true: then it is all news.
	have map[objects.Key]*stored
	news []objects.Key
	all  bool
	// known reports whether have is the whole truth about the object's kind.
	known func(objects.Key) bool
	// lapsed are the kinds that cannot be followed right now.
	lapsed map[string]bool
}

// step brings force up to date. It gives a line for each kind of which objects
// are held, and when to look again; the zero time for never.
func (g *guard) step(s observation) (held []string, again time.Time) {
	if g.force == nil {
		g.restore(map[objects.Key]*stored{})
	}
	if g.anew == nil || g.missing(objects.KindNode) == 0 {
		g.anew = map[objects.Key]bool{}
	}
	g.takeIn(s)
	confirmed := g.delay == 0 || g.confirmed()
	g.judge(s)
	until := map[string]time.Time{}
	var believed []objects.Key
	for k := range g.gone {
		due := g.due(k)
		switch {
		case confirmed || !s.now.Before(due) || g.replaced(k, s):
			believed = append(believed, k)
		case !g.settled(k, s.now):
			again = earlier(again, g.settles(k))
		default:
			again = earlier(again, due)
			until[k.Kind] = later(until[k.Kind], due)
		}
	}
	for _, k := range believed {
		g.release(k, s)
	}
	for _, kind := range slices.Sorted(maps.Keys(until)) {
		held = append(held, g.line(kind, s.now, until[kind]))
	}
	return held, again
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// restore puts objects into force in the place of all that is.
func (g *guard) restore(force map[objects.Key]*stored) {
	g.force, g.gone, g.news = force, map[objects.Key]absence{}, map[objects.Key]*stored{}
	for k := range force {
		g.news[k] = nil
	}
}

// put puts an object into force, or takes it out where it is nil.
func (g *guard) put(k objects.Key, o *stored) {
	before := g.force[k]
	if before == o {
		return
	}
	if _, noted := g.news[k]; !noted {
		g.news[k] = before
	}
	if o == nil {
		delete(g.force, k)
		return
	}
	g.force[k] = o
}

// take gives what came into force, went or changed since the last take, as it was then.
func (g *guard) take() map[objects.Key]*stored {
	news := g.news
	g.news = map[objects.Key]*stored{}
	return news
}

// takeIn puts into force what is there, and notes what is missing.
func (g *guard) takeIn(s observation) {
	if !s.all {
		for _, k := range s.news {
			g.takeInOne(k, s)
		}
		return
	}
	for k := range s.have {
		g.takeInOne(k, s)
	}
	for k := range g.force {
		if s.have[k] == nil {
			g.takeInOne(k, s)
		}
	}
}

func (g *guard) takeInOne(k objects.Key, s observation) {
	o, old := s.have[k], g.force[k]
	switch {
	case o == nil && old == nil:
	case o == nil:
		if s.known(k) {
			g.miss(k, s.now)
		}
	case old != nil && g.leaves(o) && !g.leaves(old) && g.counts(o):
		g.miss(k, s.now)
	default:
		if _, was := g.gone[k]; k.Kind == objects.KindNode && (old == nil || was || old.uid != "" && old.uid != o.uid) {
			g.anew[k] = true
		}
		g.put(k, o)
		delete(g.gone, k)
	}
}

func (g *guard) miss(k objects.Key, now time.Time) {
	if _, noted := g.gone[k]; !noted {
		g.gone[k] = absence{since: now}
	}
}

// release lets an object go, or be deleted, that was missing.
func (g *guard) release(k objects.Key, s observation) {
	delete(g.gone, k)
	g.put(k, s.have[k])
}

// leaves reports whether an object has been deleted and only waits for its
// finalizers.
func (g *guard) leaves(o *stored) bool {
	d, ok := o.value().(*objects.Subnet)
	return ok && d.Deleting
}

// counts reports whether an object is a Subnet that is announced if it can be.
func (g *guard) counts(o *stored) bool {
	d, ok := o.value().(*objects.Subnet)
	return ok && routes.Selected(d.Annotations, g.settings)
}

func (g *guard) confirmed() bool {
	d, ok := g.force[objects.Key{Kind: objects.KindNode, Name: g.node}].value().(objects.Node)
	return ok && d.Annotations[ConfirmMassWithdraw] == "true"
}

// judge finds the objects that are missing as some of many. That nothing is left
// is seen at once: in a moment somebody may have brought the first of them back.
// That a kind lapsed counts only after a while: it may be a broken connection.
func (g *guard) judge(s observation) {
	together := map[string]bool{
		objects.KindSubnet: g.massOfSubnets(s), objects.KindBGPPeer: g.massOfPeers(s), objects.KindNode: g.massOfNodes(s),
	}
	for k, a := range g.gone {
		// A Node is told from those of a lost connection by what else is there.
		lapsed := k.Kind != objects.KindNode && s.lapsed[k.Kind] && g.settled(k, s.now)
		if g.doubted(k) && (together[k.Kind] || lapsed) {
			a.mass = true
			g.gone[k] = a
		}
	}
}

// settled reports whether an object is missing for so long that the others would
// be, too.
func (g *guard) settled(k objects.Key, now time.Time) bool {
	return !now.Before(g.settles(k))
}

// settles gives when it is.
func (g *guard) settles(k objects.Key) time.Time {
	since := g.gone[k].since
	switch k.Kind {
	case objects.KindSubnet:
		return since.Add(settleDeletion)
	case objects.KindBGPPeer:
		return since.Add(settlePeer)
	case objects.KindNode:
		return earlier(since.Add(settleLastNode), g.lastGone().Add(settleNode))
	}
	return since
}

// lastGone is when the newest of the missing objects went.
func (g *guard) lastGone() time.Time {
	var last time.Time
	for _, a := range g.gone {
		last = later(last, a.since)
	}
	return last
}

// doubted reports whether the deletion of an object may take routes away that
// nobody meant to.
func (g *guard) doubted(k objects.Key) bool {
	switch k.Kind {
	case objects.KindSubnet:
		return g.counts(g.force[k])
	case objects.KindBGPPeer, objects.KindNode:
		return true
	}
	return false
}

// due says until when a missing object stays in force.
func (g *guard) due(k objects.Key) time.Time {
	switch {
	case !g.doubted(k):
		return g.gone[k].since
	case g.gone[k].mass:
		return later(g.gone[k].since.Add(g.delay), g.settles(k))
	case g.leaves(g.force[k]):
		return g.gone[k].since // it was seen to be on its way out
	case k.Kind == objects.KindNode && g.noneLeft:
		return g.gone[k].since.Add(settleLastNode)
	}
	return g.settles(k)
}

// replaced reports whether a BGPPeer went because another has its address now, as
// when it got a new name. Two with one address cannot both have their session.
func (g *guard) replaced(k objects.Key, s observation) bool {
	old, ok := g.force[k].value().(objects.Peer)
	if !ok {
		return false
	}
	for _, o := range s.have {
		if p, ok := o.Value.(objects.Peer); ok && objects.SameSession(p.Peer, old.Peer) {
			return true
		}
	}
	return false
}

// massOfSubnets judges the Subnets that are missing together.
func (g *guard) massOfSubnets(s observation) bool {
	missing := g.missing(objects.KindSubnet)
	if missing == 0 || missing >= manyDeletions {
		return missing > 0
	}
	// A Kube-OVN cluster always has the join Subnet and the default one.
	anyLeft := g.remain(s, objects.KindSubnet, func(*stored) bool { return true }) > 0
	return !anyLeft || missing > 1 && g.remain(s, objects.KindSubnet, g.counts) == 0
}

// massOfPeers judges the BGPPeers that are missing together. The last one alone
// is a mass only if its CRD went too: a cluster may have but one.
func (g *guard) massOfPeers(s observation) bool {
	missing := g.missing(objects.KindBGPPeer)
	return missing >= manyDeletions || missing > 1 && g.remain(s, objects.KindBGPPeer, func(*stored) bool { return true }) == 0
}

// massOfNodes judges the Nodes that are missing together: all of them, while the
// Subnets vanish too or cannot be seen. Else it is a Node that was deleted, and that
// Kube-OVN cuts off, were it the last.
func (g *guard) massOfNodes(s observation) bool {
	g.noneLeft = g.missing(objects.KindNode) > 0 &&
		g.remain(s, objects.KindNode, func(o *stored) bool { return !g.anew[o.Key] }) == 0
	return g.noneLeft && (g.massOfSubnets(s) || s.lapsed[objects.KindSubnet] || s.lapsed[objects.KindNode])
}

// missing counts the objects of a kind that are gone and were in use.
func (g *guard) missing(kind string) int {
	n := 0
	for k := range g.gone {
		if k.Kind == kind && g.doubted(k) {
			n++
		}
	}
	return n
}

// remain counts the objects of a kind that are there to stay.
func (g *guard) remain(s observation, kind string, counts func(*stored) bool) int {
	n := 0
	for k, o := range s.have {
		if k.Kind == kind && !g.leaves(o) && counts(o) {
			n++
		}
	}
	return n
}

func (g *guard) line(kind string, now, until time.Time) string {
	const most = 3
	var names []string
	withdraw := fmt.Sprintf("to withdraw now, annotate this Node with %s=true", ConfirmMassWithdraw)
	if _, gone := g.gone[objects.Key{Kind: objects.KindNode, Name: g.node}]; gone {
		withdraw = "this Node is gone, so that nobody can confirm it there; to withdraw now, stop fairway on this node"
	}
	for _, k := range slices.SortedFunc(maps.Keys(g.gone), objects.Key.Compare) {
		if k.Kind == kind && g.settled(k, now) {
			names = append(names, k.Name)
		}
	}
	shown := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		shown += ", …"
	}
	return fmt.Sprintf("%d of kind %s vanished together (%s): kept in force until %s; %s",
		len(names), kind, shown, until.UTC().Format(time.RFC3339), withdraw)
}
