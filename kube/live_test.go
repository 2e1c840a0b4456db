package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/client-go/rest"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/routes"
)

// shared is the API server of this test binary, started when the first test asks
// for it.
var shared struct {
	sync.Once
	*kubetest.Server
	folder string
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.Server != nil {
		shared.Stop()
	}
	if shared.folder != "" {
		os.RemoveAll(shared.folder)
	}
	os.Exit(code)
}

// town is a cluster for one test: nothing in it but the CRDs.
type town struct {
	*testing.T
	server  *kubetest.Server
	cluster *Cluster
}

const testNamespace = "fairway-system"

// newTown empties the shared API server. Tests that use it do not run in
// parallel.
func newTown(t *testing.T) *town {
	t.Helper()
	needs.Programs(t, "etcd") // Debian: etcd-server
	shared.Do(func() {
		if shared.folder, shared.err = os.MkdirTemp("", "fairway-kube-"); shared.err == nil {
			shared.Server, shared.err = kubetest.Start(context.Background(), kubetest.Options{Folder: shared.folder})
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	w := &town{T: t, server: shared.Server}
	w.install()
	var err error
	if w.cluster, err = connect(w.server.Config(), testNamespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.empty)
	return w
}

// install brings CRDs and namespace.
func (w *town) install() {
	w.Helper()
	w.do(w.server.InstallCRDs(w.ctx()))
	w.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ` + testNamespace + `}}`)
}

// ctx outlives the test's own context, which ends before clean-up.
func (w *town) ctx() context.Context { return context.WithoutCancel(w.Context()) }

func (w *town) do(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *town) apply(stream string) {
	w.Helper()
	w.do(w.server.Apply(w.ctx(), []byte(stream)))
}

// call makes a request as administrator.
func (w *town) call(config *rest.Config, verb, path, body string) error {
	c, err := connect(config, testNamespace)
	if err != nil {
		return err
	}
	r := c.clients[coreVersion()].Verb(verb).AbsPath(path)
	if body != "" {
		r = r.SetHeader("Content-Type", "application/merge-patch+json").Body([]byte(body))
	}
	return r.Do(w.ctx()).Error()
}

func (w *town) delete(path string) {
	w.Helper()
	w.do(w.call(w.server.Config(), "DELETE", path, ""))
}

// patch merges.
func (w *town) patch(path, body string) {
	w.Helper()
	w.do(w.call(w.server.Config(), "PATCH", path, body))
}

// empty deletes what tests make.
func (w *town) empty() {
	for _, path := range []string{subnetsPath, vlansPath, peersPath, speakersPath, nodesPath, secretsPath, leasesPath, daemonSetsPath, "/api/v1/namespaces/default/events", "/api/v1/namespaces/default/pods"} {
		if err := w.call(w.server.Config(), "DELETE", path, ""); err != nil && !strings.Contains(err.Error(), "not find") {
			w.Errorf("clean up: %v", err)
		}
	}
}

const (
	subnetsPath    = "/apis/kubeovn.io/v1/subnets"
	vlansPath      = "/apis/kubeovn.io/v1/vlans"
	peersPath      = "/apis/fairway.dev/v1alpha1/bgppeers"
	speakersPath   = "/apis/fairway.dev/v1alpha1/speakers"
	nodesPath      = "/api/v1/nodes"
	secretsPath    = "/api/v1/namespaces/" + testNamespace + "/secrets"
	leasesPath     = "/apis/coordination.k8s.io/v1/namespaces/" + testNamespace + "/leases"
	daemonSetsPath = "/apis/apps/v1/namespaces/" + testNamespace + "/daemonsets"
	crdsPath       = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
)

// subnet makes a distributed Subnet as Kube-OVN's controller leaves it.
func (w *town) subnet(name, cidr string, advertise bool) {
	w.Helper()
	w.apply(fmt.Sprintf(`
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: %s, annotations: {fairway.dev/advertise: "%t"}}
spec: {cidrBlock: %s, vpc: ovn-cluster, provider: ovn, gatewayType: distributed}
`, name, advertise, cidr))
	w.patch(subnetsPath+"/"+name+"/status", `{"status":{"conditions":[{"type":"Validated","status":"True","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"},{"type":"Ready","status":"True","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`)
}

func (w *town) node(name, address string) {
	w.Helper()
	_, err := w.server.MakeNode(w.ctx(), name, address)
	w.do(err)
}

func (w *town) peer(name, address, more string) {
	w.Helper()
	w.apply(fmt.Sprintf(`
apiVersion: fairway.dev/v1alpha1
kind: BGPPeer
metadata: {name: %s}
spec: {peerAddress: %s, peerASN: 64512, localASN: 65000%s}
`, name, address, more))
}

// follower runs a Live.
type follower struct {
	*town
	*Live
	rings chan struct{}
	stop  func()
}

func (w *town) follow(change func(*LiveOptions)) *follower {
	w.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	if testing.Verbose() {
		log.SetOutput(w.Output())
		log.SetLevel(logrus.DebugLevel)
	}
	f := &follower{town: w, rings: make(chan struct{}, 1)}
	o := LiveOptions{Cluster: w.cluster, Settings: routes.DefaultSettings, Node: "n1", StateMaxAge: time.Hour, Log: logrus.NewEntry(log), Bell: func(time.Time) {
		select {
		case f.rings <- struct{}{}:
		default:
		}
	}}
	if change != nil {
		change(&o)
	}
	f.Live = NewLive(o)
	ctx, cancel := context.WithCancel(w.ctx())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	})
	w.Cleanup(f.stop)
	return f
}

// until waits until the view is as it should be; want gives "" then.
func (f *follower) until(want func(v LiveView, ok bool) string) LiveView {
	f.Helper()
	const bound = 30 * time.Second
	late := time.After(bound)
	for {
		v, ok := f.Latest()
		lack := want(v, ok)
		if lack == "" {
			return v
		}
		select {
		case <-f.rings:
		case <-late:
			text, _ := json.Marshal(v)
			f.Fatalf("after %s: %s; the view is %s", bound, lack, text)
		}
	}
}

// subnets waits for the names of the selected Subnets, comma-separated.
func (f *follower) subnets(want string) LiveView {
	f.Helper()
	return f.until(func(v LiveView, ok bool) string { return wantSubnets(v, ok, want) })
}

func wantSubnets(v LiveView, ok bool, want string) string {
	var names []string
	for _, s := range v.Snapshot.Subnets {
		if routes.Selected(s.Annotations, routes.DefaultSettings) && !s.Deleting {
			names = append(names, s.Name)
		}
	}
	if got := strings.Join(names, ","); !ok || got != want {
		return fmt.Sprintf("selected Subnets %q (ready %t), want %q", got, ok, want)
	}
	return ""
}

func TestLiveFollowsSubnetsAndNodes(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.node("n2", "192.0.2.2")
	w.subnet("blue", "10.1.0.0/16", true)
	f := w.follow(nil)
	// Conditions are written after the objects, and a list may be from in between.
	f.until(func(v LiveView, ok bool) string {
		if lack := wantSubnets(v, ok, "blue"); lack != "" {
			return lack
		}
		nodes := v.Snapshot.Nodes
		if len(nodes) != 2 || nodes[0].Name != "n1" || nodes[1].Name != "n2" || !nodes[0].Ready || !nodes[1].Ready || !nodes[1].Allocated {
			return fmt.Sprintf("the Nodes are not n1 and n2, Ready: %+v", nodes)
		}
		if s := v.Snapshot.Subnets[0]; s.CIDRBlock != "10.1.0.0/16" || !s.Validated || !s.Ready || s.ReadyAt == "" || s.VPC != "ovn-cluster" {
			return "the Subnet is not as it was made"
		}
		return ""
	})
	w.subnet("green", "10.2.0.0/16", false)
	w.patch(subnetsPath+"/green", `{"metadata":{"annotations":{"fairway.dev/advertise":"true"}}}`)
	f.subnets("blue,green")
	w.patch(subnetsPath+"/blue", `{"metadata":{"annotations":{"fairway.dev/advertise":null}}}`)
	f.subnets("green")
	w.delete(subnetsPath + "/green")
	f.subnets("")
}
