package host_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
)

// BenchmarkAskDatapath is what a pass of the gate costs on a node with a thousand
// networks.
func BenchmarkAskDatapath(b *testing.B) {
	n := node(b)
	w := want46()
	var script strings.Builder
	for i := range 1000 {
		p := fmt.Sprintf("10.%d.%d.0/24", 100+i/256, i%256)
		fmt.Fprintf(&script, "route add %s via 100.64.0.1\n", p)
		w.Networks = append(w.Networks, host.Network{Prefix: netip.MustParsePrefix(p), Subnet: p})
	}
	n.RunWith(script.String(), "ip", "-batch", "-")
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			_ = n.Do(func() error { host.ReadDatapath("ovn0"); return nil })
		}
	})
	b.Run("gate", func(b *testing.B) {
		for b.Loop() {
			_ = n.Do(func() error { host.AskWhereRulesLead(w).Down(w); return nil })
		}
	})
	b.Run("ask", func(b *testing.B) {
		for b.Loop() {
			_ = n.Do(func() error { host.AskDatapath(w); return nil })
		}
	})
	var d host.Datapath
	_ = n.Do(func() error { d = host.AskDatapath(w); return nil })
	b.Run("down", func(b *testing.B) {
		for b.Loop() {
			d.Down(w)
		}
	})
	b.Run("uplinks", func(b *testing.B) {
		for b.Loop() {
			host.Facts{Datapath: d}.Uplinks(w, false)
		}
	})
}
