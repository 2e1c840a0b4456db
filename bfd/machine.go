package bfd

import "time"

// Settings are what this end wants of a session.
type Settings struct {
	// Transmit is the shortest time between two packets of ours while the session is
	// up (bfd.DesiredMinTxInterval).
	Transmit time.Duration
	// Receive is the shortest time between two packets of the neighbour that this end
	// can take (bfd.RequiredMinRxInterval).
	Receive time.Duration
	// Multiplier is how many packets of ours the neighbour may miss (bfd.DetectMult).
	Multiplier uint8
}

// slow is the least Desired Min TX Interval of a session that is not up (RFC 5880
// section 6.8.3).
const slow = time.Second

// Of a goodbye, as many packets are sent, so far apart: the sender goes, and cannot
// repeat it for a detection time as RFC 5880 section 6.8.16 has it.
const (
	goodbyes     = 3
	betweenWords = 10 * time.Millisecond
)

// Change is one of state.
type Change struct {
	From, To State
	// Diagnostic is why, NoDiagnostic on the way up.
	Diagnostic Diagnostic
	// Neighbor is what the neighbour last said of its own state: a session that goes
	// down because the neighbour is AdminDown says nothing of the path (RFC 5882
	// section 4.2).
	Neighbor State
	// NeighborDiagnostic is what it last said of why.
	NeighborDiagnostic Diagnostic
	// After is how long no packet had come, where that is why.
	After time.Duration
	// ProvenAt is when the last packet came with which the session was up, the zero
	// Time where it never was: what began later was not seen to work.
	ProvenAt time.Time
}

// Output is what one input makes a session do.
type Output struct {
	Packets []Packet
	Changes []Change
}

// Machine is one end of a session (RFC 5880 section 6.8). It is driven by Receive,
// for each packet, and by Tick, when the time is Wake's; both say what to do.
type Machine struct {
	my       uint32
	settings Settings
	// before are the settings before those that a Poll Sequence is telling, and next,
	// where not nil, those that wait for its end.
	before  Settings
	next    *Settings
	polling bool

	state      State
	diagnostic Diagnostic
	// neighbor is the neighbour's last packet, heardAt when it came; zero where there
	// is none or it is forgotten.
	neighbor Packet
	heardAt  time.Time
	// provenAt is when the last packet came with which the session was up.
	provenAt time.Time
	// minReceive is what the neighbour last said that it can take. It outlives
	// neighbor; at first it is 1 microsecond (RFC 5880 section 6.8.1).
	minReceive time.Duration

	sentAt time.Time
	// urgent is whether the next packet does not wait, because it says something new.
	urgent bool
	// share is the part of the interval that passes before the next packet, and dice
	// what the one after that is drawn from.
	share float64
	dice  uint64
	// words counts what was sent of a goodbye.
	words int
}

// New gives a session that is down and begins to send. my is its discriminator, not 0
// and no other session's of this node.
func New(my uint32, s Settings) *Machine {
	m := &Machine{my: my, settings: s, state: Down, minReceive: time.Microsecond, dice: uint64(my)<<1 | 1}
	m.draw()
	return m
}

// Receive takes a packet that came at that time for this session. One with another
// discriminator for ours is dropped.
func (m *Machine) Receive(now time.Time, p Packet) Output {
	if m.state == AdminDown || p.Your != 0 && p.Your != m.my {
		return Output{}
	}
	m.neighbor, m.heardAt, m.minReceive = p, now, p.MinReceive
	if p.Final && m.polling {
		m.endPoll()
	}
	changes := m.hear(p.State)
	if m.state == Up {
		m.provenAt = now
	}
	if p.Poll {
		return Output{Packets: append(m.due(now), m.packet(true)), Changes: changes}
	}
	return Output{Packets: m.due(now), Changes: changes}
}

// hear moves the session by what the neighbour says of its state (RFC 5880 section
// 6.8.6).
func (m *Machine) hear(neighbor State) []Change {
	switch {
	case neighbor == AdminDown && m.state != Down, neighbor == Down && m.state == Up:
		return m.become(Down, NeighborDown, 0)
	case neighbor == Down && m.state == Down:
		return m.become(Init, NoDiagnostic, 0)
	case neighbor == Init && m.state != Up, neighbor == Up && m.state == Init:
		return m.become(Up, NoDiagnostic, 0)
	}
	return nil
}

// Tick does what the time asks for. Whoever calls it has given Receive all that has
// come by then: a packet that only waits to be read is not missing.
func (m *Machine) Tick(now time.Time) Output {
	var changes []Change
	if deadline := m.deadline(); !deadline.IsZero() && !now.Before(deadline) {
		silence := now.Sub(m.heardAt)
		m.neighbor = Packet{State: Down}
		if m.state == Init || m.state == Up {
			changes = m.become(Down, TimeExpired, silence)
		}
	}
	return Output{Packets: m.due(now), Changes: changes}
}

// Wake is when Tick is due next, the zero Time for never.
func (m *Machine) Wake() time.Time {
	deadline, next := m.deadline(), m.nextPacket()
	if next.IsZero() || !deadline.IsZero() && deadline.Before(next) {
		return deadline
	}
	return next
}

// Set changes what this end wants. A session that is up tells the neighbour by a Poll
// Sequence, and goes on as before where it must until that has answered (RFC 5880
// section 6.8.3).
func (m *Machine) Set(s Settings) {
	switch {
	case m.polling:
		m.next = &s
	case s == m.settings:
	case m.state == Up:
		m.poll(s)
	default:
		m.settings = s
	}
}

