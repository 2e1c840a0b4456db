package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/routes"
)

// Hanging is a CIDR that one node alone announces, and that no other would
// announce if that node were dead.
type Hanging struct {
	Place
	Node string `json:"node"`
}

// OnOneNode gives what hangs on one node, by node, Subnet and prefix. plans are
// those of the nodes that are alive, of the moment of the Snapshot. A centralized
// Subnet with a second gateway that is Ready does not hang on its active one. Mode
// pods is not asked about: a Pod's route ends with the Pod.
func OnOneNode(s Snapshot, plans []Plan) []Hanging {
	plans = settled(s, plans)
	alone, arenas := alonePlaces(s, plans), arenasOf(s.Subnets)
	out := []Hanging{}
	for _, p := range plans {
		if places := alone[p.Node]; len(places) > 0 {
			out = append(out, hangingOn(p.Node, places, arenas.only(s, places), plans)...)
		}
	}
	slices.SortFunc(out, func(a, b Hanging) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.Subnet, b.Subnet), a.Prefix.Compare(b.Prefix))
	})
	return out
}

// alonePlaces gives by node what it is the only one to announce.
func alonePlaces(s Snapshot, plans []Plan) map[string][]Place {
	cidrs, out := cidrsOf(s), map[string][]Place{}
	for at, by := range announcements(plans) {
		if len(by) == 1 && by[0].Role != routes.RolePod {
			out[by[0].Node] = append(out[by[0].Node], cidrs.of(at))
		}
	}
	return out
}

// arenas says where Subnets contend for prefixes: CIDRs that overlap, one by one or
// by a wider one over both, are in one arena. The numbers of a Subnet's arenas are by
// its name.
type arenas map[string][]int

func arenasOf(subnets []*routes.Subnet) arenas {
	type holding struct {
		prefix netip.Prefix
		subnet string
	}
	var all []holding
	for _, sub := range subnets {
		for _, cidr := range sub.CIDRs {
			all = append(all, holding{cidr, sub.Name})
		}
	}
	slices.SortFunc(all, func(a, b holding) int { return a.prefix.Compare(b.prefix) })
	out, n := arenas{}, 0
	for i, widest := 0, 0; i < len(all); i++ {
		if !all[widest].prefix.Overlaps(all[i].prefix) {
			widest, n = i, n+1
		}
		out[all[i].subnet] = append(out[all[i].subnet], n)
	}
	return out
}

// only gives the Snapshot without the Subnets that have no part in who announces
// those places. The rivals of a Subnet have one: whom the loss of a node takes out of
// an overlap, another may follow.
func (a arenas) only(s Snapshot, places []Place) Snapshot {
	asked, in := map[string]bool{}, map[int]bool{}
	for _, at := range places {
		asked[at.Subnet] = true
		for _, n := range a[at.Subnet] {
			in[n] = true
		}
	}
	s.Subnets = slices.DeleteFunc(slices.Clone(s.Subnets), func(sub *routes.Subnet) bool {
		return !asked[sub.Name] && !slices.ContainsFunc(a[sub.Name], func(n int) bool { return in[n] })
	})
	return s
}

// hangingOn gives those places that no other node announces once the node is dead.
func hangingOn(node string, places []Place, s Snapshot, plans []Plan) []Hanging {
	then, _ := s.without(Absence{Nodes: []string{node}})
	left := map[Place]bool{}
	for _, at := range places {
		left[at] = true
	}
	for _, p := range plans {
		if p.Node == node || len(left) == 0 {
			continue
		}
		for _, other := range settled(then, afterwards(then, []Plan{p}, nil)) {
			for _, a := range other.Adverts {
				delete(left, Place{a.Subnet, a.Prefix})
			}
		}
	}
	out := make([]Hanging, 0, len(left))
	for at := range left {
		out = append(out, Hanging{at, node})
	}
	return out
}
