package netfilter_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// chosen is a rule set with what is known to become of a few connections of one
// Pod's or one client's.
type chosen struct {
	name  string
	rules ruleText
	// fromPod sends from the Pod's side, otherwise the client does.
	fromPod   bool
	verdict   netfilter.Verdict
	rewritten netfilter.Truth
	// arrive is how many of four connections the kernel lets through.
	arrive int
}

// nftRules is a table of nft's that has the body.
func nftRules(body string) ruleText {
	return ruleText{nft: "table inet t1 {\n" + body + "\n}\n"}
}

// forwardChain is a base chain with a policy that has the rules.
func forwardChain(policy, rules string) string {
	return fmt.Sprintf(" chain f {\n  type filter hook forward priority 0; policy %s;\n  %s\n }\n", policy, rules)
}

// TestChosenRulesAgreeWithTheKernel: each was once judged otherwise than the
// kernel acts.
func TestChosenRulesAgreeWithTheKernel(t *testing.T) {
	needs.Root(t, "iptables-legacy", "iptables-nft", "nft", "ipset", "ip")
	const (
		dynamic = " set lim { type ipv4_addr; size 100; flags dynamic; }\n"
		yes     = netfilter.Yes
		no      = netfilter.No
		maybe   = netfilter.Maybe
	)
	cases := []chosen{
		{"an update with a limit lets only the first through", nftRules(dynamic + forwardChain("drop", "update @lim { ip saddr limit rate 1/hour burst 1 packets } accept")), false, netfilter.Unknown, no, 1},
		{"an add over a limit drops only a flood", nftRules(dynamic + forwardChain("accept", "add @lim { ip saddr limit rate over 1000/second } drop")), false, netfilter.Unknown, no, 4},
		{"a meter over a limit drops only a flood", nftRules(forwardChain("accept", "meter flood { ip saddr limit rate over 1000/second } drop")), false, netfilter.Unknown, no, 4},
		{"an add over a quota drops only what is beyond it", nftRules(dynamic + forwardChain("accept", "add @lim { ip saddr quota over 1 mbytes } drop")), false, netfilter.Unknown, no, 4},
		{"an add over a number of connections", nftRules(dynamic + forwardChain("accept", "add @lim { ip saddr ct count over 2 } drop")), false, netfilter.Unknown, no, 2},
		{"an add that counts always goes on", nftRules(dynamic + forwardChain("accept", "add @lim { ip saddr counter } drop")), false, netfilter.Dropped, no, 0},
		{"an add of a key that the packet lacks ends the rule", nftRules(dynamic + " set ports { type inet_service; size 100; flags dynamic; }\n" + forwardChain("accept", "add @ports { udp dport } drop")), false, netfilter.Accepted, no, 4},
		{"a set whose elements have a limit", nftRules(" set some { type ipv4_addr; limit rate 1/hour burst 1 packets; elements = { 203.0.113.1 } }\n" + forwardChain("drop", "ip saddr @some accept")), false, netfilter.Unknown, no, 1},
		{"a set whose elements have a quota", nftRules(" set some { type ipv4_addr; quota over 1 mbytes; elements = { 203.0.113.1 } }\n" + forwardChain("accept", "ip saddr @some drop")), false, netfilter.Unknown, no, 4},
		{"a set whose elements count", nftRules(" set some { type ipv4_addr; counter; elements = { 203.0.113.1 } }\n" + forwardChain("accept", "ip saddr @some drop")), false, netfilter.Dropped, no, 0},
		{"a verdict map whose elements have a limit", nftRules(" map some { type ipv4_addr : verdict; limit rate 1/hour burst 1 packets; elements = { 203.0.113.1 : accept } }\n" + forwardChain("drop", "ip saddr vmap @some")), false, netfilter.Unknown, no, 1},
		{"a set that the packet itself is added to", nftRules(dynamic + forwardChain("accept", "add @lim { ip saddr }\n  ip saddr @lim drop")), false, netfilter.Unknown, no, 0},
		{"an ipset that the packet itself is added to", ruleText{sets: "create seen hash:ip\n", legacy: "*filter\n-A FORWARD -j SET --add-set seen src\n-A FORWARD -m set --match-set seen src -j DROP\nCOMMIT\n"}, false, netfilter.Unknown, no, 0},
		{"a constant source is written in forward", nftRules(forwardChain("accept", "ip saddr set 10.2.0.99")), true, netfilter.Accepted, yes, 4},
		{"a constant source is written in postrouting", nftRules(" chain p {\n  type filter hook postrouting priority 0;\n  ip saddr set 10.2.0.99\n }"), true, netfilter.Accepted, yes, 4},
		{"the source is written as it is", nftRules(forwardChain("accept", "ip saddr set 10.166.0.10")), true, netfilter.Accepted, no, 4},
		{"a source is written, and written back", nftRules(forwardChain("accept", "ip saddr set 10.2.0.99\n  ip saddr set 10.166.0.10")), true, netfilter.Accepted, no, 4},
		{"a source is written, and NAT of the port writes it back", nftRules(forwardChain("accept", "ip saddr set 10.2.0.99") + " chain p {\n  type nat hook postrouting priority 100;\n  meta l4proto tcp snat to :1024-2048\n }"), true, netfilter.Accepted, maybe, 4},
		{"a source is written from a map", nftRules(forwardChain("accept", "ip saddr set ip saddr map { 10.166.0.10 : 10.2.0.99 }")), true, netfilter.Accepted, yes, 4},
		{"a map has no source to write", nftRules(forwardChain("accept", "ip saddr set ip saddr map { 10.166.9.9 : 10.2.0.99 }")), true, netfilter.Accepted, no, 4},
		{"the next rule asks for the source that was written", nftRules(forwardChain("accept", "ip saddr set 10.2.0.99\n  ip saddr 10.166.0.10 accept\n  drop")), true, netfilter.Dropped, no, 0},
		{"a source is written before the routing decision", nftRules(" chain p {\n  type filter hook prerouting priority -150;\n  ip saddr set 10.2.0.99\n }"), true, netfilter.Unknown, yes, 4},
		{"a source is written that the kernel refuses to route", nftRules(" chain p {\n  type filter hook prerouting priority -150;\n  ip saddr set 10.2.0.1\n }"), true, netfilter.Unknown, yes, 0},
		{"a constant destination is written in forward", nftRules(forwardChain("accept", "ip daddr set 203.0.113.99")), true, netfilter.Unknown, no, 4},
		{"a destination is written before the routing decision", nftRules(" chain p {\n  type filter hook prerouting priority -150;\n  ip daddr set 10.1.0.1\n }\n" + forwardChain("drop", "")), true, netfilter.Unknown, no, 0},
		{"a SNAT map without the source", nftRules(" chain p {\n  type nat hook postrouting priority 100;\n  snat ip to ip saddr map { 10.166.7.0/24 : 10.2.0.99 }\n }"), true, netfilter.Accepted, no, 4},
		{"a SNAT map with the source", nftRules(" chain p {\n  type nat hook postrouting priority 100;\n  snat ip to ip saddr map { 10.166.0.0/24 : 10.2.0.99 }\n }"), true, netfilter.Accepted, yes, 4},
		{"a SNAT map with a name", nftRules(" map to { type ipv4_addr : ipv4_addr; elements = { 10.166.0.11 : 10.2.0.99 } }\n chain p {\n  type nat hook postrouting priority 100;\n  snat ip to ip saddr map @to\n }"), true, netfilter.Accepted, no, 4},
		{"a DNAT map without the destination", nftRules(" chain p {\n  type nat hook prerouting priority -100;\n  dnat ip to ip daddr map { 10.166.7.7 : 10.2.0.99 }\n }"), true, netfilter.Accepted, no, 4},
		{"a SNAT of ports alone", nftRules(" chain p {\n  type nat hook postrouting priority 100;\n  meta l4proto tcp snat to :1024-2048\n }"), true, netfilter.Accepted, no, 4},
		{"a SNAT of the other family", nftRules(" chain p {\n  type nat hook postrouting priority 100;\n  snat ip6 to fd02::99\n }"), true, netfilter.Accepted, no, 4},
		{"SNAT of ports alone, iptables", ruleText{legacy: "*nat\n-A POSTROUTING -p tcp -j SNAT --to-source :1024-2048\nCOMMIT\n"}, true, netfilter.Accepted, no, 4},
		{"a destination is translated before a rule for the old one", ruleText{legacy: "*nat\n-A PREROUTING -j DNAT --to-destination 203.0.113.2\nCOMMIT\n*filter\n-A FORWARD -d 203.0.113.1 -j DROP\nCOMMIT\n"}, true, netfilter.Unknown, no, 4},
		{"a source is translated before a rule for the old one", nftRules(" chain p {\n  type nat hook postrouting priority 100;\n  snat ip to 10.2.0.99\n }\n chain q {\n  type filter hook postrouting priority 200;\n  ip saddr 10.166.0.10 drop\n }"), true, netfilter.Accepted, yes, 4},
		{"a chain of type nat runs at NAT's place whatever its priority", nftRules(" chain p {\n  type nat hook postrouting priority -50;\n  snat ip to 10.2.0.99\n }\n chain q {\n  type filter hook postrouting priority 0;\n  ip saddr 10.166.0.10 drop\n }"), true, netfilter.Dropped, no, 0},
		{"the second chain of type nat does not see what the first translated", nftRules(" chain p {\n  type nat hook postrouting priority 90;\n  snat ip to 10.2.0.99\n }\n chain q {\n  type nat hook postrouting priority 110;\n  drop\n }"), true, netfilter.Accepted, yes, 4},
		{"a zone makes it another connection", ruleText{legacy: "*raw\n-A PREROUTING -j CT --zone 7\nCOMMIT\n*filter\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j DROP\nCOMMIT\n"}, true, netfilter.Unknown, no, 4},
		{"a last hop", ruleText{legacy: "*mangle\n-A PREROUTING -j TTL --ttl-set 1\nCOMMIT\n"}, true, netfilter.Unknown, maybe, 0},
		{"an exception that has counted too few packets", ruleText{sets: "create nets hash:net counters\nadd nets 0.0.0.0/1\nadd nets 128.0.0.0/1\nadd nets 203.0.113.0/24 nomatch\nadd nets 10.0.0.0/8 nomatch\n", legacy: "*filter\n-A FORWARD -m set --match-set nets src --packets-gt 2 -j DROP\nCOMMIT\n"}, false, netfilter.Unknown, no, 4},
		{"an exception that is asked for", ruleText{sets: "create nets hash:net\nadd nets 128.0.0.0/1\nadd nets 203.0.113.0/24 nomatch\n", legacy: "*filter\n-A FORWARD -m set --match-set nets src --return-nomatch -j DROP\nCOMMIT\n"}, false, netfilter.Unknown, no, 0},
		{"counters of members that have not the packet", ruleText{sets: "create nets hash:net counters\nadd nets 198.51.100.0/24\n", legacy: "*filter\n-A FORWARD -m set --match-set nets src --packets-gt 2 -j DROP\nCOMMIT\n"}, false, netfilter.Accepted, no, 4},
		{"a comment of a member that speaks of nomatch", ruleText{sets: "create nets hash:net comment\nadd nets 10.166.0.0/16 comment \"please nomatch here\"\n", legacy: "*filter\n-A FORWARD -m set --match-set nets src -j DROP\nCOMMIT\n"}, true, netfilter.Dropped, no, 0},
		{"a member with nomatch and a comment", ruleText{sets: "create nets hash:net comment\nadd nets 10.0.0.0/8 comment \"a\"\nadd nets 10.166.0.0/16 nomatch comment \"b c\"\n", legacy: "*filter\n-A FORWARD -m set --match-set nets src -j DROP\nCOMMIT\n"}, true, netfilter.Accepted, no, 4},
		{"a dormant table", nftRules(" flags dormant\n" + forwardChain("drop", "")), false, netfilter.Accepted, no, 4},
		{"a dormant table of iptables-nft", ruleText{overNft: "*filter\n:FORWARD DROP\nCOMMIT\n", nft: "add table ip filter { flags dormant; }\n"}, false, netfilter.Accepted, no, 4},
		{"a statement that nft has no JSON for", nftRules(" map to { type ipv4_addr : ipv4_addr; size 100; flags dynamic; }\n" + forwardChain("accept", "add @to { ip saddr : ip daddr } drop")), false, netfilter.Unknown, no, 0},
		{"a NAT chain drops what may not be tracked", ruleText{legacy: "*raw\n-A PREROUTING -m limit --limit 100/second --limit-burst 100 -j NOTRACK\nCOMMIT\n", nft: "table ip t {\n chain p {\n  type nat hook postrouting priority 100;\n  drop\n }\n}\n"}, true, netfilter.Unknown, no, 4},
		{"the way back to a source that was written", nftRules(forwardChain("drop", "ip saddr set 10.1.0.99\n  fib saddr . iif oif missing accept")), true, netfilter.Unknown, yes, 4},
		{"a drop at the ingress of the incoming link", ruleText{nft: "table netdev n {\n chain i {\n  type filter hook ingress device \"up0\" priority 0;\n  ip saddr 203.0.113.1 drop\n }\n}\n"}, false, netfilter.Dropped, no, 0},
		{"a drop of IPv6 at the ingress of the incoming link", ruleText{six: true, nft: "table netdev n {\n chain i {\n  type filter hook ingress device \"up0\" priority 0;\n  ip6 saddr fd99::1 drop\n }\n}\n"}, false, netfilter.Dropped, no, 0},
		{"a drop of the other family at an ingress", ruleText{six: true, nft: "table netdev n {\n chain i {\n  type filter hook ingress device \"up0\" priority 0;\n  ip saddr 0.0.0.0/0 drop\n }\n}\n"}, false, netfilter.Accepted, no, 4},
		{"a policy at the ingress of several links", ruleText{nft: "table netdev n {\n chain i {\n  type filter hook ingress devices = { \"lo\", \"ovn0\" } priority 0; policy drop;\n  arp operation request accept\n }\n}\n"}, true, netfilter.Dropped, no, 0},
		{"a drop at the ingress of another link", ruleText{nft: "table netdev n {\n chain i {\n  type filter hook ingress device \"ovn0\" priority 0; policy drop;\n }\n}\n"}, false, netfilter.Accepted, no, 4},
		{"a drop at an ingress of family inet", nftRules(" chain i {\n  type filter hook ingress device \"up0\" priority 0;\n  ip daddr 10.166.0.0/16 drop\n }"), false, netfilter.Dropped, no, 0},
		{"a drop at the egress of the outgoing link", ruleText{nft: "table netdev n {\n chain e {\n  type filter hook egress device \"up0\" priority 0;\n  iifname != \"ovn0\" ip saddr 10.166.0.10 drop\n }\n}\n"}, true, netfilter.Dropped, no, 0},
		{"conntrack has seen nothing at an ingress", nftRules(" chain i {\n  type filter hook ingress device \"up0\" priority 0;\n  ct state invalid drop\n }"), false, netfilter.Dropped, no, 0},
		{"a source is written at an ingress", ruleText{nft: "table netdev n {\n chain i {\n  type filter hook ingress device \"ovn0\" priority 0;\n  ip saddr set 10.2.0.99\n }\n}\n"}, true, netfilter.Unknown, yes, 4},
		{"a bridge that the packet does not pass drops", ruleText{nft: "table bridge b {\n chain f {\n  type filter hook prerouting priority 0; policy drop;\n }\n}\n"}, false, netfilter.Accepted, no, 4},
		{"a hop limit", ruleText{legacy: "*mangle\n-A PREROUTING -j TTL --ttl-set 64\nCOMMIT\n"}, true, netfilter.Accepted, no, 4},
	}
	b := newBench(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { b.t = t; b.judge(c) })
	}
	for _, count := range b.late { // what came after its case was judged counts too
		count(t)
	}
}

