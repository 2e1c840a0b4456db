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
	subnets map[string]map[string]string
	// cidrs holds, by Subnet, the spec.cidrBlock that parsed last.
	cidrs map[string]string
	node  map[string]string
	// sessions holds what is in force with each neighbour.
	sessions map[netip.Addr]InForce
	// settled holds which neighbours were found.
	settled map[Search]Settled
	history routes.History
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
	return json.Marshal(memoryJSON{m.subnets, m.cidrs, m.node, m.sessions, m.settled, m.history})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Memory) UnmarshalJSON(b []byte) error {
	var j memoryJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*m = Memory{j.Subnets, j.CIDRs, j.Node, j.Sessions, j.Settled, j.History}
	return nil
}

// Subnet gives the last good annotations of a Subnet.
func (m Memory) Subnet(name string) (annotations map[string]string, ok bool) {
	annotations, ok = m.subnets[name]
	return annotations, ok
}

// Equal reports whether two memories are of the same.
func (m Memory) Equal(n Memory) bool {
	return maps.EqualFunc(m.subnets, n.subnets, maps.Equal[map[string]string, map[string]string]) &&
		maps.Equal(m.cidrs, n.cidrs) && maps.Equal(m.node, n.node) && maps.Equal(m.sessions, n.sessions) &&
		maps.Equal(m.settled, n.settled) && m.history.Equal(n.history)
}

// History is what was announced and seen.
func (m Memory) History() routes.History { return m.history }

// Recall gives the Snapshot of a moment (zero where time plays no part) with the last good annotations and CIDRs, the sessions in
// force, and what was announced and seen, filled in.
func (m Memory) Recall(s Snapshot, at time.Time) Snapshot {
	s.At = at
	s.LastGood, s.LastGoodNode, s.InForce, s.Settled, s.History = m.subnets, m.node, m.sessions, m.settled, m.history
	s.History.Known = true
	if !at.IsZero() {
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
		sub, ok := subnets[i].KeepingCIDRs(m.cidrs[subnets[i].Name])
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

// Remember gives the memory after a pass. Annotations and CIDRs of a Subnet are kept
// from the first time on that the cluster can announce it, on this node or another
// (so that a typo changes neither its own routes nor who wins an overlap); while
// they do not parse the last good ones stay, and they are forgotten when the
// Subnet is no longer selected or gone.
func (m Memory) Remember(s Snapshot, p Plan) Memory {
	next := Memory{subnets: make(map[string]map[string]string, len(m.subnets)), cidrs: make(map[string]string, len(m.cidrs)), node: maps.Clone(m.node), sessions: map[netip.Addr]InForce{}, settled: map[Search]Settled{}, history: p.history}
	for _, sub := range s.Subnets {
		good, known := m.subnets[sub.Name]
		err := sub.TuningErr
		switch {
		case err != nil && known:
			next.subnets[sub.Name] = good
		case err == nil && (known || p.canAnnounce(sub.Name)) && routes.Selected(sub.Annotations, s.Settings):
			next.subnets[sub.Name] = sub.Annotations
		}
		if _, kept := next.subnets[sub.Name]; kept {
			next.rememberCIDRs(sub, m.cidrs)
		}
	}
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

// rememberCIDRs keeps the CIDRs of a Subnet whose annotations are kept, or those that
// it had last.
func (m *Memory) rememberCIDRs(sub *routes.Subnet, last map[string]string) {
	if sub.CIDRErr == nil && sub.CIDRKept == nil {
		m.cidrs[sub.Name] = sub.CIDRBlock
	} else if block, ok := last[sub.Name]; ok {
		m.cidrs[sub.Name] = block
	}
}

// canAnnounce reports whether some node could announce a Subnet.
func (p *Plan) canAnnounce(subnet string) bool {
	_, can := slices.BinarySearch(p.announceable, subnet)
	return can
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
