package netfilter_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/host/hosttest"
)

// ruleText is a rule set as the tools read it.
type ruleText struct {
	six                  bool
	sets                 string
	legacy, overNft, nft string
}

func (r ruleText) String() string {
	return fmt.Sprintf("--- ipset\n%s--- iptables-legacy\n%s--- iptables-nft\n%s--- nft\n%s", r.sets, r.legacy, r.overNft, r.nft)
}

func (r ruleText) install(s *hosttest.Space) {
	six := ""
	if r.six {
		six = "6"
	}
	s.RunWith(r.sets, "ipset", "restore")
	for _, part := range []struct {
		input string
		argv  []string
	}{
		{r.legacy, []string{"ip" + six + "tables-legacy-restore"}},
		{r.overNft, []string{"ip" + six + "tables-nft-restore"}},
		{r.nft, []string{"nft", "-f", "-"}},
	} {
		if part.input != "" {
			s.RunWith(part.input, part.argv...)
		}
	}
}

func generate(r *rand.Rand, six bool) ruleText {
	g := generator{r, six}
	out := ruleText{six: six, sets: g.sets()}
	for out.legacy+out.overNft+out.nft == "" {
		if r.IntN(2) == 0 {
			out.legacy = g.iptables()
		}
		if r.IntN(2) == 0 {
			out.overNft = g.iptables()
		}
		if r.IntN(2) == 0 {
			out.nft = g.nft() + g.sometimes(4, g.onLinks()) + g.sometimes(6, g.ofOneFamily())
		}
		if strings.Contains(out.overNft, "*filter") && r.IntN(3) == 0 {
			out.nft += g.addition()
		}
	}
	return out
}

type generator struct {
	*rand.Rand
	six bool
}

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }

// sometimes gives a text once in n times.
func (g generator) sometimes(n int, text string) string {
	if g.IntN(n) == 0 {
		return text
	}
	return ""
}

func (g generator) address(source bool) string {
	from, to := addresses(g.six)
	a := pick(g.Rand, to)
	if source != (g.IntN(3) == 0) { // Pods send too
		a = pick(g.Rand, from)
	}
	if g.six {
		return g.one(a+"/128", a+"/48", a+"/32", "::/0", "fd00::/8", "2001:db8::/32")
	}
	return g.one(a+"/32", a+"/24", a+"/16", "0.0.0.0/0", "10.0.0.0/8", "192.0.2.0/24")
}

func (g generator) plain(source bool) string {
	from, to := addresses(g.six)
	if source != (g.IntN(3) == 0) {
		return pick(g.Rand, from)
	}
	return pick(g.Rand, to)
}

func (g generator) port() string { return fmt.Sprint(pick(g.Rand, ports())) }

func (g generator) sets() string {
	family := "inet"
	if g.six {
		family = "inet6"
	}
	var b strings.Builder
	for _, s := range ipsetTypes() {
		if s.legacyOnly && g.six {
			continue
		}
		fmt.Fprintf(&b, "create %s %s", s.name, s.kind)
		if strings.HasPrefix(s.kind, "hash:") {
			fmt.Fprintf(&b, " family %s", family)
		}
		if s.netmask && g.six {
			b.WriteString(" netmask 48")
		} else if s.netmask {
			b.WriteString(" netmask 16")
		}
		b.WriteString(s.options + "\n")
	}
	for range 3 {
		g.members(&b)
	}
	b.WriteString("add all nets\nadd all hosts\n")
	return b.String()
}

// ipsetType is a set that every case has.
type ipsetType struct {
	name, kind, options string
	netmask             bool
	// legacyOnly sets are of IPv4.
	legacyOnly bool
}

func ipsetTypes() []ipsetType {
	return []ipsetType{
		{name: "nets", kind: "hash:net", options: " comment"}, {name: "hosts", kind: "hash:ip"}, {name: "wide", kind: "hash:ip", netmask: true},
		{name: "pairs", kind: "hash:ip,port"}, {name: "netports", kind: "hash:net,port"}, {name: "triples", kind: "hash:ip,port,ip"},
		{name: "flows", kind: "hash:ip,port,net"}, {name: "links", kind: "hash:net,iface"}, {name: "pool", kind: "bitmap:port", options: " range 1-9000"},
		{name: "range", kind: "bitmap:ip", options: " range 10.166.0.0-10.166.3.255", legacyOnly: true}, {name: "seen", kind: "hash:ip"}, {name: "all", kind: "list:set"},
	}
}

