package policy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// Span is a length of time that depends on the moment.
type Span struct{ Least, Most time.Duration }

// String writes whole seconds: "60 to 90 s", "up to 50 s", "90 s".
func (s Span) String() string {
	least, most := s.Least.Round(time.Second)/time.Second, s.Most.Round(time.Second)/time.Second
	switch least {
	case most:
		return fmt.Sprintf("%d s", most)
	case 0:
		return fmt.Sprintf("up to %d s", most)
	}
	return fmt.Sprintf("%d to %d s", least, most)
}

// MarshalJSON writes times as text, as everywhere.
func (s Span) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Least string `json:"least"`
		Most  string `json:"most"`
	}{s.Least.String(), s.Most.String()})
}

// later gives the time until both have passed.
func (s Span) later(t Span) Span { return Span{max(s.Least, t.Least), max(s.Most, t.Most)} }

// NodeGrace is how long Kubernetes takes to call a dead machine's Node not Ready:
// kube-controller-manager's --node-monitor-grace-period, by default 40 s, and 50 s
// from Kubernetes 1.32 on. Kube-OVN's controller then needs a fraction of a second.
func NodeGrace() Span { return Span{40 * time.Second, 50 * time.Second} }

// Loss is what dead machines take from a prefix that others announce.
type Loss struct {
	// Role is that in which they announced it, never standby.
	Role routes.Role
	// Standby is whether another gateway announced it all the time.
	Standby bool
	// Replies is whether replies of the CIDR's Pods left by them.
	Replies bool
	// NextHop is the zero Addr where they announced themselves.
	NextHop netip.Addr
	// Sessions are those by which they announced it.
	Sessions []Session
}

// Term names what a fail-over waits for.
type Term string

// What a fail-over waits for: a router's hold timer, or Kubernetes' word that the
// Node is not Ready.
const (
	TermHoldTime  Term = "holdTime"
	TermNodeGrace Term = "nodeMonitorGracePeriod"
)

// Failover is how long traffic of a prefix is disturbed after machines die without
// a word, each part counted from that moment.
type Failover struct {
	Role    routes.Role
	Standby bool
	// NextHop is the zero Addr where the nodes announce themselves. A next hop that
	// moves by itself (VRRP) takes the requests along, whatever the sessions do.
	NextHop netip.Addr
	// Routers say how long each router goes on sending to the dead, sorted by peer.
	Routers []RouterLag
	// Requests is until they reach a node that is alive, Replies until they leave by
	// one; both are zero where that was never in question.
	Requests, Replies Span
	// UpTo is the longer of both, at most, and Dominant what it waits for; empty
	// where UpTo is 0.
	UpTo     time.Duration
	Dominant Term
}

// RouterLag is how long a router goes on sending to a machine that is dead.
type RouterLag struct {
	Peer string
	// HoldTime is the session's at most: the lower of both sides counts (RFC 4271
	// section 4.2). Drops is when it runs out: it counts from the last KEEPALIVE.
	HoldTime time.Duration
	Drops    Span
	// GracefulRestart is how long the router keeps the routes after the TCP
	// connection broke; 0 where it does not. A hold timer that runs out is no such
	// break: it ends the session with a NOTIFICATION, and the routes with it (RFC 4724
	// section 4; RFC 8538 would change that, and Fairway does not offer it).
	// So it counts only for a machine that boots and whose kernel resets the
	// connection before that.
	GracefulRestart time.Duration
}

// FailoverOf adds up what a fail-over takes.
func FailoverOf(l Loss) Failover {
	f := Failover{Role: l.Role, Standby: l.Standby, NextHop: l.NextHop, Routers: routerLags(l.Sessions)}
	if l.Replies {
		f.Replies = NodeGrace()
	}
	if l.Role == routes.RoleECMP {
		// With spec.gatewayNode the controller pings the gateways itself, every 5 s,
		// and may be sooner (pkg/controller/node.go).
		f.Replies.Least = 0
	}
	hold := f.holdTime()
	if !l.NextHop.IsValid() {
		f.Requests = hold
	}
	if l.Role == routes.RoleActive && !l.Standby && (!l.NextHop.IsValid() || f.Replies.Most > hold.Most) {
		// The new gateway announces when it is told that it is one.
		f.Requests = f.Requests.later(f.Replies)
	}
	f.UpTo = max(f.Requests.Most, f.Replies.Most)
	switch {
	case f.UpTo == 0:
	case f.UpTo == f.Replies.Most:
		f.Dominant = TermNodeGrace
	default:
		f.Dominant = TermHoldTime
	}
	return f
}

