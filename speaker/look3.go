package speaker

import (
	"context"
	"time"

	api3 "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// look3 answers the gobgp command of GoBGP v3, which is what distributions ship.
// v3 crashes on absent sub-messages, so all of them are filled in.
type look3 struct {
	api3.UnimplementedGobgpApiServer
	speaker *Speaker
}

// GetBgp shows router id and AS.
func (l *look3) GetBgp(ctx context.Context, _ *api3.GetBgpRequest) (*api3.GetBgpResponse, error) {
	srv, err := l.speaker.serverOf(ctx, "")
	if err != nil {
		return nil, err
	}
	r, err := srv.GetBgp(ctx, &api.GetBgpRequest{})
	if err != nil {
		return nil, err
	}
	g := r.Global
	return &api3.GetBgpResponse{Global: &api3.Global{
		Asn: g.Asn, RouterId: g.RouterId, ListenPort: g.ListenPort, ListenAddresses: g.ListenAddresses,
		UseMultiplePaths: g.UseMultiplePaths,
	}}, nil
}

// GetTable shows how many paths a table has.
func (l *look3) GetTable(ctx context.Context, r *api3.GetTableRequest) (*api3.GetTableResponse, error) {
	out, err := l.speaker.countTable(ctx, &api.GetTableRequest{TableType: tableType(r.TableType), Family: family4(r.Family), Name: r.Name})
	if err != nil {
		return nil, err
	}
	return &api3.GetTableResponse{NumDestination: out.NumDestination, NumPath: out.NumPath, NumAccepted: out.NumAccepted}, nil
}

// tableType: v4 put "unspecified" in front of v3's values.
func tableType(t api3.TableType) api.TableType { return api.TableType(t + 1) }

func family4(f *api3.Family) *api.Family {
	if f == nil {
		return &api.Family{Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST}
	}
	return &api.Family{Afi: api.Family_Afi(f.Afi), Safi: api.Family_Safi(f.Safi)}
}

func family3(f *api.Family) *api3.Family {
	return &api3.Family{Afi: api3.Family_Afi(f.GetAfi()), Safi: api3.Family_Safi(f.GetSafi())}
}

// ListPath shows the paths of a table; adj-out has them as the peer gets them.
func (l *look3) ListPath(r *api3.ListPathRequest, stream api3.GobgpApi_ListPathServer) error {
	r4 := &api.ListPathRequest{
		TableType: tableType(r.TableType), Name: r.Name, Family: family4(r.Family), EnableFiltered: r.EnableFiltered,
	}
	for _, p := range r.Prefixes {
		r4.Prefixes = append(r4.Prefixes, &api.TableLookupPrefix{Prefix: p.Prefix, Rd: p.Rd, Type: api.TableLookupPrefix_Type(p.Type + 1)})
	}
	return l.speaker.eachDestination(stream.Context(), r4, func(prefix string, paths []*apiutil.Path) error {
		d := &api3.Destination{Prefix: prefix}
		for _, p := range paths {
			d.Paths = append(d.Paths, path3(p))
		}
		return stream.Send(&api3.ListPathResponse{Destination: d})
	})
}

// path3 gives NLRI and attributes in binary: that form is the protocol's own and
// the same in v3.
func path3(p *apiutil.Path) *api3.Path {
	nlri, attributes := octets(p)
	out := &api3.Path{
		NlriBinary: nlri, PattrsBinary: attributes, Age: timestamppb.New(time.Unix(p.Age, 0)), Best: p.Best,
		IsWithdraw: p.Withdrawal, Stale: p.Stale, Filtered: p.Filtered, SourceAsn: p.PeerASN,
		Family: &api3.Family{Afi: api3.Family_Afi(p.Family.Afi()), Safi: api3.Family_Safi(p.Family.Safi())}, Validation: &api3.Validation{},
	}
	out.SourceId, out.NeighborIp = sourceOf(p)
	return out
}

// ListPeer shows sessions.
func (l *look3) ListPeer(r *api3.ListPeerRequest, stream api3.GobgpApi_ListPeerServer) error {
	r4 := &api.ListPeerRequest{Address: r.Address, EnableAdvertised: r.EnableAdvertised}
	return l.speaker.eachPeer(stream.Context(), r4, func(p *api.Peer) error {
		return stream.Send(&api3.ListPeerResponse{Peer: peer3(p)})
	})
}

func peer3(p *api.Peer) *api3.Peer {
	out := &api3.Peer{
		ApplyPolicy:  &api3.ApplyPolicy{},
		Conf:         conf3(p.Conf),
		EbgpMultihop: &api3.EbgpMultihop{Enabled: p.EbgpMultihop.GetEnabled(), MultihopTtl: p.EbgpMultihop.GetMultihopTtl()},
		TtlSecurity:  &api3.TtlSecurity{Enabled: p.TtlSecurity.GetEnabled(), TtlMin: p.TtlSecurity.GetTtlMin()},
		State:        state3(p.State),
		Timers:       timers3(p.Timers),
		Transport: &api3.Transport{
			LocalAddress: p.Transport.GetLocalAddress(), LocalPort: p.Transport.GetLocalPort(),
			PassiveMode: p.Transport.GetPassiveMode(), RemotePort: p.Transport.GetRemotePort(),
		},
		RouteReflector: &api3.RouteReflector{},
		RouteServer:    &api3.RouteServer{},
		GracefulRestart: &api3.GracefulRestart{
			Enabled: p.GracefulRestart.GetEnabled(), RestartTime: p.GracefulRestart.GetRestartTime(),
			DeferralTime: p.GracefulRestart.GetDeferralTime(), PeerRestartTime: p.GracefulRestart.GetPeerRestartTime(),
			PeerRestarting: p.GracefulRestart.GetPeerRestarting(), LocalRestarting: p.GracefulRestart.GetLocalRestarting(),
		},
	}
	for _, f := range p.AfiSafis {
		out.AfiSafis = append(out.AfiSafis, afiSafi3(f))
	}
	return out
}

func conf3(c *api.PeerConf) *api3.PeerConf {
	return &api3.PeerConf{
		Description: c.GetDescription(), LocalAsn: c.GetLocalAsn(), NeighborAddress: c.GetNeighborAddress(),
		PeerAsn: c.GetPeerAsn(), Type: peerType3(c.GetType()), NeighborInterface: c.GetNeighborInterface(), AdminDown: c.GetAdminDown(),
	}
}

func peerType3(t api.PeerType) api3.PeerType {
	if t == api.PeerType_PEER_TYPE_EXTERNAL {
		return api3.PeerType_EXTERNAL
	}
	return api3.PeerType_INTERNAL
}

func state3(s *api.PeerState) *api3.PeerState {
	return &api3.PeerState{
		LocalAsn: s.GetLocalAsn(), PeerAsn: s.GetPeerAsn(), NeighborAddress: s.GetNeighborAddress(), Type: peerType3(s.GetType()),
		Messages:     &api3.Messages{Received: message3(s.GetMessages().GetReceived()), Sent: message3(s.GetMessages().GetSent())},
		Queues:       &api3.Queues{},
		SessionState: api3.PeerState_SessionState(s.GetSessionState()),
		AdminState:   adminState3(s.GetAdminState()),
		Flops:        s.GetFlops(), RouterId: s.GetRouterId(),
		RemoteCap: capabilities3(s.GetRemoteCap()), LocalCap: capabilities3(s.GetLocalCap()),
	}
}

func adminState3(s api.PeerState_AdminState) api3.PeerState_AdminState {
	switch s {
	case api.PeerState_ADMIN_STATE_DOWN:
		return api3.PeerState_DOWN
	case api.PeerState_ADMIN_STATE_PFX_CT:
		return api3.PeerState_PFX_CT
	}
	return api3.PeerState_UP
}

func message3(m *api.Message) *api3.Message {
	return &api3.Message{
		Notification: m.GetNotification(), Update: m.GetUpdate(), Open: m.GetOpen(), Keepalive: m.GetKeepalive(),
		Refresh: m.GetRefresh(), Discarded: m.GetDiscarded(), Total: m.GetTotal(),
		WithdrawUpdate: m.GetWithdrawUpdate(), WithdrawPrefix: m.GetWithdrawPrefix(),
	}
}

func timers3(t *api.Timers) *api3.Timers {
	c, s := t.GetConfig(), t.GetState()
	return &api3.Timers{
		Config: &api3.TimersConfig{
			ConnectRetry: c.GetConnectRetry(), HoldTime: c.GetHoldTime(), KeepaliveInterval: c.GetKeepaliveInterval(),
			IdleHoldTimeAfterReset: c.GetIdleHoldTimeAfterReset(),
		},
		State: &api3.TimersState{
			KeepaliveInterval: s.GetKeepaliveInterval(), NegotiatedHoldTime: s.GetNegotiatedHoldTime(),
			Uptime: orEpoch(s.GetUptime()), Downtime: orEpoch(s.GetDowntime()),
		},
	}
}

// orEpoch is 1970 for a time that is not set, as GoBGP v3 itself sends it.
func orEpoch(t *timestamppb.Timestamp) *timestamppb.Timestamp {
	if t == nil {
		return &timestamppb.Timestamp{}
	}
	return t
}

func afiSafi3(f *api.AfiSafi) *api3.AfiSafi {
	graceful := f.GetMpGracefulRestart()
	out := &api3.AfiSafi{
		Config: &api3.AfiSafiConfig{Family: family3(f.GetConfig().GetFamily()), Enabled: f.GetConfig().GetEnabled()},
		MpGracefulRestart: &api3.MpGracefulRestart{
			Config: &api3.MpGracefulRestartConfig{Enabled: graceful.GetConfig().GetEnabled()},
			State: &api3.MpGracefulRestartState{
				Enabled: graceful.GetState().GetEnabled(), Received: graceful.GetState().GetReceived(),
				Advertised: graceful.GetState().GetAdvertised(), EndOfRibReceived: graceful.GetState().GetEndOfRibReceived(),
				EndOfRibSent: graceful.GetState().GetEndOfRibSent(),
			},
		},
		State:                    &api3.AfiSafiState{Family: family3(f.GetConfig().GetFamily()), Enabled: f.GetState().GetEnabled()},
		ApplyPolicy:              &api3.ApplyPolicy{},
		PrefixLimits:             &api3.PrefixLimit{Family: family3(f.GetConfig().GetFamily())},
		LongLivedGracefulRestart: &api3.LongLivedGracefulRestart{Config: &api3.LongLivedGracefulRestartConfig{}, State: &api3.LongLivedGracefulRestartState{}},
		RouteTargetMembership:    &api3.RouteTargetMembership{Config: &api3.RouteTargetMembershipConfig{}, State: &api3.RouteTargetMembershipState{}},
		RouteSelectionOptions:    &api3.RouteSelectionOptions{Config: &api3.RouteSelectionOptionsConfig{}, State: &api3.RouteSelectionOptionsState{}},
		UseMultiplePaths:         &api3.UseMultiplePaths{Config: &api3.UseMultiplePathsConfig{}, State: &api3.UseMultiplePathsState{}},
		AddPaths:                 &api3.AddPaths{Config: &api3.AddPathsConfig{}, State: &api3.AddPathsState{}},
	}
	if s := f.GetState(); s != nil {
		out.State.Received, out.State.Accepted, out.State.Advertised = s.Received, s.Accepted, s.Advertised
	}
	return out
}

// capabilities3 leaves out what v3 does not know.
func capabilities3(in []*api.Capability) []*anypb.Any {
	var out []*anypb.Any
	for _, c := range in {
		m := capability3(c)
		if m == nil {
			continue
		}
		if a, err := anypb.New(m); err == nil {
			out = append(out, a)
		}
	}
	return out
}

func capability3(c *api.Capability) proto.Message {
	switch c := c.Cap.(type) {
	case *api.Capability_MultiProtocol:
		return &api3.MultiProtocolCapability{Family: family3(c.MultiProtocol.GetFamily())}
	case *api.Capability_RouteRefresh:
		return &api3.RouteRefreshCapability{}
	case *api.Capability_EnhancedRouteRefresh:
		return &api3.EnhancedRouteRefreshCapability{}
	case *api.Capability_RouteRefreshCisco:
		return &api3.RouteRefreshCiscoCapability{}
	case *api.Capability_FourOctetAsn:
		return &api3.FourOctetASNCapability{Asn: c.FourOctetAsn.GetAsn()}
	case *api.Capability_Fqdn:
		return &api3.FqdnCapability{HostName: c.Fqdn.GetHostName(), DomainName: c.Fqdn.GetDomainName()}
	case *api.Capability_SoftwareVersion:
		return &api3.SoftwareVersionCapability{SoftwareVersion: c.SoftwareVersion.GetSoftwareVersion()}
	case *api.Capability_ExtendedNexthop:
		out := &api3.ExtendedNexthopCapability{}
		for _, t := range c.ExtendedNexthop.GetTuples() {
			out.Tuples = append(out.Tuples, &api3.ExtendedNexthopCapabilityTuple{
				NlriFamily: family3(t.GetNlriFamily()), NexthopFamily: family3(t.GetNexthopFamily()),
			})
		}
		return out
	case *api.Capability_GracefulRestart:
		out := &api3.GracefulRestartCapability{Flags: c.GracefulRestart.GetFlags(), Time: c.GracefulRestart.GetTime()}
		for _, t := range c.GracefulRestart.GetTuples() {
			out.Tuples = append(out.Tuples, &api3.GracefulRestartCapabilityTuple{Family: family3(t.GetFamily()), Flags: t.GetFlags()})
		}
		return out
	}
	return nil
}
