package speaker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	api3 "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v4/api"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/fairway-bgp/fairway/policy"
)

// unread are more paths than a reader's window, and what the server writes ahead,
// take in: who sends them waits for the reader.
const unread = 5000

// watched gives a speaker with many paths, an established session with a router,
// and the socket of its API.
func watched(t *testing.T) (*Speaker, policy.Wish, *router, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "gobgp.sock")
	r := newRouter(t, "tor-a", 65100, ours, loopback())
	s := running(t, Options{GRPCSocket: socket})
	w := wishFor(r.session(ours))
	w.RIB = manyPaths(unread, 1)
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{})}
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-a")
	return s, w, r, socket
}

// reading opens a connection of its own with the smallest window.
func reading(t *testing.T, socket string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(65535), grpc.WithInitialConnWindowSize(65535))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// stalled are calls of both dialects that answer with more than their reader
// takes: each reads the first message, and then no more.
func stalled() map[string]func(context.Context, *grpc.ClientConn, *router) error {
	first := func(recv func() error, err error) error {
		if err != nil {
			return err
		}
		return recv()
	}
	return map[string]func(context.Context, *grpc.ClientConn, *router) error{
		"v3 ListPath": func(ctx context.Context, c *grpc.ClientConn, _ *router) error {
			s, err := api3.NewGobgpApiClient(c).ListPath(ctx, &api3.ListPathRequest{Family: &api3.Family{Afi: 1, Safi: 1}})
			return first(func() error { _, err := s.Recv(); return err }, err)
		},
		"v3 ListPath of what is sent": func(ctx context.Context, c *grpc.ClientConn, r *router) error {
			s, err := api3.NewGobgpApiClient(c).ListPath(ctx, &api3.ListPathRequest{TableType: api3.TableType_ADJ_OUT, Name: r.addr.String(), Family: &api3.Family{Afi: 1, Safi: 1}})
			return first(func() error { _, err := s.Recv(); return err }, err)
		},
		"v4 ListPath": func(ctx context.Context, c *grpc.ClientConn, _ *router) error {
			s, err := api.NewGoBgpServiceClient(c).ListPath(ctx, &api.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: apiFamily(policy.IPv4Unicast)})
			return first(func() error { _, err := s.Recv(); return err }, err)
		},
		"v4 ListPath of what is sent": func(ctx context.Context, c *grpc.ClientConn, r *router) error {
			s, err := api.NewGoBgpServiceClient(c).ListPath(ctx, &api.ListPathRequest{TableType: api.TableType_TABLE_TYPE_ADJ_OUT, Name: r.addr.String(), Family: apiFamily(policy.IPv4Unicast)})
			return first(func() error { _, err := s.Recv(); return err }, err)
		},
		"v4 WatchEvent": func(ctx context.Context, c *grpc.ClientConn, _ *router) error {
			s, err := api.NewGoBgpServiceClient(c).WatchEvent(ctx, &api.WatchEventRequest{Peer: &api.WatchEventRequest_Peer{}, Table: &api.WatchEventRequest_Table{
				Filters: []*api.WatchEventRequest_Table_Filter{{Type: api.WatchEventRequest_Table_Filter_TYPE_BEST, Init: true}},
			}})
			return first(func() error { _, err := s.Recv(); return err }, err)
		},
	}
}

// TestSessionsComeBackWhileReadersDoNotRead: a new router ID starts GoBGP anew,
// for which nobody may look at a table.
func TestSessionsComeBackWhileReadersDoNotRead(t *testing.T) {
	s, w, r, socket := watched(t)
	for name, open := range stalled() {
		if err := open(t.Context(), reading(t, socket), r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for _, id := range []string{"192.0.2.70", "192.0.2.71"} {
		w.RouterID = netip.MustParseAddr(id)
		if err := s.Sync(ctx, w); err != nil {
			t.Fatal(err)
		}
		wantEstablished(t, s, "tor-a")
		if !within(patience, func() bool { return r.peer().State.RouterId == id && len(r.table()) == unread }) {
			t.Fatalf("the router has %d paths of %s", len(r.table()), r.peer().State.RouterId)
		}
	}
	if err := s.Stop(ctx, "over"); err != nil {
		t.Error(err)
	}
}

// TestAReaderThatDoesNotReadIsCutOff has more of them than there is room for: they
// go, and who reads gets everything.
func TestAReaderThatDoesNotReadIsCutOff(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "gobgp.sock")
	s, err := New(Options{Log: quiet(), GRPCSocket: socket})
	if err != nil {
		t.Fatal(err)
	}
	s.looking.readPatience = 300 * time.Millisecond
	serve(t, s)
	r := newRouter(t, "tor-a", 65100, ours, loopback())
	w := wishFor(r.session(ours))
	w.RIB = manyPaths(unread, 1)
	mustSync(t, s, w)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request := &api.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: apiFamily(policy.IPv4Unicast)}
	var stuck []grpc.ServerStreamingClient[api.ListPathResponse]
	for range mostLists + 2 {
		list, err := api.NewGoBgpServiceClient(reading(t, socket)).ListPath(ctx, request)
		if err == nil {
			_, err = list.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
		stuck = append(stuck, list)
	}
	count := func(list grpc.ServerStreamingClient[api.ListPathResponse], err error) (int, error) {
		for n := 0; ; n++ {
			if err == nil {
				_, err = list.Recv()
			}
			if err != nil {
				return n, err
			}
		}
	}
	if n, err := count(api.NewGoBgpServiceClient(reading(t, socket)).ListPath(ctx, request)); n != unread || err != io.EOF {
		t.Errorf("a reader got %d of %d: %v", n, unread, err)
	}
	cut := 0
	for _, list := range stuck {
		n, err := count(list, nil)
		switch {
		case status.Code(err) == codes.DeadlineExceeded && strings.Contains(err.Error(), "nothing was read"):
			cut++
		case err != io.EOF: // its turn came late, and it reads in time after all
			t.Errorf("one that did not read got %d of %d: %v", n, unread, err)
		}
	}
	if room := len(stuck) + 1 - mostLists; cut < room {
		t.Errorf("%d were cut off, which is no room for %d", cut, room)
	}
}

func TestOnlySoManyWatch(t *testing.T) {
	_, _, _, socket := watched(t)
	client := api.NewGoBgpServiceClient(reading(t, socket))
	watch := func() (err error) {
		events, err := client.WatchEvent(t.Context(), &api.WatchEventRequest{Peer: &api.WatchEventRequest_Peer{}})
		if err == nil {
			_, err = events.Recv()
		}
		return err
	}
	for range mostWatchers {
		if err := watch(); err != nil {
			t.Fatal(err)
		}
	}
	if err := watch(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one more: %v", err)
	}
}

// TestTheMuteHoldNothingUp connects and says nothing, more often than there is
// room for.
func TestTheMuteHoldNothingUp(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "gobgp.sock")
	s, err := New(Options{Log: quiet(), GRPCSocket: socket})
	if err != nil {
		t.Fatal(err)
	}
	stop := serve(t, s)
	<-s.running
	var mute []net.Conn
	for range mostConns + 5 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		mute = append(mute, c)
	}
	closed := func(c net.Conn) bool {
		c.SetReadDeadline(time.Now().Add(patience))
		_, err := io.Copy(io.Discard, c) // what gRPC says first
		return err == nil
	}
	if !closed(mute[len(mute)-1]) {
		t.Error("one too many was let in")
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > patience {
		t.Errorf("the end took %s", took)
	}
	if !closed(mute[0]) {
		t.Error("a connection is left")
	}
}

