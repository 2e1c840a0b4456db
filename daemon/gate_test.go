package daemon_test

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/host"
)

// byOverlay is a route by the overlay link to some next hops.
func byOverlay(via ...string) []host.Route {
	r := host.Route{}
	for _, hop := range via {
		r.Links = append(r.Links, "ovn0")
		if hop == "" {
			r.Via = append(r.Via, netip.Addr{})
			continue
		}
		r.Via = append(r.Via, netip.MustParseAddr(hop))
	}
	return []host.Route{r}
}

func up() host.LinkState { return host.LinkState{Name: "ovn0", Exists: true, Up: true} }

func TestDatapathGateKeepsItsAnswerWhileTheKernelCannotBeAsked(t *testing.T) {
	here, gone, later := netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("10.3.0.0/16")
	var facts host.Datapath
	gate := daemon.DatapathGate{
		Read:     func(host.Want) host.Datapath { return facts },
		Gateways: func([]netip.Addr, bool) map[netip.Addr]string { return nil },
	}
	unreadable := host.Datapath{Err: errors.New("list routes: interrupted")}
	noRoute := map[netip.Prefix]string{gone: "no route to 10.2.0.0/16 by ovn0"}

	for _, step := range []struct {
		when  string
		facts host.Datapath
		asked []netip.Prefix
		want  map[netip.Prefix]string
	}{
		{"nothing was ever read", unreadable, []netip.Prefix{here, gone}, nil},
		{"one has no route", host.Datapath{Link: up(), Routes: map[netip.Prefix][]host.Route{here: byOverlay("")}}, []netip.Prefix{here, gone}, noRoute},
		{"the kernel cannot be asked", unreadable, []netip.Prefix{here, gone}, noRoute},
		{"and another Subnet comes", unreadable, []netip.Prefix{here, gone, later}, noRoute},
		{"the kernel answers again", host.Datapath{Link: up(), Routes: map[netip.Prefix][]host.Route{here: byOverlay(""), gone: byOverlay(""), later: byOverlay("")}}, []netip.Prefix{here, gone, later}, nil},
	} {
		facts = step.facts
		if got := gate.Down(step.asked, false); !maps.Equal(got, step.want) {
			t.Errorf("%s: down is %v, want %v", step.when, got, step.want)
		}
	}
}

// TestDatapathGateAsksTheGatewaysOfWhatHasARoute, each once, and holds back what
// leads to silent ones alone.
func TestDatapathGateAsksTheGatewaysOfWhatHasARoute(t *testing.T) {
	four, six, both, link, none := netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/64"), netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("10.3.0.0/16"), netip.MustParsePrefix("10.4.0.0/16")
	var silent map[netip.Addr]string
	var followed []netip.Addr
	var gone bool
	gate := daemon.DatapathGate{
		Read: func(host.Want) host.Datapath {
			return host.Datapath{Link: up(), Routes: map[netip.Prefix][]host.Route{
				four: byOverlay("100.64.0.1"), six: byOverlay("fd00:100:64::1"), both: byOverlay("100.64.0.1", "100.64.0.2"), link: byOverlay(""),
			}}
		},
		Gateways: func(hops []netip.Addr, nodeGone bool) map[netip.Addr]string {
			followed, gone = hops, nodeGone
			return silent
		},
	}
	join4, other4, join6 := netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("100.64.0.2"), netip.MustParseAddr("fd00:100:64::1")
	noRoute := "no route to 10.4.0.0/16 by ovn0"
	for _, step := range []struct {
		silent map[netip.Addr]string
		want   map[netip.Prefix]string
	}{
		{nil, map[netip.Prefix]string{none: noRoute}},
		{map[netip.Addr]string{join4: "4 is silent"}, map[netip.Prefix]string{none: noRoute, four: "4 is silent"}},
		{map[netip.Addr]string{join6: "6 is silent"}, map[netip.Prefix]string{none: noRoute, six: "6 is silent"}},
		{map[netip.Addr]string{join4: "4 is silent", other4: "so is the other"}, map[netip.Prefix]string{none: noRoute, four: "4 is silent", both: "4 is silent; so is the other"}},
	} {
		silent = step.silent
		if got := gate.Down([]netip.Prefix{four, both, link, none, six}, true); !maps.Equal(got, step.want) {
			t.Errorf("with %v: down is %v, want %v", silent, got, step.want)
		}
		if !slices.Equal(followed, []netip.Addr{join4, other4, join6}) || !gone {
			t.Errorf("asked %v, the Node gone: %t", followed, gone)
		}
	}
}

func TestDatapathGateSaysWhichRouterIsInTheOverlay(t *testing.T) {
	lan, subnet := netip.MustParsePrefix("172.30.0.0/24"), netip.MustParsePrefix("172.30.0.0/29")
	gate := daemon.DatapathGate{
		Read: func(host.Want) host.Datapath {
			return host.Datapath{Link: up(), Routes: map[netip.Prefix][]host.Route{lan: {{Links: []string{"eth0"}}}, subnet: byOverlay("100.64.0.1")}}
		},
		Gateways: func([]netip.Addr, bool) map[netip.Addr]string { return nil },
	}
	routers := []netip.Addr{netip.MustParseAddr("172.30.0.1"), netip.MustParseAddr("172.30.0.9"), netip.MustParseAddr("fe80::1%eth0")}
	if got := gate.Astray(routers); got != nil {
		t.Errorf("before anything was read: %q", got)
	}
	gate.Down(nil, false)
	want := []string{"the route to the router 172.30.0.1 leaves by ovn0: the Subnet with 172.30.0.0/29 contains it"}
	if got := gate.Astray(routers); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
