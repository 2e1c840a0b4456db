package install

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/kube"
)

// call is a request that the daemon's ServiceAccount may or may not make.
type call struct{ verb, group, resource, namespace, name string }

func (c call) String() string {
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s.%s %s %s", c.verb, c.resource, c.group, c.namespace, c.name)), " ")
}

// allowedCalls are what the daemon does; each is made for real elsewhere.
func allowedCalls() []call {
	const own = installNamespace
	return []call{
		{"list", "kubeovn.io", "subnets", "", ""},
		{"watch", "kubeovn.io", "subnets", "", ""},
		{"list", "kubeovn.io", "vlans", "", ""},
		{"watch", "kubeovn.io", "vlans", "", ""},
		{"list", "fairway.dev", "bgppeers", "", ""},
		{"watch", "fairway.dev", "bgppeers", "", ""},
		{"list", "", "nodes", "", ""},
		{"watch", "", "nodes", "", ""},
		{"list", "fairway.dev", "speakers", "", ""},
		{"watch", "fairway.dev", "speakers", "", ""},
		{"create", "fairway.dev", "speakers", "", ""},
		{"patch", "fairway.dev", "speakers/status", "", "n1"},
		{"patch", "fairway.dev", "bgppeers/status", "", "tor"},
		{"list", "", "secrets", own, ""},
		{"watch", "", "secrets", own, ""},
		{"create", "coordination.k8s.io", "leases", own, ""},
		{"get", "coordination.k8s.io", "leases", own, "fairway-reporter"},
		{"update", "coordination.k8s.io", "leases", own, "fairway-reporter"},
		{"update", "coordination.k8s.io", "leases", own, "fairway-node-n1"},
		{"list", "coordination.k8s.io", "leases", own, ""},
		{"list", "apps", "daemonsets", own, "fairway"},
		{"watch", "apps", "daemonsets", own, "fairway"},
		{"create", "", "events", "default", ""},
		{"patch", "", "events", "default", "some"},
	}
}

// refusedCalls are what somebody would do with a stolen token.
func refusedCalls() []call {
	return []call{
		{"list", "", "secrets", "", ""},
		{"get", "", "secrets", "kube-system", "bootstrap"},
		{"list", "", "secrets", "default", ""},
		{"create", "", "secrets", installNamespace, ""},
		{"get", "", "configmaps", installNamespace, "any"},
		{"patch", "", "nodes", "", "n1"},
		{"patch", "", "nodes/status", "", "n1"},
		{"update", "kubeovn.io", "subnets", "", "routed"},
		{"patch", "kubeovn.io", "subnets", "", "routed"},
		{"delete", "kubeovn.io", "subnets", "", "routed"},
		{"create", "fairway.dev", "bgppeers", "", ""},
		{"update", "fairway.dev", "bgppeers", "", "tor"},
		{"patch", "fairway.dev", "bgppeers", "", "tor"},
		{"update", "fairway.dev", "bgppeers/status", "", "tor"},
		{"delete", "fairway.dev", "bgppeers", "", "tor"},
		{"delete", "fairway.dev", "speakers", "", "n1"},
		{"deletecollection", "fairway.dev", "speakers", "", ""},
		{"list", "", "pods", "", ""}, // without podsMode
		{"create", "", "pods", installNamespace, ""},
		{"delete", "", "pods", "default", "web"},
		{"create", "", "pods/exec", "default", "web"},
		{"create", "", "serviceaccounts/token", installNamespace, "fairway"},
		{"delete", "coordination.k8s.io", "leases", installNamespace, "fairway-node-n1"},
		{"list", "coordination.k8s.io", "leases", "", ""},
		{"get", "coordination.k8s.io", "leases", "kube-system", "kube-controller-manager"},
		{"update", "coordination.k8s.io", "leases", "kube-node-lease", "n1"},
		{"create", "", "events", "kube-system", ""},
		{"list", "", "events", "default", ""},
		{"create", "rbac.authorization.k8s.io", "clusterrolebindings", "", ""},
		{"update", "apps", "daemonsets", installNamespace, "fairway"},
		{"list", "apps", "daemonsets", installNamespace, ""},
		{"get", "apps", "daemonsets", "kube-system", "kube-proxy"},
		{"list", "apiextensions.k8s.io", "customresourcedefinitions", "", ""},
	}
}

