package host_test

import (
	"context"
	"maps"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// TestWhatIsMasqueraded looks into Kube-OVN's own sets: there, gone, and with
// other networks around.
func TestWhatIsMasqueraded(t *testing.T) {
	needs.Root(t, "ipset")
	n := hosttest.NewSpace(t)
	p4, p6 := netip.MustParsePrefix(cidr4), netip.MustParsePrefix(cidr6)
	m := host.NewMasqueraded()
	among := func() (got map[netip.Prefix]bool) {
		n.Do(func() error { got = m.Among([]netip.Prefix{p4, p6}); return nil })
		return got
	}
	expect := func(when string, want map[netip.Prefix]bool) {
		t.Helper()
		if got := among(); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	expect("no set is there", nil)
	n.Sh("ipset create ovn40subnets-nat hash:net; ipset add ovn40subnets-nat 10.16.0.0/16; ipset add ovn40subnets-nat 10.166.0.0/24")
	expect("others and a part are in the IPv4 set", map[netip.Prefix]bool{p4: false})
	n.Sh("ipset create ovn60subnets-nat hash:net family inet6; ipset add ovn60subnets-nat " + cidr6 + "; ipset add ovn40subnets-nat " + cidr4)
	expect("both are in their sets", map[netip.Prefix]bool{p4: true, p6: true})

	ctx, cancel := context.WithCancel(context.Background())
	done, rung := make(chan error, 1), &atomic.Int32{}
	n.Go(func() { done <- m.Watch(ctx, func() { rung.Add(1) }) })
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	n.Sh("ipset del ovn40subnets-nat " + cidr4)
	await(t, "the bell, for one has left", func() bool { return rung.Load() == 1 })
	expect("one has left", map[netip.Prefix]bool{p4: false, p6: true})
	n.Sh("ipset destroy ovn60subnets-nat")
	await(t, "the bell, for a set is gone", func() bool { return rung.Load() == 2 })
	expect("a set is gone", map[netip.Prefix]bool{p4: false})
}
