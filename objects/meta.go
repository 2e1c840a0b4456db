package objects

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/routes"
)

// metaDocument is an object's metadata as far as Fairway reads it.
type metaDocument struct {
	Name              string       `json:"name"`
	Namespace         string       `json:"namespace"`
	CreationTimestamp metav1.Time  `json:"creationTimestamp"`
	DeletionTimestamp *metav1.Time `json:"deletionTimestamp"`
	// DeletionGracePeriodSeconds counts for Pods.
	DeletionGracePeriodSeconds *int64       `json:"deletionGracePeriodSeconds"`
	Labels                     looseStrings `json:"labels"`
	Annotations                looseStrings `json:"annotations"`
}

// looseStrings is a map of strings in which YAML has left other things, above all
// true, false and numbers without quotes.
type looseStrings map[string]json.RawMessage

// metadata is what the conversions make of it.
type metadata struct {
	name, namespace string
	created         time.Time
	deleting        bool
	// lingers is for how long the addresses of a Pod that is being deleted stay its own.
	lingers             time.Duration
	labels, annotations map[string]string
}

// read gives the metadata with those annotations that keep selects.
func (d metaDocument) read(r *report, keep func(annotation string) bool) metadata {
	always := func(string) bool { return true }
	return metadata{
		name: d.Name, namespace: d.Namespace,
		created: created(d.CreationTimestamp), deleting: d.DeletionTimestamp != nil, lingers: lingers(d.DeletionTimestamp, d.DeletionGracePeriodSeconds),
		labels:      d.Labels.strings(r, "metadata.labels", always),
		annotations: d.Annotations.strings(r, "metadata.annotations", keep),
	}
}

// strings reads the values whose keys keep selects. true, false and numbers without
// quotes are read as they are written, with a warning: what is meant is plain,
// above all by `fairway.dev/advertise: false`. Anything else is wrong.
func (w looseStrings) strings(r *report, path string, keep func(string) bool) map[string]string {
	var out map[string]string
	for _, k := range slices.Sorted(maps.Keys(w)) {
		if !keep(k) {
			continue
		}
		text := string(w[k])
		var s string
		switch {
		case json.Unmarshal(w[k], &s) == nil:
		case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
			r.wrong(joinPath(path, k), text, "is not a string: put it in quotes")
			continue
		default:
			s = text
			r.refused(joinPath(path, k), text, "is not a string, and Kubernetes would refuse it: put it in quotes")
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k] = s
	}
	return out
}

// readAnnotation selects the annotations that the core reads, so that a change
// of any other one changes no Snapshot.
func readAnnotation(name string) bool {
	return strings.HasPrefix(name, routes.Prefix) || name == routes.AnnotationKubeOVN
}

// readNodeAnnotation selects besides what Kube-OVN says of a Node. Its other
// annotations there change without meaning anything to the plan.
func readNodeAnnotation(name string) bool {
	return readAnnotation(name) || name == annotationAllocated
}

// selected gives the entries of m whose keys keep selects.
func selected(m map[string]string, keep func(string) bool) map[string]string {
	var out map[string]string
	for k, v := range m {
		if keep(k) {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	return out
}

// created gives creationTimestamp in UTC, or the zero time where there is none.
func created(t metav1.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
