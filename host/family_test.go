package host_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// want46 is the two networks of one dual-stack Subnet, in this order.
func want46(cidrs ...string) host.Want {
	w := want4()
	w.Peers = append(w.Peers, netip.MustParseAddr("fd00:30::1"))
	w.Networks = nil
	for _, c := range cidrs {
		w.Networks = append(w.Networks, host.Network{Prefix: netip.MustParsePrefix(c), Subnet: "routed", Asymmetric: true})
	}
	return w
}

// TestEachFamilyHasItsOwnAnswer puts rules on a dual-stack node for one family
// alone, and asks about both networks of a Subnet.
func TestEachFamilyHasItsOwnAnswer(t *testing.T) {
	filter := func(rules string) func(string) func(*hosttest.Space) {
		return func(six string) func(*hosttest.Space) {
			return with("ip"+six+"tables-nft-restore", "*filter\n"+rules+"COMMIT\n")
		}
	}
	cases := []struct {
		name string
		// install puts the rules of a family there: six is "" or "6".
		install func(six string) func(*hosttest.Space)
		// wrong are check and subject of what is then not ok, without the CIDR.
		wrong []string
	}{
		{"policy DROP", func(six string) func(*hosttest.Space) {
			return func(s *hosttest.Space) { s.Run("ip"+six+"tables", "-P", "FORWARD", "DROP") }
		}, []string{"forward-drop", "invalid-drop"}},
		{"policy DROP in the other backend", func(six string) func(*hosttest.Space) {
			return func(s *hosttest.Space) { s.Run("ip"+six+"tables-legacy", "-P", "FORWARD", "DROP") }
		}, []string{"forward-drop", "invalid-drop"}},
		{"INVALID is dropped", filter("-A FORWARD -m conntrack --ctstate INVALID -j DROP\n"), []string{"forward-drop icmp", "forward-drop path MTU", "invalid-drop"}},
		{"echo replies without a connection are dropped", func(six string) func(*hosttest.Space) {
			return filter("-A FORWARD -p " + map[string]string{"": "icmp", "6": "ipv6-icmp"}[six] + " -m conntrack --ctstate INVALID -j DROP\n")(six)
		}, []string{"forward-drop icmp", "forward-drop path MTU"}},
		{"a drop at the uplink's ingress", func(six string) func(*hosttest.Space) {
			protocol := map[string]string{"": "ip", "6": "ip6"}[six]
			return with("nft -f -", "table netdev n {\n chain i { type filter hook ingress device \"up0\" priority 0;\n "+protocol+" version "+familyOf(six)+" meta protocol "+protocol+" meta l4proto { tcp, udp, icmp } drop\n }\n}\n")
		}, []string{"forward-drop", "invalid-drop"}},
		{"masqueraded", func(six string) func(*hosttest.Space) {
			return with("ip"+six+"tables-nft-restore", "*nat\n-A POSTROUTING -o up0 -j MASQUERADE\nCOMMIT\n")
		}, []string{"masquerade"}},
		{"udp is dropped", filter("-A FORWARD -p udp -j DROP\n"), []string{"forward-drop udp"}},
		{"echo is dropped", func(six string) func(*hosttest.Space) {
			rule := "-p icmp -m icmp --icmp-type 8"
			if six != "" {
				rule = "-p ipv6-icmp -m icmp6 --icmpv6-type 128"
			}
			return filter("-A FORWARD " + rule + " -j DROP\n")(six)
		}, []string{"forward-drop icmp"}},
		{"one table of both families", func(six string) func(*hosttest.Space) {
			return with("nft -f -", "table inet f {\n chain fw { type filter hook forward priority 0;\n meta nfproto ipv"+familyOf(six)+" drop\n }\n}\n")
		}, []string{"forward-drop", "invalid-drop"}},
	}
	for _, c := range cases {
		for _, six := range []string{"", "6"} {
			t.Run(c.name+", IPv"+familyOf(six), func(t *testing.T) {
				n := node(t)
				c.install(six)(n)
				facts := read(n)
				struck := map[string]string{"": cidr4, "6": cidr6}[six]
				var want []string
				for _, w := range c.wrong {
					check, kind, _ := strings.Cut(w, " ")
					want = append(want, strings.TrimSpace(check+" "+struck+" "+kind))
				}
				for _, order := range [][]string{{cidr4, cidr6}, {cidr6, cidr4}} {
					if got := notOK(host.Check(facts, want46(order...))); !slices.Equal(got, want) {
						t.Errorf("of %v: want %q, got %q", order, want, got)
					}
				}
			})
		}
	}
}

// TestWhatIsDoneIsOfTheFamilyThatNeedsIt: an IPv6 network is no reason to touch
// IPv4, nor the reverse.
func TestWhatIsDoneIsOfTheFamilyThatNeedsIt(t *testing.T) {
	n := node(t)
	for _, six := range []string{"", "6"} {
		banned := map[string]string{"": "198.51.100.6/32", "6": "2001:db8::6/128"}[six]
		with("ip"+six+"tables-nft-restore", "*filter\n:DOCKER-GUARD - [0:0]\n-A FORWARD -j DOCKER-GUARD\n-A DOCKER-GUARD -s "+banned+" -j DROP\n-A DOCKER-GUARD -i up0 -j DROP\nCOMMIT\n")(n)
	}
	facts := read(n)
	for i, family := range []string{"ip", "ip6"} {
		w := want46(cidr4, cidr6)
		w.Networks[1-i].Asymmetric = false
		for _, o := range host.PlanRepair(facts, want46(w.Networks[i].Prefix.String()), host.Means{First: true}).Openings {
			if string(o.At.Family) != family {
				t.Errorf("only the %s network is announced: %+v", family, o)
			}
		}
		w.Networks = w.Networks[i : i+1]
		if fix := find(t, host.Check(facts, w), "forward-drop").Fix; !strings.Contains(fix, "\n"+family+"tables -I DOCKER-USER") {
			t.Errorf("%s: %s", family, fix)
		}
	}
}

func familyOf(six string) string {
	if six == "" {
		return "4"
	}
	return six
}

// notOK are check and subject of the findings that are not ok.
func notOK(findings []host.Finding) []string {
	var out []string
	for _, f := range findings {
		if f.State != host.OK {
			out = append(out, f.Check+" "+f.Subject)
		}
	}
	return out
}
