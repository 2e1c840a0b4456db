package wire

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/bfd"
)

// Ports of RFC 5881 section 4 and RFC 5883 section 5.
const (
	SingleHopPort = 3784
	MultihopPort  = 4784
	// leastSource begins the ports to send from; each session has its own.
	leastSource = 49152
)

// fullTTL is what a packet has that no router has forwarded (RFC 5881 section 5).
const fullTTL = 255

// networkControl is the DSCP (CS6) of a protocol that keeps a network together, where
// it stands in an IP header.
const networkControl = 0xc0

const noSocket = -1

// listener is a socket that receives for one address of this node.
type listener struct {
	fd int
	at netip.AddrPort
}

// Port is where both ends receive.
func (s Session) Port() uint16 {
	if s.Multihop {
		return MultihopPort
	}
	return SingleHopPort
}

func (s Session) listensAt() netip.AddrPort { return netip.AddrPortFrom(s.Local, s.Port()) }

// open opens the sockets that are missing, and closes listeners that nobody needs. What
// fails is tried again later.
func (w *Wire) open(now time.Time) {
	needed := map[netip.AddrPort]bool{}
	for _, s := range w.sessions {
		needed[s.listensAt()] = true
	}
	for at, l := range w.listeners {
		if !needed[at] {
			unix.Close(l.fd)
			delete(w.listeners, at)
		}
	}
	if now.Before(w.retryAt) {
		return
	}
	w.retryAt = time.Time{}
	for _, s := range w.sessions {
		err := w.openFor(s)
		if err == nil {
			continue
		}
		s.Problem = err.Error()
		w.retryAt = now.Add(again)
		if s.leaving { // it cannot say goodbye
			w.forget(s)
		}
	}
}

func (w *Wire) forget(s *session) {
	for !s.machine.Gone() {
		s.machine.Tick(s.machine.Wake())
	}
}

func (w *Wire) openFor(s *session) error {
	if s.sender != noSocket && w.listeners[s.listensAt()] != nil {
		return nil
	}
	if at := s.listensAt(); w.listeners[at] == nil {
		fd, err := listen(at)
		if err != nil {
			return listenError(at, err)
		}
		w.listeners[at] = &listener{fd: fd, at: at}
	}
	if s.sender == noSocket {
		fd, err := sendFrom(s.Local)
		if err != nil {
			return fmt.Errorf("cannot send from %s: %w", s.Local, err)
		}
		s.sender = fd
	}
	s.Problem = ""
	return nil
}

func listenError(at netip.AddrPort, err error) error {
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("UDP port %d of %s is taken: another BFD daemon (FRR's bfdd, BIRD) runs on this node", at.Port(), at.Addr())
	}
	return fmt.Errorf("cannot listen at %s: %w", at, err)
}

func (s *session) closeSender() {
	if s.sender != noSocket {
		unix.Close(s.sender)
		s.sender = noSocket
	}
}

func (w *Wire) closeListeners() {
	for at, l := range w.listeners {
		unix.Close(l.fd)
		delete(w.listeners, at)
	}
}

// listen gives a socket that receives at one address, each packet with its TTL.
func listen(at netip.AddrPort) (int, error) {
	options := [][3]int{{unix.IPPROTO_IP, unix.IP_RECVTTL, 1}}
	if at.Addr().Is6() {
		options = [][3]int{{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1}, {unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1}}
	}
	return socket(at, options)
}

// sendFrom gives a socket that sends from one address and a port that no other session
// has.
func sendFrom(local netip.Addr) (int, error) {
	options := [][3]int{{unix.IPPROTO_IP, unix.IP_TTL, fullTTL}, {unix.IPPROTO_IP, unix.IP_TOS, networkControl}}
	if local.Is6() {
		options = [][3]int{{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, fullTTL}, {unix.IPPROTO_IPV6, unix.IPV6_TCLASS, networkControl}}
	}
	const tries = 100
	for try := 1; ; try++ {
		port := uint16(leastSource + rand.IntN(1<<16-leastSource))
		fd, err := socket(netip.AddrPortFrom(local, port), options)
		if try == tries || !errors.Is(err, unix.EADDRINUSE) {
			return fd, err
		}
	}
}

func socket(at netip.AddrPort, options [][3]int) (int, error) {
	family := unix.AF_INET
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	address, err := sockaddr(at)
	if err != nil {
		return noSocket, err
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return noSocket, err
	}
	for _, o := range options {
		if err = unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
			break
		}
	}
	if err == nil {
		err = unix.Bind(fd, address)
	}
	if err != nil {
		unix.Close(fd)
		return noSocket, err
	}
	return fd, nil
}

// sockaddr is the kernel's form of an address; a zone may have been given another
// number since.
func sockaddr(at netip.AddrPort) (unix.Sockaddr, error) {
	if at.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}, nil
	}
	out := &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if zone := at.Addr().Zone(); zone != "" {
		link, err := net.InterfaceByName(zone)
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", zone, err)
		}
		out.ZoneId = uint32(link.Index)
	}
	return out, nil
}

// send sends a packet. An error is the session's problem until a packet goes.
func (w *Wire) send(s *session, p bfd.Packet) {
	if s.sender == noSocket {
		return
	}
	to, err := sockaddr(netip.AddrPortFrom(s.Peer, s.Port()))
	if err == nil {
		err = unix.Sendto(s.sender, p.Append(nil), unix.MSG_DONTWAIT, to)
	}
	if err == nil {
		s.Sent++
		s.Problem = ""
		return
	}
	s.Problem = fmt.Sprintf("cannot send to %s: %v", s.Peer, err)
	if errors.Is(err, unix.EPERM) {
		s.Problem += ": this node's own firewall drops it; let UDP out to that port in OUTPUT"
	}
	if !passing(err) {
		w.reopen(s)
	}
}

// passing reports whether an error is of the path rather than of the socket.
func passing(err error) bool {
	for _, e := range []error{unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM, unix.EPERM, unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENETDOWN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// reopen has the sockets of a session opened anew: its address or its interface was
// taken away, and may come back as another.
func (w *Wire) reopen(s *session) {
	s.closeSender()
	if l := w.listeners[s.listensAt()]; l != nil && s.Local.Zone() != "" {
		unix.Close(l.fd)
		delete(w.listeners, l.at)
	}
	w.retryAt = time.Now().Add(again)
}
