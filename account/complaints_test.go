package account

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

func TestComplaints(t *testing.T) {
	for name, c := range map[string]struct {
		s          *v1alpha1.Speaker
		nodesReady map[string]bool
		want       string
	}{
		"the datapath is down":     {datapathDown(), nil, "announces nothing: 10.1.0.0/16 is withheld, DatapathDown: no route by ovn0"},
		"the host, of many":        {manyHostNotReady(), nil, "announces nothing: 70 withheld, HostNotReady"},
		"announces":                {announcing("10.1.0.0/16", "blue"), nil, ""},
		"nothing to announce here": {speakerOf(func(*v1alpha1.SpeakerStatus) {}), nil, ""},
		"the Node is not Ready":    {announcing("10.1.0.0/16", "blue"), map[string]bool{"n2": true}, "Node n1 is not Ready: this is what its daemon said last"},
		"the Node is Ready":        {announcing("10.1.0.0/16", "blue"), map[string]bool{"n1": true}, ""},
		"a session is down, and the node drains": {speakerOf(func(s *v1alpha1.SpeakerStatus) {
			s.Conditions = append(s.Conditions,
				metav1.Condition{Type: v1alpha1.ConditionSessionsEstablished, Status: metav1.ConditionFalse, Message: "tor (192.0.2.254): idle"},
				metav1.Condition{Type: v1alpha1.ConditionDrained, Status: metav1.ConditionFalse, Message: "as it should"},
				metav1.Condition{Type: v1alpha1.ConditionHostReady, Status: metav1.ConditionUnknown, Message: "nobody looked"})
		}), nil, "not SessionsEstablished: tor (192.0.2.254): idle"},
	} {
		if got := strings.Join(Complaints(c.s, c.nodesReady), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
