package kube

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

func TestHeartbeatNames(t *testing.T) {
	long := strings.Repeat("n", 253)
	for node, want := range map[string]string{
		"n1": "fairway-node-n1", "reporter": "fairway-node-reporter",
		long[:240]: "fairway-node-" + long[:240],
	} {
		if got := HeartbeatName(node); got != want {
			t.Errorf("%s: %s", node, got)
		}
	}
	one, other := HeartbeatName(long), HeartbeatName(long[:252]+"m")
	if len(one) != longestName || one == other || one[:13+224] != other[:13+224] {
		t.Errorf("%s and %s", one, other)
	}
}

// TestHeartbeat counts what one costs, and reads it by the API server's clock.
func TestHeartbeat(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	cluster, seen := w.counted()
	owner := types.UID("")
	var changes atomic.Int64
	h := NewHeartbeat(cluster, "n1", func() types.UID { return owner }, func() { changes.Add(1) }, quietLog())
	h.every = 300 * time.Millisecond
	owner = "some-uid"
	stop := w.background(h.Run)
	w.eventually("the daemon has a heartbeat", func() bool { return h.Lease() == testNamespace+"/fairway-node-n1" })
	puts, gets := seen.count("PUT"), seen.count("GET")
	w.eventually("ten more beats", func() bool { return seen.count("PUT") >= puts+10 })
	if n := seen.count("GET"); n != gets || changes.Load() != 1 {
		t.Errorf("%d reads beside the writes; %d changes", n-gets, changes.Load())
	}
	l, err := w.cluster.readLease(w.ctx(), "fairway-node-n1")
	w.do(err)
	if o := l.OwnerReferences; len(o) != 1 || o[0].UID != "some-uid" || l.Spec.HolderIdentity != "n1" || l.Spec.LeaseDurationSeconds != 40 {
		t.Errorf("%+v", l)
	}
	// Somebody deletes it, or writes into it: the next beat is as ever.
	w.delete("/apis/coordination.k8s.io/v1/namespaces/" + testNamespace + "/leases/fairway-node-n1")
	w.eventually("it is back", func() bool {
		_, err := w.cluster.readLease(w.ctx(), "fairway-node-n1")
		return err == nil
	})
	last, at, err := w.cluster.Heartbeats(w.ctx(), testNamespace)
	w.do(err)
	if age := at.Sub(last[h.Lease()]); age < -2*time.Second || age > 10*time.Second {
		t.Errorf("%s old: %v", age, last)
	}
	stop()
	// The next run finds the Lease of the one before.
	again := NewHeartbeat(w.cluster, "n1", func() types.UID { return owner }, func() {}, quietLog())
	w.background(again.Run)
	w.eventually("the next run has a heartbeat", func() bool { return again.Lease() != "" })
}

// A node whose clock is wrong lives all the same.
func TestHeartbeatGoesByTheAPIServersClock(t *testing.T) {
	written := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	yesterday := metav1.NewMicroTime(written.AddDate(0, 0, -1))
	l := lease{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}, {Manager: "fairway", Time: &written}}}}
	l.Spec.RenewTime = &yesterday
	if got := l.renewed(); !got.Equal(written.Time) {
		t.Error(got)
	}
	l.ManagedFields = nil
	if got := l.renewed(); !got.Equal(yesterday.Time) {
		t.Error(got)
	}
}

// mayOnly gives a cluster as a ServiceAccount sees it that has one role's rules, and may
// read BGPPeers.
func (w *town) mayOnly(rules string) *Cluster {
	w.Helper()
	w.apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: fairway-test}