// judge compares one case with what is known and with the kernel. The packets are the
// first ones of TCP connections, unless as makes others of them.
func (b *bench) judge(c chosen, as ...func(*netfilter.Packet)) {
	b.clear()
	c.rules.install(b.router)
	rules := b.read(c.rules.six)
	var probes []probe
	for i := range 4 {
		p := netfilter.Packet{In: "up0", Out: "ovn0", Src: netip.MustParseAddr("203.0.113.1"), Dst: netip.MustParseAddr("10.166.0.10"), ReturnsByIn: netfilter.Yes,
			Protocol: netfilter.TCP, SrcPort: uint16(40000 + i), DstPort: 80, Flags: netfilter.SYN, State: netfilter.New}
		if c.rules.six {
			p.Src, p.Dst = netip.MustParseAddr("fd99::1"), netip.MustParseAddr("fd00:166::10")
		}
		for _, change := range as {
			change(&p)
		}
		if c.fromPod {
			p.In, p.Out, p.Src, p.Dst = p.Out, p.In, p.Dst, p.Src
		}
		probes = append(probes, probe{p, uint32(b.sent + 1)})
		b.send(probes[i])
	}
	r := rules.Walk(probes[0].Packet)
	if r.Verdict != c.verdict || r.Rewritten != c.rewritten {
		b.t.Errorf("%s, rewritten %s; want %s, %s (doubt %v: %s)\n%s", r.Verdict, r.Rewritten, c.verdict, c.rewritten, r.Doubt, r.Question, trail(r))
	}
	b.until(func() bool { return b.arrived(probes) >= c.arrive }, "")
	for _, p := range probes {
		got := b.seen[p.marker]
		if got == nil || c.rewritten == netfilter.Maybe {
			continue
		}
		if from := sourceOf(got); (from != p.Src) != (c.rewritten == netfilter.Yes) {
			b.t.Errorf("it arrived from %s", from)
		}
	}
	b.late = append(b.late, func(t *testing.T) {
		if n := b.arrived(probes); n != c.arrive {
			t.Errorf("%s: %d arrived, not %d", c.name, n, c.arrive)
		}
	})
}

func (b *bench) arrived(probes []probe) int {
	b.receive()
	n := 0
	for _, p := range probes {
		if b.seen[p.marker] != nil {
			n++
		}
	}
	return n
}
