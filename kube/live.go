package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// patience is how long a start waits for the API server before it falls back on
// the last-known state.
const patience = 3 * time.Second

// LiveOptions say what is followed, for whom.
type LiveOptions struct {
	Cluster  *Cluster
	Settings routes.Settings
	// Node is the daemon's own: of Pods and Secrets only those are followed that
	// concern it. Empty for a view of the whole cluster, which reads no Secret
	// and doubts nothing.
	Node string
	// StateDir is where the last-known state is kept; empty for nowhere.
	StateDir string
	// StateMaxAge is how old that may be to count at a start.
	StateMaxAge time.Duration
	// MassWithdrawDelay is how long objects that vanish in a mass stay in force; 0
	// believes every deletion at once.
	MassWithdrawDelay time.Duration
	// Bell is called after each change and must not block.
	Bell func()
	Log  *logrus.Entry
}

// Live is the source of a daemon in a cluster: it follows the API server, and
// keeps what it knew whenever it cannot.
type Live struct {
	options LiveOptions
	latest  atomic.Pointer[LiveView]
	// annotations are the last good ones, rings tells Run of something new.
	annotations atomic.Pointer[policy.Memory]
	rings       chan struct{}
}

// LiveView is what Live knows at one moment. It is never changed once it is
// handed out.
type LiveView struct {
	Contents
	// Serial counts the views.
	Serial uint64
	// Waiting says what has not been read yet, and why; while there is any, the
	// Contents are nothing to plan with.
	Waiting []string
	// Lapses are the kinds that cannot be followed now; what was known of them
	// stays. Sorted by kind.
	Lapses []Lapse
	// Held has a line for each mass of objects that vanished and stays in force.
	Held []string
	// Saved is when the last-known state was written that stands in for what could
	// not be read since the start; zero where nothing stands in. Until is when it
	// stops counting.
	Saved, Until time.Time
	// Expired is true from then on: Subnets that cannot be read count no more.
	Expired bool
	// Unsaved says why the last-known state cannot be written; "" if it can.
	Unsaved string
	// NodeUID is the own Node's, "" while it is not known.
	NodeUID types.UID
	// UIDs are the Subnets', by name.
	UIDs map[string]types.UID
}

// Lapse says since when, and why, the objects of a kind are not followed.
type Lapse struct {
	Kind  string
	Why   string
	Since time.Time
}

// NewLive gives a Live that has not begun.
func NewLive(o LiveOptions) *Live { return &Live{options: o, rings: make(chan struct{}, 1)} }

// Remembered gives the last good annotations, of this run or of the one before;
// they are known as soon as Latest gives something to plan with.
func (l *Live) Remembered() policy.Memory {
	if m := l.annotations.Load(); m != nil {
		return *m
	}
	return policy.Memory{}
}

// Remember takes the last good annotations, and keeps them for the next run.
func (l *Live) Remember(m policy.Memory) {
	if m.Equal(l.Remembered()) {
		return
	}
	l.annotations.Store(&m)
	l.ring()
}

func (l *Live) ring() {
	select {
	case l.rings <- struct{}{}:
	default:
	}
}

// Latest gives the last view; ok is false while there is nothing to plan with.
func (l *Live) Latest() (v LiveView, ok bool) {
	p := l.latest.Load()
	if p == nil {
		return LiveView{Waiting: []string{"nothing has been read yet"}}, false
	}
	return *p, len(p.Waiting) == 0
}

