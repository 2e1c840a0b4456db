package host_test

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// BenchmarkCheck is one whole check, facts and judgement, with foreign rules in
// the way.
func BenchmarkCheck(b *testing.B) {
	for _, foreign := range []string{"none", "1000 nft", "10000 nft", "10000 legacy", "10000 native"} {
		b.Run(foreign, func(b *testing.B) {
			n := node(b)
			count, backend, _ := strings.Cut(foreign, " ")
			install(n, backend, map[string]int{"none": 0, "1000": 1000, "10000": 10000}[count])
			b.ResetTimer()
			for range b.N {
				findings := host.Check(read(n), want4())
				if foreign != "none" && firstOf(findings, "forward-drop").State != host.Wrong {
					b.Fatal("the drop behind the foreign rules was not found")
				}
			}
		})
	}
}

// BenchmarkAuditAgain is one whole check of a usual node on which nothing has changed.
func BenchmarkAuditAgain(b *testing.B) {
	n := node(b)
	n.RunWith(hosttest.KubeOVNSets, "ipset", "restore")
	for _, rules := range []string{hosttest.DockerRules, hosttest.KubeProxyPlain, hosttest.KubeOVNRules} {
		n.RunWith(rules, "iptables-nft-restore", "-n")
	}
	var r host.FilterReader
	var facts host.Facts
	read := func() { n.Do(func() error { facts = r.ReadAll(context.Background(), want4()); return nil }) }
	read()
	read()
	b.ResetTimer()
	for range b.N {
		read()
		host.Check(facts, want4())
	}
}

func firstOf(findings []host.Finding, check string) host.Finding {
	for _, f := range findings {
		if f.Check == check {
			return f
		}
	}
	return host.Finding{}
}

// install puts foreign rules on a node, and a drop behind them.
func install(n *hosttest.Space, backend string, rules int) {
	var b strings.Builder
	address := func(i int) string { return "192.168." + strconv.Itoa(i/250) + "." + strconv.Itoa(i%250) }
	if backend == "native" {
		b.WriteString("table inet foreign {\n chain fw {\n type filter hook forward priority 0; policy drop;\n")
		for i := range rules {
			b.WriteString("ip daddr " + address(i) + " tcp dport 80 accept\n")
		}
		b.WriteString("}\n}\n")
		n.RunWith(b.String(), "nft", "-f", "-")
		return
	}
	if rules == 0 {
		return
	}
	b.WriteString("*filter\n:FORWARD DROP\n")
	for i := range rules {
		b.WriteString("-A FORWARD -d " + address(i) + "/32 -p tcp -m tcp --dport 80 -j ACCEPT\n")
	}
	b.WriteString("COMMIT\n")
	n.RunWith(b.String(), "iptables-"+backend+"-restore")
}

// BenchmarkCheckManyNetworks judges 1,000 networks behind 1,000 foreign rules.
func BenchmarkCheckManyNetworks(b *testing.B) {
	n := node(b)
	install(n, "nft", 1000)
	w := want4()
	for i := range 1000 {
		w.Networks = append(w.Networks, host.Network{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 0}), 24), Asymmetric: true})
	}
	facts := read(n)
	b.ResetTimer()
	for range b.N {
		host.Check(facts, w)
	}
}
