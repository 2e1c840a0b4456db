package routes

// Scene is what all Cases of one node have in common, worked out once.
type Scene struct {
	node  *Node
	reach Reach
	// others are the Nodes by name, the Case's own among them.
	others map[string]other
	// gone is whether the Case's Node does not exist.
	gone bool
	// emptied is why the Case's Node is to be emptied of routes.
	emptied Drain
}

// other is a Node, and whether it is fit to begin with a Subnet.
type other struct {
	*Node
	fit bool
}

// NewScene looks around for a node. It is the same for all Snapshots that have the same
// Nodes, Settings and LastGoodNode. reach is nil where peers are not known.
func NewScene(s *Snapshot, node *Node, reach Reach) *Scene {
	out := &Scene{node: node, reach: reach, others: make(map[string]other, len(s.Nodes))}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		out.others[n.Name] = other{n, fit(n, s.Settings)}
	}
	_, there := out.others[node.Name]
	out.gone = !there
	out.emptied, _ = DrainOf(node, s.Settings, s.LastGoodNode) // a bad value is a warning of the plan
	return out
}

// fit reports whether a Node, by itself, could begin to announce.
func fit(n *Node, s Settings) bool {
	_, excluded := n.Labels[LabelExclude]
	drain, _ := DrainOf(n, s, nil) // a value that does not parse is not ours to judge
	return n.Usable() && n.Allocated && !excluded && !drain.On()
}
