package hosttest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/inet"
)

// Port is a link's end at which whole frames are sent and received.
type Port struct {
	fd    int
	index int
	MAC   net.HardwareAddr
}

// Open opens a link of the namespace for frames.
func (s *Space) Open(link string) *Port {
	s.t.Helper()
	p := &Port{}
	err := s.Do(func() error {
		i, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		p.index, p.MAC = i.Index, i.HardwareAddr
		const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // network byte order
		p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, all)
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20); err != nil {
			return err
		}
		return unix.Bind(p.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: p.index})
	})
	if err != nil {
		s.t.Fatalf("open %s: %v", link, err)
	}
	s.t.Cleanup(func() { unix.Close(p.fd) })
	return p
}

// Send sends an IP packet in a frame to a link address.
func (p *Port) Send(to net.HardwareAddr, packet []byte) error {
	frame := append(append([]byte{}, to...), p.MAC...)
	kind := uint16(unix.ETH_P_IP)
	if packet[0]>>4 == 6 {
		kind = unix.ETH_P_IPV6
	}
	frame = append(binary.BigEndian.AppendUint16(frame, kind), packet...)
	if err := unix.Sendto(p.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: p.index}); err != nil {
		return fmt.Errorf("send a frame: %w", err)
	}
	return nil
}

// Next gives the next IP packet that came in, nil where there is none.
func (p *Port) Next() ([]byte, error) {
	buf := make([]byte, 2048)
	for {
		n, from, err := unix.Recvfrom(p.fd, buf, 0)
		if errors.Is(err, unix.EAGAIN) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("receive a frame: %w", err)
		}
		if l, ok := from.(*unix.SockaddrLinklayer); n > 34 && ok && l.Pkttype != unix.PACKET_OUTGOING {
			return buf[14:n], nil
		}
	}
}

// Transport is what an IP packet carries.
type Transport struct {
	Protocol         uint8
	SrcPort, DstPort uint16
	Flags            uint8
	Type, Code       uint8
	Payload          []byte
}

// tcpSYN is the flag of what opens a connection.
const tcpSYN = 2

// IP makes a whole IPv4 or IPv6 packet with right checksums: conntrack takes a
// wrong one for INVALID.
func IP(src, dst netip.Addr, t Transport) []byte {
	body := t.bytes()
	pseudo := append(append([]byte{}, src.AsSlice()...), dst.AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(body)))
	pseudo = append(pseudo, 0, 0, 0, t.Protocol)
	if at := map[uint8]int{unix.IPPROTO_TCP: 16, unix.IPPROTO_UDP: 6, unix.IPPROTO_ICMP: 2, unix.IPPROTO_ICMPV6: 2}[t.Protocol]; at > 0 {
		if t.Protocol == unix.IPPROTO_ICMP {
			pseudo = nil // RFC 792 sums the message alone
		}
		binary.BigEndian.PutUint16(body[at:], inet.Checksum(append(pseudo, body...)))
	}
	if src.Is6() {
		h := []byte{0x60, 0, 0, 0}
		h = binary.BigEndian.AppendUint16(h, uint16(len(body)))
		h = append(h, t.Protocol, 64)
		return append(append(append(h, src.AsSlice()...), dst.AsSlice()...), body...)
	}
	h := []byte{0x45, 0}
	h = binary.BigEndian.AppendUint16(h, uint16(20+len(body)))
	h = append(h, 0, 0, 0, 0, 64, t.Protocol, 0, 0)
	h = append(append(h, src.AsSlice()...), dst.AsSlice()...)
	binary.BigEndian.PutUint16(h[10:], inet.Checksum(h))
	return append(h, body...)
}

func (t Transport) bytes() []byte {
	var b []byte
	switch t.Protocol {
	case unix.IPPROTO_TCP:
		b = binary.BigEndian.AppendUint16(b, t.SrcPort)
		b = binary.BigEndian.AppendUint16(b, t.DstPort)
		if t.Flags&tcpSYN == 0 {
			b = append(b, 0, 0, 0, 1, 0, 0, 0, 1, 5<<4, t.Flags, 0xff, 0xff, 0, 0, 0, 0)
			break
		}
		// What opens a connection says how long segments may be: 1460 bytes.
		b = append(b, 0, 0, 0, 1, 0, 0, 0, 1, 6<<4, t.Flags, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 1460>>8, 1460&0xff)
	case unix.IPPROTO_UDP:
		b = binary.BigEndian.AppendUint16(b, t.SrcPort)
		b = binary.BigEndian.AppendUint16(b, t.DstPort)
		b = binary.BigEndian.AppendUint16(b, uint16(8+len(t.Payload)))
		b = append(b, 0, 0)
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		b = append(b, t.Type, t.Code, 0, 0)
		b = binary.BigEndian.AppendUint16(b, t.SrcPort) // identifier
		b = append(b, 0, 1)
	}
	return append(b, t.Payload...)
}
