package host

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/inet"
)

// A probe is an ICMP echo request whose data say what it is. One goes out under
// the node's own address, so that a network without ICMP is told from one that
// checks sources; the other under a Pod's. The kernel of the other node answers
// the first. Fairway there sees both, and tells the sender so by echo replies to the
// address in the data: that it is there, and that a packet under a Pod's address has
// come. No port is opened for this.
const (
	probeMark   = "fairway probe v1"
	hereMark    = "fairway here v1\x00"
	reportMark  = "fairway seen v1\x00"
	foreignMark = "fairway else v1\x00" // it has come, and the network is not one of that node's
	probeSize   = len(probeMark) + 8 + 4
)

// Probe asks whether packets with a Pod's source address reach the node at an
// IPv4 address, where a Fairway daemon must run.
func Probe(ctx context.Context, to netip.Addr, w Want, patience time.Duration) []Finding {
	c := sourceCheck()
	var out []Finding
	for _, n := range w.Networks {
		if n.Prefix.Addr().Is4() != to.Is4() {
			continue
		}
		found := probe(ctx, to, n.Prefix, patience)
		found.About = aboutNetwork(n.Prefix, "to "+to.String())
		found.Want = "packets with a Pod's source address arrive"
		if found.State != OK && found.Fix == "" {
			found.Fix = c.Mend
		}
		out = append(out, found)
	}
	if len(out) == 0 {
		out = append(out, Finding{About: aboutAddress(to), State: Unknown, Want: "a network to ask for", Got: "nothing of that family is announced"})
	}
	return c.named(out)
}

func probe(ctx context.Context, to netip.Addr, network netip.Prefix, patience time.Duration) Finding {
	if to.Is6() {
		return Finding{State: Unknown, Got: "probes are made over IPv4 only"}
	}
	own, err := sourceTo(to)
	if err != nil {
		return Finding{State: Unknown, Got: err.Error(), Fix: "ip route get " + to.String() + ": is there a way to that node?"}
	}
	socket, err := openICMP()
	if err != nil {
		return Finding{State: Unknown, Got: err.Error(), Fix: "run it as root, with CAP_NET_RAW"}
	}
	defer socket.close()
	token := make([]byte, 8)
	rand.Read(token)
	pod := offset(network.Masked().Addr(), 65533, network)
	data := append(append([]byte(probeMark), token...), own.AsSlice()...)
	if err := errors.Join(socket.send(own, to, echoRequest, data), socket.send(pod, to, echoRequest, data)); err != nil {
		return Finding{State: Unknown, Got: err.Error()}
	}
	switch heard := socket.await(ctx, to, token, patience); {
	case heard[reportMark]:
		return Finding{State: OK, Got: fmt.Sprintf("a packet from %s arrived", pod)}
	case heard[foreignMark]:
		return Finding{State: OK, Got: fmt.Sprintf("a packet from %s arrived, where Fairway does not forward for that network", pod)}
	case heard[hereMark]:
		return Finding{State: Wrong, Got: fmt.Sprintf("fairway on %s has seen a packet from %s, and none from %s", to, own, pod)}
	case heard[probeMark]:
		return Finding{State: Unknown, Got: fmt.Sprintf("%s answers, and fairway there does not", to), Fix: "kubectl get pods -A -o wide: does a fairway daemon of this version run on that node, with the right to raw sockets?"}
	}
	return Finding{State: Unknown, Got: fmt.Sprintf("no answer from %s even to a packet from %s", to, own), Fix: "is it the address of a node, and may ICMP reach it?"}
}

// await reads until the other node's report has come, or patience ends, and gives the
// marks of what came. probeMark is the kernel's own answer.
func (s *icmpSocket) await(ctx context.Context, from netip.Addr, token []byte, patience time.Duration) map[string]bool {
	s.file.SetReadDeadline(time.Now().Add(patience))
	heard := map[string]bool{}
	for ctx.Err() == nil {
		src, kind, data, err := s.receive()
		if err != nil {
			break // patience has ended
		}
		if src != from || kind != echoReply {
			continue
		}
		for _, mark := range []string{probeMark, hereMark, reportMark, foreignMark} {
			if hasToken(data, mark, token) {
				heard[mark] = true
			}
		}
		if heard[reportMark] || heard[foreignMark] {
			break
		}
	}
	return heard
}

