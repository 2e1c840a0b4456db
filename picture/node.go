package picture

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// OfNode arranges what one node has published.
func OfNode(s *status.Status) Picture { return ofNode(s, listOf(s)) }

// OfNodeAfter gives OfNode of a Status, with the lists of the Picture that was made of the
// one before where they are the same: those of a large cluster are long, and change seldom.
func OfNodeAfter(before *status.Status, shown *Picture, s *status.Status) Picture {
	if !sameList(before, s) {
		return OfNode(s)
	}
	return ofNode(s, shown.Lists[0])
}

// sameList reports whether two Statuses have the same List.
func sameList(a, b *status.Status) bool {
	return policy.SameAdverts(a.Plan.Adverts, b.Plan.Adverts) && slices.Equal(a.Plan.Withheld, b.Plan.Withheld) &&
		slices.EqualFunc(a.Sessions, b.Sessions, func(e, f status.Session) bool {
			return e.Peer == f.Peer && e.Established() == f.Established() && slices.Equal(e.NotOffered, f.NotOffered)
		})
}

func ofNode(s *status.Status, l List) Picture {
	n := Node{
		Name: s.Node, State: s.State(), Problems: problemsOf(s), Drain: s.DrainText(), ASN: s.Speaker.ASN,
		Sessions: []Session{}, Unchecked: !s.Audited,
	}
	if s.Speaker.RouterID.IsValid() {
		n.RouterID = s.Speaker.RouterID.String()
	}
	for _, e := range s.Sessions {
		n.Sessions = append(n.Sessions, sessionOf(e))
	}
	n.Findings, n.Passed = findingsOf(s.Findings)
	n.Level = levelOf(n)
	p := Picture{
		Name: s.Node, Version: s.Version, Started: s.Started, At: s.At,
		Nodes: []Node{n}, Lists: []List{l}, Source: sourceOf(s),
		Warnings: append([]policy.Warning{}, s.Plan.Warnings...),
	}
	p.finish()
	return p
}

// problemsOf is what is not as it should be, with one line for what is wrong alike about
// several networks.
func problemsOf(s *status.Status) []string {
	besides := *s
	besides.Findings = nil
	out := besides.Degraded()
	for _, g := range host.Group(s.Findings) {
		if g.State == host.Wrong {
			out = append(out, fmt.Sprintf("host: %s %s: %s", g.Check, g.Subject(), g.Got))
		}
	}
	return out
}

// finish adds what follows from the rest.
func (p *Picture) finish() {
	p.Routers = routersOf(p.Nodes)
	p.Remedies = map[string]string{}
	for i := range p.Lists {
		for reason := range p.Lists[i].Reasons {
			if p.Remedies[reason] == "" {
				p.Remedies[reason] = policy.Remedy(reason)
			}
		}
	}
	p.Verdict = judge(p)
}

func sessionOf(e status.Session) Session {
	out := Session{
		Peer: e.Peer, Neighbour: e.Neighbour(), ASN: e.PeerASN, State: e.State, Up: e.Established(),
		Since: seconds(e.Since), Trouble: e.Trouble(), From: e.LocalAddress, Sent: int64(e.Advertised), Planned: int64(e.Planned), Flaps: int64(e.Flaps),
	}
	out.Level = sessionLevel(out.Up, out.Trouble)
	if !out.Up {
		out.TroubleAt = seconds(e.LastErrorAt)
	}
	if r := e.LastReset; r != nil {
		out.ResetAt, out.Reset = seconds(r.At), r.String()
	}
	if e.BFD != nil {
		out.BFD = e.BFD.Text()
	}
	if e.Received > 0 {
		out.Note = "the router sends prefixes: none is taken or kept; have it send this node none (an export filter)"
	}
	return out
}

// seconds leaves out what nobody reads.
func seconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

