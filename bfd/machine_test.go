package bfd

import (
	"slices"
	"testing"
	"time"
)

var fast = Settings{Transmit: 50 * time.Millisecond, Receive: 50 * time.Millisecond, Multiplier: 3}

func at(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }

// says is a packet of a neighbour with discriminator 9 and fast timers.
func says(s State) Packet {
	p := Packet{State: s, Multiplier: 3, My: 9, Your: 1, MinTransmit: fast.Transmit, MinReceive: fast.Receive}
	if s == Down || s == AdminDown {
		p.MinTransmit = time.Second
	}
	return p
}

// up gives a session that came up at at(0), its Poll Sequence done.
func up(t *testing.T) *Machine {
	t.Helper()
	m := New(1, fast)
	m.Tick(at(0))
	m.Receive(at(0), says(Down))
	m.Receive(at(0), says(Up))
	final := says(Up)
	final.Final = true
	m.Receive(at(0), final)
	if m.state != Up || m.polling {
		t.Fatalf("%+v", m)
	}
	return m
}

// TestStateMachine is the table of RFC 5880 section 6.8.6.
func TestStateMachine(t *testing.T) {
	for _, c := range []struct {
		from, hears, to State
		why             Diagnostic
	}{
		{Down, AdminDown, Down, NoDiagnostic},
		{Down, Down, Init, NoDiagnostic},
		{Down, Init, Up, NoDiagnostic},
		{Down, Up, Down, NoDiagnostic},
		{Init, AdminDown, Down, NeighborDown},
		{Init, Down, Init, NoDiagnostic},
		{Init, Init, Up, NoDiagnostic},
		{Init, Up, Up, NoDiagnostic},
		{Up, AdminDown, Down, NeighborDown},
		{Up, Down, Down, NeighborDown},
		{Up, Init, Up, NoDiagnostic},
		{Up, Up, Up, NoDiagnostic},
		{AdminDown, Down, AdminDown, NoDiagnostic},
		{AdminDown, Up, AdminDown, NoDiagnostic},
	} {
		t.Run(c.from.String()+" hears "+c.hears.String(), func(t *testing.T) {
			m := New(1, fast)
			m.state = c.from
			out := m.Receive(at(0), says(c.hears))
			if m.state != c.to || m.diagnostic != c.why {
				t.Errorf("%s (%s), want %s (%s)", m.state, m.diagnostic, c.to, c.why)
			}
			if changed := len(out.Changes) == 1; changed != (c.from != c.to) {
				t.Errorf("changes %+v", out.Changes)
			}
		})
	}
}

func TestOneSecondWhileDownAndAsNegotiatedWhileUp(t *testing.T) {
	m := New(1, fast)
	if p := m.Tick(at(0)).Packets; len(p) != 1 || p[0].MinTransmit != time.Second || p[0].MinReceive != fast.Receive || p[0].Your != 0 {
		t.Errorf("the first packet is %+v", p)
	}
	if wait := m.Wake().Sub(at(0)); wait < 750*time.Millisecond || wait > time.Second {
		t.Errorf("the next packet of a session that is down comes after %s", wait)
	}
	m = up(t)
	m.Tick(m.Wake())
	last := m.sentAt
	if wait := m.Wake().Sub(last); wait < 37*time.Millisecond || wait > 50*time.Millisecond {
		t.Errorf("the next packet of a session that is up comes after %s", wait)
	}
	slowDown := says(Up)
	slowDown.MinReceive = 400 * time.Millisecond
	m.Receive(last, slowDown)
	if wait := m.nextPacket().Sub(last); wait < 300*time.Millisecond || wait > 400*time.Millisecond {
		t.Errorf("to a neighbour that takes one each 400 ms, the next packet goes after %s", wait)
	}
}

func TestJitterStaysWithinItsBounds(t *testing.T) {
	for multiplier, most := range map[uint8]float64{1: 0.90, 3: 1} {
		m := New(7, Settings{Transmit: slow, Receive: slow, Multiplier: multiplier})
		var shares []float64
		for range 10000 {
			m.draw()
			shares = append(shares, m.share)
		}
		least, largest := slices.Min(shares), slices.Max(shares)
		if least < 0.75 || least > 0.76 || largest > most || largest < most-0.01 {
			t.Errorf("multiplier %d: from %.3f to %.3f of the interval, want 0.75 to %.2f", multiplier, least, largest, most)
		}
	}
}

func TestSilenceForTheDetectionTimeIsDown(t *testing.T) {
	m := up(t)
	if out := m.Tick(at(149 * time.Millisecond)); len(out.Changes) != 0 {
		t.Errorf("down too early: %+v", out.Changes)
	}
	out := m.Tick(at(151 * time.Millisecond))
	want := Change{From: Up, To: Down, Diagnostic: TimeExpired, Neighbor: Down, After: 151 * time.Millisecond, ProvenAt: at(0)}
	if len(out.Changes) != 1 || out.Changes[0] != want {
		t.Errorf("%+v, want %+v", out.Changes, want)
	}
	if len(out.Packets) != 1 || out.Packets[0].State != Down || out.Packets[0].Diagnostic != TimeExpired || out.Packets[0].Your != 0 || out.Packets[0].MinTransmit != slow {
		t.Errorf("it says %+v", out.Packets)
	}
}

