package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/speaker"
	"github.com/fairway-bgp/fairway/status"
)

// Source gives the objects. Latest returns what was read last; ok is false
// until everything has been read once, and then there is nothing to plan with.
type Source interface {
	// What is missing until then is in about.Waiting.
	Latest() (s policy.Snapshot, about status.Source, ok bool)
}

// Speaker is what the daemon needs of the BGP side; *speaker.Speaker is one.
type Speaker interface {
	Sync(ctx context.Context, wish policy.Wish) error
	Observe(ctx context.Context) (speaker.Observed, error)
}

// Options are what a Daemon works with. Log, Source, Speaker, Board and Bell
// are required; Gate may be nil.
type Options struct {
	Version string
	Node    string
	Log     *logrus.Entry
	Source  Source
	Speaker Speaker
	Gate    Gate
	// Settings are told to who asks, and say what the host is asked for.
	Settings status.Settings
	// Neighbours finds those that no BGPPeer gives the address of; nil for nobody.
	Neighbours Neighbours
	// Host audits this node; nil for nobody.
	Host Host
	// HostGate withholds a prefix while a finding says that its traffic is lost.
	HostGate bool
	Board    *status.Board
	Bell     *bell.Bell
	// NotServed gives what status.Status has by that name; nil for nothing.
	NotServed func() []string
	// OnStop gives what status.Status has by that name; nil for nothing.
	OnStop func() status.OnStop
	// Posted is called with each picture after it was posted, and must not block;
	// nil for nobody.
	Posted func(*status.Status)
}

// Intervals of the loop.
const (
	// minInterval is the least time between two passes, so that a thousand
	// objects at once are a few passes and not a thousand. A lone change is not kept
	// waiting by it.
	minInterval = 5 * time.Millisecond
	// retryInterval is when a pass that could not do everything is tried again.
	retryInterval = time.Second
	// waitInterval is when the source is looked at again that has not been read yet.
	waitInterval = 250 * time.Millisecond
	// maxInterval is when a pass is made though nothing rang: it repairs what
	// nobody could have told of.
	maxInterval = 30 * time.Second
)

// Daemon is the loop. New makes one, Run works.
type Daemon struct {
	Options
	started time.Time
	memory  policy.Memory
	planner *policy.Planner
	// plan is the newest one; nil until there is a first.
	plan *policy.Plan
	// planned counts its prefixes, by peer.
	planned map[string]int
	// nodeless is whether the objects have no Node of this daemon's name.
	nodeless bool
	// drain is what became of the Node's wish to be emptied.
	drain drain
	// up are the neighbours whose sessions were established when last looked at.
	up map[netip.Addr]bool
	// basis is what the plan was made with beside the objects.
	basis status.Basis
	// toWire measures the way of changes.
	toWire stopwatch
	// changes holds what was logged last, so that only changes are logged.
	changes changeLog
}

// New gives a Daemon that has not begun.
func New(o Options) *Daemon {
	return &Daemon{Options: o, planner: policy.NewPlanner(o.Node), changes: changeLog{log: o.Log}}
}

// Run makes passes until ctx ends. It withdraws nothing at its end: how to leave
// is the speaker's owner's decision.
func (d *Daemon) Run(ctx context.Context) error {
	d.started = time.Now().UTC()
	for {
		next := maxInterval
		switch {
		case !d.pass(ctx):
			next = retryInterval
		case d.plan == nil:
			next = waitInterval
		}
		ended := time.Now()
		at, on := rung(ctx, d.Bell, d.until(next))
		if !on {
			return nil
		}
		d.toWire.heard(at)
		if !sleep(ctx, minInterval-time.Since(ended)) {
			return nil
		}
	}
}

// until gives the time to the next pass: no later than the plan asks for.
func (d *Daemon) until(next time.Duration) time.Duration {
	if d.plan == nil || d.plan.Next.IsZero() {
		return next
	}
	return min(next, max(time.Until(d.plan.Next), 0))
}

// pass is snapshot, plan, sync, observe, publish: what is not needed for the wire comes
// after it. It reports whether everything worked.
func (d *Daemon) pass(ctx context.Context) bool {
	s, about, synced := d.Source.Latest()
	var syncErr error
	if synced {
		if d.plan == nil {
			d.memory = remembered(d.Source)
		}
		d.nodeless = !s.HasNode(d.Node)
		plan := d.decide(s)
		syncErr = d.Speaker.Sync(ctx, plan.Wish())
		now := time.Now()
		remember(d.Source, d.memory)
		d.toWire.handedOver(d.take(plan), syncErr == nil, now)
	}
	observed, observeErr := d.Speaker.Observe(ctx)
	if ctx.Err() != nil {
		return true
	}
	if observeErr == nil {
		d.noteUp(observed)
	}
	st := d.picture(about, observed, syncErr, observeErr)
	d.changes.write(st)
	d.Board.Post(st)
	if d.Posted != nil {
		d.Posted(st)
	}
	return syncErr == nil && observeErr == nil
}

