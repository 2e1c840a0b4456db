package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

func TestLiveWaitsForTheCRD(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.delete(crdsPath + "/subnets.kubeovn.io")
	w.eventually("the CRD is gone", func() bool { return apierrors.IsNotFound(w.call(w.server.Config(), "GET", subnetsPath, "")) })
	f := w.follow(nil)
	f.until(func(v LiveView, ok bool) string {
		if ok || len(v.Waiting) != 1 || !strings.Contains(v.Waiting[0], "subnets cannot be read: the API server does not know subnets.kubeovn.io: its CRD is not installed") {
			return fmt.Sprintf("ready %t, waiting for %q", ok, v.Waiting)
		}
		return ""
	})
	w.do(w.server.InstallSubnetCRD(w.ctx()))
	f.until(func(v LiveView, ok bool) string {
		if !ok {
			return fmt.Sprint(v.Waiting)
		}
		return ""
	})
}

func TestLiveKeepsWhatItMayNoLongerRead(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.subnet("blue", "10.1.0.0/16", true)
	const binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/fairway-test"
	grant := func() {
		w.apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: fairway-test}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: [list, watch]}]
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
	}
	grant()
	token, err := w.server.PodToken(w.ctx(), testNamespace, "reader", "n1")
	w.do(err)
	reader, err := connect(w.server.ConfigFor(token), testNamespace)
	w.do(err)
	f := w.follow(func(o *LiveOptions) { o.Cluster = reader })
	f.subnets("blue")
	w.delete(binding)
	// A watch that is open stays open; an API server that comes back looks anew.
	w.do(w.server.API.Restart(w.ctx()))
	f.until(func(v LiveView, ok bool) string {
		if len(v.Lapses) != 3 || !strings.Contains(v.Lapses[0].Why, "the API server refuses") {
			return fmt.Sprintf("lapses: %+v", v.Lapses)
		}
		return ""
	})
	f.subnets("blue")
	grant()
	f.until(func(v LiveView, ok bool) string {
		if len(v.Lapses) != 0 {
			return fmt.Sprintf("lapses: %+v", v.Lapses)
		}
		return ""
	})
	w.subnet("green", "10.2.0.0/16", true)
	f.subnets("blue,green")
}

