package account

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy"
)

// Row is one node of the cluster: its Speaker, empty where it has none, whether its
// daemon lives, and what is not as it should be.
type Row struct {
	v1alpha1.Speaker
	Standing Standing `json:"standing"`
	Degraded []string `json:"degraded"`
}

// Rows gives a row for each Speaker, and each Node that should have one, by name.
// Without Nodes those are the Speakers alone.
func Rows(s policy.Snapshot, speakers []v1alpha1.Speaker, beats Heartbeats) []Row {
	var ready map[string]bool
	if s.Nodes != nil {
		ready = make(map[string]bool, len(s.Nodes))
		for i := range s.Nodes {
			ready[s.Nodes[i].Name] = s.Nodes[i].Ready
		}
	}
	rows := make([]Row, 0, len(speakers))
	for i := range speakers {
		row := Row{Speaker: speakers[i], Standing: beats.Of(&speakers[i]), Degraded: []string{}}
		row.Degraded = append(row.Degraded, beats.Complaints(&speakers[i], ready)...)
		rows = append(rows, row)
	}
	for _, u := range UnservedBy(s, speakers) {
		row := Row{Standing: Absent, Degraded: []string{u.Text()}}
		row.ObjectMeta = metav1.ObjectMeta{Name: u.Node}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return strings.Compare(a.Name, b.Name) })
	return rows
}

// State is the row's in a word.
func (r *Row) State() string {
	switch {
	case r.Standing == Dead, r.Standing == Halted, r.Standing == Absent:
		return string(r.Standing)
	case len(r.Degraded) == 0:
		return "ready"
	case meta.IsStatusConditionFalse(r.Status.Conditions, v1alpha1.ConditionReady):
		return "not ready"
	}
	return "degraded"
}
