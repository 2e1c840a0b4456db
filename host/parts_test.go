package host_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// behind are the facts of a healthy node with rules as iptables-save and ipset
// print them.
func behind(t testing.TB, rules, sets string) host.Facts {
	t.Helper()
	f := healthy()
	var err error
	if f.Filter.IPv4.Tables, err = netfilter.ParseIptables(rules, netfilter.IptablesNft, netfilter.IPv4); err != nil {
		t.Fatalf("%v\n%s", err, rules)
	}
	if f.Filter.IPv4.Sets, err = netfilter.ParseIPSets(sets); err != nil {
		t.Fatalf("%v\n%s", err, sets)
	}
	return f
}

// many repeats a line for so many addresses of the announced network.
func many(n int, line string) string {
	var b strings.Builder
	for i := range n {
		a := fmt.Sprintf("10.166.%d.%d", i/200, i%200+1)
		b.WriteString(strings.NewReplacer("ADDRESS", a, "NUMBER", fmt.Sprint(i)).Replace(line))
	}
	return b.String()
}

const forwardHead = "*filter\n:FORWARD ACCEPT [0:0]\n"

// TestEachPartThatRulesName has rules for many parts of a network.
func TestEachPartThatRulesName(t *testing.T) {
	cases := []struct {
		name, rules, sets string
		drop, masquerade  host.State
	}{
		{"40 accepted addresses before a dropped half", forwardHead + many(40, "-A FORWARD -s ADDRESS/32 -j ACCEPT\n") + "-A FORWARD -d 10.166.128.0/17 -j DROP\nCOMMIT\n", "", host.Wrong, host.OK},
		{"a dropped half behind 40 dropped ports", forwardHead + many(40, "-A FORWARD -d ADDRESS/32 -p tcp -m tcp --dport 25 -j DROP\n") + "-A FORWARD -d 10.166.128.0/17 -j DROP\nCOMMIT\n", "", host.Wrong, host.OK},
		{"5,000 endpoints of Services", kubeProxyNAT(5000), "", host.OK, host.OK},
		{"5,000 endpoints of Services, IPVS", "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE\nCOMMIT\n",
			"create KUBE-LOOP-BACK hash:ip,port,ip family inet\n" + many(5000, "add KUBE-LOOP-BACK ADDRESS,tcp:8080,ADDRESS\n"), host.OK, host.OK},
		{"5,000 accepted addresses", forwardHead + many(5000, "-A FORWARD -d ADDRESS/32 -j ACCEPT\n") + "COMMIT\n", "", host.OK, host.OK},
		{"5,000 addresses in a set that is dropped", forwardHead + "-A FORWARD -m set --match-set banned dst -j DROP\nCOMMIT\n", "create banned hash:ip\n" + many(5000, "add banned ADDRESS\n"), host.Wrong, host.OK},
		{"5,000 addresses in a set that is accepted, and not for one port", forwardHead + "-A FORWARD -p tcp -m tcp --dport 25 -m set --match-set mailers dst -j DROP\nCOMMIT\n", "create mailers hash:ip\n" + many(5000, "add mailers ADDRESS\n"), host.OK, host.OK},
		{"100 Pods with a firewall each", forwardHead + many(100, ":POD-NUMBER - [0:0]\n") + many(100, "-A FORWARD -d ADDRESS/32 -j POD-NUMBER\n-A POD-NUMBER -p tcp -m tcp --dport 25 -j DROP\n") + "COMMIT\n", "", host.OK, host.OK},
		{"300 Pods with a firewall each", forwardHead + many(300, ":POD-NUMBER - [0:0]\n") + many(300, "-A FORWARD -d ADDRESS/32 -j POD-NUMBER\n-A FORWARD -s ADDRESS/32 -j POD-NUMBER\n-A POD-NUMBER -p tcp -m tcp --dport 25 -j DROP\n-A POD-NUMBER -p tcp -m tcp --dport 26 -j DROP\n") + "COMMIT\n", "", host.OK, host.OK},
		{"100 Pods with a firewall each, the last one shut", forwardHead + many(100, ":POD-NUMBER - [0:0]\n") + many(100, "-A FORWARD -d ADDRESS/32 -j POD-NUMBER\n-A POD-NUMBER -p tcp -m tcp --dport 25 -j DROP\n") + "-A POD-99 -j DROP\nCOMMIT\n", "", host.Wrong, host.OK},
		{"5,000 Pods with a firewall each", forwardHead + many(5000, ":POD-NUMBER - [0:0]\n") + many(5000, "-A FORWARD -d ADDRESS/32 -j POD-NUMBER\n-A POD-NUMBER -p tcp -m tcp --dport 25 -j DROP\n") + "COMMIT\n", "", host.Unknown, host.Unknown},
		{"an exception in a set that is dropped", forwardHead + "-A FORWARD -m set --match-set banned dst -j DROP\nCOMMIT\n", "create banned hash:net\nadd banned 10.166.7.0/24 nomatch\nadd banned 10.166.7.128/25\n", host.Wrong, host.OK},
		{"a masqueraded part", "*nat\n:POSTROUTING ACCEPT [0:0]\n" + many(40, "-A POSTROUTING -s ADDRESS/32 -j ACCEPT\n") + "-A POSTROUTING -s 10.166.128.0/17 -j MASQUERADE\nCOMMIT\n", "", host.OK, host.Wrong},
		{"a chain that no packet of the network reaches", forwardHead + ":REST - [0:0]\n-A FORWARD -d 10.99.0.0/16 -j REST\n" + many(40, "-A REST -d ADDRESS/32 -j DROP\n") + "COMMIT\n", "", host.OK, host.OK},
		{"a chain that only parts reach", forwardHead + ":PODS - [0:0]\n-A FORWARD -d 10.166.7.0/24 -j PODS\n-A PODS -d 10.166.7.7/32 -j DROP\nCOMMIT\n", "", host.Wrong, host.OK},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Now()
			findings := host.Check(behind(t, c.rules, c.sets), symmetric())
			t.Log(time.Since(begin))
			for check, want := range map[string]host.State{"forward-drop": c.drop, "masquerade": c.masquerade} {
				if f := find(t, findings, check); f.State != want || f.State != host.OK && f.Fix == "" {
					t.Errorf("%s: want %s, got %s: %s; fix %s", check, want, f.State, f.Got, f.Fix)
				}
			}
		})
	}
}

