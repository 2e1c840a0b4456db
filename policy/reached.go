package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/routes"
)

// noPeer is the last question before the node's own state: is there anyone to
// announce to?
func noPeer() routes.Check {
	return routes.Check{
		Reason: routes.NoPeer,
		When:   "No BGPPeer (of those asked for by annotation `peers`) exists, selects this node and can carry the family.",
		Refuse: func(c *routes.Case) string { return c.NoPeer },
		Fact:   func(c *routes.Case) string { return "to " + strings.Join(c.Peers, ", ") },
		Mend: func(*routes.Case) string {
			return "create a BGPPeer whose nodeSelector matches this node, or mend annotation " + routes.AnnotationPeers
		},
	}
}

// peersOf gives the peers that the Case goes to, or says why to none.
func (v *view) peersOf(c *routes.Case) (peers []string, none string) {
	plain, family := c.Tuning.Peers == nil && len(c.Tuning.NextHops) == 0, FamilyOf(c.Prefix)
	if known := v.plainPeers[family]; plain && known != nil {
		return known, ""
	}
	peers, problems := v.reached(c)
	switch {
	case len(peers) > 0:
		if plain {
			v.plainPeers[family] = peers
		}
		return peers, ""
	case len(problems) > 0:
		return nil, strings.Join(problems, "; ")
	case c.Tuning.Peers != nil:
		return nil, fmt.Sprintf("none of the peers asked for (%s) selects Node %s", strings.Join(c.Tuning.Peers, ", "), c.Node.Name)
	}
	return nil, "no BGPPeer selects Node " + c.Node.Name
}

// reached gives the peers of the sessions that the Case goes to, and why others of
// those asked for cannot carry it.
func (v *view) reached(c *routes.Case) (peers, problems []string) {
	for i := range v.sessions {
		s := &v.sessions[i]
		if !asks(c, s.Peer) {
			continue
		}
		if _, problem := v.nextHop(c, s); problem != "" {
			problems = append(problems, problem)
			continue
		}
		peers = append(peers, s.Peer)
	}
	return peers, problems
}

// asks reports whether the Case asks for a peer: all, unless it names some.
func asks(c *routes.Case, peer string) bool {
	return c.Tuning.Peers == nil || slices.Contains(c.Tuning.Peers, peer)
}

// reach reports whether some BGPPeer gives a node a session that the Case's CIDR
// can go to.
func (a *around) reach(n *routes.Node, c *routes.Case) bool {
	for i := range a.Peers {
		p := &a.Peers[i]
		if asks(c, p.Name) && slices.Contains(p.Families, FamilyOf(c.Prefix)) && p.Nodes.Matches(n.Labels) {
			return true
		}
	}
	return false
}

// nextHop gives the next hop that an export rule must set, if any.
func (v *view) nextHop(c *routes.Case, s *Session) (netip.Addr, string) {
	if problem := ownAddress(c, s); problem != "" {
		return netip.Addr{}, problem
	}
	if c.Tuning.NextHop(c.Prefix).IsValid() && slices.Contains(s.Families, FamilyOf(c.Prefix)) {
		return netip.Addr{}, ""
	}
	return crossFamilyNextHop(s, v.node, c.Prefix)
}

// ownAddress says that the neighbour would refuse the prefix, for the next hop is
// its own address, or "".
func ownAddress(c *routes.Case, s *Session) string {
	if explicit := c.Tuning.NextHop(c.Prefix); !explicit.IsValid() || explicit != s.Address.WithZone("") {
		return ""
	}
	return fmt.Sprintf("BGPPeer %s: annotation %s is the neighbour's own address, which it would refuse (RFC 4271 section 5.1.3)", s.Peer, routes.AnnotationNextHop)
}
