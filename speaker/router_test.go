package speaker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	gobgp "github.com/osrg/gobgp/v4/pkg/server"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/fairway-bgp/fairway/e2e/rapidseed"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// patience bounds every wait. A first dial alone takes up to two seconds.
const patience = 30 * time.Second

// nextAddress gives each test loopback addresses of its own.
var nextAddress atomic.Uint32

func loopback() netip.Addr {
	n := nextAddress.Add(1)
	return netip.AddrFrom4([4]byte{127, byte(64 + os.Getpid()%128), byte(n >> 8), byte(n)})
}

// TestMain is also the router: each runs in a process of its own, because two
// GoBGPs in one process share package-level variables (see Speaker.tables).
func TestMain(m *testing.M) {
	if socket := os.Getenv("SPEAKER_TEST_ROUTER"); socket != "" {
		gobgp.NewBgpServer(gobgp.GrpcListenAddress("unix://" + socket)).Serve()
		return
	}
	rapidseed.Main(m)
}

// router is the other end: a GoBGP that waits for one neighbour and keeps what it
// is sent. Its own gRPC API drives it.
type router struct {
	api.GoBgpServiceClient
	t         testing.TB
	name      string
	addr      netip.Addr
	port      uint16
	asn       uint32
	neighbour netip.Addr

	mu   sync.Mutex
	seen []string
}

// startRouter gives a GoBGP process that ends with the test.
func startRouter(t testing.TB) api.GoBgpServiceClient {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "SPEAKER_TEST_ROUTER="+socket)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		// The parent whose death counts is a thread, and BFD's loops end those that they had.
		runtime.LockOSThread()
		err := c.Start()
		started <- err
		if err == nil {
			_ = c.Wait() // killed
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)), grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, MaxDelay: 100 * time.Millisecond, Multiplier: 1},
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		c.Process.Kill()
		<-ended
	})
	return api.NewGoBgpServiceClient(conn)
}

// newRouter starts a router with its side of the session; change may adapt it.
func newRouter(t testing.TB, name string, asn, speakerASN uint32, neighbour netip.Addr, change ...func(*router, *api.Peer)) *router {
	t.Helper()
	r := &router{GoBgpServiceClient: startRouter(t), t: t, name: name, addr: loopback(), asn: asn, neighbour: neighbour}
	r.port = freePort(t, r.addr)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	_, err := r.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
		Asn: asn, RouterId: r.addr.String(), ListenPort: int32(r.port), ListenAddresses: []string{r.addr.String()},
	}})
	if err != nil {
		t.Fatal(err)
	}
	peer := &api.Peer{
		Conf:      &api.PeerConf{NeighborAddress: neighbour.String(), PeerAsn: speakerASN, LocalAsn: asn},
		Transport: &api.Transport{PassiveMode: true},
		AfiSafis: []*api.AfiSafi{
			{Config: &api.AfiSafiConfig{Family: apiFamily(policy.IPv4Unicast), Enabled: true}},
			{Config: &api.AfiSafiConfig{Family: apiFamily(policy.IPv6Unicast), Enabled: true}},
		},
	}
	for _, c := range change {
		c(r, peer)
	}
	if _, err := r.AddPeer(ctx, &api.AddPeerRequest{Peer: peer}); err != nil {
		t.Fatal(err)
	}
	watch, err := r.WatchEvent(ctx, &api.WatchEventRequest{Table: &api.WatchEventRequest_Table{
		Filters: []*api.WatchEventRequest_Table_Filter{{Type: api.WatchEventRequest_Table_Filter_TYPE_ADJIN}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	go r.listen(watch)
	return r
}

// listen keeps a line for each prefix that comes in.
func (r *router) listen(watch grpc.ServerStreamingClient[api.WatchEventResponse]) {
	for {
		e, err := watch.Recv()
		if err != nil {
			return
		}
		r.mu.Lock()
		for _, p := range e.GetTable().GetPaths() {
			sign := "+"
			if p.IsWithdraw {
				sign = "-"
			}
			if nlri, err := apiutil.GetNativeNlri(p); err == nil {
				r.seen = append(r.seen, sign+nlri.String())
			}
		}
		r.mu.Unlock()
	}
}

func freePort(t testing.TB, a netip.Addr) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

// forget empties the list of what was seen.
func (r *router) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = nil
}

// heard gives what the router was sent since forget: "+prefix" and "-prefix",
// sorted.
func (r *router) heard() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.seen))
}

// peer gives the router's view of the session.
func (r *router) peer() *api.Peer {
	stream, err := r.ListPeer(context.Background(), &api.ListPeerRequest{})
	if err != nil {
		r.t.Fatal(err)
	}
	m, err := stream.Recv()
	if err != nil {
		r.t.Fatal(err)
	}
	return m.Peer
}

// received gives the UPDATE messages that came in since the session is there.
func (r *router) received() uint64 { return r.peer().State.Messages.Received.Update }

// table gives what the router now has, one line a prefix, with all attributes
// but the origin.
func (r *router) table() []string {
	out := []string{}
	for _, family := range []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast} {
		stream, err := r.ListPath(context.Background(), &api.ListPathRequest{
			TableType: api.TableType_TABLE_TYPE_ADJ_IN, Name: r.neighbour.String(), Family: apiFamily(family),
		})
		for err == nil {
			var m *api.ListPathResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			for _, p := range m.Destination.Paths {
				attrs, err := apiutil.GetNativePathAttributes(p)
				if err != nil {
					r.t.Fatal(err)
				}
				out = append(out, m.Destination.Prefix+" "+attributesText(attrs))
			}
		}
		if !errors.Is(err, io.EOF) {
			r.t.Fatalf("%s: %v", r.name, err)
		}
	}
	slices.Sort(out)
	return out
}

