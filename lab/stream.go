package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Stream is numbered pings from a station to a Pod, one every few milliseconds:
// what becomes of them tells what a change costs that happens meanwhile. The
// Pod's kernel answers, so that no busy process can be taken for a loss.
type Stream struct {
	conn *net.IPConn
	// mark is the identifier of its messages, which others' are unlikely to have.
	mark  uint16
	began time.Time
	stop  context.CancelFunc
	// sending and receiving have ended when these are closed.
	sending, receiving chan struct{}

	mu sync.Mutex
	// sent and back hold, by number, when a ping left and whether it came back.
	sent []time.Duration
	back []bool
}

// Loss is what a Stream counted.
type Loss struct {
	Sent, Lost int
	// Longest is how long the longest run of losses lasted: from the first that was
	// lost until the next that came back was sent. 0 if nothing was lost.
	Longest time.Duration
}

// String is the loss in one line.
func (l Loss) String() string {
	return fmt.Sprintf("%d of %d lost, the longest gap %d ms", l.Lost, l.Sent, l.Longest.Milliseconds())
}

// late is how long after the last ping an answer may still come back.
const late = time.Second

// StartStream sends a ping every so often, until Stop.
func (l *Lab) StartStream(station string, to netip.Addr, every time.Duration) (*Stream, error) {
	return l.StartStreamFrom(station, netip.Addr{}, to, every)
}

// StartStreamFrom sends from one of the station's addresses: which of several equal
// paths a router takes depends on both ends.
func (l *Lab) StartStreamFrom(station string, from, to netip.Addr, every time.Duration) (*Stream, error) {
	network := "ip4:icmp"
	if to.Is6() {
		network = "ip6:ipv6-icmp"
	}
	s := &Stream{mark: uint16(rand.Uint32()), began: time.Now(), sending: make(chan struct{}), receiving: make(chan struct{})}
	err := l.inside(station, func() (err error) {
		s.conn, err = net.DialIP(network, &net.IPAddr{IP: from.AsSlice()}, &net.IPAddr{IP: to.AsSlice()})
		return err
	})
	if err == nil {
		err = patient(s.conn)
	}
	if err != nil {
		return nil, fmt.Errorf("stream from %s to %s: %w", station, to, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.send(ctx, every, to.Is6())
	go s.receive()
	return s, nil
}

// patient lets a socket hold what arrives while nobody gets round to reading,
// beyond the limit for programs without privileges (socket(7)).
func patient(conn *net.IPConn) error {
	const bytes = 4 << 20
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes) })
	return errors.Join(err, set)
}

func (s *Stream) send(ctx context.Context, every time.Duration, is6 bool) {
	defer close(s.sending)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for number := uint64(0); ; number++ {
		s.mu.Lock()
		s.sent, s.back = append(s.sent, time.Since(s.began)), append(s.back, false)
		s.mu.Unlock()
		_, _ = s.conn.Write(ping(s.mark, number, is6)) // unreachable: lost
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// The types of ICMP's echo messages (RFC 792, RFC 4443 section 4).
const (
	echoRequest4, echoReply4 = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

// ping is an echo request that carries its whole number behind the header, whose
// sequence number has 16 bits of it. The kernel fills in ICMPv6's checksum (RFC 3542 section 3.1).
func ping(mark uint16, number uint64, is6 bool) []byte {
	message := []byte{echoRequest4, 0, 0, 0}
	message = binary.BigEndian.AppendUint16(message, mark)
	message = binary.BigEndian.AppendUint16(message, uint16(number))
	message = binary.BigEndian.AppendUint64(message, number)
	if is6 {
		message[0] = echoRequest6
		return message
	}
	binary.BigEndian.PutUint16(message[2:], checksum(message))
	return message
}

// checksum is that of RFC 1071, of an even number of bytes.
func checksum(message []byte) uint16 {
	var sum uint32
	for i := 0; i < len(message); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(message[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// answered gives the number in an echo reply with the stream's mark.
func answered(message []byte, mark uint16) (number uint64, ok bool) {
	if len(message) != 16 || message[0] != echoReply4 && message[0] != echoReply6 || binary.BigEndian.Uint16(message[4:]) != mark {
		return 0, false
	}
	return binary.BigEndian.Uint64(message[8:]), true
}

// receive notes what comes back until the socket is closed. Any other error is
// a message about a ping that did not arrive.
func (s *Stream) receive() {
	defer close(s.receiving)
	buf := make([]byte, 1500)
	for {
		n, _, err := s.conn.ReadFrom(buf) // without the IPv4 header, unlike Read
		if errors.Is(err, net.ErrClosed) {
			return
		}
		number, ok := answered(buf[:n], s.mark)
		s.mu.Lock()
		if err == nil && ok && number < uint64(len(s.back)) {
			s.back[number] = true
		}
		s.mu.Unlock()
	}
}

// WaitForAnswer waits until something comes back that is sent from now on.
func (s *Stream) WaitForAnswer(ctx context.Context) error {
	s.mu.Lock()
	from := len(s.back)
	s.mu.Unlock()
	return until(ctx, proofBound, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !slices.Contains(s.back[from:], true) {
			return &disproof{"an answer from " + s.conn.RemoteAddr().String(), fmt.Sprintf("none to the last %d pings", len(s.back)-from)}
		}
		return nil
	})
}

// Stop ends the stream and counts, once what was sent is back or late.
func (s *Stream) Stop() Loss {
	s.stop()
	<-s.sending
	for end := time.Now().Add(late); s.loss().Lost > 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	_ = s.conn.Close() // nothing waits in it
	<-s.receiving
	return s.loss()
}

// loss counts what has not come back by now.
func (s *Stream) loss() Loss {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := Loss{Sent: len(s.sent)}
	first := -1 // of the run of losses that is being looked at
	for i, at := range s.sent {
		switch {
		case !s.back[i]:
			l.Lost++
			if first < 0 {
				first = i
			}
			l.Longest = max(l.Longest, at-s.sent[first])
		case first >= 0:
			l.Longest = max(l.Longest, at-s.sent[first])
			first = -1
		}
	}
	return l
}
