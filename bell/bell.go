// Package bell wakes whoever works in a loop: a source, a watch or a session rings,
// and the loop looks at everything anew. What has happened is not said, so that no
// order of events and no event that got lost can lead to another result.
package bell

import "time"

// Bell wakes the one goroutine that listens. Any number of others may ring it;
// rings that come while one is pending are the same ring.
type Bell struct{ pending chan time.Time }

// New gives a silent Bell.
func New() *Bell { return &Bell{make(chan time.Time, 1)} }

// Ring never blocks.
func (b *Bell) Ring() { b.RingSince(time.Now()) }

// RingSince rings for what happened at a time before, which took until now to be
// understood. Of rings that come while one is pending the earliest time counts. It never
// blocks.
func (b *Bell) RingSince(at time.Time) {
	for {
		select {
		case b.pending <- at:
			return
		default: // it rings already
		}
		select {
		case pending := <-b.pending:
			if pending.Before(at) {
				at = pending
			}
		default: // it has been heard just now
		}
	}
}

// Rung gives a value for each ring that was not heard yet: since when there is something to look at.
func (b *Bell) Rung() <-chan time.Time { return b.pending }