// TestNothingWaitsForAGoBGPThatHangs: whoever reads the log does not, so that GoBGP
// hangs in a line of it.
func TestNothingWaitsForAGoBGPThatHangs(t *testing.T) {
	for name, call := range map[string]func(*Speaker, context.Context, policy.Wish) error{
		"Sync":    (*Speaker).Sync,
		"Stop":    func(s *Speaker, ctx context.Context, _ policy.Wish) error { return s.Stop(ctx, "over") },
		"restart": func(s *Speaker, ctx context.Context, _ policy.Wish) error { return s.StopForRestart(ctx) },
		"Observe": func(s *Speaker, ctx context.Context, _ policy.Wish) error { _, err := s.Observe(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &plug{}
			defer log.pull()
			s, w := hanging(t, log)
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- call(s, ctx, w) }()
			select {
			case err := <-done:
				if !errors.Is(err, context.DeadlineExceeded) && name != "Observe" { // it may need nobody that hangs
					t.Errorf("%v", err)
				}
			case <-time.After(patience):
				t.Error("it hangs")
			}
			log.pull()
			ctx, cancel = context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := s.Stop(ctx, "over"); err != nil {
				t.Errorf("GoBGP answers again: %v", err)
			}
		})
	}
}

// hanging gives a speaker that cannot log, with a session of which GoBGP's own loop has a
// line to say, and a wish that is new to it.
func hanging(t *testing.T, log *plug) (*Speaker, policy.Wish) {
	t.Helper()
	logger := logrus.New()
	logger.SetOutput(log)
	logger.SetLevel(logrus.DebugLevel)
	r := newRouter(t, "tor-a", 65100, ours, loopback())
	s := running(t, Options{Log: logrus.NewEntry(logger)})
	w := wishFor(r.session(ours))
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-a")
	log.put()
	if _, err := r.DisablePeer(t.Context(), &api.DisablePeerRequest{Address: r.neighbour.String()}); err != nil {
		t.Fatal(err)
	}
	w.RIB = manyPaths(10, 1)
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{})}
	return s, w
}

// plug is a writer that can be stopped up.
type plug struct {
	mu  sync.Mutex
	out chan struct{} // nil where it flows
}

func (p *plug) put() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = make(chan struct{})
}

func (p *plug) pull() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != nil {
		close(p.out)
	}
	p.out = nil
}

func (p *plug) Write(b []byte) (int, error) {
	p.mu.Lock()
	out := p.out
	p.mu.Unlock()
	if out != nil {
		<-out
	}
	return len(b), nil
}

// TestRequestsAreSmallAndFew: what a client sends costs room and time before anybody
// has looked at it.
func TestRequestsAreSmallAndFew(t *testing.T) {
	_, _, _, socket := watched(t)
	conn := reading(t, socket)
	client := api.NewGoBgpServiceClient(conn)
	r := &api.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: apiFamily(policy.IPv4Unicast)}
	for len(r.Prefixes) < mostRequest/8 {
		r.Prefixes = append(r.Prefixes, &api.TableLookupPrefix{Prefix: "10.0.0.0/24"})
	}
	paths, err := client.ListPath(t.Context(), r)
	if err == nil {
		_, err = paths.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "larger than max") {
		t.Errorf("a long request: %v", err)
	}
	refused := 0
	for range callsAtOnce + 10*callsPerSecond {
		_, err := client.GetBgp(t.Context(), &api.GetBgpRequest{})
		if status.Code(err) == codes.ResourceExhausted {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Error("a flood of calls is let in")
	}
	if !within(patience, func() bool {
		_, err := client.GetBgp(t.Context(), &api.GetBgpRequest{})
		return err == nil
	}) {
		t.Error("nobody may call any more")
	}
}
