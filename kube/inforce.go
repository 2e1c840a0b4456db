package kube

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// load reads the last-known state, if there is one that counts.
func (f *following) load() {
	now := time.Now()
	last, err := loadState(f.options.StateDir, f.options.Node, now.Add(-f.options.StateMaxAge), now)
	if err != nil {
		f.noState = err.Error()
		f.options.Log.Info(err)
		return
	}
	f.last = &last
	f.options.Log.WithField("objects", len(last.texts)).Infof("last-known state of %s read", last.saved.Format(time.RFC3339))
}

// recall puts the last-known state into force as soon as it counts: to stand in for what
// cannot be read, or to tell what has vanished since. Until then it is not converted, and
// then only what is not as the API server has it. It reports false while there is one
// that does not count yet.
func (f *following) recall(now time.Time) bool {
	if f.last == nil {
		return true
	}
	unread := slices.ContainsFunc(f.base, func(b *feed) bool { return !b.condition().synced })
	failing := slices.ContainsFunc(f.base, func(b *feed) bool { return b.condition().why != "" })
	if unread && !failing && !f.tired(now) {
		return false
	}
	known := map[packed]*stored{}
	for _, feed := range f.base {
		for _, s := range feed.objects() {
			known[s.text] = s
		}
	}
	f.restore(f.last.restored(known))
	f.last = nil
	return true
}

// tired reports whether a start has waited long enough for the API server.
func (f *following) tired(now time.Time) bool { return !now.Before(f.started.Add(patience)) }

// restore puts the last-known state into force, for what cannot be read.
func (f *following) restore(last restored) {
	f.guard.restore(last.objects)
	f.guard.take()
	f.saved, f.settled = last.saved, nil
	f.assembly = newAssembly(last.objects, last.good, last.peers, f.options.Settings)
	annotations := last.annotations // a pointer into last would keep all of it
	f.annotations.Store(&annotations)
}

// pass looks at all feeds and publishes what is new. It gives the time of the
// next pass if nothing rings, zero for none.
func (f *following) pass(ctx context.Context, now time.Time) (again time.Time) {
	if !f.recall(now) {
		return f.started.Add(patience)
	}
	s := f.see(now)
	f.expire(s)
	view := LiveView{}
	view.Held, again = f.guard.step(s)
	again = earlier(again, f.ending.next(now))
	f.assembly.take(f.guard.force, f.guard.take(), f.options.Settings)
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
	if f.saver != nil {
		view.Unsaved = *f.saver.failing.Load()
	}
	if !f.tired(now) {
		again = earlier(again, f.started.Add(patience))
	}
	f.assemble(&view, now)
	changed := f.publish(view)
	return earlier(again, f.save(view, changed, now))
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// expire ends the last-known state: it is of no use any more once everything
// has been read, and does not count for ever. What was announced because of it
// is then withdrawn; the sessions stay.
func (f *following) expire(s observation) {
	if f.saved.IsZero() {
		return
	}
	if !slices.ContainsFunc(f.base, func(b *feed) bool { return !f.conditions[b].synced }) {
		f.saved = time.Time{}
		return
	}
	if s.now.Before(f.saved.Add(f.options.StateMaxAge)) {
		return
	}
	for k := range f.guard.force {
		if k.Kind == objects.KindSubnet && !s.known(k) {
			f.guard.put(k, nil)
			delete(f.guard.gone, k)
		}
	}
}

// assemble makes the Contents of what is in force.
func (f *following) assemble(view *LiveView, now time.Time) {
	a := &f.assembly
	secrets := make(map[string]feedState, len(f.secrets))
	for name, feed := range f.secrets {
		secrets[name] = f.conditions[feed]
	}
	if a.unsettled || !maps.Equal(secrets, f.settled) {
		a.settle(f.reads, f.absent)
		f.settled = secrets
	}
	if a.retold {
		problems := a.allProblems()
		objects.StampSince(problems, f.problems, now.UTC())
		f.problems, a.retold = problems, false
	}
	view.Problems, view.Peers, view.uids = f.problems, a.identities, a.uids
	if own := f.guard.force[objects.Key{Kind: objects.KindNode, Name: f.options.Node}]; own != nil {
		view.NodeUID = own.uid
	}
	s := policy.Snapshot{Peers: a.known}
	s.Settings, s.Subnets, s.Nodes, s.Pods, s.Vlans = f.options.Settings, a.subnets, a.nodes, a.pods, a.vlans
	if s.Vlans == nil && f.vlans != nil && f.conditions[f.vlans].synced {
		s.Vlans = map[string]string{}
	}
	view.Snapshot = s
	if f.options.Node == "" {
		view.Objects = f.allObjects()
	}
}

// allObjects gives what is in force by kind and name, and what stands in for Secrets.
func (f *following) allObjects() []objects.Object {
	var all []objects.Object
	for _, k := range slices.SortedFunc(maps.Keys(f.guard.force), objects.Key.Compare) {
		all = append(all, f.guard.force[k].Object)
	}
	return append(all, standInSecrets(all, f.reads)...)
}

// reads reports whether a Secret is followed, or in force still.
func (f *following) reads(secret string) bool {
	inForce := f.assembly.few[objects.Key{Kind: objects.KindSecret, Namespace: f.options.Cluster.namespace, Name: secret}]
	return f.secrets[secret] != nil || inForce != nil
}

// absent says of a Secret that is not there whether that is known.
func (f *following) absent(name string) error {
	if feed := f.secrets[name]; feed != nil && !f.conditions[feed].synced {
		return fmt.Errorf("cannot be read: %s", cmp.Or(f.conditions[feed].why, "the API server has not answered yet"))
	}
	return fmt.Errorf("is not in namespace %s: create it there, or take passwordSecretRef away", f.options.Cluster.namespace)
}

// standInSecrets give each password that is not read a value, so that whoever may not
// read Secrets still sees which sessions there are, and a daemon those of other nodes.
func standInSecrets(peers []objects.Object, read func(secret string) bool) []objects.Object {
	byName := map[string]objects.Secret{}
	for _, o := range peers {
		p, ok := o.Value.(objects.Peer)
		if !ok || p.Secret == nil || read(p.Secret.Name) {
			continue
		}
		if byName[p.Secret.Name] == nil {
			byName[p.Secret.Name] = objects.Secret{}
		}
		byName[p.Secret.Name][p.Secret.Key] = "not-read"
	}
	var out []objects.Object
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, objects.Object{Key: objects.Key{Kind: objects.KindSecret, Name: name}, Value: byName[name]})
	}
	return out
}