func (m *Machine) poll(s Settings) {
	m.before, m.settings, m.polling, m.urgent = m.settings, s, true, true
}

func (m *Machine) endPoll() {
	m.polling = false
	if s := m.next; s != nil {
		m.next = nil
		m.Set(*s)
	}
}

// Leave takes the session down for good: the neighbour is told that this is somebody's
// will (AdminDown) and no failure. It is over when Gone says so.
func (m *Machine) Leave() {
	m.become(AdminDown, Administrative, 0)
}

// Gone reports whether the neighbour was told of Leave.
func (m *Machine) Gone() bool { return m.words >= goodbyes }

func (m *Machine) become(s State, why Diagnostic, silence time.Duration) []Change {
	c := Change{From: m.state, To: s, Diagnostic: why, Neighbor: m.neighbor.State, NeighborDiagnostic: m.neighbor.Diagnostic, After: silence, ProvenAt: m.provenAt}
	m.state, m.diagnostic, m.urgent = s, why, true
	if s != Up {
		m.endPoll()
		return []Change{c}
	}
	// From the slow rate to the wanted one (RFC 5880 section 6.8.3).
	m.poll(m.settings)
	return []Change{c}
}

// minTransmit is Desired Min TX Interval as it is told.
func (m *Machine) minTransmit() time.Duration {
	if m.state != Up {
		return max(m.settings.Transmit, slow)
	}
	return m.settings.Transmit
}

// transmitInterval is the time between two packets of ours before jitter. While a
// longer one is not answered yet, the shorter goes on.
func (m *Machine) transmitInterval() time.Duration {
	if m.state == AdminDown {
		return betweenWords
	}
	own := m.minTransmit()
	if m.polling {
		own = min(own, m.before.Transmit)
	}
	return max(own, m.minReceive)
}

// DetectionTime is how long the neighbour may be silent (RFC 5880 section 6.8.4), 0 as
// long as it has said nothing.
func (m *Machine) DetectionTime() time.Duration {
	own := m.settings.Receive
	if m.polling {
		own = max(own, m.before.Receive)
	}
	return time.Duration(m.neighbor.Multiplier) * max(own, m.neighbor.MinTransmit)
}

// deadline is when the neighbour has been silent for too long.
func (m *Machine) deadline() time.Time {
	if m.neighbor.Multiplier == 0 || m.state == AdminDown {
		return time.Time{}
	}
	return m.heardAt.Add(m.DetectionTime())
}

// nextPacket is when the next packet of ours is due, the zero Time where none is.
func (m *Machine) nextPacket() time.Time {
	switch {
	case m.Gone():
		return time.Time{}
	case m.state == AdminDown:
		return m.sentAt.Add(m.transmitInterval())
	case m.minReceive == 0, m.neighbor.Demand && m.state == Up && m.neighbor.State == Up && !m.polling && !m.urgent:
		return time.Time{}
	case m.urgent:
		return m.sentAt
	}
	return m.sentAt.Add(time.Duration(m.share * float64(m.transmitInterval())))
}

// due gives the packet that is due, if one is.
func (m *Machine) due(now time.Time) []Packet {
	next := m.nextPacket()
	if m.Gone() || m.minReceive == 0 && m.state != AdminDown || !m.urgent && (next.IsZero() || now.Before(next)) {
		return nil
	}
	if m.state == AdminDown {
		m.words++
	}
	m.sentAt, m.urgent = now, false
	m.draw()
	return []Packet{m.packet(false)}
}

// packet is what there is to say now. One with Final has no Poll (RFC 5880 section
// 6.5).
func (m *Machine) packet(final bool) Packet {
	return Packet{
		Diagnostic: m.diagnostic, State: m.state, Poll: m.polling && !final, Final: final,
		Multiplier: m.settings.Multiplier, My: m.my, Your: m.neighbor.My,
		MinTransmit: m.minTransmit(), MinReceive: m.settings.Receive,
	}
}

// draw draws the next share of the interval: 75 to 100 %, with a multiplier of 1 at
// most 90 % (RFC 5880 section 6.8.7).
func (m *Machine) draw() {
	m.dice ^= m.dice << 13
	m.dice ^= m.dice >> 7
	m.dice ^= m.dice << 17
	spread := 0.25
	if m.settings.Multiplier == 1 {
		spread = 0.15
	}
	m.share = 0.75 + spread*float64(m.dice>>11)/(1<<53)
}

// Now is a session at one moment.
type Now struct {
	State State
	// Diagnostic is why it came there.
	Diagnostic Diagnostic
	// Neighbor and NeighborDiagnostic are what the neighbour said last of its own;
	// Down where it says nothing.
	Neighbor           State
	NeighborDiagnostic Diagnostic
	// Heard is whether the neighbour says anything.
	Heard bool
	// HeardAt is when it last did.
	HeardAt time.Time
	// Transmit is the time between two packets of ours, and Detection how long the
	// neighbour may be silent: as negotiated.
	Transmit, Detection time.Duration
}

// Now describes the session.
func (m *Machine) Now() Now {
	n := Now{State: m.state, Diagnostic: m.diagnostic, Neighbor: Down, HeardAt: m.heardAt, Transmit: m.transmitInterval(), Detection: m.DetectionTime()}
	if m.neighbor.My != 0 {
		n.Neighbor, n.NeighborDiagnostic, n.Heard = m.neighbor.State, m.neighbor.Diagnostic, true
	}
	return n
}
