// Package install installs Fairway as people do, by its chart and by kustomize, on a
// real API server, and compares what is generated with what is kept. What a daemon,
// a person or a Pod may do there is tried out and not only read.
package install

import (
	"testing"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
)

// TestInstall installs Fairway on a real API server, by chart and by kustomize, and
// then is one of its daemons, with the token that a kubelet would have given it.
func TestInstall(t *testing.T) {
	s := kubetest.StartForTest(t)
	if err := s.InstallSubnetCRD(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, story := range []struct {
		name string
		tell func(*testing.T, *kubetest.Server)
	}{
		{"by chart, and away again", testChart},
		{"by kustomize", testKustomize},
		{"the examples' peers are taken", testExamples},
		{"the recipes' objects are taken", testRecipes},
		{"the Pod may do little", testPod},
		{"the daemon's token may do what it must and no more", testAccess},
		{"Secrets by name alone where so asked", testNamedSecrets},
		{"people may look", testView},
		{"a daemon writes its own Speaker alone", testOwnSpeaker},
		{"a daemon reports on its own Node, on Subnets and BGPPeers", testOwnEvents},
		{"a daemon holds the reporter's Lease for a term at most", testOwnLease},
		{"a daemon says of itself alone that it lives", testOwnHeartbeat},
		{"a BGPPeer that cannot be meant is refused in words", testMessages},
		{"a BGPPeer that can be meant is taken", testGoodPeers},
		{"kubectl get has columns", testColumns},
		{"kubectl has short names", testNames},
	} {
		t.Run(story.name, func(t *testing.T) { story.tell(t, s) })
	}
}
