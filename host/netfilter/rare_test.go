package netfilter_test

import (
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// icmp makes an echo request of a packet.
func icmp(p *netfilter.Packet) {
	p.Protocol, p.Flags, p.Type = netfilter.ICMP, 0, 8
	if p.Src.Is6() {
		p.Protocol, p.Type = netfilter.ICMPv6, 128
	}
}

// midway is the first packet that a router sees of a connection in the middle.
func midway(p *netfilter.Packet) { p.Flags = netfilter.ACK }

// rare is a match that few rules have, in front of a drop. In it IP, CLIENT and POD stand
// for what they are in either family.
type rare struct {
	match string
	drops netfilter.Verdict
	as    func(*netfilter.Packet)
}

// TestRareMatchesAgreeWithTheKernel asks each in both families.
func TestRareMatchesAgreeWithTheKernel(t *testing.T) {
	needs.Root(t, "iptables-legacy", "iptables-nft", "nft", "ipset", "ip")
	const (
		hit   = netfilter.Dropped
		miss  = netfilter.Accepted
		maybe = netfilter.Unknown
	)
	first := func(*netfilter.Packet) {}
	b := newBench(t)
	for _, r := range []rare{
		{"-m conntrack --ctdir ORIGINAL", hit, first},
		{"-m conntrack --ctdir REPLY", miss, first},
		{"-m conntrack --ctdir REPLY", miss, withoutConnection},
		{"-m conntrack --ctproto 6", hit, first},
		{"-m conntrack ! --ctproto 6", miss, withoutConnection},
		{"-m conntrack --ctstate INVALID --ctproto 17", hit, withoutConnection},
		{"-m conntrack --ctorigdst POD", hit, first},
		{"-m conntrack ! --ctorigsrc CLIENT", miss, first},
		{"-m conntrack --ctreplsrc POD", hit, first},
		{"-p tcp -m conntrack --ctproto 6 --ctorigdstport 80", hit, first},
		{"-m conntrack --ctstatus SEEN_REPLY", miss, first},
		{"-m conntrack ! --ctstatus EXPECTED", hit, first},
		{"-m conntrack --ctstatus CONFIRMED", maybe, first},
		{"-m helper --helper ftp", miss, first},
		{"-m helper ! --helper ftp", hit, first},
		{"-m devgroup --src-group 7", hit, first},
		{"-m devgroup ! --dst-group 0", miss, first},
		{"-m policy --dir in --pol none", hit, first},
		{"-m policy --dir in --pol ipsec", miss, first},
		{"-m connlimit --connlimit-above 80 --connlimit-mask BITS", miss, first},
		{"-m connlimit --connlimit-upto 80 --connlimit-mask BITS", hit, first},
		{"-m connlimit --connlimit-above 80 --connlimit-mask 8", maybe, first},
		{"-m length --length 0:65535", hit, first},
		{"-m length --length 0:20", miss, first},
		{"-m length --length 1000:65535", maybe, first},
		{"-m dscp --dscp-class EF", miss, first},
		{"-m tos ! --tos 0x10/0x3f", hit, first},
		{"-p tcp -m ecn --ecn-tcp-cwr", miss, first},
		{"-p tcp -m tcpmss ! --mss 536:65535", miss, first},
		{"-p tcp -m tcpmss ! --mss 536:65535", hit, midway},
		{"-p tcp -m tcpmss --mss 1400:1500", maybe, first},
		{"-p tcp -m tcp --tcp-option 2", hit, first},
		{"-p tcp -m tcp --tcp-option 2", miss, midway},
		{"-p tcp -m tcp --tcp-option 4", maybe, first},
		{"-p tcp -m tcp --tcp-option 4", miss, midway},
		{"-m physdev --physdev-is-in", miss, first},
		{"-m physdev ! --physdev-is-bridged", hit, first},
		{"-m time --timestart 00:00 --timestop 23:59:59", hit, first},
		{"-m time --datestart 2037-01-01T00:00:00", maybe, first}, // the same at every hour of a test
		{"-m addrtype --dst-type ANYCAST", miss, first},
		{"-m addrtype ! --src-type MULTICAST", hit, first},
		{"-m rt --rt-type 0", miss, first},
		{"-m rt ! --rt-type 0", miss, first},
		{"-m frag --fragid 7", miss, first},
		{"-m hl --hl-lt 5", miss, first},
		{"-m ttl --ttl-lt 5", miss, first},
		{"-m ttl ! --ttl-eq 3", hit, first},
		{"-m addrtype --dst-type BROADCAST,MULTICAST", miss, first},
		{"-m addrtype ! --src-type BLACKHOLE", hit, first},
		{"-m addrtype --dst-type LOCAL --limit-iface-in", miss, first},
		{"-s 203.0.113.1/255.0.255.255", hit, first},
		{"-s 203.0.113.2/255.0.255.255", miss, first},
		{"-s 203.0.0.2/255.255.0.0", hit, first},
		{"-s 0.0.0.1/0.0.0.255", maybe, first},
		{"-s 204.0.0.1/255.0.0.255", miss, first},
		{"ct direction original", hit, first},
		{"ct direction != reply", miss, withoutConnection},
		{"ct zone 0", hit, first},
		{"ct helper \"ftp\"", miss, first},
		{"ct helper != \"ftp\"", miss, first},
		{"ct original IP daddr POD", hit, first},
		{"ct reply IP daddr != CLIENT", miss, first},
		{"meta l4proto tcp ct original proto-dst 80", hit, first},
		{"ct l3proto NFPROTO ct protocol tcp", hit, first},
		{"ct status & seen-reply == 0", hit, first},
		{"IP version VERSION", hit, first},
		{"IP dscp ef", miss, first},
		{"IP dscp set ef IP dscp ef", maybe, first},
		{"IP ecn != not-ect", miss, first},
		{"IP length < 8", miss, first},
		{"IP length > 1000", maybe, first},
		{"meta length 20-70000", hit, first},
		{"IP HOPS < 5", miss, first},
		{"tcp option maxseg size < 536", miss, first},
		{"tcp option maxseg size != 1", miss, midway},
		{"tcp option maxseg missing", hit, midway},
		{"tcp option maxseg exists", hit, first},
		{"exthdr frag exists", miss, first},
		{"exthdr rt missing", hit, first},
		{"rt type 0", miss, first},
		{"ip option lsrr exists", miss, first},
		{"ip frag-off & 0x1fff != 0", miss, first},
		{"iifgroup 7", hit, first},
		{"oifgroup != 0", miss, first},
		{"iiftype ether", hit, first},
		{"oiftype != ether", miss, first},
		{"meta ipsec exists", miss, first},
		{"rt ipsec missing", hit, first},
		{"meta skuid 0", miss, first},
		{"meta skuid != 0", miss, first},
		{"fib daddr type { blackhole, unreachable, prohibit }", miss, first},
		{"fib daddr . iif type local", miss, first},
		{"add @crowd { IP saddr ct count over 80 }", miss, first},
		{"add @crowd { IP saddr ct count 80 }", hit, first},
		{"IP saddr & MASK == CLIENT", hit, first},
		{"IP daddr . meta l4proto . th dport { POD . tcp . 80, POD . udp . 53 }", hit, first},
		{"IP daddr . meta l4proto . th dport { POD . tcp . 80, POD . udp . 53 }", miss, icmp},
		{"IP daddr . th dport { CLIENT . 80 }", miss, icmp},
		{"IP daddr . th dport != { CLIENT . 80 }", hit, icmp},
		{"IP saddr @others", hit, first},
	} {
		for _, six := range []bool{false, true} {
			rules, ok := r.rules(six)
			if !ok {
				continue
			}
			t.Run(rules.name(r, six), func(t *testing.T) {
				b.t = t
				arrive := map[netfilter.Verdict]int{hit: 0, miss: 4}[r.drops]
				if r.drops == maybe {
					arrive = r.arrivesInDoubt(six)
				}
				b.judge(chosen{rules.name(r, six), rules, false, r.drops, netfilter.No, arrive}, r.as)
			})
		}
	}
	for _, count := range b.late {
		count(t)
	}
}

func (ruleText) name(r rare, six bool) string {
	return r.match + map[bool]string{false: " in IPv4", true: " in IPv6"}[six] + map[bool]string{true: ", an ACK"}[strings.Contains(r.match, "maxseg")]
}

// rules is the match in front of a drop; false where the family has no such thing.
func (r rare) rules(six bool) (ruleText, bool) {
	ofIPv4 := strings.Contains(r.match, "-m ttl") || strings.Contains(r.match, "-s ") || strings.Contains(r.match, "BROADCAST") ||
		strings.Contains(r.match, "BLACKHOLE") || strings.Contains(r.match, "limit-iface") || strings.HasPrefix(r.match, "ip ")
	ofIPv6 := strings.Contains(r.match, "-m rt") || strings.Contains(r.match, "-m frag") || strings.Contains(r.match, "-m hl") || strings.Contains(r.match, "exthdr") || strings.HasPrefix(r.match, "rt type")
	words := strings.NewReplacer("IP ", "ip ", "CLIENT", "203.0.113.1", "POD", "10.166.0.10", "BITS", "32", "VERSION", "4", "NFPROTO", "ipv4", "HOPS", "ttl", "MASK", "255.0.255.255")
	if six {
		words = strings.NewReplacer("IP ", "ip6 ", "CLIENT", "fd99::1", "POD", "fd00:166::10", "BITS", "128", "VERSION", "6", "NFPROTO", "ipv6", "HOPS", "hoplimit", "MASK", "ffff:ff00:ffff:ffff:ffff:ffff:ffff:ffff")
	}
	text := words.Replace(r.match)
	if strings.Contains(r.match, "MASK == CLIENT") {
		text = strings.Replace(text, "== 203.0.113.1", "== 203.0.113.1 & 255.0.255.255", 1)
	}
	out := ruleText{six: six}
	if strings.Contains(text, "--") || strings.HasPrefix(text, "-s ") {
		out.legacy = "*filter\n-A FORWARD " + text + " -j DROP\nCOMMIT\n"
	} else {
		kind := map[bool]string{false: "ipv4_addr", true: "ipv6_addr"}[six]
		out.nft = "table inet t {\n set crowd { type " + kind + "; size 100; flags dynamic; }\n set others { type " + kind + "; elements = { * } }\n" + forwardChain("accept", text+" drop") + "}\n"
	}
	return out, !(six && ofIPv4 || !six && ofIPv6)
}

// arrivesInDoubt is what becomes of the packets where the walk cannot know it.
func (r rare) arrivesInDoubt(bool) int {
	switch {
	case strings.Contains(r.match, "1400:1500"), strings.Contains(r.match, "dscp set"), strings.Contains(r.match, "-s 0.0.0.1"):
		return 0
	}
	return 4
}
