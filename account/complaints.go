package account

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/routes"
)

// Complaints says what is not as it should be by a Speaker: its heartbeat, its Node, or
// conditions. Without Nodes, nil, it goes without them. That a node drains is none, and
// neither is that no BGPPeer selects it.
func (h Heartbeats) Complaints(s *v1alpha1.Speaker, nodesReady map[string]bool) []string {
	var out []string
	standing := h.Of(s)
	if standing == Dead {
		out = append(out, h.WhyDead(s)+"; this is what it said last")
	}
	if nodesReady != nil && !nodesReady[s.Name] {
		text := "Node " + s.Name + " is not Ready"
		if standing != Running && standing != Dead {
			text += ": this is what its daemon said last"
		}
		out = append(out, text)
	}
	if len(out) > 0 && standing != Running {
		return out
	}
	for _, c := range s.Status.Conditions {
		if c.Type == v1alpha1.ConditionDrained || c.Status != metav1.ConditionFalse || c.Reason == v1alpha1.ReasonNoPeer {
			continue
		}
		out = append(out, strings.TrimSuffix("not "+c.Type+": "+c.Message, ": "))
	}
	if why := heldBack(s); s.Status.Announced.Count == 0 && why != "" {
		out = append(out, "announces nothing: "+why)
	}
	return out
}

// heldBack gives the first prefix that the node withholds for a reason that it alone
// knows, or how many there are: a node may carry out its plan to the letter, and
// announce nothing.
func heldBack(s *v1alpha1.Speaker) string {
	for _, w := range s.Status.Withheld.First {
		if slices.Contains(KnownToNodeAlone(), routes.Reason(w.Reason)) {
			return fmt.Sprintf("%s is withheld, %s: %s", w.Prefix, w.Reason, w.Detail)
		}
	}
	for _, reason := range KnownToNodeAlone() {
		if n := s.Status.Withheld.Reasons[string(reason)]; n > 0 {
			return fmt.Sprintf("%d withheld, %s", n, reason)
		}
	}
	return ""
}
