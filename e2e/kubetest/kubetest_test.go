package kubetest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestServer tells one story after the other on one server, which takes seconds
// to start.
func TestServer(t *testing.T) {
	s := StartForTest(t)
	for _, step := range []struct {
		name string
		test func(*testing.T, *Server)
	}{
		{"says its version", testVersion},
		{"takes Subnets as Kube-OVN writes them", testSubnets},
		{"takes another CRD of Subnet", testOtherSubnetCRD},
		{"gives tokens that carry the node", testPodToken},
		{"writes a kubeconfig for its owner alone", testKubeconfig},
		{"keeps objects and address over a crash", testCrash},
		{"answers nobody while paused", testPause},
		{"forgets everything with an empty etcd", testEmptyEtcd},
	} {
		t.Run(step.name, func(t *testing.T) { step.test(t, s) })
	}
}

func client(t *testing.T, c *rest.Config) *kubernetes.Clientset {
	t.Helper()
	k, err := kubernetes.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testVersion(t *testing.T, s *Server) {
	v, err := client(t, s.Config()).ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile(filepath.Join(s.root, "e2e", "kubetest", "apiserver", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "k8s.io/kubernetes " + v.GitVersion; !strings.Contains(string(gomod), want) {
		t.Errorf("the server says it is %s; e2e/kubetest/apiserver/go.mod does not require that", v.GitVersion)
	}
}

// subnetText has every field that Fairway reads, one that the CRD does not know,
// and a status, which is not written on this path.
const subnetText = `
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: routed}
spec:
  cidrBlock: 10.166.0.0/16
  vpc: ovn-cluster
  provider: ovn
  vlan: vlan7
  logicalGateway: true
  natOutgoing: false
  natOutgoingPolicyRules: [{action: nat, match: {srcIPs: 10.166.1.0/24}}]
  gatewayType: centralized
  gatewayNode: "n1,n2"
  gatewayNodeSelectors: [{matchLabels: {edge: "true"}, matchExpressions: [{key: zone, operator: In, values: [a]}]}]
  enableEcmp: true
  externalEgressGateway: 192.0.2.9
  private: true
  allowSubnets: [10.167.0.0/16]
  ofTomorrow: {kept: true}
`

const subnetStatus = `{"status":{"activateGateway":"n1","v4usingIPs":2,"conditions":[` +
	`{"type":"Ready","status":"True","reason":"Good","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`

func testSubnets(t *testing.T, s *Server) {
	ctx := t.Context()
	if err := errors.Join(s.InstallOwnCRDs(ctx), s.InstallSubnetCRD(ctx), s.Apply(ctx, []byte(subnetText))); err != nil {
		t.Fatal(err)
	}
	written, err := Objects([]byte(subnetText))
	if err != nil {
		t.Fatal(err)
	}
	resource, err := Resource(s.Config(), written[0])
	if err != nil {
		t.Fatal(err)
	}
	// As kube-ovn-controller writes it: a change of status beside what is in spec.
	withSpec := strings.Replace(subnetStatus, "{", `{"spec":{"vpc":"other"},`, 1)
	kept, err := resource.Patch(ctx, "routed", types.MergePatchType, []byte(withSpec), metav1.PatchOptions{}, "status")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(kept.Object["spec"], written[0].Object["spec"]) {
		t.Errorf("written:\n%v\nkept:\n%v", written[0].Object["spec"], kept.Object["spec"])
	}
	if gateway, _, _ := unstructured.NestedString(kept.Object, "status", "activateGateway"); gateway != "n1" {
		t.Errorf("status.activateGateway is %q", gateway)
	}
	for path, body := range map[string]string{
		"spec.cidrBlock":   `{"spec":{"cidrBlock":["10.166.0.0/16"]}}`,
		"spec.natOutgoing": `{"spec":{"natOutgoing":"false"}}`,
		"spec.mtu":         `{"spec":{"mtu":"1400"}}`,
	} {
		_, err := resource.Patch(ctx, "routed", types.MergePatchType, []byte(body), metav1.PatchOptions{})
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want it refused for %s", body, err, path)
		}
	}
}

func testOtherSubnetCRD(t *testing.T, s *Server) {
	file := filepath.Join(t.TempDir(), "crd.yaml")
	other := strings.Replace(ownSubnetCRD, "shortNames: [subnet]", "shortNames: [subnet, othersubnet]", 1)
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(SubnetCRDVariable, file)
	if err := s.InstallSubnetCRD(t.Context()); err != nil {
		t.Fatal(err)
	}
	crd := &unstructured.Unstructured{}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind("CustomResourceDefinition")
	resource, err := Resource(s.Config(), crd)
	if err != nil {
		t.Fatal(err)
	}
	installed, err := resource.Get(t.Context(), "subnets.kubeovn.io", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names, _, _ := unstructured.NestedStringSlice(installed.Object, "spec", "names", "shortNames")
	if !slices.Contains(names, "othersubnet") {
		t.Errorf("the CRD in force has short names %v", names)
	}
	t.Setenv(SubnetCRDVariable, file+".missing")
	if err := s.InstallSubnetCRD(t.Context()); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), SubnetCRDVariable) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func testPodToken(t *testing.T, s *Server) {
	ctx := t.Context()
	if _, err := s.MakeNode(ctx, "n1", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(ctx, []byte("{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, namespace: default}}")); err != nil {
		t.Fatal(err)
	}
	token, err := s.PodToken(ctx, "default", "a", "n1")
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.PodToken(ctx, "default", "a", "n1")
	if err != nil || again == "" {
		t.Fatalf("a second token for the same Pod: %v", err)
	}
	extra, err := Whoami(ctx, s.ConfigFor(token))
	if err != nil {
		t.Fatal(err)
	}
	if got := extra["authentication.kubernetes.io/node-name"]; len(got) != 1 || got[0] != "n1" {
		t.Errorf("the token carries node %q, want n1", got)
	}
	_, err = client(t, s.ConfigFor(token)).CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("listing Nodes without a role: %v, want it forbidden", err)
	}
}

func testKubeconfig(t *testing.T, s *Server) {
	path, err := s.WriteKubeconfig(t.TempDir(), "", s.AdminToken(), "default")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if file.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the kubeconfig: %s", file.Mode())
	}
}

func subnet(t *testing.T, s *Server) error {
	t.Helper()
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("kubeovn.io/v1")
	o.SetKind("Subnet")
	resource, err := Resource(s.Config(), o)
	if err != nil {
		return err
	}
	_, err = resource.Get(t.Context(), "routed", metav1.GetOptions{})
	return err
}

func testCrash(t *testing.T, s *Server) {
	url, pid := s.URL(), s.API.PID()
	s.API.Kill()
	if err := subnet(t, s); err == nil {
		t.Error("a killed server answered")
	}
	s.Etcd.Kill()
	if err := s.Etcd.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.API.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.API.PID() == pid || s.URL() != url {
		t.Errorf("pid %d -> %d, URL %s -> %s", pid, s.API.PID(), url, s.URL())
	}
	if err := subnet(t, s); err != nil {
		t.Errorf("the Subnet after the crash: %v", err)
	}
}

func testPause(t *testing.T, s *Server) {
	if err := s.API.Pause(); err != nil {
		t.Fatal(err)
	}
	hasty := s.Config()
	hasty.Timeout = 500 * time.Millisecond
	if _, err := client(t, hasty).ServerVersion(); err == nil {
		t.Error("a paused server answered")
	}
	if err := s.API.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := subnet(t, s); err != nil {
		t.Error(err)
	}
}

func testEmptyEtcd(t *testing.T, s *Server) {
	if err := s.EmptyEtcd(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := subnet(t, s); err == nil {
		t.Error("the Subnet is still there")
	}
}

func TestBuildWaitsForAnotherBuild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var said strings.Builder
	if _, err := lock(ctx, path, &said); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second lock beside the first: %v", err)
	}
	if !strings.Contains(said.String(), "another process builds") {
		t.Errorf("who waits was told %q", said.String())
	}
	unlock()
	again, err := lock(t.Context(), path, io.Discard)
	if err != nil {
		t.Fatalf("lock after the first was given back: %v", err)
	}
	again()
}

func TestObjectsReadsStreamsAndLists(t *testing.T) {
	got, err := Objects([]byte("---\n# nothing\n---\n{kind: A, apiVersion: v1}\n---\nkind: List\napiVersion: v1\nitems:\n- {kind: B, apiVersion: v1}\n- {kind: C, apiVersion: v1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var kinds string
	for _, o := range got {
		kinds += o.GetKind()
	}
	if kinds != "ABC" {
		t.Errorf("kinds %q, want ABC", kinds)
	}
}

func TestOwnLoopbackIsLoopbackAndFree(t *testing.T) {
	ip := net.ParseIP(ownLoopback())
	if !ip.IsLoopback() || ip.Equal(net.IPv4(127, 0, 0, 1)) {
		t.Errorf("%s", ip)
	}
	ports, err := freePorts(ip.String(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if ports[0] == ports[1] || ports[1] == ports[2] || ports[0] == ports[2] {
		t.Errorf("a port twice: %v", ports)
	}
}
