package bfd

import (
	"net/netip"
	"runtime"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/bfd"
)

// heard is a BFD packet, and when it was on the wire.
type heard struct {
	at     time.Time
	packet bfd.Packet
}

// sniff gives the BFD packets that the router sends from now on.
func (r *router) sniff() <-chan heard {
	r.Helper()
	fd := r.w.packetSocket(r.space)
	out, from := make(chan heard, 10000), netip.MustParseAddr(r.address)
	go func() {
		defer close(out)
		b := make([]byte, 2048)
		for {
			n, err := unix.Read(fd, b)
			if err != nil {
				return
			}
			if p, ok := bfdOf(b[:n], from); ok {
				out <- heard{time.Now(), p}
			}
		}
	}()
	r.Cleanup(func() { unix.Shutdown(fd, unix.SHUT_RD); unix.Close(fd) })
	return out
}

// bfdOf gives the BFD packet in an IPv4 packet of a sender.
func bfdOf(b []byte, from netip.Addr) (bfd.Packet, bool) {
	const header, udp = 20, 8
	if len(b) < header+udp || b[0] != 0x45 || b[9] != unix.IPPROTO_UDP || netip.AddrFrom4([4]byte(b[12:16])) != from || b[22] != 3784>>8 || b[23] != 3784&0xff {
		return bfd.Packet{}, false
	}
	p, err := bfd.Parse(b[header+udp:])
	return p, err == nil
}

// packetSocket gives a socket that hears everything in a namespace, without link headers.
func (w *world) packetSocket(space string) int {
	w.Helper()
	runtime.LockOSThread() // left locked on failure: the test ends
	own, err := netns.Get()
	if err != nil {
		w.Fatal(err)
	}
	defer own.Close()
	there, err := netns.GetFromName(space)
	if err != nil {
		w.Fatal(err)
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		w.Fatal(err)
	}
	const allProtocols = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, allProtocols)
	if back := netns.Set(own); back != nil {
		w.Fatal(back)
	}
	runtime.UnlockOSThread()
	if err != nil {
		w.Fatal(err)
	}
	// So that a reader sees that the test is over.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 600}); err != nil {
		w.Fatal(err)
	}
	return fd
}
