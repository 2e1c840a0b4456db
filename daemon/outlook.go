package daemon

import (
	"context"
	"maps"
	"slices"
	"strings"
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

// sendingOf gives what a node has sent of its plan; nothing where its daemon does not live.
func (s said) sendingOf(node string) account.Sending {
	speaker := s.speakers[node]
	if !s.beats.Of(speaker).Speaks() {
		return account.Sending{}
	}
	return account.SendingOf(speaker)
}

// outlook is what becomes of the cluster's Subnets and BGPPeers.
type outlook struct {
	subnets map[string]verdict
	// gateway has the Subnets whose verdict's why comes from a gateway.
	gateway    map[string]bool
	neighbours account.Neighbours
	peers      map[string]v1alpha1.BGPPeerStatus
}

// outlookOf adds to the plans of all nodes what the nodes say.
func outlookOf(v kube.LiveView, plans plans, said said) outlook {
	o := plans.after(said)
	o.neighbours.Problems, o.neighbours.Generations = v.Problems, map[string]int64{}
	for name, is := range v.Peers {
		o.neighbours.Generations[name] = is.Generation
	}
	o.peers = o.neighbours.Statuses()
	return o
}

// plans is what there is to say by the plans of all nodes, before any node is asked: of a
// Subnet that is announced, and that nothing else is to be said of, only by which nodes.
// They are made anew for other objects alone: Speakers change far more often.
type plans struct {
	outlook
	nodes []nodePlan
}

// nodePlan is which Subnets one node's plan announces, by name, sorted. whole leaves out
// those of which only Pods are: of Pods only those on the reporter's own node are known.
// Lists that are equal are one.
type nodePlan struct {
	node       string
	all, whole []string
}

// plansOf plans for every node.
func plansOf(s policy.Snapshot) plans {
	p := plans{outlook: outlook{subnets: map[string]verdict{}, gateway: map[string]bool{}, neighbours: account.Neighbours{
		Snapshot: s, Planned: map[string][]string{}, Refused: map[string][]v1alpha1.FailingNode{},
	}}}
	for i := range s.Nodes {
		plan := policy.Make(s, s.Nodes[i].Name)
		p.addWithheld(plan)
		p.addAdverts(plan)
		p.addWarnings(plan, p.nodes[i].all)
		p.addSessions(plan)
	}
	return p
}

// addAdverts adds what a node's plan announces.
func (p *plans) addAdverts(plan policy.Plan) {
	now := nodePlan{node: plan.Node}
	for _, a := range plan.Adverts {
		now.all = append(now.all, a.Subnet)
		if a.Role != routes.RolePod {
			now.whole = append(now.whole, a.Subnet)
		} else {
			ownOf(p.subnets, a.Subnet)
		}
	}
	now.all, now.whole = routes.SortedSet(now.all, strings.Compare), routes.SortedSet(now.whole, strings.Compare)
	if n := len(p.nodes); n > 0 {
		now.all, now.whole = shared(p.nodes[n-1].all, now.all), shared(p.nodes[n-1].whole, now.whole)
	}
	now.whole = shared(now.all, now.whole)
	p.nodes = append(p.nodes, now)
}

// shared gives one list for two that are equal.
func shared(a, b []string) []string {
	if slices.Equal(a, b) {
		return a
	}
	return b
}

// after gives what becomes of everything by what the nodes say. p stays as it is.
func (p plans) after(said said) outlook {
	o, most := p.outlook, len(p.subnets)
	for i := range p.nodes {
		most = max(most, len(p.nodes[i].whole))
	}
	o.subnets = make(map[string]verdict, most)
	maps.Copy(o.subnets, p.subnets)
	o.neighbours.Speakers, o.neighbours.Unreadable, o.neighbours.Heartbeats = said.speakers, said.unreadable, said.beats
	for i := range p.nodes {
		o.addSent(&p.nodes[i], said)
	}
	return o
}

// addSent adds what a node is to announce, what it has sent of that, and why not the rest.
func (o outlook) addSent(n *nodePlan, said said) {
	sending := said.sendingOf(n.node)
	for _, name := range n.whole {
		v := o.subnets[name]
		v.nodes++
		v.byPlan = said.unreadable != ""
		switch {
		case v.byPlan || sending.Sent(name):
		case sending.Unsure:
			v.own = true
		case len(v.unsent) < mostUnsent:
			v.unsent = append(v.unsent, n.node+": "+account.WhyNotSent(said.speakers[n.node], said.beats, name))
		}
		o.subnets[name] = v
	}
	if sending.All {
		for _, name := range n.all {
			o.countSent(name)
		}
	}
	for name := range sending.Named {
		if _, planned := slices.BinarySearch(n.all, name); !planned || !sending.All {
			o.countSent(name)
		}
	}
}

// countSent counts a node that has sent a Subnet which is selected.
func (o outlook) countSent(name string) {
	if v, selected := o.subnets[name]; selected {
		v.sent++
		o.subnets[name] = v
	}
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