func hasToken(data []byte, mark string, token []byte) bool {
	return len(data) >= len(mark)+len(token) && string(data[:len(mark)]) == mark && string(data[len(mark):len(mark)+len(token)]) == string(token)
}

// AnswerProbes tells senders of probes that it is there, and that their packets under a
// foreign address have arrived, until ctx ends. It answers only to addresses that a
// packet came from under its own name, and at most answersPerSecond times.
func AnswerProbes(ctx context.Context, announced func() Want) error {
	socket, err := openICMP()
	if err != nil {
		return err
	}
	defer socket.close()
	stop := context.AfterFunc(ctx, func() { socket.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var known [64]netip.Addr // senders seen under their own address, the last ones
	next, answers, second := 0, 0, time.Now()
	for {
		src, kind, data, err := socket.receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("wait for probes: %w", err)
		}
		if kind != echoRequest || len(data) < probeSize || string(data[:len(probeMark)]) != probeMark {
			continue
		}
		sender, _ := netip.AddrFromSlice(data[len(probeMark)+8 : probeSize])
		mark := reportMark
		switch {
		case src == sender:
			known[next%len(known)] = src
			next++
			mark = hereMark
		case !announced().covers(src):
			mark = foreignMark
		}
		if time.Since(second) > time.Second {
			answers, second = 0, time.Now()
		}
		if answers >= answersPerSecond || !slices.Contains(known[:], sender) {
			continue
		}
		answers++
		report := append([]byte(mark), data[len(probeMark):len(probeMark)+8]...)
		_ = socket.send(netip.Addr{}, sender, echoReply, report) // a lost answer is asked for again
	}
}

const answersPerSecond = 20

// covers reports whether an address is in an announced network.
func (w Want) covers(a netip.Addr) bool {
	for _, n := range w.Networks {
		if n.Prefix.Contains(a) {
			return true
		}
	}
	return false
}

// Types of ICMP messages (RFC 792).
const (
	echoReply   = 0
	echoRequest = 8
)

// sourceTo is the address that this node would send from.
func sourceTo(to netip.Addr) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find the way to %s: %w", to, err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(), nil
}

// icmpSocket gets every ICMP packet for this node, and sends whole IP packets.
type icmpSocket struct {
	fd   int
	file *os.File // the same, with the runtime's poller behind it
}

func openICMP() (*icmpSocket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		return nil, fmt.Errorf("open a raw socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_HDRINCL, 1); err != nil {
		return nil, fmt.Errorf("open a raw socket: %w", errors.Join(err, unix.Close(fd)))
	}
	return &icmpSocket{fd, os.NewFile(uintptr(fd), "icmp")}, nil
}

func (s *icmpSocket) close() { s.file.Close() }

// send sends one message; with the zero source the kernel fills it in.
func (s *icmpSocket) send(src, dst netip.Addr, kind uint8, data []byte) error {
	message := append([]byte{kind, 0, 0, 0, 0xfa, 0x1f, 0, 1}, data...)
	binary.BigEndian.PutUint16(message[2:], inet.Checksum(message))
	header := make([]byte, 20)
	header[0], header[8], header[9] = 0x45, 64, unix.IPPROTO_ICMP
	if src.IsValid() {
		copy(header[12:16], src.AsSlice())
	}
	copy(header[16:20], dst.AsSlice())
	// Length and checksum of the IP header are the kernel's to fill in (raw(7)).
	if err := unix.Sendto(s.fd, append(header, message...), 0, &unix.SockaddrInet4{Addr: dst.As4()}); err != nil {
		return fmt.Errorf("send a probe to %s: %w", dst, err)
	}
	return nil
}

// receive waits for a message.
func (s *icmpSocket) receive() (src netip.Addr, kind uint8, data []byte, err error) {
	buf := make([]byte, 512)
	for {
		n, err := s.file.Read(buf)
		if err != nil {
			return src, 0, nil, err
		}
		if n < 28 {
			continue
		}
		if header := int(buf[0]&0xf) * 4; n >= header+8 {
			src, _ = netip.AddrFromSlice(buf[12:16])
			return src, buf[header], buf[header+8 : n], nil
		}
	}
}
