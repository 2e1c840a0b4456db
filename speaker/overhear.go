package speaker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A router that refuses our OPEN says why in a NOTIFICATION, which GoBGP drops: in
// OpenSent it counts as "no OPEN", in OpenConfirm as an invalid message. So while a
// session is down, packets are looked at as they come in: those that begin with an
// OPEN or a NOTIFICATION (RFC 4271 section 4.1), which the kernel picks out. Nothing is
// sent. What is heard is for words, and tells the AS of a router that may have any other
// than ours (expectedASN).

// earBound is how long it is listened after the last session has come up.
const earBound = 5 * time.Second

// overhear listens, whenever a session is down, until ctx ends. Where it may not,
// causes stay as vague as GoBGP tells them.
func (j *journal) overhear(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.restless.Rung():
		}
		if err := j.listen(ctx); err != nil {
			j.log.WithError(err).Debug("why routers refuse an OPEN cannot be overheard")
			return
		}
	}
}

// listen hears packets until all sessions are up.
func (j *journal) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var ears []*os.File
	defer func() {
		for _, e := range ears {
			e.Close()
		}
	}()
	done := make(chan struct{}, 2)
	for _, family := range []struct {
		protocol uint16
		filter   []bpf.Instruction
	}{{unix.ETH_P_IP, messages4()}, {unix.ETH_P_IPV6, messages6()}} {
		e, err := openEar(family.protocol, family.filter)
		if err != nil {
			return err
		}
		ears = append(ears, e)
		go func() { j.hear(e); done <- struct{}{} }()
	}
	defer func() { <-done; <-done }()
	defer func() {
		for _, e := range ears {
			e.SetReadDeadline(time.Unix(1, 0))
		}
	}()
	for quiet := 0; quiet < int(earBound/time.Second); quiet++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
		if !j.allUp() {
			quiet = 0
		}
	}
	return nil
}

// hear takes in packets until the ear is closed.
func (j *journal) hear(ear *os.File) {
	buf := make([]byte, 1<<16)
	for {
		n, err := ear.Read(buf)
		if err != nil {
			return
		}
		if from, segment, ok := tcpPayload(buf[:n]); ok && j.waitsFor(from) {
			j.overheard(from, segment)
		}
	}
}

// overheard takes in what a segment holds.
func (j *journal) overheard(from netip.Addr, segment []byte) {
	for len(segment) >= bgp.BGP_HEADER_LENGTH {
		length := int(binary.BigEndian.Uint16(segment[16:]))
		if length < bgp.BGP_HEADER_LENGTH || length > len(segment) {
			return
		}
		if m, err := bgp.ParseBGPMessage(segment[:length]); err == nil {
			j.overheardMessage(from, m)
		}
		segment = segment[length:]
	}
}

func (j *journal) overheardMessage(from netip.Addr, m *bgp.BGPMessage) {
	now := time.Now()
	switch body := m.Body.(type) {
	case *bgp.BGPOpen:
		j.hears(from, func(s *said) {
			s.opened, s.asn, s.holdTime, s.routerID = now, asnOf(body), body.HoldTime, body.ID
		})
	case *bgp.BGPNotification:
		n := notification{body.ErrorCode, body.ErrorSubcode}
		j.hears(from, func(s *said) { s.notified, s.notification, s.text = now, n, communication(n, body.Data) })
	}
}

// asnOf gives the AS number of an OPEN, which is in a capability where it has four
// octets (RFC 6793).
func asnOf(open *bgp.BGPOpen) uint32 {
	asn := uint32(open.MyAS)
	for _, o := range open.OptParams {
		capabilities, ok := o.(*bgp.OptionParameterCapability)
		if !ok {
			continue
		}
		for _, c := range capabilities.Capability {
			if four, ok := c.(*bgp.CapFourOctetASNumber); ok {
				asn = four.CapValue
			}
		}
	}
	return asn
}

// communication is the text of an administrative shutdown or reset (RFC 9003).
func communication(n notification, data []byte) string {
	if n.code != bgp.BGP_ERROR_CEASE || n.subcode != bgp.BGP_ERROR_SUB_ADMINISTRATIVE_SHUTDOWN && n.subcode != bgp.BGP_ERROR_SUB_ADMINISTRATIVE_RESET {
		return ""
	}
	if len(data) == 0 || int(data[0]) > len(data)-1 {
		return ""
	}
	return string(data[1 : 1+int(data[0])])
}

// openEar opens a socket that gets the packets of one protocol, from the IP header on,
// that the filter lets pass.
func openEar(protocol uint16, filter []bpf.Instruction) (*os.File, error) {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return nil, fmt.Errorf("listen for BGP messages: %w", err)
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	// Of no protocol at first: nothing may come in before the filter is there.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("listen for BGP messages: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8}))
	if err != nil {
		return nil, fmt.Errorf("listen for BGP messages: %w", errors.Join(err, unix.Close(fd)))
	}
	return os.NewFile(uintptr(fd), "BGP messages"), nil
}

// Offsets in headers.
const (
	protocol4, fragment4 = 9, 6
	next6, length6       = 6, 40
	tcpDataOffset        = 12
	markerLength         = 16
	messageType          = 18
)

// messages4 passes IPv4 packets whose TCP payload begins with the marker of a BGP
// message (RFC 4271 section 4.1), of type OPEN or NOTIFICATION.
func messages4() []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: protocol4, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_TCP, SkipTrue: 16},
		bpf.LoadAbsolute{Off: fragment4, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 14},
		bpf.LoadMemShift{Off: 0}, // X is where TCP begins
	}, messages()...)
}

// messages6 is messages4 for IPv6 packets without extension headers.
func messages6() []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: next6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_TCP, SkipTrue: 14},
		bpf.LoadConstant{Dst: bpf.RegX, Val: length6},
	}, messages()...)
}

// messages goes on where X is the offset of the TCP header.
func messages() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadIndirect{Off: tcpDataOffset, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: 4},
		bpf.ALUOpX{Op: bpf.ALUOpAdd},
		bpf.TAX{}, // X is where the payload begins
		bpf.LoadIndirect{Off: 0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0xffffffff, SkipTrue: 6},
		bpf.LoadIndirect{Off: markerLength - 4, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0xffffffff, SkipTrue: 4},
		bpf.LoadIndirect{Off: messageType, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: bgp.BGP_MSG_OPEN, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: bgp.BGP_MSG_NOTIFICATION, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
}

// tcpPayload gives the sender and the payload of a packet that a filter has passed.
func tcpPayload(packet []byte) (from netip.Addr, payload []byte, ok bool) {
	begin, end := length6, len(packet)
	switch {
	case len(packet) < 20:
		return netip.Addr{}, nil, false
	case packet[0]>>4 == 4:
		begin, end = int(packet[0]&0xf)*4, min(end, int(binary.BigEndian.Uint16(packet[2:])))
		from = netip.AddrFrom4([4]byte(packet[12:16]))
	case len(packet) < length6:
		return netip.Addr{}, nil, false
	default:
		end = min(end, length6+int(binary.BigEndian.Uint16(packet[4:])))
		from = netip.AddrFrom16([16]byte(packet[8:24]))
	}
	if begin+tcpDataOffset >= end {
		return netip.Addr{}, nil, false
	}
	begin += int(packet[begin+tcpDataOffset]>>4) * 4
	if begin > end {
		return netip.Addr{}, nil, false
	}
	return from, packet[begin:end], true
}