// testAccess asks the API server with the daemon's own token.
func testAccess(t *testing.T, s *kubetest.Server) {
	_, token := daemonPod(t, s, "access-node")
	client := kubernetesFor(t, s.ConfigFor(token))
	may := func(c call) bool {
		resource, sub, _ := strings.Cut(c.resource, "/")
		review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: c.verb, Group: c.group, Resource: resource, Subresource: sub, Namespace: c.namespace, Name: c.name,
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return review.Status.Allowed
	}
	for _, c := range allowedCalls() {
		if !may(c) {
			t.Errorf("the daemon may not %s", c)
		}
	}
	for _, c := range refusedCalls() {
		if may(c) {
			t.Errorf("the daemon may %s", c)
		}
	}
	// And two of them for real: the review above is only the API server's word.
	if _, err := client.CoreV1().Secrets(installNamespace).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := client.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("Secrets of another namespace: %v, want it forbidden", err)
	}
}

// testNamedSecrets gives the daemons the role of a chart that names the Secrets they
// may read. They ask by name, as a field selector.
func testNamedSecrets(t *testing.T, s *kubetest.Server) {
	file := filepath.Join(t.TempDir(), "values.yaml")
	must.WriteFile(t, file, []byte("passwordSecrets: [tor-password]\n"))
	applyRoles := func(all []*unstructured.Unstructured) {
		for _, o := range all {
			if o.GetKind() == "Role" {
				if err := kubetest.ApplyObject(t.Context(), s.Config(), o); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	applyRoles(rendered(t, file))
	defer applyRoles(rendered(t))
	_, token := daemonPod(t, s, "secret-node")
	client := kubernetesFor(t, s.ConfigFor(token)).CoreV1().Secrets(installNamespace)
	list := func(selector string) error {
		_, err := client.List(t.Context(), metav1.ListOptions{FieldSelector: selector})
		return err
	}
	// The authorizer learns of a changed role a moment later.
	must.Await(t, "the daemon may not list every Secret", func() bool { return apierrors.IsForbidden(list("")) })
	if err := list("metadata.name=tor-password"); err != nil {
		t.Errorf("the Secret that is named: %v", err)
	}
	if err := list("metadata.name=another"); !apierrors.IsForbidden(err) {
		t.Errorf("a Secret that is not named: %v", err)
	}
}

// testView looks with the rights of somebody who may view the cluster. Nothing
// here fills in aggregated roles (kube-controller-manager does), so the label that
// it goes by is looked at.
func testView(t *testing.T, s *kubetest.Server) {
	role, err := kubernetesFor(t, s.Config()).RbacV1().ClusterRoles().Get(t.Context(), "fairway-view", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if role.Labels["rbac.authorization.k8s.io/aggregate-to-view"] != "true" {
		t.Errorf("labels %v: not part of the role view", role.Labels)
	}
	for _, r := range role.Rules {
		for _, verb := range r.Verbs {
			if verb != "get" && verb != "list" && verb != "watch" {
				t.Errorf("a viewer may %s %v", verb, r.Resources)
			}
		}
	}
}

func speakerClient(t *testing.T, c *rest.Config) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(schema.GroupVersionResource{Group: "fairway.dev", Version: "v1alpha1", Resource: "speakers"})
}

func speakerOf(node string, owners ...metav1.OwnerReference) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "fairway.dev/v1alpha1", "kind": "Speaker"}}
	o.SetName(node)
	o.SetOwnerReferences(owners)
	return o
}

