package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// Way says how a Trace reaches one node, and what happens to its daemon.
type Way struct {
	// Lag is how much later than the recording the node hears of everything.
	Lag time.Duration
	// Restarts are in the order of time.
	Restarts []Restart
}

// Restart is a kill -9 of the daemon. What it announced stays at its routers until
// it is there again (RFC 4724).
type Restart struct {
	At time.Duration
	// Down is how long it takes until the next one decides, Old how old the state is
	// that it finds on disk.
	Down, Old time.Duration
}

// Change is a prefix that a node begins to announce in a role, or, with Role "", is
// announced no more.
type Change struct {
	At     time.Duration
	Node   string
	Prefix netip.Prefix
	Role   routes.Role
	// Why is the reason of the withdrawal.
	Why string
}

// tail is how long the play goes on after the last event.
const tail = 6 * time.Second

// mostLooks is how often a node may look at one recording: one that looks more often
// spins.
const mostLooks = 20000

// peer is the one router there is, which keeps the routes of a daemon that restarts
// (RFC 4724).
const peer = `{"apiVersion":"fairway.dev/v1alpha1","kind":"BGPPeer","metadata":{"name":"tor"},"spec":{"peerAddress":"` + routerAddress +
	`","peerASN":65000,"localASN":65001,"gracefulRestart":{}}}`

// routerAddress is beside the InternalIPs of the recorded Nodes.
const routerAddress = "192.168.50.1"

// Play gives what a node announces, in the order of time.
func Play(t Trace, w Want, node string, way Way) ([]Change, error) {
	p, err := newPlayer(t, w, node, way)
	if err != nil {
		return nil, err
	}
	for looks := 0; p.now <= p.last; looks++ {
		if looks > mostLooks {
			return nil, fmt.Errorf("%s on %s: %d looks, and it is only %s", t.Name, node, looks, p.now)
		}
		if err := p.hear(); err != nil {
			return nil, err
		}
		if p.killed() {
			p.now += p.restarts[0].Down
			if err := p.restart(); err != nil {
				return nil, err
			}
			continue // to hear what happened meanwhile
		}
		again := p.look()
		if err := p.save(); err != nil {
			return nil, err
		}
		p.now = p.next(again)
	}
	return p.changes, nil
}

// soonest gives the first of the times after now, or end.
func soonest(now time.Duration, times ...time.Duration) time.Duration {
	out := end
	for _, t := range times {
		if t > now {
			out = min(out, t)
		}
	}
	return out
}

// player is a node's daemon without its connections.
type player struct {
	node   string
	want   Want
	zero   time.Time
	source *kube.Playback
	memory policy.Memory
	// begun is false until the first decision of a run.
	begun     bool
	announced map[netip.Prefix]routes.Role
	changes   []Change
	// now is the time of this look, begins that of the first, last that of the last.
	now, begins, last time.Duration
	// after and restarts are still to come.
	after    []Event
	lag      time.Duration
	restarts []Restart
	// state is what lies on disk for the next run; nil before it is needed.
	state []byte
}

// newPlayer gives one to which everything before the change has been told.
func newPlayer(t Trace, w Want, node string, way Way) (*player, error) {
	before, after := t.Before()
	p := &player{node: node, want: w, zero: t.Zero, after: after, lag: way.Lag, restarts: way.Restarts, last: tail}
	p.source = kube.NewPlayback(kube.LiveOptions{
		Settings: routes.DefaultSettings, Node: node, MassWithdrawDelay: 10 * time.Minute, StateMaxAge: 24 * time.Hour,
	})
	if err := p.source.Play("ADDED", json.RawMessage(peer)); err != nil {
		return nil, err
	}
	for _, e := range before {
		if err := p.source.Play(e.Type, e.Object); err != nil {
			return nil, err
		}
		p.now, p.begins = e.At, e.At
	}
	if len(after) > 0 {
		p.last += after[len(after)-1].At
	}
	return p, nil
}

// hear takes the events up to now.
func (p *player) hear() error {
	for len(p.after) > 0 && p.after[0].At+p.lag <= p.now {
		if err := p.source.Play(p.after[0].Type, p.after[0].Object); err != nil {
			return err
		}
		p.after = p.after[1:]
	}
	return nil
}

