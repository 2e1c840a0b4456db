package netfilter_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// What a packet must be for a rule of a case to end early.
func withoutConnection(p *netfilter.Packet) {
	p.State, p.Flags = netfilter.Invalid, netfilter.SYN|netfilter.ACK
}

func udp(p *netfilter.Packet) { p.Protocol, p.Flags = netfilter.UDP, 0 }

// blackholed is a client that the bench's router has no way back to.
func blackholed(p *netfilter.Packet) {
	client := netip.MustParseAddr("192.0.2.77")
	if p.Dst.Is6() {
		client = netip.MustParseAddr("fd77::77")
	}
	p.Src, p.ReturnsByIn = client, netfilter.No
}

// sixth has the same rules for IPv6 packets.
func sixth(r ruleText) ruleText {
	r.six = true
	return r
}

// TestChosenPacketsAgreeWithTheKernel: each was once judged otherwise than the kernel
// acts. A statement that has nothing to write, or nothing to write to, ends its rule.
func TestChosenPacketsAgreeWithTheKernel(t *testing.T) {
	needs.Root(t, "iptables-legacy", "iptables-nft", "nft", "ipset", "ip")
	const (
		no       = netfilter.No
		accepted = netfilter.Accepted
		dropped  = netfilter.Dropped
		unsure   = netfilter.Unknown
	)
	first := func(*netfilter.Packet) {}
	forward := func(rule string) ruleText { return nftRules(forwardChain("drop", rule)) }
	full := " set full { type ipv4_addr; size 1; flags dynamic,timeout; timeout 1h; elements = { 9.9.9.9 } }\n set full6 { type ipv6_addr; size 1; flags dynamic,timeout; timeout 1h; elements = { 2001:db8::9 } }\n"
	cases := []struct {
		chosen
		as func(*netfilter.Packet)
	}{
		{chosen{"the DSCP of IPv4 is written, and the packet is of IPv6", sixth(forward("ip dscp set cs1 accept")), false, dropped, no, 0}, first},
		{chosen{"the DSCP of IPv4 is written", forward("ip dscp set cs1 accept"), false, accepted, no, 4}, first},
		{chosen{"the ECN of IPv4 is written, and the packet is of IPv6", sixth(forward("ip ecn set ect0 accept")), false, dropped, no, 0}, first},
		{chosen{"the id of IPv4 is written, and the packet is of IPv6", sixth(forward("ip id set 7 accept")), false, dropped, no, 0}, first},
		{chosen{"the DSCP of IPv6 is written, and the packet is of IPv4", forward("ip6 dscp set cs1 accept"), false, dropped, no, 0}, first},
		{chosen{"the flow label of IPv6 is written, and the packet is of IPv4", forward("ip6 flowlabel set 7 accept"), false, dropped, no, 0}, first},
		{chosen{"the flow label of IPv6 is written", sixth(forward("ip6 flowlabel set 7 accept")), false, accepted, no, 4}, first},
		{chosen{"the maxseg of TCP is written, and the packet is of UDP", forward("tcp option maxseg size set 1200 accept"), false, dropped, no, 0}, udp},
		{chosen{"the maxseg of TCP is written, and the packet is of UDP over IPv6", sixth(forward("tcp option maxseg size set 1200 accept")), false, dropped, no, 0}, udp},
		{chosen{"the maxseg of TCP is written", forward("tcp option maxseg size set 1200 accept"), false, accepted, no, 4}, first},
		{chosen{"a mark from a connection, and there is none", forward("meta mark set ct mark accept"), false, dropped, no, 0}, withoutConnection},
		{chosen{"a mark from a connection of IPv6, and there is none", sixth(forward("meta mark set ct mark accept")), false, dropped, no, 0}, withoutConnection},
		{chosen{"a mark worked out of a connection's, and there is none", forward("meta mark set ct mark or 0x1 accept"), false, dropped, no, 0}, withoutConnection},
		{chosen{"a mark from a connection", forward("meta mark set ct mark accept"), false, accepted, no, 4}, first},
		{chosen{"a mark for a connection, and there is none", forward("ct mark set meta mark accept"), false, accepted, no, 4}, withoutConnection},
		{chosen{"a mark from a map without the key", forward("meta mark set ip saddr map { 203.0.113.9 : 0x1 } accept"), false, dropped, no, 0}, first},
		{chosen{"a mark from a map of IPv6 without the key", sixth(forward("meta mark set ip6 saddr map { fd99::9 : 0x1 } accept")), false, dropped, no, 0}, first},
		{chosen{"a mark from a map of the other family", sixth(forward("meta mark set ip saddr map { 203.0.113.1 : 0x1 } accept")), false, dropped, no, 0}, first},
		{chosen{"a mark from a map with the key", forward("meta mark set ip saddr map { 203.0.113.1 : 0x7 }\n  meta mark 0x7 accept"), false, accepted, no, 4}, first},
		{chosen{"a connection's mark from a map without the key", forward("ct mark set ip saddr map { 203.0.113.9 : 0x1 } accept"), false, dropped, no, 0}, first},
		{chosen{"a priority from a map without the key", forward("meta priority set ip saddr map { 203.0.113.9 : 1:1 } accept"), false, dropped, no, 0}, first},
		{chosen{"a zone from a map without the key", nftRules(" chain p {\n  type filter hook prerouting priority -300;\n  ct zone set ip saddr map { 203.0.113.9 : 1 } accept\n  drop\n }\n"), false, dropped, no, 0}, first},
		{chosen{"a copy for a map's address, without the key", ruleText{nft: "table ip t {\n" + forwardChain("drop", "dup to ip saddr map { 203.0.113.9 : 10.1.0.2 } device \"up0\" accept") + "}\n"}, false, dropped, no, 0}, first},
		{chosen{"a copy for a map's address of IPv6, without the key", ruleText{six: true, nft: "table ip6 t {\n" + forwardChain("drop", "dup to ip6 saddr map { fd99::9 : fd01::2 } device \"up0\" accept") + "}\n"}, false, dropped, no, 0}, first},
		{chosen{"a port for NAT from a map without the key", nftRules(" chain p {\n  type nat hook postrouting priority 100;\n  meta l4proto tcp masquerade to :tcp dport map { 443 : 1025 }\n }"), true, accepted, no, 4}, first},
		{chosen{"a new key for a set that is full", nftRules(full + forwardChain("drop", "add @full { ip saddr } accept")), false, unsure, no, 0}, first},
		{chosen{"an update of a set that is full", nftRules(full + forwardChain("drop", "update @full { ip saddr } accept")), false, unsure, no, 0}, first},
		{chosen{"a new key for a set of IPv6 that is full", sixth(nftRules(full + forwardChain("drop", "add @full6 { ip6 saddr } accept"))), false, unsure, no, 0}, first},
		{chosen{"conntrack's own priority, and what is INVALID before it", nftRules(" chain p {\n  type filter hook prerouting priority -200;\n  ct state invalid drop\n }"), false, unsure, no, 0}, first},
		{chosen{"the type of an IPv6 source behind a blackhole", sixth(forward("fib saddr type unicast accept")), false, unsure, no, 0}, blackholed},
		{chosen{"the type of an IPv4 source behind a blackhole", forward("fib saddr type unicast accept"), false, accepted, no, 4}, blackholed},
		{chosen{"an IPv6 source behind a blackhole is not local", sixth(nftRules(forwardChain("accept", "fib saddr type local drop"))), false, accepted, no, 4}, blackholed},
		{chosen{"the type of an IPv6 source behind a blackhole, asked by iptables", ruleText{six: true, legacy: "*filter\n:FORWARD DROP\n-A FORWARD -m addrtype --src-type UNICAST -j ACCEPT\nCOMMIT\n"}, false, accepted, no, 4}, blackholed},
		{chosen{"two types of an IPv6 address must both hold", ruleText{six: true, legacy: "*filter\n:FORWARD DROP\n-A FORWARD -m addrtype --dst-type LOCAL,UNICAST -j ACCEPT\nCOMMIT\n"}, false, dropped, no, 0}, first},
		{chosen{"one of two types of an IPv4 address is enough", ruleText{legacy: "*filter\n:FORWARD DROP\n-A FORWARD -m addrtype --dst-type LOCAL,UNICAST -j ACCEPT\nCOMMIT\n"}, false, accepted, no, 4}, first},
		{chosen{"a link by the beginning of its name", ruleText{sets: "create by hash:net,iface\nadd by 203.0.113.0/24,up wildcard\n", legacy: "*filter\n-A FORWARD -m set --match-set by src,src -j DROP\nCOMMIT\n"}, false, dropped, no, 0}, first},
		{chosen{"the incoming link in postrouting", nftRules(" chain p {\n  type filter hook postrouting priority 0;\n  iifname \"up0\" drop\n }"), false, dropped, no, 0}, first},
	}
	b := newBench(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { b.t = t; b.judge(c.chosen, c.as) })
	}
	for _, count := range b.late { // what came after its case was judged counts too
		count(t)
	}
}

