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
		{host.Finding{Check: "forward-drop", Subject: "10.1.0.0/16", State: host.Wrong}, []netip.Prefix{four}},
		{host.Finding{Check: "forward-drop", Subject: "10.1.0.0/16", State: host.Unknown}, nil},
		{host.Finding{Check: "forward-drop", Subject: "10.2.0.0/16", State: host.Wrong}, nil},
		{host.Finding{Check: "invalid-drop", Subject: "IPv4 RST", State: host.Wrong}, nil},
		{host.Finding{Check: "forwarding", Subject: "net.ipv4.ip_forward", State: host.Wrong}, []netip.Prefix{four}},
		{host.Finding{Check: "forwarding", Subject: "net.ipv6.conf.all.forwarding", State: host.Wrong}, []netip.Prefix{six}},
		{host.Finding{Check: "rp_filter", Subject: "eth0", State: host.Wrong}, []netip.Prefix{four}},
		{host.Finding{Check: "double-speaker", Subject: "node", State: host.Wrong}, nil},
		{host.Finding{Check: "masquerade", Subject: "10.1.0.0/16", State: host.Wrong}, nil},
	}
	for _, c := range cases {
		got := notReady([]host.Finding{c.f}, []netip.Prefix{four, six})
		if len(got) != len(c.hits) {
			t.Errorf("%s %s %s withholds %v", c.f.Check, c.f.Subject, c.f.State, got)
		}
		for _, p := range c.hits {
			if got[p] == "" {
				t.Errorf("%s does not withhold %s", c.f.Check, p)
			}
		}
	}
}
