package speaker

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/policy"
)

// syncUntil hands the wish over whenever the bell rings, as the daemon does, until ok.
func syncUntil(t *testing.T, s *Speaker, rung *bell.Bell, w policy.Wish, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for {
		mustSync(t, s, w)
		if ok() {
			return
		}
		select {
		case <-rung.Rung():
		case <-ctx.Done():
			t.Fatalf("%s: not so; sessions are %+v", what, observe(t, s).Sessions)
		}
	}
}

// TestSessionWhoseAddressIsGoneWaitsForNoHoldTime: it is dialled again, the other stays,
// and an address that comes back within moments costs nothing.
func TestSessionWhoseAddressIsGoneWaitsForNoHoldTime(t *testing.T) {
	t.Parallel()
	a, b := loopback(), loopback()
	r, other := newRouter(t, "tor-a", 65100, ours, a), newRouter(t, "tor-b", 65100, ours, b)
	rung, gone := bell.New(), atomic.Bool{}
	s := running(t, Options{Bell: rung.Ring, HasAddress: func(own netip.Addr) bool { return own != a || !gone.Load() }})
	w := wishFor(r.session(ours), other.session(ours))
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-a", "tor-b")
	before := observe(t, s).Sessions

	gone.Store(true)
	mustSync(t, s, w)
	gone.Store(false) // back at once
	mustSync(t, s, w)
	gone.Store(true)
	mustSync(t, s, w)
	if now := observe(t, s).Sessions; now[0].Since != before[0].Since {
		t.Error("a moment without the address has cost the session")
	}
	syncUntil(t, s, rung, w, "the session is begun anew", func() bool { return sessionOf(t, s, "tor-a").State != Established })
	if got := sessionOf(t, s, "tor-a").LastError; !strings.Contains(got, "its own address "+a.String()+" is no longer this node's") {
		t.Errorf("it says %q", got)
	}
	gone.Store(false)
	syncUntil(t, s, rung, w, "the session is up again", func() bool { return sessionOf(t, s, "tor-a").State == Established })
	if now := observe(t, s).Sessions; now[1].Since != before[1].Since {
		t.Error("the other session was touched")
	}
}

// TestRouterThatTakesConnectionsAndSaysNothing is named within seconds, and dialled again
// within a minute: GoBGP alone would wait four for its OPEN.
func TestRouterThatTakesConnectionsAndSaysNothing(t *testing.T) {
	t.Parallel()
	addr := loopback()
	l, err := net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var taken atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			taken.Add(1)
		}
	}()
	rung := bell.New()
	s := running(t, Options{Bell: rung.Ring})
	s.journal.halfOpenBound = silentBound + 2*time.Second
	w := wishFor(policy.Session{Peer: "tor-a", LocalASN: ours, SessionSettings: policy.SessionSettings{
		Address: addr, Port: netip.MustParseAddrPort(l.Addr().String()).Port(), PeerASN: 65100, Families: []policy.Family{policy.IPv4Unicast},
		HoldTime: 90 * time.Second, KeepaliveTime: 30 * time.Second, ConnectRetryTime: time.Second,
	}})
	syncUntil(t, s, rung, w, "it is named", func() bool {
		return strings.Contains(sessionOf(t, s, "tor-a").LastError, "takes the connection and does not answer our OPEN")
	})
	syncUntil(t, s, rung, w, "it is dialled again", func() bool { return taken.Load() > 1 })
}
