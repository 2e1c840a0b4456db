package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/fields"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// following is the state of Run, in its goroutine.
type following struct {
	*Live
	started time.Time
	// heard is when the first of what has not been published was heard of; zero for
	// nothing.
	heard   time.Time
	running sync.WaitGroup
	// follow begins to keep a feed in step, until ctx ends.
	follow func(ctx context.Context, feed *feed)
	// base are the feeds that there always are. pods and vlans are nil while no
	// Subnet needs them; secrets are by name.
	base        []*feed
	pods, vlans *feed
	secrets     map[string]*feed
	// stop ends the feeds that come and go, by kind and name; begun is when the
	// newest of them began.
	stop  map[objects.Key]context.CancelFunc
	begun time.Time
	guard guard
	// conditions say how well the feeds worked in this pass, from before what they have was
	// looked at: of one that had been read, all of it is seen. A feed that began in this
	// pass has none.
	conditions map[*feed]feedState
	// have is what the feeds had at the last pass, and shape which feeds those were.
	have  map[objects.Key]*stored
	shape []feedShape
	// ending are the Pods of have that are being deleted.
	ending ending
	// assembly is what is in force comes to; settled is how well the Secrets could be read
	// when its BGPPeers were settled last.
	assembly assembly
	settled  map[string]feedState
	// last is the last-known state while it does not count yet.
	last *lastKnown
	// saved is the time of the last-known state while it stands in for something.
	saved time.Time
	// noState says why there was none.
	noState  string
	saver    *saver
	lastSave time.Time
	// unsaved is when the source was in step last, where something has changed since
	// lastSave; else zero.
	unsaved time.Time
	// savedAnnotations are those that were saved last.
	savedAnnotations *policy.Memory
	problems         []objects.Problem
}

// feedShape tells whether what a feed does not have is known not to be there.
type feedShape struct {
	feed   *feed
	synced bool
}

func newFollowing(l *Live, now time.Time) *following {
	f := &following{
		Live: l, started: now, ending: ending{},
		secrets: map[string]*feed{}, stop: map[objects.Key]context.CancelFunc{},
		guard: guard{node: l.options.Node, delay: l.options.MassWithdrawDelay, settings: l.options.Settings},
	}
	f.base = []*feed{
		f.feed(nodeResource(), "", ""),
		f.feed(subnetResource(), "", ""),
		f.feed(peerResource(), "", ""),
	}
	f.restore(restored{})
	if l.options.StateDir != "" {
		f.saver = newSaver(l.options.StateDir, l.options.Node, l.news.Ring, l.options.Log)
	}
	return f
}

// byField gives a field selector, or "" where there is no value.
func byField(name, value string) string {
	if value == "" {
		return ""
	}
	return fields.OneTermEqualSelector(name, value).String()
}

func (f *following) feed(r resource, namespace, field string) *feed {
	return &feed{resource: r, namespace: namespace, field: field, client: f.options.Cluster.clients[r.version], changed: f.news.Ring}
}

// begin starts what always runs.
func (f *following) begin(ctx context.Context) {
	// The API server is asked while the last-known state is read.
	for _, feed := range f.base {
		f.follow(ctx, feed)
	}
	if f.saver != nil {
		f.load()
		f.running.Go(func() { f.saver.run(ctx) })
	}
}

// unanswered reports whether a feed that came later has had no answer yet.
func (f *following) unanswered() bool {
	return slices.ContainsFunc(f.feeds(), func(g *feed) bool { return !slices.Contains(f.base, g) && !f.conditions[g].answered })
}

// wasReady reports whether there is a view to plan with.
func (f *following) wasReady() bool {
	_, ok := f.Live.Latest()
	return ok
}

// feeds gives all that run now.
func (f *following) feeds() []*feed {
	all := slices.Clone(f.base)
	for _, feed := range []*feed{f.pods, f.vlans} {
		if feed != nil {
			all = append(all, feed)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.secrets)) {
		all = append(all, f.secrets[name])
	}
	return all
}

// see gathers what the feeds have that is new.
func (f *following) see(now time.Time) observation {
	s := observation{now: now, lapsed: map[string]bool{}}
	unknown := map[string]bool{}
	var shape []feedShape
	feeds := f.feeds()
	f.conditions = make(map[*feed]feedState, len(feeds))
	for _, feed := range feeds {
		c := feed.condition()
		f.conditions[feed] = c
		if c.why != "" {
			s.lapsed[feed.kind] = true
		}
		if !c.synced && feed.kind != objects.KindSecret {
			unknown[feed.kind] = true
		}
		shape = append(shape, feedShape{feed, c.synced})
	}
	if s.all = !slices.Equal(shape, f.shape); s.all {
		f.shape, f.have = shape, map[objects.Key]*stored{}
	}
	for _, feed := range feeds {
		news := feed.take()
		if s.all {
			news = feed.objects()
		}
		for k, o := range news {
			s.news = append(s.news, k)
			if f.have[k] = o; o == nil {
				delete(f.have, k)
			}
			f.ending.note(k, o, now)
		}
	}
	if s.all {
		maps.DeleteFunc(f.ending, func(k objects.Key, _ time.Time) bool { return f.have[k] == nil })
	}
	for _, k := range f.ending.over(now) {
		s.news = append(s.news, k)
		delete(f.have, k)
	}
	s.have = f.have
	s.known = func(k objects.Key) bool {
		if k.Kind == objects.KindSecret {
			feed, followed := f.secrets[k.Name]
			return followed && f.conditions[feed].synced || !followed && !unknown[objects.KindBGPPeer]
		}
		if k.Kind == objects.KindPod && f.pods == nil || k.Kind == objects.KindVlan && f.vlans == nil {
			return !unknown[objects.KindSubnet]
		}
		return !unknown[k.Kind]
	}
	return s
}

