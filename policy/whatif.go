package policy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/routes"
)

// Absence is what is imagined to be gone: machines that are dead, sessions and
// all, by the names of their Nodes, and BGPPeers that are deleted.
type Absence struct {
	Nodes []string `json:"nodes"`
	Peers []string `json:"peers"`
}

// Impact is what is different once something is gone and everybody has noticed.
// Lists are sorted and never nil.
type Impact struct {
	Without Absence `json:"without"`
	// Changes are the prefixes that other nodes announce then, or to other peers,
	// or whose replies leave by another gateway, sorted by prefix.
	Changes []Change `json:"changes"`
	// NoAnnouncer are the CIDRs that some node announces now and none does then.
	NoAnnouncer []Place `json:"noAnnouncer"`
	// OneNode are the CIDRs that hang on one node then.
	OneNode []StillHanging `json:"oneNode"`
	// SessionsEnded and SessionsBegun are by node and peer. One begins only where
	// two BGPPeers had the same address and the other one is gone.
	SessionsEnded []NodeSession `json:"sessionsEnded"`
	SessionsBegun []NodeSession `json:"sessionsBegun"`
	// PeersWithoutSession are the BGPPeers that stay, and that no node has a session
	// with any more.
	PeersWithoutSession []string `json:"peersWithoutSession"`
}

// Place is a CIDR of a Subnet.
type Place struct {
	Subnet string       `json:"subnet"`
	Prefix netip.Prefix `json:"prefix"`
}

// StillHanging is a CIDR that hangs on one node; Already is whether it does so
// now, with nothing gone.
type StillHanging struct {
	Hanging
	Already bool `json:"already"`
}

// NodeSession is a session of one node.
type NodeSession struct {
	Node    string     `json:"node"`
	Peer    string     `json:"peer"`
	Address netip.Addr `json:"address"`
}

// Change is what becomes of one prefix.
type Change struct {
	Place
	// Before and After say who announces it, sorted by node.
	Before []Announcement `json:"before"`
	After  []Announcement `json:"after"`
	// TakeOver are the nodes that carry it then and did not before, or only stood by.
	TakeOver []string `json:"takeOver"`
	// LeftOut are the BGPPeers that stay, and get it from nobody any more.
	LeftOut []string `json:"leftOut"`
	// Gateway is nil where Kube-OVN's active gateway stays or there is none.
	Gateway *GatewayMove `json:"gateway"`
	// Failover is nil where no machine that carried it is dead, and where none is
	// left that could: it takes until one is back.
	Failover *Failover `json:"failover"`
	// Why says, where nobody is left, why the nodes that are do not announce it.
	Why []Obstacle `json:"why"`
}

// Announcement is how one node announces a prefix.
type Announcement struct {
	Node string      `json:"node"`
	Role routes.Role `json:"role"`
	// NextHop is the zero Addr ("" in JSON) for each session's own address.
	NextHop netip.Addr `json:"nextHop"`
	Peers   []string   `json:"peers"`
}

// Obstacle is a reason for which nodes withhold a prefix.
type Obstacle struct {
	Reason routes.Reason `json:"reason"`
	Detail string        `json:"detail"`
	Nodes  []string      `json:"nodes"`
}

// GatewayMove is what Kube-OVN's controller does about a centralized Subnet whose
// active gateway is gone.
type GatewayMove struct {
	From string `json:"from"`
	// To is the new active gateway; empty where no gateway is left that is Ready.
	To string `json:"to"`
	// Others might become it as well: by selectors the controller takes any.
	Others []string `json:"others"`
}

// WhatIf says what would change if something were gone, from the plans of all
// nodes: what they say is taken to be announced now. It knows what the Snapshot
// knows: names that are not in it change nothing.
func WhatIf(s Snapshot, plans []Plan, gone Absence) Impact {
	gone = Absence{sortedNames(gone.Nodes), sortedNames(gone.Peers)}
	then, moves := s.without(gone)
	before := settled(s, plans)
	w := whatIf{gone: gone, moves: moves, before: before, after: settled(then, afterwards(then, before, gone.Nodes))}
	i := Impact{Without: gone, Changes: w.changes()}
	i.NoAnnouncer = placesOnlyIn(announcedPlaces(s, w.before), announcedPlaces(then, w.after))
	now := OnOneNode(s, w.before)
	i.OneNode = []StillHanging{}
	for _, h := range OnOneNode(then, w.after) {
		i.OneNode = append(i.OneNode, StillHanging{h, slices.Contains(now, h)})
	}
	i.SessionsEnded, i.SessionsBegun = sessionsOnlyIn(w.before, w.after), sessionsOnlyIn(w.after, w.before)
	i.PeersWithoutSession = w.peersWithoutSession()
	return i
}