// kubeProxyNAT is what kube-proxy has for a Service with so many endpoints.
func kubeProxyNAT(n int) string {
	return `*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC-A - [0:0]
` + many(n, ":KUBE-SEP-NUMBER - [0:0]\n") + `-A PREROUTING -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-SERVICES -d 10.96.0.77/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-A
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -j MASQUERADE
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
` + many(n, `-A KUBE-SVC-A -m statistic --mode random --probability 0.5 -j KUBE-SEP-NUMBER
-A KUBE-SEP-NUMBER -s ADDRESS/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-NUMBER -p tcp -m tcp -j DNAT --to-destination ADDRESS:8080
`) + "COMMIT\n"
}

// TestWhatIsOKIsSoForEachAddress makes random rules for parts of a small network
// and asks about each address of it.
func TestWhatIsOKIsSoForEachAddress(t *testing.T) {
	w := symmetric()
	w.Networks[0].Prefix = netip.MustParsePrefix("10.166.0.0/27")
	count := map[host.State]int{}
	for seed := range uint64(1000) {
		g := partRules{rand.New(rand.NewPCG(seed, 7))}
		rules, sets := g.rules(), g.sets()
		f := behind(t, rules, sets)
		f.Datapath.Routes[w.Networks[0].Prefix] = f.Datapath.Routes[netip.MustParsePrefix(cidr4)]
		whole, all := judgedTCP(host.Check(f, w))
		lost, where := lostOfAll(&f.Filter.IPv4, w.Networks[0].Prefix)
		if lost > 0 != (all == host.Wrong) || lost >= 2 && whole != host.Wrong {
			t.Fatalf("seed %d: %s as a whole, %s in parts, but %d of 32 are lost, as %s:\n%s%s", seed, whole, all, lost, where, sets, rules)
		}
		if all != whole {
			count["small"]++
		}
		count[all]++
	}
	t.Log(count)
	if count[host.OK] < 100 || count[host.Wrong] < 100 || count["small"] < 10 {
		t.Errorf("the rules are too much alike: %v", count)
	}
}

