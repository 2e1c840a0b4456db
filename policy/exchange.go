package policy

import (
	"slices"

	"github.com/fairway-bgp/fairway/routes"
)

// swap is what goes out of a sorted list and what comes in.
type swap[T any] struct{ out, in []T }

// replace notes one entry in the place of another; nil is none.
func replace[T any](x *swap[*T], was, is *T) {
	if was != nil && was != is {
		x.out = append(x.out, was)
	}
	if is != nil && was != is {
		x.in = append(x.in, is)
	}
}

// replaceValue is replace in a list of values.
func replaceValue[T comparable](x *swap[T], was, is *T) {
	same := samePointed(was, is)
	if was != nil && !same {
		x.out = append(x.out, *was)
	}
	if is != nil && !same {
		x.in = append(x.in, *is)
	}
}

// apply gives the list after the swap: the same one where nothing changes, else another.
func (x swap[T]) apply(list []T, compare func(a, b T) int) []T {
	if len(x.out)+len(x.in) == 0 {
		return list
	}
	out, in := x.out, x.in
	slices.SortFunc(in, compare)
	if len(list) == len(out) && len(in) > 0 {
		return slices.Clip(in)
	}
	next := make([]T, 0, len(list)-len(out)+len(in))
	slices.SortFunc(out, compare)
	for len(out)+len(in) > 0 {
		comes := len(out) == 0 || len(in) > 0 && compare(in[0], out[0]) < 0
		from := &out
		if comes {
			from = &in
		}
		at := (*from)[0]
		*from = (*from)[1:]
		i, _ := slices.BinarySearchFunc(list, at, compare)
		next, list = append(next, list[:i]...), list[i:]
		if comes {
			next = append(next, at)
		} else {
			list = list[1:]
		}
	}
	return append(next, list...)
}

// exchange is what goes out of the lists of a plan and what comes in.
type exchange struct {
	adverts  swap[*Advert]
	withheld swap[Withheld]
	forwards swap[Forward]
	warnings swap[Warning]
	history  swap[*routes.Named[routes.SubnetHistory]]
	good     swap[*routes.Named[routes.Good]]
}

// exchangeFor has room for what answers bring in.
func exchangeFor(answers []answer) exchange {
	var adverts, withheld, forwards int
	for i := range answers {
		a := &answers[i]
		adverts += len(a.adverts)
		if a.withheld != nil {
			withheld++
		}
		if a.forward != nil {
			forwards++
		}
	}
	return exchange{
		adverts:  swap[*Advert]{in: make([]*Advert, 0, adverts)},
		withheld: swap[Withheld]{in: make([]Withheld, 0, withheld)},
		forwards: swap[Forward]{in: make([]Forward, 0, forwards)},
	}
}

// answer notes one answer in the place of another, of which it keeps the adverts that
// are the same. Both have them by prefix.
func (x *exchange) answer(was, is *answer) {
	before := was.adverts
	for i, a := range is.adverts {
		if len(before) > 0 && before[0] == a {
			before = before[1:]
			continue
		}
		for len(before) > 0 && compareAdverts(before[0], a) < 0 {
			x.adverts.out, before = append(x.adverts.out, before[0]), before[1:]
		}
		switch {
		case len(before) == 0 || compareAdverts(before[0], a) > 0:
			x.adverts.in = append(x.adverts.in, a)
		case before[0].same(a):
			is.adverts[i], before = before[0], before[1:]
		default:
			x.adverts.out, x.adverts.in, before = append(x.adverts.out, before[0]), append(x.adverts.in, a), before[1:]
		}
	}
	x.adverts.out = append(x.adverts.out, before...)
	replaceValue(&x.withheld, was.withheld, is.withheld)
	replaceValue(&x.forwards, was.forward, is.forward)
}

// outcome notes one outcome in the place of another, without the answers that both have
// of a Case.
func (x *exchange) outcome(was, is *outcome) {
	if !slices.Equal(was.warnings, is.warnings) {
		x.warnings.out, x.warnings.in = append(x.warnings.out, was.warnings...), append(x.warnings.in, is.warnings...)
	}
	replace(&x.history, was.history, is.history)
	replace(&x.good, was.good, is.good)
	for k := len(is.answers); k < len(was.answers); k++ {
		x.answer(&was.answers[k], &answer{})
	}
}

// routes gives what goes out of the RIB and comes in.
func (x *exchange) routes() swap[*routes.Route] {
	of := swap[*routes.Route]{in: make([]*routes.Route, 0, len(x.adverts.in))}
	for _, a := range x.adverts.out {
		of.out = append(of.out, a.route)
	}
	for _, a := range x.adverts.in {
		of.in = append(of.in, a.route)
	}
	return of
}

// exports gives what goes out of the exports and comes in, by how many adverts of their
// class there are.
func (x *exchange) exports(of exportsByClass) swap[Export] {
	var changes swap[Export]
	for _, a := range x.adverts.in {
		class := of[a.route.Class]
		if class.adverts == 0 {
			changes.in = append(changes.in, class.exports...)
		}
		class.adverts++
	}
	for _, a := range x.adverts.out {
		class := of[a.route.Class]
		if class.adverts--; class.adverts == 0 {
			changes.out = append(changes.out, class.exports...)
			delete(of, a.route.Class)
		}
	}
	return changes
}

// apply gives the plan after the exchange, which shares with the one before what stays.
func (x *exchange) apply(p Plan, exports exportsByClass) Plan {
	p.Adverts = x.adverts.apply(p.Adverts, compareAdverts)
	p.rib = x.routes().apply(p.rib, compareRoutes)
	p.Withheld = x.withheld.apply(p.Withheld, compareWithheld)
	p.Warnings = x.warnings.apply(p.Warnings, compareWarnings)
	p.Forwards = x.forwards.apply(p.Forwards, compareForwards)
	p.exports = x.exports(exports).apply(p.exports, compareExports)
	p.history.Subnets = x.history.apply(p.history.Subnets, routes.CompareNames)
	p.good = x.good.apply(p.good, routes.CompareNames)
	return p
}
