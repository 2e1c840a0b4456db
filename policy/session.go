package policy

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/routes"
)

// SessionsOf gives the sessions of a node's plan, without the rest of it.
func SessionsOf(s Snapshot, name string) []Session {
	out, _ := sessions(&s, s.nodeOrBare(name))
	return out
}

// sessions gives the sessions that the node shall have, sorted by peer, and a
// warning for each peer that selects the node but gives none.
func sessions(s *Snapshot, node *routes.Node) ([]Session, []Warning) {
	out, warnings := []Session{}, []Warning{}
	warn := func(peer, format string, args ...any) {
		warnings = append(warnings, Warning{Reason: routes.InvalidPeer, Detail: aboutPeer(peer) + fmt.Sprintf(format, args...), Peer: peer})
	}
	override, err := nodeASN(node, s.LastGoodNode)
	if err != nil {
		warnings = append(warnings, Warning{Reason: routes.InvalidAnnotation, Detail: err.Error()})
	}
	taken := map[string]string{}
	for _, p := range byPrecedence(s.located(), s.InForce) {
		if !p.Nodes.Matches(node.Labels) {
			continue
		}
		asn := p.LocalASN
		if override != 0 {
			asn = override
		}
		if asn == 0 {
			const problem = "no local AS: set spec.localASN, or annotation %s on Node %s"
			now := s.InForce[p.Address]
			if now.Peer != p.Name {
				warn(p.Name, problem, routes.AnnotationLocalASN, node.Name)
				continue
			}
			asn = now.LocalASN
			warn(p.Name, problem+"; the session of AS %d stays until it is mended", routes.AnnotationLocalASN, node.Name, asn)
		}
		if other, ok := taken[p.key()]; ok {
			warn(p.Name, "%s is BGPPeer %s's on Node %s: delete one, or let their nodeSelectors differ", p.given(), other, node.Name)
			continue
		}
		taken[p.key()] = p.Name
		if text, is := s.crowded(p); is {
			warn(p.Name, "%s", text)
		}
		if p.DynamicASN == Internal {
			p.PeerASN = asn
		}
		out = append(out, Session{Peer: p.Name, LocalASN: asn, SessionSettings: p.SessionSettings})
		if p.BFD.On() && p.GracefulRestartTime > 0 {
			warnings = append(warnings, restartOrFailure(p.Name))
		}
	}
	slices.SortFunc(out, func(a, b Session) int { return strings.Compare(a.Peer, b.Peer) })
	return out, warnings
}

// restartOrFailure warns of two guarantees of which one yields.
func restartOrFailure(peer string) Warning {
	return Warning{Reason: routes.RestartOrFailure, Peer: peer, Detail: aboutPeer(peer) +
		"bfd and gracefulRestart are both on, and BFD ends with the daemon: a router cannot tell that from a dead node (RFC 5882 section 4.3). FRR keeps the routes of a daemon that stops or crashes, and drops those of a dead node at once; BIRD drops them in both cases, or with 'bfd graceful' keeps them in both; try it with others"}
}

// byPrecedence puts first, of peers with one address, the one that keeps it: the
// one in force, so that a newcomer never takes a session away, then the older,
// then the first by name.
func byPrecedence(peers []Peer, inForce map[netip.Addr]InForce) []Peer {
	newcomer := func(p Peer) int {
		if p.Address.IsValid() && inForce[p.Address].Peer == p.Name {
			return 0
		}
		return 1
	}
	return slices.SortedStableFunc(slices.Values(peers), func(a, b Peer) int {
		return cmp.Or(newcomer(a)-newcomer(b), a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name))
	})
}

// nodeASN reads the node's annotation local-asn, which goes before a BGPPeer's
// localASN because it is about this node alone. 0 where there is none. With a
// value that does not parse, the last good one counts and the error says so.
func nodeASN(node *routes.Node, lastGood map[string]string) (uint32, error) {
	v, ok := node.Annotations[routes.AnnotationLocalASN]
	if !ok {
		return 0, nil
	}
	asn, err := routes.ParseASN(v)
	if err != nil {
		asn, _ = routes.ParseASN(lastGood[routes.AnnotationLocalASN])
		return asn, fmt.Errorf("%s of Node %s: %w", routes.AnnotationLocalASN, node.Name, err)
	}
	return asn, nil
}

