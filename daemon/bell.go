package daemon

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
)

// rung returns true at the next ring, with the time of it, or after d; false when ctx ends.
func rung(ctx context.Context, b *bell.Bell, d time.Duration) (at time.Time, on bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return time.Time{}, false
	case at := <-b.Rung():
		return at, true
	case <-t.C:
		return time.Time{}, true
	}
}

// KeepWatching runs a watch that rings the bell until ctx ends, and again
// whenever it breaks: no change may go unnoticed for long, and no watch that
// breaks may end the daemon.
func KeepWatching(ctx context.Context, b *bell.Bell, log *logrus.Entry, watch func(ctx context.Context, ring func()) error) error {
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