// members adds a member to each set.
func (g generator) members(b *strings.Builder) {
	a, port := g.address(g.IntN(2) == 0), g.one("tcp:", "udp:")+g.port()
	if !strings.HasSuffix(a, "/0") {
		fmt.Fprintf(b, "add -exist nets %s%s%s\n", a, g.sometimes(3, " nomatch"), g.sometimes(3, ` comment "no nomatch, this"`))
		fmt.Fprintf(b, "add -exist links %s,%s\n", a, g.one("up0", "ovn0", "lo", "up wildcard", "ovn wildcard"))
		fmt.Fprintf(b, "add -exist netports %s,%s%s\n", a, port, g.sometimes(4, " nomatch"))
		fmt.Fprintf(b, "add -exist flows %s,%s,%s%s\n", g.plain(g.IntN(2) == 0), port, a, g.sometimes(4, " nomatch"))
	}
	for _, set := range []string{"hosts", "wide"} {
		fmt.Fprintf(b, "add -exist %s %s\n", set, g.plain(g.IntN(2) == 0))
	}
	fmt.Fprintf(b, "add -exist pairs %s,%s\nadd -exist triples %s,%s,%s\nadd -exist pool %s\n", g.plain(g.IntN(2) == 0), port, g.plain(true), port, g.plain(false), g.port())
	if !g.six {
		fmt.Fprintf(b, "add -exist range 10.166.%d.%d\n", g.IntN(2), 10+g.IntN(2))
	}
}

// iptables is an input for iptables-restore.
func (g generator) iptables() string {
	var b strings.Builder
	for _, table := range []struct {
		name   string
		chains []string
	}{{"raw", []string{"PREROUTING"}}, {"mangle", []string{"PREROUTING", "FORWARD", "POSTROUTING"}}, {"nat", []string{g.one("POSTROUTING", "POSTROUTING", "POSTROUTING", "POSTROUTING", "POSTROUTING", "POSTROUTING", "PREROUTING")}}, {"filter", []string{"FORWARD"}}} {
		if table.name != "filter" && g.IntN(3) > 0 && (table.name != "nat" || g.IntN(2) == 0) {
			continue
		}
		fmt.Fprintf(&b, "*%s\n", table.name)
		for _, c := range table.chains {
			policy := "ACCEPT"
			if table.name == "filter" {
				policy = g.one("ACCEPT", "ACCEPT", "DROP")
			}
			fmt.Fprintf(&b, ":%s %s\n", c, policy)
		}
		for i := 1; i <= 3; i++ {
			fmt.Fprintf(&b, ":C%d -\n", i)
		}
		for _, c := range table.chains {
			for range 1 + g.IntN(6) {
				fmt.Fprintf(&b, "-A %s %s\n", c, g.iptablesRule(table.name, c, 0))
			}
		}
		for i := 1; i <= 3; i++ {
			for range g.IntN(4) {
				fmt.Fprintf(&b, "-A C%d %s\n", i, g.iptablesRule(table.name, table.chains[len(table.chains)-1], i))
			}
		}
		b.WriteString("COMMIT\n")
	}
	return b.String()
}

// iptablesRule is a rule for a chain that is depth jumps down.
func (g generator) iptablesRule(table, chain string, depth int) string {
	var words []string
	not := func() string { return g.sometimes(4, "! ") }
	if g.IntN(3) == 0 {
		words = append(words, sensible(not()+"-s "+g.address(true)))
	}
	if g.IntN(3) == 0 {
		words = append(words, sensible(not()+"-d "+g.address(false)))
	}
	if g.IntN(5) == 0 && chain != "POSTROUTING" {
		words = append(words, not()+"-i "+g.one("up0", "up+", "ovn0", "lo"))
	}
	if g.IntN(5) == 0 && chain != "PREROUTING" && depth == 0 {
		words = append(words, not()+"-o "+g.one("ovn0", "ovn+", "up0"))
	}
	icmp, module, request := "icmp", "icmp --icmp-type ", "8"
	if g.six {
		icmp, module, request = "ipv6-icmp", "icmp6 --icmpv6-type ", "128"
	}
	switch g.IntN(8) {
	case 0:
		words = append(words, "-p tcp "+g.one("", "--dport "+g.port(), not()+"--sport 1:1024", not()+"--tcp-flags SYN,ACK SYN", "--syn", "--tcp-flags ALL SYN,ACK"))
	case 1:
		words = append(words, "-p udp "+g.one("", "--dport "+g.port(), "! --sport "+g.port()))
	case 2:
		words = append(words, "-p "+icmp+g.one("", " -m "+module+g.one(request, "0", "129")))
	case 3:
		words = append(words, "-p "+g.one("tcp", "udp")+" -m multiport "+not()+g.one("--dports ", "--sports ", "--ports ")+g.port()+","+g.port()+",8000:9000")
	case 4:
		words = append(words, "! -p "+g.one("tcp", "udp", icmp))
	}
	if table == "raw" && depth == 0 && g.IntN(4) == 0 {
		words = append(words, "-m rpfilter"+g.sometimes(2, " --loose")+g.sometimes(2, " --invert"))
	}
	switch g.IntN(10) {
	case 0, 1:
		words = append(words, "-m conntrack "+not()+"--ctstate "+g.one("NEW", "ESTABLISHED,RELATED", "INVALID", "INVALID,NEW", "UNTRACKED", "SNAT", "NEW,DNAT"))
	case 8:
		words = append(words, "-m physdev "+g.one(not()+"--physdev-is-bridged", not()+"--physdev-is-out", "--physdev-out up0"))
	case 2:
		words = append(words, "-m state --state "+g.one("NEW", "INVALID", "RELATED,ESTABLISHED"))
	case 3:
		words = append(words, "-m mark "+not()+"--mark "+g.one("0x1/0x1", "0x0/0x3", "0x2/0x2", "0x1"))
	case 4:
		words = append(words, "-m set "+not()+"--match-set "+g.one("nets src", "nets dst", "pairs src,dst", "pairs dst,dst", "all src", "links src,src", "pool dst", "hosts src", "wide dst", "netports src,dst", "triples src,dst,dst", "flows src,dst,dst", g.ofFamily("range dst", "hosts dst")))
	case 5:
		words = append(words, "-m iprange "+not()+g.one("--src-range "+g.plain(true)+"-"+g.plain(true), "--dst-range "+g.ordered()))
	case 6:
		words = append(words, "-m addrtype "+not()+g.one("--src-type LOCAL", "--dst-type UNICAST", "--dst-type LOCAL,MULTICAST"))
	case 7:
		words = append(words, "-m connmark "+not()+"--mark 0x1/0x1", "-m pkttype --pkt-type unicast")
	}
	if g.IntN(3) == 0 {
		special := g.special(table, chain, depth)
		words = slices.DeleteFunc(words, func(w string) bool { // what both ask would be twice
			option, _, _ := strings.Cut(strings.TrimPrefix(w, "! "), " ")
			return strings.Contains(" "+special, " "+option+" ") && option != "-m" || strings.HasPrefix(w, "-m multiport")
		})
		words = append(words, special)
	}
	for i, w := range words { // a range must not run backwards
		if from, to, ok := strings.Cut(w, "--src-range "); ok {
			a, b, _ := strings.Cut(to, "-")
			words[i] = from + "--src-range " + rising(a, b)
		}
	}
	if special := g.specialTarget(table, chain, depth); special != "" {
		return special
	}
	return strings.Join(append(words, "-m comment --comment \"a \\\"b\\\" c\"", g.iptablesTarget(table, chain, depth)), " ")
}

