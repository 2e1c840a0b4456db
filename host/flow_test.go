package host_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// ofFamily makes rules for IPv4 ones for the family: "" or "6".
func ofFamily(six, rules string) string {
	if six == "" {
		return rules
	}
	return strings.NewReplacer("ip saddr", "ip6 saddr", "ip daddr", "ip6 daddr", "table ip ", "table ip6 ", cidr4, cidr6, "10.166.7.0/29", "fd00:166::7:0/120", "10.166.7.9/32", "fd00:166::7:9/128",
		"family inet", "family inet6", "-p icmp -m icmp --icmp-type 8", "-p ipv6-icmp -m icmp6 --icmpv6-type 128", "ovn40", "ovn60", "ipv4_addr", "ipv6_addr").Replace(rules)
}

// TestTheWholeLifeOfAFlowIsAskedAbout has rules that let connections begin, and then
// drop what a node calls NEW in the middle of one, or one kind of packets.
func TestTheWholeLifeOfAFlowIsAskedAbout(t *testing.T) {
	restore := func(backend, table, rules string) func(string) func(*hosttest.Space) {
		return func(six string) func(*hosttest.Space) {
			return with("ip"+six+"tables-"+backend+"-restore", "*"+table+"\n"+ofFamily(six, rules)+"COMMIT\n")
		}
	}
	nft := func(text string) func(string) func(*hosttest.Space) {
		return func(six string) func(*hosttest.Space) { return with("nft -f -", ofFamily(six, text)) }
	}
	const newNotSyn = "-A FORWARD -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP\n"
	cases := []struct {
		name    string
		install func(six string) func(*hosttest.Space)
		// symmetric and asymmetric are check, and part of the CIDR's traffic, of what is
		// then not ok.
		symmetric, asymmetric []string
	}{
		{"what is NEW without SYN, legacy", restore("legacy", "filter", newNotSyn), nil, []string{"forward-drop"}},
		{"what is NEW without SYN, nft", restore("nft", "filter", newNotSyn), nil, []string{"forward-drop"}},
		{"what is NEW without SYN, before routing", restore("nft", "mangle", strings.ReplaceAll(newNotSyn, "FORWARD", "PREROUTING")), nil, []string{"forward-drop"}},
		{"what is NEW without SYN, behind jumps", restore("nft", "filter", ":A - [0:0]\n:B - [0:0]\n-A FORWARD -p tcp -j A\n-A A -m conntrack --ctstate NEW -j B\n-A B -p tcp -m tcp --syn -j RETURN\n-A B -j DROP\n"), nil, []string{"forward-drop"}},
		{"what is NEW without SYN, nftables", nft("table inet f {\n chain p { type filter hook prerouting priority -150;\n tcp flags & (fin|syn|rst|ack) != syn ct state new drop\n }\n}\n"), nil, []string{"forward-drop"}},
		{"only SYNs are accepted as NEW", restore("nft", "filter", ":FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED,INVALID -j ACCEPT\n-A FORWARD -p tcp -m tcp --syn -m conntrack --ctstate NEW -j ACCEPT\n-A FORWARD ! -p tcp -j ACCEPT\n"), nil, []string{"forward-drop"}},
		{"only SYNs are accepted as NEW, nftables", nft("table inet f {\n chain f { type filter hook forward priority 0; policy drop;\n ct state { established, related, invalid } accept\n meta l4proto != tcp accept\n tcp flags & (fin|syn|rst|ack) == syn accept\n }\n}\n"), nil, []string{"forward-drop"}},
		{"Kube-OVN's drop for centralized NAT", func(six string) func(*hosttest.Space) {
			return func(s *hosttest.Space) {
				s.RunWith(ofFamily(six, "create ovn40subnets hash:net family inet\nadd ovn40subnets "+cidr4+"\n"), "ipset", "restore")
				restore("nft", "mangle", ":OVN-POSTROUTING - [0:0]\n-A POSTROUTING -j OVN-POSTROUTING\n-A OVN-POSTROUTING -s "+cidr4+" -p tcp -m tcp --tcp-flags SYN NONE -m conntrack --ctstate NEW -m set ! --match-set ovn40subnets dst -j DROP\n")(six)(s)
			}
		}, nil, []string{"forward-drop"}},
		{"all but SYNs are masqueraded", restore("nft", "nat", "-A POSTROUTING -p tcp -m tcp --syn -j RETURN\n-A POSTROUTING -p tcp -j MASQUERADE\n"), nil, []string{"masquerade"}},
		{"no SYN is masqueraded", restore("nft", "nat", "-A POSTROUTING -p tcp -m tcp --tcp-flags SYN NONE -j RETURN\n-A POSTROUTING -p tcp -j MASQUERADE\n"), []string{"masquerade"}, []string{"masquerade"}},
		{"data", restore("nft", "filter", "-A FORWARD -p tcp -m tcp --tcp-flags PSH,ACK PSH,ACK -j DROP\n"), []string{"forward-drop"}, []string{"forward-drop", "invalid-drop"}},
		{"data, nftables", nft("table inet f {\n chain f { type filter hook forward priority 0;\n tcp flags & psh == psh drop\n }\n}\n"), []string{"forward-drop"}, []string{"forward-drop", "invalid-drop"}},
		{"an ACK alone", restore("legacy", "filter", "-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG ACK -j DROP\n"), []string{"forward-drop"}, []string{"forward-drop", "invalid-drop"}},
		{"the end", restore("nft", "filter", "-A FORWARD -p tcp -m tcp --tcp-flags FIN FIN -j DROP\n"), []string{"forward-drop"}, []string{"forward-drop", "invalid-drop"}},
		{"refusals", restore("nft", "filter", "-A FORWARD -p tcp -m tcp --tcp-flags RST RST -j DROP\n"), []string{"forward-drop RST"}, []string{"forward-drop RST", "invalid-drop RST"}},
		{"data that is INVALID", restore("nft", "filter", "-A FORWARD -p tcp -m tcp --tcp-flags SYN,ACK ACK -m conntrack --ctstate INVALID -j DROP\n"), nil, []string{"invalid-drop"}},
		{"what scans ports", restore("nft", "filter", "-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j DROP\n-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j DROP\n-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN,RST -j DROP\n-A FORWARD -p tcp -m tcp --tcp-flags ACK,FIN FIN -j DROP\n"), nil, nil},
		{"INVALID before routing, where nothing is tracked", restore("nft", "raw", "-A PREROUTING -p tcp -j CT --notrack\n"), nil, nil},
	}
	for _, c := range cases {
		for _, six := range []string{"", "6"} {
			t.Run(c.name+", IPv"+familyOf(six), func(t *testing.T) {
				n := node(t)
				c.install(six)(n)
				facts := read(n)
				for asymmetric, of := range map[bool][]string{false: c.symmetric, true: c.asymmetric} {
					w := want46(cidr4, cidr6)
					w.Networks[0].Asymmetric, w.Networks[1].Asymmetric = asymmetric, asymmetric
					if want, got := subjects(six, of), notOK(host.Check(facts, w)); !slices.Equal(got, want) && !isBoth(c.name, got, want) {
						t.Errorf("asymmetric %v: want %q, got %q", asymmetric, want, got)
					}
				}
			})
		}
	}
}

