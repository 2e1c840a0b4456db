package objects

import (
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	strictjson "sigs.k8s.io/json"
)

// An object is trimmed before it is kept: to the fields that the conversions
// read. That bounds memory and what a state file holds, and tells changes that
// matter from those that do not (a Subnet's used addresses change with each
// Pod, a Node's heartbeats for ever).

// slimMeta is what is kept of an object's metadata.
type slimMeta struct {
	Name              string       `json:"name"`
	Namespace         string       `json:"namespace,omitempty"`
	CreationTimestamp *metav1.Time `json:"creationTimestamp,omitempty"`
	DeletionTimestamp *metav1.Time `json:"deletionTimestamp,omitempty"`
	// DeletionGracePeriodSeconds counts for Pods alone.
	DeletionGracePeriodSeconds *int64            `json:"deletionGracePeriodSeconds,omitempty"`
	Labels                     map[string]string `json:"labels,omitempty"`
	Annotations                map[string]string `json:"annotations,omitempty"`
}

// slim is a trimmed object; its parts have the types of the conversions.
type slim struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   slimMeta `json:"metadata"`
	Spec       any      `json:"spec,omitempty"`
	Status     any      `json:"status,omitempty"`
	Data       any      `json:"data,omitempty"`
	version    Version
}

// Version is which object of its name one is, and which version of it.
type Version struct {
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
	Generation      int64  `json:"generation"`
}

// decode fills in what text has, and the version, which is not written. Spec, Status and
// Data lead to where theirs goes.
func (o *slim) decode(text []byte) error {
	var whole struct {
		Metadata struct {
			slimMeta
			Version
		} `json:"metadata"`
		Spec   any `json:"spec"`
		Status any `json:"status"`
		Data   any `json:"data"`
	}
	whole.Spec, whole.Status, whole.Data = o.Spec, o.Status, o.Data
	err := strictjson.UnmarshalCaseSensitivePreserveInts(text, &whole)
	o.Metadata, o.version = whole.Metadata.slimMeta, whole.Metadata.Version
	o.Spec, o.Status, o.Data = whole.Spec, whole.Status, whole.Data
	return err
}

// slimmed decodes an object of a kind and takes away what does not count. It reports
// false of one that does not decode.
func slimmed(apiVersion, kind string, text []byte) (o slim, ok bool) {
	switch kind {
	case KindSubnet:
		o.Spec, o.Status = &subnetSpec{}, &subnetStatus{}
	case KindNode:
		o.Spec, o.Status = &nodeSpec{}, &nodeStatus{}
	case KindVlan:
		o.Spec = &vlanSpec{}
	case KindPod:
		o.Spec, o.Status = &podSpec{}, &podStatus{}
	case KindSecret:
		o.Data = &map[string]string{}
	default:
		o.Spec = &json.RawMessage{}
	}
	statusCounts := o.Status != nil
	if err := o.decode(text); err != nil || o.Metadata.Name == "" {
		return o, false
	}
	if !statusCounts {
		o.Status = nil
	}
	o.APIVersion, o.Kind = apiVersion, kind
	o.drop()
	return o, true
}

// Trim gives the text of an object of a kind with the fields that count. A text that does
// not decode is kept as it is, for the conversion to say what is wrong with it.
func Trim(apiVersion, kind string, text []byte) []byte {
	if o, ok := slimmed(apiVersion, kind, text); ok {
		if out, err := json.Marshal(o); err == nil {
			return out
		}
	}
	return text
}

// Taken is an object of an API server as it is kept.
type Taken struct {
	Object
	Version
	// Text is the trimmed object.
	Text []byte
}

// Take is Trim and then Read, but decodes an object of those kinds once of which there
// are many.
func Take(apiVersion, kind string, text []byte) Taken {
	slim, ok := slimmed(apiVersion, kind, text)
	out := Taken{Version: slim.version, Text: text}
	if ok {
		if trimmed, err := json.Marshal(slim); err == nil {
			out.Text = trimmed
		}
		out.Object, ok = slim.object()
	}
	if !ok {
		out.Object = Read(out.Text)
	}
	return out
}

