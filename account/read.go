package account

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/status"
)

// Stopped reports whether a Speaker says that its daemon has ended, which withdraws
// everything. A daemon that was killed could not say so.
func Stopped(s *v1alpha1.Speaker) bool {
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionFalse && ready.Reason == v1alpha1.ReasonStopped
}

// Drain is what a Speaker says of the drain of its node.
type Drain struct {
	// Request is that of the Node's annotation fairway.dev/drain-request; "" where the
	// drain has none, as that by a taint.
	Request string
	// Stage is how far it has come; Done is true once nothing is announced any more.
	Stage status.DrainStage
	Done  bool
	// Text says why the node drains and what that means now, for people.
	Text string
	// Since is when it began, in whole seconds by the node's clock, and Until when the
	// node will withdraw; zero where it does not wait.
	Since, Until time.Time
}

// DrainOf gives what a Speaker says of a drain; ok is false where it speaks of none,
// and where its daemon has ended.
func DrainOf(s *v1alpha1.Speaker) (d Drain, ok bool) {
	c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionDrained)
	if c == nil || Stopped(s) {
		return Drain{}, false
	}
	d = Drain{
		Request: s.Status.DrainRequest, Stage: status.DrainStage(c.Reason), Done: c.Status == metav1.ConditionTrue,
		Text: c.Message, Since: c.LastTransitionTime.Time,
	}
	if s.Status.DrainUntil != nil {
		d.Until = s.Status.DrainUntil.Time
	}
	return d, true
}

// Wait gives how long the node goes on announcing in all, from the drain's begin on; 0
// where it does not wait.
func (d Drain) Wait() time.Duration {
	if d.Until.IsZero() {
		return 0
	}
	return d.Until.Sub(d.Since)
}

// listsAllAnnounced reports whether a Speaker lists everything that it announces.
func listsAllAnnounced(s *v1alpha1.Speaker) bool {
	return s.Status.Announced.Count <= int64(len(s.Status.Announced.First))
}

// listsAllWithheld reports whether a Speaker lists everything that it withholds.
func listsAllWithheld(s *v1alpha1.Speaker) bool {
	return s.Status.Withheld.Count <= int64(len(s.Status.Withheld.First))
}
