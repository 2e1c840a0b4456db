package enforce_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// node is a namespace like a node's.
func node(t testing.TB) *hosttest.Space {
	t.Helper()
	needs.Root(t, "ip", "iptables-legacy", "iptables-nft", "nft", "ipset")
	return hosttest.NewNode(t)
}

// want4 is one asymmetric IPv4 network.
func want4() host.Want { return wanted("10.166.0.0/16") }

// dual is a want of both families.
func dual() host.Want { return wanted("10.166.0.0/16", "fd00:166::/64") }

// several are so many networks that rules name our set.
func several() host.Want {
	var out []string
	for i := range 10 {
		out = append(out, fmt.Sprintf("10.%d.0.0/16", 166+i))
	}
	return wanted(out...)
}

func wanted(networks ...string) host.Want {
	w := host.Want{Overlay: "ovn0", Peers: []netip.Addr{netip.MustParseAddr("172.30.0.1")}}
	for _, n := range networks {
		w.Networks = append(w.Networks, host.Network{Prefix: netip.MustParsePrefix(n), Subnet: "routed", Asymmetric: true})
	}
	return w
}

// read is host.Read in a namespace. What runs elsewhere on this machine is left
// out.
func read(s *hosttest.Space) host.Facts {
	var f host.Facts
	s.Do(func() error { f = host.Read(context.Background(), dual()); return nil })
	f.Processes = host.Processes{}
	return f
}

func find(t *testing.T, findings []host.Finding, check string) host.Finding {
	t.Helper()
	for _, f := range findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("no finding of %s", check)
	return host.Finding{}
}

func with(command, input string) func(*hosttest.Space) {
	return func(s *hosttest.Space) { s.RunWith(input, strings.Fields(command)...) }
}
