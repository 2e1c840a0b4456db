package host_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

const cidr4, cidr6 = "10.166.0.0/16", "fd00:166::/64"

// node is a namespace like a node's.
func node(t testing.TB) *hosttest.Space {
	t.Helper()
	n, _ := nodeAndFar(t)
	return n
}

// nodeAndFar is a node, and what is at the other ends of its links.
func nodeAndFar(t testing.TB) (node, elsewhere *hosttest.Space) {
	t.Helper()
	needs.Root(t, "ip", "iptables-legacy", "iptables-nft", "nft", "ipset")
	return hosttest.NewNodeAndFar(t)
}

// towards gives the node a second uplink, up1, with a route to a network.
func towards(network string, install func(*hosttest.Space)) func(*hosttest.Space) {
	return func(s *hosttest.Space) {
		s.Sh(`ip link add up1 type veth peer name x2; ip link set x2 up; ip link set up1 up; ip addr add 172.31.0.11/24 dev up1
ip route replace ` + network)
		s.Sysctl("net.ipv4.conf.up1.rp_filter", "0")
		install(s)
	}
}

// want4 is one asymmetric IPv4 network.
func want4() host.Want {
	return host.Want{Overlay: "ovn0", Peers: []netip.Addr{netip.MustParseAddr("172.30.0.1")},
		Networks: []host.Network{{Prefix: netip.MustParsePrefix(cidr4), Subnet: "routed", Asymmetric: true}}}
}

func want6() host.Want {
	w := want4()
	w.Networks[0].Prefix = netip.MustParsePrefix(cidr6)
	return w
}

// read is host.Read in a namespace for what tests want most, readFor for a Want. What
// runs elsewhere on this machine is left out.
func read(s *hosttest.Space) host.Facts {
	w := want46(cidr4, cidr6)
	w.Peers = w.Peers[:1]
	return readFor(s, w)
}

func readFor(s *hosttest.Space, w host.Want) host.Facts {
	var f host.Facts
	s.Do(func() error { f = host.Read(context.Background(), w); return nil })
	f.Processes = host.Processes{}
	return f
}

func states(findings []host.Finding) map[string]host.State {
	out := map[string]host.State{}
	for _, f := range findings {
		if have, ok := out[f.Check]; !ok || host.Worst([]host.Finding{{State: have}, f}) == f.State {
			out[f.Check] = f.State
		}
	}
	return out
}

// find gives the worst finding of a check.
func find(t *testing.T, findings []host.Finding, check string) host.Finding {
	t.Helper()
	var worst host.Finding
	for _, f := range findings {
		if f.Check == check && (worst.Check == "" || host.Worst([]host.Finding{worst, f}) == f.State && worst.State != f.State) {
			worst = f
		}
	}
	if worst.Check == "" {
		t.Fatalf("no finding of %s in %v", check, findings)
	}
	return worst
}

