package policy_test

import (
	"slices"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// gently gives the attributes with which a node's plan lets the prefix leave, and
// whether it is marked as being drained.
func (w *story) gently(node string) (policy.Attributes, bool) {
	w.t.Helper()
	plan := w.decide(node)
	if len(plan.Adverts) != 1 {
		w.t.Fatalf("%s announces %+v", node, plan.Adverts)
	}
	return plan.Exports(plan.Adverts[0])[0].Attributes, plan.Adverts[0].Draining
}

func TestDrainMovesTrafficBeforeItWithdraws(t *testing.T) {
	w := tell(t)
	w.at(0, routed, "n1 n2")
	w.node("n1").Annotations[routes.AnnotationDrain] = "true"
	w.at(10, routed, "n1 n2")
	a, draining := w.gently("n1")
	if !draining || !slices.Contains(a.Communities, routes.GracefulShutdown) || a.ASPathPrepend <= 3 || *a.MED == 0 || a.LocalPref != nil {
		t.Errorf("to an external peer: %+v", a)
	}
	if b, draining := w.gently("n2"); draining || len(b.Communities) > 0 || b.ASPathPrepend > 0 {
		t.Errorf("the other node: %+v", b)
	}
	w.s.Peers[0].PeerASN = w.s.Peers[0].LocalASN
	if a, _ := w.gently("n1"); !slices.Contains(a.Communities, routes.GracefulShutdown) || a.LocalPref == nil || *a.LocalPref != 0 || a.ASPathPrepend != 0 {
		t.Errorf("to an internal peer: %+v", a)
	}
	w.at(39.9, routed, "n1 n2")
	w.at(40, routed, "n2")
	delete(w.node("n1").Annotations, routes.AnnotationDrain)
	w.at(41, routed, "n1 n2")
	if a, draining := w.gently("n1"); draining || a.LocalPref != nil {
		t.Errorf("after the drain: %+v", a)
	}
}

func TestDrainedNodeBeginsNothing(t *testing.T) {
	w := tell(t)
	w.node("n1").Annotations[routes.AnnotationDrain] = "true"
	w.at(0, routed, "n2")
	w.at(1, routed, "n2")
}

func TestDrainWithoutWaitWithdrawsAtOnce(t *testing.T) {
	w := tell(t)
	w.s.DrainWait = 0
	w.at(0, routed, "n1 n2")
	w.node("n1").Annotations[routes.AnnotationDrain] = "true"
	w.at(1, routed, "n2")
}

func TestDrainOfTheLastAnnouncerThatAPersonAskedForIsCarriedOut(t *testing.T) {
	w := tell(t)
	w.centralized("n1", "n1")
	w.at(0, routed, "n1")
	w.node("n1").Annotations[routes.AnnotationDrain] = "true"
	w.at(1, routed, "n1")
	w.at(31, routed, "")
}

func TestMachineThatShutsDownOrIsTaintedKeepsWhatNobodyElseAnnounces(t *testing.T) {
	for name, begin := range map[string]func(*routes.Node){
		"shutting down": func(n *routes.Node) { n.ShuttingDown, n.Ready = true, false },
		"tainted":       func(n *routes.Node) { n.Taints = []string{"example.com/leaving=soon"} },
	} {
		t.Run(name, func(t *testing.T) {
			w := tell(t)
			w.s.DrainTaints = []string{"example.com/leaving"}
			w.centralized("n1,n2", "n1")
			w.at(0, routed, "n1")
			begin(w.node("n1"))
			w.at(1, routed, "n1")
			w.at(31, routed, "n1")
			w.warned(routes.KeptAnnounced, "n1")
			if _, draining := w.gently("n1"); !draining {
				t.Error("announced as if nothing was to happen")
			}
			w.centralized("n1,n2", "n2")
			w.at(32, routed, "n1 n2")
			w.at(33.1, routed, "n2")
		})
	}
}
