package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// StreamPath tells by which nodes a stream's pings go into the overlay now, and by
// which their answers come out of it.
func (l *Lab) StreamPath(ctx context.Context, s *Stream) (in, out string, err error) {
	taps, err := l.openTaps()
	if err != nil {
		return "", "", err
	}
	defer taps.close()
	err = until(ctx, proofBound, func() error {
		for _, t := range taps {
			asked, answered, err := t.pings(s.mark)
			if err != nil {
				return err
			}
			if asked {
				in = t.node
			}
			if answered {
				out = t.node
			}
		}
		if in == "" || out == "" {
			return &disproof{"pings at the border of the overlay", fmt.Sprintf("in by %q, out by %q", in, out)}
		}
		return nil
	})
	return in, out, err
}

// pings reads what a tap has and reports whether requests and answers with the mark
// are among it.
func (t tap) pings(mark uint16) (asked, answered bool, err error) {
	buf := make([]byte, 2048)
	for {
		n, _, err := unix.Recvfrom(t.fd, buf, 0)
		if errors.Is(err, unix.EAGAIN) {
			return asked, answered, nil
		}
		if err != nil {
			return asked, answered, fmt.Errorf("tap on %s: %w", t.node, err)
		}
		switch kind, ok := echo(buf[:n], mark); {
		case !ok:
		case kind == echoRequest4 || kind == echoRequest6:
			asked = true
		default:
			answered = true
		}
	}
}

// echo gives the type of an ICMP echo message with a mark, in a packet without
// IPv6 extension headers.
func echo(p []byte, mark uint16) (kind byte, ok bool) {
	const icmp4, icmp6, header = 1, 58, 8
	var message []byte
	switch {
	case len(p) >= 20 && p[0]>>4 == 4 && p[9] == icmp4:
		message = p[min(len(p), int(p[0]&0xf)*4):]
	case len(p) >= 40 && p[0]>>4 == 6 && p[6] == icmp6:
		message = p[40:]
	}
	if len(message) < header || binary.BigEndian.Uint16(message[4:]) != mark {
		return 0, false
	}
	switch message[0] {
	case echoRequest4, echoReply4, echoRequest6, echoReply6:
		return message[0], true
	}
	return 0, false
}
