package account

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy/policytest"
	"github.com/fairway-bgp/fairway/routes"
)

// neighbour is a BGPPeer "tor" of three nodes, each of which has a Speaker that says that
// its session is up.
func neighbour() Neighbours {
	n := Neighbours{
		Snapshot: policytest.Cluster(), Generations: map[string]int64{"tor": 7},
		Planned: map[string][]string{"tor": {"n1", "n2", "n3"}}, Speakers: map[string]*v1alpha1.Speaker{},
	}
	n.Snapshot.Nodes = append(n.Snapshot.Nodes, routes.Node{Name: "n3"})
	for _, node := range n.Planned["tor"] {
		s := &v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: node}}
		s.Status.Sessions = []v1alpha1.SessionStatus{{Peer: "tor", State: established}}
		s.Status.Heartbeat = "fairway-system/" + node
		n.Speakers[node] = s
	}
	return n
}

func TestStatusOfABGPPeer(t *testing.T) {
	down := func(n Neighbours, node, why string) {
		n.Speakers[node].Status.Sessions[0].State, n.Speakers[node].Status.Sessions[0].Trouble = "active", why
	}
	for _, c := range []struct {
		name   string
		change func(*Neighbours)
		// want is "UP of NODES STATUS REASON MESSAGE".
		want string
	}{
		{"all is well", func(*Neighbours) {}, "3/3 of 3 True AllUp 3 of 3 sessions are up"},
		{"one session is down", func(n *Neighbours) { down(*n, "n2", "connection refused") }, "2/3 of 3 False SessionDown 2 of 3 sessions are up; n2: connection refused"},
		{"no session yet", func(n *Neighbours) { down(*n, "n2", "") }, "2/3 of 3 False SessionDown 2 of 3 sessions are up; n2: no connection yet"},
		{"no daemon", func(n *Neighbours) { delete(n.Speakers, "n3") }, "2/3 of 3 False SessionDown 2 of 3 sessions are up; n3: no daemon: fairway does not run there"},
		{"a daemon was stopped", func(n *Neighbours) { n.Speakers["n1"].Status = Farewell(n.Speakers["n1"].Status) },
			"2/3 of 3 False SessionDown 2 of 3 sessions are up; n1: fairway has stopped on this node"},
		{"a daemon was killed", func(n *Neighbours) {
			n.Heartbeats.At = time.Unix(1000, 0)
			n.Heartbeats.Last = map[string]time.Time{"fairway-system/n1": time.Unix(990, 0), "fairway-system/n2": time.Unix(945, 0), "fairway-system/n3": time.Unix(1001, 0)}
		}, "2/3 of 3 False SessionDown 2 of 3 sessions are up; n2: no heartbeat: its daemon was killed, or does not reach the API server"},
		{"a family that the router does not offer", func(n *Neighbours) {
			n.Speakers["n1"].Status.Sessions[0].Trouble = "the router does not offer ipv6-unicast"
		},
			"3/3 of 3 False SessionLimited 3 of 3 sessions are up; n1: the router does not offer ipv6-unicast"},
		{"its Secret is missing, as its nodes say", func(n *Neighbours) {
			n.Speakers["n1"].Status.Sessions = nil
			n.Speakers["n1"].Status.Problems = []v1alpha1.ProblemStatus{{Object: "BGPPeer other", Text: "no"}, {Object: "BGPPeer tor", Text: "spec.passwordSecretRef: Secret tor is not there"}}
		}, "2/3 of 3 False Invalid spec.passwordSecretRef: Secret tor is not there"},
		{"it cannot be used", func(n *Neighbours) {
			n.Snapshot.Peers, n.Planned = nil, nil
			n.Problems = []objects.Problem{{Severity: objects.Wrong, Object: "BGPPeer tor", Field: "spec.peerASN", Value: "0", Message: "an AS number is 1 to 4294967294"}}
		}, "0/0 of 0 False Invalid spec.peerASN: 0: an AS number is 1 to 4294967294"},
		{"only odd", func(n *Neighbours) {
			n.Problems = []objects.Problem{{Severity: objects.Warning, Object: "BGPPeer tor", Field: "spec.ebgpMultihop", Message: "means nothing"}}
		}, "3/3 of 3 True AllUp 3 of 3 sessions are up"},
		{"a node has no local AS", func(n *Neighbours) {
			n.Planned["tor"] = []string{"n1", "n2"}
			n.Refused = map[string][]v1alpha1.FailingNode{"tor": {{Node: "n3", Why: "no local AS"}}}
		}, "2/2 of 3 False Invalid n3: no local AS"},
		{"it selects no Node", func(n *Neighbours) { n.Snapshot.Nodes, n.Planned = nil, nil }, "0/0 of 0 False NoNode spec.nodeSelector selects no Node"},
		{"the Speakers cannot be read", func(n *Neighbours) { n.Speakers, n.Unreadable = nil, "no right" }, "?/3 of 3 Unknown Unknown what the nodes say is not known: no right"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := neighbour()
			c.change(&n)
			s := n.Statuses()["tor"]
			ready := s.Conditions[0]
			got := fmt.Sprintf("%s of %d %s %s %s", s.Up, s.Nodes, ready.Status, ready.Reason, ready.Message)
			if got != c.want || s.ObservedGeneration != 7 || ready.Type != v1alpha1.ConditionReady {
				t.Errorf("%s\nwant %s\n%+v", got, c.want, s)
			}
		})
	}
}

// A thousand nodes that all fail are a few lines, and the same ones each time.
func TestStatusOfABGPPeerIsBounded(t *testing.T) {
	n := neighbour()
	n.Speakers, n.Planned["tor"] = nil, nil
	for i := range 1000 {
		n.Planned["tor"] = append(n.Planned["tor"], fmt.Sprintf("node-%04d", i))
	}
	s := n.Statuses()["tor"]
	if len(s.Failing) != mostFailing || s.Failing[0].Node != "node-0000" || !strings.HasSuffix(s.Conditions[0].Message, "; and 997 more") || s.Up != "0/1000" {
		t.Errorf("%+v", s)
	}
}

func TestStandings(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 55, 0, time.UTC)
	beats := Heartbeats{At: at, Last: map[string]time.Time{"ns/lives": at.Add(-v1alpha1.HeartbeatTerm), "ns/dead": at.Add(-55 * time.Second)}}
	speaker := func(lease string) *v1alpha1.Speaker {
		return &v1alpha1.Speaker{Status: v1alpha1.SpeakerStatus{Heartbeat: lease}}
	}
	stopped := speaker("ns/lives")
	stopped.Status = Farewell(stopped.Status)
	for name, c := range map[string]struct {
		beats Heartbeats
		s     *v1alpha1.Speaker
		want  Standing
	}{
		"renewed a moment ago":            {beats, speaker("ns/lives"), Running},
		"silent":                          {beats, speaker("ns/dead"), Dead},
		"its Lease was deleted":           {beats, speaker("ns/gone"), Dead},
		"may write no Lease":              {beats, speaker(""), Presumed},
		"heartbeats that nobody may read": {Heartbeats{}, speaker("ns/dead"), Presumed},
		"stopped":                         {beats, stopped, Halted},
		"no Speaker":                      {beats, nil, Absent},
	} {
		if got := c.beats.Of(c.s); got != c.want || got.Speaks() != (c.beats.Why(c.s) == "") {
			t.Errorf("%s: %s, %q; want %s", name, got, c.beats.Why(c.s), c.want)
		}
	}
	if got := beats.WhyDead(speaker("ns/dead")); got != "no heartbeat for 55s: its daemon was killed, or does not reach the API server" {
		t.Error(got)
	}
}
