package host

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/host/netfilter"
	"github.com/fairway-bgp/fairway/host/program"
)

func neighbours() Criterion {
	return Criterion{
		ID:    "neighbours",
		Asks:  "Can this node and its neighbours, the routers on the uplinks and the join gateway on the overlay link, find each other's link addresses? For IPv6 neighbour solicitations and advertisements, in and out, are walked through the rules on the hooks ingress, prerouting, input, output, postrouting and egress; router advertisements too where the node learns its default route by them. For IPv4 it is ARP, in nft's families arp, netdev and bridge: rules that ask for fields of ARP packets make the answer unknown, and so do rules of arptables-legacy. One finding for each family, `IPv4` or `IPv6`.",
		Why:   "without its neighbours' link addresses the node sends nothing, and without this node's the routers send nothing here: all of a family is lost, as behind `ip6tables -P INPUT DROP` without ICMPv6.",
		Mend:  "Let ICMPv6 types 133 to 136 pass INPUT and OUTPUT: `ip6tables -I INPUT -p ipv6-icmp -j ACCEPT`, in the configuration of whoever made the drop. For IPv4 take the drop out of arptables or nft's family arp.",
		Drops: true,
		judge: func(c *checker) []Finding {
			var out []Finding
			for _, six := range c.families() {
				found := c.neighboursFound(six)
				found.About, found.Want = About{Family: familyName(six)}, "neighbours' packets pass, in and out"
				out = append(out, found)
			}
			return out
		},
	}
}

// neighboursFound walks the packets by which neighbours find each other, on each link.
func (c *checker) neighboursFound(six bool) Finding {
	found := Finding{State: OK, Got: "they pass"}
	for _, link := range append(slices.Clone(c.uplinks[six]), c.want.Overlay) {
		if c.facts.Links.NoNeighbours[link] {
			continue
		}
		for _, p := range c.neighbourPackets(link, six) {
			follow := (*netfilter.Ruleset).WalkIn
			if p.In == "" {
				follow = (*netfilter.Ruleset).WalkOut
			}
			switch r := follow(c.facts.Filter.of(six), p); {
			case r.Verdict == netfilter.Dropped:
				return lostTo(p, r, allowNeighbours(r.By, p))
			case r.Verdict == netfilter.Unknown && found.State == OK:
				found = doubtfulBy(p, r, "ask the rule's owner whether it lets neighbour discovery pass")
			}
		}
	}
	return c.unlessNeighboursUnread(found, six)
}

// unlessNeighboursUnread gives an ok only where everything could be read.
func (c *checker) unlessNeighboursUnread(found Finding, six bool) Finding {
	switch unread := c.unread(six); {
	case found.State != OK:
	case unread.State != OK:
		return unread
	case !six && c.facts.Links.Arptables != "":
		return Finding{State: Unknown, Got: c.facts.Links.Arptables, Fix: "arptables-legacy -L -n shows its rules"}
	}
	return found
}

// Types of neighbour discovery (RFC 4861 section 4).
const (
	routerAdvertisement    = 134
	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
)

// Multicast groups that they are sent to (RFC 4291 section 2.7.1): all nodes, and those
// that share the last three bytes of an address.
var (
	allNodes      = netip.MustParseAddr("ff02::1")
	solicitedNode = netip.MustParseAddr("ff02::1:ff00:0")
)

// neighbourPackets are those of a link and a family. Those of IPv6 are never tracked
// (noct_valid_new in nf_conntrack_proto_icmpv6.c), and have the hop limit 255.
func (c *checker) neighbourPackets(link string, six bool) []netfilter.Packet {
	if !six {
		return []netfilter.Packet{{ARP: true, In: link, State: netfilter.Invalid}, {ARP: true, Out: link, State: netfilter.Invalid}}
	}
	own, has := c.ownAddress(true)
	if !has {
		own = netip.MustParseAddr("fe80::2")
	}
	packet := func(kind uint8, from, to netip.Addr) netfilter.Packet {
		return netfilter.Packet{Src: from, Dst: to, Protocol: netfilter.ICMPv6, Type: kind, HopLimit: 255, State: netfilter.Untracked, ReturnsByIn: netfilter.Yes}
	}
	var out []netfilter.Packet
	for _, neighbour := range c.neighboursOn(link) {
		for _, p := range []netfilter.Packet{packet(neighbourSolicitation, neighbour, groupOf(own)), packet(neighbourAdvertisement, neighbour, own)} {
			p.In = link
			out = append(out, p)
		}
		for _, p := range []netfilter.Packet{packet(neighbourSolicitation, own, groupOf(neighbour)), packet(neighbourAdvertisement, own, neighbour)} {
			p.Out = link
			out = append(out, p)
		}
	}
	if slices.Contains(c.facts.Datapath.Learning, link) {
		p := packet(routerAdvertisement, anyNeighbour, allNodes)
		p.In = link
		out = append(out, p)
	}
	return out
}

// anyNeighbour is a link-local address, which routers have.
var anyNeighbour = netip.MustParseAddr("fe80::1")

// neighboursOn are addresses of IPv6 neighbours on a link: the gateways of routes that
// leave by it, which packets have to reach, or some link-local address.
func (c *checker) neighboursOn(link string) []netip.Addr {
	d := &c.facts.Datapath
	var out []netip.Addr
	add := func(p netip.Prefix) {
		if routes := d.Routes[p]; len(routes) > 0 {
			for i, via := range routes[0].Via {
				if routes[0].Links[i] == link && via.Is6() {
					out = append(out, via)
				}
			}
		}
	}
	add(netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	for _, n := range c.want.Networks {
		add(n.Prefix)
	}
	for _, peer := range c.want.Peers {
		if peer.Is6() && slices.Contains(d.linksTo(peer), link) {
			out = append(out, peer.WithZone(""))
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	if out = slices.Compact(out); len(out) == 0 {
		out = append(out, anyNeighbour)
	}
	return out
}

// groupOf is the multicast group at which an address is asked for.
func groupOf(a netip.Addr) netip.Addr {
	group, last := solicitedNode.As16(), a.As16()
	copy(group[13:], last[13:])
	return netip.AddrFrom16(group)
}

// allowNeighbours says how to let neighbours' packets pass.
func allowNeighbours(by *netfilter.Step, p netfilter.Packet) string {
	chain := "INPUT"
	if p.In == "" {
		chain = "OUTPUT"
	}
	switch {
	case p.ARP:
		return fmt.Sprintf("take ARP out of %s, in the configuration of whoever made it", by)
	case by.Backend == netfilter.Nft:
		return fmt.Sprintf("nft insert rule %s %s %s icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept, in the configuration of whoever made the chain", by.Family, by.Table, by.Base.Name)
	case by.Table == "filter" && by.Base.Name == chain:
		return fmt.Sprintf("%s -I %s -p ipv6-icmp -j ACCEPT, in the configuration of whoever made the drop", program.Name(by.Backend, by.Family, ""), chain)
	}
	return fmt.Sprintf("let ICMPv6 types 133 to 136 pass %s, in the configuration of whoever made it", by)
}
