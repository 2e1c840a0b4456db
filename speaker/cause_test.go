package speaker

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/osrg/gobgp/v4/api"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/policy"
)

// Each mistake has its own words, which name what to change, and the bell rings for
// them.
func TestRefusalSaysWhatItIs(t *testing.T) {
	for name, c := range map[string]struct {
		router  uint32 // the AS that the router has
		expects uint32 // the AS that it has for us
		change  func(*router, *api.Peer)
		session func(*policy.Session)
		want    []string
		reason  Why
	}{
		"the router is of another AS": {65100, ours, nil, func(s *policy.Session) { s.PeerASN = 65109 },
			[]string{"is AS 65100, and spec.peerASN is 65109: correct spec.peerASN"}, Why{OpenRefusedHere, "2/2"}},
		"the router expects another AS": {65100, 65999, nil, nil,
			[]string{"refused our OPEN", "bad peer as", "another AS than 65001", "spec.localASN"}, Why{OpenRefusedByRouter, "2/2"}},
		"the router does not know this node": {65100, ours, func(_ *router, p *api.Peer) { p.Conf.NeighborAddress = "127.0.0.99" }, nil,
			[]string{"closed the connection before it said anything", "neighbor"}, Why{Reason: ClosedByRouter}},
		"nobody listens": {65100, ours, nil, func(s *policy.Session) { s.Port = 1 },
			[]string{"port 1 refuses connections", "spec.port"}, Why{Reason: ConnectionRefused}},
		"the source address is not ours": {65100, ours, nil, func(s *policy.Session) { s.SourceAddress = netip.MustParseAddr("192.0.2.77") },
			[]string{"spec.sourceAddress 192.0.2.77 is not an address of this node"}, Why{Reason: NoSourceAddress}},
		"the router has shut the session down": {65100, ours, func(_ *router, p *api.Peer) { p.Conf.AdminDown = true }, nil,
			[]string{"the router at"}, Why{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, rung := loopback(), bell.New()
			var changes []func(*router, *api.Peer)
			if c.change != nil {
				changes = append(changes, c.change)
			}
			r := newRouter(t, "tor-a", c.router, c.expects, src, changes...)
			s := running(t, Options{Bell: rung.Ring})
			w := r.session(ours)
			if c.session != nil {
				c.session(&w)
			}
			mustSync(t, s, wishFor(w))
			says := func() bool {
				return !containsNot(sessionOf(t, s, "tor-a").LastError, c.want)
			}
			// Nobody looks but when the bell rings.
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			for !says() {
				select {
				case <-rung.Rung():
				case <-ctx.Done():
					t.Fatalf("it says %q, want %q", sessionOf(t, s, "tor-a").LastError, c.want)
				}
			}
			if c.reason == (Why{}) {
				return // one of two, as the router's timing has it
			}
			var got Why
			if !within(patience, func() bool { got = sessionOf(t, s, "tor-a").Down; return got == c.reason }) {
				t.Errorf("the reason is %v, want %v", got, c.reason)
			}
		})
	}
}

// containsNot reports whether one of the words is missing, whatever their case.
func containsNot(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(w)) {
			return true
		}
	}
	return false
}

func TestFamilyThatTheRouterDoesNotOffer(t *testing.T) {
	src := loopback()
	a := newRouter(t, "tor-a", 65100, ours, src, func(_ *router, p *api.Peer) { p.AfiSafis = p.AfiSafis[:1] })
	s := running(t, Options{})
	mustSync(t, s, wishFor(a.session(ours)))
	wantEstablished(t, s, "tor-a")
	got := sessionOf(t, s, "tor-a")
	if len(got.NotOffered) != 1 || got.NotOffered[0] != policy.IPv6Unicast || len(got.Families) != 1 {
		t.Errorf("negotiated %v, not offered %v", got.Families, got.NotOffered)
	}
}

// What was wrong with the old settings is not said of the new ones.
func TestErrorIsForgottenWhenSettingsChange(t *testing.T) {
	src := loopback()
	a := newRouter(t, "tor-a", 65100, ours, src)
	s := running(t, Options{})
	wrong := a.session(ours)
	wrong.PeerASN = 65109
	mustSync(t, s, wishFor(wrong))
	if !within(patience, func() bool { return strings.Contains(sessionOf(t, s, "tor-a").LastError, "65109") }) {
		t.Fatalf("it says %q", sessionOf(t, s, "tor-a").LastError)
	}
	mustSync(t, s, wishFor(a.session(ours)))
	if got := sessionOf(t, s, "tor-a").LastError; strings.Contains(got, "65109") {
		t.Errorf("with the right AS it says %q", got)
	}
	wantEstablished(t, s, "tor-a")
}

// A router that answers ARP is there, and drops TCP.
func TestSilentRouterIsSaidToBeThereOrNot(t *testing.T) {
	e := entry{cause: cause{kind: noConnection, text: "dial tcp 192.0.2.1:179: i/o timeout"}}
	for name, c := range map[string]struct{ address, linkAddress, want, not string }{
		"answers ARP":                 {"192.0.2.1", "02:00:00:00:00:01", "02:00:00:00:00:01 answers ARP for it", "router that is down"},
		"answers neighbour discovery": {"2001:db8::1", "02:00:00:00:00:01", "answers neighbour discovery for it", "router that is down"},
		"answers nothing":             {"192.0.2.1", "", "or a router that is down", "answers ARP"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &api.Peer{Conf: &api.PeerConf{NeighborAddress: c.address}, Transport: &api.Transport{}, TtlSecurity: &api.TtlSecurity{}, EbgpMultihop: &api.EbgpMultihop{}}
			got := e.words(p, func(netip.Addr) string { return c.linkAddress })
			if !strings.Contains(got, c.want) || strings.Contains(got, c.not) || !strings.HasPrefix(got, "no answer from "+c.address) {
				t.Error(got)
			}
		})
	}
}
