package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/routes"
)

// Make decides for one node. A node that the Snapshot does not have is planned
// for as one that is not Ready.
func Make(s Snapshot, node string) Plan {
	v := newView(s, node)
	plan := Plan{
		Node: node, Sessions: v.sessions, RouterID: v.routerID,
		Adverts: []Advert{}, Withheld: []Withheld{}, Warnings: slices.Clone(v.warnings), Forwards: []Forward{}, announceable: v.announceable,
	}
	checks := v.chain()
	for i := range v.cases {
		c := &v.cases[i]
		plan.wake(c.Wakes())
		if check, detail := firstRefusal(checks, c); check != nil {
			plan.Withheld = append(plan.Withheld, Withheld{c.Text, c.Subnet.Name, check.Reason, detail, v.undecided(checks, c)})
			if c.Kept != nil {
				plan.Warnings = append(plan.Warnings, kept(c))
			}
			continue
		}
		v.announce(&plan, c)
	}
	plan.history = v.history(&plan)
	for _, c := range v.carriable {
		if _, lost := v.lost[keyOf(c)]; !lost {
			v.forward(&plan, c)
		}
	}
	plan.sort()
	return plan
}

// view is what Make works out once before it asks any question.
type view struct {
	s    *Snapshot
	node *routes.Node
	// cases are all in question; candidates those of them that pass every question
	// about the Subnet alone and the leak guard.
	cases      []routes.Case
	candidates []*routes.Case
	// carriable are those, and the ones that only a node which announces them already
	// may announce: other nodes carry their replies all the same.
	carriable []*routes.Case
	sessions  []Session
	warnings  []Warning
	routerID  netip.Addr
	guard     guard
	lost      map[caseKey]string
	// announceable names the Subnets of which some CIDR can be announced.
	announceable map[string]bool
}

func newView(s Snapshot, name string) *view {
	node := &routes.Node{Name: name}
	for i := range s.Nodes {
		if s.Nodes[i].Name == name {
			node = &s.Nodes[i]
		}
	}
	v := &view{s: &s, node: node, guard: newGuard(&s)}
	v.sessions, v.warnings = sessions(&s, node)
	id, warnings := routerID(node, s.LastGoodNode, s.History.RouterID)
	v.routerID, v.warnings = id, slices.Concat(v.warnings, warnings, nodeWarnings(node, &s))
	v.announceable = map[string]bool{}
	v.cases = routes.Cases(&s.Snapshot, node, v.reach)
	v.candidates = make([]*routes.Case, 0, len(v.cases))
	checks := append(routes.SubnetChecks(), v.guard.check())
	for i := range v.cases {
		c := &v.cases[i]
		if check, _ := firstRefusal(checks, c); check == nil {
			v.candidates, v.carriable = append(v.candidates, c), append(v.carriable, c)
			v.announceable[c.Subnet.Name] = true
		} else if v.wouldPass(checks, c) {
			v.carriable = append(v.carriable, c)
		}
	}
	v.lost = overlaps(v.candidates)
	return v
}

// chain is every question, in the order in which they are asked. The first
// that refuses gives the reason.
func (v *view) chain() []routes.Check {
	return slices.Concat(
		routes.SubnetChecks(),
		[]routes.Check{v.guard.check(), overlapCheck(v.lost)},
		routes.NodeChecks(),
		[]routes.Check{v.noPeer()},
		routes.LiveChecks(),
	)
}

// Chain gives the questions in order, for documentation: nothing is known that
// they could be asked about.
func Chain() []routes.Check { return newView(Snapshot{}, "").chain() }

func firstRefusal(checks []routes.Check, c *routes.Case) (*routes.Check, string) {
	for i := range checks {
		if detail := checks[i].Refuse(c); detail != "" {
			return &checks[i], detail
		}
	}
	return nil, ""
}

// noPeer is the last question before the node's own state: is there anyone to
// announce to?
func (v *view) noPeer() routes.Check {
	return routes.Check{
		Reason: routes.NoPeer,
		When:   "No BGPPeer (of those asked for by annotation `peers`) exists, selects this node and can carry the family.",
		Refuse: func(c *routes.Case) string {
			reached, problems := v.reached(c)
			if len(reached) > 0 {
				return ""
			}
			if len(problems) > 0 {
				return strings.Join(problems, "; ")
			}
			if c.Tuning.Peers != nil {
				return fmt.Sprintf("none of the peers asked for (%s) selects Node %s", strings.Join(c.Tuning.Peers, ", "), c.Node.Name)
			}
			return "no BGPPeer selects Node " + c.Node.Name
		},
		Fact: func(c *routes.Case) string {
			reached, _ := v.reached(c)
			return "to " + strings.Join(names(reached), ", ")
		},
		Mend: func(*routes.Case) string {
			return "create a BGPPeer whose nodeSelector matches this node, or mend annotation " + routes.AnnotationPeers
		},
	}
}

// reached gives the sessions that the Case goes to, and why others of those
// asked for cannot carry it.
func (v *view) reached(c *routes.Case) (to []Session, problems []string) {
	for _, s := range v.asked(c) {
		if _, problem := v.nextHop(c, s, c.Prefix); problem != "" {
			problems = append(problems, problem)
			continue
		}
		to = append(to, s)
	}
	return to, problems
}

