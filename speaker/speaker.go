package speaker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/semaphore"

	"github.com/fairway-bgp/fairway/door"
	"github.com/fairway-bgp/fairway/inet"
	"github.com/fairway-bgp/fairway/policy"
)

// Options are what a Speaker is made of.
type Options struct {
	// Log receives the speaker's and GoBGP's own lines.
	Log *logrus.Entry
	// GRPCSocket is the path of the unix socket of the read-only gRPC API, ""
	// for none.
	GRPCSocket string
	// GRPCAddress is host:port of the same API over TCP, "" for none. The host
	// must be a loopback address: GoBGP's API knows no authentication
	// (GHSA-v5mh-h5hx-7v92).
	GRPCAddress string
	// Doors keeps both open; nil for doors of its own.
	Doors *door.Doors
	// ListenPort is where passive sessions are waited for, 179 if 0. Nothing
	// listens before there is such a session.
	ListenPort int32
	// LinkAddressOf gives the link address at which a neighbour answers for an address,
	// "" for none. It is asked where a router is silent; nil for nobody.
	LinkAddressOf func(netip.Addr) string
	// HasAddress is whether this node has an address, or cannot tell. A session whose own
	// address is gone is begun anew. nil for a node that has all.
	HasAddress func(netip.Addr) bool
	// Bell is rung on every change of a session's state, and when Sync has something to do
	// though the wish is the same. It must not block.
	Bell func()
}

// Speaker is the node's BGP speaker. Sessions that dial and sessions that wait
// live in two GoBGP servers, because GoBGP can only begin to listen when it
// starts, and because a server that both dials and listens can leave a session
// half-open after a collision (RFC 4271 section 6.8). Each has the whole RIB;
// one without sessions is not started.
type Speaker struct {
	options Options
	journal *journal
	paths   *paths
	// running is closed when Run has begun, ended when it is over.
	running, ended chan struct{}
	begin          sync.Once
	// turn is had by one Sync or Stop at a time; it guards what follows.
	turn            *semaphore.Weighted
	active, passive *server
	stopped         bool
	// tables is held whole while a server starts, and in part by each who reads
	// tables: GoBGP's start writes two package-level variables
	// (table.SelectionOptions, table.UseMultiplePaths; always the same values)
	// that every reader of a table looks at. Nobody may hold it while it waits for
	// anybody outside.
	tables *semaphore.Weighted
	// view is what readers (Observe, gRPC) see of the above, without a lock.
	view atomic.Pointer[view]
	// looking bounds who looks by gRPC.
	looking bounds
}

// mostTableReaders is how many may read tables at once.
const mostTableReaders = 4

// leaveBound is how long a speaker that nobody has stopped takes to leave.
const leaveBound = 4 * time.Second

// view is immutable once stored.
type view struct {
	servers []*server
	// peers names the BGPPeer behind an address, and passwords has what it wants.
	peers     map[netip.Addr]string
	passwords map[netip.Addr]policy.Password
}

// New checks the options. Nothing starts before Run.
func New(o Options) (*Speaker, error) {
	if err := o.checkAddress(); err != nil {
		return nil, err
	}
	if o.ListenPort < 0 || o.ListenPort > 65535 {
		return nil, fmt.Errorf("BGP listen port %d is not a TCP port: use 1 to 65535", o.ListenPort)
	}
	o.ListenPort = cmp.Or(o.ListenPort, inet.BGPPort)
	if o.Bell == nil {
		o.Bell = func() {}
	}
	if o.Doors == nil {
		o.Doors = door.New(o.Log, func() {})
	}
	s := &Speaker{
		options: o, journal: newJournal(o.Log, o.Bell), running: make(chan struct{}), ended: make(chan struct{}),
		turn: semaphore.NewWeighted(1), tables: semaphore.NewWeighted(mostTableReaders), looking: newBounds(),
	}
	s.view.Store(&view{})
	s.paths = newPaths(o.Log, s.journal, s.pathFailed)
	s.journal.up, s.journal.gone = s.paths.established, s.paths.gone
	return s, nil
}

