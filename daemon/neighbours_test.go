package daemon_test

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/speaker"
	"github.com/fairway-bgp/fairway/status"
)

// finder is a Neighbours that finds what the test says.
type finder struct {
	mu    sync.Mutex
	found policy.Found
}

func (f *finder) Find(searches []policy.Search) map[policy.Search]policy.Found {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[policy.Search]policy.Found{}
	for _, s := range searches {
		out[s] = f.found
	}
	return out
}

func (f *finder) set(found policy.Found) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found = found
}

// link is a Speaker whose sessions are all established until the test ends them.
type link struct {
	mu   sync.Mutex
	down bool
	wish policy.Wish
}

func (l *link) Sync(_ context.Context, w policy.Wish) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wish = w
	return nil
}

func (l *link) Observe(context.Context) (speaker.Observed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var o speaker.Observed
	for _, s := range l.wish.Sessions {
		e := speaker.Session{Peer: s.Peer, Address: s.Address, State: speaker.Established, PeerASN: 65100}
		if l.down {
			e.State, e.PeerASN, e.LastError = speaker.Active, 0, "hold timer expired"
		}
		o.Sessions = append(o.Sessions, e)
	}
	return o, nil
}

func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
}

// TestARouterThatTookTheOtherOnesPlaceIsFoundWithoutAnyRing: only the end of the session
// says that the other one may be taken, and the pass that sees it comes after the choice.
func TestARouterThatTookTheOtherOnesPlaceIsFoundWithoutAnyRing(t *testing.T) {
	one, two := netip.MustParseAddr("fe80::1%eth1"), netip.MustParseAddr("fe80::2%eth1")
	s := policy.Snapshot{Snapshot: routes.Snapshot{Settings: routes.DefaultSettings, Nodes: []routes.Node{{Name: "n1", Ready: true}}}}
	s.Peers = []policy.Peer{{Name: "tor", LocalASN: 65001, SessionSettings: policy.SessionSettings{Interface: "eth1", DynamicASN: policy.External, Families: []policy.Family{policy.IPv4Unicast}}}}
	src, found, sessions, board, rung := &source{}, &finder{}, &link{}, &status.Board{}, bell.New()
	src.set(s)
	found.set(policy.Found{Why: "no router advertisement seen on eth1"})
	log := logrus.New()
	log.SetOutput(io.Discard)
	d := daemon.New(daemon.Options{Node: "n1", Log: logrus.NewEntry(log), Source: src, Speaker: sessions, Board: board, Bell: rung, Neighbours: found})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	defer func() { cancel(); <-done }()
	shows := func(what string, is func(status.Session) bool) {
		t.Helper()
		for end := time.Now().Add(bound); ; time.Sleep(time.Millisecond) {
			st := board.Newest()
			if st != nil && len(st.Sessions) == 1 && is(st.Sessions[0]) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: not shown", what)
			}
		}
	}
	shows("what is in the way", func(e status.Session) bool {
		return e.Trouble() == "no router advertisement seen on eth1" && e.Address == "" && e.Neighbour() == "on eth1"
	})
	found.set(policy.Found{Routers: []netip.Addr{one}})
	rung.Ring()
	shows("the router, with its AS", func(e status.Session) bool {
		return e.Established() && e.Address == one.String() && e.PeerASN == 65100
	})
	found.set(policy.Found{Routers: []netip.Addr{two}})
	rung.Ring()
	shows("the first router", func(e status.Session) bool { return e.Established() && e.Address == one.String() })
	sessions.end()
	rung.Ring() // as GoBGP does; nobody rings after that
	shows("the other router", func(e status.Session) bool { return e.Address == two.String() })
}