// take makes a plan the newest one, and reports whether it announces anything else than
// the one before.
func (d *Daemon) take(plan policy.Plan) (changed bool) {
	changed = d.plan == nil || !policy.SameAdverts(d.plan.Adverts, plan.Adverts)
	if changed {
		d.planned = plannedFor(plan)
	}
	d.plan = &plan
	return changed
}

// decide makes the plan, with what is remembered and what the kernel says.
func (d *Daemon) decide(s policy.Snapshot) policy.Plan {
	// Without its monotonic part the time is the same after a restart.
	s = d.memory.Recall(s, time.Now().UTC().Round(0))
	if d.Neighbours != nil {
		s.Found, s.Up = d.Neighbours.Find(s.Searches(d.Node)), d.up
	}
	live, asked := routes.Live{}, d.planner.SelectedCIDRs(s)
	if d.Gate != nil {
		live.DatapathDown = d.Gate.Down(asked, !s.HasNode(d.Node))
		live.Translated = d.Gate.Translated(d.planner.Translating(s))
	}
	if d.Host != nil && d.HostGate {
		findings, _ := d.Host.Findings() // what is not known yet refuses nothing
		live.HostNotReady = notReady(findings, asked)
	}
	s.Live = &live
	plan := d.planner.Make(s)
	d.drain = drainOf(s, plan)
	if d.Host != nil {
		d.Host.Follow(WantOf(plan, d.Settings.OverlayLink, d.Settings.BGPPort))
	}
	d.memory = d.memory.Remember(s, plan)
	d.basis = status.Basis{Settings: s.Settings, Memory: d.memory}
	return plan
}

// drain is why the node is emptied, which request that is, and until when what is
// announced goes on with a path that loses; zero where nothing waits.
type drain struct {
	cause, request string
	until          time.Time
}

// drainOf gives the drain that a plan was made under.
func drainOf(s policy.Snapshot, p policy.Plan) drain {
	i := slices.IndexFunc(s.Nodes, func(n routes.Node) bool { return n.Name == p.Node })
	if i < 0 {
		return drain{}
	}
	n := &s.Nodes[i]
	d, _ := routes.DrainOf(n, s.Settings, s.LastGoodNode) // the plan warns
	if !d.On() {
		return drain{}
	}
	out := drain{cause: d.Cause, request: n.Annotations[routes.AnnotationDrainRequest]}
	if until := s.DrainSince(n).Add(s.DrainWait); s.At.Before(until) && len(p.Adverts) > 0 {
		out.until = until
	}
	return out
}

// sleep waits d, or reports false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// picture makes the Status of this moment.
func (d *Daemon) picture(about status.Source, o speaker.Observed, errs ...error) *status.Status {
	st := &status.Status{
		Version: d.Version, Node: d.Node, Started: d.started, Settings: d.Settings, At: time.Now().UTC(),
		Waiting: []string{}, Source: about, Sessions: []status.Session{}, Findings: []host.Finding{},
		Plan: policy.Plan{Node: d.Node, Adverts: []*policy.Advert{}, Withheld: []policy.Withheld{}, Warnings: []policy.Warning{}, Sessions: []policy.Session{}},
	}
	st.Basis, st.ToWire = d.basis, d.toWire.delays
	if d.NotServed != nil {
		st.NotServed = d.NotServed()
	}
	if d.OnStop != nil {
		st.OnStop = d.OnStop()
	}
	st.Draining, st.DrainCause, st.DrainRequest, st.DrainUntil = d.drain.cause != "", d.drain.cause, d.drain.request, d.drain.until
	if d.plan != nil {
		st.Plan = *d.plan
	}
	if d.Host != nil {
		if findings, ok := d.Host.Findings(); ok {
			st.Audited, st.Findings = true, findings
		}
	}
	st.Source.Problems = slices.Clip(about.Problems)
	for _, text := range d.astray(st.Plan.Sessions) {
		st.Source.Problems = append(st.Source.Problems, status.Problemf("%s", text))
	}
	st.Speaker = speakerStatus(o, st.Plan, errs)
	st.Sessions = sessionStatus(o, st.Plan, d.planned)
	st.Waiting = append(st.Waiting, about.Waiting...)
	if !st.Speaker.InSync {
		st.Waiting = append(st.Waiting, "the speaker does not have everything that the plan wants")
	}
	if d.nodeless {
		st.Waiting = append(st.Waiting, fmt.Sprintf("there is no Node %s, so it counts as not Ready: correct --node, or add the Node", d.Node))
	}
	st.Ready = len(st.Waiting) == 0
	return st
}

