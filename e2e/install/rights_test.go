package install

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
	"github.com/fairway-bgp/fairway/e2e/must"
)

// daemonAccount is the user that the daemon is to the API server.
const daemonAccount = "system:serviceaccount:" + installNamespace + ":fairway"

// TestDaemonUsesItsRightsExactly runs the real daemon with the token of its
// ServiceAccount, and reads in the API server's audit log what it asked for:
// nothing was refused, and no right was left unused.
func TestDaemonUsesItsRightsExactly(t *testing.T) {
	audit := auditFiles(t)
	s, _, token := startInstalled(t, kubetest.Options{Flags: []string{"--audit-policy-file=" + audit.policy, "--audit-log-path=" + audit.log}}, rightsObjects)
	ctx := t.Context()
	withoutPods(t, s, token)
	for _, o := range podsRights(t) {
		if err := kubetest.ApplyObject(ctx, s.Config(), o); err != nil {
			t.Fatal(err)
		}
	}
	client := kubernetesFor(t, s.Config())
	own := kubernetesFor(t, s.ConfigFor(token))
	must.Await(t, "the daemon may list Pods", func() bool {
		_, err := own.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		return err == nil
	})
	before := len(audit.calls(t))
	stop := startDaemon(t, s, token, "n1")
	must.Await(t, "the Speaker counts what is announced", func() bool { return announced(t, s, "n1") >= 1 })
	must.Await(t, "the reporter tells of the Subnet that nobody announces", func() bool { return eventOn(t, client, "Subnet", "nat") != nil })
	annotate := func(value string) {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"fairway.dev/drain":%s}}}`, value)
		if _, err := client.CoreV1().Nodes().Patch(ctx, "n1", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// The second time the same Event is counted, not written anew.
	for count := int32(1); count <= 2; count++ {
		annotate(`"true"`)
		must.Await(t, "the node is drained", func() bool { return announced(t, s, "n1") == 0 })
		must.Await(t, "the Node's Event says so", func() bool {
			e := eventOn(t, client, "Node", "n1", "Drained")
			return e != nil && e.Count >= count
		})
		annotate("null")
		must.Await(t, "the node announces again", func() bool { return announced(t, s, "n1") >= 1 })
	}
	stop() // gives the Lease back

	used := map[call]bool{}
	for i, c := range audit.calls(t) {
		if c.code == 403 && i >= before {
			t.Errorf("refused: %s", c.call)
		}
		used[c.call] = true
	}
	granted := grantedCalls(t, append(kustomized(t), podsRights(t)...))
	for _, c := range slices.SortedFunc(maps.Keys(granted), func(a, b call) int { return strings.Compare(a.String(), b.String()) }) {
		// What apply creates is authorized as create, but logged as patch.
		if !used[c] && c != (call{"create", "fairway.dev", "speakers", "", ""}) {
			t.Errorf("granted but never used: %s", c)
		}
	}
	for c := range used {
		if !granted[c] && c.resource != "" {
			t.Errorf("used, and granted by no rule of Fairway's: %s", c)
		}
	}
}

// podsRights are what the manifests add for Subnets in mode pods.
func podsRights(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	return objects(t, tool(t, "kustomize", "build", "../../manifests/pods"))
}

// withoutPods runs the daemon while it may not list Pods: what needs none is
// announced, and the Speaker says what is missing.
func withoutPods(t *testing.T, s *kubetest.Server, token string) {
	t.Helper()
	defer startDaemon(t, s, token, "n1")()
	must.Await(t, "the Speaker counts the Subnet that needs no Pods", func() bool { return announced(t, s, "n1") >= 1 })
	must.Await(t, "the Speaker says that Pods cannot be listed", func() bool {
		o, err := speakerClient(t, s.Config()).Get(t.Context(), "n1", metav1.GetOptions{})
		return err == nil && strings.Contains(fmt.Sprint(o.Object["status"]), "pods is forbidden")
	})
	must.Await(t, "the reporter sums the BGPPeer up all the same", func() bool {
		tor := peer(t, "tor", "peerASN: 65000")
		resource, err := kubetest.Resource(s.Config(), tor)
		if err != nil {
			t.Fatal(err)
		}
		o, err := resource.Get(t.Context(), "tor", metav1.GetOptions{})
		return err == nil && strings.Contains(fmt.Sprint(o.Object["status"]), "0/1")
	})
}

// rightsObjects make the daemon do everything: a password to read, Pods to
// announce, a Subnet to report on, one behind a Vlan.
const rightsObjects = `
apiVersion: v1
kind: Secret
metadata: {name: tor, namespace: fairway-system}
stringData: {password: secret}
---
apiVersion: fairway.dev/v1alpha1
kind: BGPPeer
metadata: {name: tor}
spec: {peerAddress: 127.0.0.1, port: 9, peerASN: 65000, localASN: 65001, passwordSecretRef: {name: tor}}
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: routed, annotations: {fairway.dev/advertise: "true"}}
spec: {cidrBlock: 10.166.0.0/16, vpc: ovn-cluster, provider: ovn, natOutgoing: false, gatewayType: distributed}
status: {conditions: [{type: Validated, status: "True"}, {type: Ready, status: "True"}]}
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: nat, annotations: {fairway.dev/advertise: "true"}}
spec: {cidrBlock: 10.167.0.0/16, vpc: ovn-cluster, provider: ovn, natOutgoing: true, gatewayType: distributed}
status: {conditions: [{type: Validated, status: "True"}, {type: Ready, status: "True"}]}
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: pods, annotations: {fairway.dev/advertise: "true", fairway.dev/mode: pods}}
spec: {cidrBlock: 10.168.0.0/16, vpc: ovn-cluster, provider: ovn, natOutgoing: false, gatewayType: distributed}
status: {conditions: [{type: Validated, status: "True"}, {type: Ready, status: "True"}]}
---
apiVersion: kubeovn.io/v1
kind: Vlan
metadata: {name: v7}
spec: {id: 7, provider: net1}
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: behind-a-vlan, annotations: {fairway.dev/advertise: "true"}}
spec: {cidrBlock: 10.169.0.0/16, vpc: ovn-cluster, provider: ovn, natOutgoing: false, gatewayType: distributed, vlan: v7, logicalGateway: true}
status: {conditions: [{type: Validated, status: "True"}, {type: Ready, status: "True"}]}
`

// startDaemon runs `fairway run` as the Pod does, but for the addresses that it
// listens on. stop ends it as the kubelet does.
func startDaemon(t *testing.T, s *kubetest.Server, token, node string) (stop func()) {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "fairway")
	must.BuildFairway(t, binary)
	config, err := s.WriteKubeconfig(dir, "", token, installNamespace)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(binary, "run", "--node", node, "--kubeconfig", config, "--state-dir", filepath.Join(dir, "state"), "--run-dir", filepath.Join(dir, "run"),
		"--listen", "127.0.0.1:0", "--grpc-socket", "", "--grpc-address", "", "--datapath-gate=false", "--drain-wait=0s")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // does nothing to a process that has been waited for
		if t.Failed() {
			t.Logf("the daemon said:\n%s", said.String())
		}
	})
	return func() {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Error("the daemon does not end")
		}
	}
}

// announced is the count in a node's Speaker, -1 without one.
func announced(t *testing.T, s *kubetest.Server, node string) int64 {
	t.Helper()
	o := object(t, s, speakerOf(node))
	if o == nil {
		return -1
	}
	n, found, _ := unstructured.NestedInt64(o.Object, "status", "announced", "count")
	if !found {
		return -1
	}
	return n
}

// eventOn gives an Event about an object, with one of the reasons if any are given.
func eventOn(t *testing.T, client *kubernetes.Clientset, kind, name string, reasons ...string) *corev1.Event {
	t.Helper()
	list, err := client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Items {
		if e.InvolvedObject.Kind == kind && e.InvolvedObject.Name == name && (len(reasons) == 0 || slices.Contains(reasons, e.Reason)) {
			return &e
		}
	}
	return nil
}

// auditLog is where the API server writes who asked for what.
type auditLog struct{ policy, log string }

func auditFiles(t *testing.T) auditLog {
	t.Helper()
	dir := t.TempDir()
	a := auditLog{filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "audit.log")}
	must.WriteFile(t, a.policy, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- {level: Metadata, users: ['"+daemonAccount+"']}\n- {level: None}\n"))
	return a
}

// audited is one request and its answer's status code.
type audited struct {
	call
	code int
}

// calls gives the daemon's requests, with names taken out.
func (a auditLog) calls(t *testing.T) []audited {
	t.Helper()
	f, err := os.Open(a.log)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []audited
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e struct {
			Verb      string `json:"verb"`
			ObjectRef struct {
				APIGroup, Resource, Subresource, Namespace, Name string
			} `json:"objectRef"`
			ResponseStatus struct {
				Code int `json:"code"`
			} `json:"responseStatus"`
			Stage string `json:"stage"`
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Stage == "RequestReceived" {
			continue // the last line may be half written
		}
		o := e.ObjectRef
		c := call{e.Verb, o.APIGroup, o.Resource, o.Namespace, ""}
		if o.Subresource != "" {
			c.resource += "/" + o.Subresource
		}
		if o.Resource == "daemonsets" {
			c.name = o.Name
		}
		out = append(out, audited{c, e.ResponseStatus.Code})
	}
	return out
}

// grantedCalls are what the roles bound to the daemon allow.
func grantedCalls(t *testing.T, all []*unstructured.Unstructured) map[call]bool {
	t.Helper()
	out := map[call]bool{}
	for _, o := range all {
		if !strings.HasSuffix(o.GetKind(), "Role") || o.GetName() == "fairway-view" {
			continue
		}
		var role rbacv1.ClusterRole // a Role's rules have the same form
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role); err != nil {
			t.Fatal(err)
		}
		for _, r := range role.Rules {
			names := r.ResourceNames
			if len(names) == 0 {
				names = []string{""}
			}
			for _, group := range r.APIGroups {
				for _, resource := range r.Resources {
					for _, verb := range r.Verbs {
						for _, name := range names {
							out[call{verb, group, resource, o.GetNamespace(), name}] = true
						}
					}
				}
			}
		}
	}
	return out
}
