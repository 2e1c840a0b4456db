package main

import (
	"context"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/kube"
)

const (
	// drainPoll is how often the Speaker is looked at, which changes once a second
	// at most.
	drainPoll = 300 * time.Millisecond
	// stoppedFor is how long a Speaker must say that its daemon has stopped before
	// that counts: one that has just begun writes its Speaker a moment after it
	// announces.
	stoppedFor = 3 * time.Second
	// progressEvery is how often somebody who waits is told how long it takes.
	progressEvery = 10 * time.Second
)

// drainWait waits for what a node's Speaker says of a drain.
type drainWait struct {
	cluster       *kube.Cluster
	node, request string
	// timeout is how long the node may take, besides the wait that it announces.
	timeout       time.Duration
	out, progress io.Writer
	// told is when progress was told last; zero before.
	told time.Time
}

// untilDrained waits until the Speaker says that this request is carried out.
func (w *drainWait) untilDrained(ctx context.Context) error {
	if w.timeout == 0 {
		_, err := fmt.Fprintf(w.out, "Node %s is told to drain.\n", w.node)
		return err
	}
	var stoppedSince time.Time
	s, err := w.untilSpeaker(ctx, func(s *v1alpha1.Speaker, err error) bool {
		switch {
		case err != nil || !daemon.HasStopped(s):
			stoppedSince = time.Time{}
		case stoppedSince.IsZero():
			stoppedSince = time.Now()
		}
		return err == nil && w.drained(s) || !stoppedSince.IsZero() && time.Since(stoppedSince) > stoppedFor
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("node %s is annotated, but what it does cannot be read: %w", w.node, err)
	case daemon.HasStopped(s):
		_, err = fmt.Fprintf(w.out, "Node %s announces nothing: fairway has stopped there.\n", w.node)
	case w.drained(s):
		_, err = fmt.Fprintf(w.out, "Node %s announces nothing any more.\n", w.node)
	default:
		err = wrong(fmt.Errorf("node %s still announces %s after %s: %s", w.node,
			columns.Count(int(s.Status.Announced.Count), "prefix", "prefixes"), w.timeout, ownWord(s)))
	}
	return err
}

// untilUndrained waits until the Speaker speaks of no drain.
func (w *drainWait) untilUndrained(ctx context.Context) error {
	if w.timeout == 0 {
		_, err := fmt.Fprintf(w.out, "Node %s is told to announce again.\n", w.node)
		return err
	}
	s, err := w.untilSpeaker(ctx, func(s *v1alpha1.Speaker, err error) bool {
		return apierrors.IsNotFound(err) || err == nil && (daemon.HasStopped(s) || drainOf(s) == nil)
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case apierrors.IsNotFound(err), err == nil && daemon.HasStopped(s):
		_, err = fmt.Fprintf(w.out, "Node %s may announce again: fairway does not run there now.\n", w.node)
	case err != nil:
		return fmt.Errorf("node %s may announce again, but what it does cannot be read: %w", w.node, err)
	case drainOf(s) == nil:
		_, err = fmt.Fprintf(w.out, "Node %s announces again.\n", w.node)
	default:
		err = wrong(fmt.Errorf("node %s may announce again, but its Speaker still speaks of a drain after %s: %s", w.node, w.timeout, ownWord(s)))
	}
	return err
}

// untilSpeaker reads the node's Speaker until it is as it should be, for so long at
// most, and gives what was read last. Whoever may not read it need not wait.
func (w *drainWait) untilSpeaker(ctx context.Context, done func(*v1alpha1.Speaker, error) bool) (*v1alpha1.Speaker, error) {
	began := time.Now()
	var planned time.Duration // that the node itself waits
	for {
		s, err := w.cluster.Speaker(ctx, w.node)
		if done(s, err) || apierrors.IsForbidden(err) {
			return s, err
		}
		if err == nil && w.request != "" && s.Status.DrainRequest == w.request {
			planned = max(planned, w.tell(s, time.Now()))
		}
		if time.Since(began) > w.timeout+planned {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(drainPoll):
		}
	}
}

// tell says now and then how long the node goes on announcing, and gives how long
// that is in all. Both ends are by the node's clock, and this one's may differ.
func (w *drainWait) tell(s *v1alpha1.Speaker, now time.Time) time.Duration {
	c, until := drainOf(s), s.Status.DrainUntil
	if c == nil || until == nil {
		return 0
	}
	whole := until.Sub(c.LastTransitionTime.Time)
	if now.Sub(w.told) >= progressEvery {
		w.told = now
		fmt.Fprintf(w.progress, "fairway: %s announces %s with GRACEFUL_SHUTDOWN; withdraws in %s\n", w.node,
			columns.Count(int(s.Status.Announced.Count), "prefix", "prefixes"), min(max(until.Sub(now), 0), whole).Round(time.Second))
	}
	return whole
}

// drained reports whether the Speaker says that this request is carried out.
func (w *drainWait) drained(s *v1alpha1.Speaker) bool {
	return s.Status.DrainRequest == w.request && meta.IsStatusConditionTrue(s.Status.Conditions, daemon.ConditionDrained)
}

// drainOf gives what the Speaker says of a drain; nil for nothing.
func drainOf(s *v1alpha1.Speaker) *metav1.Condition {
	return meta.FindStatusCondition(s.Status.Conditions, daemon.ConditionDrained)
}

// ownWord is the Speaker's own word on a drain.
func ownWord(s *v1alpha1.Speaker) string {
	if c := drainOf(s); c != nil && c.Message != "" {
		return c.Message
	}
	return "does fairway run there?"
}
