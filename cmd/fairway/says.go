package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// heard is an explanation from the objects, and what the node itself says where
// that is something else: only a node knows its datapath, or runs a daemon or not.
type heard struct {
	policy.Explanation
	Says *says `json:"says,omitempty"`
}

// says is a node's word on one CIDR.
type says struct {
	Announced bool          `json:"announced"`
	Reason    routes.Reason `json:"reason,omitempty"`
	Text      string        `json:"text"`
}

// announced reports what is true as far as is known: the node's own word counts.
func (h heard) announced() bool {
	if h.Says != nil {
		return h.Says.Announced
	}
	return h.Reason == ""
}

// listen adds what the nodes themselves say.
func listen(explanations []policy.Explanation, speakers []v1alpha1.Speaker) []heard {
	byNode := make(map[string]*v1alpha1.Speaker, len(speakers))
	for i := range speakers {
		byNode[speakers[i].Name] = &speakers[i]
	}
	var out []heard
	for _, e := range explanations {
		out = append(out, heard{e, wordOn(e, byNode[e.Node])})
	}
	return out
}

// unheard is for an input without Speakers.
func unheard(explanations []policy.Explanation) []heard {
	out := make([]heard, len(explanations))
	for i, e := range explanations {
		out[i].Explanation = e
	}
	return out
}

// readSpeakers reads all Speakers; ok is false where nobody can, which is said on
// stderr.
func (in *input) readSpeakers(ctx context.Context, stderr io.Writer) (list []v1alpha1.Speaker, ok bool) {
	cluster, err := kube.Connect(in.access)
	if err == nil {
		list, err = cluster.Speakers(ctx)
	}
	if err != nil {
		fmt.Fprintf(stderr, "fairway: this is by the objects alone, for what the nodes themselves say is not known: %v\n", err)
	}
	return list, err == nil
}

// wordOn gives a node's word on a CIDR where it is not what the objects say; s is
// nil for a node without Speaker.
func wordOn(e policy.Explanation, s *v1alpha1.Speaker) *says {
	planned := e.Reason == ""
	switch {
	case e.Reason == routes.NodeNotReady:
		return nil // its Speaker is old news
	case s == nil && planned:
		return &says{Text: "nothing, for it has no Speaker: fairway does not run there"}
	case s == nil, daemon.HasStopped(s) && !planned:
		return nil
	case daemon.HasStopped(s):
		return &says{Text: "fairway has stopped on this node"}
	}
	announced, withheld := announcedOf(e, s), withheldOf(e, s)
	switch {
	case announced && !planned:
		return &says{Announced: true, Text: e.Prefix + " is announced"}
	case announced, !planned:
		return nil
	case withheld != nil:
		return &says{Reason: routes.Reason(withheld.Reason), Text: fmt.Sprintf("%s is withheld, %s: %s", e.Prefix, withheld.Reason, withheld.Detail)}
	case cutShort(s):
		return maybeWithheld(e, s)
	}
	text := e.Prefix + " is not announced"
	if ready := meta.FindStatusCondition(s.Status.Conditions, daemon.ConditionReady); ready != nil && ready.Message != "" {
		text += ": " + ready.Message
	}
	return &says{Text: text}
}

// announcedOf reports whether the Speaker lists the CIDR, or with mode pods a part
// of it, among what it announces.
func announcedOf(e policy.Explanation, s *v1alpha1.Speaker) bool {
	cidr, err := netip.ParsePrefix(e.Prefix)
	return err == nil && slices.ContainsFunc(s.Status.Announced.First, func(a v1alpha1.AnnouncedPrefix) bool {
		p, err := netip.ParsePrefix(a.Prefix)
		return err == nil && a.Subnet == e.Subnet && cidr.Bits() <= p.Bits() && cidr.Contains(p.Addr())
	})
}

func withheldOf(e policy.Explanation, s *v1alpha1.Speaker) *v1alpha1.WithheldPrefix {
	for i, w := range s.Status.Withheld.First {
		if w.Subnet == e.Subnet && w.Prefix == e.Prefix {
			return &s.Status.Withheld.First[i]
		}
	}
	return nil
}

// cutShort reports whether the Speaker has more prefixes than it lists.
func cutShort(s *v1alpha1.Speaker) bool {
	return s.Status.Announced.Count > int64(len(s.Status.Announced.First)) || s.Status.Withheld.Count > int64(len(s.Status.Withheld.First))
}

// maybeWithheld is for a CIDR that the Speaker's lists are too short for.
func maybeWithheld(e policy.Explanation, s *v1alpha1.Speaker) *says {
	for _, reason := range nodesOwn() {
		if n := s.Status.Withheld.Reasons[string(reason)]; n > 0 {
			return &says{Announced: true, Text: fmt.Sprintf("%d prefixes are withheld, %s; %s may be among them, its list is too short to tell", n, reason, e.Prefix)}
		}
	}
	return nil
}

// nodesOwn are the reasons that no object tells of.
func nodesOwn() []routes.Reason { return []routes.Reason{routes.DatapathDown, routes.HostNotReady} }

// writeHeard prints explanations, and below them what nodes say against them.
func writeHeard(w io.Writer, list []heard) error {
	explanations := make([]policy.Explanation, len(list))
	var texts []string
	nodes := map[string][]string{}
	for i, h := range list {
		explanations[i] = h.Explanation
		if h.Says == nil {
			continue
		}
		if nodes[h.Says.Text] == nil {
			texts = append(texts, h.Says.Text)
		}
		if !slices.Contains(nodes[h.Says.Text], h.Node) {
			nodes[h.Says.Text] = append(nodes[h.Says.Text], h.Node)
		}
	}
	if err := policy.WriteWhy(w, explanations); err != nil {
		return err
	}
	var b strings.Builder
	for _, text := range texts {
		who := "node " + nodes[text][0] + " itself says: "
		if len(nodes[text]) > 1 {
			who = "nodes " + strings.Join(nodes[text], ", ") + " themselves say: "
		}
		columns.Wrap(&b, "! ", "    ", who+text)
	}
	if b.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(w, "\n"+b.String())
	return err
}