// TestChecksAgainstRealRuleSets puts on a node what other programs put there.
func TestChecksAgainstRealRuleSets(t *testing.T) {
	cases := []struct {
		name    string
		install func(*hosttest.Space)
		want    host.Want
		// wrong has, by check that is not ok, its state and a part of got.
		wrong map[string]string
		// fixable is whether Fairway's own accept is offered.
		fixable bool
	}{
		{"a plain node", func(*hosttest.Space) {}, want4(), nil, false},
		{"a plain node, IPv6", func(*hosttest.Space) {}, want6(), nil, false},
		{"docker, legacy", with("iptables-legacy-restore", dockerRules), want4(),
			map[string]string{"forward-drop": "wrong iptables-legacy filter FORWARD: policy DROP", "invalid-drop": "wrong iptables-legacy filter FORWARD: policy DROP"}, true},
		{"docker, nft", with("iptables-nft-restore", dockerRules), want4(),
			map[string]string{"forward-drop": "wrong iptables-nft filter FORWARD: policy DROP", "invalid-drop": "wrong policy DROP"}, true},
		{"docker and kube-ovn in one backend", func(s *hosttest.Space) {
			s.RunWith(kubeOVNSets, "ipset", "restore")
			s.RunWith(dockerRules, "iptables-nft-restore", "-n")
			s.RunWith(kubeOVNRules, "iptables-nft-restore", "-n")
		}, want4(), map[string]string{"invalid-drop": "wrong iptables-nft mangle OVN-POSTROUTING rule 1: -A OVN-POSTROUTING -p tcp"}, true},
		{"docker and kube-ovn in two backends", func(s *hosttest.Space) {
			s.RunWith(kubeOVNSets, "ipset", "restore")
			s.RunWith(dockerRules, "iptables-legacy-restore", "-n")
			s.RunWith(kubeOVNRules, "iptables-nft-restore", "-n")
		}, want4(), map[string]string{"forward-drop": "wrong iptables-legacy filter FORWARD: policy DROP", "invalid-drop": "wrong iptables-legacy filter FORWARD: policy DROP"}, true},
		{"kube-ovn with the subnet among the NATed", func(s *hosttest.Space) {
			s.RunWith(kubeOVNSets+"add ovn40subnets-nat 10.166.0.0/16\n", "ipset", "restore")
			s.RunWith(kubeOVNRules, "iptables-nft-restore", "-n")
		}, want4(), map[string]string{"masquerade": "wrong iptables-nft nat OVN-MASQUERADE", "invalid-drop": "wrong OVN-POSTROUTING"}, true},
		{"kube-proxy", with("iptables-nft-restore", kubeProxyPlain), want4(),
			map[string]string{"forward-drop": "wrong KUBE-FORWARD rule 1", "invalid-drop": "wrong iptables-nft filter KUBE-FORWARD rule 1: -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP", "conntrack": "wrong nf_conntrack_tcp_be_liberal=0"}, true},
		{"kube-proxy and be_liberal set too late", func(s *hosttest.Space) {
			s.RunWith(kubeProxyPlain, "iptables-legacy-restore")
			s.Sysctl("net.netfilter.nf_conntrack_tcp_be_liberal", "1")
		}, want4(), map[string]string{"forward-drop": "wrong KUBE-FORWARD rule 1", "invalid-drop": "wrong iptables-legacy filter KUBE-FORWARD rule 1", "conntrack": "wrong =1 now, but was not when kube-proxy started"}, true},
		{"kube-proxy and a symmetric subnet", with("iptables-nft-restore", kubeProxyPlain), symmetric(), nil, false},
		{"ufw", with("iptables-nft-restore", ufwRules), want4(),
			map[string]string{"forward-drop": "wrong iptables-nft filter FORWARD: policy DROP", "invalid-drop": "wrong policy DROP"}, true},
		{"ufw, IPv6", with("ip6tables-nft-restore", strings.NewReplacer("-p icmp -m icmp --icmp-type 8", "-p ipv6-icmp -m icmp6 --icmpv6-type 128").Replace(ufwRules)), want6(),
			map[string]string{"forward-drop": "wrong ip6tables-nft filter FORWARD: policy DROP", "invalid-drop": "wrong policy DROP"}, true},
		{"ufw, and the other family is asked about", with("ip6tables-legacy-restore", strings.Replace(ufwRules, "-p icmp -m icmp --icmp-type 8", "-p tcp", 1)), want4(), nil, false},
		{"firewalld", with("nft -f -", fmt.Sprintf(firewalldRules, "")), want4(),
			map[string]string{"forward-drop": "wrong nft inet firewalld filter_FWD_public rule 2: reject with icmpx admin-prohibited", "invalid-drop": "wrong nft inet firewalld filter_FORWARD rule 4: ct state invalid drop"}, false},
		{"firewalld that allows the subnet, IPv6", with("nft -f -", fmt.Sprintf(firewalldRules, "ip6 daddr fd00:166::/64 accept; ip6 saddr fd00:166::/64 accept")), want6(),
			map[string]string{"forward-drop": "wrong ct state invalid drop", "invalid-drop": "wrong ct state invalid drop"}, false},
		{"a rule for a part of the subnet", with("nft -f -", "table ip f {\n chain fw { type filter hook forward priority 0; policy accept;\n ip daddr 10.166.7.0/24 drop\n }\n}\n"), want4(),
			map[string]string{"forward-drop": "wrong ip daddr 10.166.7.0/24 drop", "invalid-drop": "wrong ip daddr 10.166.7.0/24 drop"}, false},
		{"a rule for a part of the subnet, at the uplink's ingress", with("nft -f -", "table netdev n {\n chain fw { type filter hook ingress device \"up0\" priority 0;\n ip daddr 10.166.7.0/24 drop\n }\n}\n"), want4(),
			map[string]string{"forward-drop": "wrong ip daddr 10.166.7.0/24 drop", "invalid-drop": "wrong ip daddr 10.166.7.0/24 drop"}, false},
		{"a verdict map that drops the last of 50", with("nft -f -", "table ip f {\n chain fw { type filter hook forward priority 0; policy accept;\n ip daddr vmap { "+strings.TrimSuffix(many(50, "ADDRESS : accept, "), ", ")+", 10.166.9.0/24 : drop }\n }\n}\n"), want4(),
			map[string]string{"forward-drop": "wrong 10.166.9.0", "invalid-drop": "wrong 10.166.9.0"}, false},
		{"50 ports closed, and a named set of addresses behind", with("nft -f -", "table ip f {\n set banned { type ipv4_addr; flags interval; elements = { 10.166.128.0/17 } }\n chain fw { type filter hook forward priority 0; policy accept;\n"+many(50, " ip daddr ADDRESS tcp dport 25 drop\n")+" ip saddr @banned drop\n }\n}\n"), want4(),
			map[string]string{"forward-drop": "wrong ip saddr @banned drop", "invalid-drop": "wrong @banned"}, false},
		{"a match that is not known", with("iptables-nft-restore", "*filter\n-A FORWARD -m limit --limit 5/sec -j ACCEPT\n-A FORWARD -j DROP\nCOMMIT\n"), want4(),
			map[string]string{"forward-drop": "unknown -m limit", "invalid-drop": "unknown -m limit"}, false},
		{"a match that is not known and changes nothing", with("iptables-nft-restore", "*filter\n-A FORWARD -m limit --limit 5/sec -j LOG\n-A FORWARD -m statistic --mode random --probability 0.5 -j ACCEPT\nCOMMIT\n"), want4(), nil, false},
		{"a drop in raw PREROUTING", with("iptables-legacy-restore", "*raw\n-A PREROUTING -i ovn0 -j DROP\nCOMMIT\n"), want4(),
			map[string]string{"forward-drop": "wrong iptables-legacy raw PREROUTING rule 1", "invalid-drop": "wrong iptables-legacy raw PREROUTING rule 1", "masquerade": ""}, true},
		{"a masquerade for everything", with("iptables-nft-restore", "*nat\n-A POSTROUTING -o up0 -j MASQUERADE\nCOMMIT\n"), want4(), map[string]string{"masquerade": "wrong iptables-nft nat POSTROUTING rule 1"}, false},
		{"a masquerade in nft", with("nft -f -", "table ip n {\n chain post { type nat hook postrouting priority srcnat;\n oifname \"up0\" masquerade\n }\n}\n"), want4(), map[string]string{"masquerade": "wrong nft ip n post rule 1: oifname"}, false},
		{"a native table by the name of iptables' own", with("nft -f -", "table ip filter {\n chain fw { type filter hook forward priority 0; policy accept;\n ip daddr 10.166.0.0/16 drop\n }\n}\n"), want4(),
			map[string]string{"forward-drop": "wrong iptables-nft filter fw rule 1: ip daddr 10.166.0.0/16 drop", "invalid-drop": "wrong fw rule 1"}, false},
		{"a native rule in iptables' own chain", func(s *hosttest.Space) {
			s.RunWith("*filter\n:FORWARD ACCEPT\n-A FORWARD -s 1.2.3.4 -j DROP\nCOMMIT\n", "iptables-nft-restore")
			s.RunWith("add set ip filter blocked { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }\nadd rule ip filter FORWARD ip daddr @blocked drop\n", "nft", "-f", "-")
		}, want4(), map[string]string{"forward-drop": "wrong iptables-nft filter FORWARD rule 2: ip daddr @blocked drop", "invalid-drop": "wrong @blocked"}, false},
		{"a source address that a rule in forward writes", with("nft -f -", "table ip f {\n chain fw { type filter hook forward priority 0;\n iifname \"ovn0\" ip saddr set 172.30.0.12\n }\n}\n"), want4(),
			map[string]string{"masquerade": "wrong ip saddr set 172.30.0.12"}, false},
		{"a SNAT map for a part of the subnet", with("nft -f -", "table ip n {\n chain post { type nat hook postrouting priority srcnat;\n snat to ip saddr map { 10.166.7.0/24 : 172.30.0.99 }\n }\n}\n"), want4(),
			map[string]string{"masquerade": "wrong snat to ip saddr map"}, false},
		{"a SNAT map for others", with("nft -f -", "table ip n {\n chain post { type nat hook postrouting priority srcnat;\n snat to ip saddr map { 10.99.7.0/24 : 172.30.0.99 }\n }\n}\n"), want4(), nil, false},
		{"a limit in a dynamic set", with("nft -f -", "table ip f {\n set lim { type ipv4_addr; size 100; flags dynamic; }\n chain fw { type filter hook forward priority 0; policy drop;\n update @lim { ip saddr limit rate 1/minute burst 1 packets } accept\n }\n}\n"), want4(),
			map[string]string{"forward-drop": "unknown update @lim", "invalid-drop": "unknown update @lim"}, false},
		{"a dormant table", with("nft -f -", "table inet fw {\n flags dormant\n chain f { type filter hook forward priority 0; policy drop; }\n}\n"), want4(), nil, false},
		{"no forwarding", func(s *hosttest.Space) { s.Sysctl("net.ipv4.ip_forward", "0") }, want4(), map[string]string{"forwarding": "wrong net.ipv4.ip_forward=0"}, false},
		{"no IPv6 forwarding", func(s *hosttest.Space) { s.Sysctl("net.ipv6.conf.all.forwarding", "0") }, want6(), map[string]string{"forwarding": "wrong net.ipv6.conf.all.forwarding=0"}, false},
		{"no IPv6 forwarding, and no IPv6 prefix", func(s *hosttest.Space) { s.Sysctl("net.ipv6.conf.all.forwarding", "0") }, want4(), nil, false},
		{"a strict filter on the uplink", func(s *hosttest.Space) { s.Sysctl("net.ipv4.conf.up0.rp_filter", "1") }, want4(), map[string]string{"rp_filter": "ok all=0, up0=1: strict, and replies leave by it"}, false},
		{"a strict filter on the overlay link", func(s *hosttest.Space) { s.Sysctl("net.ipv4.conf.ovn0.rp_filter", "1") }, want4(), nil, false},
		{"strict for all, loose on the links", func(s *hosttest.Space) {
			s.Sysctl("net.ipv4.conf.all.rp_filter", "1")
			s.Sysctl("net.ipv4.conf.up0.rp_filter", "2")
			s.Sysctl("net.ipv4.conf.ovn0.rp_filter", "2")
		}, want4(), nil, false},
		{"no route to the CIDR", func(s *hosttest.Space) { s.Run("ip", "route", "del", "10.166.0.0/16") }, want4(), map[string]string{"datapath": "wrong no route"}, false},
		{"a second route", func(s *hosttest.Space) {
			s.Run("ip", "route", "add", "10.166.0.0/16", "via", "172.30.0.5", "metric", "50")
		}, want4(), map[string]string{"datapath": "wrong a second route leaves by up0"}, false},
		{"a second way of the same route", func(s *hosttest.Space) {
			s.Sh("ip route replace 10.166.0.0/16 nexthop via 100.64.0.1 nexthop via 172.30.0.5")
		}, want4(), map[string]string{"datapath": "wrong a second route leaves by ovn0, up0"}, false},
		{"a blackhole behind the route", func(s *hosttest.Space) { s.Sh("ip route add blackhole 10.166.0.0/16 metric 100") }, want4(), map[string]string{"datapath": "wrong a second route is of type blackhole"}, false},
		{"a blackhole before the route", func(s *hosttest.Space) {
			s.Sh("ip route del 10.166.0.0/16; ip route add 10.166.0.0/16 via 100.64.0.1 metric 200; ip route add prohibit 10.166.0.0/16 metric 100")
		}, want4(), map[string]string{"datapath": "wrong the route to 10.166.0.0/16 is of type prohibit"}, false},
		{"a route of a lower metric by another link", func(s *hosttest.Space) {
			s.Sh("ip -6 route add fd00:166::/64 via fd00:30::5 metric 5")
		}, want6(), map[string]string{"datapath": "wrong the route to fd00:166::/64 leaves by up0, not by ovn0"}, false},
		{"half of the CIDR is unreachable", func(s *hosttest.Space) { s.Sh("ip route add unreachable 10.166.128.0/17") }, want4(), map[string]string{"datapath": "wrong the route to 10.166.128.0/17, a part of it, is of type unreachable"}, false},
		{"half of the CIDR is unreachable, IPv6", func(s *hosttest.Space) { s.Sh("ip -6 route add unreachable fd00:166:0:0:8000::/65") }, want6(), map[string]string{"datapath": "wrong the route to fd00:166:0:0:8000::/65, a part of it, is of type unreachable"}, false},
		{"half of the CIDR leaves by the uplink", func(s *hosttest.Space) { s.Sh("ip route add 10.166.0.0/17 via 172.30.0.5") }, want4(), map[string]string{"datapath": "wrong the route to 10.166.0.0/17, a part of it, leaves by up0"}, false},
		{"parts of the CIDR by the overlay link", func(s *hosttest.Space) {
			s.Sh("ip route add 10.166.3.0/24 via 100.64.0.1; ip route add 10.166.4.4 dev ovn0")
		}, want4(), nil, false},
		{"the default route is unreachable", func(s *hosttest.Space) { s.Sh("ip route replace unreachable default") }, want4(),
			map[string]string{"datapath": "unknown the route to 0.0.0.0/0, back to clients, is of type unreachable"}, false},
		{"the default route is unreachable, and so are the peers", func(s *hosttest.Space) {
			s.Sh("ip route replace unreachable default; ip rule add from 10.166.0.0/16 to 172.30.0.0/24 pref 50 blackhole")
		}, want4(), map[string]string{"datapath": "wrong the route to 0.0.0.0/0, back to clients, is of type unreachable"}, false},
		{"an address of the node in the CIDR", func(s *hosttest.Space) { s.Run("ip", "addr", "add", "10.166.3.3/32", "dev", "lo") }, want4(), map[string]string{"datapath": "wrong 10.166.3.3 lies inside"}, false},
		{"the overlay link is down", func(s *hosttest.Space) { s.Run("ip", "link", "set", "ovn0", "down") }, want4(), map[string]string{"datapath": "wrong link ovn0 is down"}, false},
		{"the join gateway does not answer", func(s *hosttest.Space) {
			s.Sh("ip neigh add 100.64.0.1 dev ovn0 nud incomplete; ip neigh change 100.64.0.1 dev ovn0 nud failed")
		}, want4(), map[string]string{"datapath": "wrong the join gateway does not answer on ovn0"}, false},
		{"the join gateway's address is written by hand", func(s *hosttest.Space) {
			s.Sh("ip neigh replace 100.64.0.1 lladdr 02:00:00:00:00:99 dev ovn0 nud permanent")
		}, want4(), map[string]string{"datapath": "unknown the join gateway's entry on ovn0 is permanent"}, false},
		{"the join gateway has not answered yet", func(s *hosttest.Space) {
			s.Sh("ip -6 neigh add fd00:100:64::1 dev ovn0 nud incomplete")
		}, want6(), map[string]string{"datapath": "unknown the join gateway has not answered yet"}, false},
		{"the other family's join gateway does not answer", func(s *hosttest.Space) {
			s.Sh("ip neigh add 100.64.0.1 dev ovn0 nud incomplete; ip neigh change 100.64.0.1 dev ovn0 nud failed")
		}, want6(), nil, false},
		{"a Subnet contains the router", func(s *hosttest.Space) { s.Sh("ip route add 172.30.0.0/29 via 100.64.0.1") }, want4(),
			map[string]string{"datapath": "wrong the route to the router 172.30.0.1 leaves by ovn0: the Subnet with 172.30.0.0/29 contains it"}, false},
		{"a Subnet contains the router, and nothing is announced", func(s *hosttest.Space) { s.Sh("ip route add 172.30.0.0/29 via 100.64.0.1") },
			host.Want{Overlay: "ovn0", Peers: want4().Peers}, map[string]string{"datapath": "wrong the route to the router 172.30.0.1 leaves by ovn0"}, false},
		{"a Subnet contains another host of the router's network", func(s *hosttest.Space) { s.Sh("ip route add 172.30.0.128/29 via 100.64.0.1") }, want4(), nil, false},
		{"the default route leaves by another link than the peer's", towards("default via 172.31.0.1", func(*hosttest.Space) {}), want4(), nil, false},
		{"a drop where the default route leaves", towards("default via 172.31.0.1", with("iptables-nft-restore", "*filter\n-A FORWARD -o up1 -j DROP\nCOMMIT\n")), want4(),
			map[string]string{"forward-drop": "wrong -o up1 -j DROP", "invalid-drop": "wrong -o up1 -j DROP"}, true},
		{"a masquerade where the default route leaves", towards("default via 172.31.0.1", with("iptables-nft-restore", "*nat\n-A POSTROUTING -o up1 -j MASQUERADE\nCOMMIT\n")), want4(),
			map[string]string{"masquerade": "wrong -o up1 -j MASQUERADE"}, false},
		{"a strict filter where the default route leaves", towards("default via 172.31.0.1", func(s *hosttest.Space) { s.Sysctl("net.ipv4.conf.up1.rp_filter", "1") }), want4(),
			map[string]string{"rp_filter": "ok"}, false},
		{"a strict filter where replies do not leave", towards("default via 172.31.0.1", func(s *hosttest.Space) { s.Sysctl("net.ipv4.conf.up0.rp_filter", "1") }), want4(),
			map[string]string{"rp_filter": "wrong all=0, up0=1: strict, and replies leave by up1"}, false},
		{"a drop on the second way to a peer's loopback", towards("192.0.2.1 nexthop via 172.30.0.1 nexthop via 172.31.0.1", with("iptables-nft-restore", "*filter\n-A FORWARD -i up1 -j DROP\nCOMMIT\n")), loopbackPeer(),
			map[string]string{"forward-drop": "wrong -i up1 -j DROP", "invalid-drop": "wrong -i up1 -j DROP"}, true},
		{"no announcement", with("iptables-legacy-restore", dockerRules), host.Want{Overlay: "ovn0"}, nil, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := node(t)
			c.install(n)
			findings := host.Check(read(n), c.want)
			for check, state := range states(findings) {
				expected, part, _ := strings.Cut(c.wrong[check], " ")
				if expected == "" {
					expected = "ok"
				}
				f := find(t, findings, check)
				if string(state) != expected || !strings.Contains(f.Got, part) {
					t.Errorf("%s: want %s %q, got %s: %s", check, expected, part, state, f.Got)
				}
				if f.State != host.OK && f.Fix == "" {
					t.Errorf("%s: no fix", check)
				}
				if command, is := strings.CutPrefix(f.Fix, "ip "); is && check == "datapath" {
					n.Sh("ip " + command)
					left := find(t, host.Check(read(n), c.want), check)
					if left.Got == f.Got {
						t.Errorf("%s mends nothing: %s", f.Fix, left.Got)
					}
				}
				if strings.HasPrefix(f.Fix, "sysctl -w ") && (check == "forwarding" || check == "rp_filter") {
					n.Sh(f.Fix)
					if left := find(t, host.Check(read(n), c.want), check); left.State != host.OK {
						t.Errorf("after %s: %s", f.Fix, left.Got)
					}
				}
				if offered := strings.HasPrefix(f.Fix, "fairway check --fix"); strings.HasSuffix(check, "-drop") && f.State == host.Wrong && offered != c.fixable {
					t.Errorf("%s: fix is %q", check, f.Fix)
				}
			}
		})
	}
}

