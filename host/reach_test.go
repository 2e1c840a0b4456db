package host_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/host"
)

// course plays what happens to a next hop, second by second.
type course struct {
	host.Reach
	now   time.Time
	entry host.Neighbour
	sent  []host.Request
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// to lets time pass until so many seconds after noon: what is due is asked.
func (c *course) to(second float64) {
	end := noon.Add(time.Duration(second * float64(time.Second)))
	for !c.Due().After(end) {
		if c.Due().After(c.now) {
			c.now = c.Due()
		}
		if q := c.Ask(c.now, c.entry); q != host.Nothing {
			c.sent = append(c.sent, q)
		}
	}
	c.now = end
}

// becomes is the kernel's news that the entry has come into a state.
func (c *course) becomes(s host.NeighbourState) {
	c.entry.State, c.entry.Since = s, c.now
	if s == host.NUDReachable {
		c.entry.Confirmed = c.now
	}
	c.See(c.now, c.entry)
}

// TestReach has what is heard of a next hop, and whether it is down then.
func TestReach(t *testing.T) {
	cases := []struct {
		name string
		play func(*course)
		// down is with the Node object there, cutOff with it gone.
		down, cutOff bool
		// why is a part of the reason, where there is one.
		why string
	}{
		{"nobody was asked", func(*course) {}, false, false, ""},
		{"no answer yet, and the kernel asks for the first time", func(c *course) {
			c.to(0)
			c.becomes(host.NUDIncomplete)
			c.to(2.5)
		}, false, false, ""},
		{"the kernel has failed once", func(c *course) {
			c.to(3)
			c.becomes(host.NUDFailed)
		}, false, true, ""},
		{"the kernel has failed once, told twice", func(c *course) {
			c.to(3)
			c.becomes(host.NUDFailed)
			c.See(c.now, c.entry)
			c.to(10)
		}, false, true, ""},
		{"the kernel has failed twice", func(c *course) {
			c.to(3)
			c.becomes(host.NUDFailed)
			c.to(3.5)
			c.becomes(host.NUDIncomplete)
			c.to(6.5)
			c.becomes(host.NUDFailed)
		}, true, true, "the join gateway 100.64.0.1 does not answer on ovn0 (neighbour FAILED since 12:00:03Z)"},
		{"the kernel has failed twice, long apart", func(c *course) {
			c.to(3)
			c.becomes(host.NUDFailed)
			c.to(16)
			c.becomes(host.NUDFailed)
		}, false, true, ""},
		{"the kernel failed long before, and once now", func(c *course) {
			c.entry = host.Neighbour{State: host.NUDFailed, Since: noon.Add(-time.Hour)}
			c.to(0)
			c.becomes(host.NUDIncomplete)
			c.to(3)
			c.becomes(host.NUDFailed)
		}, false, true, ""},
		{"one answer at the start is enough", func(c *course) {
			c.to(3)
			c.becomes(host.NUDFailed)
			c.to(4.1)
			c.becomes(host.NUDReachable)
		}, false, false, ""},
		{"a question without an answer", func(c *course) {
			c.becomes(host.NUDReachable)
			c.to(0.1)
			c.Hear(c.now)
			c.to(6)
		}, false, true, ""},
		{"two questions without an answer", func(c *course) {
			c.becomes(host.NUDReachable)
			c.to(0.1)
			c.Hear(c.now)
			c.to(10)
		}, true, true, "the join gateway 100.64.0.1 does not answer on ovn0 (no answer since 12:00:06Z)"},
		{"two questions without an answer, and then the kernel fails too", func(c *course) {
			c.becomes(host.NUDReachable)
			c.to(0.1)
			c.Hear(c.now)
			c.to(23)
			c.becomes(host.NUDFailed)
		}, true, true, "(neighbour FAILED since 12:00:06Z)"},
		{"a question without an answer, and the kernel fails in the same moment", func(c *course) {
			c.becomes(host.NUDReachable)
			c.to(0.1)
			c.Hear(c.now)
			c.to(6)
			c.becomes(host.NUDFailed)
		}, false, true, ""},
		{"no echoes, but solicitations are answered", func(c *course) {
			c.becomes(host.NUDReachable)
			for range 20 {
				c.to(c.now.Sub(noon).Seconds() + 1)
				if c.sent[len(c.sent)-1] == host.Solicitation {
					c.entry.Confirmed = c.now
				}
			}
		}, false, false, ""},
		{"no solicitations, but echoes", func(c *course) {
			c.becomes(host.NUDReachable)
			for range 20 {
				c.to(c.now.Sub(noon).Seconds() + 1)
				c.Hear(c.now)
			}
			c.becomes(host.NUDStale)
		}, false, false, ""},
		{"lost, and an echo comes", func(c *course) {
			c.becomes(host.NUDReachable)
			c.to(20)
			c.Hear(c.now)
		}, false, false, ""},
		{"lost, and the kernel hears it", func(c *course) {
			c.to(3)
			c.becomes(host.NUDFailed)
			c.to(7)
			c.becomes(host.NUDFailed)
			c.to(9)
			c.becomes(host.NUDReachable)
		}, false, false, ""},
		{"lost, and it says who it is without being asked", func(c *course) {
			c.to(3)
			c.becomes(host.NUDFailed)
			c.to(7)
			c.becomes(host.NUDFailed)
			c.to(9)
			c.becomes(host.NUDStale)
		}, true, true, ""},
		{"lost, and the entry is collected", func(c *course) {
			c.to(3)
			c.becomes(host.NUDFailed)
			c.to(7)
			c.becomes(host.NUDFailed)
			c.entry = host.Neighbour{}
			c.to(60)
		}, true, true, ""},
		{"lost, and somebody writes the entry", func(c *course) {
			c.to(3)
			c.becomes(host.NUDFailed)
			c.to(7)
			c.becomes(host.NUDFailed)
			c.becomes(host.NUDPermanent)
			c.to(60)
		}, false, false, ""},
		{"a link without ARP", func(c *course) {
			c.entry.State = host.NUDNoARP
			c.to(60)
		}, false, false, ""},
		{"an entry that is collected is made again", func(c *course) {
			c.becomes(host.NUDReachable)
			c.to(0.5)
			c.Hear(c.now)
			c.entry = host.Neighbour{}
			c.to(20)
		}, false, false, ""},
		{"nothing can be sent", func(c *course) {
			c.becomes(host.NUDStale)
			for c.now.Before(noon.Add(time.Minute)) {
				c.Ask(c.now, c.entry)
				c.Unsent(c.now)
				c.now = c.Due()
			}
		}, false, false, ""},
		{"the kernel cannot be asked", func(c *course) {
			c.becomes(host.NUDReachable)
			c.to(1)
			for range 20 {
				c.now = c.Due()
				c.Skip(c.now)
			}
		}, false, false, ""},
	}
	for _, of := range cases {
		t.Run(of.name, func(t *testing.T) {
			c := &course{now: noon}
			of.play(c)
			if down, cutOff := c.Down(false), c.Down(true); down != of.down || cutOff != of.cutOff {
				t.Errorf("down %t, with the Node gone %t; want %t, %t (sent %v)", down, cutOff, of.down, of.cutOff, c.sent)
			}
			if why := c.Why(netip.MustParseAddr("100.64.0.1"), "ovn0"); !strings.Contains(why, of.why) {
				t.Errorf("%s, want %s", why, of.why)
			}
		})
	}
}

// TestReachIsAskedRarely: an echo every four seconds while it answers, one request
// a second at most while it does not.
func TestReachIsAskedRarely(t *testing.T) {
	c := &course{now: noon}
	c.becomes(host.NUDReachable)
	for second := range 60 {
		c.to(float64(second))
		c.Hear(c.now)
	}
	if n := len(c.sent); n < 14 || n > 16 {
		t.Errorf("%d requests in a minute of answers: %v", n, c.sent)
	}
	c.sent = nil
	c.to(120)
	if n := len(c.sent); n < 40 || n > 62 {
		t.Errorf("%d requests in a minute without: %v", n, c.sent)
	}
}

// TestReachAsksAtOnceWhenTheNodeIsGone, and is down two seconds later.
func TestReachAsksAtOnceWhenTheNodeIsGone(t *testing.T) {
	c := &course{now: noon}
	c.becomes(host.NUDReachable)
	c.to(0.5)
	c.Hear(c.now)
	c.to(1)
	c.SetUrgent(c.now, true)
	c.to(2.9)
	if c.Down(true) {
		t.Error("down before it was asked twice")
	}
	c.to(3)
	if !c.Down(true) {
		t.Errorf("not down after %v", c.sent)
	}
}
