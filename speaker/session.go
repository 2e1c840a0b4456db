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

// differences names the fields in which GoBGP's peer differs from the wanted one
// and that only a new OPEN or a new connection can change.
func differences(have, want *api.Peer, haveSource, wantSource netip.Addr) []string {
	var out []string
	differ := func(field string, differs bool) {
		if differs {
			out = append(out, field)
		}
	}
	differ("peerASN", have.Conf.PeerAsn != want.Conf.PeerAsn)
	differ("localASN", have.Conf.LocalAsn != want.Conf.LocalAsn)
	differ("password", have.Conf.AuthPassword != want.Conf.AuthPassword)
	differ("port", have.Transport.RemotePort != want.Transport.RemotePort)
	differ("sourceAddress", haveSource != wantSource)
	differ("ebgpMultihop", have.EbgpMultihop.Enabled != want.EbgpMultihop.Enabled)
	differ("ttlSecurity", have.TtlSecurity.Enabled != want.TtlSecurity.Enabled)
	differ("gracefulRestart", have.GracefulRestart.Enabled != want.GracefulRestart.Enabled ||
		want.GracefulRestart.Enabled && have.GracefulRestart.RestartTime != want.GracefulRestart.RestartTime)
	differ("families", familyNames(have) != familyNames(want))
	return out
}

// timersDiffer is apart from differences: GoBGP takes new timers without a
// reset, and they count from the next OPEN on, as with other routers.
func timersDiffer(have, want *api.Peer) bool {
	h, w := have.Timers.Config, want.Timers.Config
	return h.HoldTime != w.HoldTime || h.KeepaliveInterval != w.KeepaliveInterval || h.ConnectRetry != w.ConnectRetry
}

func familyNames(p *api.Peer) string {
	var names []string
	for _, f := range p.AfiSafis {
		names = append(names, fmt.Sprint(f.Config.Family.Afi))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

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
		want.GracefulRestart.LocalRestarting = want.GracefulRestart.Enabled && s.restarting
		return s.addPeer(ctx, want, session)
	}
	if s.freed(session.Address, have) {
		return s.addAgain(ctx, session)
	}
	if why := s.stranded(session.Address, have); why != "" {
		return s.beginAnew(ctx, session, why)
	}
	reset := differences(have, want, s.sources[session.Address], session.SourceAddress)
	if len(reset) == 0 && !timersDiffer(have, want) {
		return nil
	}
	log := s.log.WithFields(logrus.Fields{"peer": session.Peer, "address": session.Address.String()})
	if len(reset) > 0 {
		s.journal.forget(session.Address)
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
	s.sources[session.Address] = session.SourceAddress
	return nil
}
