package export

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

var update = flag.Bool("update", false, "write the golden files anew")

// write exports, and fails the test on an error.
func write(t *testing.T, f Format, in Input) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, f, in); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// situations are what the golden files show: each router of the cluster, and
// static routes.
func situations() map[string]Input {
	out := map[string]Input{}
	for _, peer := range []string{"tor-a", "tor-b", "core.dc1"} {
		in := cluster()
		in.Peer = peer
		out[peer] = in
	}
	for name, peer := range map[string]string{"ranges-tor-a": "tor-a", "ranges-tor-b": "tor-b"} {
		out[name] = withRanges(peer)
	}
	in := cluster()
	in.Static = true
	out["static"] = in
	return out
}

// withRanges is a router of the cluster that takes more than is there today. One of
// the Subnets is in no range, and the nodes of tor-a are in two ASes. Its password,
// which Junos cannot take so, is away.
func withRanges(peer string) Input {
	in := cluster()
	in.Peer = peer
	in.Allow = []Range{{prefix("10.160.0.0/13"), 24}, {prefix("10.170.0.0/16"), 16}, {prefix("fd00:166::/32"), 128}}
	in.Listen = []netip.Prefix{prefix("172.30.0.0/24")}
	if peer == "tor-b" {
		in.Listen = []netip.Prefix{prefix("fd00:30::10/124")}
	}
	for i := range in.Plans {
		in.Plans[i].Sessions[1].Password = ""
	}
	return in
}

func TestGolden(t *testing.T) {
	for name, in := range situations() {
		for _, f := range Formats() {
			if f == IPRoute && name != "static" {
				continue // always static
			}
			t.Run(name+"/"+string(f), func(t *testing.T) {
				golden(t, name+"."+string(f), write(t, f, in))
			})
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look, then run with -update\n%s", file, got)
	}
}

// everyOutput gives all outputs for an input, whatever the peer.
func everyOutput(t *testing.T, in Input) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, peer := range append(peerNames(in.Plans), "") {
		for _, f := range Formats() {
			in := in
			in.Peer, in.Static = peer, peer == ""
			out[peer+"/"+string(f)] = write(t, f, in)
		}
	}
	return out
}

func TestPasswordIsNeverPrinted(t *testing.T) {
	for name, out := range everyOutput(t, cluster()) {
		if strings.Contains(out, secret) {
			t.Errorf("%s shows the password:\n%s", name, out)
		}
		if strings.HasPrefix(name, "tor-a/") && !strings.HasSuffix(name, "/iproute") && strings.Count(out, placeholder) < 2 {
			t.Errorf("%s does not ask for the password:\n%s", name, out)
		}
	}
}

func TestOrderOfInputDoesNotMatter(t *testing.T) {
	want := everyOutput(t, cluster())
	for range 20 {
		in := cluster()
		rand.Shuffle(len(in.Plans), func(i, j int) { in.Plans[i], in.Plans[j] = in.Plans[j], in.Plans[i] })
		rand.Shuffle(len(in.Nodes), func(i, j int) { in.Nodes[i], in.Nodes[j] = in.Nodes[j], in.Nodes[i] })
		for name, got := range everyOutput(t, in) {
			if got != want[name] {
				t.Fatalf("%s changes with the order of plans:\n%s", name, got)
			}
		}
	}
}

// The next hop of a Subnet's own is the same address whoever announces it: it
// needs no active gateway.
func TestStaticRouteByASharedAddressStaysWhileOnlyStandbyGatewaysAnnounce(t *testing.T) {
	a := advert("10.170.0.0/16", "vip", routes.RoleStandby, "tor-a")
	a.NextHop = addr("172.30.0.100")
	out := write(t, IPRoute, Input{Plans: []policy.Plan{{Node: "n2", Adverts: []*policy.Advert{a}}}})
	for _, want := range []string{"\nip route replace 10.170.0.0/16 via 172.30.0.100\n", floatNote} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
}

