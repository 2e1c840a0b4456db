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
func Make(s Snapshot, node string) Plan { return NewPlanner(node).Make(s) }

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

// advertsOf gives what a share of a Case is announced as. Of those before, which are by
// prefix, it takes the ones that are the same: of many Pods one changes at a time.
func advertsOf(c *routes.Case, s share, before []*Advert) []*Advert {
	hop := c.Tuning.NextHop(c.Prefix)
	route := routes.Route{Path: routes.Path{NextHop: hop, Class: s.class}}
	like := Advert{
		Subnet: c.Subnet.Name, NextHop: hop, Peers: s.peers, Role: c.Role(),
		Communities: c.Tuning.Communities, LargeCommunities: c.Tuning.LargeCommunities,
		MED: c.Tuning.MED, LocalPref: c.Tuning.LocalPref,
		Draining: c.Gently(), route: &route,
	}
	if c.Tuning.ASPathPrepend != nil {
		like.ASPathPrepend = *c.Tuning.ASPathPrepend
	}
	out := make([]*Advert, len(s.prefixes))
	for i, p := range s.prefixes {
		like.Prefix, route.Prefix = p, p
		for len(before) > 0 && before[0].Prefix.Compare(p) < 0 {
			before = before[1:]
		}
		if len(before) > 0 && before[0].same(&like) {
			out[i], before = before[0], before[1:]
			continue
		}
		both := &struct { // one piece of memory
			advert Advert
			route  routes.Route
		}{like, route}
		both.advert.route, out[i] = &both.route, &both.advert
	}
	return out
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

// The orders of a plan's lists.

func compareAdverts(a, b *Advert) int {
	return cmp.Or(a.Prefix.Compare(b.Prefix), strings.Compare(a.Subnet, b.Subnet))
}

func compareRoutes(a, b *routes.Route) int { return a.Prefix.Compare(b.Prefix) }

func compareWithheld(a, b Withheld) int {
	return cmp.Or(comparePrefixText(a.Prefix, b.Prefix), strings.Compare(a.Subnet, b.Subnet))
}

func compareWarnings(a, b Warning) int {
	return cmp.Or(strings.Compare(a.Subnet, b.Subnet), strings.Compare(string(a.Reason), string(b.Reason)), strings.Compare(a.Detail, b.Detail))
}

// sortedWarnings removes repetitions, too: a dual-stack Subnet warns once.
func sortedWarnings(list []Warning) []Warning {
	if len(list) == 0 {
		return nil
	}
	return routes.SortedSet(list, compareWarnings)
}

func compareForwards(a, b Forward) int {
	return cmp.Or(a.Prefix.Compare(b.Prefix), strings.Compare(a.Subnet, b.Subnet))
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
