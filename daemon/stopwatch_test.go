package daemon

import (
	"testing"
	"time"
)

func TestTheWayOfAChangeIsMeasured(t *testing.T) {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(seconds int) time.Time { return begun.Add(time.Duration(seconds) * time.Second) }
	const same, changed = false, true
	var w stopwatch
	w.heard(at(0))
	w.handedOver(changed, true, at(1)) // the start
	w.heard(at(2))
	w.handedOver(same, true, at(3)) // nothing that is announced has changed
	w.heard(time.Time{})
	w.handedOver(changed, true, at(4)) // the clock's doing
	if w.delays.Count != 0 {
		t.Fatalf("measured: %+v", w.delays)
	}
	w.heard(at(5))
	w.handedOver(changed, false, at(6)) // the speaker could not
	w.heard(at(7))
	w.handedOver(same, true, at(8))
	if w.delays.Count != 1 || w.delays.Last != 3 {
		t.Errorf("from the first ring to what was done at last are 3 s: %+v", w.delays)
	}
}