// testOwnSpeaker is the daemon of node n1, which writes about itself, and then
// about its neighbour.
func testOwnSpeaker(t *testing.T, s *kubetest.Server) {
	ctx := t.Context()
	_, token := daemonPod(t, s, "n1")
	n1, err := s.MakeNode(ctx, "n1")
	if err != nil {
		t.Fatal(err)
	}
	n2, err := s.MakeNode(ctx, "n2", "192.0.2.12")
	if err != nil {
		t.Fatal(err)
	}
	mine, admin := speakerClient(t, s.ConfigFor(token)), speakerClient(t, s.Config())
	awaitPolicies(t, mine)

	owner := func(n *corev1.Node) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID}
	}
	if _, err := mine.Create(ctx, speakerOf("n1", owner(n1)), metav1.CreateOptions{}); err != nil {
		t.Fatalf("the own Speaker: %v", err)
	}
	apply := metav1.ApplyOptions{FieldManager: "fairway", Force: true}
	status := speakerOf("n1")
	status.Object["status"] = map[string]any{"established": int64(1), "configured": int64(1)}
	if _, err := mine.ApplyStatus(ctx, "n1", status, apply); err != nil {
		t.Errorf("status of the own Speaker: %v", err)
	}
	if _, err := mine.Create(ctx, speakerOf("n2"), metav1.CreateOptions{}); !refused(err, "Speaker n2 is not that of node n1") {
		t.Errorf("another node's Speaker: %v", err)
	}
	if _, err := mine.Apply(ctx, "n2", speakerOf("n2"), apply); !refused(err, "Speaker n2 is not that of node n1") {
		t.Errorf("another node's Speaker by apply: %v", err)
	}
	if _, err := mine.Apply(ctx, "n1", speakerOf("n1", owner(n2)), apply); !refused(err, "belongs to that Node alone") {
		t.Errorf("the own Speaker, owned by another Node: %v", err)
	}
	if _, err := admin.Create(ctx, speakerOf("n2", owner(n2)), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	lie := []byte(`{"status":{"established":0,"configured":9}}`)
	if _, err := mine.Patch(ctx, "n2", types.MergePatchType, lie, metav1.PatchOptions{}, "status"); !refused(err, "Speaker n2 is not that of node n1") {
		t.Errorf("status of another node's Speaker: %v", err)
	}
	if err := mine.Delete(ctx, "n2", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("deleting another node's Speaker: %v", err)
	}
	loose, err := kubernetesFor(t, s.Config()).CoreV1().ServiceAccounts(installNamespace).CreateToken(ctx, "fairway", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	free := speakerClient(t, s.ConfigFor(loose.Status.Token))
	if _, err := free.Apply(ctx, "n1", speakerOf("n1"), apply); !refused(err, "this token names no node") {
		t.Errorf("a token that is bound to no Pod: %v", err)
	}
}

// awaitPolicies waits until the API server has read the policies, which takes it a
// moment: until then everything passes.
func awaitPolicies(t *testing.T, mine dynamic.ResourceInterface) {
	t.Helper()
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	if !must.Eventually(func() bool {
		_, err := mine.Create(t.Context(), speakerOf("nobody"), dry)
		return apierrors.IsForbidden(err)
	}) {
		t.Fatal("the admission policy is not in force")
	}
}

func refused(err error, why string) bool {
	return err != nil && apierrors.IsForbidden(err) && strings.Contains(err.Error(), why)
}

// testOwnEvents is the daemon of node e1, which reports on its Node and on Subnets,
// and then on somebody else.
func testOwnEvents(t *testing.T, s *kubetest.Server) {
	_, token := daemonPod(t, s, "e1")
	awaitPolicies(t, speakerClient(t, s.ConfigFor(token)))
	client := kubernetesFor(t, s.ConfigFor(token))
	report := func(name, kind, about, host string) error {
		_, err := client.CoreV1().Events("default").Create(t.Context(), &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Name: name, Namespace: "default"},
			InvolvedObject: corev1.ObjectReference{Kind: kind, Name: about},
			Reason:         "Tried", Message: "tried", Type: corev1.EventTypeNormal,
			Source: corev1.EventSource{Component: "fairway", Host: host},
		}, metav1.CreateOptions{})
		return err
	}
	if err := report("own-node", "Node", "e1", "e1"); err != nil {
		t.Errorf("an Event on the own Node: %v", err)
	}
	if err := report("a-subnet", "Subnet", "routed", "e1"); err != nil {
		t.Errorf("an Event on a Subnet: %v", err)
	}
	if err := report("a-peer", "BGPPeer", "tor", "e1"); err != nil {
		t.Errorf("an Event on a BGPPeer: %v", err)
	}
	again := []byte(`{"count":2}`)
	if _, err := client.CoreV1().Events("default").Patch(t.Context(), "own-node", types.MergePatchType, again, metav1.PatchOptions{}); err != nil {
		t.Errorf("counting the own Event: %v", err)
	}
	const alone = "the daemon of node e1 reports on Subnets, BGPPeers and its own Node alone"
	for name, err := range map[string]error{
		"another Node":    report("other-node", "Node", "n2", "e1"),
		"a Pod":           report("a-pod", "Pod", "web", "e1"),
		"nothing at all":  report("nothing", "", "", "e1"),
		"a Node, no name": report("nameless", "Node", "", "e1"),
	} {
		if !refused(err, alone) {
			t.Errorf("an Event on %s: %v", name, err)
		}
	}
	if err := report("other-host", "Subnet", "routed", "n2"); !refused(err, "source.host of an Event must be the node it comes from, e1") {
		t.Errorf("an Event in another node's name: %v", err)
	}
	// What is somebody else's stays as it is.
	admin := kubernetesFor(t, s.Config()).CoreV1().Events("default")
	for name, source := range map[string]corev1.EventSource{"of-kubelet": {Component: "kubelet", Host: "e1"}, "of-another": {Component: "fairway", Host: "n2"}} {
		_, err := admin.Create(t.Context(), &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Name: name, Namespace: "default"},
			InvolvedObject: corev1.ObjectReference{Kind: "Node", Name: "e1"}, Reason: "Tried", Message: "tried", Type: corev1.EventTypeNormal, Source: source,
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ours := []byte(`{"message":"all is well","source":{"component":"fairway","host":"e1"},"involvedObject":{"kind":"Node","name":"e1"}}`)
		if _, err := client.CoreV1().Events("default").Patch(t.Context(), name, types.MergePatchType, ours, metav1.PatchOptions{}); !refused(err, "the daemon of node e1 changes no Events of others") {
			t.Errorf("rewriting the Event %s: %v", name, err)
		}
	}
	for what, patch := range map[string]string{"finalizers": `{"metadata":{"finalizers":["example.com/never"]}}`, "owners": `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n2","uid":"u"}]}}`} {
		if _, err := client.CoreV1().Events("default").Patch(t.Context(), "own-node", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); !refused(err, "a daemon sets no finalizers and no owners of Events") {
			t.Errorf("%s of an Event: %v", what, err)
		}
	}
}