// isBoth is whether rules of family inet concern both CIDRs alike.
func isBoth(name string, got, want []string) bool {
	return strings.HasSuffix(name, "nftables") && len(got) == 2*len(want)
}

// subjects puts the CIDR of a family into checks: "forward-drop RST" becomes
// "forward-drop 10.166.0.0/16 RST".
func subjects(six string, of []string) []string {
	var out []string
	for _, w := range of {
		check, part, _ := strings.Cut(w, " ")
		out = append(out, strings.TrimSpace(check+" "+map[string]string{"": cidr4, "6": cidr6}[six]+" "+part))
	}
	return out
}

// TestAStrictTrackerCallsTheMiddleOfAFlowInvalid: with nf_conntrack_tcp_loose=0 nothing
// is NEW without SYN, and where that cannot be read both may be.
func TestAStrictTrackerCallsTheMiddleOfAFlowInvalid(t *testing.T) {
	n := node(t)
	for _, six := range []string{"", "6"} {
		with("ip"+six+"tables-nft-restore", "*filter\n-A FORWARD -p tcp -m tcp ! --syn -m conntrack --ctstate NEW -j DROP\nCOMMIT\n")(n)
	}
	n.Sysctl("net.netfilter.nf_conntrack_tcp_loose", "0")
	facts := read(n)
	if got := notOK(host.Check(facts, want46(cidr4, cidr6))); got != nil {
		t.Errorf("not ok: %q", got)
	}
	facts.Sysctls["net/netfilter/nf_conntrack_tcp_loose"] = host.Setting{Err: errors.New("not permitted")}
	if got := notOK(host.Check(facts, want46(cidr4, cidr6))); !slices.Equal(got, []string{"forward-drop " + cidr4, "forward-drop " + cidr6}) {
		t.Errorf("unreadable: %q", got)
	}
}

