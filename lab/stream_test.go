package lab

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A stream counts what is lost while the router has no route, and nothing else.
func TestStreamCountsWhatIsLost(t *testing.T) {
	l := startLab(t, testOptions(t))
	for _, pod := range []string{webPod4, webPod6} {
		t.Run(pod, func(t *testing.T) {
			addr := netip.MustParseAddr(pod)
			s, err := l.StartStream(outsideSpace, addr, 2*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			expectAnswer(t, s)
			// The Pod runs on n2, and its Subnet is distributed.
			if in, out, err := l.StreamPath(t.Context(), s); err != nil || in == "" || out != "n2" {
				t.Errorf("in by %q, out by %q, %v", in, out, err)
			}
			if loss := s.Stop(); loss.Lost > 0 || loss.Longest > 0 || loss.Sent == 0 {
				t.Errorf("%v where nothing was changed", loss)
			}
			if s, err = l.StartStream(outsideSpace, addr, 2*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			expectAnswer(t, s)
			tor := l.wiring.spaces[routerSpace]
			hole := &netlink.Route{Dst: ipNet(netip.PrefixFrom(addr, addr.BitLen())), Type: unix.RTN_BLACKHOLE, Table: mainTable}
			if err := tor.RouteAdd(hole); err != nil {
				t.Fatal(err)
			}
			err = until(t.Context(), bound, func() error {
				if loss := s.loss(); loss.Lost < 10 {
					return &disproof{"10 lost", loss.String()}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if err := tor.RouteDel(hole); err != nil {
				t.Fatal(err)
			}
			expectAnswer(t, s)
			if loss := s.Stop(); loss.Lost < 10 || loss.Lost == loss.Sent || loss.Longest == 0 {
				t.Errorf("%v, want the ten or more of the black hole", loss)
			}
		})
	}
}

func expectAnswer(t *testing.T, s *Stream) {
	t.Helper()
	if err := s.WaitForAnswer(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestLossIsThatOfTheLongestRun(t *testing.T) {
	for _, c := range []struct {
		name string
		back []bool
		want Loss
	}{
		{"nothing sent", nil, Loss{}},
		{"all back", []bool{true, true}, Loss{Sent: 2}},
		{"one lost", []bool{true, false, true}, Loss{3, 1, 2 * time.Millisecond}},
		{"two runs", []bool{false, true, false, false, true}, Loss{5, 3, 4 * time.Millisecond}},
		{"lost until the end", []bool{true, false, false, false}, Loss{4, 3, 4 * time.Millisecond}},
	} {
		s := &Stream{back: c.back}
		for i := range c.back {
			s.sent = append(s.sent, time.Duration(i)*2*time.Millisecond)
		}
		if got := s.loss(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
