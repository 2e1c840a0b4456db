package host_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// TestRulesOfRoutingAreSeen: where another table than main may be asked first, main's
// routes are not the last word.
func TestRulesOfRoutingAreSeen(t *testing.T) {
	cases := map[string]struct {
		rule  string
		other bool
		marks int
	}{
		"none":                               {"true", false, 0},
		"table local looked at later":        {"ip rule add pref 100 lookup local", false, 0},
		"by source":                          {"ip rule add from 10.166.0.0/16 lookup 100", true, 0},
		"a blackhole for all":                {"ip rule add pref 9 blackhole", true, 0},
		"main without its default route":     {"ip rule add lookup main suppress_prefixlength 0", true, 0},
		"by mark":                            {"ip rule add fwmark 0x200/0xf00 lookup 2004", false, 1},
		"everything but a mark (wireguard)":  {"ip rule add not fwmark 0xca6c lookup 51820", true, 1},
		"IPv6's rules are not those of IPv4": {"ip -6 rule add from fd00::/8 lookup 100", false, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := node(t)
			n.Sh(c.rule)
			facts := read(n)
			if facts.Datapath.Err != nil {
				t.Fatal(facts.Datapath.Err)
			}
			if got := facts.Datapath.Policy; got.Other[false] != c.other || len(got.Marks[false]) != c.marks {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestAMarkThatRoutingAsksForIsNeverOK: the mark sends packets another way than the
// main table.
func TestAMarkThatRoutingAsksForIsNeverOK(t *testing.T) {
	n := node(t)
	n.Sh("ip rule add fwmark 0x77 blackhole; ip -6 rule add fwmark 0x77 blackhole")
	for _, six := range []string{"", "6"} {
		with("ip"+six+"tables-nft-restore", "*mangle\n-A PREROUTING -j MARK --set-mark 0x77\nCOMMIT\n")(n)
	}
	for _, want := range []host.Want{want4(), want6()} {
		if found := find(t, host.Check(read(n), want), "forward-drop"); found.State != host.Unknown {
			t.Errorf("%+v", found)
		}
	}
}

// TestARulesetKnowsTheNode: what rules may ask of the node is read with them.
func TestARulesetKnowsTheNode(t *testing.T) {
	n := node(t)
	facts := read(n)
	for _, rules := range []*netfilter.Ruleset{&facts.Filter.IPv4, &facts.Filter.IPv6} {
		if _, ok := rules.Links["up0"]; !ok || rules.Links["up0"].Bridge || len(rules.Links["up0"].Below) > 0 {
			t.Errorf("%+v", rules.Links)
		}
	}
}

// TestARuleOfRoutingThatLeadsAwayIsNeverOK: the main table is right, and the kernel
// goes by another one. The kernel itself is asked.
func TestARuleOfRoutingThatLeadsAwayIsNeverOK(t *testing.T) {
	cases := map[string]struct {
		rules string
		state host.State
		got   string
	}{
		"replies go into a blackhole":    {"ip RULE from CIDR blackhole", host.Wrong, "refuses packets from"},
		"requests are prohibited":        {"ip RULE to CIDR prohibit", host.Wrong, "refuses packets to"},
		"requests leave by another link": {"ip RULE to CIDR lookup 100; ip ROUTE default via GATEWAY dev up0 table 100", host.Wrong, "by up0, not by ovn0"},
		"a table without a route of it":  {"ip RULE from CIDR lookup 100", host.OK, ""},
		"the same way in another table":  {"ip RULE from CIDR lookup 100; ip ROUTE default via GATEWAY dev up0 table 100", host.OK, ""},
		"unreachable, or not forwarded":  {"ip RULE to CIDR unreachable", "", ""},
	}
	for name, c := range cases {
		for _, want := range []host.Want{want4(), want6()} {
			six := want.Networks[0].Prefix.Addr().Is6()
			t.Run(name+map[bool]string{true: ", IPv6"}[six], func(t *testing.T) {
				n := node(t)
				family, gateway := "", "172.30.0.1"
				if six {
					family, gateway = "-6 ", "fd00:30::1"
				}
				n.Sh(strings.NewReplacer("RULE", family+"rule add", "ROUTE", family+"route add", "CIDR", want.Networks[0].Prefix.String(), "GATEWAY", gateway).Replace(c.rules))
				found := find(t, host.Check(read(n), want), "datapath")
				if c.state == "" && found.State == host.OK || c.state != "" && found.State != c.state || !strings.Contains(found.Got, c.got) {
					t.Errorf("%s: %s", found.State, found.Got)
				}
			})
		}
	}
}

// TestRoutingBesidesTheMainTable: the kernel is asked with the link that a packet comes
// in by and with its source. The fix is tried: then all is well.
func TestRoutingBesidesTheMainTable(t *testing.T) {
	cases := map[string]struct {
		install string
		// check is the check that says state and got of a subject.
		check, subject string
		state          host.State
		got            string
	}{
		"a table with a blackhole for replies": {"ip rule add from 10.166.0.0/16 lookup 77 pref 100; ip route add blackhole default table 77",
			"datapath", cidr4, host.Wrong, "a rule of `ip rule` refuses packets from 10.166.0.0/16 to the outside: blackhole"},
		"a table that sends replies back inside": {"ip rule add from 10.166.0.0/16 lookup 78 pref 100; ip route add default via 100.64.0.1 dev ovn0 table 78",
			"datapath", cidr4, host.Wrong, "a rule of `ip rule` sends packets from 10.166.0.0/16 to the outside back by ovn0"},
		"a table for what comes in by the uplink": {"ip rule add iif up0 lookup 90 pref 100; ip route add default via 172.30.0.1 dev up0 table 90",
			"datapath", cidr4, host.Wrong, "a rule of `ip rule` sends packets to 10.166.0.0/16 by up0, not by ovn0"},
		"a table without a route": {"ip rule add iif up0 lookup 90 pref 100; ip route add prohibit default table 90",
			"datapath", cidr4, host.Wrong, "a rule of `ip rule` refuses packets to 10.166.0.0/16: prohibit"},
		"a VPN's table": {"ip link add wg0 type veth peer name w0; ip link set wg0 up; ip rule add lookup 52 pref 5270; ip route add default dev wg0 table 52; ip route add throw 172.30.0.0/24 table 52; ip route add throw 10.166.0.0/16 table 52",
			"datapath", cidr4, host.Unknown, "a rule of `ip rule` sends packets from 10.166.0.0/16 to the outside by wg0, where no router is known"},
		"a rule that asks for a port": {"ip rule add ipproto tcp dport 443 lookup 77 pref 100; ip route add blackhole default table 77",
			"datapath", cidr4, host.Unknown, "a rule of `ip rule` may lead some protocols or ports elsewhere: 100: from all for some protocol, port or TOS lookup 77"},
		"private networks are null-routed": {"ip route add blackhole 10.0.0.0/8; ip route add blackhole 172.16.0.0/12; ip route add unreachable 192.168.0.0/16",
			"datapath", cidr4 + " from 192.168.0.0/16", host.Wrong, "the route to 192.168.0.0/16, back to clients, is of type unreachable"},
		"a small part is unreachable": {"ip route add unreachable 10.166.5.0/24",
			"datapath", cidr4 + " part 10.166.5.0/24", host.Wrong, "the route to 10.166.5.0/24, a part of it, is of type unreachable"},
		"a rule for a small part": {"ip rule add to 10.166.5.0/24 pref 100 prohibit",
			"datapath", cidr4 + " part 10.166.5.0/24", host.Wrong, "a rule of `ip rule` refuses packets to 10.166.5.0/24: prohibit"},
		"no default route": {"ip route del default",
			"datapath", cidr4, host.Unknown, "no route back to clients outside"},
		"no default route, IPv6": {"ip -6 route del default",
			"datapath", cidr6, host.Unknown, "no route back to clients outside"},
		"a second uplink for replies, and a strict filter": {"ip link add up1 type veth peer name x2; ip link set x2 up; ip link set up1 up; ip addr add 172.31.0.11/24 dev up1; ip route replace default via 172.31.0.1; sysctl -qw net.ipv4.conf.up0.rp_filter=1",
			"rp_filter", "up0", host.Wrong, "all=0, up0=1: strict, and replies leave by up1"},
		"a strict filter and two ways back": {"ip link add up1 type veth peer name x2; ip link set x2 up; ip link set up1 up; ip addr add 172.31.0.11/24 dev up1; ip route replace default nexthop via 172.30.0.1 nexthop via 172.31.0.1; sysctl -qw net.ipv4.conf.up0.rp_filter=1",
			"rp_filter", "up0", host.OK, "all=0, up0=1: strict, and replies leave by it"},
		"a strict filter, and other clients are answered by another link": {"ip link add up1 type veth peer name x2; ip link set x2 up; ip link set up1 up; ip addr add 172.31.0.11/24 dev up1; ip route add 10.0.0.0/8 via 172.31.0.1; sysctl -qw net.ipv4.conf.up0.rp_filter=1",
			"rp_filter", "up0 from 10.0.0.0/8", host.Wrong, "all=0, up0=1: strict, and replies leave by up1"},
		"a strict filter, and marks count": {"ip rule add fwmark 0x77 lookup 77; sysctl -qw net.ipv4.conf.up0.rp_filter=1 net.ipv4.conf.all.src_valid_mark=1",
			"rp_filter", "up0", host.Unknown, "all=0, up0=1: strict, and src_valid_mark has packets' marks count, which `ip rule` asks for"},
		"the uplink has no IPv6": {"sysctl -qw net.ipv6.conf.up0.disable_ipv6=1",
			"forwarding", "net.ipv6.conf.up0.disable_ipv6", host.Wrong, "net.ipv6.conf.up0.disable_ipv6=1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := node(t)
			n.Sh(c.install)
			found := about(t, n, c.check, c.subject)
			if found.State != c.state || found.Got != c.got {
				t.Fatalf("%s: %s", found.State, found.Text())
			}
			if c.state != host.Wrong {
				return
			}
			fix, _, _ := strings.Cut(found.Fix, ", ")
			n.Sh(fix)
			if left := host.Check(read(n), want46(cidr4, cidr6)); slices.ContainsFunc(left, func(f host.Finding) bool { return f.Equal(found) }) {
				t.Errorf("after %s: %s", fix, found.Text())
			}
		})
	}
}

// about is the finding of a check about a subject, of a node with networks of both
// families.
func about(t *testing.T, n *hosttest.Space, check, subject string) host.Finding {
	t.Helper()
	findings := host.Check(read(n), want46(cidr4, cidr6))
	for _, f := range findings {
		if f.Check == check && f.Subject == subject {
			return f
		}
	}
	for _, f := range findings {
		t.Logf("%s %s: %s: %s", f.Check, f.Subject, f.State, f.Text())
	}
	t.Fatalf("no finding of %s about %s", check, subject)
	return host.Finding{}
}
