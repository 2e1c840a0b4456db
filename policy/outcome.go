package policy

import (
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// answer is what is decided on one Case. Nobody changes one.
type answer struct {
	// adverts are what is announced of it; where there is nothing, withheld says why.
	adverts  []*Advert
	withheld *Withheld
	// forward is nil where its traffic does not concern the node.
	forward *Forward
}

// outcome is what is decided on a Subnet: its part of the plan. The zero value is of
// none. Nobody changes one.
type outcome struct {
	// answers are those on its Cases.
	answers  []answer
	warnings []Warning
	// history and good are its entries in those of the plan, nil for none.
	history *routes.Named[routes.SubnetHistory]
	good    *routes.Named[routes.Good]
	// next is when time alone may change it; zero for never.
	next time.Time
	// calm is whether the same questions get the same answers at any later time.
	calm bool
}

// outcomes decides on the Subnets of a view, in their order, and on its Cases. exports
// gets what each session makes of classes that it does not have yet.
func (v *view) outcomes(subnets []*routes.Subnet, exports exportsByClass) ([]outcome, []answer) {
	out, answers := make([]outcome, len(subnets)), make([]answer, len(v.cases))
	all, left := Chain(), nodeChain()
	from := 0
	for i, sub := range subnets {
		o, to, announceable := &out[i], from, false
		for ; to < len(v.cases) && v.cases[to].Subnet == sub; to++ {
			announceable = announceable || v.refused[to].check == nil
			o.wake(v.cases[to].Wakes())
			o.warnings = append(o.warnings, v.decide(&answers[to], to, all, left, exports)...)
		}
		o.answers, o.warnings = answers[from:to:to], sortedWarnings(o.warnings)
		o.history, o.good = v.history(from, to), v.good(sub, announceable)
		o.calm = v.calm(o, sub)
		from = to
	}
	return out, answers
}

// decide asks a Case what is left to ask.
func (v *view) decide(a *answer, i int, all, left []routes.Check, exports exportsByClass) []Warning {
	c, refused := &v.cases[i], &v.refused[i]
	if refused.check == nil {
		*refused = firstRefusal(left, c)
	}
	if v.carriable[i] && c.Lost == "" {
		a.forward = v.forward(c)
	}
	if refused.check != nil {
		a.withheld = &Withheld{c.Text(), c.Subnet.Name, refused.check.Reason, refused.detail, v.undecided(all, c)}
		return kept(c)
	}
	for _, s := range shares(c) {
		a.adverts = append(a.adverts, advertsOf(c, s)...)
		if exports[s.class] == nil {
			exports[s.class] = &classExports{exports: v.exports(c, s)}
		}
	}
	return v.subnetWarnings(c)
}

// wake brings the outcome's next moment forward to the first of those given.
func (o *outcome) wake(at []time.Time) {
	for _, t := range at {
		o.next = sooner(o.next, t)
	}
}

// sooner gives the first of two moments that is not zero, which is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// calm reports whether the outcome of a Subnet leaves nothing to the next pass that it
// did not find itself, and waits for nothing. What does not parse is not calm, for what
// counts of it comes from before.
func (v *view) calm(o *outcome, sub *routes.Subnet) bool {
	parses := sub.TuningErr == nil && sub.CIDRErr == nil && sub.CIDRKept == nil
	return parses && o.next.IsZero() && (o.history == nil || !o.history.Value.Pending()) &&
		o.history == v.s.History.Subnets.Entry(sub.Name) && o.good == v.s.LastGood.Entry(sub.Name)
}

// exportsByClass has what each session makes of the paths of a class.
type exportsByClass map[routes.Class]*classExports

type classExports struct {
	exports []Export
	// adverts counts those of the class.
	adverts int
}
