package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
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
	f.restore(last)
	f.options.Log.WithField("objects", len(last.objects)).Infof("last-known state of %s read", last.saved.Format(time.RFC3339))
}

// restore puts the last-known state into force, for what cannot be read.
func (f *following) restore(last restored) {
	f.guard.force, f.guard.gone, f.saved = last.objects, map[objects.Key]absence{}, last.saved
	f.good, f.goodTexts = last.good, last.goodTexts
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
	if f.saver != nil {
		view.Unsaved = *f.saver.failing.Load()
	}
	if now.Before(f.started.Add(patience)) {
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
	if !slices.ContainsFunc(f.base, func(b *feed) bool { return !b.condition().synced }) {
		f.saved = time.Time{}
		return
	}
	if s.now.Before(f.saved.Add(f.options.StateMaxAge)) {
		return
	}
	for k := range f.guard.force {
		if k.Kind == objects.KindSubnet && !s.known(k) {
			delete(f.guard.force, k)
			delete(f.guard.gone, k)
		}
	}
}

// assemble makes the Contents of what is in force.
func (f *following) assemble(view *LiveView, now time.Time) {
	one := objects.Batch{}
	view.UIDs, view.Peers = map[string]types.UID{}, map[string]PeerIdentity{}
	for _, k := range slices.SortedFunc(maps.Keys(f.guard.force), objects.Key.Compare) {
		o := f.guard.force[k]
		one.Objects = append(one.Objects, o.Object)
		switch k.Kind {
		case objects.KindSubnet:
			view.UIDs[k.Name] = o.uid
		case objects.KindBGPPeer:
			view.Peers[k.Name] = PeerIdentity{o.uid, o.generation}
		case objects.KindNode:
			if k.Name == f.options.Node {
				view.NodeUID = o.uid
			}
		}
	}
	standIns := standInSecrets(one.Objects, func(secret string) bool { return f.secrets[secret] != nil })
	one.Objects = append(one.Objects, standIns...)
	var good objects.Good
	view.Contents, good = objects.Assemble([]objects.Batch{one}, f.good, f.absent)
	f.good = withoutPeersOf(standIns, one.Objects, good)
	f.goodTexts = goodTexts(f.good, f.guard.force, f.goodTexts)
	objects.StampSince(view.Problems, f.problems, now.UTC())
	f.problems = view.Problems
	s := good.Lists().Snapshot(f.options.Settings)
	if s.Vlans == nil && f.vlans != nil && f.vlans.condition().synced {
		s.Vlans = map[string]string{}
	}
	for i := range s.Subnets {
		s.Subnets[i].Controlled = true
	}
	view.Snapshot = s
	if f.options.Node == "" {
		view.Objects = one.Objects
	}
}

// goodTexts gives the objects that the good values were made of.
func goodTexts(now objects.Good, force map[objects.Key]stored, last map[objects.Key]goodText) map[objects.Key]goodText {
	out := make(map[objects.Key]goodText, len(now))
	for k, v := range now {
		o := force[k]
		peer, isPeer := v.(policy.Peer)
		switch g, had := last[k]; {
		case isPeer && o.gives(peer), !isPeer && o.Value != nil:
			out[k] = goodText{o.text, string(peer.Password)}
		case had:
			out[k] = g
		}
	}
	return out
}

// gives reports whether a BGPPeer makes this session, whatever its password.
func (o stored) gives(peer policy.Peer) bool {
	draft, ok := o.Value.(objects.Peer)
	draft.Password = peer.Password
	return ok && reflect.DeepEqual(draft.Peer, peer)
}

// absent says of a Secret that is not there whether that is known.
func (f *following) absent(name string) error {
	if feed := f.secrets[name]; feed != nil && !feed.condition().synced {
		return fmt.Errorf("cannot be read: %s", cmp.Or(feed.condition().why, "the API server has not answered yet"))
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

// publish makes a view the latest, and reports whether it differs from the last.
func (f *following) publish(view LiveView) bool {
	if last := f.latest.Load(); last != nil {
		view.Serial = last.Serial
		if reflect.DeepEqual(*last, view) {
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
	if slices.ContainsFunc(f.base, func(b *feed) bool { return b.condition().why != "" }) {
		return time.Time{}
	}
	annotations := f.annotations.Load()
	if next := f.lastSave.Add(saveAnyway); !changed && annotations == f.savedAnnotations && now.Before(next) {
		return next
	}
	f.saver.offer(f.state(now))
	f.lastSave, f.savedAnnotations = now, annotations
	return now.Add(saveAnyway)
}

// state is what the next run shall know.
func (f *following) state(now time.Time) state {
	s := state{at: now, good: savedGood{Annotations: f.Remembered()}}
	for _, k := range slices.SortedFunc(maps.Keys(f.guard.force), objects.Key.Compare) {
		s.objects = append(s.objects, json.RawMessage(f.guard.force[k].text))
	}
	for _, k := range slices.SortedFunc(maps.Keys(f.goodTexts), objects.Key.Compare) {
		if g := f.goodTexts[k]; k.Kind == objects.KindBGPPeer || g.text != f.guard.force[k].text {
			s.good.Objects = append(s.good.Objects, goodObject{json.RawMessage(g.text), g.password})
		}
	}
	return s
}