// Run follows until ctx ends. No error of the API server ends it.
func (l *Live) Run(ctx context.Context) error {
	ctx = klog.NewContext(ctx, logger(l.options.Log))
	f := newFollowing(l, time.Now())
	f.follow = func(ctx context.Context, feed *feed) { f.running.Go(func() { feed.run(ctx) }) }
	defer f.running.Wait()
	f.begin(ctx)
	for {
		again := f.pass(ctx, time.Now())
		var alarm <-chan time.Time
		if !again.IsZero() {
			alarm = time.After(max(time.Until(again), time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.rings:
		case <-alarm:
		}
	}
}

// following is the state of Run, in its goroutine.
type following struct {
	*Live
	started time.Time
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
	stop  map[key]context.CancelFunc
	begun time.Time
	guard guard
	// saved is the time of the last-known state while it stands in for something.
	saved time.Time
	// noState says why there was none.
	noState  string
	keeper   *keeper
	lastSave time.Time
	// remembered are the annotations that were saved last.
	remembered *policy.Memory
	standing   standing
	// good are the objects that the standing values were made of.
	good     map[key]goodText
	problems []Problem
}

func newFollowing(l *Live, now time.Time) *following {
	f := &following{
		Live: l, started: now,
		secrets: map[string]*feed{}, stop: map[key]context.CancelFunc{},
		guard: guard{node: l.options.Node, delay: l.options.MassWithdrawDelay, settings: l.options.Settings},
	}
	f.base = []*feed{
		f.feed(nodeResource(), "", ""),
		f.feed(subnetResource(), "", ""),
		f.feed(peerResource(), "", ""),
	}
	if l.options.StateDir != "" {
		f.keeper = newKeeper(l.options.StateDir, l.options.Node, l.ring, l.options.Log)
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
	return &feed{resource: r, namespace: namespace, field: field, client: f.options.Cluster.clients[r.version], changed: f.ring}
}

// begin starts what always runs.
func (f *following) begin(ctx context.Context) {
	if f.keeper != nil {
		f.load()
		f.running.Go(func() { f.keeper.run(ctx) })
	}
	for _, feed := range f.base {
		f.follow(ctx, feed)
	}
}

// load reads the last-known state, if there is one that counts.
func (f *following) load() {
	now := time.Now()
	last, err := loadState(f.options.StateDir, f.options.Node, now.Add(-f.options.StateMaxAge), now)
	if err != nil {
		f.noState = err.Error()
		f.options.Log.Info(err)
		return
	}
	f.recall(last)
	f.options.Log.WithField("objects", len(last.objects)).Infof("last-known state of %s read", last.saved.Format(time.RFC3339))
}

// recall puts the last-known state into force, for what cannot be read.
func (f *following) recall(last recalled) {
	f.guard.force, f.guard.gone, f.saved = last.objects, map[key]absence{}, last.saved
	f.standing, f.good = last.standing, last.good
	f.annotations.Store(&last.annotations)
}

// pass looks at all feeds and publishes what is new. It gives the time of the
// next pass if nothing rings, zero for none.
func (f *following) pass(ctx context.Context, now time.Time) (again time.Time) {
	s := f.see(now)
	f.expire(s)
	view := LiveView{}
	view.Held, again = f.guard.step(s)
	f.followMore(ctx, now)
	if due := f.begun.Add(patience); f.unanswered() && now.Before(due) && f.wasReady() {
		// A Subnet that now wants Pods, or a BGPPeer with a Secret, is complete in a
		// moment; until then the last view is the better one.
		return earlier(again, due)
	}
	view.Waiting, view.Lapses = f.health(now)
	if !f.saved.IsZero() {
		view.Saved, view.Until = f.saved, f.saved.Add(f.options.StateMaxAge)
		if view.Expired = !now.Before(view.Until); !view.Expired {
			again = earlier(again, view.Until)
		}
	}
	if f.keeper != nil {
		view.Unsaved = *f.keeper.failing.Load()
	}
	if now.Before(f.started.Add(patience)) {
		again = earlier(again, f.started.Add(patience))
	}
	f.assemble(&view, now)
	changed := f.publish(view)
	return earlier(again, f.keep(view, changed, now))
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// unanswered reports whether a feed that came later has heard nothing yet.
func (f *following) unanswered() bool {
	return slices.ContainsFunc(f.feeds(), func(g *feed) bool { return !slices.Contains(f.base, g) && !g.condition().answered })
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

// see gathers what the feeds have.
func (f *following) see(now time.Time) sight {
	s := sight{now: now, have: map[key]stored{}, lapsed: map[string]bool{}}
	unknown := map[string]bool{}
	unknownSecret := map[string]bool{}
	for _, feed := range f.feeds() {
		c := feed.condition()
		maps.Copy(s.have, feed.objects())
		if c.why != "" {
			s.lapsed[feed.kind] = true
		}
		if !c.synced && feed.kind != kindSecret {
			unknown[feed.kind] = true
		}
	}
	for name, feed := range f.secrets {
		unknownSecret[name] = !feed.condition().synced
	}
	s.known = func(k key) bool {
		if k.kind == kindSecret {
			_, followed := f.secrets[k.name]
			return followed && !unknownSecret[k.name] || !followed && !unknown[kindBGPPeer]
		}
		if k.kind == kindPod && f.pods == nil || k.kind == kindVlan && f.vlans == nil {
			return !unknown[kindSubnet]
		}
		return !unknown[k.kind]
	}
	return s
}

// expire ends the last-known state: it is of no use any more once everything
// has been read, and does not count for ever. What was announced because of it
// is then withdrawn; the sessions stay.
func (f *following) expire(s sight) {
	if f.saved.IsZero() {
		return
	}
	if !slices.ContainsFunc(f.base, func(b *feed) bool { return !b.condition().synced }) {
		f.saved = time.Time{}
		return
	}
	if s.now.Before(f.saved.Add(f.options.StateMaxAge)) {
		return
	}
	for k := range f.guard.force {
		if k.kind == kindSubnet && !s.known(k) {
			delete(f.guard.force, k)
			delete(f.guard.gone, k)
		}
	}
}

// followMore starts and stops the feeds that what is in force asks for: the
// Secrets that the node's own BGPPeers name, Pods where a Subnet announces them, and
// Vlans where one needs a provider network.
func (f *following) followMore(ctx context.Context, now time.Time) {
	if f.options.Node != "" {
		f.followSecrets(ctx, now)
	}
	f.followWhile(ctx, now, f.needsPods(), &f.pods, f.feed(podResource(), "", byField("spec.nodeName", f.options.Node)))
	f.followWhile(ctx, now, f.needsVlans(), &f.vlans, f.feed(vlanResource(), "", ""))
}

// followWhile starts next at a place that is nil while nothing is followed there, or
// ends what is.
func (f *following) followWhile(ctx context.Context, now time.Time, needed bool, at **feed, next *feed) {
	switch {
	case needed && *at == nil:
		*at = next
		f.start(ctx, now, key{kind: next.kind}, next)
	case !needed && *at != nil:
		f.end(key{kind: next.kind})
		*at = nil
	}
}

func (f *following) start(ctx context.Context, now time.Time, k key, feed *feed) {
	f.begun = now
	ctx, f.stop[k] = context.WithCancel(ctx)
	f.follow(ctx, feed)
}

func (f *following) end(k key) {
	f.stop[k]()
	delete(f.stop, k)
}

func (f *following) followSecrets(ctx context.Context, now time.Time) {
	needed := f.neededSecrets()
	for name := range f.secrets {
		if !needed[name] {
			f.end(key{kind: kindSecret, name: name})
			delete(f.secrets, name)
		}
	}
	for name := range needed {
		if f.secrets[name] == nil {
			f.secrets[name] = f.feed(secretResource(), f.options.Cluster.namespace, byField("metadata.name", name))
			f.start(ctx, now, key{kind: kindSecret, name: name}, f.secrets[name])
		}
	}
}

// neededSecrets are those of the BGPPeers that select the own Node.
func (f *following) neededSecrets() map[string]bool {
	out := map[string]bool{}
	var labels map[string]string
	if n, ok := f.guard.force[key{kind: kindNode, name: f.options.Node}].value.(nodeDraft); ok {
		labels = n.Labels
	}
	for _, o := range f.guard.force {
		if p, ok := o.value.(peerDraft); ok && p.secret != nil && p.Nodes.Matches(labels) {
			out[p.secret.Name] = true
		}
	}
	return out
}

// needsPods reports whether a selected Subnet is in mode pods. Where annotations
// do not parse, the last good ones count.
func (f *following) needsPods() bool {
	memory := f.Remembered()
	for _, o := range f.guard.force {
		d, ok := o.value.(subnetDraft)
		if !ok {
			continue
		}
		annotations, t, err := d.Annotations, d.Tuning, d.TuningErr
		if good, known := memory.Subnet(d.Name); err != nil && known {
			annotations = good
			t, err = routes.ParseTuning(good)
		}
		if err == nil && t.Mode == routes.ModePods && routes.Selected(annotations, f.options.Settings) {
			return true
		}
	}
	return false
}

// needsVlans reports whether a selected Subnet has its gateway in OVN and its
// network in a Vlan: only nodes with that Vlan's provider network carry it.
func (f *following) needsVlans() bool {
	for _, o := range f.guard.force {
		d, ok := o.value.(subnetDraft)
		if ok && d.VLAN != "" && d.LogicalGateway && routes.Selected(d.Annotations, f.options.Settings) {
			return true
		}
	}
	return false
}

// health says what is missing to plan with, and what cannot be followed.
func (f *following) health(now time.Time) (waiting []string, lapses []Lapse) {
	tired := !now.Before(f.started.Add(patience))
	for _, feed := range f.feeds() {
		c := feed.condition()
		dynamic := !slices.Contains(f.base, feed)
		standsIn := !f.saved.IsZero() && (tired || c.why != "")
		if !c.synced && !standsIn && !(dynamic && (c.answered || f.wasReady())) {
			waiting = append(waiting, f.waitingFor(feed, c.why))
		}
		if c.why != "" {
			lapses = append(lapses, Lapse{feed.kind, c.why, c.since})
		}
	}
	if len(waiting) > 0 && f.noState != "" {
		waiting = append(waiting, f.noState)
	}
	slices.SortFunc(lapses, func(a, b Lapse) int { return key{kind: a.Kind, name: a.Why}.compare(key{kind: b.Kind, name: b.Why}) })
	return waiting, slices.Compact(lapses)
}

func (f *following) waitingFor(feed *feed, why string) string {
	if why == "" {
		return fmt.Sprintf("%s have not been read yet", feed.plural)
	}
	return fmt.Sprintf("%s cannot be read: %s", feed.plural, why)
}

// assemble makes the Contents of what is in force.
func (f *following) assemble(view *LiveView, now time.Time) {
	one := file{}
	view.UIDs = map[string]types.UID{}
	for _, k := range slices.SortedFunc(maps.Keys(f.guard.force), key.compare) {
		o := f.guard.force[k]
		one.objects = append(one.objects, o.object)
		switch k.kind {
		case kindSubnet:
			view.UIDs[k.name] = o.uid
		case kindNode:
			if k.name == f.options.Node {
				view.NodeUID = o.uid
			}
		}
	}
	if f.options.Node == "" {
		one.objects = append(one.objects, standInSecrets(one.objects)...)
	}
	view.Contents, f.standing = assembleFrom([]file{one}, f.standing, f.absent)
	f.good = goodTexts(f.standing, f.guard.force, f.good)
	stampSince(view.Problems, f.problems, now.UTC())
	f.problems = view.Problems
	d := f.standing.drafts()
	s := policy.Snapshot{Peers: d.peers}
	s.Settings, s.Pods, s.Vlans = f.options.Settings, d.pods, d.vlans
	if s.Vlans == nil && f.vlans != nil && f.vlans.condition().synced {
		s.Vlans = map[string]string{}
	}
	for _, n := range d.nodes {
		s.Nodes = append(s.Nodes, n.Node)
	}
	for _, sub := range d.subnets {
		sub.Controlled = true
		s.Subnets = append(s.Subnets, sub.Subnet)
	}
	view.Snapshot = s
}

// goodTexts gives the objects that the standing values were made of.
func goodTexts(now standing, force map[key]stored, last map[key]goodText) map[key]goodText {
	out := make(map[key]goodText, len(now))
	for k, v := range now {
		o := force[k]
		peer, isPeer := v.(policy.Peer)
		switch g, had := last[k]; {
		case isPeer && o.stands(peer), !isPeer && o.value != nil:
			out[k] = goodText{o.text, string(peer.Password)}
		case had:
			out[k] = g
		}
	}
	return out
}

// stands reports whether a BGPPeer gives the session that stands, whatever its
// password.
func (o stored) stands(peer policy.Peer) bool {
	draft, ok := o.value.(peerDraft)
	draft.Password = peer.Password
	return ok && reflect.DeepEqual(draft.Peer, peer)
}

// absent says of a Secret that is not there whether that is known.
func (f *following) absent(name string) error {
	if feed := f.secrets[name]; feed != nil && !feed.condition().synced {
		return fmt.Errorf("cannot be read: %s", feed.condition().why)
	}
	return fmt.Errorf("is not in namespace %s: create it there, or take passwordSecretRef away", f.options.Cluster.namespace)
}

// standInSecrets give each password that is asked for a value, so that whoever
// may not read Secrets still sees which sessions there are.
func standInSecrets(objects []object) []object {
	byName := map[string]secret{}
	for _, o := range objects {
		if p, ok := o.value.(peerDraft); ok && p.secret != nil {
			if byName[p.secret.Name] == nil {
				byName[p.secret.Name] = secret{}
			}
			byName[p.secret.Name][p.secret.Key] = "not-read"
		}
	}
	var out []object
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, object{key: key{kind: kindSecret, name: name}, value: byName[name]})
	}
	return out
}

// publish makes a view the latest, and reports whether it differs from the last.
func (f *following) publish(view LiveView) bool {
	if last := f.latest.Load(); last != nil {
		view.Serial = last.Serial
		if reflect.DeepEqual(*last, view) {
			return false
		}
	}
	view.Serial++
	f.latest.Store(&view)
	f.options.Bell()
	return true
}

// keep hands what is in force to the keeper, after a change and from time to
// time. Only what is in step with the API server is worth keeping. It gives the
// time of the next turn.
func (f *following) keep(view LiveView, changed bool, now time.Time) time.Time {
	if f.keeper == nil || len(view.Waiting) > 0 || !f.saved.IsZero() {
		return time.Time{}
	}
	if slices.ContainsFunc(f.base, func(b *feed) bool { return b.condition().why != "" }) {
		return time.Time{}
	}
	annotations := f.annotations.Load()
	if next := f.lastSave.Add(saveAnyway); !changed && annotations == f.remembered && now.Before(next) {
		return next
	}
	f.keeper.offer(f.state(now))
	f.lastSave, f.remembered = now, annotations
	return now.Add(saveAnyway)
}

// state is what the next run shall know.
func (f *following) state(now time.Time) state {
	s := state{at: now, good: lastGood{Annotations: f.Remembered()}}
	for _, k := range slices.SortedFunc(maps.Keys(f.guard.force), key.compare) {
		s.objects = append(s.objects, json.RawMessage(f.guard.force[k].text))
	}
	for _, k := range slices.SortedFunc(maps.Keys(f.good), key.compare) {
		if g := f.good[k]; k.kind == kindBGPPeer || g.text != f.guard.force[k].text {
			s.good.Objects = append(s.good.Objects, goodObject{json.RawMessage(g.text), g.password})
		}
	}
	return s
}

// readBound is how long ReadCluster waits for an API server that does not
// refuse, but does not answer either.
const readBound = 20 * time.Second

// ReadCluster reads the whole cluster once, without Secrets.
func ReadCluster(ctx context.Context, c *Cluster, settings routes.Settings) (Contents, error) {
	ctx, cancel := context.WithTimeout(ctx, readBound)
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	rings := make(chan struct{}, 1)
	live := NewLive(LiveOptions{Cluster: c, Settings: settings, Log: logrus.NewEntry(silent), Bell: func() {
		select {
		case rings <- struct{}{}:
		default:
		}
	}})
	var running sync.WaitGroup
	running.Go(func() { _ = live.Run(ctx) })
	defer running.Wait()
	defer cancel()
	for {
		v, ok := live.Latest()
		switch {
		case len(v.Lapses) > 0:
			return Contents{}, fmt.Errorf("read %s of %s: %s", v.Lapses[0].Kind, c.server, v.Lapses[0].Why)
		case ok:
			return v.Contents, nil
		}
		select {
		case <-ctx.Done():
			return Contents{}, fmt.Errorf("read %s: no answer", c.server)
		case <-rings:
		}
	}
}
