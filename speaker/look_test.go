package speaker

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osrg/gobgp/v4/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

func TestOnlyLoopback(t *testing.T) {
	for address, good := range map[string]bool{
		"": true, "127.0.0.1:50051": true, "[::1]:50051": true, "localhost:50051": true, "127.9.9.9:1": true,
		":50051": false, "0.0.0.0:50051": false, "[::]:50051": false, "10.0.0.1:50051": false, "node-1:50051": false,
		"127.0.0.1": false, "localhost.example.org:1": false,
	} {
		if _, err := New(Options{Log: quiet(), GRPCAddress: address}); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// looking gives a speaker with a session, and how to reach its API.
func looking(t *testing.T) (r *router, socket, port string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "gobgp.sock")
	here := netip.MustParseAddr("127.0.0.1")
	address := netip.AddrPortFrom(here, freePort(t, here)).String()
	src := loopback()
	r = newRouter(t, "tor-a", 65100, ours, src, func(_ *router, p *api.Peer) { p.Conf.AuthPassword = "opensesame" })
	s := running(t, Options{GRPCSocket: socket, GRPCAddress: address})
	session := r.session(ours)
	session.Password = "opensesame"
	session.GracefulRestartTime = 120e9
	w := wishFor(session)
	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 7 << 32}, pfx("2001:db8:1::/64"): {Class: 8}, pfx("10.9.0.0/16"): {Class: 9}})
	w.Exports = []policy.Export{
		export(7<<32, "tor-a", policy.Attributes{MED: ptr(uint32(50)), Communities: []routes.Community{65000<<16 | 100}, LargeCommunities: []routes.LargeCommunity{{GlobalAdmin: 65000, Data1: 1, Data2: 2}}, ASPathPrepend: 1}),
		export(8, "tor-a", policy.Attributes{NextHop: netip.MustParseAddr("2001:db8::1")}),
	}
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-a")
	_, port, _ = net.SplitHostPort(address)
	return r, socket, port
}

// commands gives the gobgp commands at hand: the distribution's (v3) and v4's.
func commands(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	v3, err := exec.LookPath("gobgp")
	switch {
	case err == nil:
		out["v3"] = v3
	case os.Getenv("CI") != "":
		t.Fatalf("the gobgp command of a distribution is missing: %v", err)
	}
	v4, err := exec.Command("go", "tool", "-n", "gobgp").Output()
	switch {
	case err == nil:
		out["v4"] = string(bytes.TrimSpace(v4))
	case os.Getenv("CI") != "":
		t.Fatalf("go tool gobgp: %v", err)
	}
	if len(out) == 0 {
		t.Skip("no gobgp command")
	}
	return out
}

func TestRealCommandsCanLook(t *testing.T) {
	r, socket, port := looking(t)
	for version, command := range commands(t) {
		for via, target := range map[string][]string{"socket": {"--target", "unix://" + socket}, "tcp": {"-u", "127.0.0.1", "-p", port}} {
			run := func(args ...string) (string, error) {
				out, err := exec.Command(command, append(target, args...)...).CombinedOutput()
				return string(out), err
			}
			for args, wants := range map[string][]string{
				"global":                      {"AS:", "65001", "192.0.2.1"},
				"global rib":                  {"10.1.0.0/16", "10.9.0.0/16", "0:7:0"},
				"global rib 10.1.0.0/16":      {"10.1.0.0/16"},
				"global rib -a ipv6":          {"2001:db8:1::/64"},
				"global rib summary":          {"Destination: 2, Path: 2"},
				"neighbor":                    {r.addr.String(), "65100", "Establ"},
				"neighbor " + r.addr.String(): {"BGP neighbor is " + r.addr.String(), "BGP state = ", "multiprotocol", "4-octet-as", "graceful-restart", "Advertised:"},
				"neighbor " + r.addr.String() + " adj-out":         {"10.1.0.0/16", "65001 65001", "65000:100", "65000:1:2", "Med: 50", r.neighbour.String()},
				"neighbor " + r.addr.String() + " adj-out -a ipv6": {"2001:db8:1::/64", "2001:db8::1"},
				"neighbor " + r.addr.String() + " adj-in":          {"Network not in table"},
				"global rib -j": {`"10.1.0.0/16"`},
				"neighbor -j":   {r.addr.String()},
			} {
				out, err := run(strings.Fields(args)...)
				if err != nil || strings.Contains(out, "panic") {
					t.Errorf("%s via %s: gobgp %s: %v\n%s", version, via, args, err, out)
					continue
				}
				for _, want := range wants {
					if !strings.Contains(out, want) {
						t.Errorf("%s via %s: gobgp %s lacks %q:\n%s", version, via, args, want, out)
					}
				}
				if strings.Contains(out, "opensesame") {
					t.Errorf("%s: gobgp %s shows the password", version, args)
				}
				if strings.Contains(args, "adj-out") && strings.Contains(out, "0:7:0") {
					t.Errorf("%s: gobgp %s shows the mark", version, args)
				}
			}
			for _, args := range []string{
				"global rib add 10.66.0.0/16", "global rib del 10.1.0.0/16", "neighbor " + r.addr.String() + " disable",
				"neighbor " + r.addr.String() + " reset", "neighbor add 192.0.2.66 as 65066", "global del all",
			} {
				if out, err := run(strings.Fields(args)...); err == nil || !strings.Contains(out, "for looking only") {
					t.Errorf("%s via %s: gobgp %s: %v\n%s", version, via, args, err, out)
				}
			}
		}
	}
	r.wantTable(
		"10.1.0.0/16 as=65001 65001 com=65000:100 large=65000:1:2 med=50 via="+r.neighbour.String(),
		"2001:db8:1::/64 as=65001 via=2001:db8::1",
	)
}

func TestEveryChangingMethodIsRefused(t *testing.T) {
	for _, m := range api.GoBgpService_ServiceDesc.Methods {
		err := mayLook("/api.GoBgpService/" + m.MethodName)
		if reads := strings.HasPrefix(m.MethodName, "Get"); (err == nil) != reads {
			t.Errorf("%s: %v", m.MethodName, err)
		}
	}
	for _, m := range api.GoBgpService_ServiceDesc.Streams {
		if reads := !m.ClientStreams; (mayLook("/api.GoBgpService/"+m.StreamName) == nil) != reads {
			t.Errorf("%s", m.StreamName)
		}
	}
}

func TestWatchingShowsNewPaths(t *testing.T) {
	_, socket, _ := looking(t)
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := api.NewGoBgpServiceClient(conn).WatchEvent(ctx, &api.WatchEventRequest{Table: &api.WatchEventRequest_Table{
		Filters: []*api.WatchEventRequest_Table_Filter{{Type: api.WatchEventRequest_Table_Filter_TYPE_BEST, Init: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := stream.Recv()
	if err != nil || len(e.GetTable().GetPaths()) == 0 {
		t.Errorf("%v, %v", e, err)
	}
}