func listOf(s *status.Status) List {
	out := List{
		Announced: make([]Announced, 0, len(s.Plan.Adverts)), Withheld: make([]Withheld, 0, len(s.Plan.Withheld)),
		Planned: int64(len(s.Plan.Adverts)), Sent: int64(s.Announced()), Withhold: int64(len(s.Plan.Withheld)), Reasons: map[string]int64{},
	}
	for _, a := range s.Plan.Adverts {
		unsent := s.NotSentTo(a)
		out.Announced = append(out.Announced, Announced{
			Prefix: a.Prefix.String(), Subnet: a.Subnet, Role: string(a.Role), NextHop: a.NextHopText(),
			To: a.Peers, NotSentTo: unsent, Sent: len(unsent) < len(a.Peers), Draining: a.Draining,
		})
	}
	for _, w := range s.Plan.Withheld {
		out.Reasons[string(w.Reason)]++
		out.Withheld = append(out.Withheld, withheldOf(w.Prefix, w.Subnet, string(w.Reason), w.Detail))
	}
	return out
}

func withheldOf(prefix, subnet, reason, detail string) Withheld {
	return Withheld{prefix, subnet, reason, detail, slices.Contains(account.KnownToNodeAlone(), routes.Reason(reason))}
}

// findingsOf gives those that are not ok, the wrong ones first, and counts the others.
func findingsOf(all []host.Finding) (out []Finding, passed map[string]int) {
	passed = map[string]int{}
	for _, state := range []host.State{host.Wrong, host.Unknown} {
		for _, g := range host.Group(all) {
			if g.State == state {
				out = append(out, findingOf(g))
			}
		}
	}
	for _, f := range all {
		if f.State == host.OK {
			passed[f.Check]++
		}
	}
	return out, passed
}

func findingOf(g host.Alike) Finding {
	out := Finding{
		Check: g.Check, Subject: g.Subject(), Level: findingLevel(string(g.State)),
		Got: g.Got, Want: g.Want, Why: g.Why, Fixes: g.Fixes,
	}
	if len(g.Subjects) > 1 {
		out.Subjects = g.Subjects[:min(len(g.Subjects), mostSubjects)]
	}
	return out
}

// mostSubjects bounds the networks that are named of a finding.
const mostSubjects = 200

// findingLevel is that of a finding that is not ok.
func findingLevel(state string) Level {
	if state == string(host.Wrong) {
		return Bad
	}
	return Unknown
}

func sourceOf(st *status.Status) Source {
	s := st.Source
	out := Source{
		Text: fmt.Sprintf("%s %s: %s, %s, %s", s.Kind, strings.Join(s.From, " "), columns.Count(s.Subnets, "Subnet", "Subnets"),
			columns.Count(s.Nodes, "Node", "Nodes"), columns.Count(s.Peers, "BGPPeer", "BGPPeers")),
		Explain:    "kubectl fairway why SUBNET --node " + columns.Quote(st.Node),
		StaleSince: seconds(s.StaleSince), Problems: append(append([]string{}, s.Texts(true)...), s.Texts(false)...),
	}
	if s.Kind == "files" {
		out.Explain = "fairway why SUBNET --node " + columns.Quote(st.Node)
		for _, path := range s.From {
			out.Explain += " -f " + columns.Quote(path)
		}
	}
	if len(s.Ignored) > 0 {
		out.Text += "; ignored: " + strings.Join(s.Ignored, ", ")
	}
	return out
}

// routersOf gathers the neighbours of all nodes, by BGPPeer in the order of first sight.
func routersOf(nodes []Node) []Router {
	out := []Router{}
	at := map[string]int{}
	for i := range nodes {
		for _, s := range nodes[i].Sessions {
			k, known := at[s.Peer]
			if !known {
				k = len(out)
				at[s.Peer] = k
				out = append(out, Router{Peer: s.Peer, Neighbour: s.Neighbour})
			}
			out[k].add(s, nodes[i].Silent)
		}
	}
	return out
}

// add counts a session. What a silent node said last counts as no session that is up.
func (r *Router) add(s Session, silent bool) {
	r.Sessions++
	if s.Up && !silent {
		r.Up++
	}
	if r.Neighbour != s.Neighbour {
		r.Neighbour = ""
	}
	r.ASN = max(r.ASN, s.ASN)
}