// testOwnLease is the daemon of node l1, which reports for a while, and then would
// report for ever, alone or in another's name.
func testOwnLease(t *testing.T, s *kubetest.Server) {
	_, token := daemonPod(t, s, "l1")
	awaitPolicies(t, speakerClient(t, s.ConfigFor(token)))
	leases := kubernetesFor(t, s.ConfigFor(token)).CoordinationV1().Leases(installNamespace)
	finalized := leaseOf("fairway-reporter", "l1", 90)
	finalized.Finalizers = []string{"example.com/never"}
	owned := leaseOf("fairway-reporter", "l1", 90)
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "l1", UID: "u"}}
	refusedLeases(t, leases, map[string][]*coordinationv1.Lease{
		"writes its own Lease, fairway-node-l1, and fairway-reporter alone": {leaseOf("another", "l1", 90)},
		"holds the Lease for itself or gives it back":                       {leaseOf("fairway-reporter", "l2", 90)},
		"spec.leaseDurationSeconds is 90 at most":                           {leaseOf("fairway-reporter", "l1", 1<<31-1)},
		"no finalizers of Leases, and no owner but its Node of its own":     {finalized, owned},
	})
	held, err := leases.Create(t.Context(), leaseOf("fairway-reporter", "l1", 90), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		held, err = leases.Get(t.Context(), "fairway-reporter", metav1.GetOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	forever, nobody, me := int32(1<<31-1), "", "l1"
	held.Spec.HolderIdentity, held.Spec.LeaseDurationSeconds = &me, &forever
	if _, err := leases.Update(t.Context(), held, metav1.UpdateOptions{}); !refused(err, "spec.leaseDurationSeconds is 90 at most") {
		t.Errorf("held for 68 years: %v", err)
	}
	term := int32(90)
	held.Spec.HolderIdentity, held.Spec.LeaseDurationSeconds = &nobody, &term
	if _, err := leases.Update(t.Context(), held, metav1.UpdateOptions{}); err != nil {
		t.Errorf("given back: %v", err)
	}
}

func leaseOf(name, holder string, seconds int32) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: installNamespace},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds},
	}
}

