package speaker

import (
	"context"
	"fmt"
	"maps"
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

// paths watches by BFD the paths to those neighbours that want it. A path is watched as
// long as the BGP session is up, with BGP's addresses: FRR makes its BFD session anew
// when BGP comes up, and takes it for a failure if the one before was up.
//
// A path that fails ends the session that is up, and no other. It is dialled again when
// the router's BFD is heard, and says that it is down too (hold.go): what comes up then
// is new at both ends.
type paths struct {
	log     *logrus.Entry
	journal *journal
	// failed ends a BGP session, and says why to the neighbour.
	failed func(a netip.Addr, why string)

	mu sync.Mutex
	// wanted are the sessions with BFD, and local this node's ends of the sessions that
	// are up or wait for BFD.
	wanted map[netip.Addr]policy.Session
	local  map[netip.Addr]netip.Addr
	// fading are sessions that are up and whose BFD is not wanted any more. The router
	// would take its end for a failure, so it goes on with the BGP session, and ends none.
	fading map[netip.Addr]policy.Session
	// failing are paths that have failed and over which the router is waited for.
	failing map[netip.Addr]bool
	// far says of a path that is watched whether it has several hops.
	far map[netip.Addr]bool
	// wire is nil before the first path, and after close.
	wire   *wire.Wire
	err    error
	closed bool
}

func newPaths(log *logrus.Entry, j *journal, failed func(a netip.Addr, why string)) *paths {
	return &paths{
		log: log, journal: j, failed: failed,
		wanted: map[netip.Addr]policy.Session{}, local: map[netip.Addr]netip.Addr{}, fading: map[netip.Addr]policy.Session{}, failing: map[netip.Addr]bool{},
		far: map[netip.Addr]bool{},
	}
}

// follow sets which sessions there shall be.
func (p *paths) follow(sessions []policy.Session) {
	for _, a := range p.setWanted(sessions) {
		p.release(a)
	}
}

// setWanted gives the sessions whose BFD is not wanted any more.
func (p *paths) setWanted(sessions []policy.Session) (unwanted []netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.wanted
	p.wanted, p.fading = map[netip.Addr]policy.Session{}, maps.Clone(p.fading)
	there := map[netip.Addr]bool{}
	for _, s := range sessions {
		there[s.Address] = true
		if s.BFD.On() {
			p.wanted[s.Address] = s
			delete(p.fading, s.Address)
		} else if was, ok := before[s.Address]; ok {
			if p.local[s.Address].IsValid() {
				p.fading[s.Address] = was
			}
			unwanted = append(unwanted, s.Address)
		}
	}
	for a := range p.local {
		if !there[a] {
			p.forget(a)
		}
	}
	p.set()
	return unwanted
}

// forget stops watching a path; set makes it so.
func (p *paths) forget(a netip.Addr) {
	delete(p.local, a)
	delete(p.fading, a)
	delete(p.failing, a)
	delete(p.far, a)
}

// established notes that a BGP session is up, between these two addresses. A path that
// was watched for the one before is watched anew.
func (p *paths) established(a, local netip.Addr) {
	if !local.IsValid() {
		return
	}
	if local.IsLinkLocalUnicast() && local.Is6() {
		local = local.WithZone(a.Zone())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.local[a].IsValid() {
		p.forget(a)
		p.set()
	}
	p.local[a] = local
	p.set()
	if _, wanted := p.wanted[a]; wanted {
		time.AfterFunc(settling, p.journal.bell) // then silence is news
	}
}

// gone notes that a BGP session is up no more.
func (p *paths) gone(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(a)
	p.set()
}

// release has a session dialled that waits for BFD.
func (p *paths) release(a netip.Addr) {
	if p.journal.released(a) {
		p.gone(a)
		p.journal.bell()
	}
}

// set hands the whole wish to the wire.
func (p *paths) set() {
	var wish []wire.Session
	watched := maps.Clone(p.fading)
	maps.Copy(watched, p.wanted)
	for a, s := range watched {
		local := p.local[a]
		if !local.IsValid() {
			continue
		}
		if _, known := p.far[a]; !known {
			p.far[a] = multihop(s, local)
		}
		wish = append(wish, wire.Session{Peer: a, Local: local, Multihop: p.far[a], Listen: p.failing[a], Settings: s.BFD})
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

// changed takes what a path does.
func (p *paths) changed(a netip.Addr, c bfd.Change, at time.Time) {
	log := p.log.WithFields(logrus.Fields{"address": a.String(), "bfd": c.To.String()})
	switch {
	case c.To == bfd.Up:
		log.Info("BFD is up")
	case c.From == c.To:
		p.release(a)
		return
	case c.From == bfd.Up:
		why := pathWords(c)
		ends := p.wants(a) && p.journal.pathDown(a, c, why, at)
		log.WithFields(logrus.Fields{"reason": why, "endsSession": ends}).Warn("BFD went down")
		if ends {
			p.listen(a)
			time.AfterFunc(holdBound, func() {
				if p.journal.of(a).overdue() {
					p.release(a)
				}
			})
			go p.failed(a, why)
		}
	}
	p.journal.bell()
}

// listen waits for the router over a path that has failed.
func (p *paths) listen(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failing[a] = true
	p.set()
}

func (p *paths) wants(a netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.wanted[a]
	return ok
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

// pathFailed ends the session with a neighbour. The peer is disabled, for GoBGP's
// ResetPeer keeps a notification for which there is no session any more, and ends the
// next one with it; Sync dials it again (setPeer).
func (s *Speaker) pathFailed(a netip.Addr, why string) {
	ctx, cancel := context.WithTimeout(context.Background(), failBound)
	defer cancel()
	for _, srv := range s.view.Load().servers {
		err := during(ctx, func() error { return srv.disable(ctx, a, why) })
		if err != nil {
			s.options.Log.WithError(err).WithField("address", a.String()).Error("BFD: end the session")
		}
	}
}

// failBound bounds the end of a session whose path failed.
const failBound = 10 * time.Second

// disable ends a session, if the server has it.
func (s *server) disable(ctx context.Context, a netip.Addr, why string) error {
	has := false
	err := s.ListPeer(ctx, &api.ListPeerRequest{Address: a.String()}, func(*api.Peer) { has = true })
	if err != nil || !has {
		return err
	}
	return s.DisablePeer(ctx, &api.DisablePeerRequest{Address: a.String(), Communication: why})
}
