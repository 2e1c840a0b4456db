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
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// ReadDatapath reads the overlay link and the routing tables of this network
// namespace. What cannot be read is in Err.
func ReadDatapath(overlayLink string) Datapath {
	d, _ := readDatapath(overlayLink)
	return d
}

func readDatapath(overlayLink string) (Datapath, linkIndex) {
	d := Datapath{Link: LinkState{Name: overlayLink}, Routes: map[netip.Prefix][]Route{}}
	links, err := netlink.LinkList()
	if err != nil {
		d.Err = fmt.Errorf("list links: %w", err)
		return d, linkIndex{}
	}
	index := indexOf(links)
	d.Links, d.Link = linksBelow(links), overlayState(overlayLink, links)
	if d.Policy, err = readPolicy(); err == nil {
		err = d.readRoutes(index)
	}
	if err == nil {
		err = d.readAddresses()
	}
	d.Err = err
	return d, index
}

// overlayState is the state of the overlay link.
func overlayState(name string, links []netlink.Link) LinkState {
	out := LinkState{Name: name}
	for _, l := range links {
		if a := l.Attrs(); a.Name == name {
			// A tap of a userspace switch has no operational state: "unknown" is up.
			out.Exists, out.Up = true, a.Flags&net.FlagUp != 0 && a.OperState != netlink.OperDown && a.OperState != netlink.OperLowerLayerDown
		}
	}
	return out
}

// readRoutes reads table main's routes, and the networks that any table names besides
// the kernel's own, local.
func (d *Datapath) readRoutes(links linkIndex) error {
	all, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range all {
		dst, ok := destination(r)
		if !ok || r.Table == unix.RT_TABLE_LOCAL {
			continue
		}
		d.Named = append(d.Named, dst)
		if r.Table != unix.RT_TABLE_MAIN {
			continue
		}
		by, via := hopsOf(r, links.name)
		d.Routes[dst] = append(d.Routes[dst], Route{Links: by, Via: via, Refusal: refusals[r.Type], Metric: r.Priority})
		if dst.Bits() == 0 && dst.Addr().Is6() && r.Protocol == unix.RTPROT_RA {
			d.Learning = append(d.Learning, links.name[r.LinkIndex])
		}
	}
	for _, to := range d.Routes {
		slices.SortStableFunc(to, func(a, b Route) int { return cmp.Compare(a.Metric, b.Metric) })
	}
	for _, six := range []bool{false, true} {
		for _, r := range d.Policy.Rules[six] {
			d.Named = append(d.Named, r.From, r.To)
		}
	}
	d.Named = slices.DeleteFunc(d.Named, func(p netip.Prefix) bool { return !p.IsValid() || p.Bits() == 0 })
	slices.SortFunc(d.Named, netip.Prefix.Compare)
	d.Named = slices.Compact(d.Named)
	return nil
}

// readAddresses reads this node's own addresses.
func (d *Datapath) readAddresses() error {
	addresses, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
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
	return nil
}

// readPolicy reads the rules of ip-rule(8).
func readPolicy() (Policy, error) {
	p := Policy{Other: map[bool]bool{}, Rules: map[bool][]PolicyRule{}, Marks: map[bool][]netfilter.MarkRule{}}
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
				p.Rules[six] = append(p.Rules[six], ruleOf(r))
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

// WatchDatapath rings the bell on every change of a link, a route or a rule of
// ip-rule(8) until ctx ends. The bell must not block. The error is why the watch ended
// before that; changes may have been missed then, so the caller rings once more and
// watches again. ENOBUFS, more changes than the kernel keeps, is such an error.
func WatchDatapath(ctx context.Context, bell func()) error {
	changes, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE)
	if err != nil {
		return fmt.Errorf("watch links, routes and rules of routing: %w", err)
	}
	defer changes.Close()
	if err := changes.SetReceiveBufferSize(watchBuffer, false); err != nil {
		return fmt.Errorf("watch links, routes and rules of routing: %w", err)
	}
	stop := context.AfterFunc(ctx, changes.Close)
	defer stop()
	for {
		_, _, err := changes.Receive()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watch links, routes and rules of routing: %w", err)
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
