package discover

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestWhoIsHeardOnALink(t *testing.T) {
	a, b := netip.MustParseAddr("fe80::a%eth1"), netip.MustParseAddr("fe80::b%eth1")
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	type word struct {
		at     time.Duration
		router netip.Addr
	}
	for name, tc := range map[string]struct {
		words []word
		until time.Duration
		want  []netip.Addr
	}{
		"one router": {[]word{{0, a}}, time.Hour, []netip.Addr{a}},
		"the new one comes first while the old may live": {[]word{{0, a}, {time.Minute, b}}, time.Minute + time.Second, []netip.Addr{b, a}},
		"an old one that does not answer is forgotten":   {[]word{{0, a}, {time.Minute, b}}, time.Minute + doubtFor, []netip.Addr{b}},
		"an old one that answers stays":                  {[]word{{0, a}, {time.Minute, b}, {time.Minute + time.Second, a}}, time.Minute + doubtFor, []netip.Addr{b, a}},
		"a silent one that nobody follows stays":         {[]word{{0, a}}, 24 * time.Hour, []netip.Addr{a}},
	} {
		var e ear
		for _, w := range tc.words {
			_, ask := e.hear(w.router, start.Add(w.at))
			if wantAsk := w.router == b && e.due() == start.Add(w.at+doubtFor); ask != wantAsk {
				t.Errorf("%s: asks %t at %s", name, ask, w.at)
			}
		}
		e.settle(start.Add(tc.until))
		if got := e.list(); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestFloodOfMadeUpRoutersKeepsTheRealOneOut: what is remembered is bounded, and the real
// one, which alone answers, is there again when the others' time is over.
func TestFloodOfMadeUpRoutersKeepsTheRealOneOut(t *testing.T) {
	var e ear
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 10_000 {
		e.hear(netip.AddrFrom16([16]byte{0xfe, 0x80, 14: byte(i >> 8), 15: byte(i)}), at)
	}
	if len(e.routers) > mostRouters {
		t.Fatalf("%d are remembered", len(e.routers))
	}
	real := netip.MustParseAddr("fe80::a:1")
	e.hear(real, at.Add(time.Second))
	e.settle(at.Add(doubtFor))
	for range 2 { // the first is what made the others doubted
		at = at.Add(doubtFor + time.Second)
		e.hear(real, at)
		e.settle(at.Add(doubtFor))
	}
	if got := e.list(); !slices.Equal(got, []netip.Addr{real}) {
		t.Errorf("%v", got)
	}
}

// TestOfTwoRoutersOneGoesSilently: that is found out with the next advertisements of ours.
func TestOfTwoRoutersOneGoesSilently(t *testing.T) {
	a, b := netip.MustParseAddr("fe80::a%eth1"), netip.MustParseAddr("fe80::b%eth1")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var e ear
	if !e.next(now) {
		t.Error("nobody is asked while no router is known")
	}
	e.hear(a, now)
	if e.next(now) {
		t.Error("one router that is known is asked")
	}
	e.hear(b, now)
	e.hear(a, now)
	e.settle(now.Add(doubtFor))
	if got := e.list(); len(got) != 2 {
		t.Fatalf("%v", got)
	}
	now = now.Add(10 * time.Second)
	if !e.next(now) || !e.next(now.Add(time.Second)) {
		t.Error("of two routers nobody is asked")
	}
	e.hear(b, now.Add(2*time.Second))
	if !e.settle(now.Add(doubtFor)) || !slices.Equal(e.list(), []netip.Addr{b}) {
		t.Errorf("%v", e.list())
	}
}
