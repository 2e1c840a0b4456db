package discover_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/sirupsen/logrus"
	"golang.org/x/net/ipv6"

	"github.com/fairway-bgp/fairway/discover"
	"github.com/fairway-bgp/fairway/policy"

	"github.com/fairway-bgp/fairway/e2e/needs"
)

// inside runs a test in a network namespace of its own, as a process: sockets are opened
// by many goroutines.
func inside(t *testing.T, story func(*testing.T)) {
	t.Helper()
	const mark = "DISCOVER_INSIDE"
	if os.Getenv(mark) != "" {
		story(t)
		return
	}
	needs.Root(t, "ip")
	t.Parallel()
	space := fmt.Sprintf("fwd%d%s", os.Getpid(), t.Name())
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", space).Run() }) // there may be none
	if out, err := exec.Command("ip", "netns", "add", space).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := exec.Command("ip", "netns", "exec", space, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=3m")
	c.Env = append(os.Environ(), mark+"=1")
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("inside the namespace: %v", err)
	}
}

func sh(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
	return string(out)
}

// cable makes two links, each the other's end, without the second that asking for
// one's own address takes.
func cable(t *testing.T) {
	t.Helper()
	sh(t, "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; ip link set lo up; ip link add near type veth peer name far; ip link set near up; ip link set far up")
}

// linkLocal is the address of a link, with the link that it is seen on as zone.
func linkLocal(t *testing.T, of, on string) (address netip.Addr) {
	t.Helper()
	eventually(t, of+" has an address", func() bool {
		for _, word := range strings.Fields(sh(t, "ip -6 -o addr show scope link dev "+of)) {
			if p, err := netip.ParsePrefix(word); err == nil {
				address = p.Addr().WithZone(on)
			}
		}
		return address.IsValid()
	})
	return address
}

func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !yes(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so in a minute: %s", what)
		}
	}
}

// seek gives Neighbours that watch, and what they find.
func seek(t *testing.T, searches ...policy.Search) (find func(policy.Search) policy.Found) {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	n := discover.New(logrus.NewEntry(log))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Watch(ctx, func() {}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the watch ended: %v", err)
		}
	})
	return func(s policy.Search) policy.Found { return n.Find(searches)[s] }
}

func onLink(name string) policy.Search { return policy.SessionSettings{Interface: name}.Search() }

// TestTwoThatLookForEachOther: the end of each cable is the other's router.
func TestTwoThatLookForEachOther(t *testing.T) {
	inside(t, func(t *testing.T) {
		cable(t)
		near, far, absent := onLink("near"), onLink("far"), onLink("eth9")
		find := seek(t, near, far, absent)
		is := func(s policy.Search, router netip.Addr) func() bool {
			return func() bool { return slices.Equal(find(s).Routers, []netip.Addr{router}) && find(s).Why == "" }
		}
		eventually(t, "near finds far", is(near, linkLocal(t, "far", "near")))
		eventually(t, "far finds near", is(far, linkLocal(t, "near", "far")))
		if own := find(near).Own; own != linkLocal(t, "near", "near") {
			t.Errorf("near speaks from %s", own)
		}
		eventually(t, "a link that is not there is said", func() bool {
			f := find(absent)
			return f.Impossible && strings.Contains(f.Why, "no link eth9")
		})
		sh(t, "ip link set far down")
		eventually(t, "the link has no carrier", func() bool {
			return strings.Contains(find(near).Why, "no carrier") && strings.Contains(find(far).Why, "is down") && len(find(near).Routers) == 0
		})
		sh(t, "ip link set far address 02:00:5e:00:53:77; ip link set far up")
		eventually(t, "near finds the other one that is there now", is(near, netip.MustParseAddr("fe80::5eff:fe00:5377%near")))
	})
}

// TestOfTwoRoutersOnOneLinkOneGoes: behind a switch, whose port to the node stays up.
func TestOfTwoRoutersOnOneLinkOneGoes(t *testing.T) {
	inside(t, func(t *testing.T) {
		sh(t, "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; ip link set lo up; ip link add switch type bridge; ip link set switch up")
		for _, link := range []string{"near", "one", "two"} {
			sh(t, fmt.Sprintf("ip link add %[1]s type veth peer name to-%[1]s; ip link set to-%[1]s master switch; ip link set to-%[1]s up; ip link set %[1]s up", link))
		}
		find := seek(t, onLink("near"), onLink("one"), onLink("two"))
		one, two := linkLocal(t, "one", "near"), linkLocal(t, "two", "near")
		eventually(t, "both are found", func() bool {
			got := find(onLink("near")).Routers
			return len(got) == 2 && slices.Contains(got, one) && slices.Contains(got, two)
		})
		sh(t, "ip link set to-one down")
		eventually(t, "the one that is left is found alone", func() bool { return slices.Equal(find(onLink("near")).Routers, []netip.Addr{two}) })
	})
}

