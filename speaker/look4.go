package speaker

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	gobgp "github.com/osrg/gobgp/v4/pkg/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// look4 is GoBGP v4's service, as far as there is something to see. GoBGP's own
// implementation would show passwords, and knows one server only.
type look4 struct {
	api.UnimplementedGoBgpServiceServer
	speaker *Speaker
}

// servers is empty as long as no session is wanted.
func (s *Speaker) servers() []*server { return s.view.Load().servers }

// serverOf gives the server that has the peer; the first one for "".
func (s *Speaker) serverOf(ctx context.Context, peer string) (*server, error) {
	servers := s.servers()
	if len(servers) == 0 {
		return nil, status.Error(codes.FailedPrecondition, "BGP has not started: no BGPPeer selects this node")
	}
	if peer == "" {
		return servers[0], nil
	}
	a, err := netip.ParseAddr(peer)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "neighbor %q: %v", peer, err)
	}
	for _, srv := range servers {
		found := false
		if err := srv.ListPeer(ctx, &api.ListPeerRequest{Address: a.String()}, func(*api.Peer) { found = true }); err != nil {
			return nil, err
		}
		if found {
			return srv, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "no neighbor %s", a)
}

// eachPeer gives all peers, without passwords, described by their BGPPeer's name.
func (s *Speaker) eachPeer(ctx context.Context, r *api.ListPeerRequest, fn func(*api.Peer) error) error {
	return s.looking.list(ctx, func(ctx context.Context) error { return s.sendPeers(ctx, r, fn) })
}

