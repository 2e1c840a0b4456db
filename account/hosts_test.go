package account

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/host"
)

// TestWhatNodesSayOfTheirHosts: nothing that nobody has looked at is ok.
func TestWhatNodesSayOfTheirHosts(t *testing.T) {
	speaker := func(name string, ready metav1.ConditionStatus, reason string, findings ...v1alpha1.FindingStatus) v1alpha1.Speaker {
		s := v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: name}}
		s.Status.Findings = findings
		s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionHostReady, Status: ready, Reason: reason}}
		return s
	}
	drop := v1alpha1.FindingStatus{Check: "forward-drop", Subject: "10.166.0.0/16", State: "wrong", Why: "w", Fix: "f"}
	unsure := v1alpha1.FindingStatus{Check: "conntrack", State: "unknown"}
	dead := speaker("n9", metav1.ConditionTrue, v1alpha1.ReasonAllChecksOK)
	dead.Status.Heartbeat = "fairway-system/fairway-node-n9"
	at := time.Date(2026, 1, 2, 3, 4, 55, 0, time.UTC)
	words := Hosts([]v1alpha1.Speaker{
		speaker("n2", metav1.ConditionFalse, v1alpha1.ReasonFindings, unsure, drop),
		speaker("n1", metav1.ConditionTrue, v1alpha1.ReasonAllChecksOK),
		speaker("n3", metav1.ConditionFalse, v1alpha1.ReasonFindings, drop),
		speaker("n4", metav1.ConditionUnknown, v1alpha1.ReasonNotChecked),
		speaker("n5", metav1.ConditionUnknown, v1alpha1.ReasonUnknown, unsure),
		{ObjectMeta: metav1.ObjectMeta{Name: "n6"}}, dead,
	}, Heartbeats{At: at, Last: map[string]time.Time{dead.Status.Heartbeat: at.Add(-time.Minute)}})
	states := map[string]host.State{}
	for _, w := range words {
		states[w.Node] = w.State
		if (w.State == host.Unknown && len(w.Findings) == 0) != (w.Why != "") {
			t.Errorf("node %s is %s, for: %q", w.Node, w.State, w.Why)
		}
	}
	if diff := cmp.Diff(map[string]host.State{"n1": host.OK, "n2": host.Wrong, "n3": host.Wrong, "n4": host.Unknown, "n5": host.Unknown, "n6": host.Unknown, "n9": host.Unknown}, states); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]HostFinding{{drop, []string{"n2", "n3"}}, {unsure, []string{"n2", "n5"}}}, Alike(words)); diff != "" {
		t.Error(diff)
	}
}
