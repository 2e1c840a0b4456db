package daemon

import (
	"time"

	"github.com/fairway-bgp/fairway/status"
)

// stopwatch measures how long what happens takes to the wire: from the first ring after
// a pass until the speaker has handed the changed prefixes to the sessions. The start,
// what changes nothing that is announced, and what the clock alone brings are not
// measured. The zero value has measured nothing.
type stopwatch struct {
	// since is when the oldest change was heard of that may still be on its way; zero for
	// none.
	since time.Time
	// begun is true once all was handed over, and changed whether since then something
	// has that was not.
	begun, changed bool
	delays         status.Delays
}

// heard notes that the bell has rung; at is zero where it has not.
func (w *stopwatch) heard(at time.Time) {
	if w.since.IsZero() {
		w.since = at
	}
}

// handedOver notes that the speaker was given a plan, whether that announces anything else
// than the one before, and whether the speaker could do all of it: what it could not is
// still on its way.
func (w *stopwatch) handedOver(changed, all bool, now time.Time) {
	w.changed = w.changed || changed
	if !all {
		return
	}
	if w.begun && w.changed && !w.since.IsZero() {
		w.delays = w.delays.Plus(now.Sub(w.since))
	}
	w.since, w.begun, w.changed = time.Time{}, true, false
}