func with(command, input string) func(*hosttest.Space) {
	return func(s *hosttest.Space) { s.RunWith(input, strings.Fields(command)...) }
}

func loopbackPeer() host.Want {
	w := want4()
	w.Peers = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	return w
}

func symmetric() host.Want {
	w := want4()
	w.Networks[0].Asymmetric = false
	return w
}

func TestEveryCheckSaysUnknownWithoutFacts(t *testing.T) {
	f := host.Facts{Datapath: host.Datapath{Err: fmt.Errorf("no netlink")}, Filter: host.Filter{Unread: []string{"nft is not installed"}},
		Sysctls: map[string]host.Setting{"net/netfilter/nf_conntrack_max": {Err: fmt.Errorf("no")}}, Sockets: host.Sockets{Err: fmt.Errorf("no /proc")}}
	w := want4()
	w.BGPPort = 179
	findings := host.Check(f, w)
	for check, state := range states(findings) {
		if state != host.Unknown {
			t.Errorf("%s is %s without facts", check, state)
		}
	}
	for _, c := range host.Criteria() {
		if c.ID != "source-check" && c.ID != "contested" && !slices.ContainsFunc(findings, func(f host.Finding) bool { return f.Check == c.ID }) {
			t.Errorf("%s says nothing", c.ID)
		}
	}
}

