package account

import (
	"testing"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy/policytest"
	"github.com/fairway-bgp/fairway/routes"
)

// A Node that a BGPPeer selects needs a daemon, unless somebody keeps it from announcing.
func TestNodesWithoutADaemon(t *testing.T) {
	s := policytest.Cluster()
	s.Nodes = append(s.Nodes,
		routes.Node{Name: "n3", Ready: true, Labels: map[string]string{routes.LabelExclude: ""}},
		routes.Node{Name: "n4", Ready: true, Annotations: map[string]string{routes.AnnotationDrain: "true"}})
	got := UnservedBy(s, []v1alpha1.Speaker{announcer("n1")})
	if len(got) != 1 || got[0].Node != "n2" || got[0].Text() != "no daemon: fairway does not run there, and BGPPeer tor selects this Node; run it there, or narrow spec.nodeSelector" {
		t.Errorf("%+v", got)
	}
	s.Peers = nil
	if got := UnservedBy(s, nil); len(got) != 0 {
		t.Errorf("without BGPPeers: %+v", got)
	}
}
