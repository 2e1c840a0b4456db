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
}

// Trim gives the text of an object of a kind with the fields that count. A text that does
// not decode is kept as it is, for the conversion to say what is wrong with it.
func Trim(apiVersion, kind string, text []byte) []byte {
	o := slim{}
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
	if err := strictjson.UnmarshalCaseSensitivePreserveInts(text, &o); err != nil || o.Metadata.Name == "" {
		return text
	}
	if !statusCounts {
		o.Status = nil
	}
	o.APIVersion, o.Kind = apiVersion, kind
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
