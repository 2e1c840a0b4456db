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
func (b *Bell) Ring() {
	select {
	case b.pending <- time.Now():
	default: // it rings already
	}
}

// Rung gives a value for each ring that was not heard yet: when it rang first.
func (b *Bell) Rung() <-chan time.Time { return b.pending }
