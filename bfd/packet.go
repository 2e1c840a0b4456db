package bfd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// State is where an end of a session is (RFC 5880 section 4.1).
type State uint8

// States, as on the wire.
const (
	AdminDown State = iota
	Down
	Init
	Up
)

func (s State) String() string {
	return [...]string{"AdminDown", "Down", "Init", "Up"}[s&3]
}

// Diagnostic says why a session left a state (RFC 5880 section 4.1).
type Diagnostic uint8

// Diagnostics of asynchronous mode.
const (
	NoDiagnostic Diagnostic = 0
	// TimeExpired: no packet came for the detection time.
	TimeExpired Diagnostic = 1
	// NeighborDown: the neighbour said that it is down.
	NeighborDown Diagnostic = 3
	// PathDown: the neighbour is told so by something below it.
	PathDown Diagnostic = 5
	// Administrative: somebody has turned the session off.
	Administrative Diagnostic = 7
)

func (d Diagnostic) String() string {
	names := [...]string{"no diagnostic", "detection time expired", "echo function failed", "neighbor signaled session down",
		"forwarding plane reset", "path down", "concatenated path down", "administratively down", "reverse concatenated path down"}
	if int(d) < len(names) {
		return names[d]
	}
	return fmt.Sprintf("diagnostic %d", uint8(d))
}

// Packet is a BFD Control packet (RFC 5880 section 4.1) without authentication. The
// C bit is never set: this BFD shares the fate of its process.
type Packet struct {
	Diagnostic Diagnostic
	State      State
	Poll       bool
	Final      bool
	// Independent is the C bit: the sender's BFD outlives its control plane.
	Independent bool
	// Demand is the D bit: the sender wants no packets but in a Poll Sequence.
	Demand bool
	// Multiplier is how many packets of the sender may be missing.
	Multiplier uint8
	// My and Your are the sender's and the receiver's discriminators; Your is 0
	// as long as the sender knows none.
	My, Your uint32
	// MinTransmit, MinReceive and MinEcho are in whole microseconds on the wire.
	MinTransmit, MinReceive, MinEcho time.Duration
}

// Bits of the second octet, below the state.
const (
	pollBit = 1 << (5 - iota)
	finalBit
	independentBit
	authenticationBit
	demandBit
	multipointBit
)

const (
	version      = 1
	packetLength = 24
)

// MaxPacket is as long as a packet can be that is worth reading.
const MaxPacket = 255

// Parse reads a packet, and refuses what RFC 5880 section 6.8.6 has a receiver discard
// before it looks for the session.
func Parse(b []byte) (Packet, error) {
	if len(b) < packetLength {
		return Packet{}, fmt.Errorf("%d octets are no BFD packet", len(b))
	}
	flags := b[1]
	p := Packet{
		Diagnostic: Diagnostic(b[0] & 0x1f), State: State(flags >> 6),
		Poll: flags&pollBit != 0, Final: flags&finalBit != 0, Independent: flags&independentBit != 0, Demand: flags&demandBit != 0,
		Multiplier: b[2], My: binary.BigEndian.Uint32(b[4:]), Your: binary.BigEndian.Uint32(b[8:]),
		MinTransmit: microseconds(b[12:]), MinReceive: microseconds(b[16:]), MinEcho: microseconds(b[20:]),
	}
	switch length := int(b[3]); {
	case b[0]>>5 != version:
		return Packet{}, fmt.Errorf("version %d", b[0]>>5)
	case length < packetLength || length > len(b):
		return Packet{}, fmt.Errorf("length %d in %d octets", length, len(b))
	case flags&authenticationBit != 0:
		return Packet{}, errors.New("with authentication, which is not used here")
	case flags&multipointBit != 0:
		return Packet{}, errors.New("with the multipoint bit")
	case p.Multiplier == 0:
		return Packet{}, errors.New("a detection multiplier of 0")
	case p.My == 0:
		return Packet{}, errors.New("without a discriminator of its sender")
	case p.Your == 0 && p.State != Down && p.State != AdminDown:
		return Packet{}, fmt.Errorf("state %s without our discriminator", p.State)
	}
	return p, nil
}

func microseconds(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Microsecond
}

// Append adds the packet to b.
func (p Packet) Append(b []byte) []byte {
	flags := byte(p.State) << 6
	for bit, set := range map[byte]bool{pollBit: p.Poll, finalBit: p.Final, independentBit: p.Independent, demandBit: p.Demand} {
		if set {
			flags |= bit
		}
	}
	b = append(b, version<<5|byte(p.Diagnostic)&0x1f, flags, p.Multiplier, packetLength)
	for _, n := range []uint32{p.My, p.Your, inMicroseconds(p.MinTransmit), inMicroseconds(p.MinReceive), inMicroseconds(p.MinEcho)} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

func inMicroseconds(d time.Duration) uint32 { return uint32(d / time.Microsecond) }
