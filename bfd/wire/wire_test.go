package wire

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/bfd"
)

// fast bears a machine that does something else for two seconds.
var fast = bfd.Settings{Transmit: 100 * time.Millisecond, Receive: 100 * time.Millisecond, Multiplier: 20}

// ends are two loops at two addresses of the loopback interface, with what they told.
type ends struct {
	a, b         *Wire
	told         chan change
	addrA, addrB netip.Addr
}

func start(t *testing.T, told chan change) *Wire {
	t.Helper()
	w, err := Start(func(peer netip.Addr, c bfd.Change, at time.Time) {
		if told != nil {
			told <- change{peer, at, c}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, w) })
	return w
}

func shut(t *testing.T, w *Wire) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.Close(ctx); err != nil {
		t.Error(err)
	}
}

func joined(t *testing.T, a, b string, multihop bool) *ends {
	t.Helper()
	e := &ends{told: make(chan change, 100), addrA: netip.MustParseAddr(a), addrB: netip.MustParseAddr(b)}
	e.a, e.b = start(t, e.told), start(t, nil)
	e.a.Set([]Session{{Peer: e.addrB.WithZone(e.addrA.Zone()), Local: e.addrA, Multihop: multihop, Settings: fast}})
	e.b.Set([]Session{{Peer: e.addrA.WithZone(e.addrB.Zone()), Local: e.addrB, Multihop: multihop, Settings: fast}})
	e.await(t, bfd.Init, bfd.Up)
	return e
}

// await waits for a change to one of the states, and fails at another.
func (e *ends) await(t *testing.T, states ...bfd.State) change {
	t.Helper()
	for {
		select {
		case c := <-e.told:
			if !slices.Contains(states, c.To) {
				t.Fatalf("%+v, waiting for %v", c, states)
			}
			if c.To == states[len(states)-1] {
				return c
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no change to %v: %+v and %+v", states, e.a.Reports(), e.b.Reports())
		}
	}
}

func TestTwoLoopsComeUp(t *testing.T) {
	for name, c := range map[string]struct {
		a, b     string
		multihop bool
	}{
		"IPv4":          {"127.0.0.71", "127.0.0.72", false},
		"IPv4 multihop": {"127.0.0.71", "127.0.0.72", true},
	} {
		t.Run(name, func(t *testing.T) {
			e := joined(t, c.a, c.b, c.multihop)
			r := e.a.Reports()
			if len(r) != 1 || r[0].State != bfd.Up || r[0].Problem != "" || r[0].Received == 0 || r[0].Sent == 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestClosingIsNoFailureToTheNeighbour(t *testing.T) {
	e := joined(t, "127.0.0.71", "127.0.0.72", false)
	shut(t, e.b)
	if c := e.await(t, bfd.Down); c.Diagnostic != bfd.NeighborDown || c.Neighbor != bfd.AdminDown {
		t.Errorf("%+v", c)
	}
}

func TestASessionTakenAwayIsNoFailureToTheNeighbour(t *testing.T) {
	e := joined(t, "127.0.0.71", "127.0.0.72", false)
	e.b.Set(nil)
	if c := e.await(t, bfd.Down); c.Diagnostic != bfd.NeighborDown || c.Neighbor != bfd.AdminDown {
		t.Errorf("%+v", c)
	}
	e.b.Set([]Session{{Peer: e.addrA, Local: e.addrB, Settings: fast}})
	e.await(t, bfd.Init, bfd.Up)
}

func TestNewSettingsDoNotInterruptASession(t *testing.T) {
	e := joined(t, "127.0.0.71", "127.0.0.72", false)
	slower := bfd.Settings{Transmit: 150 * time.Millisecond, Receive: 200 * time.Millisecond, Multiplier: 30}
	e.a.Set([]Session{{Peer: e.addrB, Local: e.addrA, Settings: slower}})
	deadline := time.Now().Add(20 * time.Second)
	for e.a.Reports()[0].Detection != 4*time.Second { // 20 x 200 ms: their multiplier, our interval
		if time.Now().After(deadline) {
			t.Fatalf("%+v", e.a.Reports())
		}
		time.Sleep(5 * time.Millisecond)
	}
	if r := e.a.Reports()[0]; r.State != bfd.Up || r.Downs != 0 || len(e.told) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestAPacketThatARouterForwardedIsDropped is RFC 5881 section 5.
func TestAPacketThatARouterForwardedIsDropped(t *testing.T) {
	e := joined(t, "127.0.0.71", "127.0.0.72", false)
	fd, err := socket(netip.AddrPortFrom(e.addrB, 0), [][3]int{{unix.IPPROTO_IP, unix.IP_TTL, 254}})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	down := bfd.Packet{State: bfd.Down, Multiplier: 3, My: 1, MinTransmit: time.Second, MinReceive: time.Second}
	to, err := sockaddr(netip.AddrPortFrom(e.addrA, SingleHopPort))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendto(fd, down.Append(nil), 0, to); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for e.a.Reports()[0].Dropped == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", e.a.Reports())
		}
		time.Sleep(5 * time.Millisecond)
	}
	if r := e.a.Reports()[0]; r.State != bfd.Up || r.Downs != 0 {
		t.Errorf("%+v", r)
	}
}

func TestAnotherDaemonOnThePortIsAProblemThatIsSaid(t *testing.T) {
	local := netip.MustParseAddr("127.0.0.73")
	other, err := listen(netip.AddrPortFrom(local, SingleHopPort))
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, nil)
	w.Set([]Session{{Peer: netip.MustParseAddr("127.0.0.74"), Local: local, Settings: fast}})
	says := func(want string) {
		t.Helper()
		deadline := time.Now().Add(20 * time.Second)
		for w.Reports()[0].Problem != want {
			if time.Now().After(deadline) {
				t.Fatalf("%+v", w.Reports())
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	says("UDP port 3784 of 127.0.0.73 is taken: another BFD daemon (FRR's bfdd, BIRD) runs on this node")
	unix.Close(other)
	says("")
}