rules: [` + rules + `]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: fairway-test}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: fairway-test}
subjects: [{kind: ServiceAccount, name: reader, namespace: ` + testNamespace + `}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: ` + testNamespace + `}
`)
	token, err := w.server.PodToken(w.ctx(), testNamespace, "reader", "n1")
	w.do(err)
	c, err := connect(w.server.ConfigFor(token), testNamespace)
	w.do(err)
	return c
}

// lineCounter counts what is logged.
type lineCounter struct{ lines []string }

// Write implements io.Writer.
func (l *lineCounter) Write(b []byte) (int, error) {
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

func (l *lineCounter) entry() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(l)
	return logrus.NewEntry(log)
}

// TestOldRoleBreaksNoReporter: a daemon that is newer than its role has no heartbeat, and
// writes no status; each is said once.
func TestOldRoleBreaksNoReporter(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.peer("a", "192.0.2.101", "")
	c := w.mayOnly(`{apiGroups: [fairway.dev], resources: [bgppeers], verbs: [list]}`)
	var said lineCounter
	h := NewHeartbeat(c, "n1", func() types.UID { return "some-uid" }, func() {}, said.entry())
	h.every = 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(w.ctx(), 2*time.Second)
	defer cancel()
	w.do(h.Run(ctx))
	if h.Lease() != "" || len(said.lines) != 1 || !strings.Contains(said.lines[0], "no heartbeat is written") {
		t.Errorf("heartbeat %q; logged %q", h.Lease(), said.lines)
	}
	said.lines = nil
	p := NewPeerStatuses(c, said.entry())
	for range 3 {
		p.Write(w.ctx(), map[string]v1alpha1.BGPPeerStatus{"a": {Up: "1/1"}}, 20)
		p.again = time.Time{} // the time of trying it again has come
	}
	if len(said.lines) != 1 || !strings.Contains(said.lines[0], "the status of BGPPeers is not written") {
		t.Errorf("logged %q", said.lines)
	}
	speakers := NewSpeakers(c, func() {}, quietLog())
	w.background(func(ctx context.Context) error { speakers.Run(ctx); return nil })
	w.eventually("the refusal is noticed", speakers.Refused)
	if _, _, err := c.Heartbeats(w.ctx(), testNamespace); !IsRefusal(err) {
		t.Errorf("heartbeats: %v", err)
	}
}

func TestPeerStatusIsWrittenWhenItChanges(t *testing.T) {
	w := newTown(t)
	for i, name := range []string{"a", "b", "c"} {
		w.peer(name, fmt.Sprintf("192.0.2.10%d", i), "")
	}
	cluster, seen := w.counted()
	var said lineCounter
	p := NewPeerStatuses(cluster, said.entry())
	want := func(up string) map[string]v1alpha1.BGPPeerStatus {
		out := map[string]v1alpha1.BGPPeerStatus{}
		for _, name := range []string{"a", "b", "c"} {
			out[name] = v1alpha1.BGPPeerStatus{Up: up, Conditions: []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "AllUp"}}}
		}
		return out
	}
	has := func(name string) string {
		var peer v1alpha1.BGPPeer
		w.do(w.cluster.read(w.ctx(), peerResource(), name, &peer))
		return peer.Status.Up
	}
	p.Write(w.ctx(), want("1/1"), 2)
	if got := has("a") + " " + has("b") + " " + has("c"); got != "1/1 1/1 " {
		t.Errorf("at most two at a time: %q", got)
	}
	for range 3 {
		p.Write(w.ctx(), want("1/1"), 2)
	}
	if n := seen.count("PATCH"); n != 3 || has("c") != "1/1" {
		t.Errorf("%d writes of three statuses", n)
	}
	// Another reporter finds what is there.
	NewPeerStatuses(cluster, said.entry()).Write(w.ctx(), want("1/1"), 20)
	if n := seen.count("PATCH"); n != 3 {
		t.Errorf("%d writes, and nothing had changed", n-3)
	}
	// What somebody wrote into it goes with the next look, and a BGPPeer that is gone
	// keeps nobody's status from being written.
	w.patch("/apis/fairway.dev/v1alpha1/bgppeers/a/status", `{"status":{"up":"9/9"}}`)
	w.delete("/apis/fairway.dev/v1alpha1/bgppeers/b")
	p.Write(w.ctx(), want("2/2"), 20)
	if has("a") != "2/2" || has("c") != "2/2" || len(said.lines) != 0 {
		t.Errorf("a has %s, c has %s; logged %q", has("a"), has("c"), said.lines)
	}
}

func TestSpeakersAreFollowed(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	changed := make(chan struct{}, 1)
	s := NewSpeakers(w.cluster, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}, quietLog())
	w.background(func(ctx context.Context) error { s.Run(ctx); return nil })
	r := NewRecorder(w.cluster, "n1", account.Farewell, quietLog())
	w.background(r.Run)
	for _, up := range []int32{1, 2} {
		r.Offer(wish("some-uid", v1alpha1.SpeakerStatus{Established: up}))
		w.eventually(fmt.Sprintf("%d sessions", up), func() bool {
			byNode, why := s.Latest()
			return why == "" && byNode["n1"] != nil && byNode["n1"].Status.Established == up
		})
		if len(changed) == 0 {
			t.Error("nobody was told")
		}
		<-changed
	}
	w.delete(speakersPath + "/n1")
	w.eventually("it is gone", func() bool { byNode, _ := s.Latest(); return byNode != nil && byNode["n1"] == nil })
	if err := w.call(w.server.Config(), "GET", speakersPath+"/n1", ""); !apierrors.IsNotFound(err) {
		t.Error(err)
	}
}