func sortedNames(names []string) []string {
	return append([]string{}, routes.SortedSet(names, strings.Compare)...)
}

// without gives the Snapshot that an API server has once everybody has noticed: a
// dead machine leaves its Node behind, not Ready, and Kube-OVN's controller has
// moved the gateways that were there. It names those by their Subnets.
func (s Snapshot) without(gone Absence) (Snapshot, map[string]GatewayMove) {
	s.Peers = slices.DeleteFunc(slices.Clone(s.Peers), func(p Peer) bool { return slices.Contains(gone.Peers, p.Name) })
	s.Nodes = slices.Clone(s.Nodes)
	for i := range s.Nodes {
		if slices.Contains(gone.Nodes, s.Nodes[i].Name) {
			s.Nodes[i].Ready = false
		}
	}
	s.Subnets = slices.Clone(s.Subnets)
	moves := map[string]GatewayMove{}
	for i, sub := range s.Subnets {
		if sub.GatewayType == routes.Centralized && !sub.EnableECMP && slices.Contains(gone.Nodes, sub.ActiveGateway) {
			moved := *sub
			moves[sub.Name], s.Subnets[i] = moveGateway(&moved, s.Nodes), &moved
		}
	}
	return s, moves
}

// moveGateway does what the controller does when the active gateway is not Ready:
// it takes the first name of the list that is; with none left it says so in the
// condition Ready, and OVN goes on by the dead one (pkg/controller/subnet.go).
func moveGateway(sub *routes.Subnet, nodes []routes.Node) GatewayMove {
	usable := slices.DeleteFunc(slices.Clone(routes.Gateways(sub, nodes)), func(name string) bool {
		return !slices.ContainsFunc(nodes, func(n routes.Node) bool { return n.Name == name && n.Usable() })
	})
	m := GatewayMove{From: sub.ActiveGateway, Others: []string{}}
	if len(usable) == 0 {
		sub.ActiveGateway, sub.Ready, sub.GatewayVerdict = "", false, "NoActiveGatewayFound"
		return m
	}
	m.To, sub.ActiveGateway = usable[0], usable[0]
	if len(routes.ParseGatewayNodes(sub.GatewayNode)) == 0 {
		m.Others = append(m.Others, usable[1:]...)
	}
	return m
}

// afterwards makes the plans of nodes that announced what their plans before say,
// all but the dead.
func afterwards(then Snapshot, before []Plan, dead []string) []Plan {
	var plans []Plan
	for _, p := range before {
		if !slices.Contains(dead, p.Node) {
			then.History = p.history
			plans = append(plans, Make(then, p.Node))
		}
	}
	return plans
}

// mostSteps bounds how often settled makes a plan again.
const mostSteps = 8

// settled gives the plans as they are once time alone no longer changes them,
// sorted by node.
func settled(s Snapshot, plans []Plan) []Plan {
	plans = slices.Clone(plans)
	for i := range plans {
		for range mostSteps {
			if plans[i].Next.IsZero() {
				break
			}
			s.At, s.History = plans[i].Next, plans[i].history
			plans[i] = Make(s, plans[i].Node)
		}
	}
	slices.SortFunc(plans, func(a, b Plan) int { return strings.Compare(a.Node, b.Node) })
	return plans
}

// whatIf holds what the parts of an Impact are made of.
type whatIf struct {
	gone          Absence
	moves         map[string]GatewayMove
	before, after []Plan
}

// announcements says who announces what.
func announcements(plans []Plan) map[Place][]Announcement {
	out := map[Place][]Announcement{}
	for _, p := range plans {
		for _, a := range p.Adverts {
			at := Place{a.Subnet, a.Prefix}
			out[at] = append(out[at], Announcement{p.Node, a.Role, a.NextHop, a.Peers})
		}
	}
	return out
}

func (a Announcement) equal(b Announcement) bool {
	return a.Node == b.Node && a.Role == b.Role && a.NextHop == b.NextHop && slices.Equal(a.Peers, b.Peers)
}

// carries reports whether traffic comes by the node: a standby waits.
func (a Announcement) carries() bool { return a.Role != routes.RoleStandby }

func (p Place) compare(q Place) int {
	return cmp.Or(p.Prefix.Compare(q.Prefix), strings.Compare(p.Subnet, q.Subnet))
}

