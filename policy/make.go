package policy

import (
	"cmp"
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
		Withheld: []Withheld{}, Warnings: slices.Clone(v.warnings), announceable: v.announceable,
	}
	passed := v.decide(&plan)
	plan.Adverts, plan.Forwards = make([]*Advert, 0, len(passed)), make([]Forward, 0, len(passed))
	exported := map[routes.Class]bool{}
	for _, c := range passed {
		for _, s := range v.announce(&plan, c) {
			if !exported[s.class] {
				exported[s.class] = true
				plan.exports = append(plan.exports, v.exports(c, s)...)
			}
		}
	}
	for _, c := range v.carriable {
		if c.Lost == "" {
			v.forward(&plan, c)
		}
	}
	plan.history = v.history()
	plan.sort()
	return plan
}

// decide asks each Case what is left to ask, withholds those that are refused and
// gives the others.
func (v *view) decide(plan *Plan) (passed []*routes.Case) {
	all, left := Chain(), nodeChain()
	passed = make([]*routes.Case, 0, len(v.candidates))
	for _, i := range v.byPrefix {
		c, refused := &v.cases[i], &v.refused[i]
		plan.wake(c.Wakes())
		if refused.check == nil {
			*refused = firstRefusal(left, c)
		}
		if refused.check == nil {
			passed = append(passed, c)
			continue
		}
		plan.Withheld = append(plan.Withheld, Withheld{c.Text(), c.Subnet.Name, refused.check.Reason, refused.detail, v.undecided(all, c)})
		plan.Warnings = append(plan.Warnings, kept(c)...)
	}
	return passed
}

// Chain is every question, in the order in which they are asked. The first that
// refuses gives the reason.
func Chain() []routes.Check { return slices.Concat(subnetChain(), nodeChain()) }

// subnetChain are the questions about the Subnet alone and the leak guard.
func subnetChain() []routes.Check { return append(routes.SubnetChecks(), unsafePrefix()) }

// nodeChain are the questions after those: about other Subnets, and the node.
func nodeChain() []routes.Check {
	return slices.Concat([]routes.Check{overlap()}, routes.NodeChecks(), []routes.Check{noPeer()}, routes.LiveChecks())
}

// refusal is the first question that refuses a Case; check is nil where none does.
type refusal struct {
	check  *routes.Check
	detail string
}

func firstRefusal(checks []routes.Check, c *routes.Case) refusal {
	for i := range checks {
		if detail := checks[i].Refuse(c); detail != "" {
			return refusal{&checks[i], detail}
		}
	}
	return refusal{}
}

// announce adds what a Case that passed every question gives to the plan, and gives
// its shares.
func (v *view) announce(plan *Plan, c *routes.Case) []share {
	all := shares(c)
	for _, s := range all {
		for _, p := range s.prefixes {
			plan.Adverts = append(plan.Adverts, advertOf(c, s, p))
		}
	}
	plan.Warnings = append(plan.Warnings, v.subnetWarnings(c)...)
	return all
}

func advertOf(c *routes.Case, s share, p netip.Prefix) *Advert {
	hop := c.Tuning.NextHop(p)
	advert := &Advert{
		Prefix: p, Subnet: c.Subnet.Name, NextHop: hop, Peers: s.peers, Role: c.Role(),
		Communities: c.Tuning.Communities, LargeCommunities: c.Tuning.LargeCommunities,
		MED: c.Tuning.MED, LocalPref: c.Tuning.LocalPref,
		Draining: c.Gently(), route: &routes.Route{Prefix: p, Path: routes.Path{NextHop: hop, Class: s.class}},
	}
	if c.Tuning.ASPathPrepend != nil {
		advert.ASPathPrepend = *c.Tuning.ASPathPrepend
	}
	return advert
}

// exports gives what each session makes of the paths of a Case's share.
func (v *view) exports(c *routes.Case, of share) []Export {
	out := make([]Export, 0, len(of.peers))
	for i := range v.sessions {
		if s := &v.sessions[i]; slices.Contains(of.peers, s.Peer) {
			hop, _ := v.nextHop(c, s)
			out = append(out, Export{of.class, s.Peer, attributes(c, s, hop)})
		}
	}
	return out
}

// sort brings every list into its order and removes repetitions (a dual-stack
// Subnet warns once).
func (p *Plan) sort() {
	slices.SortFunc(p.Adverts, func(a, b *Advert) int {
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
	slices.SortFunc(p.exports, func(a, b Export) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), strings.Compare(a.Peer, b.Peer))
	})
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
