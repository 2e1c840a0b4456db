package host

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/inet"
)

// asker sends requests to next hops on a link, and hears echoes. Answers to
// solicitations are the kernel's to take in: they show in its neighbour entries.
type asker struct {
	// heard are the addresses that have echoed.
	heard chan netip.Addr
	// echo are the sockets for echoes, and for neighbour discovery, by family: true
	// for IPv6. One that could not be opened is missing.
	echo map[bool]*net.IPConn
	// arp is a socket that only sends, -1 for none.
	arp int
	// id tells our echoes from others'.
	id uint16
	// link is the index of the link looked at last, mac its own link address.
	link int
	mac  net.HardwareAddr
}

// openAsker opens what this process may; without a right to raw sockets nothing is
// asked, and only the kernel's own questions tell of a next hop.
func openAsker(log *logrus.Entry) *asker {
	a := &asker{heard: make(chan netip.Addr, 64), echo: map[bool]*net.IPConn{}}
	var id [2]byte
	rand.Read(id[:])
	a.id = binary.NativeEndian.Uint16(id[:])
	var errs []error
	for six, network := range map[bool]string{false: "ip4:icmp", true: "ip6:ipv6-icmp"} {
		c, err := net.ListenIP(network, nil)
		if err == nil {
			err = prepare(c, six)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		a.echo[six] = c
		go a.listen(c, six)
	}
	var err error
	// Without a protocol it receives nothing.
	if a.arp, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		a.arp = -1
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); errors.Is(err, unix.EPERM) {
		log.WithError(err).Warn("not allowed here: the join gateway is not asked, and counts as silent only where traffic finds it so")
	}
	return a
}

// prepare has a socket hear echo replies alone, and send as neighbour discovery
// must (RFC 4861 section 7.1.1: hop limit 255).
func prepare(c *net.IPConn, six bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		if six {
			set = errors.Join(
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 255),
				unix.SetsockoptICMPv6Filter(int(fd), unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, onlyEchoReply6()))
			return
		}
		const icmpFilter = 1 // ICMP_FILTER (linux/icmp.h): a bit for each type to leave out
		set = unix.SetsockoptInt(int(fd), unix.SOL_RAW, icmpFilter, ^(1 << echoReply))
	})
	return errors.Join(err, set)
}

// onlyEchoReply6 is a filter of RFC 3542: a bit for each type to leave out.
func onlyEchoReply6() *unix.ICMPv6Filter {
	var f unix.ICMPv6Filter
	for i := range f.Data {
		f.Data[i] = ^uint32(0)
	}
	f.Data[echoReply6>>5] &^= 1 << (echoReply6 & 31)
	return &f
}

func (a *asker) close() {
	for _, c := range a.echo {
		c.Close()
	}
	if a.arp >= 0 {
		unix.Close(a.arp)
	}
}

// listen hears echoes until the socket is closed.
func (a *asker) listen(c *net.IPConn, six bool) {
	reply := uint8(echoReply)
	if six {
		reply = echoReply6
	}
	buf := make([]byte, 128)
	for {
		n, from, err := c.ReadFromIP(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil || n < 8 || buf[0] != reply || binary.BigEndian.Uint16(buf[4:]) != a.id:
			continue
		}
		select {
		case a.heard <- addrOf(from.IP):
		default: // who reads is far behind, and hears the next
		}
	}
}

// look reads the link and its neighbours.
func (a *asker) look(name string) (map[netip.Addr]Neighbour, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", name, err)
	}
	a.link, a.mac = link.Attrs().Index, link.Attrs().HardwareAddr
	return readNeighbours(a.link)
}

// send sends one request.
func (a *asker) send(hop netip.Addr, q Request, n Neighbour) error {
	switch {
	case q == Echo:
		return a.sendICMP(hop, a.echoMessage(hop))
	case hop.Is6():
		return a.sendICMP(hop, a.solicitation(hop))
	}
	return a.sendARP(hop, n.LinkAddress)
}

func (a *asker) echoMessage(hop netip.Addr) []byte {
	m := []byte{echoRequest, 0, 0, 0, 0, 0, 0, 1}
	if hop.Is6() {
		m[0] = echoRequest6
	}
	binary.BigEndian.PutUint16(m[4:], a.id)
	m = append(m, "fairway"...)
	if hop.Is4() { // the kernel does it for IPv6
		binary.BigEndian.PutUint16(m[2:], inet.Checksum(m))
	}
	return m
}

// solicitation asks for the link address of a neighbour (RFC 4861 section 4.3), as
// the kernel does to verify one that it knows: to the neighbour alone.
func (a *asker) solicitation(hop netip.Addr) []byte {
	const neighbourSolicitation, sourceLinkAddress = 135, 1
	m := append([]byte{neighbourSolicitation, 0, 0, 0, 0, 0, 0, 0}, hop.AsSlice()...)
	return append(append(m, sourceLinkAddress, 1), a.mac...)
}

// sendICMP sends by the link that was looked at last, whatever the routes say.
func (a *asker) sendICMP(hop netip.Addr, message []byte) error {
	c := a.echo[hop.Is6()]
	if c == nil {
		return fmt.Errorf("ask %s: no raw socket", hop)
	}
	by := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(a.link)})
	if hop.Is6() {
		by = unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(a.link)})
	}
	if _, _, err := c.WriteMsgIP(message, by, &net.IPAddr{IP: hop.AsSlice()}); err != nil {
		return fmt.Errorf("ask %s: %w", hop, err)
	}
	return nil
}

// sendARP asks a neighbour for its link address (RFC 826), as a solicitation does
// for IPv6.
func (a *asker) sendARP(hop netip.Addr, to net.HardwareAddr) error {
	own, err := a.sourceFor(hop)
	if err != nil {
		return err
	}
	if len(a.mac) != 6 || len(to) != 6 {
		return fmt.Errorf("ask %s: no Ethernet link", hop)
	}
	m := []byte{0, 1, 8, 0, 6, 4, 0, 1} // Ethernet, IPv4, a request
	m = append(append(m, a.mac...), own.AsSlice()...)
	m = append(append(m, make([]byte, 6)...), hop.AsSlice()...)
	const inNetworkOrder = unix.ETH_P_ARP>>8 | unix.ETH_P_ARP&0xff<<8
	dst := unix.SockaddrLinklayer{Protocol: inNetworkOrder, Ifindex: a.link, Halen: 6}
	copy(dst.Addr[:], to)
	if err := unix.Sendto(a.arp, m, 0, &dst); err != nil {
		return fmt.Errorf("ask %s: %w", hop, err)
	}
	return nil
}

// sourceFor is the link's own address to ask a neighbour from: one of its network,
// as the kernel takes it.
func (a *asker) sourceFor(hop netip.Addr) (netip.Addr, error) {
	own, err := netlink.AddrList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: a.link}}, netlink.FAMILY_V4)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("ask %s: list addresses: %w", hop, err)
	}
	for _, o := range own {
		if p, ok := prefixOf(o.IPNet); ok && p.Contains(hop) {
			return addrOf(o.IP), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("ask %s: the link has no address of its network", hop)
}
