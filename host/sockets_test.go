package host_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// TestASessionOfAnotherPod has a session with the peer, looked at from outside
// and from a container's namespace of processes.
func TestASessionOfAnotherPod(t *testing.T) {
	needs.Root(t, "ip", "unshare")
	n, far := hosttest.NewSpace(t), hosttest.NewSpace(t)
	hosttest.Cable(t, n, "up0", far, "x0")
	n.Sh("ip addr add 172.30.0.11/24 dev up0; ip route add default via 172.30.0.1")
	far.Sh("ip addr add 172.30.0.1/24 dev x0")
	var router net.Listener
	var session net.Conn
	if err := far.Do(func() (err error) { router, err = net.Listen("tcp", "172.30.0.1:179"); return err }); err != nil {
		t.Fatal(err)
	}
	defer router.Close()
	inside := func() string {
		return n.Run("env", "FAIRWAY_LOOK=1", "unshare", "--pid", "--fork", "--mount-proc", os.Args[0], "-test.run=^TestLookFromAContainer$", "-test.v")
	}
	if got := inside(); !strings.Contains(got, "ok: no other session with a peer; programs outside this container are not seen") {
		t.Errorf("without a session, seen from a container: %s", got)
	}
	if err := n.Do(func() (err error) { session, err = net.Dial("tcp", "172.30.0.1:179"); return err }); err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	outside := firstOf(host.Check(read(n), want4()), "double-speaker")
	if outside.State != host.Wrong || !strings.Contains(outside.Got, "has a session with 172.30.0.1") || strings.Contains(outside.Got, "cannot be seen") {
		t.Errorf("seen from outside: %+v", outside)
	}
	if got := inside(); !strings.Contains(got, "unknown: a program that cannot be seen from here has a session with 172.30.0.1") {
		t.Errorf("seen from a container: %s", got)
	}
}

// TestLookFromAContainer is the other process of TestASessionOfAnotherPod.
func TestLookFromAContainer(t *testing.T) {
	if os.Getenv("FAIRWAY_LOOK") == "" {
		return
	}
	found := firstOf(host.Check(host.Read(context.Background(), want4()), want4()), "double-speaker")
	t.Logf("%s: %s", found.State, found.Got)
}

// TestSocketsAreReadOfBothFamilies: listeners and sessions, those of IPv4 on a socket of
// IPv6 among them, with the program that has them, also on a port of one's own.
func TestSocketsAreReadOfBothFamilies(t *testing.T) {
	needs.Root(t, "ip")
	n := hosttest.NewSpace(t)
	w := want4()
	w.BGPPort = 1179
	var listener, six net.Listener
	var session net.Conn
	err := n.Do(func() (err error) {
		if listener, err = net.Listen("tcp", "[::]:1179"); err != nil {
			return err
		}
		if six, err = net.Listen("tcp", "[::1]:179"); err != nil {
			return err
		}
		session, err = net.Dial("tcp4", "127.0.0.1:1179")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	defer six.Close()
	defer session.Close()
	facts := readFor(n, w)
	if facts.Sockets.Err != nil {
		t.Fatal(facts.Sockets.Err)
	}
	self, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	program := strings.TrimSpace(string(self))
	for _, want := range []host.Socket{
		{Local: netip.MustParseAddrPort("[::]:1179"), Remote: netip.MustParseAddrPort("[::]:0"), Listening: true, Program: program},
		{Local: netip.MustParseAddrPort("[::1]:179"), Remote: netip.MustParseAddrPort("[::]:0"), Listening: true, Program: program},
		{Local: session.LocalAddr().(*net.TCPAddr).AddrPort(), Remote: netip.MustParseAddrPort("127.0.0.1:1179")},
	} {
		if !slices.Contains(facts.Sockets.List, want) {
			t.Errorf("no %+v in %+v", want, facts.Sockets.List)
		}
	}
	if found := firstOf(host.Check(facts, w), "bgp-port"); found.State != host.Wrong || found.Got != "taken by "+program {
		t.Errorf("%s: %s", found.State, found.Got)
	}
}

// TestAddressOfANetworkOnTheLoopbackIsSaidToBeGone: a session may have one, though no link
// lists it.
func TestAddressOfANetworkOnTheLoopbackIsSaidToBeGone(t *testing.T) {
	needs.Root(t, "ip")
	n := hosttest.NewSpace(t)
	n.Sh("ip link set lo up; ip addr add 169.254.179.1/30 dev lo; ip -6 addr add fd00:179::1/126 dev lo; ip -6 route add local fd00:179::2 dev lo")
	for address, want := range map[string]bool{
		"169.254.179.1": true, "169.254.179.2": true, "fd00:179::1": true, "fd00:179::2": true,
		"169.254.179.9": false, "fd00:179::9": false, "192.0.2.1": false,
	} {
		var got bool
		if err := n.Do(func() error { got = host.HasAddress(netip.MustParseAddr(address)); return nil }); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: this node's is %t, want %t", address, got, want)
		}
	}
}
