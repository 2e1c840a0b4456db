package kube

import (
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
)

// rawObject is an object as it comes from the API server: its text, and what a
// reflector needs to know of it. One type serves every kind, so that objects
// take the same conversions as those of files.
type rawObject struct {
	metav1.TypeMeta
	rawMeta
	// text is nil once stored is what it was converted to.
	text   []byte
	stored *stored
}

// rawMeta is the part of an object's metadata that following it needs.
type rawMeta struct {
	Name            string    `json:"name"`
	Namespace       string    `json:"namespace"`
	UID             types.UID `json:"uid"`
	ResourceVersion string    `json:"resourceVersion"`
	Generation      int64     `json:"generation"`
	// Annotations hold the mark of a bookmark that ends a list (KEP-3157). They
	// are dropped with the rest when the object is trimmed.
	Annotations map[string]string `json:"annotations"`
}

// UnmarshalJSON keeps the text.
func (p *rawObject) UnmarshalJSON(b []byte) error {
	var head struct {
		metav1.TypeMeta
		Metadata rawMeta `json:"metadata"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return err
	}
	p.TypeMeta, p.rawMeta, p.text = head.TypeMeta, head.Metadata, slices.Clone(b)
	return nil
}

// GetObjectMeta makes it an object to the reflector.
func (p *rawObject) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, UID: p.UID, ResourceVersion: p.ResourceVersion, Annotations: p.Annotations}
}

// DeepCopyObject shares the text, which nobody changes.
func (p *rawObject) DeepCopyObject() runtime.Object {
	q := *p
	return &q
}

// rawList is a list of them.
type rawList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []rawObject `json:"items"`
}

// DeepCopyObject shares the texts.
func (l *rawList) DeepCopyObject() runtime.Object {
	m := *l
	m.Items = slices.Clone(l.Items)
	return &m
}

// rawScheme knows every kind that is read.
func rawScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, r := range []resource{subnetResource(), vlanResource(), nodeResource(), podResource(), secretResource(), peerResource(), speakerResource(), daemonSetResource()} {
		s.AddKnownTypeWithName(r.version.WithKind(r.kind), &rawObject{})
		s.AddKnownTypeWithName(r.version.WithKind(r.kind+"List"), &rawList{})
	}
	s.AddKnownTypeWithName(metav1.SchemeGroupVersion.WithKind("PartialObjectMetadata"), &rawObject{})
	s.AddKnownTypeWithName(metav1.SchemeGroupVersion.WithKind("PartialObjectMetadataList"), &rawList{})
	for _, gv := range versions() {
		metav1.AddToGroupVersion(s, gv)
	}
	return s
}

// rawCodecs decode into the version that is asked for; there is only one.
func rawCodecs() runtime.NegotiatedSerializer {
	return serializer.NewCodecFactory(rawScheme()).WithoutConversion()
}

// listParameters writes list options into a query.
func listParameters() runtime.ParameterCodec { return runtime.NewParameterCodec(rawScheme()) }
