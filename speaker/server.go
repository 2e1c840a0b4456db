package speaker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/config/oc"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	gobgp "github.com/osrg/gobgp/v4/pkg/server"
	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/policy"
)

// noListener as a port keeps GoBGP from listening.
const noListener = -1

// server is one embedded GoBGP.
type server struct {
	*gobgp.BgpServer
	log      *logrus.Entry
	journal  *journal
	routerID netip.Addr
	// sources are the source addresses as configured. ListPeer shows the
	// session's real local address in their place once it is established.
	sources map[netip.Addr]netip.Addr
	// hasAddress is that of the Options, and addressless is since when sessions are
	// without their own address.
	hasAddress  func(netip.Addr) bool
	addressless map[netip.Addr]time.Time
	// restarting is true until the first sessions are added: only those tell
	// their peers that we have restarted (RFC 4724 section 4.1).
	restarting bool
	// known is what this GoBGP has; nil where that is to be read from it. tally is what
	// follows, for readers.
	known *known
	tally atomic.Pointer[tally]
	// met are the neighbours that there was a session with.
	met     map[netip.Addr]bool
	served  sync.WaitGroup
	unwatch context.CancelFunc
}

// start gives a GoBGP that listens on port (or not), rejects whatever it is
// sent, and announces nothing yet.
func start(ctx context.Context, o Options, j *journal, wish policy.Wish, port int32) (*server, error) {
	if !wish.RouterID.Is4() {
		return nil, errors.New("start BGP: no router id: it is an IPv4 address, and the node has none (set the annotation fairway.dev/router-id)")
	}
	logger := slog.New(&logHandler{log: o.Log, journal: j, repeats: newRepeats()})
	s := &server{
		BgpServer:   gobgp.NewBgpServer(gobgp.LoggerOption(logger, nil)),
		log:         o.Log,
		journal:     j,
		routerID:    wish.RouterID,
		sources:     map[netip.Addr]netip.Addr{},
		hasAddress:  o.HasAddress,
		addressless: map[netip.Addr]time.Time{},
		restarting:  true,
		met:         map[netip.Addr]bool{},
	}
	s.tally.Store(&tally{})
	s.served.Go(s.Serve)
	asn := wish.ASN
	if asn == 0 {
		asn = wish.Sessions[0].LocalASN
	}
	err := s.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{Asn: asn, RouterId: wish.RouterID.String(), ListenPort: port, Families: tables()}})
	if err == nil {
		err = s.assignPolicies(ctx)
	}
	if err == nil {
		err = s.watch()
	}
	if err != nil {
		// GoBGP may have opened one of its two listeners before it failed.
		return nil, errors.Join(startError(err, port), s.stopPlainly(ctx))
	}
	return s, nil
}

// tables gives the families that GoBGP is to have tables of, as its API counts them
// (pkg/config/oc, AfiSafiTypeToIntMap). By itself it makes two of each of the 26 that it
// knows, and an empty one takes 190 kB (internal/pkg/table/table.go, NewDestinations).
func tables() []uint32 {
	var out []uint32
	for _, family := range []oc.AfiSafiType{oc.AFI_SAFI_TYPE_IPV4_UNICAST, oc.AFI_SAFI_TYPE_IPV6_UNICAST} {
		out = append(out, uint32(oc.AfiSafiTypeToIntMap[family]))
	}
	return out
}

func startError(err error, port int32) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen for passive peers: port %d is in use: another BGP speaker (kube-ovn-speaker, Calico, MetalLB, FRR) runs on this node; stop it, choose another --bgp-port, or let the peers be dialled (passive: false): %w", port, err)
	}
	return fmt.Errorf("start BGP: %w", err)
}

// watch writes every change of a session into the journal.
func (s *server) watch() error {
	ctx, cancel := context.WithCancel(context.Background())
	s.unwatch = cancel
	return s.WatchEvent(ctx, gobgp.WatchEventMessageCallbacks{
		OnPeerUpdate: func(e *apiutil.WatchEventMessage_PeerEvent, at time.Time) {
			if e.Type == apiutil.PEER_EVENT_STATE {
				s.journal.changed(e.Peer, at)
			}
		},
	}, gobgp.WatchPeer())
}

// Bounds of a goodbye. GoBGP writes with a deadline of one second; more is not worth
// waiting for. Then the peers know: that GoBGP clears what it had from them matters
// to nobody who leaves, and takes seconds after a full table.
const (
	wordsBound = 2 * time.Second
	clearBound = 500 * time.Millisecond
)

// stopWithText says goodbye to every peer, waits until that is said, and stops.
func (s *server) stopWithText(ctx context.Context, text string) error {
	speaking, cancel := context.WithTimeout(ctx, wordsBound)
	defer cancel()
	err := during(speaking, func() error { return s.DisablePeer(ctx, &api.DisablePeerRequest{Communication: text}) })
	if err != nil {
		err = fmt.Errorf("shut down sessions: %w", err)
	} else {
		s.waitForWords(speaking)
	}
	clearing, cancel := context.WithTimeout(ctx, clearBound)
	defer cancel()
	left := during(clearing, func() error { return s.stopPlainly(ctx) })
	if errors.Is(left, context.DeadlineExceeded) && ctx.Err() == nil {
		s.log.Debug("GoBGP still clears its tables: left to the end of the process")
		left = nil
	}
	return errors.Join(err, left)
}

// waitForWords returns when no session has a connection any more, or ctx is over.
func (s *server) waitForWords(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.anyConnected() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *server) anyConnected() bool {
	for a := range s.sources {
		if s.journal.of(a).connected {
			return true
		}
	}
	return false
}

// stopPlainly sends Cease/Peer De-configured: routes go at once.
func (s *server) stopPlainly(ctx context.Context) error {
	return s.stop(ctx, &api.StopBgpRequest{})
}

// stopGracefully closes the connections of peers with graceful restart without a
// word, so that they keep the routes; the others get a Cease.
func (s *server) stopGracefully(ctx context.Context) error {
	return s.stop(ctx, &api.StopBgpRequest{AllowGracefulRestart: true})
}

func (s *server) stop(ctx context.Context, r *api.StopBgpRequest) error {
	err := s.StopBgp(ctx, r)
	s.served.Wait()
	// StopBgp leaves GoBGP's BFD loop running, which Stop ends; that it cannot stop
	// BGP a second time is no news (logHandler).
	s.Stop()
	if s.unwatch != nil {
		s.unwatch()
	}
	if err != nil {
		return fmt.Errorf("stop BGP: %w", err)
	}
	return nil
}

// peersNow gives GoBGP's peers by address.
func (s *server) peersNow(ctx context.Context) (map[netip.Addr]*api.Peer, error) {
	out := map[netip.Addr]*api.Peer{}
	err := s.ListPeer(ctx, &api.ListPeerRequest{}, func(p *api.Peer) {
		if a, err := netip.ParseAddr(p.Conf.NeighborAddress); err == nil {
			out[a] = p
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list peers: %w", err)
	}
	return out, nil
}

func nativeFamily(f policy.Family) bgp.Family {
	if f == policy.IPv6Unicast {
		return bgp.RF_IPv6_UC
	}
	return bgp.RF_IPv4_UC
}