// refusedLeases tries to make Leases; each is refused, with the words.
func refusedLeases(t *testing.T, leases coordinationclient.LeaseInterface, tried map[string][]*coordinationv1.Lease) {
	t.Helper()
	for want, list := range tried {
		for _, l := range list {
			if _, err := leases.Create(t.Context(), l, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); !refused(err, want) {
				t.Errorf("%s: %v", want, err)
			}
		}
	}
}

// testOwnHeartbeat is the daemon of node h1, which says that it lives, and would say so
// of others; and that of a node whose name is too long for a Lease.
func testOwnHeartbeat(t *testing.T, s *kubetest.Server) {
	_, token := daemonPod(t, s, "h1")
	awaitPolicies(t, speakerClient(t, s.ConfigFor(token)))
	leases := kubernetesFor(t, s.ConfigFor(token)).CoordinationV1().Leases(installNamespace)
	own := leaseOf("fairway-node-h1", "h1", 40)
	own.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "h1", UID: "u"}}
	if _, err := leases.Create(t.Context(), own, metav1.CreateOptions{}); err != nil {
		t.Errorf("the own Lease: %v", err)
	}
	strange := leaseOf("fairway-node-h1", "h1", 40)
	strange.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "h2", UID: "u"}}
	refusedLeases(t, leases, map[string][]*coordinationv1.Lease{
		"writes its own Lease, fairway-node-h1":                         {leaseOf("fairway-node-h2", "h1", 40), leaseOf("fairway-node-h1x", "h1", 40)},
		"holds the Lease for itself or gives it back":                   {leaseOf("fairway-node-h1", "h2", 40), leaseOf("fairway-node-h1", "", 40)},
		"no finalizers of Leases, and no owner but its Node of its own": {strange},
	})
	// With it "fairway-" is as long as a Pod's name may be, and "fairway-node-" too long.
	long, alike := strings.Repeat("n", 245), strings.Repeat("n", 243)+"-b"
	_, token = daemonPod(t, s, long)
	client := kubernetesFor(t, s.ConfigFor(token)).CoordinationV1().Leases(installNamespace)
	for name, want := range map[string]string{kube.HeartbeatName(long): "", "fairway-node-nobody": "writes its own Lease"} {
		if _, err := client.Create(t.Context(), leaseOf(name, long, 40), metav1.CreateOptions{}); (err != nil) != (want != "") || err != nil && !refused(err, want) {
			t.Errorf("Lease %s of a node with a long name: %v", name, err)
		}
	}
	// A node whose name begins like it cannot take it.
	_, token = daemonPod(t, s, alike)
	other := kubernetesFor(t, s.ConfigFor(token)).CoordinationV1().Leases(installNamespace)
	theirs, err := other.Get(t.Context(), kube.HeartbeatName(long), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	theirs.Spec.HolderIdentity = &alike
	if _, err := other.Update(t.Context(), theirs, metav1.UpdateOptions{}); !refused(err, "is not that of node "+alike) {
		t.Errorf("the Lease of a node whose name begins alike: %v", err)
	}
}
