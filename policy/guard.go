package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/routes"
)

// network is a prefix with a name for people.
type network struct {
	prefix netip.Prefix
	name   string
}

// forbidden gives the networks that no prefix may touch (RFC 6890).
func forbidden() []network {
	p := netip.MustParsePrefix
	return []network{
		{p("0.0.0.0/8"), "this-network"}, {p("127.0.0.0/8"), "loopback"}, {p("169.254.0.0/16"), "link-local"},
		{p("224.0.0.0/4"), "multicast"}, {p("240.0.0.0/4"), "reserved"},
		{p("::/127"), "loopback"}, {p("fe80::/10"), "link-local"}, {p("ff00::/8"), "multicast"},
	}
}

// leakGuard knows the addresses that the announcements
// themselves depend on. Announcing a prefix that holds one of them would draw
// the sessions' own traffic into the overlay.
type leakGuard struct {
	forbidden []network
	// allowWide lets prefixes through that are too wide.
	allowWide bool
	// addresses are sorted.
	addresses []owned
}

// owned is an address with words for whose it is.
type owned struct {
	netip.Addr
	owner string
}

func newLeakGuard(s *Snapshot) leakGuard {
	g := leakGuard{forbidden: forbidden(), allowWide: s.AllowWidePrefixes}
	for _, n := range slices.SortedStableFunc(slices.Values(s.Nodes), func(a, b routes.Node) int { return strings.Compare(a.Name, b.Name) }) {
		for _, a := range n.InternalIPs {
			g.add(a, "the InternalIP of Node "+n.Name)
		}
	}
	for _, p := range byPrecedence(s.located(), nil) {
		if p.Address.IsValid() {
			g.add(p.Address, "the address of BGPPeer "+p.Name)
		}
	}
	slices.SortStableFunc(g.addresses, func(a, b owned) int { return a.Compare(b.Addr) })
	return g
}

func (g *leakGuard) add(a netip.Addr, owner string) {
	g.addresses = append(g.addresses, owned{a.WithZone(""), owner})
}

// unsafe says why a prefix must not be announced by anyone, or "".
func (g *leakGuard) unsafe(p netip.Prefix) string {
	if p.Bits() == 0 {
		return p.String() + " is a default route"
	}
	for _, f := range g.forbidden {
		if f.prefix.Overlaps(p) {
			return fmt.Sprintf("%s overlaps %s %s", p, f.name, f.prefix)
		}
	}
	if tooWide(p) && !g.allowWide {
		return fmt.Sprintf("%s is wider than %s", p, widest(p))
	}
	// What a prefix contains begins at its own address.
	i, _ := slices.BinarySearchFunc(g.addresses, p.Addr(), func(a owned, first netip.Addr) int { return a.Compare(first) })
	if i < len(g.addresses) && p.Contains(g.addresses[i].Addr) {
		return fmt.Sprintf("%s contains %s, %s", p, g.addresses[i].Addr, g.addresses[i].owner)
	}
	return ""
}

// The widest prefixes that are taken for a Subnet's and not for a typo. 10.0.0.0/8 is
// one of RFC 1918.
const (
	widest4 = 9
	widest6 = 32
)

// tooWide reports whether a prefix is wider than any cluster needs.
func tooWide(p netip.Prefix) bool {
	if p.Addr().Is6() {
		return p.Bits() < widest6
	}
	return p.Bits() < widest4 && p != netip.PrefixFrom(netip.AddrFrom4([4]byte{10}), 8)
}

// widest says what is allowed in a prefix's family.
func widest(p netip.Prefix) string {
	if p.Addr().Is6() {
		return fmt.Sprintf("/%d", widest6)
	}
	return fmt.Sprintf("/%d", widest4)
}

func unsafePrefix() routes.Check {
	return routes.Check{
		Reason: routes.UnsafePrefix,
		When:   "Leak guard: a default route, loopback, link-local, multicast or reserved prefix, one wider than /9 (but 10.0.0.0/8) or /32 in IPv6, unless `--allow-wide-prefixes`, or one that contains a node's InternalIP or a peer's address.",
		Refuse: func(c *routes.Case) string { return c.Unsafe },
		Fact:   func(c *routes.Case) string { return "safe to announce" },
		Mend: func(c *routes.Case) string {
			if tooWide(c.Prefix) && c.Prefix.Bits() > 0 {
				return "correct the CIDR; if it is meant, give the daemons --allow-wide-prefixes"
			}
			return "choose another CIDR for the Subnet; this one would break routing for the nodes or the peers"
		},
	}
}
