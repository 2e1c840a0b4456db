package daemon_test

import (
	"errors"
	"maps"
	"net/netip"
	"testing"

	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/host"
)

func TestDatapathGateKeepsItsAnswerWhileTheKernelCannotBeAsked(t *testing.T) {
	here, gone, later := netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("10.3.0.0/16")
	var facts host.Datapath
	gate := daemon.DatapathGate(func() host.Datapath { return facts })
	unreadable := host.Datapath{Err: errors.New("list routes: interrupted")}
	up := host.LinkState{Name: "ovn0", Exists: true, Up: true}
	byOverlay := []host.Route{{Links: []string{"ovn0"}}}
	noRoute := map[netip.Prefix]string{gone: "no route to 10.2.0.0/16 by ovn0"}

	for _, step := range []struct {
		when  string
		facts host.Datapath
		asked []netip.Prefix
		want  map[netip.Prefix]string
	}{
		{"nothing was ever read", unreadable, []netip.Prefix{here, gone}, nil},
		{"one has no route", host.Datapath{Link: up, Routes: map[netip.Prefix][]host.Route{here: byOverlay}}, []netip.Prefix{here, gone}, noRoute},
		{"the kernel cannot be asked", unreadable, []netip.Prefix{here, gone}, noRoute},
		{"and another Subnet comes", unreadable, []netip.Prefix{here, gone, later}, noRoute},
		{"the kernel answers again", host.Datapath{Link: up, Routes: map[netip.Prefix][]host.Route{here: byOverlay, gone: byOverlay, later: byOverlay}}, []netip.Prefix{here, gone, later}, nil},
	} {
		facts = step.facts
		if got := gate(step.asked); !maps.Equal(got, step.want) {
			t.Errorf("%s: down is %v, want %v", step.when, got, step.want)
		}
	}
}
