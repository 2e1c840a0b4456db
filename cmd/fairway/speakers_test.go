package main

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

// TestSpeakersOfLongNamesStayInLine is about nodes as clouds name them.
func TestSpeakersOfLongNamesStayInLine(t *testing.T) {
	long := v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: "ip-10-0-123-45.eu-central-1.compute.internal"}}
	long.Status.Configured, long.Status.Established = 2, 1
	long.Status.Announced.Count, long.Status.Announced.Sent, long.Status.Withheld.Count = 12, 5, 1
	long.Status.Withheld.Reasons = map[string]int64{"NATOutgoing": 1}
	short := v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	short.Status.Configured, short.Status.Established, short.Status.Announced.Sent = 2, 2, 3
	var b strings.Builder
	if err := writeSpeakers(&b, []v1alpha1.Speaker{long, short}, [][]string{{"not SessionsEstablished: tor-b (172.30.0.2): connection refused"}, nil}); err != nil {
		t.Fatal(err)
	}
	want := `
Node                 Sessions  Announced  Withheld  State
ip-10-0-123-45.eu-central-1.compute.internal
                     1/2 up      5 of 12         1  degraded
  not SessionsEstablished: tor-b (172.30.0.2): connection refused
  1 withheld: NATOutgoing
n1                   2/2 up            3         0  ready
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