// special is a match of what few rules ask for.
func (g generator) special(table, chain string, depth int) string {
	not := func() string { return g.sometimes(3, "! ") }
	six, bits, wide := g.six, "32", "255.0.255.0"
	if six {
		bits, wide = "128", "ffff::ffff:0:0:0:0"
	}
	a := g.plain(g.IntN(2) == 0)
	matches := []string{
		"-m length " + not() + "--length " + g.one("0:65535", "0:19", "65535:65535", "100:200"),
		"-m dscp " + not() + "--dscp " + g.one("0", "0x2e"), "-m tos " + not() + "--tos " + g.one("0/0xff", "0x10/0x3f"),
		"-p tcp -m ecn " + not() + g.one("--ecn-tcp-cwr", "--ecn-tcp-ece"), "-m ecn " + not() + "--ecn-ip-ect " + g.one("0", "2"),
		"-p tcp -m tcpmss " + not() + "--mss " + g.one("536:65535", "1:100", "1400:1500"),
		"-m helper " + not() + "--helper ftp", "-p tcp -m tcp " + not() + "--tcp-option " + g.one("2", "3", "8"),
		"-m conntrack --ctdir " + g.one("ORIGINAL", "REPLY"),
		"-m conntrack " + not() + "--ctproto " + g.one("6", "17"),
		"-m conntrack " + g.sometimes(2, "--ctstate "+g.one("NEW", "INVALID", "ESTABLISHED,INVALID")+" ") + not() + g.one("--ctorigsrc ", "--ctorigdst ", "--ctreplsrc ", "--ctrepldst ") + a,
		"-m conntrack " + g.sometimes(2, "--ctstate "+g.one("NEW", "INVALID", "ESTABLISHED,INVALID")+" ") + g.one("--ctproto 6 ", "--ctproto 17 ") + not() + g.one("--ctorigsrcport ", "--ctorigdstport ", "--ctreplsrcport ", "--ctrepldstport ") + g.one(g.port(), "1:1000"),
		"-m conntrack " + not() + "--ctstatus " + g.one("SEEN_REPLY", "EXPECTED", "CONFIRMED", "ASSURED", "NONE", "EXPECTED,SEEN_REPLY"),
		"-m physdev " + not() + g.one("--physdev-is-in", "--physdev-in up0"),
		"-m time --utc", "-m time --timestart 00:00 --timestop 23:59:59",
		not() + g.one("-s ", "-d ") + a + "/" + wide,
		"-p sctp -m sctp --dport 80", "-p dccp -m dccp " + not() + "--dport 80", "-p ah -m ah " + not() + "--ahspi 5", "-p esp -m esp --espspi 5",
	}
	if six {
		matches = append(matches, "-m hl "+g.one("--hl-lt 5", not()+"--hl-eq 3", "--hl-gt 3", "--hl-eq 64"), "-m rt "+not()+"--rt-type 0", "-m frag "+not()+"--fragid 7", "-m hbh "+not()+"--hbh-len 8", "-m dst "+not()+"--dst-len 8",
			"-p mobility-header -m mh --mh-type 1", "-m addrtype "+not()+g.one("--dst-type ANYCAST", "--src-type MULTICAST", "--dst-type UNREACHABLE,LOCAL", "--dst-type ANYCAST,UNICAST"))
	} else {
		matches = append(matches, "-m ttl "+g.one("--ttl-lt 5", not()+"--ttl-eq 3", "--ttl-gt 3", "--ttl-eq 64"), "-f", "! -f",
			"-m addrtype "+not()+g.one("--dst-type ANYCAST", "--src-type MULTICAST", "--dst-type BROADCAST,MULTICAST", "--dst-type UNREACHABLE,LOCAL", "--src-type BLACKHOLE,PROHIBIT", "--dst-type THROW"))
	}
	if table == "filter" || table == "mangle" {
		matches = append(matches, "-m connlimit "+g.one("--connlimit-above 100", "--connlimit-upto 100", "--connlimit-above 0")+" --connlimit-mask "+bits)
	}
	if table == "filter" {
		matches = append(matches, "-m devgroup "+not()+g.one("--src-group 7", "--dst-group 7", "--src-group 0", "--src-group 0x5/0x4"), "-m policy --dir "+g.one("in", "out")+" --pol "+g.one("none", "ipsec"))
		if !six {
			matches = append(matches, "-m addrtype "+not()+g.one("--dst-type LOCAL --limit-iface-in", "--src-type UNICAST --limit-iface-out"))
		}
	}
	if table == "mangle" && chain == "POSTROUTING" && depth == 0 {
		matches = append(matches, "-m owner "+not()+"--uid-owner 0", "-m cgroup "+not()+"--cgroup 1")
	}
	return pick(g.Rand, matches)
}