// routerLags gives one for each peer: its times are the same on every node.
func routerLags(sessions []Session) []RouterLag {
	out := []RouterLag{}
	for _, s := range sessions {
		lag := RouterLag{
			Peer: s.Peer, HoldTime: s.HoldTime, Drops: Span{s.HoldTime - s.KeepaliveTime, s.HoldTime},
			GracefulRestart: s.GracefulRestartTime,
		}
		if !slices.ContainsFunc(out, func(r RouterLag) bool { return r.Peer == s.Peer }) {
			out = append(out, lag)
		}
	}
	slices.SortFunc(out, func(a, b RouterLag) int { return strings.Compare(a.Peer, b.Peer) })
	return out
}

// holdTime is until every router has given the dead up.
func (f Failover) holdTime() Span {
	var until Span
	for _, r := range f.Routers {
		until = until.later(r.Drops)
	}
	return until
}

// gracefulRestart is the longest of the routers'.
func (f Failover) gracefulRestart() time.Duration {
	var longest time.Duration
	for _, r := range f.Routers {
		longest = max(longest, r.GracefulRestart)
	}
	return longest
}

// MarshalJSON writes times as text.
func (f Failover) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Role     routes.Role `json:"role"`
		Standby  bool        `json:"standby"`
		NextHop  netip.Addr  `json:"nextHop"`
		Routers  []RouterLag `json:"routers"`
		Requests Span        `json:"requests"`
		Replies  Span        `json:"replies"`
		UpTo     string      `json:"upTo"`
		Dominant Term        `json:"dominant"`
	}{f.Role, f.Standby, f.NextHop, f.Routers, f.Requests, f.Replies, f.UpTo.String(), f.Dominant})
}

// MarshalJSON writes times as text.
func (r RouterLag) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Peer            string `json:"peer"`
		HoldTime        string `json:"holdTime"`
		Drops           Span   `json:"drops"`
		GracefulRestart string `json:"gracefulRestart"`
	}{r.Peer, r.HoldTime.String(), r.Drops, r.GracefulRestart.String()})
}

// failover gives what the fail-over of a changed prefix takes, or nil.
func (w whatIf) failover(c Change) *Failover {
	if len(c.After) == 0 || c.Gateway != nil && c.Gateway.To == "" {
		return nil
	}
	l := Loss{Replies: c.Gateway != nil}
	for _, a := range c.Before {
		dead := slices.Contains(w.gone.Nodes, a.Node)
		switch {
		case dead && a.carries():
			l.Role, l.NextHop = a.Role, a.NextHop
			l.Sessions = append(l.Sessions, w.sessionsTo(a)...)
		case !dead && !a.carries():
			l.Standby = true
		}
	}
	switch {
	case l.Role == "" && c.Gateway == nil:
		return nil
	case l.Role == "":
		l.Role = c.After[0].Role
	}
	l.Replies = l.Replies || l.Role == routes.RoleECMP
	f := FailoverOf(l)
	return &f
}

// sessionsTo gives the sessions of an announcement with the peers that stay: one
// that is deleted gets a NOTIFICATION, and its router drops the routes at once.
func (w whatIf) sessionsTo(a Announcement) []Session {
	i := slices.IndexFunc(w.before, func(p Plan) bool { return p.Node == a.Node })
	return slices.DeleteFunc(slices.Clone(w.before[i].Sessions), func(s Session) bool {
		return !slices.Contains(a.Peers, s.Peer) || slices.Contains(w.gone.Peers, s.Peer)
	})
}
