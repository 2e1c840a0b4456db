package daemon

import (
	"context"
	"time"
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
