package lab

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netnsFolder is where iproute2 keeps named namespaces (ip-netns(8)).
const netnsFolder = "/run/netns"

// space is an open network namespace with a netlink handle inside it.
type space struct {
	name string
	ns   netns.NsHandle
	*netlink.Handle
}

// openSpace opens a named namespace; close it after use.
func openSpace(name string) (*space, error) {
	ns, err := netns.GetFromPath(filepath.Join(netnsFolder, name))
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", name, err)
	}
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("namespace %s: netlink: %w", name, err), ns.Close())
	}
	return &space{name, ns, h}, nil
}

func (s *space) close() {
	s.Handle.Close()
	_ = s.ns.Close() // nothing was written to it
}

// do runs f on a thread that is in the namespace. The thread ends with f, so no
// other goroutine ever finds itself in there. Sockets that f opens stay in the
// namespace and may be used from anywhere.
func (s *space) do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the runtime then ends the thread
		if err := netns.Set(s.ns); err != nil {
			done <- fmt.Errorf("namespace %s: enter: %w", s.name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// sysctl writes net.* settings, which are per namespace. Keys are paths below
// /proc/sys/net.
func (s *space) sysctl(settings map[string]string) error {
	return s.do(func() error {
		for key, value := range settings {
			// /proc/sys/net shows the namespace of the thread that opens it.
			if err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0o644); err != nil {
				return fmt.Errorf("namespace %s: sysctl %s: %w", s.name, key, err)
			}
		}
		return nil
	})
}

// addSpace makes a named namespace with its loopback up. iproute2 makes it, so
// that its folder gets the mount propagation that `ip netns exec` relies on.
func addSpace(name string) error {
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return fmt.Errorf("namespace %s: add: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	s, err := openSpace(name)
	if err != nil {
		return err
	}
	defer s.close()
	return s.up("lo")
}

// busyTries and busyPause bound how long removeSpace waits for an `ip netns add`
// that outlived whoever started it.
const (
	busyTries = 100
	busyPause = 10 * time.Millisecond
)

// removeSpace removes a named namespace; one that is not there is no error. What
// is in it goes when its last process ends. An `ip netns add` that is still at
// work may mount between our unmount and our remove: then once more.
func removeSpace(name string) error {
	path := filepath.Join(netnsFolder, name)
	for try := 1; ; try++ {
		// EINVAL: a file without a mount on it, left by an interrupted add.
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
			return fmt.Errorf("namespace %s: unmount: %w", name, err)
		}
		err := os.Remove(path)
		switch {
		case err == nil, os.IsNotExist(err):
			return nil
		case !errors.Is(err, unix.EBUSY), try == busyTries:
			return fmt.Errorf("namespace %s: remove: %w", name, err)
		}
		time.Sleep(busyPause)
	}
}

func (s *space) up(link string) error {
	l, err := s.LinkByName(link)
	if err != nil {
		return fmt.Errorf("namespace %s: link %s: %w", s.name, link, err)
	}
	if err := s.LinkSetUp(l); err != nil {
		return fmt.Errorf("namespace %s: link %s: up: %w", s.name, link, err)
	}
	return nil
}

// connect lays a veth cable between two namespaces, both ends up. The ends are
// born inside, so no name ever shows up outside.
func connect(a *space, aName string, b *space, bName string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = aName
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = bName, netlink.NsFd(b.ns)
	if err := a.LinkAdd(veth); err != nil {
		return fmt.Errorf("cable %s/%s - %s/%s: %w", a.name, aName, b.name, bName, err)
	}
	return errors.Join(a.up(aName), b.up(bName))
}

// bridge makes a bridge, up. Snooping is off: nobody queries here, and IPv6
// neighbour discovery is multicast. Its link address is its own, as that of a router
// port is: without one it takes a port's, and a port that is taken out of the bridge
// would go on answering for it.
func (s *space) bridge(name string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	attrs.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 0, 0} // locally administered
	rand.Read(attrs.HardwareAddr[1:])
	snooping := false
	if err := s.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}); err != nil {
		return fmt.Errorf("namespace %s: bridge %s: %w", s.name, name, err)
	}
	return s.up(name)
}

