package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Terms of the Lease. Each daemon asks for it twice a minute, so that a thousand
// of them are a small load; a reporter that died is replaced within two minutes.
// Nothing but reporting waits for that.
const (
	leaseTerm = 90 * time.Second
	leaseAsk  = 30 * time.Second
)

// lease is the part of a coordination.k8s.io/v1 Lease that is used.
type lease struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              leaseSpec `json:"spec"`
}

type leaseSpec struct {
	HolderIdentity       string            `json:"holderIdentity"`
	LeaseDurationSeconds int32             `json:"leaseDurationSeconds"`
	AcquireTime          *metav1.MicroTime `json:"acquireTime,omitempty"`
	RenewTime            *metav1.MicroTime `json:"renewTime,omitempty"`
	LeaseTransitions     int32             `json:"leaseTransitions,omitempty"`
}

// Election chooses one of the daemons, by a Lease in Fairway's own namespace. It
// needs the verbs get, create and update on leases there.
type Election struct {
	cluster    *Cluster
	name, node string
	log        *logrus.Entry
	// term and ask are leaseTerm and leaseAsk but in tests.
	term, ask time.Duration
	// seen is the holder's last sign of life and when it was first seen, by our own
	// clock: the holder's may be wrong.
	seen   leaseSpec
	seenAt time.Time
}

// NewElection gives an Election that has not begun, for the Lease of that name
// and the candidate node.
func NewElection(c *Cluster, name, node string, log *logrus.Entry) *Election {
	return &Election{cluster: c, name: name, node: node, log: log, term: leaseTerm, ask: leaseAsk}
}

// Run takes part until ctx ends, and runs lead as long as the Lease is held.
// lead must return soon after its context ends.
func (e *Election) Run(ctx context.Context, lead func(context.Context)) error {
	var led sync.WaitGroup
	stop := func() {}
	// heldUntil is when somebody else may take it, if it is not renewed before.
	var heldUntil time.Time
	defer func() { stop(); led.Wait(); e.release(ctx, heldUntil) }()
	for {
		leading := !heldUntil.IsZero()
		sent := time.Now()
		held, err := e.hold(ctx)
		switch {
		case err == nil && held:
			// A margin for the clocks' different speed.
			heldUntil = sent.Add(e.term * 3 / 4)
			if !leading {
				e.log.Info("this node reports for the cluster now")
				leadCtx, cancel := context.WithCancel(ctx)
				stop = cancel
				led.Go(func() { lead(leadCtx) })
			}
		case leading && (err == nil || time.Now().Add(e.ask).After(heldUntil)):
			e.log.WithError(err).Info("another node reports for the cluster from now on")
			stop()
			led.Wait()
			heldUntil = time.Time{}
		}
		if !pause(ctx, e.ask-rand.N(e.ask/5)) {
			return nil
		}
	}
}

// hold takes the Lease, or renews it, if nobody else has it.
func (e *Election) hold(ctx context.Context) (bool, error) {
	l, err := e.read(ctx)
	if apierrors.IsNotFound(err) {
		l, err = lease{}, nil
	}
	if err != nil {
		return false, err
	}
	if l.Spec.HolderIdentity != e.node && !e.free(l.Spec) {
		return false, nil
	}
	return e.take(ctx, l, e.node)
}

// free reports whether the Lease is nobody's, or its holder has given no sign of
// life for its term, and ours.
func (e *Election) free(s leaseSpec) bool {
	if s.HolderIdentity == "" {
		return true
	}
	if s.HolderIdentity != e.seen.HolderIdentity || !s.RenewTime.Equal(e.seen.RenewTime) {
		e.seen, e.seenAt = s, time.Now()
	}
	// No longer than a term: who could hold it for years may have had a stolen token.
	return time.Since(e.seenAt) > min(time.Duration(s.LeaseDurationSeconds)*time.Second, e.term)
}

// take writes the Lease as holder's. Its resourceVersion makes sure that nobody
// did the same in between.
func (e *Election) take(ctx context.Context, l lease, holder string) (bool, error) {
	now := metav1.NowMicro()
	if l.Spec.HolderIdentity != holder {
		l.Spec.AcquireTime, l.Spec.LeaseTransitions = &now, l.Spec.LeaseTransitions+1
	}
	l.Name, l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = e.name, holder, int32(e.term/time.Second), &now
	_, err := e.cluster.writeLease(ctx, l)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	return err == nil, err
}

func (e *Election) read(ctx context.Context) (lease, error) { return e.cluster.readLease(ctx, e.name) }

// readLease reads a Lease of Fairway's own namespace.
func (c *Cluster) readLease(ctx context.Context, name string) (lease, error) {
	text, err := ask(ctx, c.at(c.clients[leaseVersion()].Get(), leaseResource(), c.namespace, name))
	if err != nil {
		return lease{}, fmt.Errorf("read Lease %s: %w", name, err)
	}
	var l lease
	if err := json.Unmarshal(text, &l); err != nil {
		return lease{}, fmt.Errorf("read Lease %s: %w", name, err)
	}
	return l, nil
}

// writeLease writes a Lease of Fairway's own namespace, a new one where it has no
// resourceVersion, and gives it as it is then.
func (c *Cluster) writeLease(ctx context.Context, l lease) (lease, error) {
	l.APIVersion, l.Kind, l.Namespace = leaseVersion().String(), leaseResource().kind, c.namespace
	text, err := json.Marshal(l)
	if err != nil {
		return lease{}, fmt.Errorf("write Lease %s: %w", l.Name, err)
	}
	request := c.at(c.clients[leaseVersion()].Post(), leaseResource(), c.namespace, "")
	if l.ResourceVersion != "" {
		request = c.at(c.clients[leaseVersion()].Put(), leaseResource(), c.namespace, l.Name)
	}
	answer, err := ask(ctx, request.Body(text))
	if err != nil {
		return lease{}, fmt.Errorf("write Lease %s: %w", l.Name, err)
	}
	var out lease
	if err := json.Unmarshal(answer, &out); err != nil {
		return lease{}, fmt.Errorf("write Lease %s: %w", l.Name, err)
	}
	return out, nil
}

// release gives the Lease up at the end, so that the next one need not wait.
func (e *Election) release(ctx context.Context, heldUntil time.Time) {
	if heldUntil.IsZero() {
		return
	}
	const bound = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bound)
	defer cancel()
	l, err := e.read(ctx)
	if err == nil && l.Spec.HolderIdentity == e.node {
		_, err = e.take(ctx, l, "")
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		e.log.WithError(err).Debug("the Lease runs out by itself")
	}
}