func (g generator) ordered() string { return rising(g.plain(false), g.plain(false)) }

func (g generator) iptablesTarget(table, chain string, depth int) string {
	if depth < 3 && g.IntN(3) == 0 {
		return g.one("-j C", "-g C") + fmt.Sprint(depth+1+g.IntN(3-depth))
	}
	switch table {
	case "raw":
		return g.one("-j DROP", "-j CT --notrack", "-j NOTRACK", "-j MARK --set-mark 1", "-j RETURN", "-j ACCEPT", "-j TRACE", "-j NFLOG", "-j LOG", "-j SET --add-set seen src")
	case "mangle":
		if g.IntN(3) == 0 {
			return g.passing()
		}
		return g.one("-j DROP", "-j ACCEPT", "-j MARK --set-xmark 0x1/0x1", "-j MARK --or-mark 0x2", "-j MARK --and-mark 0x1", "-j CONNMARK --save-mark", "-j CONNMARK --set-mark 1", "-j CONNMARK --restore-mark", "-j RETURN", "-j ACCEPT", "-j MARK --or-mark "+g.one("0x4", "0x4", "0x80", "0x10"), "-j MARK --set-mark "+g.one("0x10", "0x30"))
	case "nat":
		if chain == "PREROUTING" {
			return g.one("-j DNAT --to-destination "+g.nobody(), "-j REDIRECT", "-j RETURN", "-j ACCEPT", "-j ACCEPT", "")
		}
		return g.one("-j SNAT --to-source "+g.unusedAddress(), "-j MASQUERADE", "-j RETURN", "-j ACCEPT", "")
	}
	return g.one("-j DROP", "-j ACCEPT", "-j ACCEPT", "-j ACCEPT", "-j REJECT", "-j RETURN", "-j LOG", "")
}

// nobody is where DNAT leads to: no packet of a case goes there, or comes from
// there and is then taken for the reply to another one.
func (g generator) nobody() string { return g.ofFamily("203.0.113.99", "fd99::99") }

// unusedAddress is an address that nobody has.
func (g generator) unusedAddress() string { return g.ofFamily("10.2.0.99", "fd02::99") }

// ofFamily gives the one for IPv4 or the one for IPv6.
func (g generator) ofFamily(four, six string) string {
	if g.six {
		return six
	}
	return four
}

// passing is a target that changes nothing that is asked about, and that every
// chain takes.
func (g generator) passing() string {
	limit := g.ofFamily("-j TTL --ttl-set 64", "-j HL --hl-set 64")
	return g.one("-j LOG", "-j NFLOG", "-j AUDIT --type accept", "-j SET --add-set seen src", "-j CONNSECMARK --save", limit, "-j DSCP --set-dscp 1", "-j TOS --set-tos 0x10",
		"-j RATEEST --rateest-name fairway --rateest-interval 250ms --rateest-ewmalog 1s", "-j IDLETIMER --timeout 60 --label fairway", "-j TEE --gateway "+g.ofFamily("192.0.2.77", "fd77::77"))
}

