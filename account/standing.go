package account

import (
	"fmt"
	"time"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

// deadText is what the silence of a daemon may mean.
const deadText = ": its daemon was killed, or does not reach the API server"

// Heartbeats are when the daemons gave their last sign of life, by their Leases as
// NAMESPACE/NAME, and when that was read: all by the API server's clock, so that a wrong
// one on a node kills nobody. The zero value knows of none.
type Heartbeats struct {
	At   time.Time
	Last map[string]time.Time
}

// Standing is whether a node's daemon runs, as far as that is known.
type Standing string

// Standings. Running has been proven by a heartbeat; Presumed is what a Speaker says
// that nothing proves or disproves, such as that of a daemon that may write no Lease.
const (
	Running  Standing = "running"
	Presumed Standing = "presumed"
	Dead     Standing = "dead"
	Halted   Standing = "stopped"
	Absent   Standing = "no daemon"
)

// Speaks reports whether what the Speaker says is so now, as far as is known.
func (s Standing) Speaks() bool { return s == Running || s == Presumed }

// Of gives a node's standing by its Speaker, nil for none.
func (h Heartbeats) Of(s *v1alpha1.Speaker) Standing {
	switch {
	case s == nil:
		return Absent
	case Stopped(s):
		return Halted
	case s.Status.Heartbeat == "" || h.Last == nil:
		return Presumed
	}
	if last, ok := h.Last[s.Status.Heartbeat]; !ok || h.At.Sub(last) > v1alpha1.HeartbeatTerm {
		return Dead
	}
	return Running
}

// Why says, in words that stay the same for as long as it is so, why a Speaker's word
// does not count; "" where it does.
func (h Heartbeats) Why(s *v1alpha1.Speaker) string {
	switch h.Of(s) {
	case Absent:
		return "no daemon: fairway does not run there"
	case Halted:
		return stoppedText
	case Dead:
		return "no heartbeat" + deadText
	}
	return ""
}

// WhyDead says for how long a dead daemon has given no sign of life, and what that may
// mean.
func (h Heartbeats) WhyDead(s *v1alpha1.Speaker) string { return h.silence(s) + deadText }

func (h Heartbeats) silence(s *v1alpha1.Speaker) string {
	last, ok := h.Last[s.Status.Heartbeat]
	if !ok {
		return "no heartbeat: its Lease " + s.Status.Heartbeat + " is gone"
	}
	return fmt.Sprintf("no heartbeat for %s", h.At.Sub(last).Truncate(time.Second))
}
