package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group and Version are the two parts of the objects' apiVersion.
const (
	Group   = "fairway.dev"
	Version = "v1alpha1"
)

// GroupVersion gives "fairway.dev/v1alpha1" as apimachinery wants it.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: Group, Version: Version}
}

// AddToScheme makes the objects known to a scheme, as a typed client needs it.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion(), &BGPPeer{}, &BGPPeerList{}, &Speaker{}, &SpeakerList{})
	metav1.AddToGroupVersion(s, GroupVersion())
	return nil
}
