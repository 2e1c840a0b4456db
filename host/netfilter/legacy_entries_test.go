package netfilter_test

import (
	"io"
	"testing"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// FuzzLegacyEntries: whatever a kernel gives, reading it ends.
func FuzzLegacyEntries(f *testing.F) {
	f.Add(make([]byte, 512), uint32(31), uint32(0), uint32(152), false)
	f.Fuzz(func(_ *testing.T, rules []byte, hooks, entry, underflow uint32, six bool) {
		e := netfilter.LegacyEntries{Family: netfilter.IPv4, Hooks: hooks, Rules: rules}
		if six {
			e.Family = netfilter.IPv6
		}
		for i := range e.Entry {
			e.Entry[i], e.Underflow[i] = entry, underflow
		}
		e.WriteAll(io.Discard)
		e.WriteForwarding(io.Discard)
	})
}
