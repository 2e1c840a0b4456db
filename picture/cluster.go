package picture

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/status"
)

// Cluster is what is known of a cluster.
type Cluster struct {
	// Server is the API server's address, Version that of who asks it.
	Server, Version string
	// Started is since when it is asked, and At when that was so.
	Started, At time.Time
	Rows        []account.Row
	// Peers is how many BGPPeers there are.
	Peers int
	// Problems say what cannot be read, and Unread what may not be.
	Problems, Unread []string
	// StaleSince is since when the Speakers are not in step; zero while they are.
	StaleSince time.Time
}

// OfCluster arranges what all nodes say of themselves.
func OfCluster(c Cluster) Picture {
	p := Picture{
		Whole: true, Name: c.Server, Version: c.Version, Started: c.Started, At: c.At,
		Nodes: make([]Node, 0, len(c.Rows)), Lists: []List{}, Warnings: []policy.Warning{},
		Source: Source{
			Text:    strings.Join(append([]string{"Speakers of " + c.Server + ": " + columns.Count(len(c.Rows), "node", "nodes") + ", " + columns.Count(c.Peers, "BGPPeer", "BGPPeers")}, c.Unread...), "; "),
			Explain: "kubectl fairway why SUBNET", StaleSince: seconds(c.StaleSince), Problems: append([]string{}, c.Problems...),
		},
	}
	known := map[string]int{}
	for i := range c.Rows {
		n := nodeOf(&c.Rows[i])
		n.List = p.shared(listOfSpeaker(&c.Rows[i].Status), known)
		p.Nodes = append(p.Nodes, n)
	}
	p.finish()
	return p
}

// shared gives the place of a list among the Picture's, where equal ones are one.
func (p *Picture) shared(l List, known map[string]int) int {
	key, err := json.Marshal(l)
	i, ok := known[string(key)]
	if ok && err == nil {
		return i
	}
	known[string(key)] = len(p.Lists)
	p.Lists = append(p.Lists, l)
	return len(p.Lists) - 1
}

func nodeOf(r *account.Row) Node {
	n := Node{
		Name: r.Name, State: r.State(), Silent: !r.Standing.Speaks(), Problems: r.Degraded, RouterID: r.Status.RouterID,
		Sessions: []Session{}, Findings: findingsOfSpeaker(r.Status.Findings),
	}
	if drain, ok := account.DrainOf(&r.Speaker); ok {
		n.Drain = drain.Text
	}
	for _, e := range r.Status.Sessions {
		n.Sessions = append(n.Sessions, sessionOfSpeaker(e))
	}
	n.Level = levelOf(n)
	return n
}

func sessionOfSpeaker(e v1alpha1.SessionStatus) Session {
	out := Session{
		Peer: e.Peer, Neighbour: e.Address, From: e.LocalAddress, ASN: uint32(e.PeerASN), State: stateText(e.State), Trouble: e.Trouble,
		Sent: e.Advertised, Planned: e.Planned, Flaps: e.Flaps, Reset: e.LastResetReason,
	}
	out.Up = status.Session{State: out.State}.Established()
	if !out.Up && out.Trouble == "" {
		out.Trouble = e.LastError
	}
	out.Level = sessionLevel(out.Up, out.Trouble)
	if e.Since != nil {
		out.Since = seconds(e.Since.Time)
	}
	if e.LastReset != nil {
		out.ResetAt = seconds(e.LastReset.Time)
	}
	if e.BFD != "" {
		out.BFD = "BFD " + e.BFD
	}
	return out
}

// stateText is a state as RFC 4271 writes it; Speakers have it in lower case.
func stateText(state string) string {
	for _, s := range []string{"Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established"} {
		if strings.EqualFold(s, state) {
			return s
		}
	}
	return state
}

func listOfSpeaker(s *v1alpha1.SpeakerStatus) List {
	out := List{
		Announced: make([]Announced, 0, len(s.Announced.First)), Withheld: make([]Withheld, 0, len(s.Withheld.First)),
		Planned: s.Announced.Count, Sent: s.Announced.Sent, Withhold: s.Withheld.Count, Reasons: s.Withheld.Reasons,
	}
	for _, a := range s.Announced.First {
		out.Announced = append(out.Announced, Announced{
			Prefix: a.Prefix, Subnet: a.Subnet, Role: a.Role, NextHop: a.NextHop, To: account.PeersOf(s.Sessions, a),
			NotSentTo: a.NotSentTo, Sent: a.Sent, Draining: s.DrainUntil != nil,
		})
	}
	for _, w := range s.Withheld.First {
		out.Withheld = append(out.Withheld, withheldOf(w.Prefix, w.Subnet, w.Reason, w.Detail))
	}
	return out
}

func findingsOfSpeaker(all []v1alpha1.FindingStatus) []Finding {
	var out []Finding
	for _, level := range []Level{Bad, Unknown} {
		for _, f := range all {
			if findingLevel(f.State) != level {
				continue
			}
			g := Finding{Check: f.Check, Subject: f.Subject, Level: level, Why: f.Why}
			if f.Fix != "" {
				g.Fixes = []string{f.Fix}
			}
			out = append(out, g)
		}
	}
	return out
}