// specialTarget is a rule whose target asks for a protocol or a chain of its own,
// once in a while.
func (g generator) specialTarget(table, chain string, depth int) string {
	if table != "mangle" || depth > 0 || g.IntN(6) > 0 {
		return ""
	}
	rules := []string{"-p udp -j CHECKSUM --checksum-fill", "-p tcp -j TCPOPTSTRIP --strip-options wscale"}
	if !g.six {
		rules = append(rules, "-p tcp -j ECN --ecn-tcp-remove")
	}
	if chain != "PREROUTING" {
		rules = append(rules, "-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu", "-j CLASSIFY --set-class 1:1")
	}
	return pick(g.Rand, rules)
}

// addition is what somebody adds by nft to a table of iptables-nft's.
func (g generator) addition() string {
	kind := g.ofFamily("ipv4_addr", "ipv6_addr")
	ip := g.ofFamily("ip", "ip6")
	verdict := g.one("drop", "accept")
	return fmt.Sprintf("table %s filter {\n set added { type %s; flags interval; auto-merge; elements = { %s } }\n chain FORWARD {\n  %s %s @added counter %s\n  %s\n }\n%s}\n", ip, kind, g.address(true), ip, g.one("saddr", "daddr"), verdict,
		g.sometimes(2, "ct state invalid counter drop"), g.sometimes(3, " chain more {\n  type filter hook forward priority 5;\n  tcp dport 80 drop\n }\n"))
}

