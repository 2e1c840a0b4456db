package main

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy/policytest"
	"github.com/fairway-bgp/fairway/routes"
)

// TestSpeakersStayInLine has nodes as clouds name them, and daemons that are not there.
func TestSpeakersStayInLine(t *testing.T) {
	long := v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: "ip-10-0-123-45.eu-central-1.compute.internal"}}
	long.Status.Configured, long.Status.Established = 2, 1
	long.Status.Announced.Count, long.Status.Announced.Sent, long.Status.Withheld.Count = 12, 5, 1
	long.Status.Withheld.Reasons = map[string]int64{"NATOutgoing": 1}
	since := metav1.NewTime(time.Date(2026, 1, 2, 3, 0, 55, 0, time.UTC))
	long.Status.Sessions = []v1alpha1.SessionStatus{
		{Peer: "tor-a", Address: "172.30.0.1", PeerASN: 4200000001, State: "established", Since: &since, Advertised: 5, Planned: 1012,
			Flaps: 2, LastReset: &since, LastResetReason: "notification-received 6/2"},
		{Peer: "tor-b", Address: "172.30.0.2", State: "active", Planned: 12},
	}
	short := v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	short.Status.Configured, short.Status.Established, short.Status.Announced.Sent = 2, 2, 3
	killed := v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: "n2"}, Status: *short.Status.DeepCopy()}
	killed.Status.Heartbeat = "fairway-system/fairway-node-n2"
	at := time.Date(2026, 1, 2, 3, 4, 55, 0, time.UTC)
	beats := account.Heartbeats{At: at, Last: map[string]time.Time{killed.Status.Heartbeat: at.Add(-55 * time.Second)}}
	long.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionSessionsEstablished, Status: metav1.ConditionFalse, Message: "tor-b (172.30.0.2): connection refused"}}
	cluster := policytest.Cluster()
	cluster.Nodes = append(cluster.Nodes, routes.Node{Name: long.Name, Ready: true}, routes.Node{Name: "n3", Ready: true})
	var b strings.Builder
	if err := writeSpeakers(&b, account.Rows(cluster, []v1alpha1.Speaker{long, short, killed}, beats), at); err != nil {
		t.Fatal(err)
	}
	want := `
Node                 Sessions  Announced  Withheld  State
ip-10-0-123-45.eu-central-1.compute.internal
                     1/2 up      5 of 12         1  degraded
  not SessionsEstablished: tor-b (172.30.0.2): connection refused
  1 withheld: NATOutgoing
n1                   2/2 up            3         0  ready
n2                   ?/2 up            ?         ?  dead
  no heartbeat for 55s: its daemon was killed, or does not reach the API server;
    this is what it said last
n3                   -                 -         -  no daemon
  no daemon: fairway does not run there, and BGPPeer tor selects this Node; run
    it there, or narrow spec.nodeSelector

Node          Peer              AS  State        For    Sent  Last reset
ip-10-0-123-45.eu-central-1.compute.internal
              tor-a     4200000001  established  4m   5/1012  4m
  last reset: notification-received 6/2; 2 resets since its daemon started
ip-10-0-123-45.eu-central-1.compute.internal
              tor-b              -  active       -      0/12  -
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
