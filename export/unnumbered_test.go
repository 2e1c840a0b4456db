package export

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// found is a cluster whose nodes find their router: change says how.
func found(change func(*policy.Session)) Input {
	in := cluster()
	for i := range in.Plans {
		s := torB(64512 + uint32(i))
		s.Peer, s.Port, s.PeerASN, s.DynamicASN = "tor", 179, 0, policy.External
		s.Address = s.SourceAddress // none
		change(&s)
		in.Plans[i].Sessions = []policy.Session{s}
		in.Plans[i].Adverts = []*policy.Advert{
			advert("10.166.0.0/16", "routed", routes.RoleDistributed, "tor"),
			advert("fd00:166::/64", "routed", routes.RoleDistributed, "tor"),
		}
	}
	in.RouterASN = 65000
	return in
}

func unnumberedPeers() Input {
	in := found(func(s *policy.Session) { s.Interface = "eth1" })
	in.Ports = map[string]string{"n1": "Ethernet1/1"}
	return in
}

func gatewayPeers() Input {
	return found(func(s *policy.Session) { s.Discovery, s.TTLSecurity = policy.DefaultGateway, false })
}

func TestGoldenOfRoutersThatAreFound(t *testing.T) {
	for name, in := range map[string]Input{"unnumbered": unnumberedPeers(), "gateway": gatewayPeers()} {
		for _, f := range Formats() {
			if f == IPRoute || name == "unnumbered" && f == IOS {
				continue
			}
			t.Run(name+"/"+string(f), func(t *testing.T) {
				out := write(t, f, in)
				golden(t, name+"."+string(f), out)
				if strings.Contains(out, "invalid") || name == "unnumbered" && !strings.Contains(out, "PORT-n2") {
					t.Errorf("%s", out)
				}
			})
		}
	}
}

func TestWhatCannotBeToldOfARouterThatIsFound(t *testing.T) {
	with := func(in Input, change func(*Input)) Input { change(&in); return in }
	internal := found(func(s *policy.Session) { s.Interface, s.PeerASN, s.DynamicASN = "eth1", s.LocalASN, policy.Internal })
	internal.RouterASN = 0
	for name, c := range map[string]struct {
		format Format
		in     Input
		want   string
	}{
		"the router's AS":            {FRR, with(unnumberedPeers(), func(in *Input) { in.RouterASN = 0 }), "BGPPeer tor takes a router of any other AS (dynamicASN: external): say with --router-asn which this one has"},
		"another AS":                 {FRR, with(cluster(), func(in *Input) { in.Peer, in.RouterASN = "tor-a", 65009 }), "--router-asn 65009: BGPPeer tor-a has a router of AS 65000"},
		"IOS":                        {IOS, unnumberedPeers(), "IOS finds no neighbor by its link"},
		"Junos, internal":            {Junos, internal, "Junos finds external neighbors alone"},
		"a port of a node elsewhere": {FRR, with(unnumberedPeers(), func(in *Input) { in.Ports = map[string]string{"n9": "swp9"} }), "--router-port n9=swp9: node n9 has no session with BGPPeer tor"},
		"a port, and addresses":      {FRR, with(gatewayPeers(), func(in *Input) { in.Ports = map[string]string{"n1": "swp1"} }), "ports are for one with spec.interface"},
		"a range":                    {FRR, with(unnumberedPeers(), func(in *Input) { in.Listen, _ = ParseListen([]string{"172.30.0.0/24"}) }), "BGPPeer tor is unnumbered"},
	} {
		var b bytes.Buffer
		if err := Write(&b, c.format, c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := Check(FRR, unnumberedPeers(), "router bgp 65000\n"); err == nil || !strings.Contains(err.Error(), "is unnumbered") {
		t.Errorf("check: %v", err)
	}
}

func TestPortsCannotLeaveTheirPlace(t *testing.T) {
	for _, bad := range []string{"", "n1", "n1=", "=swp1", "n1=swp1 shutdown", "n1=swp1\nno router bgp", `n1="`, "n1='", "n1=;", "n1={", "n1=swp1!", "n1=#", "n1=" + strings.Repeat("x", 41)} {
		if got, err := ParsePorts([]string{bad}); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
	if _, err := ParsePorts([]string{"n1=swp1", "n1=swp2"}); err == nil {
		t.Error("a node has two ports")
	}
	got, err := ParsePorts([]string{"n1=ge-0/0/1.0", "n2=Ethernet1/1", "n3=swp1"})
	if err != nil || len(got) != 3 || got["n1"] != "ge-0/0/1.0" {
		t.Errorf("%v, %v", got, err)
	}
}
