package chaos

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

// TestTheWatchSeesWhatIsLost: a run in which nothing was lost is worth as much as the
// watch that saw nothing.
func TestTheWatchSeesWhatIsLost(t *testing.T) {
	needs.Root(t, "ip")
	space := fmt.Sprintf("fww%d", os.Getpid())
	t.Cleanup(func() { must.Run(t, "ip", "netns", "delete", space) })
	must.Run(t, "ip", "netns", "add", space)
	ip := func(args string) {
		t.Helper()
		must.Run(t, append([]string{"ip", "-n", space}, strings.Fields(args)...)...)
	}
	ip("link add eth0 type bridge")
	ip("link set eth0 up")
	ip("addr add 172.30.0.1/24 dev eth0")
	ip("addr add fd00:30::1/64 dev eth0 nodad")
	w, err := openTor(space)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	for _, family := range []struct{ prefix, first, second string }{
		{"10.166.0.0/16", "172.30.0.11", "172.30.0.12"}, {"fd00:10:166::/64", "fd00:30::11", "fd00:30::12"},
	} {
		set := fmt.Sprintf("route replace %s proto bgp nexthop via %s nexthop via %s", family.prefix, family.first, family.second)
		ip(set)
		p, stays := netip.MustParsePrefix(family.prefix), netip.MustParseAddr(family.second)
		w.guard(table{p: {stays}})
		before := len(w.lost())
		ip(fmt.Sprintf("route replace %s proto bgp via %s", p, stays))
		ip(set)
		ip(fmt.Sprintf("route replace %s proto bgp via %s", p, family.first))
		must.Await(t, "the loss of "+family.second+" is seen", func() bool { return len(w.lost()) > before })
		if lost := w.lost(); len(lost) != before+1 || !strings.Contains(lost[before], family.prefix+" lost next hop "+family.second) {
			t.Errorf("%q", lost)
		}
	}
}

// TestTheModelKnowsWhoAnnounces, by hand, where it is not the plan that says so.
func TestTheModelKnowsWhoAnnounces(t *testing.T) {
	m := newModel()
	p := m.subnets["s2"].cidrs[0] // centralized, n1 before n2
	hop := func(n string) netip.Addr { return addressOf(n, false) }
	for _, c := range []struct {
		name   string
		broken func()
		want   []netip.Addr
	}{
		{"the active gateway", func() {}, []netip.Addr{hop("n1")}},
		{"it is not Ready", func() { m.notReady = "n1" }, []netip.Addr{hop("n2")}},
		{"its successor is not heard", func() { m.cut["n2"] = true }, nil},
		{"ECMP", func() {
			m.notReady = ""
			s := m.subnets["s2"]
			s.ecmp = true
			m.subnets["s2"] = s
		}, []netip.Addr{hop("n1")}},
		{"all is well", func() { delete(m.cut, "n2") }, []netip.Addr{hop("n1"), hop("n2")}},
		{"one has no way into the overlay", func() { m.blind["n1"] = true }, []netip.Addr{hop("n2")}},
		{"nobody learns", func() { m.routerDown = true }, nil},
	} {
		c.broken()
		if have := m.wanted()[p]; fmt.Sprint(have) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, not %v", c.name, have, c.want)
		}
	}
}
