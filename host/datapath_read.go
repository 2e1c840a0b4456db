package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// ReadDatapath reads the overlay link and the main routing tables of this
// network namespace. What cannot be read is in Err.
func ReadDatapath(overlayLink string) Datapath {
	d := Datapath{Link: LinkState{Name: overlayLink}, Routes: map[netip.Prefix][]Route{}}
	links, err := netlink.LinkList()
	if err != nil {
		d.Err = fmt.Errorf("list links: %w", err)
		return d
	}
	d.Links = linksBelow(links)
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
		dst, ok := destination(r)
		if !ok {
			continue
		}
		links, via := hopsOf(r, names)
		d.Routes[dst] = append(d.Routes[dst], Route{Links: links, Via: via, Refusal: refusals[r.Type], Metric: r.Priority})
		if dst.Bits() == 0 && dst.Addr().Is6() && r.Protocol == unix.RTPROT_RA {
			d.Learning = append(d.Learning, names[r.LinkIndex])
		}
	}
	for _, to := range d.Routes {
		slices.SortStableFunc(to, func(a, b Route) int { return cmp.Compare(a.Metric, b.Metric) })
	}
	if d.Policy, err = readPolicy(); err != nil {
		d.Err = err
		return d
	}
	addresses, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		d.Err = fmt.Errorf("list addresses: %w", err)
		return d
	}
	for _, a := range addresses {
		if p, ok := prefixOf(a.IPNet); ok && a.IPNet.IP != nil {
			own, _ := netip.AddrFromSlice(a.IPNet.IP)
			if p.Addr().Is4() {
				own = own.Unmap()
			}
			d.Addresses = append(d.Addresses, own)
		}
	}
	d.Ways = d.askWays(names)
	return d
}

// askWays asks the kernel for the ways of the overlay's networks (RTM_GETROUTE with the
// incoming link and the source), where rules may lead them past table main.
func (d Datapath) askWays(names map[int]string) map[netip.Prefix]Ways {
	out := map[netip.Prefix]Ways{}
	for p, routes := range d.Routes {
		six := p.Addr().Is6()
		outside := outsideAddress(six)
		uplinks := d.linksTo(outside)
		if !d.Policy.Other[six] || p.Bits() == 0 || !routes[0].leavesBy(d.Link.Name) || len(uplinks) == 0 || len(d.ownAddressesIn(p)) > 0 {
			continue
		}
		inside := offset(p.Addr(), 10, p)
		out[p] = Ways{To: askWay(outside, inside, uplinks[0], names), From: askWay(inside, outside, d.Link.Name, names)}
	}
	return out
}

// askWay asks where a packet goes that comes in by a link. A route or a rule that
// refuses it is an error (fib_props in net/ipv4/fib_semantics.c) or, for IPv6, a
// type; that the host is unreachable may also mean that nothing is forwarded.
func askWay(from, to netip.Addr, by string, names map[int]string) Way {
	routes, err := netlink.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{Iif: by, SrcAddr: from.AsSlice()})
	switch {
	case errors.Is(err, unix.EINVAL):
		return Way{Refusal: refusals[unix.RTN_BLACKHOLE]}
	case errors.Is(err, unix.EACCES):
		return Way{Refusal: refusals[unix.RTN_PROHIBIT]}
	case err == nil && len(routes) == 0:
		err = errors.New("no answer")
	}
	if err != nil {
		return Way{Err: fmt.Errorf("ip route get %s from %s iif %s: %w", to, from, by, err)}
	}
	return Way{Link: names[routes[0].LinkIndex], Refusal: refusals[routes[0].Type]}
}

// readPolicy reads the rules of ip-rule(8).
func readPolicy() (Policy, error) {
	p := Policy{Other: map[bool]bool{}, Marks: map[bool][]netfilter.MarkRule{}}
	for _, six := range []bool{false, true} {
		family := netlink.FAMILY_V4
		if six {
			family = netlink.FAMILY_V6
		}
		rules, err := netlink.RuleList(family)
		switch {
		case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT):
			continue // a kernel with one table, or without the family
		case err != nil:
			return p, fmt.Errorf("list rules of routing: %w", err)
		}
		for _, r := range rules {
			mark := netfilter.MarkRule{Value: r.Mark, Mask: ^uint32(0)}
			byMark := r.Mark != 0 || r.Mask != nil
			if r.Mask != nil {
				mark.Mask = *r.Mask
			}
			if byMark {
				p.Marks[six] = append(p.Marks[six], mark)
			}
			if !isUsual(r) && (mark.Value == 0 || r.Invert || !byMark) {
				p.Other[six] = true
			}
		}
	}
	return p, nil
}

