package netfilter_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
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
			out.nft = g.nft()
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
	fmt.Fprintf(&b, "create nets hash:net family %s\ncreate pairs hash:ip,port family %s\ncreate links hash:net,iface family %s\ncreate pool bitmap:port range 1-9000\ncreate all list:set\n", family, family, family)
	for range 3 {
		a := g.address(g.IntN(2) == 0)
		if !strings.HasSuffix(a, "/0") {
			fmt.Fprintf(&b, "add -exist nets %s%s\n", a, g.sometimes(3, " nomatch"))
			fmt.Fprintf(&b, "add -exist links %s,%s\n", a, g.one("up0", "ovn0", "lo"))
		}
		fmt.Fprintf(&b, "add -exist pairs %s,%s:%s\nadd -exist pool %s\n", g.plain(g.IntN(2) == 0), g.one("tcp", "udp"), g.port(), g.port())
	}
	b.WriteString("add all nets\n")
	return b.String()
}

// iptables is an input for iptables-restore.
func (g generator) iptables() string {
	var b strings.Builder
	for _, table := range []struct {
		name   string
		chains []string
	}{{"raw", []string{"PREROUTING"}}, {"mangle", []string{"PREROUTING", "FORWARD", "POSTROUTING"}}, {"nat", []string{"POSTROUTING"}}, {"filter", []string{"FORWARD"}}} {
		if table.name != "filter" && g.IntN(3) > 0 {
			continue
		}
		fmt.Fprintf(&b, "*%s\n", table.name)
		for _, c := range table.chains {
			policy := "ACCEPT"
			if table.name == "filter" {
				policy = g.one("ACCEPT", "DROP")
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
	switch g.IntN(9) {
	case 0, 1:
		words = append(words, "-m conntrack "+not()+"--ctstate "+g.one("NEW", "ESTABLISHED,RELATED", "INVALID", "INVALID,NEW", "UNTRACKED"))
	case 2:
		words = append(words, "-m state --state "+g.one("NEW", "INVALID", "RELATED,ESTABLISHED"))
	case 3:
		words = append(words, "-m mark "+not()+"--mark "+g.one("0x1/0x1", "0x0/0x3", "0x2/0x2", "0x1"))
	case 4:
		words = append(words, "-m set "+not()+"--match-set "+g.one("nets src", "nets dst", "pairs src,dst", "pairs dst,dst", "all src", "links src,src", "pool dst"))
	case 5:
		words = append(words, "-m iprange "+not()+g.one("--src-range "+g.plain(true)+"-"+g.plain(true), "--dst-range "+g.ordered()))
	case 6:
		words = append(words, "-m addrtype "+not()+g.one("--src-type LOCAL", "--dst-type UNICAST", "--dst-type LOCAL,MULTICAST"))
	case 7:
		words = append(words, "-m connmark "+not()+"--mark 0x1/0x1", "-m pkttype --pkt-type unicast")
	}
	for i, w := range words { // a range must not run backwards
		if from, to, ok := strings.Cut(w, "--src-range "); ok {
			a, b, _ := strings.Cut(to, "-")
			words[i] = from + "--src-range " + rising(a, b)
		}
	}
	return strings.Join(append(words, "-m comment --comment \"a \\\"b\\\" c\"", g.iptablesTarget(table, chain, depth)), " ")
}

func (g generator) ordered() string { return rising(g.plain(false), g.plain(false)) }

func (g generator) iptablesTarget(table, chain string, depth int) string {
	if depth < 3 && g.IntN(3) == 0 {
		return g.one("-j C", "-g C") + fmt.Sprint(depth+1+g.IntN(3-depth))
	}
	switch table {
	case "raw":
		return g.one("-j DROP", "-j CT --notrack", "-j CT --notrack", "-j MARK --set-mark 1", "-j RETURN", "-j ACCEPT")
	case "mangle":
		return g.one("-j DROP", "-j MARK --set-xmark 0x1/0x1", "-j MARK --or-mark 0x2", "-j MARK --and-mark 0x1", "-j CONNMARK --save-mark", "-j CONNMARK --set-mark 1", "-j CONNMARK --restore-mark", "-j RETURN", "-j ACCEPT")
	case "nat":
		to := "10.2.0.99"
		if g.six {
			to = "fd02::99"
		}
		return g.one("-j SNAT --to-source "+to, "-j MASQUERADE", "-j RETURN", "-j ACCEPT", "")
	}
	return g.one("-j DROP", "-j ACCEPT", "-j ACCEPT", "-j REJECT", "-j RETURN", "-j LOG", "")
}

// nft is an input for nft: one table.
func (g generator) nft() string {
	kind := "ipv4_addr"
	if g.six {
		kind = "ipv6_addr"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "table inet t1 {\n set nets { type %s; flags interval; auto-merge; elements = { %s, %s } }\n", kind, g.address(true), g.address(false))
	fmt.Fprintf(&b, " set pairs { type %s . inet_service; elements = { %s . %s, %s . %s } }\n", kind, g.plain(false), "22", g.plain(false), "443")
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
		if g.IntN(4) == 0 {
			policy = "drop"
		}
		fmt.Fprintf(&b, " chain B%d {\n  type filter hook %s priority %s; policy %s;\n", i, hook, g.one("-310", "-150", "-10", "0", "10"), policy)
		for range 1 + g.IntN(6) {
			fmt.Fprintf(&b, "  %s\n", g.nftRule(hook, 0))
		}
		b.WriteString(" }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

func (g generator) nftRule(hook string, depth int) string {
	ip, icmp, request := "ip", "icmp", "8"
	if g.six {
		ip, icmp, request = "ip6", "icmpv6", "128"
	}
	op := func() string { return g.sometimes(4, "!= ") }
	var words []string
	if g.IntN(3) == 0 {
		words = append(words, ip+" saddr "+op()+g.one(g.address(true), "@nets", "{ "+g.plain(true)+", "+g.address(true)+" }"))
	}
	if g.IntN(3) == 0 {
		words = append(words, ip+" daddr "+op()+g.one(g.address(false), "@nets", g.ordered()))
	}
	if g.IntN(5) == 0 {
		words = append(words, g.one("iifname ", "iif ", "oifname ")+op()+g.one(`"up0"`, `"ovn0"`))
	}
	switch g.IntN(12) {
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
		words = append(words, ip+" daddr . tcp dport "+op()+g.one("@pairs", "{ "+g.plain(false)+" . 80, "+g.plain(false)+" . 1024 }"))
	case 6:
		if hook == "postrouting" {
			break
		}
		words = append(words, "fib daddr type "+op()+g.one("local", "unicast"))
	case 7:
		if len(words) > 0 {
			break // nft's listing drops this question before a TCP reset, and contradictions are nobody's rules
		}
		words = append(words, "meta nfproto "+op()+g.one("ipv4", "ipv6"))
	case 8:
		if ip == "ip" {
			words = append(words, "ip protocol "+op()+g.one("tcp", "{ udp, icmp }"))
		}
	case 9:
		words = append(words, "meta l4proto { tcp, udp } th dport "+g.port())
	}
	switch g.IntN(6) {
	case 0, 1:
		words = append(words, "ct state "+g.one("new", "established,related", "invalid", "{ new, invalid }", "!= new", "untracked"))
	case 2:
		words = append(words, "meta mark "+op()+g.one("0x1", "& 0x1 == 0x1", "0x2"))
	case 3:
		words = append(words, "ct mark "+g.one("0x1", "!= 0x1"))
	}
	for i, w := range words {
		words[i] = sensible(strings.Replace(w, "!= & ", "& ", 1))
	}
	return strings.Join(append(words, g.nftVerdict(hook, depth)), " ")
}

func (g generator) nftVerdict(hook string, depth int) string {
	options := []string{"drop", "accept", "accept", "return", "counter", "meta mark set 0x1", "meta mark set meta mark or 0x2", "log", "counter accept comment \"a b\"",
		"ct state vmap { invalid : drop, established : accept }", "meta l4proto vmap { tcp : accept, udp : continue }", "ct mark set meta mark"}
	if hook == "forward" {
		options = append(options, "reject", "reject with tcp reset")
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
	v := pick(g.Rand, options)
	if strings.HasSuffix(v, "tcp reset") {
		v = "meta l4proto tcp " + v
	}
	return v
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