// TestWhatIsLostOfOneKindIsAFindingOfItsOwn has rules that spare TCP from
// anywhere.
func TestWhatIsLostOfOneKindIsAFindingOfItsOwn(t *testing.T) {
	const dropped = "forward-drop 10.166.0.0/16 "
	rule := func(rule string) func(*hosttest.Space) {
		return with("iptables-nft-restore", "*filter\n:FORWARD ACCEPT\n-A FORWARD "+rule+"\nCOMMIT\n")
	}
	announced := func(networks ...string) host.Want {
		w := symmetric()
		w.Networks = nil
		for _, n := range networks {
			w.Networks = append(w.Networks, host.Network{Prefix: netip.MustParsePrefix(n)})
		}
		return w
	}
	cases := []struct {
		name    string
		install func(*hosttest.Space)
		want    host.Want
		// wrong are check and subject of all that is not ok.
		wrong []string
	}{
		{"only tcp is accepted", with("nft -f -", "table ip f {\n chain fw { type filter hook forward priority 0; policy drop;\n meta l4proto tcp accept\n }\n}\n"), symmetric(), []string{dropped + "udp", dropped + "icmp", dropped + "path MTU"}},
		{"only tcp is accepted, IPv6", with("nft -f -", "table ip6 f {\n chain fw { type filter hook forward priority 0; policy drop;\n meta l4proto tcp accept\n }\n}\n"), announced(cidr6), []string{"forward-drop fd00:166::/64 udp", "forward-drop fd00:166::/64 icmp", "forward-drop fd00:166::/64 path MTU"}},
		{"udp is dropped", rule("-p udp -j DROP"), symmetric(), []string{dropped + "udp"}},
		{"echo is dropped", rule("-p icmp -m icmp --icmp-type 8 -j DROP"), symmetric(), []string{dropped + "icmp"}},
		{"10/8 is dropped", rule("-i up0 -s 10.0.0.0/8 -j DROP"), symmetric(), []string{dropped + "from 10.0.0.0/8"}},
		{"172.16/12 is dropped", rule("-i up0 -s 172.16.0.0/12 -j DROP"), symmetric(), []string{dropped + "from 172.16.0.0/12"}},
		{"192.168/16 is dropped", rule("-i up0 -s 192.168.0.0/16 -j DROP"), symmetric(), []string{dropped + "from 192.168.0.0/16"}},
		{"unique local clients are dropped", with("nft -f -", "table ip6 f {\n chain fw { type filter hook forward priority 0;\n iifname up0 ip6 saddr fc00::/7 drop\n }\n}\n"), announced(cidr6), []string{"forward-drop fd00:166::/64 from fc00::/7"}},
		{"a single client is dropped", rule("-s 10.0.0.10/32 -j DROP"), symmetric(), nil},
		{"a port is closed", rule("-p tcp -m tcp --dport 25 -j DROP"), symmetric(), nil},
		{"the clients' network is announced as a whole", func(s *hosttest.Space) {
			s.Run("ip", "route", "add", "10.0.0.0/8", "via", "100.64.0.1")
			rule("-i up0 -s 10.0.0.0/8 -j DROP")(s)
		}, announced("10.0.0.0/8"), nil},
		{"udp, behind what drops everything", rule("-j DROP\n-A FORWARD -p udp -j DROP"), symmetric(), []string{"forward-drop 10.166.0.0/16"}},
		{"udp, before what drops everything", rule("-p udp -j DROP\n-A FORWARD -j DROP"), symmetric(), []string{"forward-drop 10.166.0.0/16", dropped + "udp"}},
		{"what drops udp is not known", rule("-p udp -m limit --limit 5/sec -j ACCEPT\n-A FORWARD -p udp -j DROP"), symmetric(), []string{dropped + "udp"}},
		{"udp is masqueraded", with("iptables-nft-restore", "*nat\n-A POSTROUTING -p udp -o up0 -j MASQUERADE\nCOMMIT\n"), symmetric(), []string{"masquerade 10.166.0.0/16 udp"}},
		{"what goes to 192.168/16 is masqueraded", with("iptables-nft-restore", "*nat\n-A POSTROUTING -d 192.168.0.0/16 -o up0 -j MASQUERADE\nCOMMIT\n"), symmetric(), []string{"masquerade 10.166.0.0/16 to 192.168.0.0/16"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := node(t)
			c.install(n)
			var wrong []string
			for _, f := range host.Check(read(n), c.want) {
				if f.State != host.OK {
					wrong = append(wrong, f.Check+" "+f.Subject)
				}
				if f.State != host.OK && f.Fix == "" {
					t.Errorf("%s %s: no fix", f.Check, f.Subject)
				}
			}
			if !slices.Equal(wrong, c.wrong) {
				t.Errorf("want %q, got %q", c.wrong, wrong)
			}
		})
	}
}

