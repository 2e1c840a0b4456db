package bench

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"
)

// perUpdate is how many prefixes go into one message: 800 /32 fill 4,000 of 4,096 bytes
// (RFC 4271, section 4).
const perUpdate = 800

// Message types of RFC 4271, section 4.1.
const (
	typeOpen      = 1
	typeUpdate    = 2
	typeKeepalive = 4
)

// sender speaks the least BGP that a router takes routes from: the floor of what any
// program can do.
type sender struct {
	net.Conn
	*router
}

// newSender opens a session with a router that waits to be dialled, and keeps it.
func newSender(r *router) *sender {
	r.Helper()
	s := &sender{Conn: r.dial(r.node, net.JoinHostPort(r.far, "179")), router: r}
	s.send(message(typeOpen, openBody(r.near)))
	established := make(chan error, 1)
	go s.listen(established)
	if err := <-established; err != nil {
		r.Fatalf("the sender's session with %s: %v", r.kind, err)
	}
	return s
}

// openBody has no hold time, multiprotocol IPv4 unicast (RFC 4760) and 4-octet AS numbers (RFC 6793).
func openBody(id string) []byte {
	capabilities := []byte{1, 4, 0, 1, 0, 1, 65, 4, 0, 0, nodeASN >> 8, nodeASN & 0xff}
	body := []byte{4, nodeASN >> 8, nodeASN & 0xff, 0, 0}
	body = append(body, netip.MustParseAddr(id).AsSlice()...)
	body = append(body, byte(len(capabilities)+2), 2, byte(len(capabilities)))
	return append(body, capabilities...)
}

// message puts the header before a body.
func message(kind byte, body []byte) []byte {
	out := slices.Repeat([]byte{0xff}, 16)
	out = binary.BigEndian.AppendUint16(out, uint16(19+len(body)))
	return append(append(out, kind), body...)
}

func (s *sender) send(b []byte) {
	s.Helper()
	if _, err := s.Conn.Write(b); err != nil {
		s.Fatalf("send to %s: %v", s.kind, err)
	}
}

// listen reads what the router says; its first KEEPALIVE makes the session.
func (s *sender) listen(established chan<- error) {
	for header := make([]byte, 19); ; {
		_, err := io.ReadFull(s, header)
		if err == nil {
			_, err = io.CopyN(io.Discard, s, int64(binary.BigEndian.Uint16(header[16:]))-19)
		}
		switch {
		case err != nil:
			select {
			case established <- err:
			default:
			}
			return
		case header[18] == typeOpen:
			s.Conn.Write(message(typeKeepalive, nil)) // a lost connection is found by the next read
		case header[18] == typeKeepalive:
			select {
			case established <- nil:
			default:
			}
		}
	}
}

// announce sends prefixes with the sender as next hop, and gives the moment before the first.
func (s *sender) announce(prefixes []netip.Prefix) time.Time {
	s.Helper()
	attributes := []byte{0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, nodeASN >> 8, nodeASN & 0xff, 0x40, 3, 4}
	attributes = append(attributes, netip.MustParseAddr(s.near).AsSlice()...)
	var stream []byte
	for some := range slices.Chunk(prefixes, perUpdate) {
		body := binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(len(attributes)))
		stream = append(stream, message(typeUpdate, append(append(body, attributes...), encoded(some)...))...)
	}
	began := time.Now()
	s.send(stream)
	return began
}

// withdraw takes prefixes back.
func (s *sender) withdraw(prefixes []netip.Prefix) {
	s.Helper()
	for some := range slices.Chunk(prefixes, perUpdate) {
		gone := encoded(some)
		body := binary.BigEndian.AppendUint16(nil, uint16(len(gone)))
		s.send(message(typeUpdate, append(append(body, gone...), 0, 0)))
	}
}

// encoded gives prefixes as UPDATE has them (RFC 4271, section 4.3).
func encoded(prefixes []netip.Prefix) []byte {
	var out []byte
	for _, p := range prefixes {
		out = append(append(out, byte(p.Bits())), p.Addr().AsSlice()[:(p.Bits()+7)/8]...)
	}
	return out
}

// measure announces prefixes, gives the time until the router's kernel has them besides
// those that are there, and takes them back.
func (s *sender) measure(there int, prefixes []netip.Prefix) time.Duration {
	s.Helper()
	why := func() string { return fmt.Sprintf("the sender has announced %d prefixes", len(prefixes)) }
	all := s.kernel.expect(there + len(prefixes))
	began := s.announce(prefixes)
	took := s.kernel.until(all, why).Sub(began)
	s.remove(there, prefixes)
	return took
}

// remove takes prefixes back and waits until the router's kernel has them no more.
func (s *sender) remove(there int, prefixes []netip.Prefix) {
	s.Helper()
	gone := s.kernel.expect(there)
	s.withdraw(prefixes)
	s.kernel.until(gone, func() string { return "the sender has taken its prefixes back" })
}