// TestAMarkThatRoutingAsksForLeadsAnotherWay: "ip rule add fwmark 0x77 blackhole" and a
// rule in prerouting that sets the mark.
func TestAMarkThatRoutingAsksForLeadsAnotherWay(t *testing.T) {
	needs.Root(t, "iptables-legacy", "nft", "ipset", "ip")
	b := newBench(t)
	b.router.Sh("ip rule add fwmark 0x77/0xff blackhole; ip -6 rule add fwmark 0x77/0xff blackhole")
	b.routesByMark = append(b.routesByMark, netfilter.MarkRule{Value: 0x77, Mask: 0xff})
	prerouting := func(rule string) ruleText {
		return nftRules(" chain p {\n  type filter hook prerouting priority -150;\n  " + rule + "\n }\n")
	}
	for _, c := range []chosen{
		{"the mark", prerouting("meta mark set 0x77"), false, netfilter.Unknown, netfilter.No, 0},
		{"the mark, in IPv6", sixth(prerouting("meta mark set 0x77")), false, netfilter.Unknown, netfilter.No, 0},
		{"the mark by iptables", ruleText{legacy: "*mangle\n-A PREROUTING -j MARK --set-mark 0x177\nCOMMIT\n"}, false, netfilter.Unknown, netfilter.No, 0},
		{"another mark", prerouting("meta mark set 0x76"), false, netfilter.Accepted, netfilter.No, 4},
		{"a bit beside the mask", prerouting("meta mark set meta mark or 0x4000"), false, netfilter.Accepted, netfilter.No, 4},
		{"the mark, behind routing", nftRules(forwardChain("accept", "meta mark set 0x77")), false, netfilter.Accepted, netfilter.No, 4},
	} {
		t.Run(c.name, func(t *testing.T) { b.t = t; b.judge(c) })
	}
	for _, count := range b.late {
		count(t)
	}
}

