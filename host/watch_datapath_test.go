package host_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/host"
)

// TestARuleOfRoutingIsNoticed: each change rings, and the gate's answer follows it.
func TestARuleOfRoutingIsNoticed(t *testing.T) {
	n := node(t)
	ctx, cancel := context.WithCancel(t.Context())
	rung, ended := make(chan struct{}, 1), make(chan error, 1)
	n.Go(func() {
		ended <- host.WatchDatapath(ctx, func() {
			select {
			case rung <- struct{}{}:
			default:
			}
		})
	})
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the watch ended: %v", err)
		}
	}()
	w := want46(cidr4, cidr6)
	down := func() (out map[netip.Prefix]string) {
		_ = n.Do(func() error { out = host.AskWhereRulesLead(w).Down(w); return nil })
		return out
	}
	// The subscription stands once a change is heard; changes are made until one is.
	for heard := false; !heard; {
		n.Sh("ip link set lo down; ip link set lo up")
		select {
		case <-rung:
			heard = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	four, six := netip.MustParsePrefix(cidr4), netip.MustParsePrefix(cidr6)
	for _, step := range []struct {
		command string
		gone    []netip.Prefix
	}{
		{"ip rule add from 10.166.0.0/16 pref 100 blackhole", []netip.Prefix{four}},
		{"ip -6 rule add to fd00:166::/64 pref 100 prohibit", []netip.Prefix{four, six}},
		{"ip rule del pref 100", []netip.Prefix{six}},
		{"ip -6 rule del pref 100", nil},
	} {
		n.Sh(step.command)
		bound := time.After(30 * time.Second)
		for got := down(); len(got) != len(step.gone); got = down() {
			select {
			case <-rung:
			case <-bound:
				t.Fatalf("after %s: down is %v", step.command, got)
			}
		}
		got := down()
		for _, p := range step.gone {
			if got[p] == "" {
				t.Errorf("after %s: down is %v", step.command, got)
			}
		}
	}
}