func (w whatIf) changes() []Change {
	before, after := announcements(w.before), announcements(w.after)
	all := maps.Clone(before)
	maps.Copy(all, after)
	out := []Change{}
	for _, at := range slices.SortedFunc(maps.Keys(all), Place.compare) {
		_, moved := w.moves[at.Subnet]
		if moved || !slices.EqualFunc(before[at], after[at], Announcement.equal) {
			out = append(out, w.change(at, before[at], after[at]))
		}
	}
	return out
}

func (w whatIf) change(at Place, before, after []Announcement) Change {
	c := Change{
		Place: at, Before: append([]Announcement{}, before...), After: append([]Announcement{}, after...),
		TakeOver: []string{}, LeftOut: []string{}, Why: []Obstacle{},
	}
	carried := func(node string) bool {
		return slices.ContainsFunc(before, func(b Announcement) bool { return b.Node == node && b.carries() })
	}
	for _, a := range after {
		if a.carries() && !carried(a.Node) {
			c.TakeOver = append(c.TakeOver, a.Node)
		}
	}
	still := peersOf(after)
	for _, p := range peersOf(before) {
		if !slices.Contains(still, p) && !slices.Contains(w.gone.Peers, p) {
			c.LeftOut = append(c.LeftOut, p)
		}
	}
	if m, ok := w.moves[at.Subnet]; ok {
		c.Gateway = &m
	}
	if len(after) == 0 {
		c.Why = w.obstacles(at)
	}
	c.Failover = w.failover(c)
	return c
}

// peersOf gives the peers that somebody announces to, sorted.
func peersOf(list []Announcement) []string {
	var names []string
	for _, a := range list {
		names = append(names, a.Peers...)
	}
	return sortedNames(names)
}

// obstacles says why no node that is left announces a prefix, in the order of the
// nodes.
func (w whatIf) obstacles(at Place) []Obstacle {
	out := []Obstacle{}
	for _, p := range w.after {
		for _, h := range p.Withheld {
			cidr, err := netip.ParsePrefix(h.Prefix)
			if h.Subnet != at.Subnet || err != nil || !cidr.Contains(at.Prefix.Addr()) {
				continue
			}
			i := slices.IndexFunc(out, func(o Obstacle) bool { return o.Reason == h.Reason && o.Detail == h.Detail })
			if i < 0 {
				i, out = len(out), append(out, Obstacle{Reason: h.Reason, Detail: h.Detail})
			}
			out[i].Nodes = append(out[i].Nodes, p.Node)
		}
	}
	return out
}

// announcedPlaces gives the CIDRs that are announced, in mode pods those of which
// some part is.
func announcedPlaces(s Snapshot, plans []Plan) map[Place]bool {
	out := map[Place]bool{}
	cidrs := cidrsOf(s)
	for at := range announcements(plans) {
		out[cidrs.of(at)] = true
	}
	return out
}

// subnetCIDRs gives the CIDRs of Subnets by their names.
type subnetCIDRs map[string][]netip.Prefix

func cidrsOf(s Snapshot) subnetCIDRs {
	out := subnetCIDRs{}
	for _, sub := range s.Subnets {
		out[sub.Name] = sub.CIDRs
	}
	return out
}

// of gives the CIDR that an announced prefix is part of; itself where its Subnet
// no longer has such a one.
func (c subnetCIDRs) of(at Place) Place {
	for _, cidr := range c[at.Subnet] {
		if cidr.Contains(at.Prefix.Addr()) && cidr.Bits() <= at.Prefix.Bits() {
			return Place{at.Subnet, cidr}
		}
	}
	return at
}

func placesOnlyIn(a, b map[Place]bool) []Place {
	out := []Place{}
	for at := range a {
		if !b[at] {
			out = append(out, at)
		}
	}
	slices.SortFunc(out, Place.compare)
	return out
}

// sessionsOnlyIn gives the sessions of a that b has not.
func sessionsOnlyIn(a, b []Plan) []NodeSession {
	there := map[NodeSession]bool{}
	for _, e := range allSessions(b) {
		there[e] = true
	}
	return slices.DeleteFunc(allSessions(a), func(e NodeSession) bool { return there[e] })
}

func allSessions(plans []Plan) []NodeSession {
	out := []NodeSession{}
	for _, p := range plans {
		for _, s := range p.Sessions {
			out = append(out, NodeSession{p.Node, s.Peer, s.Address})
		}
	}
	return out
}

func (w whatIf) peersWithoutSession() []string {
	left := map[string]bool{}
	for _, e := range allSessions(w.after) {
		left[e.Peer] = true
	}
	out := []string{}
	for _, e := range allSessions(w.before) {
		if !left[e.Peer] && !slices.Contains(w.gone.Peers, e.Peer) {
			out = append(out, e.Peer)
		}
	}
	return sortedNames(out)
}
