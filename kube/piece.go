package kube

import (
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

// piece is an object as it comes from the API server: its text, and what a
// reflector needs to know of it. One type serves every kind, so that objects
// take the same conversions as those of files.
type piece struct {
	metav1.TypeMeta
	pieceMeta
	text []byte
}

// pieceMeta is the part of an object's metadata that following it needs.
type pieceMeta struct {
	Name            string    `json:"name"`
	Namespace       string    `json:"namespace"`
	UID             types.UID `json:"uid"`
	ResourceVersion string    `json:"resourceVersion"`
	// Annotations hold the mark of a bookmark that ends a list (KEP-3157). They
	// are dropped with the rest when the object is trimmed.
	Annotations map[string]string `json:"annotations"`
}

// UnmarshalJSON keeps the text.
func (p *piece) UnmarshalJSON(b []byte) error {
	var head struct {
		metav1.TypeMeta
		Metadata pieceMeta `json:"metadata"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return err
	}
	p.TypeMeta, p.pieceMeta, p.text = head.TypeMeta, head.Metadata, slices.Clone(b)
	return nil
}

// GetObjectMeta makes a piece an object to the reflector.
func (p *piece) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, UID: p.UID, ResourceVersion: p.ResourceVersion, Annotations: p.Annotations}
}

// DeepCopyObject shares the text, which nobody changes.
func (p *piece) DeepCopyObject() runtime.Object {
	q := *p
	return &q
}

// pieces is a list of them.
type pieces struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []piece `json:"items"`
}

// DeepCopyObject shares the texts.
func (l *pieces) DeepCopyObject() runtime.Object {
	m := *l
	m.Items = slices.Clone(l.Items)
	return &m
}

// pieceScheme knows every kind that is read as a piece.
func pieceScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, r := range []resource{subnetResource(), vlanResource(), nodeResource(), podResource(), secretResource(), peerResource(), speakerResource()} {
		s.AddKnownTypeWithName(r.version.WithKind(r.kind), &piece{})
		s.AddKnownTypeWithName(r.version.WithKind(r.kind+"List"), &pieces{})
	}
	for _, gv := range []schema.GroupVersion{coreVersion(), kubeOVNVersion(), v1alpha1.GroupVersion(), leaseVersion()} {
		metav1.AddToGroupVersion(s, gv)
	}
	return s
}

// pieceCodecs decode into the version that is asked for; there is only one.
func pieceCodecs() runtime.NegotiatedSerializer {
	return serializer.NewCodecFactory(pieceScheme()).WithoutConversion()
}

// listParameters writes list options into a query.
func listParameters() runtime.ParameterCodec { return runtime.NewParameterCodec(pieceScheme()) }
