package daemon

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// heartbeatsEvery is the time between two looks at the heartbeats of all daemons.
const heartbeatsEvery = 10 * time.Second

// deafFor is how long nothing is reported after the API server was away: meanwhile no
// daemon could renew its Lease, and all of them look dead.
const deafFor = 20 * time.Second

// said is what the nodes say of themselves, and which of them live. Where unreadable is
// not "", that is why their Speakers cannot be read.
type said struct {
	speakers   map[string]*v1alpha1.Speaker
	unreadable string
	beats      account.Heartbeats
}

// sendingOf gives what the node of a plan has sent of it; nothing where its daemon does
// not live.
func (s said) sendingOf(plan policy.Plan) account.Sending {
	speaker := s.speakers[plan.Node]
	if !s.beats.Of(speaker).Speaks() {
		return account.Sending{}
	}
	return account.SendingOf(speaker, plan.Adverts)
}

// outlook is what becomes of the cluster's Subnets and BGPPeers.
type outlook struct {
	subnets map[string]verdict
	// gateway has the Subnets whose verdict's why comes from a gateway.
	gateway    map[string]bool
	neighbours account.Neighbours
	peers      map[string]v1alpha1.BGPPeerStatus
}

// outlookOf looks at everything that is known.
func outlookOf(v kube.LiveView, said said) outlook {
	o := outlookFor(v.Snapshot, said)
	o.neighbours.Problems, o.neighbours.Generations = v.Problems, map[string]int64{}
	for name, is := range v.Peers {
		o.neighbours.Generations[name] = is.Generation
	}
	o.peers = o.neighbours.Statuses()
	return o
}

// outlookFor plans for every node, and asks what became of it.
func outlookFor(s policy.Snapshot, said said) outlook {
	o := outlook{subnets: map[string]verdict{}, gateway: map[string]bool{}, neighbours: account.Neighbours{
		Snapshot: s, Planned: map[string][]string{}, Refused: map[string][]v1alpha1.FailingNode{},
		Speakers: said.speakers, Unreadable: said.unreadable, Heartbeats: said.beats,
	}}
	for i := range s.Nodes {
		plan := policy.Make(s, s.Nodes[i].Name)
		o.addWithheld(plan)
		o.addAdverts(plan, said)
		o.addWarnings(plan)
		o.addSessions(plan)
	}
	return o
}

// addSessions adds which BGPPeers a node has a session with by its plan, and which it
// cannot have.
func (o outlook) addSessions(plan policy.Plan) {
	for i := range plan.Sessions {
		peer := plan.Sessions[i].Peer
		o.neighbours.Planned[peer] = append(o.neighbours.Planned[peer], plan.Node)
	}
	for _, w := range plan.Warnings {
		if w.Reason == routes.InvalidPeer {
			o.neighbours.Refused[w.Peer] = append(o.neighbours.Refused[w.Peer], v1alpha1.FailingNode{Node: plan.Node, Why: w.Why()})
		}
	}
}

// listener hears what the nodes say.
type listener struct {
	cluster  *kube.Cluster
	speakers *kube.Speakers
	log      *logrus.Entry
	// changes counts what came from the Speakers.
	changes atomic.Int64
	beats   account.Heartbeats
	beatsAt time.Time
	// deafAt is when the API server was away last.
	deafAt time.Time
	// failing is what was logged last, by what cannot be read.
	failing map[string]string
}

// listen follows the Speakers until stop is called.
func (r Reporter) listen(ctx context.Context) (l *listener, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	l = &listener{cluster: r.Cluster, log: r.Log, failing: map[string]string{}}
	l.speakers = kube.NewSpeakers(r.Cluster, func() { l.changes.Add(1) }, r.Log)
	var following sync.WaitGroup
	following.Go(func() { l.speakers.Run(ctx) })
	return l, func() { cancel(); following.Wait() }
}

// scene is what there is to judge by at one moment, and by which version of it.
type scene struct {
	said
	serial    uint64
	changes   int64
	standings map[string]account.Standing
}

// same reports whether another scene is judged alike.
func (s scene) same(t scene) bool {
	return s.serial == t.serial && s.changes == t.changes && s.unreadable == t.unreadable && maps.Equal(s.standings, t.standings)
}

// scene gives what is known now; false where that is not in step.
func (l *listener) scene(ctx context.Context, serial uint64) (scene, bool) {
	s := scene{serial: serial, changes: l.changes.Load(), standings: map[string]account.Standing{}}
	byNode, why := l.speakers.Latest()
	if why != "" && !l.speakers.Refused() {
		return scene{}, false
	}
	l.note("Speakers cannot be read, so that what is reported goes by the plan", why)
	s.speakers, s.unreadable = byNode, why
	if !l.listenForHeartbeats(ctx) {
		return scene{}, false
	}
	s.beats = l.beats
	for node, speaker := range byNode {
		s.standings[node] = s.beats.Of(speaker)
	}
	return s, true
}

// listenForHeartbeats looks who lives, from time to time. Without the right to, all do.
func (l *listener) listenForHeartbeats(ctx context.Context) bool {
	if time.Since(l.beatsAt) < heartbeatsEvery {
		return true
	}
	last, at, err := l.cluster.Heartbeats(ctx, l.cluster.Namespace())
	why := ""
	switch {
	case kube.IsRefusal(err):
		why = err.Error()
	case err != nil:
		l.deafAt = time.Now()
		return false
	case time.Since(l.deafAt) < deafFor:
		return false
	}
	l.note("heartbeats cannot be read, so that a daemon that was killed is not noticed", why)
	l.beats, l.beatsAt = account.Heartbeats{At: at, Last: last}, time.Now()
	return true
}

// note logs what cannot be read, once.
func (l *listener) note(what, why string) {
	if why != "" && l.failing[what] != why {
		l.log.Warnf("%s: %s", what, why)
	}
	l.failing[what] = why
}
