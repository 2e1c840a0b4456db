// Package routers shows what routers that people really run make of what is
// announced: FRR and BIRD, in network namespaces that each test makes and removes
// itself.
//
// In TestInterop the speaker talks to both at once, from a namespace with two
// uplinks, and what the routers show is compared attribute by attribute. In the
// stories of docs/migrate.md another program's routes become Fairway's. The tests
// need root, iproute2, FRR, BIRD and GoBGP, and install nothing; with CI set their
// absence is a failure, otherwise they are skipped.
package routers

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/speaker"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

const (
	// The speaker's namespace and its two uplinks.
	frrUplink, frrAddress     = "172.30.1.1", "172.30.1.2"
	birdUplink, birdAddress   = "172.30.2.1", "172.30.2.2"
	birdUplink6, birdAddress6 = "fd00:30:2::1", "fd00:30:2::2"
	interopPassword           = "interop-secret"
	interopASN                = 65001
)

// program is what the stories run that are about the daemon.
var program must.Program

func TestMain(m *testing.M) { program.Main(m) }

// link makes two namespaces, a router's (r) and a node's (n), with a link between them.
func link(t *testing.T, prefix, router, node string) {
	t.Helper()
	t.Cleanup(func() {
		for _, n := range []string{"r", "n"} {
			_ = exec.Command("ip", "netns", "del", prefix+n).Run() // there may be none yet
		}
	})
	for _, n := range []string{"r", "n"} {
		must.Run(t, "ip", "netns", "add", prefix+n)
		must.Run(t, "ip", "-n", prefix+n, "link", "set", "lo", "up")
	}
	must.Run(t, "ip", "-n", prefix+"r", "link", "add", "node", "type", "veth", "peer", "name", "uplink", "netns", prefix+"n")
	must.Run(t, "ip", "-n", prefix+"r", "addr", "add", router, "dev", "node")
	must.Run(t, "ip", "-n", prefix+"n", "addr", "add", node, "dev", "uplink")
	must.Run(t, "ip", "-n", prefix+"r", "link", "set", "node", "up")
	must.Run(t, "ip", "-n", prefix+"n", "link", "set", "uplink", "up")
}

// TestInterop makes three namespaces and runs itself again inside the speaker's:
// GoBGP opens sockets from many goroutines, so the whole process must live there.
func TestInterop(t *testing.T) {
	if prefix := os.Getenv("INTEROP_PREFIX"); prefix != "" {
		interop(t, prefix)
		return
	}
	needs.Root(t, "ip", frrBgpd, frrZebra, "vtysh", "bird", "birdc")
	t.Parallel()
	prefix := fmt.Sprintf("fwi%d", os.Getpid())
	interopNamespaces(t, prefix)
	c := exec.Command("ip", "netns", "exec", prefix+"s", os.Args[0], "-test.run=^TestInterop$", "-test.v", "-test.timeout=5m")
	c.Env = append(os.Environ(), "INTEROP_PREFIX="+prefix)
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("inside the namespace: %v", err)
	}
}

