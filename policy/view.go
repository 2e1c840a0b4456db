package policy

import (
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/routes"
)

// view is what Make works out once before it asks any question about the node.
type view struct {
	s    *Snapshot
	node *routes.Node
	// cases are all in question, by Subnet; byPrefix are their places in the order of
	// the plan's lists; refused says of each why it is not announced.
	cases    []routes.Case
	byPrefix []int
	refused  []refusal
	// candidates are those that pass every question about the Subnet alone and the leak
	// guard; carriable are those, and the ones that only a node which announces them
	// already may announce: other nodes carry their replies all the same.
	candidates, carriable []*routes.Case
	sessions              []Session
	warnings              []Warning
	routerID              netip.Addr
	// plainPeers are, by family, the peers of a Case that asks for none and gives no
	// next hop.
	plainPeers map[Family][]string
	// announceable are the names of the Subnets that have a candidate, sorted.
	announceable []string
}

func newView(s Snapshot, name string) *view {
	node := s.nodeOrBare(name)
	v := &view{s: &s, node: node, plainPeers: map[Family][]string{}}
	v.sessions, v.warnings = sessions(&s, node)
	id, warnings := routerID(node, s.LastGoodNode, s.History.RouterID)
	v.routerID = id
	v.warnings = slices.Concat(v.warnings, warnings, nodeWarnings(node, &s), v.duplicateRouterID())
	v.cases = routes.Cases(&s.Snapshot, node, v.reach)
	v.byPrefix = byPrefix(v.cases)
	guard := newLeakGuard(&s)
	for i := range v.cases {
		if c := &v.cases[i]; c.CIDRErr == nil {
			c.Unsafe = guard.unsafe(c.Prefix)
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
	v.refused = make([]refusal, len(v.cases))
	v.candidates = make([]*routes.Case, 0, len(v.cases))
	v.carriable = make([]*routes.Case, 0, len(v.cases))
	for _, i := range v.byPrefix {
		c := &v.cases[i]
		v.refused[i] = firstRefusal(checks, c)
		if v.refused[i].check == nil {
			v.candidates, v.carriable = append(v.candidates, c), append(v.carriable, c)
		} else if v.wouldPass(checks, c) {
			v.carriable = append(v.carriable, c)
		}
	}
	for i := range v.cases {
		if v.refused[i].check == nil {
			v.announceable = append(v.announceable, v.cases[i].Subnet.Name)
		}
	}
	v.announceable = slices.Compact(v.announceable) // Cases are by Subnet
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
