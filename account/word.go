package account

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// Explained is an explanation from the objects, and the node's own word where that is
// something else: only a node knows its datapath, or runs a daemon or not.
type Explained struct {
	policy.Explanation
	Says *Word `json:"says,omitempty"`
}

// Word is what a node says of one CIDR.
type Word struct {
	Announced bool `json:"announced"`
	// Reason is why the node withholds the CIDR; "" where it announces it, or does not
	// say.
	Reason routes.Reason `json:"reason,omitempty"`
	// Text is for people.
	Text string `json:"text"`
}

// Announced reports what is true as far as is known: the node's own word counts.
func (e Explained) Announced() bool {
	if e.Says != nil {
		return e.Says.Announced
	}
	return e.Reason == ""
}

// Compare adds to explanations what the nodes themselves say against them, or that they
// cannot say anything any more.
func Compare(explanations []policy.Explanation, speakers []v1alpha1.Speaker, beats Heartbeats) []Explained {
	byNode := make(map[string]*v1alpha1.Speaker, len(speakers))
	for i := range speakers {
		byNode[speakers[i].Name] = &speakers[i]
	}
	out := ByObjectsAlone(explanations)
	for i := range out {
		out[i].Says = wordAgainst(out[i].Explanation, byNode[out[i].Node], beats)
	}
	return out
}

// ByObjectsAlone is Compare for an input without Speakers, or one whose Speakers
// cannot be read: no node says anything.
func ByObjectsAlone(explanations []policy.Explanation) []Explained {
	out := make([]Explained, len(explanations))
	for i, e := range explanations {
		out[i].Explanation = e
	}
	return out
}

// wordAgainst gives a node's word on a CIDR where it is not what the objects say; s is
// nil for a node without Speaker:
//
//	by the objects    the Speaker             word
//	NodeNotReady      (old news)              none
//	announced         is not there            nothing, for it has no Speaker
//	announced         of a stopped daemon     fairway has stopped
//	announced         of a dead daemon        no heartbeat
//	announced         lists it as not sent    not sent to these peers
//	announced         lists it as withheld    withheld, with the reason
//	announced         has sent nothing        no router has been sent any
//	announced         too short to tell       maybe withheld, or none
//	announced         does not list it        not announced, with what Ready says
//	withheld          lists it as announced   announced
//	(else)                                    none
func wordAgainst(e policy.Explanation, s *v1alpha1.Speaker, beats Heartbeats) *Word {
	switch planned := e.Reason == ""; {
	case e.Reason == routes.NodeNotReady:
		return nil
	case planned:
		return wordAgainstAnnounced(e, s, beats)
	case beats.Of(s).Speaks() && len(listedAnnounced(s, e)) > 0:
		return &Word{Announced: true, Text: e.Prefix + " is announced"}
	}
	return nil
}

// wordAgainstAnnounced is for a CIDR that by the objects is announced.
func wordAgainstAnnounced(e policy.Explanation, s *v1alpha1.Speaker, beats Heartbeats) *Word {
	switch beats.Of(s) {
	case Absent:
		return &Word{Text: "nothing, for it has no Speaker: fairway does not run there"}
	case Halted:
		return &Word{Text: stoppedText}
	case Dead:
		return &Word{Text: "nothing any more, " + beats.WhyDead(s)}
	}
	if listed := listedAnnounced(s, e); len(listed) > 0 {
		return notSent(e, s, listed)
	}
	if w := listedWithheld(s, e); w != nil {
		return &Word{Reason: routes.Reason(w.Reason), Text: fmt.Sprintf("%s is withheld, %s: %s", e.Prefix, w.Reason, w.Detail)}
	}
	if a := s.Status.Announced; !listsAllAnnounced(s) && a.Sent == 0 {
		return &Word{Text: fmt.Sprintf("%d prefixes are planned, and no router has been sent any", a.Count)}
	}
	if !listsAllAnnounced(s) || !listsAllWithheld(s) {
		return maybeWithheld(e, s)
	}
	text := e.Prefix + " is not announced"
	if ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Message != "" {
		text += ": " + ready.Message
	}
	return &Word{Text: text}
}

// listedAnnounced gives what the Speaker lists of the CIDR, or with mode pods of parts
// of it, among what it announces.
func listedAnnounced(s *v1alpha1.Speaker, e policy.Explanation) []v1alpha1.AnnouncedPrefix {
	cidr, err := netip.ParsePrefix(e.Prefix)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.Status.Announced.First), func(a v1alpha1.AnnouncedPrefix) bool {
		p, err := netip.ParsePrefix(a.Prefix)
		return err != nil || a.Subnet != e.Subnet || cidr.Bits() > p.Bits() || !cidr.Contains(p.Addr())
	})
}

// notSent is for a CIDR that the node announces: nil where every peer has been sent
// all that is listed of it.
func notSent(e policy.Explanation, s *v1alpha1.Speaker, listed []v1alpha1.AnnouncedPrefix) *Word {
	var peers []string
	sent := false
	for _, a := range listed {
		sent = sent || a.Sent
		peers = append(peers, a.NotSentTo...)
	}
	if len(peers) == 0 {
		return nil
	}
	slices.Sort(peers)
	var why []string
	for _, peer := range slices.Compact(peers) {
		why = append(why, troubleText(s, peer))
	}
	text := e.Prefix + " is planned, and no router has been sent it: "
	if sent {
		text = e.Prefix + " has not been sent to all its peers: "
	}
	return &Word{Announced: sent, Text: text + strings.Join(why, "; ")}
}

// troubleText is troubleWith, after the peer's name.
func troubleText(s *v1alpha1.Speaker, peer string) string {
	return strings.TrimSuffix(peer+": "+troubleWith(s, peer), ": ")
}

// troubleWith says, by a Speaker, why nothing, or not everything, is sent to a peer.
func troubleWith(s *v1alpha1.Speaker, peer string) string {
	i := slices.IndexFunc(s.Status.Sessions, func(e v1alpha1.SessionStatus) bool { return e.Peer == peer })
	if i < 0 {
		return ""
	}
	e := s.Status.Sessions[i]
	if e.State != established {
		return strings.TrimSuffix("the session is "+e.State+": "+cmp.Or(e.Trouble, e.LastError), ": ")
	}
	return e.Trouble
}

// listedWithheld gives what the Speaker lists of a CIDR among what it withholds; nil
// for nothing.
func listedWithheld(s *v1alpha1.Speaker, e policy.Explanation) *v1alpha1.WithheldPrefix {
	for i, w := range s.Status.Withheld.First {
		if w.Subnet == e.Subnet && w.Prefix == e.Prefix {
			return &s.Status.Withheld.First[i]
		}
	}
	return nil
}

// maybeWithheld is for a CIDR that the Speaker's lists are too short for: what only a
// node knows may hold it back, and otherwise the objects are believed.
func maybeWithheld(e policy.Explanation, s *v1alpha1.Speaker) *Word {
	for _, reason := range KnownToNodeAlone() {
		if n := s.Status.Withheld.Reasons[string(reason)]; n > 0 {
			return &Word{Announced: true, Text: fmt.Sprintf("%d prefixes are withheld, %s; %s may be among them, its list is too short to tell", n, reason, e.Prefix)}
		}
	}
	return nil
}

// KnownToNodeAlone are the reasons that no object tells of.
func KnownToNodeAlone() []routes.Reason {
	return []routes.Reason{routes.DatapathDown, routes.HostNotReady}
}
