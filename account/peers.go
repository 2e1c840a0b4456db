package account

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
)

// Bounds of a BGPPeer's status, so that it stays small with any number of nodes.
const (
	mostFailing = 10
	mostNamed   = 3
)

// Neighbours is what a BGPPeer's status is made of: the objects, and what the nodes
// say of themselves.
type Neighbours struct {
	Snapshot policy.Snapshot
	// Generations has the metadata.generation of each BGPPeer there is, usable or not.
	Generations map[string]int64
	// Problems are those of the objects, as the one who sums up sees them.
	Problems []objects.Problem
	// Planned are, by BGPPeer, the nodes that shall have a session by their plans.
	Planned map[string][]string
	// Refused are, by BGPPeer, the nodes that it selects and whose plans have no session
	// of it, with the reason.
	Refused map[string][]v1alpha1.FailingNode
	// Speakers are by node. Where Unreadable is not "", that is why they are not known.
	Speakers   map[string]*v1alpha1.Speaker
	Unreadable string
	Heartbeats Heartbeats
}

// Statuses gives the status of every BGPPeer.
func (n Neighbours) Statuses() map[string]v1alpha1.BGPPeerStatus {
	out := make(map[string]v1alpha1.BGPPeerStatus, len(n.Generations))
	for name := range n.Generations {
		out[name] = n.status(name)
	}
	return out
}

func (n Neighbours) status(name string) v1alpha1.BGPPeerStatus {
	out := v1alpha1.BGPPeerStatus{ObservedGeneration: n.Generations[name], Nodes: n.selected(name)}
	wanted := n.Planned[name]
	out.Wanted = int32(len(wanted))
	var down, limited []v1alpha1.FailingNode
	for _, node := range wanted {
		up, why := n.session(name, node)
		switch {
		case !up:
			down = append(down, v1alpha1.FailingNode{Node: node, Why: why})
		case why != "":
			limited = append(limited, v1alpha1.FailingNode{Node: node, Why: why})
		}
	}
	out.Established = out.Wanted - int32(len(down))
	out.Up = fmt.Sprintf("%d/%d", out.Established, out.Wanted)
	if n.Unreadable != "" {
		out.Established, out.Up, down, limited = 0, fmt.Sprintf("?/%d", out.Wanted), nil, nil
	}
	failing := slices.Concat(down, limited)
	out.Failing = slices.Clone(failing[:min(mostFailing, len(failing))])
	slices.SortFunc(out.Failing, func(a, b v1alpha1.FailingNode) int { return strings.Compare(a.Node, b.Node) })
	out.Conditions = []metav1.Condition{n.ready(name, out, down, limited)}
	out.Conditions[0].ObservedGeneration = out.ObservedGeneration
	return out
}

// selected counts the Nodes that a BGPPeer selects.
func (n Neighbours) selected(name string) int32 {
	i := slices.IndexFunc(n.Snapshot.Peers, func(p policy.Peer) bool { return p.Name == name })
	if i < 0 {
		return 0
	}
	count := int32(0)
	for j := range n.Snapshot.Nodes {
		if n.Snapshot.Peers[i].Nodes.Matches(n.Snapshot.Nodes[j].Labels) {
			count++
		}
	}
	return count
}

// session tells, by a node's Speaker, whether its session with a BGPPeer is up, and
// what is in its way.
func (n Neighbours) session(name, node string) (up bool, why string) {
	s := n.Speakers[node]
	if why := n.Heartbeats.Why(s); why != "" {
		return false, why
	}
	i := slices.IndexFunc(s.Status.Sessions, func(e v1alpha1.SessionStatus) bool { return e.Peer == name })
	if i < 0 {
		return false, cmp.Or(problemOf(s, name), "its daemon has no such session yet")
	}
	e := s.Status.Sessions[i]
	if e.State == established {
		return true, e.Trouble
	}
	return false, cmp.Or(problemOf(s, name), e.Trouble, e.LastError, "no connection yet")
}

// problemOf gives what a node finds wrong with a BGPPeer.
func problemOf(s *v1alpha1.Speaker, peer string) string {
	for _, p := range s.Status.Problems {
		if p.Object == bgpPeer(peer) {
			return p.Text
		}
	}
	return ""
}

func bgpPeer(name string) string { return objects.Key{Kind: objects.KindBGPPeer, Name: name}.String() }

// ready sums a BGPPeer up; the first that applies counts.
func (n Neighbours) ready(name string, s v1alpha1.BGPPeerStatus, down, limited []v1alpha1.FailingNode) metav1.Condition {
	say := func(good bool, reason string, parts ...string) metav1.Condition {
		return condition(v1alpha1.ConditionReady, good, reason, reason, parts...)
	}
	count := fmt.Sprintf("%d of %s up", s.Established, columns.Count(int(s.Wanted), "session is", "sessions are"))
	switch wrong := n.wrongWith(name); {
	case wrong != "":
		return say(false, v1alpha1.ReasonInvalid, wrong)
	case len(n.Refused[name]) > 0:
		return say(false, v1alpha1.ReasonInvalid, named(n.Refused[name]))
	case s.Nodes == 0:
		return say(false, v1alpha1.ReasonNoNode, "spec.nodeSelector selects no Node")
	case n.Unreadable != "":
		c := say(false, v1alpha1.ReasonUnknown, "what the nodes say is not known: "+n.Unreadable)
		c.Status = metav1.ConditionUnknown
		return c
	case len(down) > 0:
		return say(false, v1alpha1.ReasonSessionDown, count, named(down))
	case len(limited) > 0:
		return say(false, v1alpha1.ReasonSessionLimited, count, named(limited))
	}
	return say(true, v1alpha1.ReasonAllUp, count)
}

// wrongWith says why a BGPPeer cannot be used as it is: by the objects, or, as with a
// Secret that only its nodes read, by the first node that says so.
func (n Neighbours) wrongWith(name string) string {
	for _, p := range n.Problems {
		if p.Object == bgpPeer(name) && p.Severity == objects.Wrong {
			return textOf(p)
		}
	}
	for _, node := range n.Planned[name] {
		if s := n.Speakers[node]; n.Heartbeats.Of(s).Speaks() {
			if why := problemOf(s, name); why != "" {
				return why
			}
		}
	}
	return ""
}

// named gives the first failing nodes in words.
func named(failing []v1alpha1.FailingNode) string {
	var out []string
	for _, f := range failing[:min(mostNamed, len(failing))] {
		out = append(out, f.Node+": "+f.Why)
	}
	if more := len(failing) - mostNamed; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, "; ")
}