func (s *Speaker) sendPeers(ctx context.Context, r *api.ListPeerRequest, fn func(*api.Peer) error) error {
	v := s.view.Load()
	for _, srv := range v.servers {
		var sendErr error
		err := srv.ListPeer(ctx, r, func(p *api.Peer) {
			if sendErr != nil {
				return
			}
			p.Conf.AuthPassword = ""
			if a, err := netip.ParseAddr(p.Conf.NeighborAddress); err == nil {
				p.Conf.Description = v.peers[a]
				showReceived(p, s.journal.of(a).received)
			}
			sendErr = fn(p)
		})
		if sendErr != nil {
			return sendErr
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// showReceived says what the peer has announced in the place of what GoBGP has of it.
func showReceived(p *api.Peer, n receivedPrefixes) {
	for _, f := range p.AfiSafis {
		if f.State != nil {
			f.State.Received, f.State.Accepted = uint64(n.of(familyOf(f.State.Family))), 0
		}
	}
}

// GetBgp shows router id and AS.
func (l *look4) GetBgp(ctx context.Context, r *api.GetBgpRequest) (*api.GetBgpResponse, error) {
	srv, err := l.speaker.serverOf(ctx, "")
	if err != nil {
		return nil, err
	}
	return srv.GetBgp(ctx, r)
}

// ListPeer shows sessions.
func (l *look4) ListPeer(r *api.ListPeerRequest, stream grpc.ServerStreamingServer[api.ListPeerResponse]) error {
	return l.speaker.eachPeer(stream.Context(), r, func(p *api.Peer) error {
		return stream.Send(&api.ListPeerResponse{Peer: p})
	})
}

// adjacent reports whether a table belongs to one peer.
func adjacent(t api.TableType) bool {
	return t == api.TableType_TABLE_TYPE_ADJ_IN || t == api.TableType_TABLE_TYPE_ADJ_OUT
}

// tableServer gives the server that holds a table.
func (s *Speaker) tableServer(ctx context.Context, t api.TableType, name string) (*server, error) {
	if adjacent(t) {
		return s.serverOf(ctx, name)
	}
	return s.serverOf(ctx, "")
}

// GetTable shows how many paths a table has.
func (l *look4) GetTable(ctx context.Context, r *api.GetTableRequest) (*api.GetTableResponse, error) {
	return l.speaker.countTable(ctx, r)
}

func (s *Speaker) countTable(ctx context.Context, r *api.GetTableRequest) (out *api.GetTableResponse, err error) {
	err = s.looking.list(ctx, func(ctx context.Context) error {
		srv, err := s.tableServer(ctx, r.TableType, r.Name)
		if err != nil {
			return err
		}
		if r.TableType == api.TableType_TABLE_TYPE_ADJ_IN {
			out = &api.GetTableResponse{}
			return nil
		}
		out, err = srv.GetTable(ctx, r)
		return err
	})
	return out, err
}

// ListPath shows the paths of a table; adj-out has them as the peer gets them.
func (l *look4) ListPath(r *api.ListPathRequest, stream grpc.ServerStreamingServer[api.ListPathResponse]) error {
	return l.speaker.eachDestination(stream.Context(), r, func(prefix string, paths []*apiutil.Path) error {
		d := &api.Destination{Prefix: prefix}
		for _, p := range paths {
			d.Paths = append(d.Paths, apiPath(p))
		}
		return stream.Send(&api.ListPathResponse{Destination: d})
	})
}

func (s *Speaker) eachDestination(ctx context.Context, r *api.ListPathRequest, fn func(string, []*apiutil.Path) error) error {
	srv, err := s.tableServer(ctx, r.TableType, r.Name)
	if err != nil {
		return err
	}
	if r.TableType == api.TableType_TABLE_TYPE_ADJ_IN {
		return nil // nothing that a peer sends is kept
	}
	request := apiutil.ListPathRequest{
		TableType: r.TableType, Name: r.Name, Family: bgp.RF_IPv4_UC, SortType: r.SortType, EnableFiltered: r.EnableFiltered,
	}
	if r.Family != nil {
		request.Family = apiutil.ToFamily(r.Family)
	}
	for _, p := range r.Prefixes {
		request.Prefixes = append(request.Prefixes, &apiutil.LookupPrefix{
			Prefix: p.Prefix, RD: p.Rd, LookupOption: apiutil.LookupOptionFromAPI(p.Type),
		})
	}
	return s.looking.list(ctx, func(ctx context.Context) error {
		table, err := s.table(ctx, srv, request)
		if err != nil {
			return err
		}
		for _, d := range table {
			if ctx.Err() != nil {
				return status.Errorf(codes.DeadlineExceeded, "the table was not read within %s", listBound)
			}
			if err := fn(d.prefix, d.paths); err != nil {
				return err
			}
		}
		return nil
	})
}

// destination is one prefix of a table.
type destination struct {
	prefix string
	paths  []*apiutil.Path
}

// table copies what is asked for. Who is sent it may read slowly, or not at all,
// and GoBGP must not start while a table is read.
func (s *Speaker) table(ctx context.Context, srv *server, request apiutil.ListPathRequest) ([]destination, error) {
	if err := s.tables.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.tables.Release(1)
	var out []destination
	err := srv.ListPath(request, func(nlri bgp.NLRI, paths []*apiutil.Path) {
		out = append(out, destination{nlri.String(), paths})
	})
	return out, err
}

// apiPath gives a path in the decoded form and in the binary one: clients take
// either.
func apiPath(p *apiutil.Path) *api.Path {
	nlri, _ := apiutil.MarshalNLRI(p.Nlri)
	attributes, _ := apiutil.MarshalPathAttributes(p.Attrs)
	binaryNLRI, binaryAttributes := octets(p)
	out := &api.Path{
		Nlri: nlri, Pattrs: attributes, NlriBinary: binaryNLRI, PattrsBinary: binaryAttributes,
		Age: timestamppb.New(time.Unix(p.Age, 0)), Best: p.Best, IsWithdraw: p.Withdrawal, Stale: p.Stale,
		Family: apiutil.ToApiFamily(p.Family.Afi(), p.Family.Safi()), Filtered: p.Filtered,
		SourceAsn: p.PeerASN, Validation: &api.Validation{},
	}
	out.SourceId, out.NeighborIp = sourceOf(p)
	return out
}

func sourceOf(p *apiutil.Path) (id, address string) {
	if p.PeerID.IsValid() {
		id = p.PeerID.String()
	}
	address = "<nil>" // what GoBGP shows for a path of its own
	if p.PeerAddress.IsValid() {
		address = p.PeerAddress.String()
	}
	return id, address
}

func octets(p *apiutil.Path) (nlri []byte, attributes [][]byte) {
	nlri, _ = p.Nlri.Serialize()
	for _, a := range p.Attrs {
		if b, err := a.Serialize(); err == nil {
			attributes = append(attributes, b)
		}
	}
	return nlri, attributes
}

// ListPolicy shows the export rules.
func (l *look4) ListPolicy(r *api.ListPolicyRequest, stream grpc.ServerStreamingServer[api.ListPolicyResponse]) error {
	return eachServer(l.speaker, stream, func(srv *server, ctx context.Context, send func(*api.ListPolicyResponse)) error {
		return srv.ListPolicy(ctx, r, func(p *api.Policy) { send(&api.ListPolicyResponse{Policy: p}) })
	})
}

// ListStatement shows the statements of the export rules.
func (l *look4) ListStatement(r *api.ListStatementRequest, stream grpc.ServerStreamingServer[api.ListStatementResponse]) error {
	return eachServer(l.speaker, stream, func(srv *server, ctx context.Context, send func(*api.ListStatementResponse)) error {
		return srv.ListStatement(ctx, r, func(s *api.Statement) { send(&api.ListStatementResponse{Statement: s}) })
	})
}

// ListDefinedSet shows the sets that the statements name.
func (l *look4) ListDefinedSet(r *api.ListDefinedSetRequest, stream grpc.ServerStreamingServer[api.ListDefinedSetResponse]) error {
	return eachServer(l.speaker, stream, func(srv *server, ctx context.Context, send func(*api.ListDefinedSetResponse)) error {
		return srv.ListDefinedSet(ctx, r, func(d *api.DefinedSet) { send(&api.ListDefinedSetResponse{DefinedSet: d}) })
	})
}

// ListPolicyAssignment shows that all peers share one policy a direction.
func (l *look4) ListPolicyAssignment(r *api.ListPolicyAssignmentRequest, stream grpc.ServerStreamingServer[api.ListPolicyAssignmentResponse]) error {
	return eachServer(l.speaker, stream, func(srv *server, ctx context.Context, send func(*api.ListPolicyAssignmentResponse)) error {
		return srv.ListPolicyAssignment(ctx, r, func(a *api.PolicyAssignment) { send(&api.ListPolicyAssignmentResponse{Assignment: a}) })
	})
}

// eachServer streams what every server has to show.
func eachServer[T any](s *Speaker, stream grpc.ServerStreamingServer[T], list func(*server, context.Context, func(*T)) error) error {
	for _, srv := range s.servers() {
		var sendErr error
		err := list(srv, stream.Context(), func(m *T) {
			if sendErr == nil {
				sendErr = stream.Send(m)
			}
		})
		if sendErr != nil {
			return sendErr
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// WatchEvent streams changes of sessions and of best paths until the client goes.
func (l *look4) WatchEvent(r *api.WatchEventRequest, stream grpc.ServerStreamingServer[api.WatchEventResponse]) error {
	options := watchOptions(r)
	if len(options) == 0 {
		return status.Error(codes.InvalidArgument, "nothing to watch: ask for peers, or for best paths")
	}
	return l.speaker.looking.watch(func() error {
		// One goroutine sends: the servers call back from theirs.
		events := make(chan *api.WatchEventResponse, 64)
		ctx, end := context.WithCancelCause(stream.Context())
		defer end(nil)
		send := func(e *api.WatchEventResponse, at time.Time) {
			if !at.IsZero() && time.Since(at) > watchLag {
				// What GoBGP keeps for this watcher grows meanwhile.
				end(status.Errorf(codes.ResourceExhausted, "the reader is more than %s behind", watchLag))
			}
			select {
			case events <- e:
			case <-ctx.Done():
			}
		}
		for _, srv := range l.speaker.servers() {
			err := srv.WatchEvent(ctx, gobgp.WatchEventMessageCallbacks{
				OnBestPath:   func(paths []*apiutil.Path, at time.Time) { send(pathEvent(paths), at) },
				OnPeerUpdate: func(e *apiutil.WatchEventMessage_PeerEvent, at time.Time) { send(peerEvent(e), at) },
			}, options...)
			if err != nil {
				return err
			}
		}
		return l.speaker.pass(ctx, events, stream)
	})
}

// pass sends events until ctx is over.
func (s *Speaker) pass(ctx context.Context, events <-chan *api.WatchEventResponse, stream grpc.ServerStreamingServer[api.WatchEventResponse]) error {
	for {
		select {
		case e := <-events:
			if err := stream.Send(e); err != nil {
				return err
			}
		case <-s.ended:
			return nil
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
				return cause
			}
			return nil // the client has gone
		}
	}
}

func watchOptions(r *api.WatchEventRequest) []gobgp.WatchOption {
	var out []gobgp.WatchOption
	if r.Peer != nil {
		out = append(out, gobgp.WatchPeer())
	}
	for _, f := range r.GetTable().GetFilters() {
		if f.Type == api.WatchEventRequest_Table_Filter_TYPE_BEST {
			out = append(out, gobgp.WatchBestPath(f.Init))
		}
	}
	return out
}

func pathEvent(paths []*apiutil.Path) *api.WatchEventResponse {
	event := &api.WatchEventResponse_TableEvent{}
	for _, p := range paths {
		event.Paths = append(event.Paths, apiPath(p))
	}
	return &api.WatchEventResponse{Event: &api.WatchEventResponse_Table{Table: event}}
}

func peerEvent(e *apiutil.WatchEventMessage_PeerEvent) *api.WatchEventResponse {
	p := e.Peer
	remote, _ := apiutil.MarshalCapabilities(p.State.RemoteCap)
	local, _ := apiutil.MarshalCapabilities(p.State.LocalCap)
	return &api.WatchEventResponse{Event: &api.WatchEventResponse_Peer{Peer: &api.WatchEventResponse_PeerEvent{
		Type: api.WatchEventResponse_PeerEvent_Type(e.Type),
		Peer: &api.Peer{
			Conf: &api.PeerConf{PeerAsn: p.Conf.PeerASN, LocalAsn: p.Conf.LocalASN, NeighborAddress: p.Conf.NeighborAddress.String()},
			State: &api.PeerState{
				PeerAsn: p.State.PeerASN, LocalAsn: p.State.LocalASN, NeighborAddress: p.State.NeighborAddress.String(),
				// GoBGP's states count from 0, those of its API from 1.
				SessionState: api.PeerState_SessionState(p.State.SessionState + 1),
				AdminState:   p.State.AdminState, RouterId: p.State.RouterID.String(), RemoteCap: remote, LocalCap: local,
				DisconnectReason: p.State.DisconnectReason, DisconnectMessage: p.State.DisconnectMessage,
			},
			Transport: &api.Transport{
				LocalAddress: p.Transport.LocalAddress.String(), LocalPort: p.Transport.LocalPort, RemotePort: p.Transport.RemotePort,
			},
		},
	}}}
}
