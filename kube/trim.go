package kube

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	strictjson "sigs.k8s.io/json"
)

// An object is trimmed before it is kept: to the fields that the conversions
// read. That bounds memory and what a state file holds, and tells changes that
// matter from those that do not (a Subnet's used addresses change with each
// Pod, a Node's heartbeats for ever).

// slimMeta is what is kept of an object's metadata.
type slimMeta struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace,omitempty"`
	CreationTimestamp *metav1.Time      `json:"creationTimestamp,omitempty"`
	DeletionTimestamp *metav1.Time      `json:"deletionTimestamp,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
}

// slim is a trimmed object; its parts have the types of the conversions.
type slim struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   slimMeta `json:"metadata"`
	Spec       any      `json:"spec,omitempty"`
	Status     any      `json:"status,omitempty"`
	Data       any      `json:"data,omitempty"`
}

type slimNodeStatus struct {
	Addresses  []corev1.NodeAddress `json:"addresses,omitempty"`
	Conditions []condition          `json:"conditions,omitempty"`
}

type slimPodSpec struct {
	NodeName    string `json:"nodeName,omitempty"`
	HostNetwork bool   `json:"hostNetwork,omitempty"`
}

type slimPodStatus struct {
	Phase string `json:"phase,omitempty"`
}

// trim gives the text of an object with the fields that count. A text that does
// not decode is kept as it is, for the conversion to say what is wrong with it.
func trim(r resource, text []byte) []byte {
	o := slim{}
	switch r.kind {
	case kindSubnet:
		o.Spec, o.Status = &subnetSpec{}, &subnetStatus{}
	case kindNode:
		o.Status = &slimNodeStatus{}
	case kindPod:
		o.Spec, o.Status = &slimPodSpec{}, &slimPodStatus{}
	case kindSecret:
		o.Data = &map[string]string{}
	default:
		o.Spec = &json.RawMessage{}
	}
	if err := strictjson.UnmarshalCaseSensitivePreserveInts(text, &o); err != nil || o.Metadata.Name == "" {
		return text
	}
	o.APIVersion, o.Kind = r.version.String(), r.kind
	o.drop()
	out, err := json.Marshal(o)
	if err != nil {
		return text
	}
	return out
}

// drop takes away what no conversion reads.
func (o *slim) drop() {
	keep := map[string]func(string) bool{
		kindSubnet: readAnnotation, kindNode: readLiveNodeAnnotation, kindPod: readPodAnnotation,
	}[o.Kind]
	if keep == nil {
		keep = func(string) bool { return false }
	}
	o.Metadata.Annotations = selected(o.Metadata.Annotations, keep)
	if o.Kind != kindNode {
		o.Metadata.Labels = nil
	}
	switch s := o.Status.(type) {
	case *subnetStatus:
		// The other types come and go with passing errors (docs of Validated: routes).
		s.Conditions = onlyTypes(s.Conditions, "Validated")
	case *slimNodeStatus:
		s.Conditions = onlyTypes(s.Conditions, string(corev1.NodeReady), string(corev1.NodeNetworkUnavailable))
	}
}

// readLiveNodeAnnotation selects of a Node in a cluster what the plan reads:
// Kube-OVN's own annotations there change without meaning anything to it.
func readLiveNodeAnnotation(name string) bool {
	return readAnnotation(name) || name == "ovn.kubernetes.io/allocated"
}

func onlyTypes(conditions []condition, types ...string) []condition {
	var out []condition
	for _, c := range conditions {
		for _, t := range types {
			if c.Type == t {
				out = append(out, c)
			}
		}
	}
	return out
}