// routerID gives the node's BGP identifier: annotation router-id, else its first
// IPv4 InternalIP, else a number made of its name (RFC 6286: unique in the AS). To
// change it resets every session, so the one that runs stays while it is among the
// Node's addresses, and while there are none: addresses are reordered, and vanish for
// moments.
func routerID(node *routes.Node, lastGood map[string]string, running netip.Addr) (netip.Addr, []Warning) {
	var warnings []Warning
	if v, ok := node.Annotations[routes.AnnotationRouterID]; ok {
		id, err := routes.ParseRouterID(v)
		if err == nil {
			return id, nil
		}
		warnings = []Warning{{Reason: routes.InvalidAnnotation, Detail: fmt.Sprintf("%s of Node %s: %v", routes.AnnotationRouterID, node.Name, err)}}
		if id, err = routes.ParseRouterID(lastGood[routes.AnnotationRouterID]); err == nil {
			return id, warnings
		}
	}
	first := internalIP(node, IPv4Unicast)
	if running.Is4() && routes.GoodRouterID(running) && (!first.IsValid() || slices.Contains(node.InternalIPs, running)) {
		return running, warnings
	}
	if first.IsValid() {
		return first, warnings
	}
	return routerIDOf(node.Name), warnings
}

// duplicateRouterID warns of other nodes that would have this node's BGP identifier.
func (a *around) duplicateRouterID() []Warning {
	if len(a.sessions) == 0 {
		return nil
	}
	var twins []string
	for i := range a.Nodes {
		n := &a.Nodes[i]
		if n.Name == a.node.Name || !a.hasPeer(n) {
			continue
		}
		if id, _ := routerID(n, nil, netip.Addr{}); id == a.routerID {
			twins = append(twins, n.Name)
		}
	}
	if len(twins) == 0 {
		return nil
	}
	slices.Sort(twins)
	return []Warning{{Reason: routes.DuplicateRouterID, Detail: fmt.Sprintf("Node %s has the same router ID %s as %s: give each its own by annotation %s, or put an address first in status.addresses that is the node's alone",
		a.node.Name, a.routerID, columns.First(3, twins), routes.AnnotationRouterID)}}
}

// hasPeer is whether some BGPPeer selects a node.
func (a *around) hasPeer(n *routes.Node) bool {
	return slices.ContainsFunc(a.Peers, func(p Peer) bool { return p.Nodes.Matches(n.Labels) })
}

// routerIDOf makes an identifier of a name, one that every router takes.
func routerIDOf(name string) netip.Addr {
	h := fnv.New32a()
	h.Write([]byte(name))
	sum := h.Sum32() | 1
	id := [4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}
	if !routes.GoodRouterID(netip.AddrFrom4(id)) {
		id[0] = id[0]%64 + 1
	}
	return netip.AddrFrom4(id)
}

// internalIP gives the node's first InternalIP of a family, or the zero Addr.
func internalIP(node *routes.Node, f Family) netip.Addr {
	for _, a := range node.InternalIPs {
		if a.Is4() == (f == IPv4Unicast) {
			return a
		}
	}
	return netip.Addr{}
}

// crossFamilyNextHop gives the next hop for a prefix over a session: the zero
// Addr where the session's own address serves, else the node's InternalIP of
// the prefix's family. problem is set where the session cannot carry the prefix.
func crossFamilyNextHop(s *Session, node *routes.Node, p netip.Prefix) (hop netip.Addr, problem string) {
	f := FamilyOf(p)
	switch {
	case !slices.Contains(s.Families, f):
		return hop, fmt.Sprintf("BGPPeer %s: spec.families lacks %s, which %s needs", s.Peer, f, p)
	case s.Over6() == p.Addr().Is6(), f == IPv4Unicast && s.ExtendedNextHop:
		return hop, ""
	}
	if hop = internalIP(node, f); !hop.IsValid() {
		return hop, fmt.Sprintf("BGPPeer %s: no next hop for %s over a session with %s: Node %s has no InternalIP of that family", s.Peer, p, s.Where(), node.Name)
	}
	return hop, ""
}
