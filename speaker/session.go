package speaker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/policy"
)

// deferral is how long a restarting speaker waits with its own routes for those
// of its peers (RFC 4724 section 4.1), in seconds. We take no routes, so there
// is nothing to wait for; 0 would mean GoBGP's default of 360, during which one
// absent peer would keep every other peer without routes.
const deferral = 1

// peerOf gives the GoBGP peer for a session.
func peerOf(s policy.Session) *api.Peer {
	hold := cmp.Or(s.HoldTime, policy.DefaultHoldTime)
	graceful := s.GracefulRestartTime > 0
	p := &api.Peer{
		Conf: &api.PeerConf{
			NeighborAddress: s.Address.String(),
			PeerAsn:         s.PeerASN,
			LocalAsn:        s.LocalASN,
			AuthPassword:    string(s.Password),
			Description:     foundBy(s),
		},
		Timers: &api.Timers{Config: &api.TimersConfig{
			HoldTime:          seconds(hold),
			KeepaliveInterval: seconds(cmp.Or(s.KeepaliveTime, hold/3)),
			ConnectRetry:      seconds(cmp.Or(s.ConnectRetryTime, policy.DefaultConnectRetry)),
			// After an administrative reset GoBGP rests for 30 s by default.
			IdleHoldTimeAfterReset: 1,
		}},
		Transport:    &api.Transport{RemotePort: uint32(s.Port), PassiveMode: s.Passive},
		EbgpMultihop: &api.EbgpMultihop{Enabled: s.EBGPMultihop && !s.Internal()},
		TtlSecurity:  &api.TtlSecurity{Enabled: s.TTLSecurity},
		GracefulRestart: &api.GracefulRestart{
			Enabled:     graceful,
			RestartTime: uint32(seconds(s.GracefulRestartTime)),
		},
	}
	if graceful {
		p.GracefulRestart.DeferralTime = deferral
	}
	if s.SourceAddress.IsValid() {
		p.Transport.LocalAddress = s.SourceAddress.String()
	}
	for _, f := range s.Families {
		p.AfiSafis = append(p.AfiSafis, &api.AfiSafi{
			Config:            &api.AfiSafiConfig{Family: apiFamily(f), Enabled: true},
			MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: graceful}},
		})
	}
	return p
}

func seconds(d time.Duration) uint64 { return uint64(d / time.Second) }

func apiFamily(f policy.Family) *api.Family {
	if f == policy.IPv6Unicast {
		return &api.Family{Afi: api.Family_AFI_IP6, Safi: api.Family_SAFI_UNICAST}
	}
	return &api.Family{Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST}
}

// settingsOf gives the settings that GoBGP's peer has, as far as it has them: the
// inverse of peerOf. GoBGP shows as source the address in use, so that the one that was
// asked for is given.
func settingsOf(p *api.Peer, source netip.Addr) policy.Session {
	timers := p.Timers.GetConfig()
	s := policy.Session{LocalASN: p.Conf.LocalAsn, SessionSettings: policy.SessionSettings{
		PeerASN: p.Conf.PeerAsn, Password: policy.Password(p.Conf.AuthPassword),
		Port: uint16(p.Transport.RemotePort), SourceAddress: source, Passive: p.Transport.PassiveMode,
		EBGPMultihop: p.EbgpMultihop.GetEnabled(), TTLSecurity: p.TtlSecurity.GetEnabled(),
		HoldTime: duration(timers.GetHoldTime()), KeepaliveTime: duration(timers.GetKeepaliveInterval()),
		ConnectRetryTime: duration(timers.GetConnectRetry()),
	}}
	s.Address, _ = netip.ParseAddr(p.Conf.NeighborAddress) // it was an address when it was given
	if p.GracefulRestart.GetEnabled() {
		s.GracefulRestartTime = duration(uint64(p.GracefulRestart.RestartTime))
	}
	for _, f := range p.AfiSafis {
		s.Families = append(s.Families, familyOf(f.Config.Family))
	}
	return s
}

