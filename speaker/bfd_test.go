package speaker

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/bfd"
	"github.com/fairway-bgp/fairway/bfd/wire"
	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/policy"
)

// someBFD bears a machine that does something else for two seconds.
var someBFD = bfd.Settings{Transmit: 100 * time.Millisecond, Receive: 100 * time.Millisecond, Multiplier: 20}

// routersBFD is the router's end of a path.
func routersBFD(t *testing.T, r *router) *wire.Wire {
	t.Helper()
	w, err := wire.Start(func(netip.Addr, bfd.Change, time.Time) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silence(t, w) })
	w.Set([]wire.Session{{Peer: r.neighbour, Local: r.addr, Settings: someBFD}})
	return w
}

// silence ends a router's BFD in words.
func silence(t *testing.T, w *wire.Wire) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.Close(ctx); err != nil {
		t.Error(err)
	}
}

// withBFD gives a session with BFD that is up, both of it.
func withBFD(t *testing.T) (*Speaker, *router, *wire.Wire, policy.Session) {
	t.Helper()
	src := loopback()
	r := newRouter(t, "tor", 65100, ours, src)
	w := routersBFD(t, r)
	s := running(t, Options{})
	session := r.session(ours)
	session.BFD = someBFD
	mustSync(t, s, wishFor(session))
	awaitPath(t, s, bfd.Up)
	return s, r, w, session
}

func awaitPath(t *testing.T, s *Speaker, want bfd.State) {
	t.Helper()
	must.Await(t, "BFD is "+want.String(), func() bool {
		p := sessionOf(t, s, "tor").Path
		return p != nil && p.Watched && p.State == want
	})
}

func awaitUp(t *testing.T, s *Speaker) {
	t.Helper()
	must.Await(t, "session is established", func() bool { return sessionOf(t, s, "tor").State == Established })
}

func TestARouterThatFallsSilentLosesItsSessionAndGetsItBackOnce(t *testing.T) {
	t.Parallel()
	s, r, _, session := withBFD(t)
	// Without a word: the machine at the other end is gone, or its BFD is.
	s.paths.changed(r.addr, bfd.Change{From: bfd.Up, To: bfd.Down, Diagnostic: bfd.TimeExpired, Neighbor: bfd.Down, After: 151 * time.Millisecond, ProvenAt: time.Now()}, time.Now())
	must.Await(t, "session went down", func() bool { return sessionOf(t, s, "tor").Flaps == 1 })
	if got := sessionOf(t, s, "tor"); got.LastReset.Reason != BFDDown || got.Down.Reason != BFDDown || got.LastReset.At.IsZero() {
		t.Errorf("reset %+v, down %+v; want %s", got.LastReset, got.Down, BFDDown)
	}
	if got, want := sessionOf(t, s, "tor").LastError, "BFD: no packet from the router for 151ms"; !strings.HasPrefix(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
	mustSync(t, s, wishFor(session))
	s.paths.changed(r.addr, bfd.Change{From: bfd.Down, To: bfd.Down, Neighbor: bfd.Down}, time.Now())
	must.Await(t, "it is dialled again", func() bool {
		mustSync(t, s, wishFor(session))
		return sessionOf(t, s, "tor").State != Idle
	})
	awaitUp(t, s)
	if n := sessionOf(t, s, "tor").Flaps; n != 1 {
		t.Errorf("reset %d times", n)
	}
}

func TestARouterThatTurnsBFDOffKeepsItsSession(t *testing.T) {
	t.Parallel()
	s, _, w, _ := withBFD(t)
	silence(t, w)
	awaitPath(t, s, bfd.Down)
	if e := sessionOf(t, s, "tor"); e.State != Established || e.Flaps != 0 {
		t.Errorf("%+v", e)
	}
}

// A path that failed before the session was there says nothing of it.
func TestAFailureOfBeforeNeverEndsTheNextSession(t *testing.T) {
	t.Parallel()
	s, r, _, _ := withBFD(t)
	up := sessionOf(t, s, "tor").Since
	s.paths.changed(r.addr, bfd.Change{From: bfd.Up, To: bfd.Down, Diagnostic: bfd.TimeExpired, Neighbor: bfd.Down, ProvenAt: up.Add(-time.Millisecond)}, time.Now())
	if s.journal.pathDown(r.addr, bfd.Change{Neighbor: bfd.AdminDown, ProvenAt: time.Now()}, "", time.Now()) {
		t.Error("a router that has turned BFD off loses its session")
	}
	if e := sessionOf(t, s, "tor"); e.State != Established || e.Flaps != 0 {
		t.Errorf("%+v", e)
	}
}

func TestNewTimersOfBFDLeaveTheSession(t *testing.T) {
	t.Parallel()
	s, _, w, session := withBFD(t)
	session.BFD.Receive, session.BFD.Multiplier = 200*time.Millisecond, 30
	mustSync(t, s, wishFor(session))
	must.Await(t, "the new timers count", func() bool { return sessionOf(t, s, "tor").Path.Detection == 20*200*time.Millisecond })
	session.BFD = bfd.Settings{}
	mustSync(t, s, wishFor(session))
	if e := sessionOf(t, s, "tor"); e.Path != nil || e.State != Established || e.Flaps != 0 {
		t.Errorf("%+v", e)
	}
	if r := w.Reports(); len(r) != 1 || r[0].State != bfd.Up {
		t.Errorf("the router is told of a failure: %+v", r)
	}
}

func TestARouterWithoutBFDKeepsItsSessionAndIsNamed(t *testing.T) {
	t.Parallel()
	src := loopback()
	r := newRouter(t, "tor", 65100, ours, src)
	s := running(t, Options{})
	session := r.session(ours)
	session.BFD = someBFD
	mustSync(t, s, wishFor(session))
	awaitUp(t, s)
	p := sessionOf(t, s, "tor").Path
	if p == nil || p.Trouble(time.Now()) != "" {
		t.Errorf("too early to say: %+v", p)
	}
	if got := p.Trouble(time.Now().Add(settling)); !strings.Contains(got, "the router sends no packets; configure it there") {
		t.Errorf("it says %q", got)
	}
}

// Whoever takes BFD away while the session is down has none when it comes up.
func TestBFDThatWasTakenAwayDoesNotComeBack(t *testing.T) {
	t.Parallel()
	src := loopback()
	r := newRouter(t, "tor", 65100, ours, src)
	s := running(t, Options{})
	session := r.session(ours)
	session.BFD = someBFD
	s.paths.follow([]policy.Session{session})
	session.BFD = bfd.Settings{}
	mustSync(t, s, wishFor(session))
	awaitUp(t, s)
	if s.paths.wire != nil {
		t.Errorf("the path is watched: %+v", s.paths.wire.Reports())
	}
}
