package status

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// This file has the one definition of what is announced and of what is not well,
// which every view shares: text, page, JSON, metrics, Speaker and exit codes.
//
// A prefix is announced to a peer once it has been sent to it: the plan has it for
// that peer, the session is Established, and both ends offered its family.

// Trouble says why not everything that is planned for the peer can be sent to it, or what
// is asked for of the session and does not work; "" where nothing is in the way.
func (s Session) Trouble() string {
	switch {
	case !s.Established():
		return cmp.Or(s.LastError, "no connection yet")
	case len(s.NotOffered) > 0:
		return fmt.Sprintf("the router does not offer %[1]s, so no prefix of it is sent: activate %[1]s for this neighbor on the router, or take it out of spec.families of BGPPeer %[2]s",
			strings.Join(s.NotOffered, ", "), s.Peer)
	case s.NoHoldTime:
		return "the router asks for a hold time of 0, so that nobody would notice if it were dead; give this neighbor a hold time on the router"
	case s.OldPassword:
		return "the password was changed, and the session still runs with the old one: change it on the router too, which resets the session; the next connection has the new one"
	case s.BFD != nil:
		return s.BFD.Trouble
	}
	return ""
}

// carries reports whether prefixes of a family are sent by the session.
func (s Session) carries(f policy.Family) bool {
	return s.Established() && !slices.Contains(s.NotOffered, string(f))
}

// NotSentTo gives the peers that a prefix of the plan is for and that it has not been
// sent to.
func (s *Status) NotSentTo(a *policy.Advert) []string {
	var out []string
	for _, peer := range a.Peers {
		if !slices.ContainsFunc(s.Sessions, func(e Session) bool { return e.Peer == peer && e.carries(policy.FamilyOf(a.Prefix)) }) {
			out = append(out, peer)
		}
	}
	return out
}

// NotSent is a prefix of the plan, and the peers that it is for and that have not been
// sent it.
type NotSent struct {
	Prefix netip.Prefix `json:"prefix"`
	Subnet string       `json:"subnet"`
	Peers  []string     `json:"peers"`
}

func (s *Status) notSent() []NotSent {
	out := []NotSent{}
	for _, a := range s.Plan.Adverts {
		if peers := s.NotSentTo(a); len(peers) > 0 {
			out = append(out, NotSent{a.Prefix, a.Subnet, peers})
		}
	}
	return out
}

// Sent reports whether a prefix of the plan has been sent to some peer.
func (s *Status) Sent(a *policy.Advert) bool { return len(s.NotSentTo(a)) < len(a.Peers) }

// Announced counts the prefixes of the plan that have been sent to some peer.
func (s *Status) Announced() int {
	n := 0
	for _, of := range s.AnnouncedAs() {
		n += of
	}
	return n
}

// AnnouncedAs counts them by role.
func (s *Status) AnnouncedAs() map[routes.Role]int {
	sessions := make(map[string]*Session, len(s.Sessions))
	for i := range s.Sessions {
		sessions[s.Sessions[i].Peer] = &s.Sessions[i]
	}
	out := map[routes.Role]int{}
	for _, a := range s.Plan.Adverts {
		sent := slices.ContainsFunc(a.Peers, func(peer string) bool {
			e := sessions[peer]
			return e != nil && e.carries(policy.FamilyOf(a.Prefix))
		})
		if sent {
			out[a.Role]++
		}
	}
	return out
}

// Degraded says what is not as it should be, a line for each, the worst first; it is
// empty where everything is well. That the node drains, or that no BGPPeer selects it,
// is somebody's wish and not among it, and neither is a way to look at the daemon that
// is not served.
func (s *Status) Degraded() []string {
	out := append([]string{}, s.Waiting...)
	for _, e := range s.Sessions {
		if why := e.Trouble(); why != "" {
			out = append(out, fmt.Sprintf("session %s (%s) is %s: %s", e.Peer, e.Neighbour(), e.State, why))
		}
	}
	out = append(out, s.Speaker.Errors...)
	for _, p := range s.Source.Problems {
		out = append(out, p.Error())
	}
	for _, f := range s.Findings {
		if f.State == host.Wrong {
			out = append(out, fmt.Sprintf("host: %s %s: %s", f.Check, f.Subject, f.Got))
		}
	}
	return out
}

// State is the state in a word: ready, degraded or not ready.
func (s *Status) State() string {
	switch {
	case !s.Ready:
		return "not ready"
	case len(s.Degraded()) > 0:
		return "degraded"
	}
	return "ready"
}

// summary is the state in a few words.
func (s *Status) summary() string {
	switch degraded := len(s.Degraded()); {
	case !s.Ready:
		return "NOT READY"
	case degraded > 0:
		return "DEGRADED: " + columns.Count(degraded, "problem", "problems")
	}
	return "ready"
}