func duration(seconds uint64) time.Duration { return time.Duration(seconds) * time.Second }

// removePeers deletes those of the peers that are no longer wanted.
func (s *server) removePeers(ctx context.Context, wish policy.Wish, peers map[netip.Addr]*api.Peer) error {
	var errs []error
	for _, a := range slices.SortedFunc(maps.Keys(peers), netip.Addr.Compare) {
		if slices.ContainsFunc(wish.Sessions, func(wanted policy.Session) bool { return wanted.Address == a }) {
			continue
		}
		if err := s.DeletePeer(ctx, &api.DeletePeerRequest{Address: a.String()}); err != nil {
			errs = append(errs, fmt.Errorf("remove peer %s: %w", a, err))
			continue
		}
		delete(s.sources, a)
		s.log.WithField("address", a.String()).Info("session removed")
	}
	return errors.Join(errs...)
}

// addPeers adds what is missing among the peers and updates those that differ. It
// comes after prepare: a peer gets the End-of-RIB marker with what the RIB holds
// when the session comes up, and drops what it kept from before (RFC 4724
// section 4.2).
func (s *server) addPeers(ctx context.Context, wish policy.Wish, peers map[netip.Addr]*api.Peer) error {
	var errs []error
	for _, session := range wish.Sessions {
		if err := s.setPeer(ctx, peers[session.Address], session); err != nil {
			errs = append(errs, err)
		}
	}
	if len(wish.Sessions) > 0 {
		s.restarting = false
	}
	return errors.Join(errs...)
}

// setPeer adds the peer if have is nil, else changes what differs. A change that
// needs a new session resets this one and no other.
func (s *server) setPeer(ctx context.Context, have *api.Peer, session policy.Session) error {
	want := peerOf(session)
	if have == nil {
		want.GracefulRestart.LocalRestarting = want.GracefulRestart.Enabled && (s.restarting || s.isFoundLate(session))
		return s.addPeer(ctx, want, session)
	}
	if acted, err := s.revive(ctx, have, session); acted {
		return err
	}
	want.Conf.PeerAsn = s.expectedASN(session, have)
	return s.changePeer(ctx, have, want, session)
}

// changePeer has GoBGP's peer as it is wanted, if it differs.
func (s *server) changePeer(ctx context.Context, have, want *api.Peer, session policy.Session) error {
	changes := policy.FieldChanges(settingsOf(have, s.sources[session.Address]), settingsOf(want, session.SourceAddress))
	if stateOf(have.State.SessionState) == Established && len(policy.Resetting(changes)) == 0 {
		// GoBGP resets a session for a new password. The router resets it too when it gets
		// its own: once is enough, and until then the old one serves.
		want.Conf.AuthPassword = have.Conf.AuthPassword
		changes = slices.DeleteFunc(changes, func(c policy.FieldChange) bool { return c.Field == policy.PasswordField })
	}
	if len(changes) == 0 {
		return nil
	}
	log := s.log.WithFields(logrus.Fields{"peer": session.Peer, "address": session.Address.String()})
	if reset := policy.Resetting(changes); len(reset) > 0 {
		s.journal.begunAnew(session.Address, "its settings changed: "+strings.Join(reset, ", "))
		log.WithField("changed", reset).Warn("session is reset: its settings changed")
	} else {
		log.Info("timers changed: they count from the next session on")
	}
	if _, err := s.UpdatePeer(ctx, &api.UpdatePeerRequest{Peer: want}); err != nil {
		return fmt.Errorf("change peer %s (%s): %w", session.Peer, session.Address, err)
	}
	s.sources[session.Address] = session.SourceAddress
	return nil
}

func (s *server) addPeer(ctx context.Context, p *api.Peer, session policy.Session) error {
	if err := s.AddPeer(ctx, &api.AddPeerRequest{Peer: p}); err != nil {
		return fmt.Errorf("add peer %s (%s): %w", session.Peer, session.Address, err)
	}
	s.met[session.Address] = true
	s.sources[session.Address] = session.SourceAddress
	return nil
}
