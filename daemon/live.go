package daemon

import (
	"fmt"
	"time"

	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/status"
)

// keepsake is a Source that keeps what a daemon remembers for the next run.
type keepsake interface {
	// Remembered may be asked once Latest has given something to plan with.
	Remembered() policy.Memory
	Remember(policy.Memory)
}

// remembered gives what the run before has left.
func remembered(s Source) policy.Memory {
	if k, ok := s.(keepsake); ok {
		return k.Remembered()
	}
	return policy.Memory{}
}

// remember leaves it to the next run.
func remember(s Source, m policy.Memory) {
	if k, ok := s.(keepsake); ok {
		k.Remember(m)
	}
}

// LiveSource is a Source of a cluster for one node.
type LiveSource struct {
	*kube.Live
	// Server is the API server's address, for people.
	Server string
	Node   string
}

// Latest gives the objects as they were seen last. That the API server cannot be
// followed right now makes them no less good; it is among the problems.
func (l LiveSource) Latest() (policy.Snapshot, status.Source, bool) {
	v, ok := l.Live.Latest()
	about := aboutLive(v)
	about.From = []string{l.Server}
	return v.Snapshot, about, ok
}

func aboutLive(v kube.LiveView) status.Source {
	s := v.Snapshot
	about := status.Source{
		Kind: "api", Waiting: append([]string{}, v.Waiting...), Problems: []status.Problem{},
		Subnets: len(s.Subnets), Nodes: len(s.Nodes), Peers: len(s.Peers), StaleSince: staleSince(v),
	}
	stale := func(format string, args ...any) {
		about.Problems = append(about.Problems, status.Stalef(format, args...))
	}
	for _, p := range v.Lapses {
		stale("%s not followed since %s: %s", p.Kind, p.Since.Format(time.RFC3339), p.Why)
	}
	switch {
	case v.Expired:
		// There is a plan, without what cannot be read, but not one to be content with.
		about.Waiting = append(about.Waiting, expired(v))
	case !v.Saved.IsZero():
		stale("last-known state of %s in force, until %s or the API server is back", v.Saved.Format(time.RFC3339), v.Until.Format(time.RFC3339))
	}
	for _, held := range v.Held {
		stale("%s", held)
	}
	if v.Unsaved != "" {
		stale("%s", v.Unsaved)
	}
	for _, p := range v.Problems {
		about.Problems = append(about.Problems, status.Problem{Problem: p})
	}
	return about
}

// expired says that nothing stands in any more for what cannot be read.
func expired(v kube.LiveView) string {
	text := fmt.Sprintf("last-known state of %s is too old since %s, and Subnets that cannot be read are withdrawn",
		v.Saved.Format(time.RFC3339), v.Until.Format(time.RFC3339))
	if since := lapsedSince(v); !since.IsZero() {
		text += "; the API server is not followed since " + since.Format(time.RFC3339)
	}
	return text
}

// staleSince gives the earliest time since when a part is not in step.
func staleSince(v kube.LiveView) time.Time {
	if !v.Saved.IsZero() {
		return v.Saved
	}
	return lapsedSince(v)
}

// lapsedSince gives the earliest time since when a kind is not followed.
func lapsedSince(v kube.LiveView) time.Time {
	var since time.Time
	for _, p := range v.Lapses {
		if since.IsZero() || p.Since.Before(since) {
			since = p.Since
		}
	}
	return since
}
