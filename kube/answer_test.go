package kube

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

// TestRefusalsAreInTheServersWords asks for what is not allowed, or not there.
func TestRefusalsAreInTheServersWords(t *testing.T) {
	w := newTown(t)
	w.node("n1", "192.0.2.1")
	w.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: nobody, namespace: " + testNamespace + "}}")
	w.apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: test-speakers}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [fairway.dev], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [speakers]}]
  validations: [{expression: "object.metadata.name != 'n7'", message: "nobody may speak of n7", reason: Forbidden}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: test-speakers}
spec: {policyName: test-speakers, validationActions: [Deny]}
`)
	t.Cleanup(func() {
		w.delete("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/test-speakers")
		w.delete("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/test-speakers")
	})
	token, err := w.server.PodToken(w.ctx(), testNamespace, "nobody", "n1")
	w.do(err)
	nobody, err := connect(w.server.ConfigFor(token), testNamespace)
	w.do(err)
	drain := map[string]string{"fairway.dev/drain": "true"}
	owners := 0
	speakerOf := func(node string) error {
		owners++ // so that there is always something to write
		_, err := NewRecorder(w.cluster, node, account.Farewell, quietLog()).write(w.ctx(), nil, &recorded{types.UID(fmt.Sprint(owners)), v1alpha1.SpeakerStatus{}})
		return err
	}
	// The API server reads its policies a moment later.
	w.eventually("the policy is in force", func() bool { return speakerOf("n7") != nil })
	_, leaseErr := NewElection(nobody, "fairway-reporter", "n1", quietLog()).hold(w.ctx())
	_, listErr := nobody.Speakers(w.ctx())
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"annotate a Node without the right", nobody.AnnotateNode(w.ctx(), "n1", drain), `annotate Node n1: nodes "n1" is forbidden: User "system:serviceaccount:fairway-system:nobody" cannot patch resource "nodes"`},
		{"annotate no Node", w.cluster.AnnotateNode(w.ctx(), "n9", drain), "no Node n9"},
		{"write a Speaker against a policy", speakerOf("n7"), "nobody may speak of n7"},
		{"read a Lease without the right", leaseErr, `cannot get resource "leases"`},
		{"list Speakers without the right", listErr, `cannot list resource "speakers"`},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", c.name, c.err, c.want)
		}
	}
}
