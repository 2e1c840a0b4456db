package kube

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

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

// wish is one of a cluster of which nothing is known, where nothing waits.
func wish(owner types.UID, status v1alpha1.SpeakerStatus) Wish {
	return Wish{Owner: owner, Status: func() v1alpha1.SpeakerStatus { return status }}
}

// TestSpeakersOfManyNodesAreNotWrittenAtOnce: a change of a Subnet makes all daemons write.
func TestSpeakersOfManyNodesAreNotWrittenAtOnce(t *testing.T) {
	for nodes, want := range map[int]time.Duration{1: 10 * time.Millisecond, 100: time.Second, 1000: 10 * time.Second, 5000: 10 * time.Second} {
		if got := spread(nodes); got != want {
			t.Errorf("%d Nodes: %s, want %s", nodes, got, want)
		}
	}
	// What is written is what is wished when the turn has come.
	r := NewRecorder(nil, "n1", nil, quietLog())
	asked := 0
	offer := func(announced int64) {
		r.Offer(Wish{Owner: "some-uid", Nodes: 50, Status: func() v1alpha1.SpeakerStatus {
			asked++
			return v1alpha1.SpeakerStatus{Announced: v1alpha1.AnnouncedPrefixes{Count: announced}}
		}})
	}
	for n := range int64(20) {
		offer(n)
	}
	if got := r.latest(t.Context()); got == nil || got.status.Announced.Count != 19 || asked != 1 {
		t.Errorf("%+v, %d were made", got, asked)
	}
}