// Run serves the gRPC API, and the GoBGP servers that Sync starts, until ctx
// ends. A speaker that was not stopped before leaves as a crash would: peers
// with graceful restart keep the routes. Run can be called once.
func (s *Speaker) Run(ctx context.Context) error {
	first := false
	s.begin.Do(func() { first = true })
	if !first {
		return errors.New("run the speaker: it has run already")
	}
	defer close(s.ended)
	looking, shut := context.WithCancel(ctx)
	wait := s.look(looking)
	defer func() { shut(); wait() }()
	go s.journal.overhear(looking)
	close(s.running)
	<-ctx.Done()
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveBound)
	defer cancel()
	return s.leave(leaving, (*server).stopGracefully)
}

// inTurn does work when everything before it is done, and waits for that and for
// the work no longer than ctx. GoBGP's own calls look at no context: work that
// hangs is left behind, and keeps its turn.
func (s *Speaker) inTurn(ctx context.Context, work func() error) error {
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("the speaker still does what was asked before: %w", err)
	}
	return during(ctx, func() error {
		defer s.turn.Release(1)
		return work()
	})
}

// during does work and waits for it until ctx is over, whatever it hangs in.
func during(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("GoBGP has not answered: %w", ctx.Err())
	}
}

// Sync brings GoBGP to the wish. It returns every error, each naming its peer
// or prefix; what could be done is done all the same, and the next Sync tries
// the rest again. Before Run has begun Sync waits. It returns when ctx is over,
// whatever it waits for.
func (s *Speaker) Sync(ctx context.Context, wish policy.Wish) error {
	select {
	case <-s.running:
	case <-s.ended:
		return errors.New("sync: the speaker does not run")
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.inTurn(ctx, func() error { return s.sync(ctx, wish) })
}

func (s *Speaker) sync(ctx context.Context, wish policy.Wish) error {
	if s.stopped {
		return errors.New("sync: the speaker has stopped")
	}
	sessions, errs := distinct(wish.Sessions)
	dial, wait := split(sessions)
	wish.Sessions = dial
	errs = append(errs, s.ensure(ctx, &s.active, wish, noListener))
	wish.Sessions = wait
	errs = append(errs, s.ensure(ctx, &s.passive, wish, s.options.ListenPort))
	s.publish(sessions)
	halves, err := s.halves(ctx, dial, wait)
	errs = append(errs, err)
	// All rules and paths go before all sessions, and all removals before all
	// additions: a peer may change from one server to the other.
	for _, step := range []func(*server, context.Context, policy.Wish, map[netip.Addr]*api.Peer) error{(*server).prepare, (*server).removePeers, (*server).addPeers} {
		for _, half := range halves {
			wish.Sessions = half.sessions
			errs = append(errs, step(half.server, ctx, wish, half.peers))
		}
	}
	if len(wait) == 0 && s.passive != nil {
		errs = append(errs, s.passive.stopPlainly(ctx))
		s.passive = nil
		s.publish(sessions)
	}
	return errors.Join(errs...)
}

// half is a server that runs, the sessions that it is to have, and the peers that it
// has when a Sync begins.
type half struct {
	server   *server
	sessions []policy.Session
	peers    map[netip.Addr]*api.Peer
}

// halves gives the servers that run and can say which peers they have.
func (s *Speaker) halves(ctx context.Context, dial, wait []policy.Session) ([]half, error) {
	var out []half
	var errs []error
	for _, h := range []half{{server: s.active, sessions: dial}, {server: s.passive, sessions: wait}} {
		if h.server == nil {
			continue
		}
		var err error
		if h.peers, err = h.server.peersNow(ctx); err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, h)
	}
	return out, errors.Join(errs...)
}

