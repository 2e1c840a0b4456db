package chaos

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// tor is the router's kernel, and a watch over it.
type tor struct {
	kernel *netlink.Handle
	space  netns.NsHandle
	done   chan struct{}

	mu sync.Mutex
	// guarded are the next hops that nothing touches now, losses those that were
	// missing all the same.
	guarded table
	losses  []string
}

// ownGap is how long a router may take from removing a route to adding its
// successor: BIRD replaces IPv6 routes so. IPv4 routes are replaced in one, and show
// what is withdrawn for a shorter time.
const ownGap = 2 * time.Second

// openTor watches the routes of the router's namespace until close.
func openTor(namespace string) (*tor, error) {
	space, err := netns.GetFromName(namespace)
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", namespace, err)
	}
	kernel, err := netlink.NewHandleAt(space)
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", namespace, err)
	}
	t := &tor{kernel: kernel, space: space, done: make(chan struct{})}
	events := make(chan netlink.RouteUpdate, 1024)
	if err := netlink.RouteSubscribeAt(space, events, t.done); err != nil {
		return nil, errors.Join(fmt.Errorf("namespace %s: watch routes: %w", namespace, err), space.Close())
	}
	go func() {
		for e := range events {
			t.see(e)
		}
	}()
	return t, nil
}

func (t *tor) close() {
	close(t.done)
	t.kernel.Close()
	_ = t.space.Close() // nothing was written to it
}

// guard names the next hops that must stay from now on.
func (t *tor) guard(these table) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.guarded = these
}

// lost gives what went missing so far.
func (t *tor) lost() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.losses)
}

// see looks at the table when a guarded prefix has changed: what is there now counts,
// for an event may be of a change that has ended since.
func (t *tor) see(e netlink.RouteUpdate) {
	p := prefixOf(e.Dst)
	if t.missing(p) == "" {
		return
	}
	for end := time.Now().Add(ownGap); p.Addr().Is6() && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if t.missing(p) == "" {
			return
		}
	}
	if why := t.missing(p); why != "" {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.losses = append(t.losses, fmt.Sprintf("%s %s %s", time.Now().Format("15:04:05.000"), p, why))
	}
}

// missing says which guarded next hops of a prefix the kernel lacks, "" for none.
func (t *tor) missing(p netip.Prefix) string {
	t.mu.Lock()
	want := t.guarded[p]
	t.mu.Unlock()
	if len(want) == 0 {
		return ""
	}
	have, err := t.table()
	if err != nil {
		return err.Error()
	}
	for _, hop := range want {
		if !slices.Contains(have[p], hop) {
			return fmt.Sprintf("lost next hop %s: it has %v", hop, have[p])
		}
	}
	return ""
}

// protocols are those that routes of FRR's bgpd and of BIRD carry
// (linux/rtnetlink.h).
func protocols() []netlink.RouteProtocol { return []netlink.RouteProtocol{186, unix.RTPROT_BIRD} }

// learned reads the routes that come from BGP; again, where they changed meanwhile.
func (t *tor) learned(family int) ([]netlink.Route, error) {
	for {
		have, err := t.kernel.RouteList(nil, family)
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the router's routes: %w", err)
		}
		return slices.DeleteFunc(have, func(r netlink.Route) bool { return !slices.Contains(protocols(), r.Protocol) }), nil
	}
}

// table reads what the router has learned into its kernel.
func (t *tor) table() (table, error) {
	out := table{}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		learned, err := t.learned(family)
		if err != nil {
			return nil, err
		}
		for _, r := range learned {
			p := prefixOf(r.Dst)
			if r.Gw != nil {
				out[p] = append(out[p], addrOf(r.Gw))
			}
			for _, hop := range r.MultiPath {
				out[p] = append(out[p], addrOf(hop.Gw))
			}
			slices.SortFunc(out[p], netip.Addr.Compare)
		}
	}
	return out, nil
}

// forget empties the kernel of what a killed router left, as a reboot does.
func (t *tor) forget() error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		learned, err := t.learned(family)
		if err != nil {
			return err
		}
		for _, r := range learned {
			if err := t.kernel.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("remove route %s: %w", r.Dst, err)
			}
		}
	}
	return nil
}

func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addrOf(n.IP), ones)
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
