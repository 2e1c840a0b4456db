// Package hosttest gives the tests of the host module network namespaces with
// real links, real packets and the real packet filter. Namespaces have no name
// and go away with the test, also after a crash.
package hosttest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Space is a network namespace with a thread of its own in it.
type Space struct {
	t    testing.TB
	work chan func()
	// NS stays open until the test ends.
	NS netns.NsHandle
}

// NewSpace makes a namespace with its loopback up.
func NewSpace(t testing.TB) *Space {
	t.Helper()
	s := &Space{t: t, work: make(chan func()), NS: netns.None()}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			s.NS, err = netns.Get()
		}
		made <- err
		for f := range s.work {
			f()
		}
	}()
	if err := <-made; err != nil {
		close(s.work)
		t.Fatalf("make a namespace: %v", err)
	}
	t.Cleanup(func() { close(s.work); s.NS.Close() })
	s.Run("ip", "link", "set", "lo", "up")
	return s
}

// Do runs f on the namespace's thread. Programs and sockets that f starts are in
// the namespace.
func (s *Space) Do(f func() error) error {
	done := make(chan error)
	s.work <- func() { done <- f() }
	return <-done
}

// Command runs a program with a text as its input and gives what it prints; what it says
// on its standard error is in the error alone.
func (s *Space) Command(input string, argv ...string) (string, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(input)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	err := s.Do(cmd.Run)
	if err != nil {
		err = fmt.Errorf("%s: %w: %s%s", strings.Join(argv, " "), err, &out, &said)
	}
	return out.String(), err
}

// Run runs a program that must succeed.
func (s *Space) Run(argv ...string) string {
	s.t.Helper()
	return s.RunWith("", argv...)
}

// RunWith is Run with a text as the program's input.
func (s *Space) RunWith(input string, argv ...string) string {
	s.t.Helper()
	out, err := s.Command(input, argv...)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, input)
	}
	return out
}

// Sh runs a script line by line; each must succeed.
func (s *Space) Sh(script string) {
	s.t.Helper()
	s.Run("sh", "-ec", script)
}

// Sysctl writes a setting below /proc/sys.
func (s *Space) Sysctl(key, value string) {
	s.t.Helper()
	err := s.Do(func() error {
		return os.WriteFile("/proc/sys/"+strings.ReplaceAll(key, ".", "/"), []byte(value), 0o644)
	})
	if err != nil {
		s.t.Fatalf("sysctl %s: %v", key, err)
	}
}

// Cable lays a veth pair between two namespaces, both ends up.
func Cable(t testing.TB, a *Space, aName string, b *Space, bName string) {
	t.Helper()
	err := a.Do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = aName
		veth := netlink.NewVeth(attrs)
		veth.PeerName, veth.PeerNamespace = bName, netlink.NsFd(b.NS)
		return netlink.LinkAdd(veth)
	})
	if err != nil {
		t.Fatalf("cable %s - %s: %v", aName, bName, err)
	}
	err = errors.Join(a.up(aName), b.up(bName))
	if err != nil {
		t.Fatal(err)
	}
}

func (s *Space) up(link string) error {
	return s.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return fmt.Errorf("link %s: %w", link, err)
		}
		return netlink.LinkSetUp(l)
	})
}

// Go runs f on a thread of its own in the namespace, beside what Do runs.
func (s *Space) Go(f func()) {
	s.t.Helper()
	entered := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, as in NewSpace
		err := netns.Set(s.NS)
		entered <- err
		if err == nil {
			f()
		}
	}()
	if err := <-entered; err != nil {
		s.t.Fatalf("enter a namespace: %v", err)
	}
}

// NewNode gives a namespace like a node's: an uplink, the overlay link, and routes.
func NewNode(t testing.TB) *Space {
	t.Helper()
	n, _ := NewNodeAndFar(t)
	return n
}

// NewNodeAndFar is NewNode, and what is at the other ends of its links, x0 and x1.
func NewNodeAndFar(t testing.TB) (node, far *Space) {
	t.Helper()
	n, far := NewSpace(t), NewSpace(t)
	Cable(t, n, "up0", far, "x0")
	Cable(t, n, "ovn0", far, "x1")
	n.Sh(`ip addr add 172.30.0.11/24 dev up0; ip -6 addr add fd00:30::11/64 dev up0 nodad
ip addr add 100.64.0.11/16 dev ovn0; ip -6 addr add fd00:100:64::11/112 dev ovn0 nodad
ip route add default via 172.30.0.1; ip -6 route add default via fd00:30::1
ip route add 10.166.0.0/16 via 100.64.0.1; ip -6 route add fd00:166::/64 via fd00:100:64::1`)
	for key, value := range map[string]string{"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1", "net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf.up0.rp_filter": "0", "net.ipv4.conf.ovn0.rp_filter": "0"} {
		n.Sysctl(key, value)
	}
	return n, far
}