// followMore starts and stops the feeds that what is in force asks for: the
// Secrets that the node's own BGPPeers name, Pods where a Subnet announces them, and
// Vlans where one needs a provider network.
func (f *following) followMore(ctx context.Context, now time.Time) {
	if f.options.Node != "" {
		f.followSecrets(ctx, now)
	}
	f.followWhile(ctx, now, f.needsPods(), &f.pods, f.podFeed())
	f.followWhile(ctx, now, f.needsVlans(), &f.vlans, f.feed(vlanResource(), "", ""))
}

// podFeed is of the live Pods of the own node, of which their metadata says the rest, or
// of all Pods.
func (f *following) podFeed() *feed {
	if f.options.Node == "" {
		return f.feed(podResource(), "", "")
	}
	live := fields.AndSelectors(
		fields.OneTermEqualSelector("spec.nodeName", f.options.Node), fields.OneTermEqualSelector("spec.hostNetwork", "false"),
		fields.OneTermNotEqualSelector("status.phase", "Succeeded"), fields.OneTermNotEqualSelector("status.phase", "Failed"),
	)
	feed := f.feed(podResource(), "", live.String())
	feed.spec = fmt.Sprintf(`{"nodeName":%q}`, f.options.Node)
	return feed
}

// followWhile starts next at a place that is nil while nothing is followed there, or
// ends what is.
func (f *following) followWhile(ctx context.Context, now time.Time, needed bool, at **feed, next *feed) {
	switch {
	case needed && *at == nil:
		*at = next
		f.start(ctx, now, objects.Key{Kind: next.kind}, next)
	case !needed && *at != nil:
		f.end(objects.Key{Kind: next.kind})
		*at = nil
	}
}

func (f *following) start(ctx context.Context, now time.Time, k objects.Key, feed *feed) {
	f.begun = now
	ctx, f.stop[k] = context.WithCancel(ctx)
	f.follow(ctx, feed)
}

func (f *following) end(k objects.Key) {
	f.stop[k]()
	delete(f.stop, k)
}

func (f *following) followSecrets(ctx context.Context, now time.Time) {
	needed := f.neededSecrets()
	for name := range f.secrets {
		if !needed[name] {
			f.end(objects.Key{Kind: objects.KindSecret, Name: name})
			delete(f.secrets, name)
		}
	}
	for name := range needed {
		if f.secrets[name] == nil {
			f.secrets[name] = f.feed(secretResource(), f.options.Cluster.namespace, byField("metadata.name", name))
			f.start(ctx, now, objects.Key{Kind: objects.KindSecret, Name: name}, f.secrets[name])
		}
	}
}

// neededSecrets are those of the BGPPeers that select the own Node.
func (f *following) neededSecrets() map[string]bool {
	out := map[string]bool{}
	var labels map[string]string
	if n, ok := f.guard.force[objects.Key{Kind: objects.KindNode, Name: f.options.Node}].value().(objects.Node); ok {
		labels = n.Labels
	}
	for _, o := range f.assembly.few {
		if p, ok := o.Value.(objects.Peer); ok && p.Secret != nil && p.Nodes.Matches(labels) {
			out[p.Secret.Name] = true
		}
	}
	return out
}

// needsPods reports whether a selected Subnet is in mode pods. Where annotations
// do not parse, the last good ones count.
func (f *following) needsPods() bool {
	if len(f.assembly.wants.pods) > 0 {
		return true
	}
	memory := f.Remembered()
	for name := range f.assembly.typos {
		annotations, known := memory.Subnet(name)
		t, err := routes.ParseTuning(annotations)
		if known && err == nil && t.Mode == routes.ModePods && routes.Selected(annotations, f.options.Settings) {
			return true
		}
	}
	return false
}

// needsVlans reports whether a Subnet in force needs them.
func (f *following) needsVlans() bool { return len(f.assembly.wants.vlans) > 0 }

// health says what is missing to plan with, and what cannot be followed.
func (f *following) health(now time.Time) (waiting []string, lapses []Lapse) {
	tired := f.tired(now)
	for _, feed := range f.feeds() {
		c := f.conditions[feed]
		dynamic := !slices.Contains(f.base, feed)
		standsIn := !f.saved.IsZero() && (tired || c.why != "")
		if !c.synced && !standsIn && !(dynamic && (c.answered || f.wasReady())) {
			waiting = append(waiting, f.waitingFor(feed, c.why))
		}
		if c.why != "" {
			lapses = append(lapses, Lapse{feed.kind, c.why, c.since, c.trouble})
		}
	}
	if len(waiting) > 0 && f.noState != "" {
		waiting = append(waiting, f.noState)
	}
	slices.SortFunc(lapses, func(a, b Lapse) int {
		return objects.Key{Kind: a.Kind, Name: a.Why}.Compare(objects.Key{Kind: b.Kind, Name: b.Why})
	})
	return waiting, slices.Compact(lapses)
}

func (f *following) waitingFor(feed *feed, why string) string {
	if why == "" {
		return fmt.Sprintf("%s have not been read yet", feed.plural)
	}
	return fmt.Sprintf("%s cannot be read: %s", feed.plural, why)
}