// Names from a file on a laptop may be anything; what is printed is run by a
// shell or pasted into a router.
func TestHostileNamesCannotLeaveTheirPlace(t *testing.T) {
	evil := "x\n$(reboot);`id`\"'#{}!\\ \u2028é"
	in := cluster()
	rename := func(s *string) { *s += evil }
	for i := range in.Plans {
		rename(&in.Plans[i].Node)
		rename(&in.Nodes[i].Name)
		for j := range in.Plans[i].Sessions {
			rename(&in.Plans[i].Sessions[j].Peer)
		}
		for j := range in.Plans[i].Adverts {
			rename(&in.Plans[i].Adverts[j].Subnet)
			for k := range in.Plans[i].Adverts[j].Peers {
				in.Plans[i].Adverts[j].Peers[k] = strings.TrimSuffix(in.Plans[i].Adverts[j].Peers[k], evil) + evil
			}
		}
		for j := range in.Plans[i].Withheld {
			rename(&in.Plans[i].Withheld[j].Subnet)
			rename(&in.Plans[i].Withheld[j].Prefix)
		}
		in.Nodes[i].InternalIPs = append([]netip.Addr{addr("fe80::1%$(reboot)")}, in.Nodes[i].InternalIPs...)
	}
	for name, out := range everyOutput(t, in) {
		for _, bad := range []string{"$(", "`id", ";`", "reboot)", "é", "\u2028"} {
			if strings.Contains(out, bad) {
				t.Errorf("%q: %q came through:\n%s", name, bad, out)
			}
		}
		for _, line := range strings.Split(out, "\n") {
			if strings.HasPrefix(line, "__reboot") {
				t.Errorf("%q: a name broke its line: %q", name, line)
			}
		}
	}
}

// The zone of a link-local router is whatever stands after its "%".
func TestHostileZoneOfARouterDoesNotBreakItsLine(t *testing.T) {
	s := torA(64512)
	s.Address, s.SourceAddress = addr("fe80::1%eth0\nreload $(reboot)"), addr("fd00:30::11")
	s.EBGPMultihop = true // so that some languages say the address again
	for _, f := range Formats()[1:] {
		out := write(t, f, only(policy.Plan{Node: "n1", Sessions: []policy.Session{s}}))
		if strings.Contains(out, "\nreload") || strings.Contains(out, "$(") {
			t.Errorf("%s: the zone came through:\n%s", f, out)
		}
	}
}

func TestLongNamesStayWithinTheLimitsOfRouters(t *testing.T) {
	in := cluster()
	long := strings.Repeat("a-very-long-name.", 14)
	for i := range in.Plans {
		in.Plans[i].Sessions = in.Plans[i].Sessions[1:2]
		in.Plans[i].Sessions[0].Peer = long
		in.Plans[i].Node = long + in.Plans[i].Node
		in.Nodes[i].Name = long + in.Nodes[i].Name
	}
	word := regexp.MustCompile(`(?i)\bfairway[-_][-_\w]*`)
	for _, f := range []Format{FRR, BIRD, Junos, EOS, IOS, NXOS, VyOS} {
		out := write(t, f, in)
		for _, w := range word.FindAllString(out, -1) {
			if len(w) > 63 {
				t.Errorf("%s: %q has %d characters", f, w, len(w))
			}
		}
		if n := strings.Count(out, "protocol bgp '"); f == BIRD && n != 3 {
			t.Errorf("%d protocols for three nodes:\n%s", n, out)
		}
	}
	names := map[string]bool{}
	for _, p := range in.Plans {
		names[symbol(p.Node, "-")] = true
	}
	if len(names) != 3 {
		t.Errorf("long names of different nodes became one: %v", names)
	}
}

