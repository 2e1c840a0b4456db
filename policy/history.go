package policy

import (
	"net/netip"
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
func (v *view) history(p *Plan) routes.History {
	type key struct {
		subnet string
		cidr   netip.Prefix
	}
	announced := make(map[key]routes.Role, len(p.Adverts))
	for _, a := range p.Adverts {
		announced[key{a.Subnet, a.cidr}] = a.Role
	}
	next := routes.History{Known: true, RouterID: v.routerID, DrainSince: v.s.DrainSince(v.node), Subnets: map[string]routes.SubnetHistory{}}
	for i := range v.cases {
		c := &v.cases[i]
		s, begun := next.Subnets[c.Subnet.Name]
		if !begun {
			s = c.SubnetHistory()
		}
		if c.CIDRErr == nil {
			s.Prefixes[c.Prefix] = c.Next(announced[key{c.Subnet.Name, c.Prefix}])
		}
		next.Subnets[c.Subnet.Name] = s
	}
	return next
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
	check, _ := firstRefusal(checks, &assumed)
	return check == nil
}

// assumedRole is a role in which the Case may have been announced.
func assumedRole(c *routes.Case) routes.Role {
	if c.Tuning.Mode == routes.ModePods {
		return routes.RolePod
	}
	return routes.RoleActive
}
