package daemon

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"
)

// Bell wakes the loop. Any number of goroutines may ring it; rings that come
// while one is pending are the same ring.
type Bell struct{ c chan struct{} }

// NewBell gives a silent Bell.
func NewBell() *Bell { return &Bell{make(chan struct{}, 1)} }

// Ring never blocks.
func (b *Bell) Ring() {
	select {
	case b.c <- struct{}{}:
	default:
	}
}

// wait returns true at the next ring or after d, false when ctx ends.
func (b *Bell) wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-b.c:
		return true
	case <-t.C:
		return true
	}
}

// KeepWatching runs a watch that rings the bell until ctx ends, and again
// whenever it breaks: no change may go unnoticed for long, and no watch that
// breaks may end the daemon.
func (b *Bell) KeepWatching(ctx context.Context, log *logrus.Entry, watch func(ctx context.Context, bell func()) error) error {
	for {
		err := watch(ctx, b.Ring)
		if ctx.Err() != nil {
			return nil
		}
		log.WithError(err).Warn("a watch broke; looking at everything, and watching again")
		b.Ring()
		if !sleep(ctx, retryInterval) {
			return nil
		}
	}
}