// next gives the time of the next look: something happens, or the node asked for it.
func (p *player) next(again time.Time) time.Duration {
	next := soonest(p.now, p.edges()...)
	if !again.IsZero() {
		next = min(next, max(again.Sub(p.zero), p.now+time.Millisecond))
	}
	if len(p.after) > 0 {
		next = min(next, p.after[0].At+p.lag)
	}
	if len(p.restarts) > 0 {
		at := p.restarts[0].At
		if p.state == nil {
			at = p.savedAt()
		}
		next = min(next, max(at, p.now+time.Millisecond))
	}
	return next
}

// edges are the times at which the node's own data plane changes.
func (p *player) edges() []time.Duration {
	var out []time.Duration
	for _, s := range slices.Concat(p.want.Down, p.want.Translated) {
		if s.Node == p.node {
			out = append(out, s.From.At, s.To.At)
		}
	}
	return out
}

// look is one pass of the daemon (daemon.pass, without a speaker). It gives the time
// of the next one; zero for none.
func (p *player) look() (again time.Time) {
	now := p.zero.Add(p.now)
	v, again, ready := p.source.Look(now)
	if !ready {
		return again
	}
	if !p.begun {
		p.memory, p.begun = p.source.Remembered(), true
	}
	s := p.memory.Recall(v.Snapshot, now)
	s.Live = p.live(p.now)
	plan := policy.Make(s, p.node)
	p.memory = p.memory.Remember(s, plan)
	p.source.Remember(p.memory)
	p.note(plan)
	return first(again, plan.Next)
}

// first gives the first of two times, of which zero is none.
func first(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// live is what the kernel would say.
func (p *player) live(at time.Duration) *routes.Live {
	l := &routes.Live{DatapathDown: map[netip.Prefix]string{}, Translated: map[netip.Prefix]bool{}}
	for _, s := range p.want.Down {
		if s.Node == p.node && s.holds(at) {
			l.DatapathDown[s.Prefix] = "the join gateway does not answer"
		}
	}
	for _, s := range p.want.Translated {
		if s.Node == p.node {
			l.Translated[s.Prefix] = l.Translated[s.Prefix] || s.holds(at)
		}
	}
	return l
}

// note compares a plan with the one before. What is announced at the first look is
// so from the start.
func (p *player) note(plan policy.Plan) {
	at := p.now
	if p.announced == nil {
		at = start
	}
	now := map[netip.Prefix]routes.Role{}
	for _, a := range plan.Adverts {
		now[a.Prefix] = a.Role
		if p.announced[a.Prefix] != a.Role {
			p.changes = append(p.changes, Change{At: at, Node: p.node, Prefix: a.Prefix, Role: a.Role})
		}
	}
	for _, prefix := range slices.SortedFunc(maps.Keys(p.announced), netip.Prefix.Compare) {
		if _, still := now[prefix]; !still {
			p.changes = append(p.changes, Change{At: at, Node: p.node, Prefix: prefix, Why: reasonOf(plan, prefix)})
		}
	}
	p.announced = now
}

func reasonOf(plan policy.Plan, prefix netip.Prefix) string {
	for _, w := range plan.Withheld {
		if w.Prefix == prefix.String() {
			return fmt.Sprintf("%s: %s", w.Reason, w.Detail)
		}
	}
	return "in no Subnet any more"
}

// savedAt is when the state was written that the next run finds.
func (p *player) savedAt() time.Duration { return max(p.restarts[0].At-p.restarts[0].Old, p.begins) }

// save writes the state when it is time for that.
func (p *player) save() (err error) {
	if len(p.restarts) > 0 && p.state == nil && p.savedAt() <= p.now {
		p.state, err = p.source.State(p.zero.Add(p.now))
	}
	return err
}

// killed reports whether it is time for a restart.
func (p *player) killed() bool {
	return len(p.restarts) > 0 && p.state != nil && p.restarts[0].At <= p.now
}

// restart begins anew with what was saved.
func (p *player) restart() error {
	state := p.state
	p.state, p.begun, p.restarts = nil, false, p.restarts[1:]
	return p.source.Restart(state, p.zero.Add(p.now))
}

// Timeline prints changes for people.
func Timeline(changes []Change) string {
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b Change) int { return int(a.At - b.At) })
	var b strings.Builder
	for _, c := range changes {
		what := "announces, " + string(c.Role)
		if c.Role == "" {
			what = "withdraws, " + c.Why
		}
		fmt.Fprintf(&b, "  %9s  %s  %-18s %s\n", word(c.At), c.Node, c.Prefix, what)
	}
	return b.String()
}
