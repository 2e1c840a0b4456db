package policy_test

import (
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// TestAClockThatIsSetBackHoldsNothingUp: what waits for a moment waits no longer than
// it would have, counted from when the clock was set.
func TestAClockThatIsSetBackHoldsNothingUp(t *testing.T) {
	const hour = 3600
	t.Run("a gateway that leaves", func(t *testing.T) {
		w := tell(t)
		w.centralized("n1,n2", "n1")
		w.at(0, routed, "n1")
		w.subnet("routed").ActiveGateway = "n2"
		w.at(100, routed, "n1 n2")
		w.at(100.2-hour, routed, "n1 n2")
		w.at(103-hour, routed, "n2")
	})
	t.Run("a node that is drained", func(t *testing.T) {
		w := tell(t)
		w.s.DrainWait = 30 * time.Second
		w.at(0, routed, "n1 n2")
		w.node("n1").Annotations[routes.AnnotationDrain] = "true"
		w.at(100, routed, "n1 n2")
		w.at(101-hour, routed, "n1 n2")
		w.at(140-hour, routed, "n2")
	})
	t.Run("NAT that has ended", func(t *testing.T) {
		w := tell(t)
		w.at(0, routed, "n1 n2")
		w.subnet("routed").NATOutgoing = true
		w.at(10, routed, "")
		w.subnet("routed").NATOutgoing = false
		w.at(11, routed, "")
		w.at(11.5-hour, routed, "")
		w.at(16-hour, routed, "n1 n2")
	})
}

// TestAClockThatIsSetForwardWithdrawsNothing.
func TestAClockThatIsSetForwardWithdrawsNothing(t *testing.T) {
	const year = 365 * 24 * 3600
	w := tell(t)
	w.at(0, routed, "n1 n2")
	w.at(year, routed, "n1 n2")
	w.centralized("n1", "")
	w.at(year+1, routed, "n1 n2")
	w.at(2*year, routed, "n1 n2")
}