// TestASmallPartOfACIDRIsAFindingOfItsOwn: who shuts out a few addresses means these.
func TestASmallPartOfACIDRIsAFindingOfItsOwn(t *testing.T) {
	cases := []struct {
		name, rules string
		// part is what is then lost of the CIDR, and nothing where all is.
		part4, part6 string
	}{
		{"one address", "-A FORWARD -d 10.166.7.9/32 -j DROP\n", "part 10.166.7.9/32", "part fd00:166::7:9/128"},
		{"a few addresses", "-A FORWARD -d 10.166.7.0/29 -j DROP\n", "part 10.166.7.0/29", "part fd00:166::7:0/120"},
		{"a quarter of the addresses", "-A FORWARD -s QUARTER -j DROP\n", "", ""},
		{"a sixteenth, in two rules", "-A FORWARD -s THIRTYSECOND1 -j DROP\n-A FORWARD -s THIRTYSECOND2 -j DROP\n", "", ""},
		{"one address that a limit decides about", "-A FORWARD -d 10.166.7.9/32 -m limit --limit 5/sec -j DROP\n", "part 10.166.7.9/32", "part fd00:166::7:9/128"},
		{"a quarter that a limit decides about", "-A FORWARD -d QUARTER -m limit --limit 5/sec -j DROP\n", "", ""},
	}
	for _, c := range cases {
		for _, six := range []string{"", "6"} {
			t.Run(c.name+", IPv"+familyOf(six), func(t *testing.T) {
				n := node(t)
				quarters := strings.NewReplacer("QUARTER", "10.166.64.0/18", "THIRTYSECOND1", "10.166.0.0/21", "THIRTYSECOND2", "10.166.128.0/21")
				cidr, part := cidr4, c.part4
				if six != "" {
					quarters = strings.NewReplacer("QUARTER", "fd00:166:0:0:4000::/66", "THIRTYSECOND1", "fd00:166::/69", "THIRTYSECOND2", "fd00:166:0:0:8000::/69")
					cidr, part = cidr6, c.part6
				}
				with("ip"+six+"tables-nft-restore", "*filter\n"+quarters.Replace(ofFamily(six, c.rules))+"COMMIT\n")(n)
				w := want46(cidr4, cidr6)
				w.Networks[0].Asymmetric, w.Networks[1].Asymmetric = false, false
				findings := host.Check(read(n), w)
				if got, want := notOK(findings), strings.TrimSpace("forward-drop "+cidr+" "+part); !slices.Equal(got, []string{want}) {
					t.Errorf("want %q, got %q", want, got)
				}
				for _, f := range findings {
					if f.State == host.Wrong && f.Drops() != (part == "") {
						t.Errorf("%s %s: it withholds: %v", f.Check, f.Subject, f.Drops())
					}
					if f.State != host.OK && f.Fix == "" {
						t.Errorf("%s %s: no fix", f.Check, f.Subject)
					}
				}
			})
		}
	}
}

// TestASmallPartIsMeasuredAgainstTheCIDR: sixteen addresses are a small part of a /16,
// and all of a /28.
func TestASmallPartIsMeasuredAgainstTheCIDR(t *testing.T) {
	f := behind(t, forwardHead+"-A FORWARD -m set --match-set banned dst -j DROP\nCOMMIT\n", "create banned hash:ip\n"+many(16, "add banned ADDRESS\n"))
	for cidr, whole := range map[string]bool{"10.166.0.0/16": false, "10.166.0.0/23": false, "10.166.0.0/24": true, "10.166.0.0/28": true} {
		w := symmetric()
		w.Networks[0].Prefix = netip.MustParsePrefix(cidr)
		f.Datapath.Routes[w.Networks[0].Prefix] = f.Datapath.Routes[netip.MustParsePrefix(cidr4)]
		found := find(t, host.Check(f, w), "forward-drop")
		if found.State != host.Wrong || found.Drops() != whole {
			t.Errorf("of %s: %+v", cidr, found)
		}
	}
}

