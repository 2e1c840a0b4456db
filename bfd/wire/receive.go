package wire

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/bfd"
)

// mostPackets is how many packets of one socket are heard before the clock is looked
// at: a flood must not stop it.
const mostPackets = 1000

// hear gives the sessions what a listener has.
func (w *Wire) hear(l *listener) []change {
	var out []change
	var packet [bfd.MaxPacket]byte
	var control [128]byte
	for range mostPackets {
		n, oobn, _, from, err := unix.Recvmsg(l.fd, packet[:], control[:], unix.MSG_DONTWAIT)
		if err != nil {
			break // none is left
		}
		peer, ok := addrOf(from, l.at.Addr().Zone())
		if !ok {
			continue
		}
		out = append(out, w.take(l, peer, ttlOf(control[:oobn]), packet[:n])...)
	}
	return out
}

// take gives a packet to its session.
func (w *Wire) take(l *listener, from netip.Addr, ttl int, b []byte) []change {
	p, err := bfd.Parse(b)
	if err != nil || l.at.Port() == SingleHopPort && ttl != fullTTL {
		w.drop(from, l.at)
		return nil
	}
	s := w.find(from, l.at, p)
	if s == nil {
		w.drop(from, l.at)
		return nil
	}
	s.Received++
	now := time.Now()
	if s.Listen {
		return s.overhear(now, p)
	}
	return w.do(s, now, s.machine.Receive(now, p))
}

// overhear is all that a session does that listens.
func (s *session) overhear(now time.Time, p bfd.Packet) []change {
	if p.State == bfd.Up {
		return nil
	}
	return []change{{s.Peer, now, bfd.Change{From: bfd.Down, To: bfd.Down, Neighbor: p.State, NeighborDiagnostic: p.Diagnostic}}}
}

// drop counts a packet that was nobody's.
func (w *Wire) drop(from netip.Addr, at netip.AddrPort) {
	for _, s := range w.sessions {
		if s.Peer == from && s.listensAt() == at {
			s.Dropped++
		}
	}
}

// addrOf gives a sender's address, a link-local one with the zone of the listener.
func addrOf(from unix.Sockaddr, zone string) (netip.Addr, bool) {
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr), true
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(a.Addr)
		if addr.IsLinkLocalUnicast() {
			if zone == "" {
				if link, err := net.InterfaceByIndex(int(a.ZoneId)); err == nil {
					zone = link.Name
				}
			}
			addr = addr.WithZone(zone)
		}
		return addr, true
	}
	return netip.Addr{}, false
}

// ttlOf reads a packet's TTL or hop limit from what the kernel says beside it, 0 where
// it says nothing.
func ttlOf(control []byte) int {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		v4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_TTL
		v6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_HOPLIMIT
		if (v4 || v6) && len(m.Data) >= 4 {
			return int(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return 0
}

// drain empties an eventfd.
func drain(fd int) {
	var b [8]byte
	_, _ = unix.Read(fd, b[:])
}

// wait returns when one of the sockets has something, or at that time; the zero Time is
// never.
func wait(fds []unix.PollFd, until time.Time) {
	var timeout *unix.Timespec
	if !until.IsZero() {
		t := unix.NsecToTimespec(int64(max(0, time.Until(until))))
		timeout = &t
	}
	// An interrupted wait is one that is over: the loop looks again.
	_, _ = unix.Ppoll(fds, timeout, nil)
}
