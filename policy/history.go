package policy

import (
	"github.com/fairway-bgp/fairway/routes"
)

// good gives what is kept of a Subnet so that a typo is not a withdrawal, nil for
// nothing. Annotations and CIDRs are kept from the first time on that the cluster can
// announce it, on this node or another (so that a typo changes neither its own routes
// nor who wins an overlap); while they do not parse the last good ones stay, and they
// are forgotten when the Subnet is no longer selected or gone.
func (v *view) good(sub *routes.Subnet, announceable bool) *routes.Named[routes.Good] {
	last := v.s.LastGood.Entry(sub.Name)
	known := last != nil && last.Value.Annotations != nil
	var next routes.Good
	switch {
	case sub.TuningErr != nil && known:
		next.Annotations = last.Value.Annotations
	case sub.TuningErr == nil && (known || announceable) && routes.Selected(sub.Annotations, v.s.Settings):
		next.Annotations = sub.Annotations
	default:
		return nil
	}
	if sub.CIDRErr == nil && sub.CIDRKept == nil {
		next.CIDRBlock = sub.CIDRBlock
	} else if last != nil {
		next.CIDRBlock = last.Value.CIDRBlock
	}
	if last != nil && last.Value.Equal(next) {
		return last
	}
	return v.goods.place(routes.Named[routes.Good]{Name: sub.Name, Value: next})
}

// history gives what the Cases of a Subnet, from one place to another, leave to the next
// plan; nil where there are none.
func (v *view) history(from, to int) *routes.Named[routes.SubnetHistory] {
	if from == to {
		return nil
	}
	name := v.cases[from].Subnet.Name
	next := v.cases[from].SubnetHistory()
	for i := from; i < to; i++ {
		if c := &v.cases[i]; c.CIDRErr == nil {
			next.Prefixes = next.Prefixes.With(c.Prefix, c.Next(v.announcedAs(i)))
		}
	}
	// That it is not known which CIDRs there were is another thing than none.
	if last := v.s.History.Subnets.Entry(name); last != nil && last.Value.Prefixes != nil && last.Value.Equal(next) {
		return last
	}
	return v.histories.place(routes.Named[routes.SubnetHistory]{Name: name, Value: next})
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