// TestKernelsBefore57TellPostroutingNoIncomingLink: there a drop by "iifname" may or may
// not hit.
func TestKernelsBefore57TellPostroutingNoIncomingLink(t *testing.T) {
	tables, err := netfilter.ParseIptables("*mangle\n:POSTROUTING ACCEPT [0:0]\n:C - [0:0]\n-A POSTROUTING -j C\n-A C -i up0 -j DROP\nCOMMIT\n", netfilter.IptablesLegacy, netfilter.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	p := netfilter.Packet{In: "up0", Out: "ovn0", Src: netip.MustParseAddr("203.0.113.1"), Dst: netip.MustParseAddr("10.166.0.10"), Protocol: netfilter.TCP, Flags: netfilter.SYN, State: netfilter.New}
	for blind, want := range map[bool]netfilter.Verdict{false: netfilter.Dropped, true: netfilter.Unknown} {
		if r := (&netfilter.Ruleset{Tables: tables, PostroutingBlind: blind}).Walk(p); r.Verdict != want {
			t.Errorf("blind %v: %s, not %s", blind, r.Verdict, want)
		}
	}
}

// TestATargetThatNftPrintsAsNullIsNotKnown: nft before 1.0.6 tells no more of iptables'
// own matches and targets.
func TestATargetThatNftPrintsAsNullIsNotKnown(t *testing.T) {
	tables, err := netfilter.ParseNft([]byte(`{"nftables":[{"table":{"family":"ip","name":"filter"}},{"chain":{"family":"ip","table":"filter","name":"FORWARD","type":"filter","hook":"forward","prio":0,"policy":"accept"}},{"rule":{"family":"ip","table":"filter","chain":"FORWARD","handle":3,"expr":[{"counter":{"packets":0,"bytes":0}},{"xt":null}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	p := netfilter.Packet{In: "up0", Out: "ovn0", Src: netip.MustParseAddr("203.0.113.1"), Dst: netip.MustParseAddr("10.166.0.10"), Protocol: netfilter.TCP, Flags: netfilter.SYN, State: netfilter.New}
	if r := (&netfilter.Ruleset{Tables: tables}).Walk(p); r.Verdict != netfilter.Unknown {
		t.Errorf("%s", r.Verdict)
	}
}

// TestTheFirstNetworksLengthDecides: of members of several networks the kernel takes
// that with the longest first one, then the longest second one. The test kernel lacks
// these types.
func TestTheFirstNetworksLengthDecides(t *testing.T) {
	p := netfilter.Packet{In: "up0", Out: "ovn0", Src: netip.MustParseAddr("203.0.113.1"), Dst: netip.MustParseAddr("10.166.0.10"), Protocol: netfilter.TCP, DstPort: 80, Flags: netfilter.SYN, State: netfilter.New}
	for members, want := range map[string]netfilter.Verdict{
		"create s hash:net,net\nadd s 203.0.113.0/24,10.0.0.0/8 nomatch\nadd s 203.0.0.0/16,10.166.0.0/24":                    netfilter.Accepted,
		"create s hash:net,net\nadd s 203.0.113.0/24,10.0.0.0/8\nadd s 203.0.0.0/16,10.166.0.0/24 nomatch":                    netfilter.Dropped,
		"create s hash:net,net\nadd s 203.0.113.0/24,10.0.0.0/8\nadd s 203.0.113.0/24,10.166.0.0/24 nomatch":                  netfilter.Accepted,
		"create s hash:net,port,net\nadd s 203.0.113.0/24,tcp:80,10.0.0.0/8\nadd s 203.0.0.0/16,tcp:80,10.166.0.0/24 nomatch": netfilter.Dropped,
	} {
		directions := "src,dst"
		if strings.Contains(members, "port") {
			directions = "src,dst,dst"
		}
		tables, err := netfilter.ParseIptables("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m set --match-set s "+directions+" -j DROP\nCOMMIT\n", netfilter.IptablesLegacy, netfilter.IPv4)
		if err != nil {
			t.Fatal(err)
		}
		sets, err := netfilter.ParseIPSets(members)
		if err != nil {
			t.Fatal(err)
		}
		if r := (&netfilter.Ruleset{Tables: tables, Sets: sets}).Walk(p); r.Verdict != want {
			t.Errorf("%s: %s, not %s", members, r.Verdict, want)
		}
	}
}