// stock is a node as Kube-OVN leaves it, for both families.
func stock(s *hosttest.Space) {
	s.RunWith(kubeOVNSets, "ipset", "restore")
	s.RunWith("create ovn60subnets hash:net family inet6\nadd ovn60subnets fd00:166::/64\nadd ovn40subnets 10.167.0.0/16\nadd ovn40subnets 10.168.0.0/16\n", "ipset", "restore")
	s.RunWith(kubeOVNRules, "iptables-nft-restore")
	s.RunWith("*mangle\n:OVN-POSTROUTING - [0:0]\n-A POSTROUTING -j OVN-POSTROUTING\n-A OVN-POSTROUTING -p tcp -m set --match-set ovn60subnets src -m tcp --tcp-flags RST RST -m state --state INVALID -j DROP\nCOMMIT\n", "ip6tables-nft-restore")
	s.Sh("ip route add 10.167.0.0/16 via 100.64.0.1; ip route add 10.168.0.0/16 via 100.64.0.1")
}

// TestOneFindingOfAFamilyTellsOfAllRefusedConnections: Kube-OVN's drop of RSTs is on
// every node, and concerns every CIDR.
func TestOneFindingOfAFamilyTellsOfAllRefusedConnections(t *testing.T) {
	n := node(t)
	stock(n)
	w := want46(cidr4, "10.167.0.0/16", "10.168.0.0/16", cidr6)
	w.Networks[1].Asymmetric = false
	findings := host.Check(read(n), w)
	if got := notOK(findings); !slices.Equal(got, []string{"invalid-drop IPv4 RST", "invalid-drop fd00:166::/64 RST"}) {
		t.Fatalf("not ok: %q", got)
	}
	for subject, parts := range map[string][]string{
		"IPv4 RST":          {"--match-set ovn40subnets src", "\n2 CIDRs: 10.166.0.0/16, 10.168.0.0/16"},
		"fd00:166::/64 RST": {"--match-set ovn60subnets src", "\n1 CIDR: fd00:166::/64"},
	} {
		found := findings[slices.IndexFunc(findings, func(f host.Finding) bool { return f.Subject == subject })]
		for _, part := range parts {
			if !strings.Contains(found.Text(), part) {
				t.Errorf("%s does not say %q:\n%s", subject, part, found.Text())
			}
		}
		if !strings.HasPrefix(found.Fix, "fairway check --fix") || strings.Contains(found.Fix, "\n") {
			t.Errorf("%s: fix: %s", subject, found.Fix)
		}
	}
	n.RunWith("-I OVN-POSTROUTING 1 -j RETURN\n", "sh", "-c", "read rule; for t in iptables ip6tables; do $t-nft -t mangle $rule; done")
	for _, f := range host.Check(read(n), w) {
		if f.State != host.OK {
			t.Errorf("%s %s: %s", f.Check, f.Subject, f.Got)
		}
	}
}

