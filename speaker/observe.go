package speaker

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/fairway-bgp/fairway/policy"
)

// State is where a session is in BGP's state machine (RFC 4271 section 8.2.2).
type State string

// States. GoBGP does not use Connect.
const (
	Idle        State = "Idle"
	Active      State = "Active"
	OpenSent    State = "OpenSent"
	OpenConfirm State = "OpenConfirm"
	Established State = "Established"
)

// Observed is what the speaker really has and does at one moment, read from
// GoBGP.
type Observed struct {
	// Sessions are sorted by peer.
	Sessions []Session
	// Originated counts the prefixes in the table; 0 before the first session is
	// wanted.
	Originated int
}

// Session is one BGP session as it is.
type Session struct {
	// Peer is the BGPPeer's name.
	Peer    string
	Address netip.Addr
	// PeerASN is the neighbour's AS as configured or, once it has been known by its
	// OPEN, as that says; 0 where neither is.
	PeerASN uint32
	State   State
	// Since is when State was entered; zero before the first change.
	Since time.Time
	// LastError says why the session last went down or does not come up, with
	// the text of the peer's notification if it has one. It is empty while the
	// session is established.
	LastError string
	// LastErrorAt is when that was seen last.
	LastErrorAt time.Time
	// Down is that by one of few names; zero while the session is established.
	Down Why
	// LastReset is the last of Flaps.
	LastReset Reset
	// What follows is zero unless the session is established.

	// LocalAddress is this end's address: the next hop of paths without one.
	LocalAddress netip.Addr
	// Families are those that both sides offered, sorted.
	Families []policy.Family
	// NotOffered are the wanted ones that the peer did not offer, sorted.
	NotOffered []policy.Family
	// NoHoldTime is whether the peer asked for a hold time of 0, by which a session
	// whose peer is dead stays for ever (RFC 4271 section 4.2).
	NoHoldTime bool
	// OldPassword is whether the session runs with another password than is wanted, which
	// counts from the next connection on.
	OldPassword bool
	// Advertised counts the prefixes that pass the export rules.
	Advertised int
	// Received counts the prefixes that the peer has announced since the session is
	// up, one that comes again anew. None of them is taken.
	Received int

	// Flaps counts how often an established session went down.
	Flaps int
	// Path is what BFD says of the path, nil where it is not wanted.
	Path *Path
}

// Observe reads the sessions and counts the prefixes. Before Run, and after Stop,
// there are none. It returns when ctx is over, whatever it waits for.
func (s *Speaker) Observe(ctx context.Context) (Observed, error) {
	var out Observed
	err := during(ctx, func() (err error) {
		out, err = s.observe(ctx)
		return err
	})
	if err != nil {
		return Observed{}, err
	}
	return out, nil
}

func (s *Speaker) observe(ctx context.Context) (Observed, error) {
	if err := s.tables.Acquire(ctx, 1); err != nil {
		return Observed{}, err
	}
	defer s.tables.Release(1)
	v := s.view.Load()
	out := Observed{Sessions: []Session{}}
	for _, srv := range v.servers {
		t := srv.tally.Load()
		err := srv.ListPeer(ctx, &api.ListPeerRequest{}, func(p *api.Peer) {
			out.Sessions = append(out.Sessions, s.session(p, v, t))
		})
		if err != nil {
			return Observed{}, err
		}
		out.Originated = max(out.Originated, t.originated) // each server has the whole RIB
	}
	slices.SortFunc(out.Sessions, func(a, b Session) int { return strings.Compare(a.Peer, b.Peer) })
	return out, nil
}

func (s *Speaker) session(p *api.Peer, v *view, t *tally) Session {
	a, _ := netip.ParseAddr(p.Conf.NeighborAddress)
	e := s.journal.of(a)
	out := Session{
		Peer:      v.peers[a],
		Address:   a,
		PeerASN:   peerASN(p),
		State:     stateOf(p.State.SessionState),
		Since:     e.since,
		Flaps:     e.flaps,
		Path:      s.paths.of(a),
		LastReset: e.reset,
	}
	if out.State != Established {
		out.LastError, out.LastErrorAt, out.Down = e.words(p, s.options.LinkAddressOf), e.cause.at, e.why()
		if e.halfOpenFor(silentBound) {
			out.LastErrorAt = e.halfOpen
		}
		return out
	}
	out.LocalAddress, _ = netip.ParseAddr(p.Transport.LocalAddress)
	out.Families, out.NotOffered = negotiated(p)
	out.NoHoldTime = p.Timers.GetState().GetNegotiatedHoldTime() == 0
	out.OldPassword = p.Conf.AuthPassword != string(v.passwords[a])
	out.Received = e.received.all()
	out.Advertised = t.sent(a, out.Families)
	return out
}

// peerASN is the neighbour's AS; 0 where any other than ours will do, and none is known.
func peerASN(p *api.Peer) uint32 {
	if p.Conf.PeerAsn == nobodysASN {
		return 0
	}
	return cmp.Or(p.State.GetPeerAsn(), p.Conf.PeerAsn)
}

func stateOf(s api.PeerState_SessionState) State {
	switch s {
	case api.PeerState_SESSION_STATE_ESTABLISHED:
		return Established
	case api.PeerState_SESSION_STATE_OPENCONFIRM:
		return OpenConfirm
	case api.PeerState_SESSION_STATE_OPENSENT:
		return OpenSent
	case api.PeerState_SESSION_STATE_ACTIVE:
		return Active
	}
	return Idle
}

// negotiated gives the families that both ends offered, and those that only this one
// did. A peer that says nothing of families speaks IPv4 unicast (RFC 4760 section 8).
func negotiated(p *api.Peer) (both, ours []policy.Family) {
	theirs := map[policy.Family]bool{}
	for _, c := range p.State.RemoteCap {
		if mp := c.GetMultiProtocol(); mp != nil {
			theirs[familyOf(mp.Family)] = true
		}
	}
	if len(theirs) == 0 {
		theirs[policy.IPv4Unicast] = true
	}
	both = []policy.Family{}
	for _, f := range p.AfiSafis {
		if wanted := familyOf(f.Config.Family); theirs[wanted] {
			both = append(both, wanted)
		} else {
			ours = append(ours, wanted)
		}
	}
	slices.Sort(both)
	slices.Sort(ours)
	return both, ours
}

// familyOf is "" for a family that Fairway does not use.
func familyOf(f *api.Family) policy.Family {
	switch apiutil.ToFamily(f) {
	case bgp.RF_IPv4_UC:
		return policy.IPv4Unicast
	case bgp.RF_IPv6_UC:
		return policy.IPv6Unicast
	}
	return ""
}