// TestARouterThatSaysNothing: what is in the way is said, after a while and not before.
func TestARouterThatSaysNothing(t *testing.T) {
	inside(t, func(t *testing.T) {
		cable(t)
		find := seek(t, onLink("near"))
		eventually(t, "it is said what to do", func() bool { return strings.Contains(find(onLink("near")).Why, "no router advertisement seen on near") })
	})
}

// TestTheNodeIsNobodysDefaultGateway: what it sends has lifetime 0 and no prefix, and it
// answers who asks, at once.
func TestTheNodeIsNobodysDefaultGateway(t *testing.T) {
	inside(t, func(t *testing.T) {
		cable(t)
		from := linkLocal(t, "near", "far")
		linkLocal(t, "far", "far")
		link, err := net.InterfaceByName("far")
		if err != nil {
			t.Fatal(err)
		}
		conn, _, err := ndp.Listen(link, ndp.LinkLocal)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var only ipv6.ICMPFilter
		only.SetAll(true)
		only.Accept(ipv6.ICMPTypeRouterAdvertisement)
		if err := conn.SetICMPFilter(&only); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		seek(t, onLink("near"))(onLink("near"))
		const unasked = 3
		for i := range unasked + 5 {
			if i >= unasked {
				if err := conn.WriteTo(&ndp.RouterSolicitation{}, nil, netip.MustParseAddr("ff02::2")); err != nil {
					t.Fatal(err)
				}
			}
			m, _, who, err := conn.ReadFrom()
			if err != nil {
				t.Fatal(err)
			}
			ra := m.(*ndp.RouterAdvertisement)
			if who != from || ra.RouterLifetime != 0 || ra.ManagedConfiguration || ra.OtherConfiguration {
				t.Errorf("from %s: %+v", who, ra)
			}
			if len(ra.Options) != 1 {
				t.Errorf("options %+v", ra.Options)
			} else if o, ok := ra.Options[0].(*ndp.LinkLayerAddress); !ok || o.Direction != ndp.Source {
				t.Errorf("option %+v", o)
			}
		}
		if got := sh(t, "ip -6 route show default"); got != "" {
			t.Errorf("default routes: %s", got)
		}
	})
}

func TestDefaultGateways(t *testing.T) {
	inside(t, func(t *testing.T) {
		cable(t)
		linkLocal(t, "near", "near")
		sh(t, "ip addr add 192.0.2.9/24 dev near; ip addr add 2001:db8::9/64 dev near nodad")
		four := policy.SessionSettings{Discovery: policy.DefaultGateway}.Search()
		six := policy.SessionSettings{Discovery: policy.DefaultGateway, Families: []policy.Family{policy.IPv6Unicast}}.Search()
		find := seek(t, four, six)
		for _, step := range []struct {
			command string
			search  policy.Search
			want    []string
			why     string
		}{
			{"true", four, nil, "no IPv4 default route"},
			{"ip route add default dev far metric 5000", four, nil, "names a link and no gateway"},
			{"ip route add default via 192.0.2.7 metric 100", four, []string{"192.0.2.7"}, ""},
			{"ip route add default via 192.0.2.6 metric 200", four, []string{"192.0.2.7"}, ""},
			{"ip route add default via 192.0.2.5 metric 50 table 7", four, []string{"192.0.2.7"}, ""},
			{"ip route add default metric 10 nexthop via 192.0.2.3 nexthop via 192.0.2.2", four, []string{"192.0.2.2", "192.0.2.3"}, ""},
			{"ip -4 route add default metric 5 via inet6 fe80::1 dev near", four, []string{"fe80::1%near"}, ""},
			{"true", six, nil, "no IPv6 default route"},
			{"ip -6 route add default via fe80::7 dev near metric 10", six, []string{"fe80::7%near"}, ""},
			{"ip -6 route append default via 2001:db8::7 dev near metric 10", six, []string{"2001:db8::7", "fe80::7%near"}, ""},
			{"ip -6 route flush exact default; ip -6 route add blackhole default", six, nil, "no IPv6 default route"},
		} {
			sh(t, step.command)
			var want []netip.Addr
			for _, a := range step.want {
				want = append(want, netip.MustParseAddr(a))
			}
			if got := find(step.search); !slices.Equal(got.Routers, want) || !strings.Contains(got.Why, step.why) || (got.Why == "") != (step.why == "") {
				t.Errorf("after %s: %+v, want %v and %q", step.command, got, want, step.why)
			}
		}
	})
}
