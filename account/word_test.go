package account

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// speakerOf is n1's Speaker, as it is where all goes as planned but for one change.
func speakerOf(change func(*v1alpha1.SpeakerStatus)) *v1alpha1.Speaker {
	s := &v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAsPlanned}}
	change(&s.Status)
	return s
}

func announcing(prefix, subnet string) *v1alpha1.Speaker {
	return speakerOf(func(s *v1alpha1.SpeakerStatus) {
		s.Announced = v1alpha1.AnnouncedPrefixes{Count: 1, Sent: 1, First: []v1alpha1.AnnouncedPrefix{{Prefix: prefix, Subnet: subnet, Sent: true}}}
	})
}

// unsent is a Speaker with a session that is down, and one whose router offers no
// IPv4.
func unsent(sent bool) *v1alpha1.Speaker {
	return speakerOf(func(s *v1alpha1.SpeakerStatus) {
		s.Announced = v1alpha1.AnnouncedPrefixes{Count: 1, First: []v1alpha1.AnnouncedPrefix{{Prefix: "10.1.0.0/16", Subnet: "blue", Sent: sent, NotSentTo: []string{"tor1", "tor2"}}}}
		s.Sessions = []v1alpha1.SessionStatus{{Peer: "tor1", State: "active", LastError: "connection refused"}, {Peer: "tor2", State: "established", NotOffered: []string{"ipv4-unicast"}, Trouble: "the router does not offer ipv4-unicast"}}
	})
}

func datapathDown() *v1alpha1.Speaker {
	return speakerOf(func(s *v1alpha1.SpeakerStatus) {
		s.Withheld = v1alpha1.WithheldPrefixes{Count: 1, Reasons: map[string]int64{"DatapathDown": 1}, First: []v1alpha1.WithheldPrefix{
			{Prefix: "10.1.0.0/16", Subnet: "blue", Reason: "DatapathDown", Detail: "no route by ovn0"},
		}}
	})
}

func manyHostNotReady() *v1alpha1.Speaker {
	return speakerOf(func(s *v1alpha1.SpeakerStatus) {
		s.Withheld = v1alpha1.WithheldPrefixes{Count: 70, Reasons: map[string]int64{"HostNotReady": 70}}
	})
}

// TestNodesOwnWordCounts puts what the objects say beside what the Speaker says.
func TestNodesOwnWordCounts(t *testing.T) {
	gone := speakerOf(func(s *v1alpha1.SpeakerStatus) {
		s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonStopped}}
	})
	waiting := speakerOf(func(s *v1alpha1.SpeakerStatus) {
		s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotReady, Message: "subnets have not been read yet"}}
	})
	dead := announcing("10.1.0.0/16", "blue")
	dead.Status.Heartbeat = "ns/n1"
	at := time.Unix(1000, 0)
	beats := Heartbeats{At: at, Last: map[string]time.Time{"ns/n1": at.Add(-55 * time.Second)}}
	for _, c := range []struct {
		name      string
		planned   routes.Reason
		s         *v1alpha1.Speaker
		announced bool
		says      string
	}{
		{"both announce", "", announcing("10.1.0.0/16", "blue"), true, ""},
		{"some of its Pods", "", announcing("10.1.4.0/30", "blue"), true, ""},
		{"the datapath is down", "", datapathDown(), false, "10.1.0.0/16 is withheld, DatapathDown: no route by ovn0"},
		{"no daemon", "", nil, false, "nothing, for it has no Speaker: fairway does not run there"},
		{"stopped", "", gone, false, "fairway has stopped on this node"},
		{"killed", "", dead, false, "nothing any more, no heartbeat for 55s: its daemon was killed, or does not reach the API server"},
		{"killed, and withheld by the objects", routes.InvalidAnnotation, dead, false, ""},
		{"announced for another Subnet", "", announcing("10.1.0.0/16", "red"), false, "10.1.0.0/16 is not announced"},
		{"nothing read yet", "", waiting, false, "10.1.0.0/16 is not announced: subnets have not been read yet"},
		{"no session", "", unsent(false), false, "10.1.0.0/16 is planned, and no router has been sent it: tor1: the session is active: connection refused; tor2: the router does not offer ipv4-unicast"},
		{"a session of another peer", "", unsent(true), true, "10.1.0.0/16 has not been sent to all its peers: tor1: the session is active: connection refused; tor2: the router does not offer ipv4-unicast"},
		{"too many to list", "", speakerOf(func(s *v1alpha1.SpeakerStatus) { s.Announced.Count, s.Announced.Sent = 100, 100 }), true, ""},
		{"too many to list, and none sent", "", speakerOf(func(s *v1alpha1.SpeakerStatus) { s.Announced.Count = 100 }), false, "100 prefixes are planned, and no router has been sent any"},
		{"too many to list, and some withheld", "", manyHostNotReady(), true, "70 prefixes are withheld, HostNotReady; 10.1.0.0/16 may be among them, its list is too short to tell"},
		{"both withhold", routes.NATOutgoing, datapathDown(), false, ""},
		{"a typo is no withdrawal", routes.InvalidAnnotation, announcing("10.1.0.0/16", "blue"), true, "10.1.0.0/16 is announced"},
		{"old news of a node that is gone", routes.NodeNotReady, announcing("10.1.0.0/16", "blue"), false, ""},
		{"withheld where no daemon is", routes.NotGateway, nil, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var speakers []v1alpha1.Speaker
			if c.s != nil {
				speakers = append(speakers, *c.s)
			}
			h := Compare([]policy.Explanation{{Node: "n1", Subnet: "blue", Prefix: "10.1.0.0/16", Reason: c.planned}}, speakers, beats)
			got := ""
			if h[0].Says != nil {
				got = h[0].Says.Text
			}
			if h[0].Announced() != c.announced || got != c.says {
				t.Errorf("announced %t, says %q\nwant %t, %q", h[0].Announced(), got, c.announced, c.says)
			}
		})
	}
}