func TestTheNeighboursSlowerRateLengthensTheDetectionTime(t *testing.T) {
	m := up(t)
	slower := says(Up)
	slower.MinTransmit, slower.Multiplier = 200*time.Millisecond, 5
	m.Receive(at(0), slower)
	if got := m.DetectionTime(); got != time.Second {
		t.Errorf("%s, want 5 x 200 ms", got)
	}
}

func TestAPollIsAnsweredAtOnce(t *testing.T) {
	m := up(t)
	m.Tick(m.Wake())
	poll := says(Up)
	poll.Poll = true
	out := m.Receive(m.sentAt.Add(time.Millisecond), poll)
	if len(out.Packets) != 1 || !out.Packets[0].Final || out.Packets[0].Poll {
		t.Errorf("%+v", out.Packets)
	}
}

func TestNewSettingsOfASessionThatIsUpArePolled(t *testing.T) {
	m := up(t)
	slower := Settings{Transmit: 300 * time.Millisecond, Receive: 20 * time.Millisecond, Multiplier: 4}
	m.Set(slower)
	out := m.Tick(at(time.Millisecond))
	if len(out.Packets) != 1 || !out.Packets[0].Poll || out.Packets[0].MinTransmit != slower.Transmit || out.Packets[0].MinReceive != slower.Receive || out.Packets[0].Multiplier != 4 {
		t.Fatalf("it says %+v", out.Packets)
	}
	// Until the neighbour knows, it may take us for dead after 150 ms, and send as
	// slowly as it was told first.
	if m.transmitInterval() != fast.Transmit || m.DetectionTime() != 150*time.Millisecond {
		t.Errorf("before the answer: one packet in %s, detection time %s", m.transmitInterval(), m.DetectionTime())
	}
	m.Set(fast)
	if !m.polling || m.settings != slower {
		t.Error("a second change goes into a Poll Sequence that is about another")
	}
	final := says(Up)
	final.Final = true
	m.Receive(at(2*time.Millisecond), final)
	if m.settings != fast || !m.polling {
		t.Errorf("the second change does not follow: %+v", m)
	}
	m.Receive(at(3*time.Millisecond), final)
	if m.polling {
		t.Error("an answer does not end the Poll Sequence")
	}
}

func TestANeighbourThatTakesNothingIsSentNothing(t *testing.T) {
	m := up(t)
	quiet := says(Up)
	quiet.MinReceive = 0
	m.Receive(at(0), quiet)
	if out := m.Tick(at(100 * time.Millisecond)); len(out.Packets) != 0 {
		t.Errorf("%+v", out.Packets)
	}
	if wake := m.Wake(); wake != at(150*time.Millisecond) {
		t.Errorf("it wakes at %s", wake.Sub(at(0)))
	}
}

func TestANeighbourInDemandModeIsSentNothingWhileBothAreUp(t *testing.T) {
	m := up(t)
	m.Tick(m.Wake())
	demand := says(Up)
	demand.Demand = true
	m.Receive(m.sentAt, demand)
	if out := m.Tick(m.sentAt.Add(60 * time.Millisecond)); len(out.Packets) != 0 {
		t.Errorf("%+v", out.Packets)
	}
}

func TestLeavingIsSaidThreeTimesAndThenNothing(t *testing.T) {
	m := up(t)
	m.Leave()
	said := 0
	for !m.Gone() {
		for _, p := range m.Tick(m.Wake()).Packets {
			if p.State != AdminDown || p.Diagnostic != Administrative {
				t.Errorf("%+v", p)
			}
			said++
		}
	}
	if out := m.Tick(at(time.Hour)); said != goodbyes || len(out.Packets) != 0 || !m.Wake().IsZero() {
		t.Errorf("said %d times, then %+v", said, out.Packets)
	}
}

func TestAPacketForAnotherSessionIsDropped(t *testing.T) {
	m := up(t)
	down := says(Down)
	down.Your = 2
	if out := m.Receive(at(0), down); m.state != Up || len(out.Changes) != 0 {
		t.Errorf("%+v", out)
	}
}

// TestANeighbourThatWasTurnedOffIsNoFailure is what a user of the session needs to tell
// one from the other (RFC 5882 section 4.2).
func TestANeighbourThatWasTurnedOffIsNoFailure(t *testing.T) {
	m := up(t)
	out := m.Receive(at(0), says(AdminDown))
	if len(out.Changes) != 1 || out.Changes[0].Neighbor != AdminDown || out.Changes[0].Diagnostic != NeighborDown {
		t.Errorf("%+v", out.Changes)
	}
}
