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
