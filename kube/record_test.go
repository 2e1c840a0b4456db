package kube

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

// TestAWriteIsNotAnsweredWithTheWholeObject: thousands of daemons write Speakers at a change.
func TestAWriteIsNotAnsweredWithTheWholeObject(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	c := w.cluster
	w.do(c.apply(w.ctx(), speakerResource(), "n1", "", map[string]any{"metadata": map[string]any{"name": "n1"}}))
	status := v1alpha1.SpeakerStatus{DrainRequest: strings.Repeat("x", 200)}
	w.do(c.applyStatus(w.ctx(), speakerResource(), "n1", status))
	s, err := c.Speaker(w.ctx(), "n1")
	if err != nil || s.Status.DrainRequest != status.DrainRequest {
		t.Errorf("%v, %+v", err, s)
	}
	text, err := json.Marshal(map[string]any{"apiVersion": speakerResource().version.String(), "kind": kindSpeaker, "metadata": map[string]any{"name": "n1"}, "status": status})
	w.do(err)
	answer, err := ask(w.ctx(), c.patchTo(speakerResource(), "n1", "status", text))
	if err != nil || strings.Contains(string(answer), "xxx") || !strings.Contains(string(answer), "resourceVersion") {
		t.Errorf("%v, %s", err, answer)
	}
}
