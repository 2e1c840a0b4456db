package lab

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"

	"github.com/fairway-bgp/fairway/e2e/needs"
)

// The test binary is the fairway of its labs: started with the lab's marker in
// its environment it plays the lab's own processes, and a speaker that announces
// what the folder says, in as few lines as do.
func TestMain(m *testing.M) {
	if os.Getenv(marker) == "" {
		os.Exit(asked(m))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	log := logrus.New()
	var err error
	switch os.Args[1] {
	case "lab":
		err = Play(ctx, os.Args[3:], logrus.NewEntry(log))
	case "run":
		err = announce(ctx, os.Args[3], os.Args[5], os.Args[7])
	case "why":
		fmt.Println("nat  10.167.0.0/16  NATOutgoing  spec.natOutgoing is true")
		os.Exit(1)
	case "check":
		if slices.Contains(os.Args, "--fix") {
			err = exec.Command("iptables-nft", "-P", "FORWARD", "ACCEPT").Run()
			break
		}
		fmt.Println("wrong   forward-drop   10.166.0.0/16\n        got   iptables-nft filter FORWARD: policy DROP")
		os.Exit(1)
	case "plan":
		fmt.Println("# static routes\nip route replace 10.166.0.0/16 via 172.30.0.11\nip -6 route replace fd00:10:166::/64 via fd00:30::11")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// What a test asks of another process that runs this binary.
const (
	upEnv   = "LAB_TEST_UP"   // PREFIX:STATE, Up
	execEnv = "LAB_TEST_EXEC" // PREFIX NAME COMMAND..., Exec
)

// asked runs what the environment asks for, else the tests.
func asked(m *testing.M) int {
	var err error
	if prefix, state, ok := strings.Cut(os.Getenv(upEnv), ":"); ok {
		err = Up(context.Background(), Options{Prefix: prefix, State: state}, io.Discard)
	} else if words := strings.Fields(os.Getenv(execEnv)); len(words) > 2 {
		err = Exec(Options{Prefix: words[0]}, words[1], words[2:])
	} else {
		return m.Run()
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// announce dials the router and announces the Subnet "routed" from a node.
func announce(ctx context.Context, dir, name, socket string) error {
	s := server.NewBgpServer(
		server.LoggerOption(slog.New(slog.NewTextHandler(io.Discard, nil)), new(slog.LevelVar)),
		server.GrpcListenAddress("unix://"+socket), server.GrpcOption([]grpc.ServerOption{}))
	go s.Serve()
	me := nodes()[name[1]-'1']
	if err := s.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{Asn: NodeASN, RouterId: me.lan[0].Addr().String(), ListenPort: -1}}); err != nil {
		return err
	}
	peer := waitFor(addrOf(torLAN4))
	peer.Conf.PeerAsn, peer.Transport, peer.GracefulRestart = RouterASN, nil, nil
	for _, f := range peer.AfiSafis {
		f.MpGracefulRestart = nil
	}
	if err := s.AddPeer(ctx, &api.AddPeerRequest{Peer: peer}); err != nil {
		return err
	}
	have := map[netip.Prefix]*apiutil.Path{}
	for {
		c, problems, err := readCluster(dir)
		if err != nil {
			return err
		}
		for _, sub := range c.subnets {
			carries := sub.name != "nat" && (!sub.centralized || returnTable(activeGateways(sub, c.nodes)) == returnTable([]string{name}))
			for _, p := range sub.cidrs {
				var err error
				switch path := have[p]; {
				case carries && path == nil:
					have[p] = localPath(p, me)
					_, err = s.AddPath(apiutil.AddPathRequest{Paths: []*apiutil.Path{have[p]}})
				case !carries && path != nil && len(problems) == 0:
					delete(have, p)
					err = s.DeletePath(apiutil.DeletePathRequest{Paths: []*apiutil.Path{path}})
				}
				if err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			s.Stop()
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func localPath(p netip.Prefix, me station) *apiutil.Path {
	nlri, err := bgp.NewIPAddrPrefix(p)
	if err != nil {
		panic(err)
	}
	family, origin := bgp.RF_IPv4_UC, bgp.NewPathAttributeOrigin(0)
	hop, err := bgp.NewPathAttributeNextHop(netip.IPv4Unspecified())
	attrs := []bgp.PathAttributeInterface{origin, hop}
	if p.Addr().Is6() {
		family = bgp.RF_IPv6_UC
		var reach *bgp.PathAttributeMpReachNLRI
		reach, err = bgp.NewPathAttributeMpReachNLRI(family, []bgp.PathNLRI{{NLRI: nlri}}, ofFamily(me.lan, true).Addr())
		attrs = []bgp.PathAttributeInterface{origin, reach}
	}
	if err != nil {
		panic(err)
	}
	return &apiutil.Path{Family: family, Nlri: nlri, Age: time.Now().Unix(), Attrs: attrs}
}

// testOptions are those of a lab of this test run alone; whatever is left of it
// goes at the end.
func testOptions(t *testing.T) Options {
	t.Helper()
	needs.Root(t)
	opts, err := Options{
		Prefix: fmt.Sprintf("lt%d-", os.Getpid()), // one lab at a time in this package
	}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Down(context.Background(), opts); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return opts
}

// startLab starts a lab, ready for use.
func startLab(t *testing.T, opts Options) *Lab {
	t.Helper()
	l, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			showLogs(t, l.Options)
		}
		if err := l.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	if err := l.WaitUntilReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func showLogs(t *testing.T, opts Options) {
	t.Helper()
	entries, err := os.ReadDir(opts.State + "/log")
	if err != nil {
		t.Log(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(opts.State + "/log/" + e.Name())
		t.Logf("%s: %s %v", e.Name(), text, err)
	}
}
