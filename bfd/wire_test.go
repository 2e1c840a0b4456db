package bfd

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fairway-bgp/fairway/e2e/rapidseed"
)

func TestMain(m *testing.M) { rapidseed.Main(m) }

// flight is a packet on a simulated wire.
type flight struct {
	at     time.Time
	to     int
	packet Packet
}

// wire joins two sessions; time passes only when it says so.
type wire struct {
	now     time.Time
	ends    [2]*Machine
	flights []flight
	// lost says whether the next packet is lost, and delay how long it takes.
	lost  func() bool
	delay func() time.Duration
	// downs counts how often an end went from Up to Down.
	downs [2]int
}

func newWire(settings [2]Settings, lost func() bool, delay func() time.Duration) *wire {
	return &wire{now: at(0), ends: [2]*Machine{New(1, settings[0]), New(2, settings[1])}, lost: lost, delay: delay}
}

// take sends what an end says, by way of the codec.
func (w *wire) take(from int, out Output) {
	for _, p := range out.Packets {
		if w.lost() {
			continue
		}
		back, err := Parse(p.Append(nil))
		if err != nil {
			panic(err)
		}
		w.flights = append(w.flights, flight{w.now.Add(w.delay()), 1 - from, back})
	}
	for _, c := range out.Changes {
		if c.From == Up {
			w.downs[from]++
		}
	}
}

// run lets time pass.
func (w *wire) run(d time.Duration) {
	for end := w.now.Add(d); ; {
		next, arrival := end, -1
		for i, f := range w.flights {
			if f.at.Before(next) {
				next, arrival = f.at, i
			}
		}
		who := -1
		for i, m := range w.ends {
			if wake := m.Wake(); !wake.IsZero() && wake.Before(next) {
				next, who = wake, i
			}
		}
		if next.After(w.now) {
			w.now = next
		}
		switch {
		case who >= 0:
			w.take(who, w.ends[who].Tick(w.now))
		case arrival >= 0:
			f := w.flights[arrival]
			w.flights = append(w.flights[:arrival], w.flights[arrival+1:]...)
			w.take(f.to, w.ends[f.to].Receive(w.now, f.packet))
		default:
			return
		}
	}
}

func (w *wire) bothUp() bool { return w.ends[0].state == Up && w.ends[1].state == Up }

func settingsGen() *rapid.Generator[Settings] {
	return rapid.Custom(func(t *rapid.T) Settings {
		ms := rapid.SampledFrom([]int{10, 50, 300, 1500})
		return Settings{
			Transmit:   time.Duration(ms.Draw(t, "transmit")) * time.Millisecond,
			Receive:    time.Duration(ms.Draw(t, "receive")) * time.Millisecond,
			Multiplier: uint8(rapid.IntRange(2, 10).Draw(t, "multiplier")),
		}
	})
}

// TestTwoEndsComeUpAndStayUp draws two ends, a wire that loses some packets until it is
// whole, and changes of settings.
func TestTwoEndsComeUpAndStayUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loss := rapid.IntRange(0, 60).Draw(t, "loss")
		lossy := true
		w := newWire([2]Settings{settingsGen().Draw(t, "a"), settingsGen().Draw(t, "b")},
			func() bool { return lossy && rapid.IntRange(0, 99).Draw(t, "lost") < loss },
			func() time.Duration { return time.Millisecond })
		w.run(20 * time.Second)
		lossy = false
		w.run(40 * time.Second) // past each detection time, and then a few slow packets
		if !w.bothUp() {
			t.Fatalf("%+v and %+v", w.ends[0].Now(), w.ends[1].Now())
		}
		before := w.downs
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			w.ends[rapid.IntRange(0, 1).Draw(t, "who")].Set(settingsGen().Draw(t, "new"))
			w.run(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
		}
		w.run(30 * time.Second)
		if !w.bothUp() || w.downs != before {
			t.Fatalf("a change of settings took a session down %v times: %+v and %+v", w.downs, w.ends[0].Now(), w.ends[1].Now())
		}
		for i, m := range w.ends {
			if m.polling {
				t.Fatalf("end %d is polling for ever", i)
			}
		}
	})
}

// TestAWireThatIsCutIsSeenByBothEnds within the detection time, however they differ.
func TestAWireThatIsCutIsSeenByBothEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cut := false
		w := newWire([2]Settings{settingsGen().Draw(t, "a"), settingsGen().Draw(t, "b")},
			func() bool { return cut }, func() time.Duration { return time.Millisecond })
		w.run(20*time.Second + time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms"))*time.Millisecond)
		if !w.bothUp() {
			t.Fatalf("%+v and %+v", w.ends[0].Now(), w.ends[1].Now())
		}
		cut = true
		longest := max(w.ends[0].DetectionTime(), w.ends[1].DetectionTime())
		w.run(longest + 2*time.Millisecond)
		if w.downs != [2]int{1, 1} {
			t.Fatalf("%s after the cut: %v", longest, w.downs)
		}
		cut = false
		w.run(20 * time.Second)
		if !w.bothUp() || w.downs != [2]int{1, 1} {
			t.Fatalf("mended: %v, %+v and %+v", w.downs, w.ends[0].Now(), w.ends[1].Now())
		}
	})
}

// FuzzPackets: whatever comes in, the session neither dies nor sends without measure,
// and what it says can be read.
func FuzzPackets(f *testing.F) {
	for _, s := range []State{AdminDown, Down, Init, Up} {
		poll := says(s)
		poll.Poll = true
		f.Add(append(says(Down).Append(nil), poll.Append(nil)...), uint16(10))
	}
	f.Fuzz(func(t *testing.T, stream []byte, step uint16) {
		m, now := New(1, fast), at(0)
		for ; len(stream) >= packetLength; stream = stream[packetLength:] {
			now = now.Add(time.Duration(step) * time.Millisecond)
			var out Output
			if p, err := Parse(stream[:packetLength]); err == nil {
				out = m.Receive(now, p)
			}
			more := m.Tick(now)
			for _, p := range append(out.Packets, more.Packets...) {
				if _, err := Parse(p.Append(nil)); err != nil && (p.Your != 0 || p.State == Down) {
					t.Fatalf("%+v: %v", p, err)
				}
			}
			if len(out.Packets)+len(more.Packets) > 3 {
				t.Fatalf("one packet in, %+v and %+v out", out.Packets, more.Packets)
			}
			if wake := m.Wake(); !wake.IsZero() && !wake.After(now) {
				t.Fatalf("it wants to be woken at %s for ever", wake.Sub(at(0)))
			}
		}
	})
}
