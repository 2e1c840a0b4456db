package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/routes"
)

// share is a part of what a Case announces: prefixes that go to the same peers.
type share struct {
	prefixes []netip.Prefix
	peers    []string
	class    routes.Class
}

// shares gives what a Case that passed every question announces. In mode pods the
// peers that the Pods are too many for get the CIDR in their place. room is for the
// answer.
func shares(c *routes.Case, room *[2]share) []share {
	if len(c.Whole) == 0 {
		return append(room[:0], share{c.Prefixes(), c.Peers, classOf(c, nil)})
	}
	whole := func(peer string) bool { return slices.Contains(c.Whole, peer) }
	others := slices.DeleteFunc(slices.Clone(c.Peers), whole)
	cidr := []netip.Prefix{c.Prefix}
	if len(others) == 0 {
		return append(room[:0], share{cidr, c.Peers, classOf(c, nil)})
	}
	return append(room[:0],
		share{cidr, c.Whole, classOf(c, append([]string{"only"}, c.Whole...))},
		share{c.Prefixes(), others, classOf(c, append([]string{"but"}, c.Whole...))})
}

// wholePeers names the peers of a Case in mode pods that take fewer prefixes of one CIDR
// than the node's Pods in it are. One that got the CIDR in their place before gets the
// Pods again once they are a tenth fewer than it takes, so that a Pod more or less at
// the bound does not change what it has time and again.
func (v *view) wholePeers(c *routes.Case) []string {
	if c.Tuning == nil || c.Tuning.Mode != routes.ModePods {
		return nil
	}
	before := strings.Split(c.Past.Whole, ",")
	var out []string
	for i := range v.sessions {
		s := &v.sessions[i]
		most := mostPodPrefixes(c, s)
		if most > 0 && slices.Contains(before, s.Peer) {
			most = podsAgain(most)
		}
		if most > 0 && len(c.Prefixes()) > most && slices.Contains(c.Peers, s.Peer) {
			out = append(out, s.Peer)
		}
	}
	return out
}

// mostPodPrefixes gives how many prefixes of Pods of one CIDR go by a session, 0 for as
// many as there are.
func mostPodPrefixes(c *routes.Case, s *Session) int {
	if n := c.Tuning.MaxPodPrefixes; n != nil {
		return int(*n)
	}
	return int(s.MaxPodPrefixes)
}

// podsAgain gives how many prefixes of Pods there may be at most for a peer to get them
// again that takes so many.
func podsAgain(most int) int { return max(1, most-max(1, most/10)) }

// wholeWarnings say to whom the CIDR goes in the place of the Pods.
func (v *view) wholeWarnings(c *routes.Case) []Warning {
	var out []Warning
	for i := range v.sessions {
		s := &v.sessions[i]
		if !slices.Contains(c.Whole, s.Peer) {
			continue
		}
		most, by := mostPodPrefixes(c, s), "spec.maxPodPrefixes of the BGPPeer"
		if c.Tuning.MaxPodPrefixes != nil {
			by = "annotation " + routes.AnnotationMaxPodPrefixes
		}
		out = append(out, Warning{Subnet: c.Subnet.Name, Reason: routes.PodPrefixLimit, Detail: fmt.Sprintf(
			"BGPPeer %s gets %s in the place of this node's Pods: they were more than %s (%s); it gets the Pods again at %d",
			s.Peer, c.Text(), columns.Count(most, "prefix", "prefixes"), by, podsAgain(most))})
	}
	return out
}
