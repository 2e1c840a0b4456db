package host_test

import (
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
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
