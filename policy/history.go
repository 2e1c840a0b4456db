package policy

import (
	"slices"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// wake brings the plan's next moment forward to the first of those given.
func (p *Plan) wake(at []time.Time) {
	for _, t := range at {
		if p.Next.IsZero() || t.Before(p.Next) {
			p.Next = t
		}
	}
}

// history gives what the plan leaves to the next one.
func (v *view) history() routes.History {
	next := routes.History{
		Known: true, RouterID: v.routerID, DrainSince: v.s.DrainSince(v.node),
		Subnets: make(map[string]routes.SubnetHistory, len(v.cases)),
	}
	room := make(routes.PrefixHistories, 0, len(v.cases)) // of all Subnets, one after the other
	for i := 0; i < len(v.cases); {
		c := &v.cases[i]
		s := c.SubnetHistory()
		s.Prefixes = room[len(room):len(room):cap(room)]
		for ; i < len(v.cases) && v.cases[i].Subnet == c.Subnet; i++ {
			s.Prefixes = v.historyOf(i, s.Prefixes)
		}
		room = room[:len(room)+len(s.Prefixes)]
		s.Prefixes = slices.Clip(s.Prefixes)
		next.Subnets[c.Subnet.Name] = s
	}
	return next
}

// historyOf adds what a Case leaves to those of its Subnet.
func (v *view) historyOf(i int, prefixes routes.PrefixHistories) routes.PrefixHistories {
	c, role := &v.cases[i], routes.Role("")
	if c.CIDRErr != nil {
		return prefixes
	}
	if v.refused[i].check == nil {
		role = c.Role()
	}
	return prefixes.With(c.Prefix, c.Next(role))
}

// undecided reports whether a Case that is refused would pass if the node had
// announced it before, where nobody knows whether it had.
func (v *view) undecided(checks []routes.Check, c *routes.Case) bool {
	return !v.s.History.Known && v.wouldPass(checks, c)
}

// wouldPass reports whether checks let a Case pass that the node announces already.
func (v *view) wouldPass(checks []routes.Check, c *routes.Case) bool {
	if c.CIDRErr != nil || c.Past.Role != "" {
		return false
	}
	assumed := c.Assuming(assumedRole(c))
	return firstRefusal(checks, &assumed).check == nil
}

// assumedRole is a role in which the Case may have been announced.
func assumedRole(c *routes.Case) routes.Role {
	if c.Tuning.Mode == routes.ModePods {
		return routes.RolePod
	}
	return routes.RoleActive
}
