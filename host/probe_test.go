package host_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// TestProbe asks over a network that carries Pod addresses, over one that drops
// them, and where nobody answers.
func TestProbe(t *testing.T) {
	needs.Root(t, "ip", "nft")
	a, fabric, b := hosttest.NewSpace(t), hosttest.NewSpace(t), hosttest.NewSpace(t)
	hosttest.Cable(t, a, "up0", fabric, "a0")
	hosttest.Cable(t, b, "up0", fabric, "b0")
	fabric.Sh("ip link add br0 type bridge; ip link set br0 up; ip link set a0 master br0; ip link set b0 master br0")
	a.Sh("ip addr add 172.30.0.11/24 dev up0")
	b.Sh("ip addr add 172.30.0.12/24 dev up0; ip route add 10.166.0.0/16 dev lo")
	b.Sysctl("net.ipv4.conf.all.rp_filter", "0")
	b.Sysctl("net.ipv4.conf.up0.rp_filter", "0")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	b.Go(func() { ended <- host.AnswerProbes(ctx, want4) })
	ask := func(to string, patience time.Duration) (f host.Finding) {
		a.Do(func() error {
			f = host.Probe(context.Background(), netip.MustParseAddr(to), want4(), patience)[0]
			return nil
		})
		return f
	}
	var f host.Finding
	await(t, "the probe is seen", func() bool { f = ask("172.30.0.12", time.Second); return f.State == host.OK })
	fabric.RunWith("table bridge guard {\n chain fw { type filter hook forward priority 0; policy accept;\n iifname \"a0\" ether type ip ip saddr != 172.30.0.11 drop\n }\n}\n", "nft", "-f", "-")
	if f = ask("172.30.0.12", time.Second); f.State != host.Wrong || f.Fix == "" {
		t.Errorf("a fabric that checks sources: %+v", f)
	}
	if f = ask("172.30.0.99", 200*time.Millisecond); f.State != host.Unknown {
		t.Errorf("nobody there: %+v", f)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if f = ask("172.30.0.12", 200*time.Millisecond); f.State != host.Unknown || f.Got != "172.30.0.12 answers, and fairway there does not" || f.Fix == "" {
		t.Errorf("no fairway on the other node: %+v", f)
	}
}
