package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ReadDatapath reads the overlay link and the main routing tables of this
// network namespace. What cannot be read is in Err.
func ReadDatapath(overlayLink string) Datapath {
	d := Datapath{Link: LinkState{Name: overlayLink}, Routes: map[netip.Prefix][]string{}}
	links, err := netlink.LinkList()
	if err != nil {
		d.Err = fmt.Errorf("list links: %w", err)
		return d
	}
	names := map[int]string{}
	for _, l := range links {
		a := l.Attrs()
		names[a.Index] = a.Name
		if a.Name == overlayLink {
			// A tap of a userspace switch has no operational state: "unknown" is up.
			up := a.Flags&net.FlagUp != 0 && a.OperState != netlink.OperDown && a.OperState != netlink.OperLowerLayerDown
			d.Link.Exists, d.Link.Up = true, up
		}
	}
	filter := &netlink.Route{Table: unix.RT_TABLE_MAIN}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_TABLE)
	if err != nil {
		d.Err = fmt.Errorf("list routes: %w", err)
		return d
	}
	for _, r := range routes {
		if dst, ok := prefixOf(r.Dst); ok {
			d.Routes[dst] = append(d.Routes[dst], names[r.LinkIndex])
		}
	}
	return d
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	ones, bits := n.Mask.Size()
	if bits == 32 {
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, ones).Masked(), true
}

// WatchDatapath rings the bell on every change of a link or route until ctx
// ends. The bell must not block.
func WatchDatapath(ctx context.Context, bell func()) error {
	links := make(chan netlink.LinkUpdate, 64)
	routes := make(chan netlink.RouteUpdate, 1024)
	broken := make(chan error, 2)
	report := func(err error) {
		select {
		case broken <- err:
		default:
		}
	}
	if err := netlink.LinkSubscribeWithOptions(links, ctx.Done(), netlink.LinkSubscribeOptions{ErrorCallback: report}); err != nil {
		return fmt.Errorf("watch links: %w", err)
	}
	if err := netlink.RouteSubscribeWithOptions(routes, ctx.Done(), netlink.RouteSubscribeOptions{ErrorCallback: report}); err != nil {
		return fmt.Errorf("watch routes: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-broken:
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("watch links and routes: %w", err)
		case _, ok := <-links:
			if !ok {
				return watchEnded(ctx)
			}
		case _, ok := <-routes:
			if !ok {
				return watchEnded(ctx)
			}
		}
		bell()
	}
}

func watchEnded(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return errors.New("watch links and routes: the kernel closed the subscription")
}
