package speaker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bfd"
	"github.com/fairway-bgp/fairway/bfd/wire"
	"github.com/fairway-bgp/fairway/policy"
)

// paths watches by BFD the paths to those neighbours that want it. A path is watched
// from when the BGP session is first up, whose addresses then are known, and on through
// its resets; what BFD says counts for a BGP session only while that is up, and only if
// the path was seen to work since it came up: a failure of before never ends the next
// session.
type paths struct {
	log     *logrus.Entry
	journal *journal
	// failed ends a BGP session, and says why to the neighbour.
	failed func(a netip.Addr, why string)

	mu sync.Mutex
	// wanted are the sessions with BFD, and local this node's ends of those that were up.
	wanted map[netip.Addr]policy.Session
	local  map[netip.Addr]netip.Addr
	// wire is nil before the first path, and after close.
	wire   *wire.Wire
	err    error
	closed bool
}

func newPaths(log *logrus.Entry, j *journal, failed func(a netip.Addr, why string)) *paths {
	return &paths{log: log, journal: j, failed: failed, wanted: map[netip.Addr]policy.Session{}, local: map[netip.Addr]netip.Addr{}}
}

// follow sets which sessions there shall be.
func (p *paths) follow(sessions []policy.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.wanted)
	there := map[netip.Addr]bool{}
	for _, s := range sessions {
		there[s.Address] = true
		if s.BFD.On() {
			p.wanted[s.Address] = s
		}
	}
	for a := range p.local {
		if !there[a] {
			delete(p.local, a)
		}
	}
	p.set()
}

// established notes that a BGP session is up, between these two addresses.
func (p *paths) established(a, local netip.Addr) {
	if !local.IsValid() {
		return
	}
	if local.IsLinkLocalUnicast() && local.Is6() {
		local = local.WithZone(a.Zone())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.local[a] != local {
		p.local[a] = local
		p.set()
	}
	if _, wanted := p.wanted[a]; wanted {
		time.AfterFunc(settling, p.journal.bell) // then silence is news
	}
}

// set hands the whole wish to the wire.
func (p *paths) set() {
	var wish []wire.Session
	for a, s := range p.wanted {
		if local := p.local[a]; local.IsValid() {
			wish = append(wish, wire.Session{Peer: a, Local: local, Multihop: multihop(s, local), Settings: s.BFD})
		}
	}
	if p.closed || len(wish) == 0 && p.wire == nil {
		return
	}
	if p.wire == nil {
		if p.wire, p.err = wire.Start(p.changed); p.err != nil {
			p.log.WithError(p.err).Error("BFD does not run")
			p.wire = nil
			return
		}
	}
	p.wire.Set(wish)
}

// multihop reports whether the neighbour is on no network of this node's (RFC 5883). FRR
// decides alike (bgp_bfd_is_peer_multihop in bgpd/bgp_bfd.c).
func multihop(s policy.Session, local netip.Addr) bool {
	switch {
	case s.Address.Zone() != "":
		return false
	case !s.Internal():
		return s.EBGPMultihop
	}
	addrs, _ := net.InterfaceAddrs()
	return !slices.ContainsFunc(addrs, func(a net.Addr) bool {
		own, err := netip.ParsePrefix(a.String())
		return err == nil && own.Addr() == local && own.Contains(s.Address)
	})
}

// changed takes what a path does, and must not block.
func (p *paths) changed(a netip.Addr, c bfd.Change, at time.Time) {
	log := p.log.WithFields(logrus.Fields{"address": a.String(), "bfd": c.To.String()})
	if c.From != bfd.Up || c.To != bfd.Down {
		log.Debug("BFD has changed")
		p.journal.bell()
		return
	}
	why := pathWords(c)
	ends := p.journal.pathDown(a, c, why, at)
	log.WithFields(logrus.Fields{"reason": why, "endsSession": ends}).Warn("BFD went down")
	if ends {
		go p.failed(a, why)
	}
}

// pathWords says for people why a path is down.
func pathWords(c bfd.Change) string {
	switch {
	case c.Diagnostic == bfd.TimeExpired:
		return fmt.Sprintf("BFD: no packet from the router for %s", c.After.Round(time.Millisecond))
	case c.Neighbor == bfd.AdminDown:
		return "BFD: the router has turned it off"
	}
	return fmt.Sprintf("BFD: the router says that the path is down (%s)", c.NeighborDiagnostic)
}

// of gives how the path to a neighbour is, nil where none is wanted.
func (p *paths) of(a netip.Addr) *Path {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, wanted := p.wanted[a]
	if !wanted {
		return nil
	}
	out := &Path{Wanted: s.BFD, Report: wire.Report{Now: bfd.Now{State: bfd.Down}}}
	if p.err != nil {
		out.Problem = p.err.Error()
	}
	if p.wire == nil {
		return out
	}
	reports := p.wire.Reports()
	if i := slices.IndexFunc(reports, func(r wire.Report) bool { return r.Peer == a }); i >= 0 {
		out.Report, out.Watched = reports[i], true
	}
	return out
}

// close tells the neighbours that this end goes on purpose: no path has failed.
func (p *paths) close(ctx context.Context) error {
	p.mu.Lock()
	w := p.wire
	p.wire, p.closed = nil, true
	p.mu.Unlock()
	if w == nil {
		return nil
	}
	return w.Close(ctx)
}

// pathFailed ends the session with a neighbour. The peer is disabled and enabled again:
// GoBGP's ResetPeer keeps a notification for which there is no session any more, and
// ends the next one with it.
func (s *Speaker) pathFailed(a netip.Addr, why string) {
	ctx, cancel := context.WithTimeout(context.Background(), failBound)
	defer cancel()
	for _, srv := range s.view.Load().servers {
		if err := srv.end(ctx, a, why); err != nil {
			s.options.Log.WithError(err).WithField("address", a.String()).Error("BFD: end the session")
		}
	}
}

// failBound bounds the end of a session whose path failed.
const failBound = 10 * time.Second

// end ends a session that the server has, and lets it begin anew.
func (s *server) end(ctx context.Context, a netip.Addr, why string) error {
	if _, err := s.adminState(ctx, a); errors.Is(err, errNoPeer) {
		return nil
	}
	if err := s.DisablePeer(ctx, &api.DisablePeerRequest{Address: a.String(), Communication: why}); err != nil {
		return err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for was := false; ; {
		state, err := s.adminState(ctx, a)
		switch {
		case err != nil:
			return err
		case state == api.PeerState_ADMIN_STATE_DOWN:
			// GoBGP drops the wish where it has not taken up the one before.
			was = true
			if err := s.EnablePeer(ctx, &api.EnablePeerRequest{Address: a.String()}); err != nil {
				return err
			}
		case was:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errNoPeer is of a server that has no such session.
var errNoPeer = errors.New("no such peer")

func (s *server) adminState(ctx context.Context, a netip.Addr) (api.PeerState_AdminState, error) {
	state, err := api.PeerState_ADMIN_STATE_UNSPECIFIED, errNoPeer
	listErr := s.ListPeer(ctx, &api.ListPeerRequest{Address: a.String()}, func(p *api.Peer) {
		state, err = p.State.AdminState, nil
	})
	return state, errors.Join(listErr, err)
}
