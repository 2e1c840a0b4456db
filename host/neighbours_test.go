package host_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// TestNeighboursAreLostWhereTheCheckSaysSo has rules for packets to and from the node
// itself, and lets the kernels at both ends of the uplink look for each other.
func TestNeighboursAreLostWhereTheCheckSaysSo(t *testing.T) {
	needs.Root(t, "ip", "iptables-legacy", "iptables-nft", "nft", "ipset", "ping")
	v6 := func(rules string) func(*hosttest.Space) {
		return with("ip6tables-nft-restore", "*filter\n"+rules+"COMMIT\n")
	}
	nft := func(text string) func(*hosttest.Space) { return with("nft -f -", text) }
	const ufw = ":INPUT DROP [0:0]\n-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT\n-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -m hl --hl-eq 255 -j ACCEPT\n"
	cases := []struct {
		name    string
		install func(*hosttest.Space)
		// four and six are what is said of each family; unknown says nothing of the
		// kernel's.
		four, six host.State
	}{
		{"nothing", func(*hosttest.Space) {}, host.OK, host.OK},
		{"IPv6's INPUT drops", v6(":INPUT DROP [0:0]\n"), host.OK, host.Wrong},
		{"IPv6's INPUT drops, legacy", with("ip6tables-legacy-restore", "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"), host.OK, host.Wrong},
		{"IPv6's INPUT drops, and lets what is established in", v6(":INPUT DROP [0:0]\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"), host.OK, host.Wrong},
		{"IPv6's INPUT drops all but ICMPv6", v6(":INPUT DROP [0:0]\n-A INPUT -p ipv6-icmp -j ACCEPT\n"), host.OK, host.OK},
		{"ufw's INPUT", v6(ufw), host.OK, host.OK},
		{"ufw's INPUT without advertisements", v6(strings.ReplaceAll(ufw, "136", "137")), host.OK, host.Wrong},
		{"IPv6's INPUT drops INVALID", v6("-A INPUT -m conntrack --ctstate INVALID -j DROP\n"), host.OK, host.OK},
		{"IPv6's INPUT drops another hop limit", v6("-A INPUT -p ipv6-icmp -m hl --hl-lt 255 -j DROP\n"), host.OK, host.OK},
		{"IPv6's INPUT drops multicast", v6("-A INPUT -m pkttype --pkt-type multicast -j DROP\n"), host.OK, host.Wrong},
		{"IPv6's INPUT takes so many ICMPv6 packets", v6(":INPUT DROP [0:0]\n-A INPUT -p ipv6-icmp -m limit --limit 900/min -j ACCEPT\n"), host.OK, host.Unknown},
		{"IPv6's OUTPUT lets echoes out alone", v6(":OUTPUT DROP [0:0]\n-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT\n"), host.OK, host.Wrong},
		{"IPv6's OUTPUT drops, in another link", v6("-A OUTPUT -o other0 -j DROP\n"), host.OK, host.OK},
		{"IPv4's INPUT and OUTPUT drop", with("iptables-nft-restore", "*filter\n:INPUT DROP [0:0]\n:OUTPUT DROP [0:0]\n-A OUTPUT -p icmp -j ACCEPT\nCOMMIT\n"), host.OK, host.OK},
		{"nft's input of both families drops", nft("table inet f {\n chain i { type filter hook input priority 0; policy drop;\n ct state established accept\n }\n}\n"), host.OK, host.Wrong},
		{"nft's input of both families drops, and takes neighbour discovery", nft("table inet f {\n chain i { type filter hook input priority 0; policy drop;\n ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept\n }\n}\n"), host.OK, host.OK},
		{"a raw chain of nft's drops what is not tracked", nft("table inet f {\n chain o { type filter hook output priority 0;\n ct state untracked drop\n }\n}\n"), host.OK, host.Wrong},
		{"ARP is dropped", nft("table arp f {\n chain i { type filter hook input priority 0;\n iifname \"up0\" drop\n }\n}\n"), host.Wrong, host.OK},
		{"ARP is dropped on the way out", nft("table arp f {\n chain o { type filter hook output priority 0; policy drop;\n }\n}\n"), host.Wrong, host.OK},
		{"ARP is dropped on another link", nft("table arp f {\n chain i { type filter hook input priority 0;\n iifname \"other0\" drop\n }\n}\n"), host.OK, host.OK},
		{"requests of ARP are dropped", nft("table arp f {\n chain i { type filter hook input priority 0;\n arp operation request drop\n }\n}\n"), host.Unknown, host.OK},
		{"all but IP is dropped at the link", nft("table netdev f {\n chain i { type filter hook ingress device \"up0\" priority 0; policy drop;\n meta protocol ip accept\n meta protocol ip6 accept\n }\n}\n"), host.Wrong, host.OK},
		{"all but TCP of IPv6 is dropped at the link", nft("table netdev f {\n chain i { type filter hook ingress device \"up0\" priority 0;\n ip6 nexthdr != tcp drop\n }\n}\n"), host.OK, host.Wrong},
		{"an address is dropped at the link", nft("table netdev f {\n chain i { type filter hook ingress device \"up0\" priority 0;\n ip saddr 203.0.113.0/24 drop\n ip6 saddr 2001:db8::/32 drop\n }\n}\n"), host.OK, host.OK},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n, far := nodeAndFar(t)
			far.Sh("ip addr add 172.30.0.1/24 dev x0; ip -6 addr add fd00:30::1/64 dev x0 nodad")
			for space, link := range map[*hosttest.Space]string{n: "up0", far: "x0"} {
				space.Sysctl("net.ipv6.neigh."+link+".retrans_time_ms", "100")
				space.Sysctl("net.ipv4.neigh."+link+".retrans_time_ms", "100")
			}
			c.install(n)
			findings := host.Check(read(n), want46(cidr4, cidr6))
			for family, ends := range map[string][2]string{"IPv4": {"172.30.0.1", "172.30.0.11"}, "IPv6": {"fd00:30::1", "fd00:30::11"}} {
				want := map[string]host.State{"IPv4": c.four, "IPv6": c.six}[family]
				found := of(t, findings, "neighbours", family)
				if found.State != want || found.State != host.OK && found.Fix == "" {
					t.Errorf("%s: want %s, got %s: %s; fix %s", family, want, found.State, found.Text(), found.Fix)
				}
				if cidr := map[string]string{"IPv4": cidr4, "IPv6": cidr6}[family]; found.Loses(netip.MustParsePrefix(cidr)) != (want == host.Wrong) {
					t.Errorf("%s: it withholds %s: %v", family, cidr, !(want == host.Wrong))
				}
				reached := finds(t, n, ends[0], "up0") && finds(t, far, ends[1], "x0")
				if want != host.Unknown && reached != (want == host.OK) {
					t.Errorf("%s: it is %s, and the neighbours find each other: %v", family, found.State, reached)
				}
			}
		})
	}
}

// of is the finding of a check about a subject.
func of(t *testing.T, findings []host.Finding, check, subject string) host.Finding {
	t.Helper()
	for _, f := range findings {
		if f.Check == check && f.Subject == subject {
			return f
		}
	}
	t.Fatalf("no finding of %s about %s", check, subject)
	return host.Finding{}
}

// finds reports whether a kernel gets to know the link address of a neighbour.
func finds(t *testing.T, s *hosttest.Space, address, link string) bool {
	t.Helper()
	s.Sh("ip neigh flush all; timeout 0.2 ping -c 1 " + address + " >/dev/null 2>&1 || true")
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		switch entry := s.Run("ip", "neigh", "show", address, "dev", link); {
		case strings.Contains(entry, "lladdr"):
			return true
		case strings.Contains(entry, "FAILED"):
			return false
		}
		time.Sleep(20 * time.Millisecond) // the deadline bounds it
	}
	t.Fatalf("the search for %s does not end", address)
	return false
}
