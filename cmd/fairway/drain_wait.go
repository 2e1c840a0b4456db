package main

import (
	"context"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
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
	// lastProgress is when progress was told last; zero before.
	lastProgress time.Time
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
		case err != nil || !account.Stopped(s):
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
	case account.Stopped(s):
		_, err = fmt.Fprintf(w.out, "Node %s announces nothing: fairway has stopped there.\n", w.node)
	case w.drained(s):
		_, err = fmt.Fprintf(w.out, "Node %s announces nothing any more.\n", w.node)
	default:
		if why := w.silence(ctx, s); why != "" {
			return wrong(fmt.Errorf("node %s is annotated, and nobody carries it out: %s", w.node, why))
		}
		err = wrong(fmt.Errorf("node %s still announces %s after %s: %s", w.node,
			columns.Count(int(s.Status.Announced.Count), "prefix", "prefixes"), w.timeout, drainText(s)))
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
		return apierrors.IsNotFound(err) || err == nil && !drains(s)
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case apierrors.IsNotFound(err), err == nil && account.Stopped(s):
		_, err = fmt.Fprintf(w.out, "Node %s may announce again: fairway does not run there now.\n", w.node)
	case err != nil:
		return fmt.Errorf("node %s may announce again, but what it does cannot be read: %w", w.node, err)
	case !drains(s):
		_, err = fmt.Fprintf(w.out, "Node %s announces again.\n", w.node)
	default:
		if why := w.silence(ctx, s); why != "" {
			return wrong(fmt.Errorf("node %s may announce again, and nobody carries it out: %s", w.node, why))
		}
		err = wrong(fmt.Errorf("node %s may announce again, but its Speaker still speaks of a drain after %s: %s", w.node, w.timeout, drainText(s)))
	}
	return err
}

// silence says why nothing is to be expected of the node's daemon; "" where it lives, or
// that is not known.
func (w *drainWait) silence(ctx context.Context, s *v1alpha1.Speaker) string {
	beats := heartbeats(ctx, w.progress, w.cluster, []v1alpha1.Speaker{*s})
	if beats.Of(s) != account.Dead {
		return ""
	}
	return beats.WhyDead(s)
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
			planned = max(planned, w.tellWait(s, time.Now()))
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

// tellWait says now and then how long the node goes on announcing, and gives how long
// that is in all. Both ends are by the node's clock, and this one's may differ.
func (w *drainWait) tellWait(s *v1alpha1.Speaker, now time.Time) time.Duration {
	drain, ok := account.DrainOf(s)
	if !ok || drain.Until.IsZero() {
		return 0
	}
	if now.Sub(w.lastProgress) >= progressEvery {
		w.lastProgress = now
		fmt.Fprintf(w.progress, "fairway: %s announces %s with GRACEFUL_SHUTDOWN; withdraws in %s\n", w.node,
			columns.Count(int(s.Status.Announced.Count), "prefix", "prefixes"), min(max(drain.Until.Sub(now), 0), drain.Wait()).Round(time.Second))
	}
	return drain.Wait()
}

// drained reports whether the Speaker says that this request is carried out.
func (w *drainWait) drained(s *v1alpha1.Speaker) bool {
	drain, ok := account.DrainOf(s)
	return ok && drain.Request == w.request && drain.Done
}

// drains reports whether the Speaker speaks of a drain.
func drains(s *v1alpha1.Speaker) bool {
	_, ok := account.DrainOf(s)
	return ok
}

// drainText is the Speaker's own word on a drain.
func drainText(s *v1alpha1.Speaker) string {
	if drain, ok := account.DrainOf(s); ok && drain.Text != "" {
		return drain.Text
	}
	return "does fairway run there?"
}
