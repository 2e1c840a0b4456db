package host_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// changes are those of rules and sets that keep their number and size, and some that do
// not.
func changes() map[string]string {
	return map[string]string{
		"a rule of legacy replaced by one of its size": "iptables-legacy -R FORWARD 1 -s 198.51.100.2/32 -j DROP",
		"a policy of legacy":                           "iptables-legacy -P FORWARD ACCEPT",
		"a rule of legacy in another chain":            "iptables-legacy -R OTHERS 1 -s 198.51.100.4/32 -j DROP",
		"a target of legacy":                           "iptables-legacy -R OTHERS 1 -s 198.51.100.3/32 -j ACCEPT",
		"a rule of legacy in table nat":                "iptables-legacy -t nat -R POSTROUTING 1 -s 198.51.100.6/32 -j ACCEPT",
		"a rule of legacy for IPv6":                    "ip6tables-legacy -R FORWARD 1 -s 2001:db8::2/128 -j DROP",
		"a rule of iptables-nft":                       "iptables-nft -R FORWARD 1 -s 198.51.100.2/32 -j DROP",
		"a policy of iptables-nft":                     "iptables-nft -P FORWARD ACCEPT",
		"a rule of nft":                                "nft flush chain inet fw forward; nft add rule inet fw forward ip saddr 198.51.100.2 drop",
		"an element of nft's set":                      "nft delete element inet fw banned { 198.51.100.1 }; nft add element inet fw banned { 198.51.100.2 }",
		"a member of an ipset":                         "ipset del others 198.51.100.1; ipset add others 198.51.100.2",
		"two ipsets swapped":                           "ipset swap others empty",
		"a link's name":                                "ip link set up0 down; ip link set up0 name up1",
	}
}

// changeable is a node with something in every backend.
func changeable(t *testing.T) *hosttest.Space {
	n := node(t)
	n.Sh(`ipset create others hash:ip; ipset add others 198.51.100.1; ipset create empty hash:ip
iptables-legacy -P FORWARD DROP; iptables-legacy -N OTHERS; iptables-legacy -A OTHERS -s 198.51.100.3/32 -j DROP
iptables-legacy -A FORWARD -s 198.51.100.1/32 -j DROP; iptables-legacy -A FORWARD -j OTHERS; iptables-legacy -A FORWARD -m set --match-set others src -j DROP
iptables-legacy -t nat -A POSTROUTING -s 198.51.100.5/32 -j ACCEPT; ip6tables-legacy -A FORWARD -s 2001:db8::1/128 -j DROP
iptables-legacy -A INPUT -s 198.51.100.1/32 -j DROP
iptables-nft -P FORWARD DROP; iptables-nft -A FORWARD -s 198.51.100.1/32 -j DROP
nft add table inet fw; nft add set inet fw banned '{ type ipv4_addr; elements = { 198.51.100.1 } }'
nft add chain inet fw forward '{ type filter hook forward priority 0; }'; nft add rule inet fw forward ip saddr 198.51.100.1 drop
nft add rule inet fw forward iif up0 ip saddr @banned drop`)
	return n
}

// readBy reads the filter until it counts as known, by a reader that ran before.
func readBy(t *testing.T, n *hosttest.Space, r *host.FilterReader) (f host.Filter) {
	t.Helper()
	n.Do(func() error { f = r.Read(context.Background()); return nil })
	if len(f.Unread) > 0 {
		t.Fatal(f.Unread)
	}
	return f
}

// TestWhatIsAsItWasIsNotReadAgain: a look at a filter that nobody has touched runs no
// program.
func TestWhatIsAsItWasIsNotReadAgain(t *testing.T) {
	n := changeable(t)
	var r host.FilterReader
	readBy(t, n, &r)
	second := readBy(t, n, &r)
	t.Setenv("PATH", "")
	third := readBy(t, n, &r)
	if third.IPv4.Tables[0] != second.IPv4.Tables[0] {
		t.Error("it was read again")
	}
}

