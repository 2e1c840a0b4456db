package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// readNeighbours lists the kernel's entries on a link, of both families; on all with 0.
func readNeighbours(link int) (map[netip.Addr]Neighbour, error) {
	list, err := netlink.NeighList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	now, out := time.Now(), map[netip.Addr]Neighbour{}
	for _, n := range list {
		out[addrOf(n.IP)] = neighbourOf(n, now)
	}
	return out, nil
}

// neighboursOn lists the entries on a link of that name; nil where it cannot.
func neighboursOn(name string) map[netip.Addr]Neighbour {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil
	}
	entries, err := readNeighbours(link.Attrs().Index)
	if err != nil {
		return nil
	}
	return entries
}

// LinkAddressOf gives the link address at which a neighbour on any link has answered for
// an address, by ARP or neighbour discovery; "" where none has, or where the kernel does
// not tell.
func LinkAddressOf(a netip.Addr) string {
	entries, err := readNeighbours(0)
	n := entries[a.WithZone("")]
	if err != nil || !n.usable() || n.static() {
		return ""
	}
	return n.LinkAddress.String()
}

// HasAddress is whether the kernel takes an address for this node's, or does not tell:
// one of a link's, or one that a local route has, as every address of the networks on the
// loopback.
func HasAddress(a netip.Addr) bool {
	var d Datapath
	if err := d.readAddresses(); err != nil {
		return true
	}
	return slices.Contains(d.Addresses, a.WithZone("")) || a.Zone() == "" && isLocal(a)
}

// isLocal is whether the kernel keeps packets to an address for itself, or does not tell.
func isLocal(a netip.Addr) bool {
	routes, err := netlink.RouteGet(a.AsSlice())
	if err != nil {
		return !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EHOSTUNREACH)
	}
	return slices.ContainsFunc(routes, func(r netlink.Route) bool { return r.Type == unix.RTN_LOCAL })
}

// neighbourOf is an entry in our words. The kernel tells times as ages, in
// hundredths of a second (struct nda_cacheinfo).
func neighbourOf(n netlink.Neigh, now time.Time) Neighbour {
	ago := func(ticks uint32) time.Time { return now.Add(-time.Duration(ticks) * time.Second / 100) }
	return Neighbour{State: NeighbourState(n.State), LinkAddress: n.HardwareAddr, Since: ago(n.Updated), Confirmed: ago(n.Confirmed)}
}

// addrOf is an IP address as the rest of the program has it; the zero Addr where
// it is none.
func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// watchNeighbours gives the kernel's news of neighbour entries until ctx ends, or
// an error of why there are no more. The news must find a reader until then.
func watchNeighbours(ctx context.Context) (<-chan netlink.NeighUpdate, <-chan error, error) {
	news, broken := make(chan netlink.NeighUpdate, 64), make(chan error, 1)
	err := netlink.NeighSubscribeWithOptions(news, ctx.Done(), netlink.NeighSubscribeOptions{
		ReceiveBufferSize: watchBuffer,
		ErrorCallback: func(err error) {
			select {
			case broken <- err:
			default:
			}
		},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("watch neighbours: %w", err)
	}
	return news, broken, nil
}