// judgedTCP is what is said of TCP with anywhere: of the network as a whole, and with
// its small parts.
func judgedTCP(findings []host.Finding) (whole, all host.State) {
	var judged []host.Finding
	for _, f := range findings {
		if f.Check == "forward-drop" && (f.About.Part == "" || strings.HasPrefix(f.About.Part, "part ") && !strings.Contains(f.About.Part[len("part "):], " ")) {
			judged = append(judged, f)
		}
	}
	return judged[0].State, host.Worst(judged)
}

// lostOfAll walks plain connections of each address, and counts those that are lost.
func lostOfAll(rules *netfilter.Ruleset, p netip.Prefix) (lost int, where netip.Addr) {
	far := netip.MustParseAddr("23.45.67.89")
	for a := p.Addr(); p.Contains(a); a = a.Next() {
		isLost := false
		for _, s := range netfilter.SeenWhole() {
			out := netfilter.Packet{In: "ovn0", Out: "up0", Src: a, Dst: far, Protocol: netfilter.TCP, SrcPort: 47613, DstPort: 21879, Flags: s.Flags, State: s.State}
			in := out
			in.In, in.Out, in.Src, in.Dst = out.Out, out.In, out.Dst, out.Src
			isLost = isLost || rules.Walk(out).Verdict != netfilter.Accepted || rules.Walk(in).Verdict != netfilter.Accepted
		}
		if isLost {
			lost, where = lost+1, a
		}
	}
	return lost, where
}

// partRules makes rules that name parts of 10.166.0.0/27.
type partRules struct{ *rand.Rand }

func (g partRules) one(of ...string) string { return of[g.IntN(len(of))] }

func (g partRules) part() string {
	bits := 25 + g.IntN(8)
	p, _ := netip.AddrFrom4([4]byte{10, 166, 0, byte(g.IntN(32))}).Prefix(bits)
	return p.String()
}

func (g partRules) sets() string {
	var b strings.Builder
	b.WriteString("create nets hash:net\ncreate hosts hash:ip\ncreate pairs hash:ip,port\ncreate ends hash:net,net\n")
	for range 3 {
		fmt.Fprintf(&b, "add nets %s%s\nadd hosts 10.166.0.%d\nadd pairs 10.166.0.%d,tcp:%s\nadd ends %s,%s\n", g.part(), g.one("", "", " nomatch"), g.IntN(32), g.IntN(32), g.one("21879", "80"),
			g.part(), g.one("23.45.0.0/16", "10.166.0.0/24"))
	}
	return b.String()
}

func (g partRules) match() string {
	flag := g.one("-s ", "-d ", "! -s ", "! -d ")
	return g.one(flag+g.part(), flag+g.part(), "-m set --match-set "+g.one("nets", "hosts")+g.one(" src", " dst"), "-m set ! --match-set hosts"+g.one(" src", " dst"),
		"-m set --match-set pairs"+g.one(" src,dst", " dst,dst"), "-m set --match-set ends"+g.one(" src,dst", " dst,src"), "-m iprange --dst-range 10.166.0.3-10.166.0.12", "-m mark --mark 0x1/0x1", "-p tcp -m tcp --dport 80")
}

func (g partRules) rules() string {
	var b strings.Builder
	b.WriteString("*filter\n:FORWARD " + g.one("ACCEPT", "ACCEPT", "DROP") + " [0:0]\n:A - [0:0]\n:B - [0:0]\n")
	rule := func(chain string, targets ...string) {
		fmt.Fprintf(&b, "-A %s %s -j %s\n", chain, g.match(), g.one(targets...))
	}
	for range 1 + g.IntN(4) {
		rule("FORWARD", "ACCEPT", "ACCEPT", "A", "A", "DROP", "RETURN", "MARK --set-xmark 0x1/0x1")
	}
	for range g.IntN(3) {
		rule("A", "ACCEPT", "B", "RETURN", "DROP")
	}
	rule("B", "ACCEPT", "DROP", "RETURN")
	b.WriteString("-A FORWARD " + g.one("", "-s 10.166.0.0/16 ") + "-j " + g.one("ACCEPT", "A", "B") + "\nCOMMIT\n")
	return b.String()
}
