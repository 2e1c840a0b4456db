package daemon

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/policy"
)

func TestWantOfAPlan(t *testing.T) {
	p := policy.Plan{
		Forwards: []policy.Forward{
			{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Subnet: "a", Asymmetric: true},
			{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Subnet: "b", NATPolicy: true},
		},
		Sessions: []policy.Session{{Peer: "tor", SessionSettings: policy.SessionSettings{Address: netip.MustParseAddr("172.30.0.1")}}},
	}
	w := WantOf(p, "ovn0", 1179)
	want := []host.Network{
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Subnet: "a", Asymmetric: true},
		{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Subnet: "b", NATPolicy: true},
	}
	if !slices.Equal(w.Networks, want) {
		t.Errorf("%+v", w.Networks)
	}
	if w.BGPPort != 0 {
		t.Error("a port is asked for, and no peer is passive")
	}
	p.Sessions[0].Passive = true
	if got := WantOf(p, "ovn0", 1179).BGPPort; got != 1179 {
		t.Errorf("port %d", got)
	}
}

func TestFindingsThatGate(t *testing.T) {
	four, six := netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/64")
	cases := []struct {
		f    host.Finding
		hits []netip.Prefix
	}{
		{host.Finding{Check: "forward-drop", About: host.About{Prefix: four}, State: host.Wrong}, []netip.Prefix{four}},
		{host.Finding{Check: "forward-drop", About: host.About{Prefix: four}, State: host.Unknown}, nil},
		{host.Finding{Check: "forward-drop", About: host.About{Prefix: four, Part: "udp"}, State: host.Wrong}, nil},
		{host.Finding{Check: "forward-drop", About: host.About{Prefix: netip.MustParsePrefix("10.2.0.0/16")}, State: host.Wrong}, nil},
		{host.Finding{Check: "invalid-drop", About: host.About{Family: host.IPv4, Part: "RST"}, State: host.Wrong}, nil},
		{host.Finding{Check: "forwarding", About: host.About{Family: host.IPv4, Setting: "net.ipv4.ip_forward"}, State: host.Wrong}, []netip.Prefix{four}},
		{host.Finding{Check: "forwarding", About: host.About{Family: host.IPv6, Setting: "net.ipv6.conf.all.forwarding"}, State: host.Wrong}, []netip.Prefix{six}},
		{host.Finding{Check: "rp_filter", About: host.About{Family: host.IPv4, Link: "eth0"}, State: host.Wrong}, []netip.Prefix{four}},
		{host.Finding{Check: "datapath", About: host.About{Family: host.IPv4, Address: netip.MustParseAddr("100.64.0.1")}, State: host.Wrong}, nil},
		{host.Finding{Check: "double-speaker", State: host.Wrong}, nil},
		{host.Finding{Check: "masquerade", About: host.About{Prefix: four}, State: host.Wrong}, nil},
	}
	for _, c := range cases {
		got := notReady([]host.Finding{c.f}, []netip.Prefix{four, six})
		if len(got) != len(c.hits) {
			t.Errorf("%s %s %s withholds %v", c.f.Check, c.f.About, c.f.State, got)
		}
		for _, p := range c.hits {
			if got[p] == "" {
				t.Errorf("%s does not withhold %s", c.f.Check, p)
			}
		}
	}
}

// TestALinkCalledIPv6WithholdsOnlyItsFamily: what a finding is about is not read from
// the words for it, which have a link's name.
func TestALinkCalledIPv6WithholdsOnlyItsFamily(t *testing.T) {
	four, six := netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/64")
	facts := host.Facts{
		Datapath: host.Datapath{
			Link: host.LinkState{Name: "ovn0", Exists: true, Up: true},
			Routes: map[netip.Prefix][]host.Route{
				netip.MustParsePrefix("0.0.0.0/0"): {{Links: []string{"he-ipv6"}}}, four: {{Links: []string{"ovn0"}}},
			},
		},
		Sysctls: map[string]host.Setting{"net/ipv4/ip_forward": {Value: "1"}, "net/ipv4/conf/he-ipv6/forwarding": {Value: "0"}},
	}
	var forwarding []host.Finding
	for _, f := range host.Check(facts, host.Want{Overlay: "ovn0", Networks: []host.Network{{Prefix: four}}}) {
		if f.Check == "forwarding" {
			forwarding = append(forwarding, f)
		}
	}
	got := notReady(forwarding, []netip.Prefix{four, six})
	if got[four] != "forwarding: net.ipv4.conf.he-ipv6.forwarding=0" || got[six] != "" {
		t.Errorf("%+v: withheld %v", forwarding, got)
	}
}
