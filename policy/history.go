package policy

import (
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
	for i := range v.cases {
		c := &v.cases[i]
		s, begun := next.Subnets[c.Subnet.Name]
		if !begun {
			s = c.SubnetHistory()
		}
		if c.CIDRErr == nil {
			s.Prefixes = s.Prefixes.With(c.Prefix, c.Next(v.announcedAs(i)))
		}
		next.Subnets[c.Subnet.Name] = s
	}
	return next
}

// announcedAs gives the role in which a Case is announced, "" for not at all.
func (v *view) announcedAs(i int) routes.Role {
	if v.refused[i].check != nil {
		return ""
	}
	return v.cases[i].Role()
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