// ensure starts a server if there are sessions for it, and starts it anew if the
// router id changed: GoBGP takes it at start only, and it is in every OPEN. Peers
// with graceful restart keep their routes meanwhile.
func (s *Speaker) ensure(ctx context.Context, at **server, wish policy.Wish, port int32) error {
	if srv := *at; srv != nil && srv.routerID != wish.RouterID && wish.RouterID.IsValid() && len(wish.Sessions) > 0 {
		s.options.Log.WithFields(logrus.Fields{"from": srv.routerID, "to": wish.RouterID}).Warn("router id changed: all sessions are reset")
		*at = nil
		if err := srv.stopGracefully(ctx); err != nil {
			return err
		}
	}
	if *at != nil || len(wish.Sessions) == 0 {
		return nil
	}
	if err := s.tables.Acquire(ctx, mostTableReaders); err != nil {
		return fmt.Errorf("start BGP: somebody still reads tables: %w", err)
	}
	defer s.tables.Release(mostTableReaders)
	s.meet(ctx)
	srv, err := start(ctx, s.options, s.journal, wish, port)
	s.meet(ctx)
	if err != nil {
		return err
	}
	*at = srv
	return nil
}

// meet has one word with the servers that run, so that what they did comes before
// what we do next, and after it: see tables.
func (s *Speaker) meet(ctx context.Context) {
	for _, srv := range s.servers() {
		// The answer is of no interest; without one there is nobody to meet.
		_, _ = srv.GetBgp(ctx, &api.GetBgpRequest{})
	}
}

func (s *Speaker) publish(sessions []policy.Session) {
	v := &view{peers: map[netip.Addr]string{}, passwords: map[netip.Addr]policy.Password{}}
	for _, srv := range []*server{s.active, s.passive} {
		if srv != nil {
			v.servers = append(v.servers, srv)
		}
	}
	for _, session := range sessions {
		v.peers[session.Address], v.passwords[session.Address] = session.Peer, session.Password
	}
	s.view.Store(v)
	s.journal.follow(v.peers)
	s.paths.follow(sessions)
}

// Stop ends all sessions on purpose: every established peer gets a
// Cease/Administrative Shutdown with the text (RFC 9003; GoBGP cuts it at 128 octets),
// so it drops the routes at once, graceful restart or not. It returns when ctx is
// over, also where GoBGP hangs.
func (s *Speaker) Stop(ctx context.Context, text string) error {
	return s.leave(ctx, func(srv *server, ctx context.Context) error { return srv.stopWithText(ctx, text) })
}

// StopForRestart ends all sessions so that peers with graceful restart keep the
// routes until the speaker is back or the restart time is over. Other peers
// drop them at once.
func (s *Speaker) StopForRestart(ctx context.Context) error {
	return s.leave(ctx, (*server).stopGracefully)
}

func (s *Speaker) leave(ctx context.Context, stop func(*server, context.Context) error) error {
	return s.inTurn(ctx, func() error {
		s.stopped = true
		var errs [3]error
		var both sync.WaitGroup
		for i, srv := range []*server{s.active, s.passive} {
			if srv != nil {
				both.Go(func() { errs[i] = stop(srv, ctx) }) // one that hangs keeps no peer of the other
			}
		}
		both.Wait()
		errs[2] = s.paths.close(ctx)
		s.active, s.passive = nil, nil
		s.view.Store(&view{peers: s.view.Load().peers})
		return errors.Join(errs[:]...)
	})
}

// distinct drops sessions that GoBGP cannot tell apart: it keeps one peer per
// address, and its policies ignore the zone of a link-local one.
func distinct(sessions []policy.Session) ([]policy.Session, []error) {
	taken := map[netip.Addr]string{}
	var out []policy.Session
	var errs []error
	for _, session := range sessions {
		bare := session.Address.WithZone("")
		if other, ok := taken[bare]; ok {
			errs = append(errs, fmt.Errorf("peer %s: %s is already the address of peer %s", session.Peer, session.Address, other))
			continue
		}
		taken[bare] = session.Peer
		out = append(out, session)
	}
	return out, errs
}

func split(sessions []policy.Session) (dial, wait []policy.Session) {
	for _, session := range sessions {
		if session.Passive {
			wait = append(wait, session)
		} else {
			dial = append(dial, session)
		}
	}
	return slices.Clip(dial), slices.Clip(wait)
}
