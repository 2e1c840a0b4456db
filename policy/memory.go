package policy

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// Memory is what a daemon keeps from one pass to the next so that a typo is not a
// withdrawal, and a newcomer takes no session away. The zero Memory knows nothing.
type Memory struct {
	// good holds what parsed last of Subnets, node of the annotations of the Node.
	good routes.ByName[routes.Good]
	node map[string]string
	// sessions holds what is in force with each neighbour.
	sessions map[netip.Addr]InForce
	// settled holds which neighbours were found.
	settled map[Search]Settled
	history routes.History
	// at is when it was made, so that no moment in it is later; zero where that is not
	// known.
	at time.Time
}

// memoryJSON is how a Memory is written, for a daemon that is started again.
type memoryJSON struct {
	Subnets map[string]map[string]string `json:"subnets,omitempty"`
	CIDRs   map[string]string            `json:"cidrs,omitempty"`
	Node    map[string]string            `json:"node,omitempty"`
	// Sessions holds what is in force with each neighbour.
	Sessions map[netip.Addr]InForce `json:"sessions,omitempty"`
	// Settled holds which neighbours were found, by where they were looked for.
	Settled map[Search]Settled `json:"settled,omitempty"`
	// History is what was announced and seen.
	History routes.History `json:"history,omitzero"`
}

// MarshalJSON writes the last good annotations and CIDRs, and the sessions in force.
func (m Memory) MarshalJSON() ([]byte, error) {
	j := memoryJSON{map[string]map[string]string{}, map[string]string{}, m.node, m.sessions, m.settled, m.history}
	for _, e := range m.good {
		if e.Value.Annotations != nil {
			j.Subnets[e.Name] = e.Value.Annotations
		}
		if e.Value.CIDRBlock != "" {
			j.CIDRs[e.Name] = e.Value.CIDRBlock
		}
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Memory) UnmarshalJSON(b []byte) error {
	var j memoryJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	good := make(map[string]routes.Good, len(j.Subnets))
	for name, block := range j.CIDRs {
		good[name] = routes.Good{CIDRBlock: block}
	}
	for name, annotations := range j.Subnets {
		good[name] = routes.Good{Annotations: annotations, CIDRBlock: j.CIDRs[name]}
	}
	*m = Memory{good: routes.ByNameOf(good), node: j.Node, sessions: j.Sessions, settled: j.Settled, history: j.History}
	return nil
}

// Subnet gives the last good annotations of a Subnet.
func (m Memory) Subnet(name string) (annotations map[string]string, ok bool) {
	good, ok := m.good.Of(name)
	return good.Annotations, ok && good.Annotations != nil
}

// Equal reports whether two memories are of the same.
func (m Memory) Equal(n Memory) bool {
	return m.good.EqualFunc(n.good, routes.Good.Equal) && maps.Equal(m.node, n.node) && maps.Equal(m.sessions, n.sessions) &&
		maps.Equal(m.settled, n.settled) && m.history.Equal(n.history)
}

// History is what was announced and seen.
func (m Memory) History() routes.History { return m.history }

// Recall gives the Snapshot of a moment (zero where time plays no part) with the last good annotations and CIDRs, the sessions in
// force, and what was announced and seen, filled in.
func (m Memory) Recall(s Snapshot, at time.Time) Snapshot {
	s.At = at
	s.LastGood, s.LastGoodNode, s.InForce, s.Settled, s.History = m.good, m.node, m.sessions, m.settled, m.history
	s.History.Known = true
	if !at.IsZero() && (m.at.IsZero() || at.Before(m.at)) {
		s.History = s.History.NotAfter(at)
	}
	s.Subnets = m.recallCIDRs(s.Subnets)
	return s
}

// recallCIDRs gives the Subnets with their last good CIDRs in the place of what does
// not parse.
func (m Memory) recallCIDRs(subnets []*routes.Subnet) []*routes.Subnet {
	own := false
	for i := range subnets {
		if subnets[i].CIDRErr == nil {
			continue
		}
		good, _ := m.good.Of(subnets[i].Name)
		sub, ok := subnets[i].KeepingCIDRs(good.CIDRBlock)
		if !ok {
			continue
		}
		if !own { // others read the list that was given
			subnets, own = slices.Clone(subnets), true
		}
		subnets[i] = sub
	}
	return subnets
}

// Remember gives the memory after the pass in which the Snapshot gave the plan.
func (m Memory) Remember(s Snapshot, p Plan) Memory {
	next := Memory{good: p.good, node: maps.Clone(m.node), sessions: map[netip.Addr]InForce{}, settled: map[Search]Settled{}, history: p.history, at: s.At}
	for _, e := range p.Sessions {
		if !e.Address.IsValid() {
			continue
		}
		next.sessions[e.Address] = InForce{e.Peer, e.LocalASN}
		if search := e.Search(); search != "" {
			next.settled[search] = e.settled()
		}
	}
	if n := s.Node(p.Node); n != nil {
		next.rememberNode(n.Annotations)
	}
	return next
}

// rememberNode keeps each node annotation that parses; one that is gone is
// forgotten.
func (m *Memory) rememberNode(annotations map[string]string) {
	if m.node == nil {
		m.node = map[string]string{}
	}
	for name, parse := range map[string]func(string) error{
		routes.AnnotationDrain:    func(v string) error { _, err := routes.ParseSwitch(v); return err },
		routes.AnnotationLocalASN: func(v string) error { _, err := routes.ParseASN(v); return err },
		routes.AnnotationRouterID: func(v string) error { _, err := routes.ParseRouterID(v); return err },
	} {
		v, ok := annotations[name]
		if !ok {
			delete(m.node, name)
		} else if parse(v) == nil {
			m.node[name] = v
		}
	}
}
