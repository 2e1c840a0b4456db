package account

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// Unserved is a Node that shall have sessions, and where no daemon has ever run.
type Unserved struct {
	Node string
	// Peers are the BGPPeers that select it.
	Peers []string
}

// Text says what is missing, and what to change.
func (u Unserved) Text() string {
	return fmt.Sprintf("no daemon: fairway does not run there, and BGPPeer %s selects this Node; run it there, or narrow spec.nodeSelector",
		columns.First(mostNamed, u.Peers))
}

// UnservedBy gives the Nodes that have a session by the plan and no Speaker, sorted as
// the Nodes are. One that somebody keeps from announcing, by its label or a drain, is
// none.
func UnservedBy(s policy.Snapshot, speakers []v1alpha1.Speaker) []Unserved {
	var out []Unserved
	for i := range s.Nodes {
		n := &s.Nodes[i]
		_, excluded := n.Labels[routes.LabelExclude]
		drain, _ := routes.DrainOf(n, s.Settings, nil) // a value that does not parse is not ours to judge
		if excluded || drain.On() || slices.ContainsFunc(speakers, func(s v1alpha1.Speaker) bool { return s.Name == n.Name }) {
			continue
		}
		u := Unserved{Node: n.Name}
		for _, e := range policy.SessionsOf(s, n.Name) {
			u.Peers = append(u.Peers, e.Peer)
		}
		if len(u.Peers) > 0 {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b Unserved) int { return strings.Compare(a.Node, b.Node) })
	return out
}