// interopNamespaces makes the speaker's (s), FRR's (f) and BIRD's (b) namespace,
// the latter two each linked to the first.
func interopNamespaces(t *testing.T, prefix string) {
	t.Helper()
	t.Cleanup(func() {
		for _, n := range []string{"s", "f", "b"} {
			exec.Command("ip", "netns", "delete", prefix+n).Run()
		}
	})
	ip := func(args string) {
		t.Helper()
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	for _, n := range []string{"s", "f", "b"} {
		ip("netns add " + prefix + n)
		ip("-n " + prefix + n + " link set lo up")
	}
	for i, n := range []string{"f", "b"} {
		ip(fmt.Sprintf("-n %ss link add to-%s type veth peer name uplink netns %s%s", prefix, n, prefix, n))
		for j, end := range []string{prefix + "s addr add %s dev to-" + n, prefix + n + " addr add %s dev uplink"} {
			ip("-n " + fmt.Sprintf(end, fmt.Sprintf("172.30.%d.%d/24", i+1, j+1)))
			ip("-n " + fmt.Sprintf(end, fmt.Sprintf("fd00:30:%d::%d/64", i+1, j+1)) + " nodad")
		}
		ip("-n " + prefix + "s link set to-" + n + " up")
		ip("-n " + prefix + n + " link set uplink up")
	}
}

// interop is the story, inside the speaker's namespace.
func interop(whole *testing.T, prefix string) {
	t := whole // what is started in a step outlives the step
	f := startFRR(t, prefix+"f")
	b := startBIRD(t, prefix+"b")
	s := startInteropSpeaker(t)
	w := interopWish()

	s.sync(t, w)
	t.Run("attributes at FRR", func(t *testing.T) { f.want(t, interopAtFRR()) })
	t.Run("attributes at BIRD", func(t *testing.T) { b.want(t, interopAtBIRD()) })
	t.Run("the speaker says the same", func(t *testing.T) {
		o, err := s.Observe(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []struct{ name, uplink string }{{"bird", birdUplink}, {"frr", frrUplink}} {
			got := o.Sessions[i]
			if got.Peer != want.name || got.LocalAddress.String() != want.uplink || got.Advertised != 3 || len(got.Families) != 2 || got.Flaps != 0 {
				t.Errorf("%+v", got)
			}
		}
	})
	t.Run("one changes, one goes", func(t *testing.T) {
		changed := w
		changed.RIB = routes.RIBOf(map[netip.Prefix]routes.Path{pfx("10.1.0.0/16"): {Class: 1}, pfx("2001:db8:6::/64"): {Class: 5}})
		changed.Exports = []policy.Export{{Class: 5, Peer: "frr", Attributes: policy.Attributes{NextHop: netip.MustParseAddr("fd00:30:1::1"), MED: number(77)}}}
		changed.Exports = append(changed.Exports, w.Exports...)
		s.sync(t, changed)
		f.want(t, map[string]route{
			"10.1.0.0/16":     interopAtFRR()["10.1.0.0/16"],
			"2001:db8:6::/64": {asPath: "65001", nextHop: "fd00:30:1::1", med: "77"},
		})
		b.want(t, map[string]route{"10.1.0.0/16": interopAtBIRD()["10.1.0.0/16"]})
		s.sync(t, w)
		f.want(t, interopAtFRR())
		b.want(t, interopAtBIRD())
	})
	t.Run("FRR restarts", func(t *testing.T) {
		f.restart(t)
		f.want(t, interopAtFRR())
	})
	t.Run("FRR dials us", func(t *testing.T) {
		waiting := w
		waiting.Sessions = slices.Clone(w.Sessions)
		waiting.Sessions[1].Passive = true
		s.sync(t, waiting)
		f.restart(t) // its own retry timer is two minutes
		f.want(t, interopAtFRR())
		s.sync(t, w)
		f.want(t, interopAtFRR())
	})
	t.Run("a restart that nobody notices", func(t *testing.T) {
		lost := f.watchFor(t, "10.1.0.0/16")
		if err := s.StopForRestart(context.Background()); err != nil {
			t.Fatal(err)
		}
		s = startInteropSpeaker(whole)
		s.sync(t, w)
		if !must.Eventually(func() bool { return f.established(t) && !f.stale(t, "10.1.0.0/16") }) {
			t.Error("FRR still has the route of before")
		}
		f.want(t, interopAtFRR())
		if n := lost(); n > 0 {
			t.Errorf("FRR was without the route, %d looks long", n)
		}
	})
	t.Run("a wrong password says something", func(t *testing.T) {
		wrong := w
		wrong.Sessions = slices.Clone(w.Sessions)
		wrong.Sessions[1].Password = "another"
		s.sync(t, wrong)
		f.restart(t) // a session that is up keeps its password
		wantLost := func() bool {
			s.sync(t, wrong)
			o, err := s.Observe(context.Background())
			return err == nil && o.Sessions[1].State != speaker.Established
		}
		must.Await(t, "the session is lost", wantLost)
		f.want(t, map[string]route{})
		if !must.Eventually(func() bool {
			o, err := s.Observe(context.Background())
			return err == nil && strings.Contains(o.Sessions[1].LastError, "no answer from") && strings.Contains(o.Sessions[1].LastError, "answers ARP for it")
		}) {
			t.Error("the session does not say that a router which is there does not answer")
		}
		s.sync(t, w)
		f.want(t, interopAtFRR())
	})
	t.Run("over IPv6, IPv4 with an IPv6 next hop", func(t *testing.T) {
		six := w
		session := w.Sessions[0]
		session.Peer, session.Password, session.ExtendedNextHop = "bird6", "", true
		session.Address, session.SourceAddress = netip.MustParseAddr(birdAddress6), netip.MustParseAddr(birdUplink6)
		six.Sessions = []policy.Session{session, w.Sessions[1]}
		six.Exports = []policy.Export{{Class: 1, Peer: "bird6"}, {Class: 4, Peer: "bird6"}}
		s.sync(t, six)
		b.want(t, map[string]route{
			"10.1.0.0/16":     {nextHop: birdUplink6, localPref: "100"},
			"2001:db8:6::/64": {nextHop: birdUplink6, localPref: "100"},
		})
		s.sync(t, w)
		b.want(t, interopAtBIRD())
		f.want(t, interopAtFRR())
	})
	t.Run("goodbye", func(t *testing.T) {
		if err := s.Stop(context.Background(), "node n1 is drained"); err != nil {
			t.Fatal(err)
		}
		f.want(t, map[string]route{})
		b.want(t, map[string]route{})
		if got := f.lastWords(t); !strings.Contains(got, "node n1 is drained") {
			t.Errorf("FRR heard %q", got)
		}
	})
}

// route is what a router shows of a path; "" is what it does not show.
type route struct {
	asPath, nextHop, med, localPref, communities, large string
}

func interopWish() policy.Wish {
	session := func(name, address, source string, peerASN uint32) policy.Session {
		return policy.Session{Peer: name, LocalASN: interopASN, SessionSettings: policy.SessionSettings{
			Address: netip.MustParseAddr(address), SourceAddress: netip.MustParseAddr(source), Port: 179, PeerASN: peerASN,
			HoldTime: 9 * time.Second, KeepaliveTime: 3 * time.Second, ConnectRetryTime: 2 * time.Second,
			Password: interopPassword, Families: []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast},
		}}
	}
	bird := session("bird", birdAddress, birdUplink, interopASN)
	frr := session("frr", frrAddress, frrUplink, 65100)
	frr.TTLSecurity = true
	frr.GracefulRestartTime = time.Minute
	all := policy.Attributes{
		Communities:      []routes.Community{65000<<16 | 100, 0xFFFFFF01},
		LargeCommunities: []routes.LargeCommunity{{GlobalAdmin: 65000, Data1: 1, Data2: 2}, {GlobalAdmin: 65000, Data1: 3, Data2: 4}},
		MED:              number(50),
	}
	outside, inside := all, all
	outside.ASPathPrepend = 2
	inside.LocalPref = number(170)
	return policy.Wish{
		RouterID: netip.MustParseAddr("10.255.0.1"), ASN: interopASN,
		Sessions: []policy.Session{bird, frr},
		RIB: routes.RIBOf(map[netip.Prefix]routes.Path{
			pfx("10.1.0.0/16"):     {Class: 1},
			pfx("10.2.0.0/16"):     {Class: 2, NextHop: netip.MustParseAddr("172.30.1.200")},
			pfx("10.3.0.0/16"):     {Class: 3},
			pfx("2001:db8:6::/64"): {Class: 4},
		}),
		Exports: []policy.Export{
			{Class: 1, Peer: "bird", Attributes: inside},
			{Class: 1, Peer: "frr", Attributes: outside},
			{Class: 2, Peer: "frr"},
			{Class: 3, Peer: "bird"},
			{Class: 4, Peer: "bird", Attributes: policy.Attributes{NextHop: netip.MustParseAddr("fd00:30:2::1")}},
			{Class: 4, Peer: "frr", Attributes: policy.Attributes{NextHop: netip.MustParseAddr("fd00:30:1::1")}},
		},
	}
}

func interopAtFRR() map[string]route {
	return map[string]route{
		"10.1.0.0/16":     {asPath: "65001 65001 65001", nextHop: frrUplink, med: "50", communities: "65000:100 no-export", large: "65000:1:2 65000:3:4"},
		"10.2.0.0/16":     {asPath: "65001", nextHop: "172.30.1.200"},
		"2001:db8:6::/64": {asPath: "65001", nextHop: "fd00:30:1::1"},
	}
}

func interopAtBIRD() map[string]route {
	return map[string]route{
		"10.1.0.0/16":     {nextHop: birdUplink, med: "50", localPref: "170", communities: "(65000,100) (65535,65281)", large: "(65000, 1, 2) (65000, 3, 4)"},
		"10.3.0.0/16":     {nextHop: birdUplink, localPref: "100"},
		"2001:db8:6::/64": {nextHop: "fd00:30:2::1", localPref: "100"},
	}
}

// interopSpeaker is a speaker that runs until it is stopped, or the test is over.
type interopSpeaker struct{ *speaker.Speaker }

func startInteropSpeaker(t *testing.T) *interopSpeaker {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	s, err := speaker.New(speaker.Options{Log: logrus.NewEntry(log), LinkAddressOf: host.LinkAddressOf})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return &interopSpeaker{s}
}

func (s *interopSpeaker) sync(t *testing.T, w policy.Wish) {
	t.Helper()
	if err := s.Sync(context.Background(), w); err != nil {
		t.Fatal(err)
	}
}

// wantRoutes waits until the router shows exactly these.
func wantRoutes(t *testing.T, want map[string]route, show func() map[string]route) {
	t.Helper()
	var got map[string]route
	if !must.Eventually(func() bool { got = show(); return reflect.DeepEqual(got, want) }) {
		t.Fatalf("it shows\n\t%+v\nnot\n\t%+v", got, want)
	}
}

// daemon runs a program in a namespace until stopped.
func daemon(t *testing.T, namespace string, args ...string) (stop func()) {
	t.Helper()
	c := exec.Command("ip", append([]string{"netns", "exec", namespace}, args...)...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			c.Process.Kill()
			c.Wait()
		}
	}
	t.Cleanup(func() {
		stop()
		if out, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", args[0], out)
		}
	})
	return stop
}

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func number(n uint32) *uint32 { return &n }
