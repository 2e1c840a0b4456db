package status

import (
	"fmt"
	"slices"
	"time"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
)

// DrainStage is how far a node's drain has come, by the word that the Speaker has for
// it as the reason of its condition Drained.
type DrainStage string

// Stages of a drain, in order. Where another node could not take over, and nobody
// asked for this very Node to be emptied, it ends with LastAnnouncer.
const (
	NotDraining      DrainStage = ""
	Waiting          DrainStage = v1alpha1.ReasonWaiting
	Withdrawing      DrainStage = v1alpha1.ReasonWithdrawing
	LastAnnouncer    DrainStage = v1alpha1.ReasonLastAnnouncer
	NothingAnnounced DrainStage = v1alpha1.ReasonNothingAnnounced
)

// DrainStage tells how far the drain has come: done is what neither the plan nor
// the speaker's table nor any peer has a prefix of any more.
func (s *Status) DrainStage() DrainStage {
	switch {
	case !s.Draining:
		return NotDraining
	case s.drained():
		return NothingAnnounced
	case !s.DrainUntil.IsZero():
		return Waiting
	case len(s.Plan.Adverts) > 0:
		return LastAnnouncer
	}
	return Withdrawing
}

func (s *Status) drained() bool {
	return len(s.Plan.Adverts) == 0 && s.Speaker.InSync && s.Speaker.Originated == 0 &&
		!slices.ContainsFunc(s.Sessions, func(e Session) bool { return e.Advertised > 0 })
}

// DrainText says why the node drains and what that means now; "" where it does
// not.
func (s *Status) DrainText() string {
	var now string
	switch s.DrainStage() {
	case NotDraining:
		return ""
	case Waiting:
		now = fmt.Sprintf("%s with GRACEFUL_SHUTDOWN until %s, then withdrawn",
			columns.Count(len(s.Plan.Adverts), "prefix", "prefixes"), s.DrainUntil.UTC().Format("15:04:05Z"))
	case Withdrawing:
		now = "everything is being withdrawn"
	case LastAnnouncer:
		now = "stays announced, for no other node would announce it: " + s.prefixes()
	case NothingAnnounced:
		now = "nothing is announced"
	}
	return s.DrainCause + ": " + now
}

// prefixes names the first few that are announced.
func (s *Status) prefixes() string {
	const few = 5
	out := make([]string, len(s.Plan.Adverts))
	for i, a := range s.Plan.Adverts {
		out[i] = fmt.Sprintf("%s of %s", a.Prefix, a.Subnet)
	}
	return columns.First(few, out)
}

// drainWaits gives how long the node goes on announcing; 0 where it does not wait.
func (s *Status) drainWaits(now time.Time) time.Duration {
	if s.DrainStage() != Waiting {
		return 0
	}
	return max(0, s.DrainUntil.Sub(now)).Round(time.Second)
}
