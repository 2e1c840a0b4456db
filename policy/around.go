package policy

import (
	"net/netip"
	"reflect"
	"slices"

	"github.com/fairway-bgp/fairway/routes"
)

// inputs are what the decisions on all Subnets have in common: everything of a Snapshot
// but its Subnets and what concerns single ones.
type inputs struct {
	routes.Settings
	Nodes        []routes.Node
	Peers        []Peer
	LastGoodNode map[string]string
	Vlans        map[string]string
	InForce      map[netip.Addr]InForce
	Found        map[Search]Found
	Settled      map[Search]Settled
	// Up has of the neighbours with a session those alone that are held to by it.
	Up map[netip.Addr]bool
	// History has no Subnets.
	History routes.History
	// Timed is whether there is a clock.
	Timed bool
}

func inputsOf(s *Snapshot) inputs {
	in := inputs{s.Settings, s.Nodes, s.Peers, s.LastGoodNode, s.Vlans, s.InForce, s.Found, s.Settled, s.upOnLinks(), s.History, !s.At.IsZero()}
	in.History.Subnets = nil
	return in
}

// equal looks at values; what is the same list or map in both is not walked through.
func (in *inputs) equal(o *inputs) bool { return reflect.DeepEqual(in, o) }

// around is what is worked out of them once.
type around struct {
	inputs
	node     *routes.Node
	sessions []Session
	warnings []Warning
	routerID netip.Addr
	guard    leakGuard
	scene    *routes.Scene
	// plainPeers are, by family, the peers of a Case that asks for none and gives no
	// next hop.
	plainPeers map[Family][]string
}

func lookAround(s *Snapshot, name string) *around {
	node := s.nodeOrBare(name)
	a := &around{inputs: inputsOf(s), node: node, guard: newLeakGuard(s), plainPeers: map[Family][]string{}}
	var session, router []Warning
	a.sessions, session = sessions(s, node)
	a.routerID, router = routerID(node, s.LastGoodNode, s.History.RouterID)
	a.warnings = slices.Concat(session, router, nodeWarnings(node, s), a.duplicateRouterID())
	a.scene = routes.NewScene(&s.Snapshot, node, a.reach)
	return a
}