// object converts what was decoded; it reports false where that takes the text.
func (o *slim) object() (Object, bool) {
	out := Object{Key: Key{Kind: o.Kind, Name: o.Metadata.Name}}
	if o.Kind == KindPod {
		out.Namespace = o.Metadata.Namespace
	}
	if d, _, _ := decoderOf(o.APIVersion, o.Kind); d == nil {
		return out, false
	}
	r, m := &report{object: out.Key.String()}, o.Metadata.read()
	switch spec := o.Spec.(type) {
	case *subnetSpec:
		if status, ok := o.Status.(*subnetStatus); ok {
			out.Value = subnetOf(m, spec, status, r)
		}
	case *nodeSpec:
		if status, ok := o.Status.(*nodeStatus); ok {
			out.Value = nodeOf(m, *spec, *status, r)
		}
	case *podSpec:
		if status, ok := o.Status.(*podStatus); ok {
			out.Value = podsOf(m, *spec, *status, r)
		}
	}
	if !r.usable() {
		out.Value = nil
	}
	out.Problems = r.problems
	return out, out.Value != nil
}

// read gives the metadata as the conversions take it.
func (m *slimMeta) read() metadata {
	out := metadata{name: m.Name, namespace: m.Namespace, deleting: m.DeletionTimestamp != nil, lingers: lingers(m.DeletionTimestamp, m.DeletionGracePeriodSeconds), annotations: m.Annotations}
	if len(m.Labels) > 0 {
		out.labels = m.Labels
	}
	if m.CreationTimestamp != nil {
		out.created = created(*m.CreationTimestamp)
	}
	return out
}

// drop takes away what no conversion reads.
func (o *slim) drop() {
	keep := map[string]func(string) bool{
		KindSubnet: readAnnotation, KindNode: readNodeAnnotation, KindPod: readPodAnnotation,
	}[o.Kind]
	if keep == nil {
		keep = func(string) bool { return false }
	}
	o.Metadata.Annotations = selected(o.Metadata.Annotations, keep)
	if o.Kind != KindNode {
		o.Metadata.Labels = nil
	}
	if o.Kind != KindPod {
		o.Metadata.DeletionGracePeriodSeconds = nil
	}
	switch s := o.Status.(type) {
	case *subnetStatus:
		s.Conditions = slimConditions(s.Conditions, slimSubnetCondition)
	case *nodeStatus:
		s.Addresses = slices.DeleteFunc(s.Addresses, func(a nodeAddress) bool { return a.Type != internalIP })
		s.Conditions = slimConditions(s.Conditions, slimNodeCondition)
	}
}

// slimConditions gives of each condition what keep leaves of it.
func slimConditions(conditions []condition, keep func(condition) (slim condition, ok bool)) []condition {
	var out []condition
	for _, c := range conditions {
		if s, ok := keep(c); ok {
			out = append(out, s)
		}
	}
	return out
}

// slimSubnetCondition keeps Validated and Ready; the other types come and go with
// passing errors. Of Ready its time counts, and one kind of reason.
func slimSubnetCondition(c condition) (condition, bool) {
	slim := condition{Type: c.Type, Status: c.Status}
	if c.Type == conditionReady {
		slim.LastUpdateTime, slim.Reason = c.LastUpdateTime, gatewayVerdict(c)
	}
	return slim, c.Type == conditionValidated || c.Type == conditionReady
}

// slimNodeCondition keeps Ready and NetworkUnavailable without what a heartbeat
// changes. Of the messages one counts.
func slimNodeCondition(c condition) (condition, bool) {
	slim := condition{Type: c.Type, Status: c.Status}
	switch c.Type {
	case networkUnavailable:
		return slim, true
	case conditionReady:
		if strings.Contains(c.Message, shuttingDown) {
			slim.Message = shuttingDown
		}
		return slim, true
	}
	return condition{}, false
}
