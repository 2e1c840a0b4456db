package enforce_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/enforce"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// towards is a packet from a client to an address, as it comes in.
func towards(client, inside string, state netfilter.State) netfilter.Packet {
	return netfilter.Packet{In: "up0", Out: "ovn0", Src: netip.MustParseAddr(client), Dst: netip.MustParseAddr(inside), Protocol: netfilter.TCP, SrcPort: 40000, DstPort: 80, Flags: netfilter.SYN, State: state}
}

// TestEnforcingLetsNoBannedClientIn: what others have decided about somebody stays
// decided, and what is opened is what was dropped for want of a rule.
func TestEnforcingLetsNoBannedClientIn(t *testing.T) {
	const anybody, banned, pod, bannedPod = "203.0.113.5", "198.51.100.66", "10.166.0.10", "10.166.5.5"
	passes := func(client, inside string, state netfilter.State) netfilter.Packet {
		return towards(client, inside, state)
	}
	cases := []struct {
		name, rules string
		// in and out are what passes and what does not, after enforcing.
		in, out []netfilter.Packet
		// why is why nothing is opened, "" where it is.
		why string
	}{
		{"a ban, then policy DROP", ":FORWARD DROP\n-A FORWARD -s 198.51.100.66/32 -j DROP",
			[]netfilter.Packet{passes(anybody, pod, netfilter.New)}, []netfilter.Packet{passes(banned, pod, netfilter.New)}, ""},
		{"a banned Pod, then a drop of all", ":FORWARD ACCEPT\n-A FORWARD -d 10.166.5.5/32 -j DROP\n-A FORWARD -j DROP",
			[]netfilter.Packet{passes(anybody, pod, netfilter.New)}, []netfilter.Packet{passes(anybody, bannedPod, netfilter.New)}, ""},
		{"bans in a chain before", ":FORWARD DROP\n:BANS -\n-A FORWARD -j BANS\n-A BANS -s 198.51.100.0/24 -j DROP",
			[]netfilter.Packet{passes(anybody, pod, netfilter.New)}, []netfilter.Packet{passes(banned, pod, netfilter.New)}, ""},
		{"a limit, then policy DROP", ":FORWARD DROP\n-A FORWARD -p tcp -m connlimit --connlimit-above 5 --connlimit-mask 32 --connlimit-saddr -j DROP",
			nil, nil, ""},
		{"one chain that bans and drops", ":FORWARD ACCEPT\n:FW -\n-A FORWARD -j FW\n-A FW -s 198.51.100.66/32 -j DROP\n-A FW -j DROP",
			nil, []netfilter.Packet{passes(anybody, pod, netfilter.New), passes(banned, pod, netfilter.New)}, "turn away"},
		{"a ban behind the drop of INVALID", ":FORWARD ACCEPT\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n-A FORWARD -s 198.51.100.66/32 -j DROP",
			nil, []netfilter.Packet{passes(banned, pod, netfilter.Invalid), passes(banned, pod, netfilter.New)}, "turn away"},
		{"an allow list", ":FORWARD DROP\n-A FORWARD -s 198.51.100.0/24 -j ACCEPT\n-A FORWARD -d 198.51.100.0/24 -j ACCEPT",
			[]netfilter.Packet{passes(banned, pod, netfilter.New)}, []netfilter.Packet{passes(anybody, pod, netfilter.New)}, "allow list"},
		{"an allow list of ports", ":FORWARD DROP\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A FORWARD -d 10.166.0.0/16 -p tcp -m tcp --dport 80 -j ACCEPT",
			nil, []netfilter.Packet{func() netfilter.Packet { p := passes(anybody, pod, netfilter.New); p.DstPort = 22; return p }()}, "allow list"},
		{"INVALID in a chain of kube-proxy's", ":FORWARD ACCEPT\n:KUBE-FORWARD -\n-A FORWARD -j KUBE-FORWARD\n-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n-A FORWARD -m conntrack --ctstate NEW -s 198.51.100.66/32 -j DROP",
			[]netfilter.Packet{passes(anybody, pod, netfilter.Invalid)}, []netfilter.Packet{passes(banned, pod, netfilter.New)}, ""},
	}
	for _, backend := range []string{"iptables-nft", "iptables-legacy"} {
		for _, c := range cases {
			t.Run(backend+", "+c.name, func(t *testing.T) {
				n := node(t)
				n.RunWith("*filter\n"+c.rules+"\nCOMMIT\n", backend+"-restore")
				before := rules(n)
				e := enforce.Enforcer{State: t.TempDir()}
				enforced(t, n, e, want4())
				facts := read(n)
				for _, p := range c.in {
					if r := facts.Filter.IPv4.Walk(p); r.Verdict != netfilter.Accepted {
						t.Errorf("%s is %s by %v", p, r.Verdict, r.By)
					}
				}
				for _, p := range c.out {
					if r := facts.Filter.IPv4.Walk(p); r.Verdict != netfilter.Dropped {
						t.Errorf("%s is %s", p, r.Verdict)
					}
				}
				if enforced(t, n, e, want4()) {
					t.Error("applied twice is not applied once")
				}
				if c.why != "" {
					refusedSaysWhy(t, facts, c.why)
				}
				if after := rules(n); c.why != "" && after != before {
					t.Errorf("something was put:\n%s", difference(before, after))
				}
				undo(t, n, e)
				if after := rules(n); after != before {
					t.Errorf("undo left traces:\n%s", difference(before, after))
				}
			})
		}
	}
}