func TestErrors(t *testing.T) {
	noSessions := cluster()
	for i := range noSessions.Plans {
		noSessions.Plans[i].Sessions = nil
	}
	noAddresses := cluster()
	noAddresses.Nodes, noAddresses.Peer = nil, "tor-a"
	wrongPeer := cluster()
	wrongPeer.Peer = "tor-x"
	staticWrongPeer := wrongPeer
	staticWrongPeer.Static = true
	for _, c := range []struct {
		name   string
		format Format
		in     Input
		want   string
	}{
		{"unknown format", "xml", cluster(), `export as "xml": the formats are iproute, frr, bird, junos, eos, ios, nxos, vyos`},
		{"several peers", FRR, cluster(), "export as frr: there are several BGPPeers, and each is a router of its own: name one of core.dc1, tor-a, tor-b"},
		{"unknown peer", BIRD, wrongPeer, `export as bird: no node has a session with BGPPeer "tor-x": there are core.dc1, tor-a, tor-b`},
		{"unknown peer, static", IPRoute, staticWrongPeer, `export as iproute: no node has a session with BGPPeer "tor-x": there are core.dc1, tor-a, tor-b`},
		{"no peer", VyOS, noSessions, "export as vyos: no node has a BGP session: no BGPPeer selects one"},
		{"no plans", EOS, Input{}, "export as eos: no node has a BGP session: no BGPPeer selects one"},
		{"no addresses", IOS, noAddresses, "export as ios: BGPPeer tor-a: no node has an address that the router could peer with: " +
			"n1 is left out: it has no IPv4 InternalIP, and BGPPeer tor-a no sourceAddress; " +
			"n2 is left out: it has no IPv4 InternalIP, and BGPPeer tor-a no sourceAddress; " +
			"n3.example is left out: it has no IPv4 InternalIP, and BGPPeer tor-a no sourceAddress"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			err := Write(&b, c.format, c.in)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if b.Len() > 0 {
				t.Errorf("an error and output: %s", b.String())
			}
		})
	}
}

func TestWriteReportsTheWriter(t *testing.T) {
	in := cluster()
	in.Peer = "tor-a"
	r, w := io.Pipe()
	r.Close()
	if err := Write(w, FRR, in); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

func only(p policy.Plan, nodes ...routes.Node) Input {
	return Input{Plans: []policy.Plan{p}, Nodes: nodes}
}

func TestOneNodeIsNoECMP(t *testing.T) {
	in := cluster()
	in.Plans, in.Peer = in.Plans[:1], "tor-a"
	for _, f := range []Format{FRR, Junos, EOS, IOS, NXOS, VyOS} {
		if out := write(t, f, in); strings.Contains(out, "maximum-paths 1") || strings.Contains(out, "multipath") {
			t.Errorf("%s: one node must not lower what the router has:\n%s", f, out)
		}
	}
}

func TestSourceAddressIsTheNeighbour(t *testing.T) {
	s := torA(64512)
	s.SourceAddress = addr("192.0.2.7")
	out := write(t, FRR, only(policy.Plan{Node: "n1", Sessions: []policy.Session{s}}, node("n1", "172.30.0.11")))
	if !strings.Contains(out, " neighbor 192.0.2.7 remote-as 64512\n") || strings.Contains(out, "172.30.0.11") {
		t.Errorf("the session comes from its sourceAddress:\n%s", out)
	}
}

// A family without prefixes must not be open to everything.
func TestFamilyWithoutAdvertsIsClosed(t *testing.T) {
	in := only(policy.Plan{Node: "n1", Sessions: []policy.Session{torA(64512)}}, node("n1", "172.30.0.11"))
	for f, want := range map[Format]string{
		FRR:   "  neighbor FAIRWAY-TOR-A prefix-list FAIRWAY-NONE-V6 in\n",
		EOS:   "      neighbor FAIRWAY-TOR-A prefix-list FAIRWAY-NONE-V6 in\n",
		IOS:   "  neighbor 172.30.0.11 prefix-list FAIRWAY-NONE-V6 in\n",
		NXOS:  "      prefix-list FAIRWAY-NONE-V6 in\n",
		VyOS:  "set protocols bgp peer-group FAIRWAY-TOR-A address-family ipv6-unicast prefix-list import FAIRWAY-NONE-V6\n",
		BIRD:  "filter FAIRWAY_TOR_A_v6 {\n\treject;\n}\n",
		Junos: "set policy-options policy-statement FAIRWAY-TOR-A-IN term rest then reject\n",
	} {
		out := write(t, f, in)
		permits := slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
			return strings.Contains(line, "permit") && !strings.Contains(line, gshut)
		})
		if !strings.Contains(out, want) || strings.Contains(out, "accept\n") || permits {
			t.Errorf("%s: want %q in\n%s", f, want, out)
		}
	}
}