func TestLiveReadsNoMoreThanItNeeds(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.node("n2", "192.0.2.2")
	pod := func(name, node, address string) {
		w.apply(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: default, annotations: {ovn.kubernetes.io/ip_address: %s, ovn.kubernetes.io/logical_switch: blue, ovn.kubernetes.io/allocated: "true"}}
spec: {nodeName: %s, containers: [{name: none, image: none}]}
`, name, address, node))
	}
	pod("mine", "n1", "10.1.0.5")
	pod("other", "n2", "10.1.0.6")
	w.subnet("blue", "10.1.0.0/16", true)
	for _, name := range []string{"mine", "others"} {
		w.apply(fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: %s, namespace: %s}, stringData: {password: word-of-%s}}", name, testNamespace, name))
	}
	w.peer("a", "192.0.2.101", ", passwordSecretRef: {name: mine}")
	w.peer("b", "192.0.2.102", ", passwordSecretRef: {name: others}, nodeSelector: {matchLabels: {rack: other}}")
	watched, seen := w.counted()
	f := w.follow(func(o *LiveOptions) { o.Cluster = watched })
	// An API server may answer a first list as things were a moment ago, each kind by itself.
	v := f.until(func(v LiveView, ok bool) string {
		if n := len(v.Snapshot.Peers); n != 2 {
			return fmt.Sprintf("%d BGPPeers", n)
		}
		return wantSubnets(v, ok, "blue")
	})
	if got := string(v.Snapshot.Peers[0].Password); got != "word-of-mine" {
		t.Errorf("password of a: %d characters", len(got))
	}
	if len(v.Problems) != 0 {
		t.Errorf("a Secret of other nodes that is not read is no problem of this one: %v", v.Problems)
	}
	if len(podPrefixes(v)) != 0 || seen.count("/pods") != 0 {
		t.Error("Pods are read though no Subnet needs them")
	}
	w.patch(subnetsPath+"/blue", `{"metadata":{"annotations":{"fairway.dev/mode":"pods"}}}`)
	f.until(func(v LiveView, ok bool) string {
		if pods := fmt.Sprint(podPrefixes(v)); pods != "[10.1.0.5/32]" {
			return "pods: " + pods
		}
		return ""
	})
	// A Pod is followed by its metadata, and while it lives.
	mine := "/api/v1/namespaces/default/pods/mine"
	w.patch(mine, `{"metadata":{"annotations":{"ovn.kubernetes.io/ip_address":"10.1.0.7"}}}`)
	f.until(func(v LiveView, ok bool) string {
		if pods := fmt.Sprint(podPrefixes(v)); pods != "[10.1.0.7/32]" {
			return "pods: " + pods
		}
		return ""
	})
	w.patch(mine+"/status", `{"status":{"phase":"Succeeded"}}`)
	f.until(func(v LiveView, ok bool) string {
		if pods := podPrefixes(v); len(pods) != 0 {
			return fmt.Sprint("pods: ", pods)
		}
		return ""
	})
	if whole := seen.whole("/pods"); len(whole) > 0 {
		t.Errorf("more than the metadata is asked for: %s", whole)
	}
	w.patch(subnetsPath+"/blue", `{"metadata":{"annotations":{"fairway.dev/mode":null}}}`)
	f.until(func(v LiveView, ok bool) string {
		if pods := podPrefixes(v); len(pods) != 0 {
			return fmt.Sprint("pods: ", pods)
		}
		return ""
	})
	seen.each(func(r string) {
		switch {
		case strings.Contains(r, "/secrets") && !strings.Contains(r, "metadata.name%3Dmine"),
			strings.Contains(r, "/pods") && !strings.Contains(r, "spec.nodeName%3Dn1"):
			t.Errorf("asked for too much: %s", r)
		}
	})
	// A Secret that goes leaves the session as it is, and is complained of.
	w.delete(secretsPath + "/mine")
	f.until(func(v LiveView, ok bool) string {
		if len(v.Problems) == 0 {
			return "no problem"
		}
		if got := string(v.Snapshot.Peers[0].Password); got != "word-of-mine" {
			return fmt.Sprintf("password of a: %d characters", len(got))
		}
		return ""
	})
}

// TestHeartbeatsOfNodesWakeNobody: of what a kubelet and kube-ovn-cni write all the
// time nothing is news.
func TestHeartbeatsOfNodesWakeNobody(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.node("n2", "192.0.2.2")
	w.subnet("blue", "10.1.0.0/16", true)
	f := w.follow(nil)
	f.subnets("blue")
	f.until(func(v LiveView, _ bool) string {
		if len(v.Snapshot.Nodes) != 2 || !v.Snapshot.Nodes[1].Ready {
			return fmt.Sprintf("%+v", v.Snapshot.Nodes)
		}
		return ""
	})
	condition := func(status, beat string) string {
		return `{"status":{"images":[{"names":["` + beat + `"]}],"conditions":[{"type":"Ready","status":"` + status + `","reason":"R` + beat + `","message":"m` + beat + `"},` +
			`{"type":"NetworkUnavailable","status":"False","message":"` + beat + `"},{"type":"DiskPressure","status":"False","message":"` + beat + `"}]}}`
	}
	w.patch(nodesPath+"/n2/status", condition("True", "0"))
	before, _ := f.Latest()
	for i := range 5 {
		w.patch(nodesPath+"/n2/status", condition("True", fmt.Sprint(i)))
		w.patch(nodesPath+"/n2", fmt.Sprintf(`{"metadata":{"annotations":{"ovn.kubernetes.io/chassis":"%d"}}}`, i))
	}
	w.patch(nodesPath+"/n2/status", condition("Unknown", "9"))
	after := f.until(func(v LiveView, _ bool) string {
		if v.Snapshot.Nodes[1].Ready {
			return "n2 is Ready"
		}
		return ""
	})
	if after.Serial != before.Serial+1 {
		t.Errorf("%d views, want one", after.Serial-before.Serial)
	}
}

func TestLiveFollowsVlansWhileASubnetNeedsThem(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.apply(`{apiVersion: kubeovn.io/v1, kind: Vlan, metadata: {name: v7}, spec: {id: 7, provider: net1}}`)
	w.subnet("blue", "10.1.0.0/16", true)
	watched, seen := w.counted()
	f := w.follow(func(o *LiveOptions) { o.Cluster = watched })
	if v := f.subnets("blue"); v.Snapshot.Vlans != nil || seen.count("/vlans") != 0 {
		t.Errorf("Vlans are read though no Subnet needs them: %v", v.Snapshot.Vlans)
	}
	vlans := func(want string) {
		t.Helper()
		f.until(func(v LiveView, ok bool) string {
			if got := fmt.Sprintf("%t %#v", ok, v.Snapshot.Vlans); got != want {
				return got + ", want " + want
			}
			return ""
		})
	}
	w.patch(subnetsPath+"/blue", `{"spec":{"vlan":"v7","logicalGateway":true}}`)
	vlans(`true map[string]string{"v7":"net1"}`)
	w.patch(vlansPath+"/v7", `{"spec":{"provider":"net2"}}`)
	vlans(`true map[string]string{"v7":"net2"}`)
	w.delete(vlansPath + "/v7")
	vlans(`true map[string]string{}`)
	w.patch(subnetsPath+"/blue", `{"spec":{"logicalGateway":null}}`)
	vlans(`true map[string]string(nil)`)
	// Without the CRD it is not known which there are, and the rest goes on.
	w.delete(crdsPath + "/vlans.kubeovn.io")
	w.eventually("the CRD is gone", func() bool { return apierrors.IsNotFound(w.call(w.server.Config(), "GET", vlansPath, "")) })
	w.patch(subnetsPath+"/blue", `{"spec":{"logicalGateway":true}}`)
	f.until(func(v LiveView, ok bool) string {
		if !ok || v.Snapshot.Vlans != nil || len(v.Lapses) != 1 || v.Lapses[0].Kind != objects.KindVlan {
			return fmt.Sprintf("ready %t, Vlans %v, lapses %v", ok, v.Snapshot.Vlans, v.Lapses)
		}
		return wantSubnets(v, ok, "blue")
	})
	w.install()
	vlans(`true map[string]string{}`)
}

// TestLiveBelievesThatItsNodeIsGone: OVN cuts the node off at once.
func TestLiveBelievesThatItsNodeIsGone(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.node("n2", "192.0.2.2")
	w.subnet("blue", "10.1.0.0/16", true)
	f := w.follow(func(o *LiveOptions) { o.MassWithdrawDelay = time.Hour })
	f.subnets("blue")
	w.delete(nodesPath + "/n1")
	f.until(func(v LiveView, ok bool) string {
		if !ok || len(v.Snapshot.Nodes) != 1 || v.Snapshot.Nodes[0].Name != "n2" || len(v.Held) > 0 {
			return fmt.Sprintf("ready %t, Nodes %+v, held %v", ok, v.Snapshot.Nodes, v.Held)
		}
		return wantSubnets(v, ok, "blue")
	})
}

// A daemon that is started again, with everything as its predecessor left it, goes
// on with what was good last: an upgrade is no reason to withdraw.
func TestLiveIsStartedAgainWhileSomethingIsBroken(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.subnet("blue", "10.1.0.0/16", true)
	w.patch(subnetsPath+"/blue", `{"metadata":{"annotations":{"fairway.dev/mode":"pods"}}}`)
	w.apply(`
apiVersion: v1
kind: Pod
metadata: {name: mine, namespace: default, annotations: {ovn.kubernetes.io/ip_address: 10.1.0.5, ovn.kubernetes.io/logical_switch: blue, ovn.kubernetes.io/allocated: "true"}}
spec: {nodeName: n1, containers: [{name: none, image: none}]}
`)
	w.apply(`{apiVersion: v1, kind: Secret, metadata: {name: tor, namespace: ` + testNamespace + `}, stringData: {password: word}}`)
	w.peer("a", "192.0.2.101", ", passwordSecretRef: {name: tor}")
	w.peer("b", "192.0.2.102", "")
	state := t.TempDir()
	withState := func(o *LiveOptions) { o.StateDir = state }
	goodAnnotations := map[string]string{routes.AnnotationAdvertise: "true", routes.AnnotationMode: "pods"}
	good := func(v LiveView, ok bool) string {
		var peers []string
		for _, p := range v.Snapshot.Peers {
			peers = append(peers, p.Name+" "+p.Address.String()+" "+string(p.Password))
		}
		if got := strings.Join(peers, ", "); !ok || got != "a 192.0.2.101 word, b 192.0.2.102 " || len(podPrefixes(v)) != 1 {
			return fmt.Sprintf("ready %t, peers %s, pods %v", ok, got, podPrefixes(v))
		}
		return ""
	}
	first := w.follow(withState)
	v := first.until(good)
	first.Remember(policy.Memory{}.Remember(v.Snapshot, policy.Make(v.Snapshot, "n1")))
	w.delete(secretsPath + "/tor")
	w.patch(peersPath+"/b", `{"spec":{"peerAddress":"192.0.2.101"}}`)
	w.patch(subnetsPath+"/blue", `{"metadata":{"annotations":{"fairway.dev/mode":"podz"}}}`)
	broken := func(v LiveView, ok bool) string {
		if len(v.Problems) != 2 {
			return fmt.Sprintf("problems: %v", v.Problems)
		}
		return good(v, ok)
	}
	first.until(broken)
	first.stop()
	for _, name := range []string{"second", "third"} {
		next := w.follow(withState)
		next.until(broken)
		if got, _ := next.Remembered().Subnet("blue"); !maps.Equal(got, goodAnnotations) {
			t.Errorf("%s run: last good annotations: %v", name, got)
		}
		next.stop()
	}
	// What is too old counts for nothing, here either.
	late := w.follow(func(o *LiveOptions) { o.StateDir, o.StateMaxAge = state, time.Nanosecond })
	late.until(func(v LiveView, ok bool) string {
		if !ok || len(v.Snapshot.Peers) != 0 && v.Snapshot.Peers[0].Password != "" {
			return fmt.Sprintf("ready %t, peers %v", ok, v.Snapshot.Peers)
		}
		return ""
	})
	if _, ok := late.Remembered().Subnet("blue"); ok {
		t.Error("annotations of a state that is too old are remembered")
	}
}

func TestLiveSaysThatItsStateCannotBeWritten(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.subnet("blue", "10.1.0.0/16", true)
	// root may write anywhere, but not into a file.
	inTheWay := filepath.Join(t.TempDir(), "file")
	w.do(os.WriteFile(inTheWay, nil, 0o600))
	f := w.follow(func(o *LiveOptions) { o.StateDir = filepath.Join(inTheWay, "state") })
	f.until(func(v LiveView, ok bool) string {
		if !ok || !strings.Contains(v.Unsaved, "save last-known state: ") {
			return fmt.Sprintf("ready %t, unsaved %q", ok, v.Unsaved)
		}
		return wantSubnets(v, ok, "blue")
	})
	w.do(os.Remove(inTheWay))
	// Nothing else changes: it is tried again.
	f.until(func(v LiveView, ok bool) string { return v.Unsaved })
	if _, err := os.Stat(filepath.Join(inTheWay, "state", stateFile)); err != nil {
		t.Error(err)
	}
}

// requests notes what is asked of the API server.
type requests struct {
	mu   sync.Mutex
	urls []string
	// wholes are those that ask for more than metadata.
	wholes []string
}

// counted connects to the town's API server, and notes what is asked that way.
func (w *town) counted() (*Cluster, *requests) {
	w.Helper()
	seen := &requests{}
	config := w.server.Config()
	config.Wrap(seen.wrap)
	cluster, err := connect(config, testNamespace)
	w.do(err)
	return cluster, seen
}

func (s *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		s.mu.Lock()
		s.urls = append(s.urls, r.Method+" "+r.URL.RequestURI())
		if !strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadata") {
			s.wholes = append(s.wholes, r.URL.RequestURI())
		}
		s.mu.Unlock()
		return next.RoundTrip(r)
	})
}

func (s *requests) each(visit func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.urls {
		visit(u)
	}
}

// whole gives what asks for more than the metadata.
func (s *requests) whole(part string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.wholes), func(u string) bool { return !strings.Contains(u, part) })
}

func (s *requests) count(part string) int {
	n := 0
	s.each(func(u string) {
		if strings.Contains(u, part) {
			n++
		}
	})
	return n
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func quietLog() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return logrus.NewEntry(log)
}

// background runs something until the test ends.
func (w *town) background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(w.ctx())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	})
	w.Cleanup(stop)
	return stop
}

// eventually waits for a condition.
func (w *town) eventually(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	w.Fatalf("never: %s", what)
}

func TestRecorderWritesOnChangeAndNotTooOften(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	cluster, seen := w.counted()
	r := NewRecorder(cluster, "n1", account.Farewell, quietLog())
	stop := w.background(r.Run)
	status := func(announced int64, ready metav1.ConditionStatus) v1alpha1.SpeakerStatus {
		return v1alpha1.SpeakerStatus{
			Announced: v1alpha1.AnnouncedPrefixes{Count: announced}, Configured: 1,
			Sessions:   []v1alpha1.SessionStatus{{Peer: "tor", Address: "192.0.2.254", State: "established"}},
			Conditions: []metav1.Condition{{Type: "Ready", Status: ready, Reason: "Test"}},
		}
	}
	has := func(announced int64) *v1alpha1.Speaker {
		w.Helper()
		var s *v1alpha1.Speaker
		w.eventually(fmt.Sprintf("%d announced", announced), func() bool {
			var err error
			s, err = w.cluster.Speaker(w.ctx(), "n1")
			return err == nil && s.Status.Announced.Count == announced
		})
		return s
	}
	r.Offer(wish("", status(7, metav1.ConditionTrue))) // the Node is not known yet: nothing to belong to
	r.Offer(wish("some-uid", status(1, metav1.ConditionTrue)))
	first := has(1)
	if o := first.OwnerReferences; len(o) != 1 || o[0].UID != "some-uid" || o[0].Kind != "Node" || o[0].Name != "n1" {
		t.Errorf("owners: %+v", o)
	}
	// A storm of news is a write a second.
	began, before, last := time.Now(), seen.count("PATCH"), int64(1)
	w.eventually("two more writes", func() bool {
		last++
		r.Offer(wish("some-uid", status(last, metav1.ConditionTrue)))
		return seen.count("PATCH") >= before+2
	})
	second := has(last)
	if most, n := int(time.Since(began)/recordEvery)+2, seen.count("PATCH")-before; n > most {
		t.Errorf("%d writes in %s", n, time.Since(began))
	}
	if a, b := first.Status.Conditions[0].LastTransitionTime, second.Status.Conditions[0].LastTransitionTime; !a.Equal(&b) {
		t.Errorf("Ready changed at %s and at %s, but it did not", a, b)
	}
	before = seen.count("PATCH")
	for range 3 {
		r.Offer(wish("some-uid", status(last, metav1.ConditionTrue)))
		w.eventually("the Recorder has looked at it", func() bool { return len(r.news.Rung()) == 0 })
	}
	r.Offer(wish("some-uid", status(last+1, metav1.ConditionTrue)))
	has(last + 1)
	if n := seen.count("PATCH"); n != before+1 {
		t.Errorf("%d writes of one change", n-before)
	}
	// Deleted by somebody, and made anew with the next change; another Node of the
	// same name is another owner.
	w.delete(speakersPath + "/n1")
	r.Offer(wish("other-uid", status(5, metav1.ConditionFalse)))
	if s := has(5); len(s.OwnerReferences) != 1 || s.OwnerReferences[0].UID != "other-uid" {
		t.Errorf("owners: %+v", s.OwnerReferences)
	}
	stop()
	if c := has(0).Status.Conditions; len(c) != 1 || c[0].Status != metav1.ConditionFalse || c[0].Reason != "Stopped" {
		t.Errorf("after the end: %+v", c)
	}
}

// TestDeletedSpeakerComesBack though there is nothing new to write, and so it does
// after its CRD was deleted and installed again.
func TestDeletedSpeakerComesBack(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	cluster, seen := w.counted()
	r := NewRecorder(cluster, "n1", account.Farewell, quietLog())
	r.look = 500 * time.Millisecond
	w.background(r.Run)
	since := metav1.NewTime(time.Now().Truncate(time.Second).Local())
	r.Offer(wish("some-uid", v1alpha1.SpeakerStatus{
		Announced:  v1alpha1.AnnouncedPrefixes{Count: 1, First: []v1alpha1.AnnouncedPrefix{{Prefix: "10.1.0.0/16", Subnet: "blue", Role: "distributed"}}},
		Sessions:   []v1alpha1.SessionStatus{{Peer: "tor", Address: "192.0.2.254", State: "established", Since: &since}},
		Withheld:   v1alpha1.WithheldPrefixes{Count: 1, Reasons: map[string]int64{"NATOutgoing": 1}},
		Conditions: []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Test"}},
	}))
	there := func() bool {
		s, err := w.cluster.Speaker(w.ctx(), "n1")
		return err == nil && s.Status.Announced.Count == 1 && len(s.OwnerReferences) == 1
	}
	w.eventually("the Speaker", there)
	looks, writes := seen.count("GET"), seen.count("PATCH")
	w.eventually("three more looks", func() bool { return seen.count("GET") >= looks+3 })
	if n := seen.count("PATCH"); n != writes {
		t.Errorf("%d writes though nothing had changed", n-writes)
	}
	w.delete(speakersPath + "/n1")
	w.eventually("the Speaker is back", there)
	w.patch(speakersPath+"/n1/status", `{"status":{"announced":{"count":7}}}`)
	w.eventually("what somebody wrote into it is gone", there)
	w.delete(crdsPath + "/speakers.fairway.dev")
	w.eventually("the CRD is gone", func() bool { return apierrors.IsNotFound(w.call(w.server.Config(), "GET", speakersPath, "")) })
	w.do(w.server.InstallCRDs(w.ctx()))
	w.eventually("the Speaker is back after its CRD", there)
}

func TestHeraldCountsWhatRepeats(t *testing.T) {
	w := newTown(t)
	h := NewHerald(w.cluster, "n1", quietLog())
	w.background(h.Run)
	list := func() []corev1.Event {
		text, err := w.cluster.clients[coreVersion()].Get().AbsPath("/api/v1/namespaces/default/events").DoRaw(w.ctx())
		w.do(err)
		var l corev1.EventList
		w.do(json.Unmarshal(text, &l))
		return l.Items
	}
	for range 5 {
		h.Tell(Event{Kind: "Subnet", Name: "blue", UID: types.UID("u"), Warning: true, Reason: "Withheld", Message: "no node announces it: NoPeer"})
	}
	w.eventually("one event, counted five times", func() bool {
		l := list()
		return len(l) == 1 && l[0].Count == 5
	})
	e := list()[0]
	if e.InvolvedObject.Kind != "Subnet" || e.InvolvedObject.UID != "u" || e.InvolvedObject.APIVersion != "kubeovn.io/v1" || e.Type != "Warning" || e.Source.Host != "n1" || e.Source.Component != "fairway" {
		t.Errorf("%+v", e)
	}
	// A storm about one object ends in a few events.
	for i := range 60 {
		h.Tell(Event{Kind: "Node", Name: "n1", Reason: "Storm", Message: fmt.Sprint("message ", i)})
	}
	h.Tell(Event{Kind: "Node", Name: "n2", Reason: "Last", Message: "the end"})
	w.eventually("the last event", func() bool {
		for _, e := range list() {
			if e.Reason == "Last" {
				return true
			}
		}
		return false
	})
	if n := len(list()); n > 30 {
		t.Errorf("%d events", n)
	}
}

// TestAnotherHeraldFindsWhatWasToldOfSubnets: the reporter restarts, and another
// node takes over.
func TestAnotherHeraldFindsWhatWasToldOfSubnets(t *testing.T) {
	w := newTown(t)
	list := func() []corev1.Event {
		text, err := w.cluster.clients[coreVersion()].Get().AbsPath("/api/v1/namespaces/default/events").DoRaw(w.ctx())
		w.do(err)
		var l corev1.EventList
		w.do(json.Unmarshal(text, &l))
		return l.Items
	}
	long := strings.Repeat("long-", 50)
	withheld := func(subnet, uid string) Event {
		return Event{Kind: "Subnet", Name: subnet, UID: types.UID(uid), Warning: true, Reason: "Withheld", Message: "NATOutgoing"}
	}
	for i, node := range []string{"n1", "n1", "n2"} {
		h := NewHerald(w.cluster, node, quietLog())
		stop := w.background(h.Run)
		h.Tell(withheld("blue", "u1"))
		h.Tell(withheld(long, "u2"))
		h.Tell(withheld("blue", "u3")) // another Subnet of the same name
		last := Event{Kind: "Node", Name: node, Reason: "Told", Message: fmt.Sprint("all of it, ", i)}
		h.Tell(last)
		w.eventually("the last one is written", func() bool {
			return slices.ContainsFunc(list(), func(e corev1.Event) bool { return e.Message == last.Message })
		})
		stop()
		from := map[string]int{}
		for _, e := range list() {
			if e.InvolvedObject.Kind == "Subnet" {
				from[e.Source.Host]++
			}
		}
		if len(from) != 1 || from[node] != 3 {
			t.Errorf("Events about Subnets after Herald %d, by node: %v, want 3 of %s", i, from, node)
		}
	}
	// A herald that goes on counts on.
	h := NewHerald(w.cluster, "n2", quietLog())
	w.background(h.Run)
	h.Tell(withheld("blue", "u1"))
	h.Tell(withheld("blue", "u1"))
	w.eventually("the count is raised", func() bool {
		for _, e := range list() {
			if e.InvolvedObject.UID == "u1" && e.Count == 2 {
				return true
			}
		}
		return false
	})
}

func TestElectionHasOneWinner(t *testing.T) {
	w := newTown(t)
	var leading, most atomic.Int32
	var last atomic.Value
	stops := map[string]func(){}
	for _, node := range []string{"n1", "n2", "n3"} {
		e := NewElection(w.cluster, "fairway-reporter", node, quietLog())
		// So long that no term ends while the test runs: who leads next was let.
		e.term, e.ask = time.Hour, 500*time.Millisecond
		stops[node] = w.background(func(ctx context.Context) error {
			return e.Run(ctx, func(ctx context.Context) {
				if n := leading.Add(1); n > most.Load() {
					most.Store(n)
				}
				last.Store(node)
				<-ctx.Done()
				leading.Add(-1)
			})
		})
	}
	w.eventually("somebody leads", func() bool { return leading.Load() == 1 })
	first := last.Load().(string)
	stops[first]()
	w.eventually("somebody else leads", func() bool { return leading.Load() == 1 && last.Load() != first })
	// Taken by force: whoever led before stops.
	second := last.Load().(string)
	w.patch(leasesPath+"/fairway-reporter", fmt.Sprintf(`{"spec":{"holderIdentity":"thief","leaseDurationSeconds":4,"renewTime":%q}}`, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")))
	w.eventually(second+" stops", func() bool { return leading.Load() == 0 })
	w.eventually("the thief gives no sign of life, and is succeeded", func() bool { return leading.Load() == 1 })
	if most.Load() != 1 {
		t.Errorf("%d led at once", most.Load())
	}
}

func TestReadClusterReadsEveryNodeAndNoSecret(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.node("n2", "192.0.2.2")
	w.subnet("blue", "10.1.0.0/16", true)
	w.peer("a", "192.0.2.101", ", passwordSecretRef: {name: nobody-may-read-this}")
	cluster, seen := w.counted()
	c, err := ReadCluster(w.ctx(), cluster, routes.DefaultSettings)
	w.do(err)
	if len(c.Snapshot.Nodes) != 2 || len(c.Snapshot.Subnets) != 1 || len(c.Snapshot.Peers) != 1 || len(c.Problems) != 0 {
		t.Errorf("%+v", c)
	}
	if seen.count("/secrets") != 0 {
		t.Error("Secrets were read")
	}
	w.delete(crdsPath + "/subnets.kubeovn.io")
	w.eventually("the CRD is missed", func() bool {
		_, err := ReadCluster(w.ctx(), cluster, routes.DefaultSettings)
		return err != nil && strings.Contains(err.Error(), "its CRD is not installed")
	})
}