// isUsual is whether every node has the rule: all packets look into the table local,
// main or default. One that refuses (ip rule add blackhole) has no table.
func isUsual(r netlink.Rule) bool {
	unconditional := netlink.Rule{Table: r.Table, Priority: r.Priority, Family: r.Family, Protocol: r.Protocol,
		SuppressIfgroup: -1, SuppressPrefixlen: -1, Goto: -1, Flow: -1}
	return slices.Contains([]int{unix.RT_TABLE_LOCAL, unix.RT_TABLE_MAIN, unix.RT_TABLE_DEFAULT}, r.Table) && reflect.DeepEqual(r, unconditional)
}

// linksBelow says what each link's packets pass too: the ports of a bridge or a bond,
// the link that a VLAN is on. Links of Open vSwitch have its ports below, any of them.
func linksBelow(links []netlink.Link) map[string]netfilter.Link {
	names, ports := map[int]string{}, map[int][]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
		ports[l.Attrs().MasterIndex] = append(ports[l.Attrs().MasterIndex], l.Attrs().Name)
	}
	var ofSwitch []string
	for _, l := range links {
		if l.Type() == openvswitch {
			ofSwitch = append(ofSwitch, ports[l.Attrs().Index]...)
		}
	}
	out := map[string]netfilter.Link{}
	for _, l := range links {
		a := l.Attrs()
		link := netfilter.Link{Bridge: l.Type() == "bridge", Below: ports[a.Index], Group: a.Group, Type: a.EncapType}
		switch l.Type() {
		case openvswitch:
			link.Below = ofSwitch
		case "vlan", "macvlan", "macvtap", "ipvlan":
			link.Below = append(link.Below, names[a.ParentIndex])
		}
		out[a.Name] = link
	}
	return out
}

// openvswitch is the kind of Open vSwitch's links.
const openvswitch = "openvswitch"

// refusals are the types of routes by which nothing is forwarded, as ip-route(8)
// calls them.
var refusals = map[int]string{
	unix.RTN_LOCAL: "local", unix.RTN_BROADCAST: "broadcast", unix.RTN_BLACKHOLE: "blackhole",
	unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit", unix.RTN_THROW: "throw",
}

// destination is the network that a route leads to; a default route may have
// none.
func destination(r netlink.Route) (netip.Prefix, bool) {
	if r.Dst != nil {
		return prefixOf(r.Dst)
	}
	if r.Family == netlink.FAMILY_V6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0), true
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0), true
}

// hopsOf are the links that a route leaves by and the next hops there, several with
// ECMP.
func hopsOf(r netlink.Route, names map[int]string) (links []string, via []netip.Addr) {
	if len(r.MultiPath) == 0 {
		return []string{names[r.LinkIndex]}, []netip.Addr{addrOf(r.Gw)}
	}
	for _, hop := range r.MultiPath {
		links, via = append(links, names[hop.LinkIndex]), append(via, addrOf(hop.Gw))
	}
	return links, via
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

// watchBuffer is how much the kernel may have waiting for us, in bytes; it gives
// less where net.core.rmem_max is smaller. A thousand routes are about 200 KiB.
const watchBuffer = 4 << 20

// WatchDatapath rings the bell on every change of a link or route until ctx
// ends. The bell must not block. The error is why the watch ended before that;
// changes may have been missed then, so the caller rings once more and watches
// again. ENOBUFS, more changes than the kernel keeps, is such an error.
func WatchDatapath(ctx context.Context, bell func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
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
	// The subscription closes its channel when its socket is closed; until then
	// it must find a reader.
	defer drain(links)
	if err := netlink.RouteSubscribeWithOptions(routes, ctx.Done(), netlink.RouteSubscribeOptions{
		ErrorCallback: report, ReceiveBufferSize: watchBuffer,
	}); err != nil {
		return fmt.Errorf("watch routes: %w", err)
	}
	defer drain(routes)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-broken:
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("watch links and routes: %w", err)
		case <-links:
		case <-routes:
		}
		bell()
	}
}

// drain reads a channel to its end in the background.
func drain[T any](c <-chan T) {
	go func() {
		for range c {
		}
	}()
}
