package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/fairway-bgp/fairway/policy"
)

// moveWait is how long traffic has to move before the sessions end: a router takes up an
// UPDATE, and its kernel the route, in less than 0.3 s.
const moveWait = time.Second

// MoveAway has traffic move to other nodes before the sessions end on purpose, where a
// router watches this node by BFD: it cannot tell such an end from a dead node, and drops
// at once what it has (RFC 5882 section 4.3). What is announced goes out with
// GRACEFUL_SHUTDOWN (RFC 8326) and a path that loses; what no other node announces stays
// the best there is. It is for when Run is over.
func (d *Daemon) MoveAway(ctx context.Context) {
	if d.plan == nil || len(d.plan.Adverts) == 0 || !slices.ContainsFunc(d.plan.Sessions, func(s policy.Session) bool { return s.BFD.On() }) {
		return
	}
	s, _, known := d.Source.Latest()
	if !known {
		return
	}
	plan := policy.Make(leaving(d.memory.Recall(s, time.Now().UTC().Round(0)), d.Node), d.Node)
	if len(plan.Adverts) < len(d.plan.Adverts) {
		return // objects have changed since, and a goodbye is no time to withdraw
	}
	if err := d.Speaker.Sync(ctx, plan.Wish()); err != nil {
		d.Log.WithError(err).Warn("traffic may not have moved away before the end")
		return
	}
	d.Log.WithField("for", moveWait).Info("told to stop, and watched by BFD: traffic moves to other nodes first")
	sleep(ctx, moveWait)
}

// leaving gives the Snapshot as if the node's machine were going down, with time left.
func leaving(s policy.Snapshot, node string) policy.Snapshot {
	s.DrainWait = max(s.DrainWait, time.Minute)
	s.Nodes = slices.Clone(s.Nodes)
	for i := range s.Nodes {
		if s.Nodes[i].Name == node {
			s.Nodes[i].ShuttingDown = true
		}
	}
	return s
}