// asked gives the sessions that the Case asks for: all, unless it names some.
func (v *view) asked(c *routes.Case) []Session {
	if c.Tuning.Peers == nil {
		return v.sessions
	}
	return slices.DeleteFunc(slices.Clone(v.sessions), func(s Session) bool { return !slices.Contains(c.Tuning.Peers, s.Peer) })
}

// reach reports whether some BGPPeer gives a node a session that the Case's CIDR
// can go to.
func (v *view) reach(n *routes.Node, c *routes.Case) bool {
	return slices.ContainsFunc(v.s.Peers, func(p Peer) bool {
		asked := c.Tuning.Peers == nil || slices.Contains(c.Tuning.Peers, p.Name)
		return asked && slices.Contains(p.Families, FamilyOf(c.Prefix)) && p.Nodes.Matches(n.Labels)
	})
}

// nextHop gives the next hop that an export rule must set, if any.
func (v *view) nextHop(c *routes.Case, s Session, p netip.Prefix) (netip.Addr, string) {
	if problem := ownAddress(c, s, p); problem != "" {
		return netip.Addr{}, problem
	}
	if c.Tuning.NextHop(p).IsValid() && slices.Contains(s.Families, FamilyOf(p)) {
		return netip.Addr{}, ""
	}
	return crossFamilyNextHop(s, v.node, p)
}

// ownAddress says that the neighbour would refuse the prefix, for the next hop is
// its own address, or "".
func ownAddress(c *routes.Case, s Session, p netip.Prefix) string {
	if explicit := c.Tuning.NextHop(p); !explicit.IsValid() || explicit != s.Address.WithZone("") {
		return ""
	}
	return fmt.Sprintf("BGPPeer %s: annotation %s is the neighbour's own address, which it would refuse (RFC 4271 section 5.1.3)", s.Peer, routes.AnnotationNextHop)
}

// announce adds what a Case that passed every question gives to the plan.
func (v *view) announce(plan *Plan, c *routes.Case) {
	to, _ := v.reached(c)
	role := c.Role()
	for _, p := range c.Prefixes() {
		advert := Advert{
			Prefix: p, Subnet: c.Subnet.Name, NextHop: c.Tuning.NextHop(p), Peers: names(to), Role: role,
			Communities: c.Tuning.Communities, LargeCommunities: c.Tuning.LargeCommunities,
			MED: c.Tuning.MED, LocalPref: c.Tuning.LocalPref,
			Draining: c.Gently(), class: classOf(c, role, p), cidr: c.Prefix,
		}
		if c.Tuning.ASPathPrepend != nil {
			advert.ASPathPrepend = *c.Tuning.ASPathPrepend
		}
		plan.Adverts = append(plan.Adverts, advert)
		for _, s := range to {
			hop, _ := v.nextHop(c, s, p)
			plan.exports = append(plan.exports, Export{advert.class, s.Peer, attributes(c, s, role, hop)})
		}
	}
	// That some sessions are of the other family is how a node with an IPv4 and an
	// IPv6 peer is made: no news while there is one that carries the prefix.
	for _, s := range v.asked(c) {
		if problem := ownAddress(c, s, c.Prefix); problem != "" {
			plan.Warnings = append(plan.Warnings, Warning{c.Subnet.Name, routes.PeerSkipped, problem})
		}
	}
	plan.Warnings = append(plan.Warnings, v.subnetWarnings(c, role)...)
}

func names(sessions []Session) []string {
	out := make([]string, 0, len(sessions))
	for _, s := range sessions {
		out = append(out, s.Peer)
	}
	return out
}

// sort brings every list into its order and removes repetitions (a dual-stack
// Subnet warns once).
func (p *Plan) sort() {
	slices.SortFunc(p.Adverts, func(a, b Advert) int {
		return cmp.Or(a.Prefix.Compare(b.Prefix), strings.Compare(a.Subnet, b.Subnet))
	})
	slices.SortFunc(p.Withheld, func(a, b Withheld) int {
		return cmp.Or(comparePrefixText(a.Prefix, b.Prefix), strings.Compare(a.Subnet, b.Subnet))
	})
	p.Warnings = routes.SortedSet(p.Warnings, func(a, b Warning) int {
		return cmp.Or(strings.Compare(a.Subnet, b.Subnet), strings.Compare(string(a.Reason), string(b.Reason)), strings.Compare(a.Detail, b.Detail))
	})
	slices.SortFunc(p.Forwards, func(a, b Forward) int {
		return cmp.Or(a.Prefix.Compare(b.Prefix), strings.Compare(a.Subnet, b.Subnet))
	})
	slices.SortFunc(p.exports, compareExports)
	p.exports = slices.CompactFunc(p.exports, func(a, b Export) bool { return compareExports(a, b) == 0 })
}

func compareExports(a, b Export) int {
	return cmp.Or(cmp.Compare(a.Class, b.Class), strings.Compare(a.Peer, b.Peer))
}

// comparePrefixText orders prefixes as prefixes, and what does not parse as
// text after them.
func comparePrefixText(a, b string) int {
	pa, errA := netip.ParsePrefix(a)
	pb, errB := netip.ParsePrefix(b)
	switch {
	case errA == nil && errB == nil:
		return pa.Compare(pb)
	case errA == nil:
		return -1
	case errB == nil:
		return 1
	}
	return strings.Compare(a, b)
}