// withoutPeersOf gives the values without those BGPPeers whose password a stand-in
// gave: it must never come into a session.
func withoutPeersOf(standIns, all []objects.Object, values objects.Good) objects.Good {
	if len(standIns) == 0 {
		return values
	}
	values = maps.Clone(values)
	for _, o := range all {
		p, ok := o.Value.(objects.Peer)
		if ok && p.Secret != nil && slices.ContainsFunc(standIns, func(s objects.Object) bool { return s.Name == p.Secret.Name }) {
			delete(values, o.Key)
		}
	}
	return values
}

// sameAs reports whether two views, of one source, say the same. What did not change has
// the same list.
func (v LiveView) sameAs(w LiveView) bool {
	a, b := v.Snapshot, w.Snapshot
	if !routes.SameList(a.Subnets, b.Subnets) || !routes.SameList(a.Nodes, b.Nodes) || !routes.SameList(v.uids, w.uids) {
		return false
	}
	for _, s := range []*policy.Snapshot{&v.Snapshot, &w.Snapshot} {
		s.Subnets, s.Nodes = nil, nil
	}
	v.uids, w.uids = nil, nil
	return reflect.DeepEqual(v, w)
}

// publish makes a view the latest, and reports whether it differs from the last.
func (f *following) publish(view LiveView) bool {
	if last := f.latest.Load(); last != nil {
		view.Serial = last.Serial
		if last.sameAs(view) {
			f.heard = time.Time{}
			return false
		}
	}
	view.Serial++
	f.latest.Store(&view)
	since := f.heard
	if f.heard = (time.Time{}); since.IsZero() {
		since = time.Now() // it is time that has brought it
	}
	f.options.Bell(since)
	return true
}

// save hands what is in force to the saver, after a change and from time to
// time. Only what is in step with the API server is worth keeping. It gives the
// time of the next turn.
func (f *following) save(view LiveView, changed bool, now time.Time) time.Time {
	if f.saver == nil || len(view.Waiting) > 0 || !f.saved.IsZero() {
		return time.Time{}
	}
	if slices.ContainsFunc(f.base, func(b *feed) bool { return f.conditions[b].why != "" }) {
		return time.Time{}
	}
	annotations := f.annotations.Load()
	next := f.lastSave.Add(saveAnyway)
	if f.unsaved.IsZero() && !changed && annotations == f.savedAnnotations && now.Before(next) {
		return next
	}
	if f.unsaved = now; !f.saver.takes() {
		return time.Time{} // the saver rings when it does
	}
	f.saver.offer(f.state(now))
	f.lastSave, f.savedAnnotations, f.unsaved = now, annotations, time.Time{}
	return now.Add(saveAnyway)
}

// endSaving has what was not saved yet written, and the saver end.
func (f *following) endSaving() {
	if f.saver == nil {
		return
	}
	if !f.unsaved.IsZero() {
		f.saver.offer(f.state(f.unsaved))
	}
	close(f.saver.next)
}

// state is what the next run shall know.
func (f *following) state(now time.Time) state {
	s := state{at: now, good: savedGood{Annotations: f.Remembered()}}
	force, a := f.guard.force, &f.assembly
	for _, k := range slices.SortedFunc(maps.Keys(force), objects.Key.Compare) {
		s.objects = append(s.objects, force[k].text)
		switch good := a.good[k]; {
		case k.Kind == objects.KindBGPPeer:
			if p, known := a.peers[k]; known {
				s.good.Objects = append(s.good.Objects, p.made.saved())
			}
		case good != nil && good.text != force[k].text:
			s.good.Objects = append(s.good.Objects, goodText{text: good.text}.saved())
		}
	}
	return s
}
