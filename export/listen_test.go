package export

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
)

// What a language cannot say, or a BGPPeer does not allow, is refused: a range that
// does not work is worse than none.
func TestListenIsRefusedWhereItCannotWork(t *testing.T) {
	listen := func(peer, network string, change func(i int, s *policy.Session)) Input {
		in := cluster()
		in.Peer, in.Listen = peer, []netip.Prefix{prefix(network)}
		for i := range in.Plans {
			s := in.Plans[i].Sessions
			for j := range s {
				if s[j].Peer == peer && change != nil {
					change(i, &s[j])
				}
			}
		}
		return in
	}
	dialling := func(_ int, s *policy.Session) { s.Passive = false }
	many := listen("tor-a", "172.30.0.0/24", nil)
	for i := range 8 {
		s := torA(64600 + uint32(i))
		name := fmt.Sprintf("m%d", i)
		many.Plans = append(many.Plans, policy.Plan{Node: name, Sessions: []policy.Session{s}})
		many.Nodes = append(many.Nodes, node(name, fmt.Sprintf("172.30.0.%d", 100+i)))
	}
	for _, c := range []struct {
		name   string
		format Format
		in     Input
		want   string
	}{
		{"the router dials", FRR, listen("core.dc1", "172.30.0.0/24", nil), "BGPPeer core.dc1 is passive: its nodes wait to be dialled, so the router needs a neighbor for each"},
		{"another family", FRR, listen("tor-b", "172.30.0.0/24", nil), "BGPPeer tor-b has the address fd00:30::2, and its sessions come from IPv6 addresses"},
		{"iBGP and eBGP in one", BIRD, listen("core.dc1", "172.30.0.0/24", dialling), "some nodes in it are in the router's own AS 64512 and some are not: give each kind a range of its own"},
		{"iBGP or eBGP, of nobody", BIRD, listen("core.dc1", "172.31.0.0/24", dialling), "no node opens its session from there, so it cannot be told whether iBGP or eBGP is meant"},
		{"Junos with a password", Junos, listen("tor-a", "172.30.0.0/24", nil), "BGPPeer tor-a has a password, and Junos takes none in a group with \"allow\""},
		{"many ASes on IOS", IOS, many, "its nodes are in 10 ASes, and IOS takes 6 in one range"},
		{"some hops away and several ASes on NX-OS", NXOS, listen("core.dc1", "172.30.0.0/24", func(i int, s *policy.Session) { s.Passive, s.LocalASN = false, 64600+uint32(i) }),
			"its nodes are in 3 ASes, and NX-OS has no ebgp-multihop for a range of several"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Write(&bytes.Buffer{}, c.format, c.in)
			if err == nil || !strings.Contains(err.Error(), "--listen "+c.in.Listen[0].String()+": "+c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// Each kind of neighbour gets its own range, in the group of its kind.
func TestEachKindListensByItself(t *testing.T) {
	in := cluster()
	in.Peer, in.Listen = "core.dc1", []netip.Prefix{prefix("172.30.0.8/30"), prefix("172.30.0.13/32")}
	for i := range in.Plans {
		in.Plans[i].Sessions[0].Passive = false
	}
	out := write(t, FRR, in)
	for _, want := range []string{
		" bgp listen range 172.30.0.13/32 peer-group FAIRWAY-CORE-DC1_L\n", " neighbor FAIRWAY-CORE-DC1_L remote-as 64514\n",
		" bgp listen range 172.30.0.8/30 peer-group FAIRWAY-CORE-DC1-I_L\n", " neighbor FAIRWAY-CORE-DC1-I_L remote-as 64512\n",
		" neighbor 172.30.0.12 remote-as 64512\n", "! n2, 172.30.0.12, is in no range of --listen: it is listed as a neighbor\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
}

// A router that takes a hundred nodes by itself is told where there are more.
func TestManyNodesRaiseTheLimitOfRanges(t *testing.T) {
	in := Input{Listen: []netip.Prefix{prefix("172.30.0.0/16")}}
	for i := range 80 {
		s := torA(64512)
		s.Password = ""
		name := fmt.Sprintf("n%d", i)
		in.Plans = append(in.Plans, policy.Plan{Node: name, Sessions: []policy.Session{s}})
		in.Nodes = append(in.Nodes, node(name, fmt.Sprintf("172.30.1.%d", i+1)))
	}
	for f, want := range map[Format]string{
		FRR: " bgp listen limit 160\n", IOS: " bgp listen limit 160\n", EOS: "   dynamic peer max 160\n", NXOS: "    maximum-peers 160\n", VyOS: "set protocols bgp listen limit 160\n",
	} {
		out := write(t, f, in)
		if !strings.Contains(out, want) {
			t.Errorf("%s lacks %q:\n%s", f, want, out)
		}
		if fit := checked(t, f, in, strings.Replace(out, "160", "60", 3)); f != NXOS && (len(fit.Problems) != 1 || fit.Problems[0] != "80 nodes come by listen ranges, and the router takes 60") {
			t.Errorf("%s: %q", f, fit.Problems)
		}
	}
}

// A range that the nodes' own addresses are in is said, and so is one for nothing.
func TestWarnings(t *testing.T) {
	in := cluster()
	in.Peer = "tor-a"
	in.Allow = []Range{{prefix("10.0.0.0/8"), 32}, {prefix("172.16.0.0/12"), 24}, {prefix("fd00::/16"), 64}}
	got, err := Warnings(FRR, in)
	want := "172.16.0.0/12 of --allow has the addresses of the router, n1, n2, n3.example in it: name a narrower range, if you can"
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got  %q (%v)\nwant %q", got, err, want)
	}
	in.Static = true
	if got, err := Warnings(FRR, in); len(got) > 0 || err != nil {
		t.Errorf("static routes: %q, %v", got, err)
	}
}

func TestParseRanges(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8":          "10.0.0.0/8 le 24",
		"10.0.0.0/8 le 16":    "10.0.0.0/8 le 16",
		"10.0.0.0/24":         "10.0.0.0/24 le 24",
		"10.0.0.0/25":         "--allow 10.0.0.0/25: prefixes of up to 24 bits: 10.0.0.0/25 has some of 25 to 32",
		"10.0.0.0/8 le x":     `--allow 10.0.0.0/8 le x: "x" after "le" is not a length; write it as 10.0.0.0/8 le 24`,
		"10.0.0.0/8 le 33":    "--allow 10.0.0.0/8 le 33: prefixes of up to 33 bits: 10.0.0.0/8 has some of 8 to 32",
		"10.0.0.0":            `--allow 10.0.0.0: "10.0.0.0" is not a CIDR such as 10.0.0.0/8 or fd00::/8`,
		"127.0.0.0/8":         "--allow 127.0.0.0/8: is loopback, link-local or multicast",
		"fe80::/10":           "--allow fe80::/10: is loopback, link-local or multicast",
		"::ffff:10.0.0.0/104": "--allow ::ffff:10.0.0.0/104: write an IPv4 network as such",
		"::/0":                "--allow ::/0: is everything there is, a default route among it: name the networks",
	} {
		got, err := ParseRanges([]string{text}, 24)
		said := fmt.Sprint(err)
		if err == nil {
			said = got[0].String()
		}
		if said != want {
			t.Errorf("%q: got %s, want %s", text, said, want)
		}
	}
	if got, err := ParseRanges([]string{"fd00::/8", "10.0.0.0/8", "10.0.0.0/8"}, 0); err != nil || fmt.Sprint(got) != "[10.0.0.0/8 le 32 fd00::/8 le 128]" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := ParseRanges([]string{"fd00::/8 le 64", "10.0.0.0/8"}, 24); err != nil {
		t.Error(err)
	}
	if _, err := ParseRanges([]string{"fd00::/8", "10.0.0.0/8"}, 24); err == nil {
		t.Error("24 is taken for both families")
	}
}
