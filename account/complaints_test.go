package account

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

// beating is a Speaker that is not Ready and names its Lease.
func beating() *v1alpha1.Speaker {
	return speakerOf(func(s *v1alpha1.SpeakerStatus) {
		s.Heartbeat = "ns/n1"
		s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Message: "waits"}}
	})
}

func TestComplaints(t *testing.T) {
	at := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		s          *v1alpha1.Speaker
		beats      Heartbeats
		nodesReady map[string]bool
		want       string
	}{
		"the datapath is down":     {datapathDown(), Heartbeats{}, nil, "announces nothing: 10.1.0.0/16 is withheld, DatapathDown: no route by ovn0"},
		"the host, of many":        {manyHostNotReady(), Heartbeats{}, nil, "announces nothing: 70 withheld, HostNotReady"},
		"announces":                {announcing("10.1.0.0/16", "blue"), Heartbeats{}, nil, ""},
		"nothing to announce here": {speakerOf(func(*v1alpha1.SpeakerStatus) {}), Heartbeats{}, nil, ""},
		"the Node is not Ready":    {announcing("10.1.0.0/16", "blue"), Heartbeats{}, map[string]bool{"n2": true}, "Node n1 is not Ready: this is what its daemon said last"},
		"the Node is Ready":        {announcing("10.1.0.0/16", "blue"), Heartbeats{}, map[string]bool{"n1": true}, ""},
		"killed, and its Node is not Ready": {beating(), Heartbeats{At: at, Last: map[string]time.Time{"ns/n1": at.Add(-55 * time.Second)}}, map[string]bool{},
			"no heartbeat for 55s: its daemon was killed, or does not reach the API server; this is what it said last; Node n1 is not Ready"},
		"alive, and its Node is not Ready": {beating(), Heartbeats{At: at, Last: map[string]time.Time{"ns/n1": at}}, map[string]bool{}, "Node n1 is not Ready; not Ready: waits"},
		"a session is down, and the node drains": {speakerOf(func(s *v1alpha1.SpeakerStatus) {
			s.Conditions = append(s.Conditions,
				metav1.Condition{Type: v1alpha1.ConditionSessionsEstablished, Status: metav1.ConditionFalse, Message: "tor (192.0.2.254): idle"},
				metav1.Condition{Type: v1alpha1.ConditionDrained, Status: metav1.ConditionFalse, Message: "as it should"},
				metav1.Condition{Type: v1alpha1.ConditionHostReady, Status: metav1.ConditionUnknown, Message: "nobody looked"})
		}), Heartbeats{}, nil, "not SessionsEstablished: tor (192.0.2.254): idle"},
	} {
		if got := strings.Join(c.beats.Complaints(c.s, c.nodesReady), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
