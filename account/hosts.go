package account

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/host"
)

// HostWord is what a node says of its own host.
type HostWord struct {
	Node  string     `json:"node"`
	State host.State `json:"state"`
	// Why it is unknown where no finding says so; else "".
	Why string `json:"why"`
	// Findings are those that are not ok; in them State is wrong or unknown.
	Findings []v1alpha1.FindingStatus `json:"findings"`
}

// Hosts gives what each node says of its host, by name. That of a daemon which does not
// speak is unknown, whatever it has said before.
func Hosts(speakers []v1alpha1.Speaker, beats Heartbeats) []HostWord {
	out := make([]HostWord, 0, len(speakers))
	for i := range speakers {
		out = append(out, hostOf(&speakers[i], beats))
	}
	slices.SortFunc(out, func(a, b HostWord) int { return strings.Compare(a.Node, b.Node) })
	return out
}

func hostOf(s *v1alpha1.Speaker, beats Heartbeats) HostWord {
	w := HostWord{Node: s.Name, State: host.Unknown, Findings: []v1alpha1.FindingStatus{}}
	if !beats.Of(s).Speaks() {
		w.Why = beats.Why(s)
		return w
	}
	w.Findings = append(w.Findings, s.Status.Findings...)
	switch c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionHostReady); {
	case c == nil, c.Reason == v1alpha1.ReasonNotChecked:
		w.Why = "its host has not been looked at, or its daemon runs with --host=off"
	case c.Status == metav1.ConditionTrue:
		w.State = host.OK
	case c.Status == metav1.ConditionFalse:
		w.State = host.Wrong
	}
	return w
}

// HostFinding is a finding that nodes have in common.
type HostFinding struct {
	v1alpha1.FindingStatus
	Nodes []string
}

// Alike gives the findings of all nodes, each once with its nodes: what is wrong first, and
// of these what most nodes have.
func Alike(words []HostWord) []HostFinding {
	var out []HostFinding
	at := map[v1alpha1.FindingStatus]int{}
	for _, w := range words {
		for _, f := range w.Findings {
			i, known := at[f]
			if !known {
				i = len(out)
				at[f], out = i, append(out, HostFinding{FindingStatus: f})
			}
			if !slices.Contains(out[i].Nodes, w.Node) {
				out[i].Nodes = append(out[i].Nodes, w.Node)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b HostFinding) int {
		if c := strings.Compare(b.State, a.State); c != 0 { // "wrong" sorts after "unknown"
			return c
		}
		return len(b.Nodes) - len(a.Nodes)
	})
	return out
}
