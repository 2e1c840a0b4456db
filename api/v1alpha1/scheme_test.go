package v1alpha1_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

// Every kind of the group can be made by its name, as a typed client does.
func TestAddToScheme(t *testing.T) {
	s := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"BGPPeer", "BGPPeerList", "Speaker", "SpeakerList"} {
		if _, err := s.New(v1alpha1.GroupVersion().WithKind(kind)); err != nil {
			t.Error(err)
		}
	}
}

// A deep copy shares nothing that a later change could reach.
func TestDeepCopyIsDeep(t *testing.T) {
	asn := int64(65000)
	p := v1alpha1.BGPPeer{Spec: v1alpha1.BGPPeerSpec{PeerASN: &asn, Attributes: &v1alpha1.Attributes{Communities: []string{"65000:1"}}}}
	c := p.DeepCopy()
	*p.Spec.PeerASN, p.Spec.Attributes.Communities[0] = 1, "no-export"
	if *c.Spec.PeerASN != 65000 || c.Spec.Attributes.Communities[0] != "65000:1" {
		t.Errorf("the copy changed: %d %v", *c.Spec.PeerASN, c.Spec.Attributes.Communities)
	}
}