// TestATranslationByWishIsOK: annotation allow-nat-policy asks for it.
func TestATranslationByWishIsOK(t *testing.T) {
	n := node(t)
	n.RunWith(kubeOVNSets+kubeOVNPolicySets, "ipset", "restore")
	n.RunWith(kubeOVNRules, "iptables-nft-restore")
	n.RunWith(kubeOVNPolicy, "iptables-nft-restore", "-n")
	w := symmetric()
	if f := find(t, host.Check(read(n), w), "masquerade"); f.State != host.Wrong {
		t.Errorf("nobody wished it: %s: %s", f.State, f.Got)
	}
	w.Networks[0].NATPolicy = true
	findings := host.Check(read(n), w)
	if got := notOK(findings); len(got) > 0 {
		t.Errorf("not ok: %q", got)
	}
	if f := find(t, findings, "masquerade"); !strings.Contains(f.Got, "translated as its natOutgoingPolicyRules have it, by iptables-nft nat OVN-MASQUERADE") {
		t.Errorf("got: %s", f.Got)
	}
	n.Run("iptables-nft", "-t", "nat", "-I", "POSTROUTING", "1", "-o", "up0", "-j", "MASQUERADE")
	if f := find(t, host.Check(read(n), w), "masquerade"); f.State != host.Wrong || !strings.Contains(f.Got, "nat POSTROUTING rule 1") {
		t.Errorf("somebody else's: %s: %s", f.State, f.Got)
	}
}