func attributesText(attrs []bgp.PathAttributeInterface) string {
	var out []string
	for _, a := range attrs {
		switch a := a.(type) {
		case *bgp.PathAttributeOrigin:
		case *bgp.PathAttributeAsPath:
			out = append(out, "as="+asPath(a))
		case *bgp.PathAttributeNextHop:
			out = append(out, "via="+a.Value.String())
		case *bgp.PathAttributeMpReachNLRI:
			out = append(out, "via="+a.Nexthop.String())
		case *bgp.PathAttributeMultiExitDisc:
			out = append(out, fmt.Sprintf("med=%d", a.Value))
		case *bgp.PathAttributeLocalPref:
			out = append(out, fmt.Sprintf("pref=%d", a.Value))
		case *bgp.PathAttributeCommunities:
			var cs []string
			for _, c := range a.Value {
				cs = append(cs, routes.Community(c).String())
			}
			out = append(out, "com="+strings.Join(cs, ","))
		case *bgp.PathAttributeLargeCommunities:
			var cs []string
			for _, c := range a.Values {
				cs = append(cs, c.String())
			}
			out = append(out, "large="+strings.Join(cs, ","))
		default:
			out = append(out, "unexpected="+a.GetType().String())
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func asPath(a *bgp.PathAttributeAsPath) string {
	var out []string
	for _, segment := range a.Value {
		for _, asn := range segment.GetAS() {
			out = append(out, fmt.Sprint(asn))
		}
	}
	return strings.Join(out, " ")
}

// wantTable waits until the router's table is exactly this.
func (r *router) wantTable(want ...string) {
	r.t.Helper()
	if want == nil {
		want = []string{}
	}
	slices.Sort(want)
	var have []string
	if !within(patience, func() bool { have = r.table(); return slices.Equal(have, want) }) {
		r.t.Fatalf("%s has\n\t%s\nnot\n\t%s", r.name, strings.Join(have, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// session gives the speaker's side of the session with the router.
func (r *router) session(localASN uint32) policy.Session {
	return policy.Session{Peer: r.name, LocalASN: localASN, SessionSettings: policy.SessionSettings{
		Address: r.addr, Port: r.port, PeerASN: r.asn, SourceAddress: r.neighbour,
		HoldTime: 90 * time.Second, KeepaliveTime: 30 * time.Second, ConnectRetryTime: 2 * time.Second,
		Families: []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast},
	}}
}

// within asks until the answer is yes.
func within(d time.Duration, yes func() bool) bool {
	for end := time.Now().Add(d); ; time.Sleep(10 * time.Millisecond) {
		if yes() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

func quiet() *logrus.Entry {
	l := logrus.New()
	l.SetOutput(io.Discard)
	if os.Getenv("SPEAKER_TEST_LOG") != "" {
		l.SetOutput(os.Stderr)
		l.SetLevel(logrus.DebugLevel)
	}
	return logrus.NewEntry(l)
}

// running gives a speaker that runs until the test is over.
func running(t testing.TB, o Options) *Speaker {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet()
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s)
	return s
}

// serve runs a speaker until the test is over, or until stop is called.
func serve(t testing.TB, s *Speaker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-over; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func mustSync(t testing.TB, s *Speaker, w policy.Wish) {
	t.Helper()
	if err := s.Sync(context.Background(), w); err != nil {
		t.Fatal(err)
	}
}

func observe(t testing.TB, s *Speaker) Observed {
	t.Helper()
	o, err := s.Observe(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func sessionOf(t testing.TB, s *Speaker, peer string) Session {
	t.Helper()
	for _, session := range observe(t, s).Sessions {
		if session.Peer == peer {
			return session
		}
	}
	return Session{}
}

// gobgpPeer gives GoBGP's own picture of a session, with what a Session does not
// tell; nil where there is none.
func gobgpPeer(t testing.TB, s *Speaker, r *router) *api.Peer {
	t.Helper()
	var out *api.Peer
	for _, srv := range s.view.Load().servers {
		err := srv.ListPeer(context.Background(), &api.ListPeerRequest{}, func(p *api.Peer) {
			if p.Conf.NeighborAddress == r.addr.String() {
				out = p
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// holdTime gives the one that was negotiated with a router.
func holdTime(t testing.TB, s *Speaker, r *router) time.Duration {
	return time.Duration(gobgpPeer(t, s, r).GetTimers().GetState().GetNegotiatedHoldTime()) * time.Second
}

// settled gives the session with a router once every part of it is known: GoBGP
// counts what it has sent, and tells of a change, a moment after the peer has it.
func settled(t testing.TB, s *Speaker, r *router) Session {
	t.Helper()
	if !within(patience, func() bool {
		return s.journal.of(r.addr).state == bgp.BGP_FSM_ESTABLISHED && gobgpPeer(t, s, r).GetState().GetMessages().GetSent().GetUpdate() == r.received()
	}) {
		t.Fatalf("session %s: %+v, and the router received %d", r.name, sessionOf(t, s, r.name), r.received())
	}
	return sessionOf(t, s, r.name)
}

// wantEstablished waits until the peers' sessions are up.
func wantEstablished(t testing.TB, s *Speaker, peers ...string) {
	t.Helper()
	for _, p := range peers {
		if !within(patience, func() bool { return sessionOf(t, s, p).State == Established }) {
			t.Fatalf("session %s is not established: %+v", p, sessionOf(t, s, p))
		}
	}
}

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func ptr[T any](v T) *T { return &v }