// TestEveryChangeIsRead: whatever changes is read again, also where nothing tells of it.
func TestEveryChangeIsRead(t *testing.T) {
	for what, change := range changes() {
		t.Run(what, func(t *testing.T) {
			n := changeable(t)
			var r host.FilterReader
			readBy(t, n, &r)
			known := readBy(t, n, &r)
			n.Sh(change)
			now, fresh := readBy(t, n, &r), readBy(t, n, new(host.FilterReader))
			if now.IPv4.Tables[0] == known.IPv4.Tables[0] {
				t.Error("it was not read again")
			}
			if textOf(&now) != textOf(&fresh) {
				t.Errorf("read\n%s\n--- is\n%s", textOf(&now), textOf(&fresh))
			}
		})
	}
}

// TestSetsThatChangeByThemselvesAreReadEachTime: no generation counts what times out or is
// added by a rule.
func TestSetsThatChangeByThemselvesAreReadEachTime(t *testing.T) {
	for _, set := range []string{"{ type ipv4_addr; flags timeout; elements = { 198.51.100.1 timeout 1h } }", "{ type ipv4_addr; size 100; flags dynamic; }"} {
		n := node(t)
		n.Run("nft", "add", "table", "inet", "fw")
		n.Run("nft", "add", "set", "inet", "fw", "banned", set)
		n.Sh("nft add chain inet fw forward '{ type filter hook forward priority 0; }'; nft add rule inet fw forward ip saddr @banned drop")
		if strings.Contains(set, "dynamic") {
			n.Sh("nft add rule inet fw forward tcp dport 22 add @banned '{ ip saddr }'")
		}
		var r host.FilterReader
		for range 3 {
			before := readBy(t, n, &r)
			if after := readBy(t, n, &r); after.IPv4.Tables[0] == before.IPv4.Tables[0] {
				t.Errorf("%s was taken for known", set)
			}
		}
	}
}

// TestForwardingIsAsItWasWhateverStandsInInput: what is to be enforced does not change by
// a rule where no forwarded packet comes, and changes by every other one.
func TestForwardingIsAsItWasWhateverStandsInInput(t *testing.T) {
	n := changeable(t)
	state := func() (all, forwarding host.FilterState) {
		err := n.Do(func() (err error) {
			if all, err = host.AskFilter(); err == nil {
				forwarding, err = host.AskForwarding(false, true)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all, forwarding
	}
	all, forwarding := state()
	n.Sh("iptables-legacy -I INPUT -s 198.51.100.9/32 -j DROP; iptables-legacy -N UNUSED; iptables-legacy -A UNUSED -j DROP")
	allNow, forwardingNow := state()
	if allNow == all || forwardingNow != forwarding {
		t.Errorf("all as it was: %t; forwarding as it was: %t", allNow == all, forwardingNow == forwarding)
	}
	for _, change := range []string{
		"iptables-legacy -A OTHERS -j UNUSED", "iptables-legacy -R UNUSED 1 -j ACCEPT", "iptables-legacy -R OTHERS 2 -g UNUSED",
		"iptables-legacy -P FORWARD ACCEPT", "iptables-legacy -t nat -R POSTROUTING 1 -s 198.51.100.6/32 -j ACCEPT",
		"ip6tables-legacy -R FORWARD 1 -s 2001:db8::2/128 -j DROP", "iptables-legacy -t raw -A PREROUTING -j DROP",
		"iptables-legacy -E OTHERS THEIRS", "ipset create fairway4 hash:net", "ipset add fairway4 10.166.0.0/16",
	} {
		before := forwardingNow
		n.Sh(change)
		if _, forwardingNow = state(); forwardingNow == before {
			t.Errorf("%s: taken for as it was", change)
		}
	}
}

// textOf is all that was read, for comparison.
func textOf(f *host.Filter) string {
	var out strings.Builder
	for _, rules := range []*netfilter.Ruleset{&f.IPv4, &f.IPv6} {
		for _, t := range rules.Tables {
			for _, name := range slices.Sorted(maps.Keys(t.Chains)) {
				c := t.Chains[name]
				fmt.Fprintln(&out, t.Backend, t.Family, t.Name, name, c.Drops)
				for _, r := range c.Rules {
					fmt.Fprintln(&out, r.Text)
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(rules.Sets)) {
			fmt.Fprintln(&out, name, rules.Sets[name].Members())
		}
	}
	return out.String()
}
