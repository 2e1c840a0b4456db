package speaker

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/policy"
)

// Some sessions cannot get on by themselves, and only a timer of minutes would end
// them: one whose own address the node has lost says nothing to anybody until the hold
// time is over (the router hears it no more, RFC 4271 section 6.5), and one whose router
// takes the connection and then says nothing waits four minutes for its OPEN
// (section 8.2.2, OpenSent). Sync begins both anew.
const (
	// addressGrace is how long an address may be gone: the kernel drops IPv6 addresses
	// with their link, and who configures networks puts them back.
	addressGrace = 500 * time.Millisecond
	// halfOpenBound is how long a session may have a connection and not be established.
	halfOpenBound = 30 * time.Second
	// steadyAfter is how long a session has to have been up for its loss to be no flapping,
	// and the router to be dialled without a rest.
	steadyAfter = 10 * time.Second
)

// revive dials a session that BFD has ended and that waits no longer (hold.go), that cannot
// get on by itself, or that GoBGP would let rest. acted is whether there is nothing else
// to do with it now.
func (s *server) revive(ctx context.Context, have *api.Peer, session policy.Session) (acted bool, err error) {
	switch why := s.stranded(session.Address, have); {
	case have.State.AdminState == api.PeerState_ADMIN_STATE_DOWN:
		if s.journal.of(session.Address).held() {
			return true, nil
		}
		return true, s.redial(ctx, session)
	case why != "":
		return true, s.beginAnew(ctx, session, why)
	case stateOf(have.State.SessionState) == Idle && s.journal.wasSteady(session.Address):
		return true, s.redial(ctx, session)
	}
	return false, nil
}

// stranded says why a session cannot get on by itself, "" where it may. A session that
// may soon be stranded has the bell rung then.
func (s *server) stranded(a netip.Addr, have *api.Peer) string {
	e := s.journal.of(a)
	if stateOf(have.State.SessionState) == Established {
		return s.lostAddress(a, have)
	}
	if bound := s.journal.halfOpenBound; e.halfOpenFor(bound) {
		return fmt.Sprintf("it has had a connection for %s and has not come up", bound)
	}
	return ""
}

// halfOpenFor is whether a session has had a connection for so long and is not up.
func (e entry) halfOpenFor(d time.Duration) bool {
	return !e.halfOpen.IsZero() && time.Since(e.halfOpen) >= d
}

// lostAddress says that the node has lost the session's own address, when that has been
// so for a moment.
func (s *server) lostAddress(a netip.Addr, have *api.Peer) string {
	local, err := netip.ParseAddr(have.Transport.LocalAddress)
	if err != nil || s.hasAddress == nil || s.hasAddress(local) {
		delete(s.addressless, a)
		return ""
	}
	since, known := s.addressless[a]
	if !known {
		s.addressless[a] = time.Now()
		time.AfterFunc(addressGrace, s.journal.bell)
		return ""
	}
	if time.Since(since) < addressGrace {
		return ""
	}
	return fmt.Sprintf("its own address %s is no longer this node's", local)
}

// beginAnew drops a session's connection and dials again.
func (s *server) beginAnew(ctx context.Context, session policy.Session, why string) error {
	s.log.WithFields(logrus.Fields{"peer": session.Peer, "address": session.Address.String()}).Warn("session is begun anew: " + why)
	s.journal.begunAnew(session.Address, why)
	return s.redial(ctx, session)
}

// redial adds a peer anew: GoBGP rests for 5 s after a loss and for one after a reset
// before it dials (IdleHoldTime, RFC 4271 section 8.1.1), and not for a new peer.
func (s *server) redial(ctx context.Context, session policy.Session) error {
	if err := s.DeletePeer(ctx, &api.DeletePeerRequest{Address: session.Address.String()}); err != nil {
		return fmt.Errorf("dial peer %s (%s) anew: %w", session.Peer, session.Address, err)
	}
	delete(s.addressless, session.Address)
	return s.addPeer(ctx, peerOf(session), session)
}
