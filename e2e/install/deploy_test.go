package install

import (
	"errors"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

func kubernetesFor(t *testing.T, c *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// helm runs helm against the server, as a person does who has its kubeconfig.
func helm(t *testing.T, s *kubetest.Server, args ...string) {
	t.Helper()
	config, err := s.WriteKubeconfig(t.TempDir(), "", s.AdminToken(), "default")
	if err != nil {
		t.Fatal(err)
	}
	tool(t, "helm", append(args, "--kubeconfig", config, "--namespace", installNamespace)...)
}

// testChart installs, upgrades and removes the release. The CRDs stay: with them
// would go every BGPPeer.
func testChart(t *testing.T, s *kubetest.Server) {
	helm(t, s, "install", "fairway", chart, "--create-namespace")
	want := rendered(t)
	wantThere(t, s, want)
	helm(t, s, "upgrade", "fairway", chart, "--values", filepath.Join(chart, "examples", "two-tors.yaml"), "--set", "flags.log-format=json")
	for _, name := range []string{"tor-a", "tor-b"} {
		if object(t, s, peer(t, name, "")) == nil {
			t.Errorf("BGPPeer %s is not there after the upgrade", name)
		}
	}
	helm(t, s, "uninstall", "fairway")
	for _, o := range want {
		there, crd := object(t, s, o) != nil, o.GetKind() == "CustomResourceDefinition"
		if there != crd {
			t.Errorf("after helm uninstall: %s %s there: %t, want %t", o.GetKind(), o.GetName(), there, crd)
		}
	}
}

// testKustomize applies the base, twice: the second time changes nothing.
func testKustomize(t *testing.T, s *kubetest.Server) {
	want := kustomized(t)
	for range 2 {
		for _, o := range want {
			if err := kubetest.ApplyObject(t.Context(), s.Config(), o); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantThere(t, s, want)
	daemonSet := object(t, s, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": map[string]any{"name": "fairway", "namespace": installNamespace},
	}})
	if daemonSet.GetGeneration() != 1 {
		t.Errorf("the DaemonSet was changed by applying it again: generation %d", daemonSet.GetGeneration())
	}
}

// testExamples applies the peers of each example.
func testExamples(t *testing.T, s *kubetest.Server) {
	files, err := filepath.Glob(filepath.Join(chart, "examples", "*.yaml"))
	if err != nil || len(files) < 4 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	for _, f := range files {
		peers := 0
		for _, o := range rendered(t, f) {
			if o.GetKind() != "BGPPeer" {
				continue
			}
			peers++
			if err := kubetest.ApplyObject(t.Context(), s.Config(), o); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
		if peers == 0 {
			t.Errorf("%s: no BGPPeer", f)
		}
	}
}

// testRecipes applies what docs/recipes says to apply, but for objects of others' CRDs, and
// wants every field to be kept.
func testRecipes(t *testing.T, s *kubetest.Server) {
	files, err := filepath.Glob(filepath.Join("..", "..", "docs", "recipes", "*", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("recipes: %v, %v", files, err)
	}
	for _, f := range files {
		objects, err := kubetest.Objects(must.ReadFile(t, f))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, o := range objects {
			if o.GetKind() == "FRRConfiguration" {
				continue
			}
			if err := kubetest.ApplyObject(t.Context(), s.Config(), o); err != nil {
				t.Errorf("%s: %v", f, err)
				continue
			}
			wantThere(t, s, []*unstructured.Unstructured{o})
		}
	}
}

// wantThere wants each object to be on the server with every field it was sent with.
func wantThere(t *testing.T, s *kubetest.Server, want []*unstructured.Unstructured) {
	t.Helper()
	for _, o := range want {
		got := object(t, s, o)
		if got == nil {
			t.Errorf("%s %s/%s is not there", o.GetKind(), o.GetNamespace(), o.GetName())
			continue
		}
		for _, path := range missing("", o.Object, got.Object) {
			t.Errorf("%s %s: the server does not have %s as it was sent", o.GetKind(), o.GetName(), path)
		}
	}
}

// missing gives the paths of what is in sent but not the same in kept. Lists of
// objects are compared by position; quantities and such stay as they were sent.
func missing(path string, sent, kept any) []string {
	switch sent := sent.(type) {
	case map[string]any:
		k, ok := kept.(map[string]any)
		if !ok {
			return []string{path}
		}
		var out []string
		for _, name := range slices.Sorted(maps.Keys(sent)) {
			out = append(out, missing(path+"."+name, sent[name], k[name])...)
		}
		return out
	case []any:
		k, ok := kept.([]any)
		if !ok || len(k) != len(sent) {
			return []string{path}
		}
		var out []string
		for i := range sent {
			out = append(out, missing(path+"[]", sent[i], k[i])...)
		}
		return out
	}
	zero := sent == nil || sent == false || sent == ""
	if (zero && kept == nil) || equalJSON(sent, kept) {
		return nil // typed objects leave the zero value out
	}
	return []string{path}
}

// equalJSON compares scalars; numbers come as int64 or float64.
func equalJSON(a, b any) bool {
	if x, ok := a.(float64); ok {
		a = int64(x)
	}
	if x, ok := b.(float64); ok {
		b = int64(x)
	}
	return a == b
}

// object gives the object as the server has it, nil without one.
func object(t *testing.T, s *kubetest.Server, like *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	resource, err := kubetest.Resource(s.Config(), like)
	if err != nil {
		t.Fatal(err)
	}
	o, err := resource.Get(t.Context(), like.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// startInstalled starts an API server, installs Fairway by kustomize, and applies
// objects to it once its policies are in force; pod and token are the daemon's on
// Node n1.
func startInstalled(t *testing.T, o kubetest.Options, objects string) (s *kubetest.Server, pod *corev1.Pod, token string) {
	t.Helper()
	s = kubetest.StartForTestWith(t, o)
	if err := errors.Join(s.InstallSubnetCRD(t.Context()), s.InstallVlanCRD(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, o := range kustomized(t) {
		if err := kubetest.ApplyObject(t.Context(), s.Config(), o); err != nil {
			t.Fatal(err)
		}
	}
	pod, token = daemonPod(t, s, "n1")
	awaitPolicies(t, speakerClient(t, s.ConfigFor(token)))
	if err := s.Apply(t.Context(), []byte(objects)); err != nil {
		t.Fatal(err)
	}
	return s, pod, token
}

// daemonPod creates the Pod that the DaemonSet's controller would create for the
// node, and gives the token that the kubelet would give it.
func daemonPod(t *testing.T, s *kubetest.Server, node string) (pod *corev1.Pod, token string) {
	t.Helper()
	ctx, client := t.Context(), kubernetesFor(t, s.Config())
	if _, err := s.MakeNode(ctx, node, "192.0.2.10"); err != nil {
		t.Fatal(err)
	}
	daemonSet, err := client.AppsV1().DaemonSets(installNamespace).Get(ctx, "fairway", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	template := daemonSet.Spec.Template
	pod = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "fairway-" + node, Labels: template.Labels, Annotations: template.Annotations,
	}, Spec: template.Spec}
	pod.Spec.NodeName = node
	if pod, err = client.CoreV1().Pods(installNamespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatalf("the Pod of node %s: %v", node, err)
	}
	if token, err = s.BoundToken(ctx, pod); err != nil {
		t.Fatal(err)
	}
	return pod, token
}

// testPod looks at what the API server made of the Pod, and at what it may do on
// its node.
func testPod(t *testing.T, s *kubetest.Server) {
	pod, _ := daemonPod(t, s, "pod-node")
	if pod.Spec.Priority == nil || *pod.Spec.Priority < 2_000_000_000 {
		t.Errorf("priority %v: the last to be evicted has 2000000000 or more", pod.Spec.Priority)
	}
	c := pod.Spec.Containers[0]
	for what, ok := range map[string]bool{
		"hostNetwork":                       pod.Spec.HostNetwork,
		"no host PIDs or IPC":               !pod.Spec.HostPID && !pod.Spec.HostIPC,
		"seccomp RuntimeDefault":            pod.Spec.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"not privileged":                    !*c.SecurityContext.Privileged,
		"no privilege escalation":           !*c.SecurityContext.AllowPrivilegeEscalation,
		"read-only root":                    *c.SecurityContext.ReadOnlyRootFilesystem,
		"all capabilities dropped":          slices.Equal(c.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}),
		"memory limited":                    !c.Resources.Limits.Memory().IsZero(),
		"no CPU limit, which would hold up": c.Resources.Limits.Cpu().IsZero(),
		"three probes":                      c.StartupProbe != nil && c.LivenessProbe != nil && c.ReadinessProbe != nil,
	} {
		if !ok {
			t.Errorf("not so: %s", what)
		}
	}
}

// TestImageHasWhatTheTestsRan: rules are read as these versions of the programs write them,
// and nobody has tried others.
func TestImageHasWhatTheTestsRan(t *testing.T) {
	needs.Programs(t, "dpkg-query")
	pins := map[string]string{}
	for line := range strings.Lines(string(must.ReadFile(t, "../../tools/image/packages"))) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] != "#" {
			pins[fields[0]] = fields[1]
		}
	}
	for _, name := range []string{"ipset", "iproute2", "iptables", "libip4tc2", "libip6tc2", "libipset13", "libmnl0", "libnftables1", "libnftnl11", "libxtables12", "netbase", "nftables"} {
		out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
		if err != nil {
			t.Errorf("%s is not installed here: %v", name, err)
			continue
		}
		if here := string(out); here != pins[name] {
			t.Errorf("%s is %s here and %q in the image: make image-pins, and run every test", name, here, pins[name])
		}
	}
}
