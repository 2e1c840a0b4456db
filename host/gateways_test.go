package host_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

var join4, join6 = netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("fd00:100:64::1")

// joined is a node whose ovn0 leads by a switch to a join gateway, so that the
// link stays up whatever becomes of that.
func joined(t testing.TB) (n, gateway *hosttest.Space) {
	t.Helper()
	needs.Root(t, "ip", "nft")
	n, gateway = hosttest.NewSpace(t), hosttest.NewSpace(t)
	fabric := hosttest.NewSpace(t)
	hosttest.Cable(t, n, "ovn0", fabric, "n0")
	hosttest.Cable(t, gateway, "join", fabric, "g0")
	fabric.Sh("ip link add br0 type bridge; ip link set br0 up; ip link set n0 master br0; ip link set g0 master br0")
	n.Sh("ip addr add 100.64.0.11/16 dev ovn0; ip -6 addr add fd00:100:64::11/112 dev ovn0 nodad")
	gateway.Sh("ip addr add 100.64.0.1/16 dev join; ip -6 addr add fd00:100:64::1/112 dev join nodad")
	return n, gateway
}

// follow asks the gateways of both families until the test ends. down is what they
// are like, rings counts the bell.
func follow(t testing.TB, n *hosttest.Space, nodeGone *atomic.Bool) (down func() map[netip.Addr]string, rings *atomic.Int32) {
	t.Helper()
	g := host.NewGateways("ovn0", silent())
	rings = &atomic.Int32{}
	down = func() map[netip.Addr]string { return g.Follow([]netip.Addr{join4, join6}, nodeGone.Load()) }
	down()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	n.Go(func() { done <- g.Watch(ctx, func() { rings.Add(1) }) })
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return down, rings
}

// TestAJoinGatewayGoesAndComesBack has each family's go and come back by itself,
// while the link stays up.
func TestAJoinGatewayGoesAndComesBack(t *testing.T) {
	n, gateway := joined(t)
	down, rings := follow(t, n, &atomic.Bool{})
	await(t, "both answer", func() bool { return answer(n) })
	for _, of := range []struct {
		hop, other netip.Addr
		ip, flags  string
		address    string
	}{{join4, join6, "ip", "", "100.64.0.1/16"}, {join6, join4, "ip -6", "nodad", "fd00:100:64::1/112"}} {
		before := rings.Load()
		gone := time.Now()
		gateway.Sh(of.ip + " addr del " + of.address + " dev join")
		await(t, of.hop.String()+" is down", func() bool { return down()[of.hop] != "" })
		t.Logf("down after %s: %s", time.Since(gone).Round(time.Millisecond), down()[of.hop])
		if why := down()[of.other]; why != "" {
			t.Errorf("the other family: %s", why)
		}
		if !strings.HasPrefix(down()[of.hop], "the join gateway "+of.hop.String()+" does not answer on ovn0 (") {
			t.Error(down()[of.hop])
		}
		back := time.Now()
		gateway.Sh(of.ip + " addr add " + of.address + " dev join " + of.flags)
		await(t, of.hop.String()+" is up again", func() bool { return len(down()) == 0 })
		t.Logf("up after %s", time.Since(back).Round(time.Millisecond))
		if now := rings.Load(); now < before+2 {
			t.Errorf("the bell rang %d times for down and up", now-before)
		}
	}
}

// answer reports whether the kernel knows that both gateways answer.
func answer(n *hosttest.Space) bool {
	entries := n.Run("ip", "neigh", "show", "dev", "ovn0", "nud", "reachable")
	return strings.Contains(entries, join4.String()+" ") && strings.Contains(entries, join6.String()+" ")
}

// TestAJoinGatewayThatNeverWasIsDown by what the kernel finds alone, also for the
// traffic of others; who writes the entry takes that back.
func TestAJoinGatewayThatNeverWasIsDown(t *testing.T) {
	n, gateway := joined(t)
	gateway.Sh("ip link set join down")
	down, _ := follow(t, n, &atomic.Bool{})
	await(t, "both are down", func() bool { return len(down()) == 2 })
	for _, hop := range []netip.Addr{join4, join6} {
		if !strings.Contains(down()[hop], "(neighbour FAILED since ") {
			t.Error(down()[hop])
		}
	}
	n.Sh("ip neigh replace 100.64.0.1 lladdr 02:00:00:00:00:01 dev ovn0 nud permanent")
	await(t, "a written entry is not known to be down", func() bool { return down()[join4] == "" })
	if down()[join6] == "" {
		t.Error("the other family's entry was not written")
	}
	if state := n.Run("ip", "neigh", "show", "100.64.0.1", "dev", "ovn0"); !strings.Contains(state, "PERMANENT") {
		t.Errorf("the written entry is now %s", state)
	}
}

// TestAJoinGatewayThatEchoesNothing answers ARP and neighbour discovery, and a
// firewall or OVN's setting may eat echoes.
func TestAJoinGatewayThatEchoesNothing(t *testing.T) {
	n, gateway := joined(t)
	gateway.Sysctl("net.ipv4.icmp_echo_ignore_all", "1")
	gateway.Sysctl("net.ipv6.icmp.echo_ignore_all", "1")
	gateway.RunWith(`table netdev seen {
 counter v4 { }
 counter v6 { }
 chain in { type filter hook ingress device join priority 0;
  arp operation request ether daddr != ff:ff:ff:ff:ff:ff counter name v4
  icmpv6 type nd-neighbor-solicit ip6 daddr fd00:100:64::1 counter name v6
 }
}
`, "nft", "-f", "-")
	down, rings := follow(t, n, &atomic.Bool{})
	seen := func(counter string, atLeast int) bool {
		var count int
		out := gateway.Run("nft", "list", "counter", "netdev", "seen", counter)
		_, after, _ := strings.Cut(out, "packets ")
		fmt.Sscan(after, &count)
		return count >= atLeast
	}
	await(t, "three solicitations of each family", func() bool { return seen("v4", 3) && seen("v6", 3) })
	if rings.Load() > 0 || len(down()) > 0 {
		t.Errorf("rang %d times, down %v", rings.Load(), down())
	}
	gateway.Sh("ip link set join down")
	await(t, "both are down", func() bool { return len(down()) == 2 })
}

// TestOneDoubtIsEnoughWhereTheNodeIsGone, and none where there is no doubt.
func TestOneDoubtIsEnoughWhereTheNodeIsGone(t *testing.T) {
	n, gateway := joined(t)
	var nodeGone atomic.Bool
	down, rings := follow(t, n, &nodeGone)
	await(t, "both answer", func() bool { return answer(n) })
	nodeGone.Store(true)
	if len(down()) > 0 {
		t.Errorf("without a doubt: %v", down())
	}
	gateway.Sh("ip link set join down")
	gone := time.Now()
	await(t, "both are down", func() bool { return len(down()) == 2 })
	t.Logf("down after %s", time.Since(gone).Round(time.Millisecond))
	await(t, "the bell", func() bool { return rings.Load() > 0 })
}