// plug makes link a port of a bridge.
func (s *space) plug(link, bridge string) error {
	port, err := s.LinkByName(link)
	if err != nil {
		return fmt.Errorf("namespace %s: link %s: %w", s.name, link, err)
	}
	br, err := s.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("namespace %s: bridge %s: %w", s.name, bridge, err)
	}
	if err := s.LinkSetMaster(port, br); err != nil {
		return fmt.Errorf("namespace %s: link %s: into bridge %s: %w", s.name, link, bridge, err)
	}
	return nil
}

// unplug removes a link, and so the whole cable; one that is not there is no
// error.
func (s *space) unplug(link string) error {
	l, err := s.LinkByName(link)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = s.LinkDel(l)
	}
	if err != nil {
		return fmt.Errorf("namespace %s: link %s: remove: %w", s.name, link, err)
	}
	return nil
}

// address gives link its addresses. Duplicate address detection is off: it would
// make IPv6 addresses useless for their first second or two.
func (s *space) address(link string, addrs ...netip.Prefix) error {
	l, err := s.LinkByName(link)
	if err != nil {
		return fmt.Errorf("namespace %s: link %s: %w", s.name, link, err)
	}
	for _, a := range addrs {
		entry := &netlink.Addr{IPNet: hostInNet(a)}
		if a.Addr().Is6() {
			entry.Flags = unix.IFA_F_NODAD
		}
		if err := s.AddrReplace(l, entry); err != nil {
			return fmt.Errorf("namespace %s: link %s: address %s: %w", s.name, link, a, err)
		}
	}
	return nil
}

// route is one kernel route by gateway. The zero values of link, src and table
// leave the choice to the kernel.
type route struct {
	to    netip.Prefix
	via   []netip.Addr
	link  string
	src   netip.Addr
	table int
}

// replaceRoute adds r or puts it in the place of the one that is there.
func (s *space) replaceRoute(r route, protocol int) error {
	nr, err := s.netlinkRoute(r, protocol)
	if err != nil {
		return err
	}
	if err := s.RouteReplace(nr); err != nil {
		return fmt.Errorf("namespace %s: route %s via %v: %w", s.name, r.to, r.via, err)
	}
	return nil
}

func (s *space) netlinkRoute(r route, protocol int) (*netlink.Route, error) {
	nr := &netlink.Route{Dst: ipNet(r.to), Table: r.table, Protocol: netlink.RouteProtocol(protocol)}
	if r.src.IsValid() {
		nr.Src = r.src.AsSlice()
	}
	index := 0
	if r.link != "" {
		l, err := s.LinkByName(r.link)
		if err != nil {
			return nil, fmt.Errorf("namespace %s: link %s: %w", s.name, r.link, err)
		}
		index = l.Attrs().Index
	}
	if len(r.via) == 1 {
		nr.Gw, nr.LinkIndex = r.via[0].AsSlice(), index
		return nr, nil
	}
	for _, via := range r.via {
		nr.MultiPath = append(nr.MultiPath, &netlink.NexthopInfo{Gw: via.AsSlice(), LinkIndex: index})
	}
	return nr, nil
}

// ipNet is p masked, as netlink takes it.
func ipNet(p netip.Prefix) *net.IPNet {
	m := p.Masked()
	return &net.IPNet{IP: m.Addr().AsSlice(), Mask: net.CIDRMask(m.Bits(), m.Addr().BitLen())}
}

// hostInNet is p with its host bits.
func hostInNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// prefixOf is the prefix of a netlink address; the zero Prefix for nil.
func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	a, _ := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if bits == 32 {
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, ones)
}

func addrFromIP(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
