package enforce

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/host"
)

// Intervals of the Keeper.
const (
	// auditInterval is when everything is looked at though nothing was heard of.
	auditInterval = 60 * time.Second
	// auditPause is the least time between two audits: other agents change rules
	// many times a second.
	auditPause = time.Second
	// auditShare bounds the part of the time that audits take, one in so many,
	// where others change ten thousands of rules all the time.
	auditShare = 10
	// idleShare bounds the part of the time that looks take which nothing has asked for.
	idleShare = 100
	// retryInterval is when a repair that failed is tried again.
	retryInterval = time.Second
)

// KeeperOptions are what a Keeper works with. Enforcer is nil for audit alone.
type KeeperOptions struct {
	Log      *logrus.Entry
	Enforcer *Enforcer
	// Tell is called after an audit that found something else than the last.
	Tell func()
}

// Keeper audits, and where asked repairs, this node while the daemon runs. It
// has a loop of its own, because reading the packet filter takes longer than a
// pass of the daemon may.
type Keeper struct {
	KeeperOptions
	rung, changed, moved *bell.Bell

	// reader is the audits'; Run's alone.
	reader host.FilterReader

	// fights are the repairs of late; Run's alone.
	fights fights

	// next is when there may be an audit again, and later where only rules have changed
	// that no forwarded packet meets. forwarding is the state of the others. complaint is the
	// error logged last and patience the pause after it; Run's alone.
	next, later time.Time
	forwarding  host.FilterState
	complaint   string
	patience    time.Duration

	mu       sync.Mutex
	want     host.Want
	findings []host.Finding
	known    bool
}

// NewKeeper gives a Keeper that has not begun and wants nothing.
func NewKeeper(o KeeperOptions) *Keeper {
	return &Keeper{KeeperOptions: o, rung: bell.New(), changed: bell.New(), moved: bell.New()}
}

// Ring says that something on the host has changed. It never blocks.
func (k *Keeper) Ring() { k.rung.Ring() }

// WatchFilter rings on every change of a rule until ctx ends.
func (k *Keeper) WatchFilter(ctx context.Context) error {
	if k.Enforcer == nil {
		return watchFilter(ctx, auditing(), k.Ring)
	}
	return watchFilter(ctx, enforcing(), k.Ring)
}

// WatchSettings looks at sysctls as soon as the kernel says that one has changed, until
// ctx ends.
func (k *Keeper) WatchSettings(ctx context.Context) error {
	return watchSettings(ctx, k.changed.Ring)
}

// Reconsider says that more than rules may have changed: links, routes,
// addresses. It never blocks, and may be called often: everything is looked at
// after a pause.
func (k *Keeper) Reconsider() { k.moved.Ring() }

// Follow hands over what is wanted from now on.
func (k *Keeper) Follow(w host.Want) {
	k.mu.Lock()
	same := sameWant(k.want, w)
	k.want = w
	k.mu.Unlock()
	if !same {
		k.changed.Ring()
	}
}

func sameWant(a, b host.Want) bool {
	return slices.Equal(a.Networks, b.Networks) && slices.Equal(a.Peers, b.Peers) && a.Overlay == b.Overlay && a.BGPPort == b.BGPPort
}

// Findings are those of the newest audit; false before there was one.
func (k *Keeper) Findings() ([]host.Finding, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.findings, k.known
}

// Run works until ctx ends. What it has put on the host stays: traffic goes on
// while a daemon is replaced, and Undo removes it.
func (k *Keeper) Run(ctx context.Context) error {
	if k.Enforcer != nil {
		release, err := holdEnforcing(k.Enforcer.State)
		if err != nil {
			k.complain(err) // and every repair will fail the same way
		} else {
			defer release()
		}
	}
	due := time.Now() // of the next audit
	look := due       // of the next repair, if that is sooner
	for {
		timer := time.NewTimer(time.Until(earlier(due, look)))
		whole, rung, soon := false, false, k.next
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-k.rung.Rung():
			rung = true
		case <-k.moved.Rung():
			due = earlier(due, k.next)
			timer.Stop()
			continue
		case <-k.changed.Rung():
			whole = true
		case <-timer.C:
			whole = !time.Now().Before(due)
		}
		timer.Stop()
		look = k.repair(ctx, k.Want(), whole) // before anything else: traffic waits
		if rung && !whole && !k.forwardingChanged() {
			soon = k.later
		}
		if begin := time.Now(); !begin.Before(due) {
			k.audit(ctx, k.Want())
			end := time.Now()
			k.next, k.later = end.Add(max(auditPause, auditShare*end.Sub(begin))), end.Add(max(auditPause, idleShare*end.Sub(begin)))
			due = end.Add(max(auditInterval, idleShare*end.Sub(begin)))
		} else {
			due = earlier(due, soon) // something has happened
		}
	}
}

// forwardingChanged reports whether rules are other ones, or may be, that forwarded packets
// meet.
func (k *Keeper) forwardingChanged() bool {
	if k.Enforcer != nil && k.Enforcer.spared {
		return false
	}
	before := k.forwarding
	var err error
	k.forwarding, err = host.AskForwarding(false, true)
	return err != nil || k.forwarding != before
}

func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

// Want is what was handed over last.
func (k *Keeper) Want() host.Want {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.want
}

// repair enforces, if that is asked for, and says when to look again; zero for
// when something rings.
func (k *Keeper) repair(ctx context.Context, w host.Want, whole bool) (again time.Time) {
	if k.Enforcer == nil || w.Overlay == "" { // no plan yet: what is there stays
		return again
	}
	begin := time.Now()
	if rest := k.fights.rest; begin.Before(rest) {
		return rest
	}
	k.Enforcer.spared = false
	enforce := k.Enforcer.EnforceFilter
	if whole || !k.fights.rest.IsZero() {
		enforce = k.Enforcer.Enforce
	}
	did, err := enforce(ctx, w)
	switch {
	case ctx.Err() != nil:
		return again
	case err == nil:
		k.complaint = ""
	}
	if did && k.fights.note(time.Now(), k.Enforcer.done) {
		k.Log.WithField("mended", strings.Join(k.Enforcer.done, ", ")).Warn("somebody undoes again and again what enforcing puts on this host: it is mended less often from now on")
	}
	switch {
	case err != nil:
		return time.Now().Add(k.complain(err))
	case did:
		k.Log.WithField("mended", strings.Join(k.Enforcer.done, ", ")).Info("host repaired: rules, sets or sysctls were not as the announcements need them")
		// Who undid it may do so again before iptables-legacy is looked at, and
		// then nothing seems to have changed.
		return time.Now().Add(2 * restlessInterval)
	}
	return again
}

// complain logs an error once and gives the time to the next try: twice as long
// for each time that it is the same. What is not allowed here stays so.
func (k *Keeper) complain(err error) time.Duration {
	if k.complaint != err.Error() {
		k.complaint, k.patience = err.Error(), retryInterval
		k.Log.WithError(err).Error("repair the host")
		return k.patience
	}
	k.patience = min(2*k.patience, auditInterval)
	return k.patience
}

func (k *Keeper) audit(ctx context.Context, w host.Want) {
	findings := append(host.Check(k.reader.ReadAll(ctx, w), w), k.fights.findings(time.Now())...)
	if ctx.Err() != nil {
		return
	}
	k.mu.Lock()
	same := k.known && slices.EqualFunc(k.findings, findings, host.Finding.Equal)
	k.findings, k.known = findings, true
	k.mu.Unlock()
	if !same && k.Tell != nil {
		k.Tell()
	}
}