// TestErrorsThatSayHowLargePacketsMayBeAreAskedAbout: hardening that lets echoes pass and
// no other ICMP loses them, and with them every transfer.
func TestErrorsThatSayHowLargePacketsMayBeAreAskedAbout(t *testing.T) {
	echoOnly := map[string]string{
		"":  "-A FORWARD -p icmp -m icmp --icmp-type 8 -j ACCEPT\n-A FORWARD -p icmp -m icmp --icmp-type 0 -j ACCEPT\n-A FORWARD -p icmp -j DROP\n",
		"6": "-A FORWARD -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT\n-A FORWARD -p ipv6-icmp -m icmp6 --icmpv6-type 129 -j ACCEPT\n-A FORWARD -p ipv6-icmp -j DROP\n",
	}
	own := map[string]string{"": "-A OUTPUT -p icmp -m icmp --icmp-type 3/4 -j DROP\n", "6": "-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 2 -j DROP\n"}
	cases := []struct {
		name       string
		rules      func(six string) string
		mtu        string // of the overlay link
		symmetric  bool   // whether they are lost where returns are symmetric
		asymmetric bool
	}{
		{"echoes alone pass", func(six string) string { return echoOnly[six] }, "1500", true, true},
		{"echoes alone pass, and what is related", func(six string) string {
			return "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n" + echoOnly[six]
		}, "1500", false, true},
		{"what this node sends is dropped", func(six string) string { return own[six] }, "1400", true, true},
		{"what this node has no cause to send is dropped", func(six string) string { return own[six] }, "1500", false, false},
		{"the end of a time is dropped", func(six string) string {
			return map[string]string{"": "-A FORWARD -p icmp -m icmp --icmp-type 11 -j DROP\n", "6": "-A FORWARD -p ipv6-icmp -m icmp6 --icmpv6-type 3 -j DROP\n"}[six]
		}, "1400", false, false},
	}
	for _, c := range cases {
		for _, six := range []string{"", "6"} {
			t.Run(c.name+", IPv"+familyOf(six), func(t *testing.T) {
				n := node(t)
				n.Sh("ip link set ovn0 mtu " + c.mtu)
				with("ip"+six+"tables-nft-restore", "*filter\n"+c.rules(six)+"COMMIT\n")(n)
				facts := read(n)
				for asymmetric, lost := range map[bool]bool{false: c.symmetric, true: c.asymmetric} {
					w := want46(cidr4, cidr6)
					w.Networks[0].Asymmetric, w.Networks[1].Asymmetric = asymmetric, asymmetric
					findings := host.Check(facts, w)
					var got, want []string
					for _, f := range findings {
						if f.About.Part == "path MTU" && f.State != host.OK {
							got = append(got, f.Subject)
						}
						if f.Drops() {
							t.Errorf("asymmetric %v: %s %s withholds: %s", asymmetric, f.Check, f.Subject, f.Got)
						}
					}
					if lost {
						want = []string{map[string]string{"": cidr4, "6": cidr6}[six] + " path MTU"}
					}
					if !slices.Equal(got, want) {
						t.Errorf("asymmetric %v: want %q, got %q", asymmetric, want, got)
					}
				}
			})
		}
	}
}

// TestATraceShowsTheMiddleOfAFlow: what a finding names, the trace shows.
func TestATraceShowsTheMiddleOfAFlow(t *testing.T) {
	f := behind(t, forwardHead+"-A FORWARD -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP\nCOMMIT\n", "")
	var text strings.Builder
	src, dst := netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("10.166.0.10")
	if got := f.TraceFlow(&text, src, dst); got != host.Wrong || !strings.Contains(text.String(), "tcp 47613>21879 ACK, conntrack new") {
		t.Errorf("%s:\n%s", got, text.String())
	}
	text.Reset()
	f = behind(t, forwardHead+"COMMIT\n", "")
	if got := f.TraceFlow(&text, src, dst); got != host.OK || strings.Count(text.String(), "FORWARDED") > 5 {
		t.Errorf("%s:\n%s", got, text.String())
	}
}
