package policy

import (
	"cmp"
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
// those of the nodes that are alive, of the moment of the Snapshot. A centralized Subnet with a second gateway
// that is Ready does not hang on its active one. Mode pods is not asked about: a
// Pod's route ends with the Pod.
func OnOneNode(s Snapshot, plans []Plan) []Hanging {
	plans = settled(s, plans)
	alone := alonePlaces(s, plans)
	out := []Hanging{}
	for _, p := range plans {
		if places := alone[p.Node]; len(places) > 0 {
			out = append(out, hangingOn(p.Node, places, s, plans)...)
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

// hangingOn gives those places that no other node announces once the node is
// dead. Only their Subnets are looked at: what they win against others, they win
// without that node too.
func hangingOn(node string, places []Place, s Snapshot, plans []Plan) []Hanging {
	then, _ := s.without(Absence{Nodes: []string{node}})
	then.Subnets = slices.DeleteFunc(then.Subnets, func(sub routes.Subnet) bool {
		return !slices.ContainsFunc(places, func(at Place) bool { return at.Subnet == sub.Name })
	})
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
