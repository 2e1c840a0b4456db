package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/fields"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
)

// Playback is the source of a node's daemon whose objects come from a recording in
// the place of an API server, at times that the caller gives. What is kept of an
// object, which deletion is believed and what a Snapshot is made of is Live's own
// code: only the connection is missing. It is for one goroutine.
type Playback struct {
	options LiveOptions
	live    *Live
	state   *following
	// there are the recorded objects that exist now, as an API server has them.
	there map[objects.Key]*rawObject
}

// NewPlayback gives one that has not begun: what is played before the first Look is
// what the daemon finds at its start. Of the options Cluster, StateDir, Bell and Log
// are not used.
func NewPlayback(o LiveOptions) *Playback {
	o.Cluster, o.StateDir, o.Bell, o.Log = &Cluster{}, "", func(time.Time) {}, nil
	return &Playback{options: o, there: map[objects.Key]*rawObject{}}
}

// Play takes one watch event: ADDED, MODIFIED or DELETED, and the object, of a kind
// that a daemon reads.
func (p *Playback) Play(event string, text []byte) error {
	var o rawObject
	if err := json.Unmarshal(text, &o); err != nil {
		return fmt.Errorf("play %s: %w", event, err)
	}
	k := objects.Key{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
	switch {
	case !objects.IsRead(o.Kind) || o.Name == "":
		return fmt.Errorf("play %s of %s: no object that a daemon reads", event, k)
	case event == "ADDED", event == "MODIFIED":
		p.there[k] = &o
	case event == "DELETED":
		delete(p.there, k)
	default:
		return fmt.Errorf("play %s of %s: not ADDED, MODIFIED or DELETED", event, k)
	}
	if p.state == nil {
		return nil
	}
	for _, f := range p.state.feeds() {
		if err := f.receive(k, p.there[k]); err != nil {
			return err
		}
	}
	return nil
}

// Look gives what the daemon knows at a moment, and when it would look again though
// nothing happens; the zero time for never. ok is false while there is nothing to
// plan with.
func (p *Playback) Look(now time.Time) (v LiveView, again time.Time, ok bool) {
	if p.state == nil {
		p.begin(now, nil)
	}
	for {
		again = p.state.pass(context.Background(), now)
		select {
		case <-p.live.news.Rung():
		default:
			v, ok = p.live.Latest()
			return v, again, ok
		}
	}
}

// Remembered and Remember are Live's.
func (p *Playback) Remembered() policy.Memory { return p.live.Remembered() }

// Remember takes what the daemon keeps for its next run. There must have been a Look.
func (p *Playback) Remember(m policy.Memory) { p.live.Remember(m) }

// State gives the last-known state as the daemon would write it at a moment. There
// must have been a Look.
func (p *Playback) State(now time.Time) ([]byte, error) {
	return p.state.state(now).encode(p.options.Node)
}

// Restart puts another daemon in the place of this one, with a state of before. It
// reads all objects anew.
func (p *Playback) Restart(state []byte, now time.Time) error {
	last, err := decodeState(state, p.options.Node, now.Add(-p.options.StateMaxAge), now)
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	p.begin(now, &last)
	return nil
}

// begin is the start of a daemon; last may be nil.
func (p *Playback) begin(now time.Time, last *lastKnown) {
	p.live = NewLive(p.options)
	p.state = newFollowing(p.live, now)
	p.state.follow = func(_ context.Context, f *feed) { p.list(f) }
	if last != nil {
		p.state.restore(last.restored(nil))
	}
	p.state.begin(context.Background())
}

// list gives a feed all that it asks for.
func (p *Playback) list(f *feed) {
	var all []any
	for k, o := range p.there {
		if f.asksFor(k, o) {
			all = append(all, o)
		}
	}
	// It only fails for other types than *rawObject.
	_ = f.Replace(all, "")
}

// receive takes an object as it is now, nil where it is gone.
func (f *feed) receive(k objects.Key, o *rawObject) error {
	if o != nil && f.asksFor(k, o) {
		return f.Update(o)
	}
	if _, kept := f.objects()[k]; !kept {
		return nil
	}
	return f.Delete(&rawObject{rawMeta: rawMeta{Name: k.Name, Namespace: k.Namespace}})
}

// asksFor reports whether an object is one of those that the feed asks for.
func (f *feed) asksFor(k objects.Key, o *rawObject) bool {
	if k.Kind != f.kind || f.namespace != "" && f.namespace != k.Namespace {
		return false
	}
	var of struct{ Spec struct{ NodeName string } }
	_ = json.Unmarshal(o.text, &of) // only a Pod has one
	selector, err := fields.ParseSelector(f.field)
	return err == nil && selector.Matches(fields.Set{"metadata.name": o.Name, "spec.nodeName": of.Spec.NodeName})
}