// astray says which routers are looked for in the overlay, where no audit does.
func (d *Daemon) astray(wanted []policy.Session) []string {
	g, can := d.Gate.(straying)
	if !can || d.Host != nil {
		return nil
	}
	var routers []netip.Addr
	for _, s := range wanted {
		if s.Address.IsValid() {
			routers = append(routers, s.Address)
		}
	}
	return g.Astray(routers)
}

// speakerStatus turns what was observed, and what went wrong, into the
// published form.
func speakerStatus(o speaker.Observed, p policy.Plan, errs []error) status.Speaker {
	out := status.Speaker{RouterID: p.RouterID, ASN: p.ASN(), Originated: o.Originated, Errors: []string{}, InSync: true}
	for _, err := range errs {
		if err != nil {
			out.InSync = false
			out.Errors = append(out.Errors, flatten(err)...)
		}
	}
	return out
}

// flatten gives the parts of a joined error, one text each.
func flatten(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []string
		for _, e := range joined.Unwrap() {
			out = append(out, flatten(e)...)
		}
		return out
	}
	return []string{err.Error()}
}

// sessionStatus gives one entry for each session that is wanted or there; planned counts
// the plan's prefixes by peer.
func sessionStatus(o speaker.Observed, plan policy.Plan, planned map[string]int) []status.Session {
	out := []status.Session{}
	for _, s := range plan.Sessions {
		e := status.Session{Planned: planned[s.Peer], Peer: s.Peer, Interface: s.Interface, PeerDiscovery: string(s.Discovery), PeerASN: s.PeerASN, LocalASN: s.LocalASN, State: "Idle", Families: []string{}}
		if s.Address.IsValid() {
			e.Address = s.Address.String()
		}
		i := slices.IndexFunc(o.Sessions, func(p speaker.Session) bool { return p.Peer == s.Peer })
		if i >= 0 {
			p := o.Sessions[i]
			e.State, e.Since, e.LastError, e.LastErrorAt, e.Flaps = string(p.State), p.Since, p.LastError, p.LastErrorAt, p.Flaps
			e.BFD = bfdStatus(p.Path)
			e.Advertised, e.Received, e.NoHoldTime = p.Advertised, p.Received, p.NoHoldTime
			e.OldPassword = p.OldPassword
			e.LastReset, e.Down = resetStatus(p.LastReset), whyStatus(p.Down)
			if p.LocalAddress.IsValid() {
				e.LocalAddress = p.LocalAddress.String()
			}
			if p.PeerASN != 0 {
				e.PeerASN = p.PeerASN
			}
			for _, f := range p.Families {
				e.Families = append(e.Families, string(f))
			}
			for _, f := range p.NotOffered {
				if hasFor(plan, s.Peer, f) {
					e.NotOffered = append(e.NotOffered, string(f))
				}
			}
		}
		if s.Missing != "" && !e.Established() {
			e.LastError = s.Missing
		}
		out = append(out, e)
	}
	return out
}

// plannedFor counts the prefixes of a plan, by peer.
func plannedFor(plan policy.Plan) map[string]int {
	out := map[string]int{}
	for _, a := range plan.Adverts {
		for _, peer := range a.Peers {
			out[peer]++
		}
	}
	return out
}

// whyStatus gives nil for no reason.
func whyStatus(w speaker.Why) *status.Why {
	if w.Reason == "" {
		return nil
	}
	return &status.Why{Reason: string(w.Reason), Notification: w.Notification}
}

// resetStatus gives nil where there was none.
func resetStatus(r speaker.Reset) *status.Reset {
	if r.At.IsZero() {
		return nil
	}
	return &status.Reset{At: r.At, Why: *whyStatus(r.Why)}
}

// bfdStatus gives nil where the path is not to be watched.
func bfdStatus(p *speaker.Path) *status.BFD {
	if p == nil {
		return nil
	}
	out := &status.BFD{
		State: p.State.String(), Since: p.Since, TransmitInterval: p.Transmit.Seconds(), DetectionTime: p.Detection.Seconds(),
		Downs: p.Downs, Sent: p.Sent, Received: p.Received, Trouble: p.Trouble(time.Now()),
	}
	if p.Diagnostic != 0 {
		out.Diagnostic = p.Diagnostic.String()
	}
	if p.Heard {
		out.RouterState = p.Neighbor.String()
		if p.NeighborDiagnostic != 0 {
			out.RouterDiagnostic = p.NeighborDiagnostic.String()
		}
	}
	return out
}

// hasFor reports whether a plan has a prefix of a family for a peer. That a router does
// not offer a family of which there is none is nobody's trouble.
func hasFor(p policy.Plan, peer string, f policy.Family) bool {
	return slices.ContainsFunc(p.Adverts, func(a *policy.Advert) bool {
		return policy.FamilyOf(a.Prefix) == f && slices.Contains(a.Peers, peer)
	})
}