// refusedSaysWhy looks for the reason, and for the way out, in what check says.
func refusedSaysWhy(t *testing.T, facts host.Facts, why string) {
	t.Helper()
	if !slices.ContainsFunc(host.Check(facts, want4()), func(f host.Finding) bool {
		return strings.Contains(f.Fix, why) && strings.Contains(f.Fix, "--accept=first")
	}) {
		t.Errorf("no finding says %q and --accept=first: %+v", why, host.Check(facts, want4()))
	}
}

// TestAcceptFirstOverrulesEverybody where it is asked for.
func TestAcceptFirstOverrulesEverybody(t *testing.T) {
	n := node(t)
	n.RunWith("*filter\n:FORWARD ACCEPT\n:FW -\n-A FORWARD -j FW\n-A FW -s 198.51.100.66/32 -j DROP\n-A FW -j DROP\nCOMMIT\n", "iptables-nft-restore")
	before := rules(n)
	e := enforce.Enforcer{State: t.TempDir(), Means: host.Means{First: true}}
	enforced(t, n, e, want4())
	facts := read(n)
	if r := facts.Filter.IPv4.Walk(towards("198.51.100.66", "10.166.0.10", netfilter.New)); r.Verdict != netfilter.Accepted {
		t.Errorf("%+v", r.By)
	}
	undo(t, n, e)
	if after := rules(n); after != before {
		t.Errorf("undo left traces:\n%s", difference(before, after))
	}
}

// TestWhatIptablesSavesLoadsWithoutOurSet: a node that boots with saved rules has no set
// of ours, and a rule that names one would keep all the others out.
func TestWhatIptablesSavesLoadsWithoutOurSet(t *testing.T) {
	for _, backend := range []string{"iptables-nft", "iptables-legacy"} {
		n := node(t)
		n.RunWith("*filter\n:INPUT DROP\n:FORWARD DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n", backend+"-restore")
		enforced(t, n, enforce.Enforcer{State: t.TempDir()}, want4())
		saved := n.Run(backend + "-save")
		booted := node(t)
		booted.RunWith(saved, backend+"-restore")
		if !strings.Contains(booted.Run(backend, "-S", "FAIRWAY-FORWARD"), "10.166.0.0/16") {
			t.Error("our rules are not there")
		}
	}
}
