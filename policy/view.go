package policy

import (
	"slices"

	"github.com/fairway-bgp/fairway/routes"
)

// view is some Subnets of a Snapshot, and what is found out about them before any
// question about the node. All that contend for one prefix are in it, or none.
type view struct {
	*around
	s *Snapshot
	// cases are all in question, by Subnet; byPrefix are their places in the order of
	// prefixes; refused says of each why it is not announced.
	cases    []routes.Case
	byPrefix []int
	refused  []refusal
	// candidates are those that pass every question about the Subnet alone and the leak
	// guard, by prefix.
	candidates []*routes.Case
	// carriable says of each case whether it is a candidate, or one that only a node which
	// announces it already may announce: other nodes carry its replies all the same.
	carriable []bool
	// What becomes of them has room here.
	adverts   room[Advert]
	routes    room[routes.Route]
	forwards  room[Forward]
	histories room[routes.Named[routes.SubnetHistory]]
	goods     room[routes.Named[routes.Good]]
}

// room gives small values a place in memory, some at a time.
type room[T any] []T

// mostRoom is how many are taken at a time: all of those stay while one is needed.
const mostRoom = 32

func (r *room[T]) place(v T) *T {
	if len(*r) == cap(*r) {
		*r = make(room[T], 0, min(mostRoom, 1+2*cap(*r)))
	}
	*r = append(*r, v)
	return &(*r)[len(*r)-1]
}

// viewOf looks at Subnets, which are sorted by name.
func viewOf(s *Snapshot, a *around, subnets []*routes.Subnet) *view {
	v := &view{around: a, s: s, cases: routes.Cases(&s.Snapshot, a.scene, subnets)}
	v.byPrefix = byPrefix(v.cases)
	for i := range v.cases {
		if c := &v.cases[i]; c.CIDRErr == nil {
			c.Unsafe = a.guard.unsafe(c.Prefix)
			c.Peers, c.NoPeer = v.peersOf(c)
			c.Whole = v.wholePeers(c)
		}
	}
	v.choose()
	overlaps(v.candidates)
	return v
}

// choose asks the questions about the Subnet alone, and finds the candidates.
func (v *view) choose() {
	checks := subnetChain()
	v.refused, v.carriable = make([]refusal, len(v.cases)), make([]bool, len(v.cases))
	v.candidates = make([]*routes.Case, 0, len(v.cases))
	for _, i := range v.byPrefix {
		c := &v.cases[i]
		v.refused[i] = firstRefusal(checks, c)
		if v.refused[i].check == nil {
			v.candidates = append(v.candidates, c)
		}
		v.carriable[i] = v.refused[i].check == nil || v.wouldPass(checks, c)
	}
}

// byPrefix gives the places of Cases, which are by Subnet, in the order of prefixes
// and then Subnets.
func byPrefix(cases []routes.Case) []int {
	order := make([]int, len(cases))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		if c := cases[i].Prefix.Compare(cases[j].Prefix); c != 0 {
			return c
		}
		return i - j
	})
	return order
}