// nft is an input for nft: one table.
func (g generator) nft() string {
	var b strings.Builder
	b.WriteString("table inet t1 {\n")
	for _, f := range []generator{{g.Rand, false}, {g.Rand, true}} {
		f.nftSets(&b)
	}
	fmt.Fprintf(&b, " map ways { type ifname : verdict; elements = { \"up0\" : jump C2, \"lo\" : drop } }\n")
	for i := 3; i >= 1; i-- {
		fmt.Fprintf(&b, " chain C%d {\n", i)
		for range g.IntN(4) {
			fmt.Fprintf(&b, "  %s\n", g.nftRule("forward", i))
		}
		b.WriteString(" }\n")
	}
	for i, hook := range []string{"prerouting", "forward", "forward", "postrouting"} {
		if hook != "forward" && g.IntN(3) > 0 {
			continue
		}
		policy := "accept"
		if g.IntN(10) == 0 {
			policy = "drop"
		}
		fmt.Fprintf(&b, " chain B%d {\n  type filter hook %s priority %s; policy %s;\n", i, hook, g.one("-310", "-200", "-150", "-10", "0", "10"), policy)
		for range 1 + g.IntN(6) {
			fmt.Fprintf(&b, "  %s\n", g.nftRule(hook, 0))
		}
		b.WriteString(" }\n")
	}
	for i, hook := range []string{"postrouting", "postrouting", "prerouting"} {
		if g.IntN(2+2*i) > 0 {
			continue
		}
		fmt.Fprintf(&b, " chain N%d {\n  type nat hook %s priority %s;\n", i, hook, g.one("-150", "0", "100"))
		for range 1 + g.IntN(4) {
			fmt.Fprintf(&b, "  %s\n", g.nftRule("nat "+hook, 0))
		}
		b.WriteString(" }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// nftSets are the sets of one family, which end in 4 or 6.
func (g generator) nftSets(b *strings.Builder) {
	kind := g.ofFamily("ipv4_addr", "ipv6_addr")
	fmt.Fprintf(b, " set %s { type %s; flags interval; auto-merge; elements = { %s, %s } }\n", g.named("nets"), kind, g.address(true), g.address(false))
	fmt.Fprintf(b, " set %s { type %s . inet_service; elements = { %s . %s, %s . %s } }\n", g.named("pairs"), kind, g.plain(false), "22", g.plain(false), "443")
	fmt.Fprintf(b, " set %s { type %s; size 1000; flags dynamic; }\n map %s { type %s : %s; elements = { %s : %s } }\n", g.named("dyn"), kind, g.named("to"), kind, kind, g.plain(false), g.unusedAddress())
	fmt.Fprintf(b, " map %s { type %s : verdict; elements = { %s : %s, * : %s } }\n", g.named("ends"), kind, g.plain(false), g.one("drop", "accept"), g.one("continue", "accept"))
	fmt.Fprintf(b, " set %s { type %s; size 1; flags dynamic,timeout; timeout 1h; elements = { %s } }\n", g.named("full"), kind, g.plain(false))
}

// named is the name of a set of this family's.
func (g generator) named(set string) string { return set + g.ofFamily("4", "6") }

// onLinks is a table of family netdev, or of family inet, which has no egress.
func (g generator) onLinks() string {
	var b strings.Builder
	family, hooks := "netdev", []string{"ingress", "egress"}
	if g.IntN(3) == 0 {
		family, hooks = "inet", hooks[:1]
	}
	fmt.Fprintf(&b, "table %s n1 {\n", family)
	for i := range 1 + g.IntN(2) {
		links := g.one(`device "up0"`, `device "ovn0"`, `devices = { "up0", "ovn0" }`, `device "lo"`)
		fmt.Fprintf(&b, " chain L%d {\n  type filter hook %s %s priority %s; policy %s;\n", i, pick(g.Rand, hooks),
			links, g.one("-10", "0", "10"), g.one("accept", "accept", "accept", "accept", "accept", "drop"))
		for range 1 + g.IntN(3) {
			f := generator{g.Rand, g.six != (g.IntN(4) == 0)}
			ip := f.ofFamily("ip", "ip6")
			match := f.one("", sensible(ip+" saddr "+f.address(true)), sensible(ip+" daddr "+f.address(false)), `iifname "up0"`, `oifname != "up0"`, "tcp dport "+f.port(), "meta mark 0x1", "meta protocol "+ip, ip+" dscp cs0", ip+" length > 65535", "iifgroup 7", "tcp option maxseg exists")
			fmt.Fprintf(&b, "  %s %s\n", match, f.one("drop", "accept", "accept", "return", "counter", "meta mark set 0x1", ip+" dscp set cs1 accept", ip+" saddr set "+ip+" saddr accept", "meta mark set "+f.markMap()+" accept", "meta mark set "+f.one("0x80", "0x10", "0x30")))
		}
		b.WriteString(" }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// markMap is a map of some addresses to marks.
func (g generator) markMap() string {
	ip := g.ofFamily("ip", "ip6")
	return fmt.Sprintf("%s %s map { %s : 0x1 }", ip, g.one("saddr", "daddr"), g.plain(g.IntN(2) == 0))
}

// ofOneFamily is a table that sees one family, for what family inet does not take.
func (g generator) ofOneFamily() string {
	ip, nobody := g.ofFamily("ip", "ip6"), g.ofFamily("192.0.2.77", "fd77::77")
	return fmt.Sprintf("table %s t2 {\n chain f {\n  type filter hook %s priority 20;\n  dup to %s saddr map { %s : %s } %s\n  dup to %s %s\n }\n}\n",
		ip, g.one("forward", "postrouting"), ip, g.plain(g.IntN(2) == 0), nobody, g.one("drop", "accept"), nobody, g.one("", "accept", "tcp dport 80 drop"))
}

func (g generator) nftRule(hook string, depth int) string {
	g.six = g.six != (g.IntN(4) == 0) // a table of family inet has rules for both
	ip, icmp, request := "ip", "icmp", "8"
	if g.six {
		ip, icmp, request = "ip6", "icmpv6", "128"
	}
	op := func() string { return g.sometimes(4, "!= ") }
	var words []string
	if g.IntN(3) == 0 {
		words = append(words, ip+" saddr "+op()+g.one(g.address(true), "@"+g.named("nets"), "{ "+g.plain(true)+", "+g.address(true)+" }"))
	}
	if g.IntN(3) == 0 {
		words = append(words, ip+" daddr "+op()+g.one(g.address(false), "@"+g.named("nets"), g.ordered()))
	}
	if g.IntN(5) == 0 {
		words = append(words, g.one("iifname ", "iif ", "oifname ")+op()+g.one(`"up0"`, `"ovn0"`))
	}
	early := len(words)
	switch g.IntN(15) {
	case 10:
		words = append(words, g.one("tcp sport ", "udp sport ")+op()+g.port())
	case 11:
		words = append(words, g.one("meta pkttype host", "meta protocol "+ip, icmp+" code "+g.one("!= 100", "100"), "meta l4proto { tcp, udp } th sport "+op()+g.port()))
	case 12:
		if ip == "ip6" {
			words = append(words, "ip6 nexthdr "+op()+"tcp")
		}
	case 13:
		if !strings.HasSuffix(hook, "postrouting") {
			words = append(words, g.one("fib saddr . iif oif "+g.one("exists", "missing", "0"), "fib saddr type "+op()+g.one("local", "unicast")))
		}
	case 0:
		words = append(words, "tcp dport "+op()+g.one(g.port(), "1-1024", "{ 22, 8000-9000 }"))
	case 1:
		words = append(words, "tcp flags "+g.one("syn", "& (syn|ack) == syn", "!= syn", "syn,rst", "& (fin|syn|rst|ack) == (syn|ack)"))
	case 2:
		words = append(words, "udp dport "+g.one(">= 1024", "< 443", g.port()))
	case 3:
		words = append(words, icmp+" type "+op()+g.one(request, "echo-reply"))
	case 4:
		words = append(words, "meta l4proto "+op()+g.one("tcp", "{ tcp, udp }", "6-17"))
	case 5:
		words = append(words, ip+" daddr . tcp dport "+op()+g.one("@"+g.named("pairs"), "{ "+g.plain(false)+" . 80, "+g.plain(false)+" . 1024 }"))
	case 6:
		if strings.HasSuffix(hook, "postrouting") {
			break
		}
		words = append(words, "fib daddr type "+op()+g.one("local", "unicast"))
	case 7:
		if len(words) > 0 {
			break // nft's listing drops this question before a TCP reset, and refuses contradictions
		}
		return g.one("meta nfproto ", "ct l3proto ") + op() + g.one("ipv4", "ipv6") + " " + g.one("drop", "accept", "return", "counter")
	case 8:
		if ip == "ip" {
			words = append(words, "ip protocol "+op()+g.one("tcp", "{ udp, icmp }"))
		}
	case 9:
		words = append(words, "meta l4proto { tcp, udp } th dport "+g.port())
	}
	switch g.IntN(7) {
	case 4:
		words = append(words, g.one("ct status "+g.one("dnat", "snat", "!= snat", "snat,dnat", "seen-reply", "!= expected"), "ct direction "+op()+g.one("original", "reply")))
	case 0, 1:
		words = append(words, "ct state "+g.one("new", "established,related", "invalid", "{ new, invalid }", "!= new", "untracked"))
	case 2:
		words = append(words, "meta mark "+op()+g.one("0x1", "& 0x1 == 0x1", "0x2"))
	case 3:
		words = append(words, "ct mark "+g.one("0x1", "!= 0x1"))
	}
	if g.IntN(3) == 0 {
		words = append(words[:early], g.nftSpecial(hook, ip, op)) // without what might contradict it
	}
	for i, w := range words {
		words[i] = sensible(strings.Replace(w, "!= & ", "& ", 1))
	}
	verdict := g.nftVerdict(hook, depth)
	if all := " " + strings.Join(append(words, verdict), " "); strings.Contains(verdict, "tcp option") || strings.Contains(verdict, g.ofFamily("ip6 ", "ip ")) && strings.Contains(all, g.ofFamily(" ip ", " ip6 ")) ||
		strings.Contains(verdict, g.ofFamily("ip6 ", "ip ")) && strings.Contains(all, g.ofFamily("icmp ", "icmpv6 ")) {
		words = nil // nft takes no contradictions
	}
	return strings.Join(append(words, verdict), " ")
}

func (g generator) nftVerdict(hook string, depth int) string {
	options := []string{"drop", "accept", "accept", "accept", "return", "counter", "meta mark set 0x1", "meta mark set meta mark or 0x2", "log", "counter accept comment \"a b\"",
		"ct state vmap { invalid : drop, established : accept }", "meta l4proto vmap { tcp : accept, udp : continue }", "ct mark set meta mark"}
	ip := g.ofFamily("ip", "ip6")
	switch hook {
	case "nat postrouting":
		return g.one("masquerade", "masquerade", "snat "+ip+" to "+g.unusedAddress(), "snat "+ip+" to "+ip+" saddr map @"+g.named("to"), "snat "+ip+" to "+ip+" saddr map { "+g.plain(false)+" : "+g.unusedAddress()+" }",
			"meta l4proto tcp snat to :1024-9000", "accept", "return", "drop")
	case "nat prerouting":
		return g.one("redirect", "dnat "+ip+" to "+g.nobody(), "dnat "+ip+" to "+ip+" daddr map { "+g.plain(false)+" : "+g.unusedAddress()+" }", "accept", "return", "accept", "return")
	case "forward":
		options = append(options, "reject", "reject with tcp reset")
	}
	if g.IntN(5) == 0 {
		return g.nftChange(hook, ip)
	}
	if hook == "prerouting" {
		options = append(options, "notrack")
	}
	if depth == 0 && hook == "forward" {
		options = append(options, "iifname vmap @ways")
	}
	if depth < 3 && hook == "forward" { // the chains below reject, which other hooks may not
		options = append(options, g.one("jump", "goto")+fmt.Sprintf(" C%d", depth+1+g.IntN(3-depth)))
	}
	options = append(options, ip+" saddr vmap @"+g.named("ends"))
	v := pick(g.Rand, options)
	if strings.HasSuffix(v, "tcp reset") {
		v = "meta l4proto tcp " + v
	}
	return v
}

// nftSpecial is a match of what few rules ask for.
func (g generator) nftSpecial(hook, ip string, op func() string) string {
	a := g.plain(g.IntN(2) == 0)
	there := g.one(" exists", " missing")
	matches := []string{
		ip + " version " + op() + g.ofFamily("4", "6"), ip + " dscp " + op() + g.one("cs0", "ef", "{ cs0, cs7 }"), ip + " ecn " + op() + g.one("not-ect", "ce"),
		ip + " length " + g.one("> 65535", "< 8", "> 100", "<= 65535"), "meta length " + g.one("> 70000", "< 20", "> 100", "<= 66000"),
		"tcp option maxseg size " + g.one("< 500", "> 500", "1400-1500", "!= 100"), "tcp option maxseg" + there,
		"iifgroup " + op() + g.one("7", "default"), "iiftype " + g.one("ether", "!= ether", "!= loopback"),
		"oifgroup " + op() + g.one("7", "default"), "oiftype " + g.one("ether", "!= ether", "!= loopback"),
		"ct direction " + op() + g.one("original", "reply"), "ct zone " + op() + g.one("0", "7"), "ct helper " + op() + `"ftp"`,
		"ct " + g.one("original", "reply") + " " + ip + " " + g.one("saddr ", "daddr ") + op() + g.one(a, g.address(true)),
		"ct protocol " + op() + g.one("tcp", "udp"),
		"meta l4proto { tcp, udp } ct " + g.one("original", "reply") + " " + g.one("proto-src ", "proto-dst ") + op() + g.port(),
		ip + g.one(" saddr & ", " daddr & ") + g.maskedEqual(op(), a),
	}
	if g.six {
		matches = append(matches, "ip6 hoplimit "+g.one("< 5", "> 3", "64", "!= 3"), "exthdr "+g.one("frag", "rt", "hbh", "dst")+there, "rt type "+op()+"0", "frag more-fragments "+op()+"1")
	} else {
		matches = append(matches, "ip ttl "+g.one("< 5", "> 3", "64", "!= 3"), "ip hdrlength "+op()+"5", "ip frag-off & "+g.one("0x1fff", "0x2000", "0x3fff")+g.one(" != 0", " == 0"), "ip option "+g.one("lsrr", "rr")+there)
	}
	switch hook {
	case "forward":
		matches = append(matches, "meta ipsec"+there, "rt ipsec"+there, "meta skuid "+op()+"0", "meta skgid "+op()+"0", "meta cgroup "+op()+"1", "add @"+g.named("dyn")+" { "+ip+" saddr ct count "+g.one("", "over ")+"100 }",
			"fib daddr . iif type "+op()+"local", "fib daddr type "+op()+g.one("anycast", "{ broadcast, multicast }", "{ blackhole, unreachable, prohibit }"), "fib saddr type "+op()+g.one("anycast", "{ broadcast, multicast }"))
	case "postrouting":
		matches = append(matches, "rt ipsec"+there, "meta skuid "+op()+"0")
	}
	return pick(g.Rand, matches)
}

// maskedEqual is a mask and what an address must be under it.
func (g generator) maskedEqual(op, address string) string {
	mask := g.ofFamily(g.one("255.0.255.0", "0.0.0.255"), g.one("ffff::ffff", "::ff"))
	a, m := netip.MustParseAddr(address).AsSlice(), netip.MustParseAddr(mask).AsSlice()
	for i := range a {
		a[i] &= m[i]
	}
	b, _ := netip.AddrFromSlice(a)
	if op == "" {
		op = "== "
	}
	return mask + " " + op + b.String()
}

// nftChange is a statement that changes something and goes on, or that hangs on
// a limit.
func (g generator) nftChange(hook, ip string) string {
	writes := []string{"add @" + g.named("dyn") + " { " + ip + " saddr }", "update @" + g.named("dyn") + " { " + ip + " saddr counter }", "add @" + g.named("dyn") + " { " + ip + " saddr }", "update @" + g.named("dyn") + " { " + ip + " daddr }",
		"ip dscp set cs1", "ip6 dscp set cs1", g.one("ip", "ip6") + " ecn set ect0", "meta priority set 1:1", "tcp option maxseg size set 1400", ip + " saddr set " + ip + " saddr", g.one("ip id set 7", "ip6 flowlabel set 7"), "ether saddr set 02:00:00:00:00:01", "ether daddr set 02:00:00:00:00:02"}
	rare := []string{"add @" + g.named("dyn") + " { " + ip + " saddr limit rate over 1000/second } drop", fmt.Sprintf("meter m%d { ", g.IntN(1e6)) + ip + " saddr limit rate over 1000/second } drop", ip + " daddr set " + g.unusedAddress()}
	if hook == "prerouting" {
		rare = append(rare, ip+" saddr set "+g.unusedAddress(), "ct zone set "+ip+" saddr map { "+g.plain(true)+" : 1 }"+g.one("", " accept"))
	} else {
		writes = append(writes, ip+" saddr set "+g.unusedAddress(), ip+" saddr set "+g.plain(false), ip+" saddr set "+ip+" saddr map @"+g.named("to"), ip+" saddr set "+ip+" saddr map { "+g.plain(false)+" : "+g.unusedAddress()+" }")
	}
	ofConnection := g.one("meta mark set ct mark", "meta mark set ct mark or 0x2", "ct mark set ct mark or 0x1")
	values := []string{ofConnection, ofConnection, ofConnection, "meta mark set " + g.markMap(), "ct mark set " + g.markMap(),
		"meta priority set " + ip + " saddr map { " + g.plain(true) + " : 1:1 }", "meta mark set meta mark xor 0x1"}
	switch g.IntN(12) {
	case 0:
		return pick(g.Rand, append(rare, "add @"+g.named("full")+" { "+ip+" saddr } drop", "meta mark set meta mark or 0x80"))
	case 1, 2, 3, 4, 5:
		return pick(g.Rand, values) + g.one("", " accept", " drop")
	}
	return pick(g.Rand, writes) + g.one("", "", " accept", " drop")
}

// rising is a range from the lower to the higher address.
func rising(a, b string) string {
	if netip.MustParseAddr(b).Less(netip.MustParseAddr(a)) {
		a, b = b, a
	}
	return a + "-" + b
}

// sensible drops the "not" of "not every address", which the kernel refuses.
func sensible(match string) string {
	if strings.HasSuffix(match, "/0") {
		return strings.NewReplacer("! ", "", "!= ", "").Replace(match)
	}
	return match
}