func TestWhoIsLeftOutIsSaid(t *testing.T) {
	in := cluster()
	in.Peer = "tor-a"
	in.Nodes[1].InternalIPs = []netip.Addr{addr("fd00:30::12")}
	in.Nodes[2].InternalIPs = []netip.Addr{addr("172.30.0.11")}
	out := write(t, FRR, in)
	for _, want := range []string{
		"! n2 is left out: it has no IPv4 InternalIP, and BGPPeer tor-a no sourceAddress\n",
		"! n3.example is left out: it has the address of n1, 172.30.0.11\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	in.Peer, in.Static = "", true
	if out := write(t, FRR, in); !strings.Contains(out, "! 10.166.0.0/16 by n2 is left out: the node has no IPv4 InternalIP\n") {
		t.Errorf("static routes do not say that n2 is missing:\n%s", out)
	}
}

// A prefix that is only away for a while stays allowed; one announced to other
// routers only does not get in.
func TestRules(t *testing.T) {
	in := cluster()
	got := append(rulesOf(false, wantsOf("tor-a", byNode(in.Plans), in.Subnets)), rulesOf(true, wantsOf("tor-a", byNode(in.Plans), in.Subnets))...)
	want := []rule{
		{prefix("10.166.0.0/16"), 0}, {prefix("10.168.0.0/16"), 0}, {prefix("10.169.0.0/16"), 32},
		{prefix("10.170.0.0/16"), 0}, {prefix("10.172.0.0/16"), 0}, {prefix("fd00:166::/64"), 0},
	}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("rule %d: got %v, want %v", i, got[i], want[i])
		}
	}
	in.Subnets = nil // then only what is announced now
	for _, r := range wantsOf("tor-a", byNode(in.Plans), nil) {
		if r.Prefix == prefix("10.169.0.0/16") {
			t.Errorf("%v is allowed although nothing says that it is the Subnet's", r)
		}
	}
}

// A router that ends the session at fewer prefixes than the BGPPeer lets through would
// end it as Pods become more.
func TestLimitIsNoLessThanThePeerTakesOfPods(t *testing.T) {
	for most, want := range map[uint32]int{0: 256, 100: 256, 1000: 1001} {
		session := torA(1)
		session.MaxPodPrefixes = most
		p := policy.Plan{Sessions: []policy.Session{session}, Adverts: []*policy.Advert{advert("10.169.3.4/32", "pods", routes.RolePod, "tor-a")}}
		in := only(p, node("", "172.30.0.11"))
		in.Subnets = cluster().Subnets
		got, err := peeringOf(FRR, in)
		if err != nil || got.AllFamilies[0].Limit != want {
			t.Errorf("of a peer that takes %d the limit is %d, %v, want %d", most, got.AllFamilies[0].Limit, err, want)
		}
	}
}

func TestLimitsHaveRoom(t *testing.T) {
	var p policy.Plan
	p.Sessions = []policy.Session{torA(1)}
	for i := range 30 {
		a := advert("10.0.0.0/24", "many", routes.RoleActive, "tor-a")
		a.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24)
		p.Adverts = append(p.Adverts, a)
	}
	got, err := peeringOf(FRR, only(p, node("", "172.30.0.11")))
	if err != nil {
		t.Fatal(err)
	}
	if got.AllFamilies[0].Limit != 60 || got.AllFamilies[1].Limit != 20 {
		t.Errorf("limits are %d and %d, want 60 and 20", got.AllFamilies[0].Limit, got.AllFamilies[1].Limit)
	}
}
