package speaker

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// age has a speaker look at what GoBGP has, as it does after some time.
func age(s *Speaker) { s.active.known.seen = time.Now().Add(-lookEvery) }

// TestAfterAnErrorGoBGPIsAsked: what it has taken of a wish is not known then, and is read
// before the next.
func TestAfterAnErrorGoBGPIsAsked(t *testing.T) {
	s, ctx := running(t, Options{}), context.Background()
	w := wishFor(silent(0))
	w.Sessions[0].Passive = false
	w.RIB = manyPaths(3, 1)
	mustSync(t, s, w)
	srv := s.active
	s.active = nil // it is stopped here
	if err := srv.stopPlainly(ctx); err != nil {
		t.Fatal(err)
	}
	w.RIB = manyPaths(5, 1)
	if err := srv.prepare(ctx, w, nil); err == nil || srv.known != nil {
		t.Errorf("%v, and GoBGP is thought to have %v", err, srv.known)
	}
}

// counted gives GoBGP's own count of what passes the rules to a router.
func counted(t *testing.T, s *Speaker, r *router) int {
	t.Helper()
	n := 0
	err := s.active.ListPeer(context.Background(), &api.ListPeerRequest{Address: r.addr.String(), EnableAdvertised: true}, func(p *api.Peer) {
		for _, f := range p.AfiSafis {
			n += int(f.State.Advertised)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// somePaths gives paths of both families in a few classes, and rules for some of those.
func somePaths(random *rand.Rand, w policy.Wish) policy.Wish {
	rib := pathsOf{}
	w.Exports = nil
	for i := range 40 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16)
		if i%3 == 0 {
			p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i)}), 48)
		}
		if random.IntN(3) > 0 {
			rib[p] = routes.Path{Class: routes.Class(1 + random.IntN(4))}
		}
	}
	w.RIB = routes.RIBOf(rib)
	for c := range 4 {
		for _, session := range w.Sessions {
			if random.IntN(3) > 0 {
				w.Exports = append(w.Exports, export(routes.Class(1+c), session.Peer, policy.Attributes{MED: ptr(random.Uint32N(2))}))
			}
		}
	}
	return w
}

// TestWhatIsKnownIsWhatGoBGPHas: after any history of wishes, what was noted is what GoBGP
// says when asked, and the prefixes that count as sent are those that it counts and that
// the routers have. One router takes IPv4 alone. What changes in GoBGP behind our back is
// mended when it is next asked.
func TestWhatIsKnownIsWhatGoBGPHas(t *testing.T) {
	src, random := loopback(), rand.New(rand.NewPCG(rand.Uint64(), 7))
	a := newRouter(t, "tor-a", 65100, ours, src, func(_ *router, p *api.Peer) { p.AfiSafis = p.AfiSafis[:1] })
	b := newRouter(t, "tor-b", ours, ours, src)
	s := running(t, Options{})
	w := wishFor(a.session(ours), b.session(ours))
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-a", "tor-b")
	for range 30 {
		w = somePaths(random, w)
		mustSync(t, s, w)
		wantKnown(t, s, w)
		for _, r := range []*router{a, b} {
			if is, want := sessionOf(t, s, r.name).Advertised, counted(t, s, r); is != want {
				t.Fatalf("%s: %d sent, GoBGP counts %d", r.name, is, want)
			}
		}
	}
	for _, r := range []*router{a, b} {
		if want := counted(t, s, r); !within(patience, func() bool { return len(r.table()) == want }) {
			t.Errorf("%s has %d of %d", r.name, len(r.table()), want)
		}
	}

	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}, pfx("10.2.0.0/16"): {Class: 1}})
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{MED: ptr(uint32(5))})}
	mustSync(t, s, w)
	if !within(patience, func() bool { return len(a.table()) == 2 && len(b.table()) == 0 }) {
		t.Fatalf("%q %q", a.table(), b.table())
	}
	was := a.table()
	for what, harm := range map[string]func() error{"a path is removed": s.removePath, "the rules are changed": func() error { return s.turnRules(a, w) }} {
		if err := harm(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if !within(patience, func() bool { return !slices.Equal(a.table(), was) }) {
			t.Fatalf("%s: the router has %q as before", what, a.table())
		}
		age(s)
		mustSync(t, s, w)
		a.wantTable(was...)
		wantKnown(t, s, w)
	}
}

// wantKnown compares what is known with what GoBGP has, and with what was wanted.
func wantKnown(t *testing.T, s *Speaker, w policy.Wish) {
	t.Helper()
	rib, err := s.active.ribNow()
	if err != nil || !routes.Diff(rib, s.active.known.rib).Empty() || !routes.Diff(rib, w.RIB).Empty() {
		t.Fatalf("GoBGP has %v, %v; known %v; wanted %v", rib, err, s.active.known.rib, w.RIB)
	}
	rules, err := s.active.rulesNow(context.Background())
	if err != nil || !maps.Equal(rules, s.active.known.rules) {
		t.Fatalf("GoBGP has the rules %v, %v; known %v", rules, err, s.active.known.rules)
	}
	if anew := newKnown(rules, rib).tally(); !reflect.DeepEqual(anew, s.active.tally.Load()) {
		t.Fatalf("counted anew %v, noted %v", anew, s.active.tally.Load())
	}
}

// removePath takes a path out of GoBGP as its gRPC API could.
func (s *Speaker) removePath() error {
	gone := common{}.pathOf(pfx("10.1.0.0/16"), routes.Path{}, time.Now())
	gone.Withdrawal = true
	return s.active.DeletePath(apiutil.DeletePathRequest{Paths: []*apiutil.Path{gone}})
}

// turnRules puts other rules into GoBGP, and has a router sent what they make.
func (s *Speaker) turnRules(r *router, w policy.Wish) error {
	other := rulesOf([]policy.Export{export(1, r.name, policy.Attributes{MED: ptr(uint32(6))})}, w.Sessions)
	ctx := context.Background()
	if err := s.active.SetPolicies(ctx, policiesOf(other, nil)); err != nil {
		return err
	}
	return s.active.ResetPeer(ctx, &api.ResetPeerRequest{Address: r.addr.String(), Soft: true, Direction: api.ResetPeerRequest_DIRECTION_OUT})
}
