package daemon

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/host"
)

// Gate knows what only this node's kernel can tell. It is asked in each pass.
type Gate interface {
	// Down says for a prefix why this node cannot carry it now; one that is not
	// there is carried, or nothing is known of it. nodeGone is whether the own Node
	// object is gone: then OVN has cut this node off, and a first doubt counts.
	Down(prefixes []netip.Prefix, nodeGone bool) map[netip.Prefix]string
	// Translated says for a CIDR whether this node still hides it behind its own
	// address; one that is not there is not known. The bell rings when one of them
	// no longer is. Asked about nothing it costs nothing.
	Translated(prefixes []netip.Prefix) map[netip.Prefix]bool
}

// DatapathGate is a Gate on the kernel's way into the overlay. Where the kernel
// cannot be asked, what was down when it last could be stays down: not to know
// neither withdraws nor announces.
type DatapathGate struct {
	// Read gives links and routes, with the kernel's answers about the networks and
	// peers of a Want.
	Read func(host.Want) host.Datapath
	// Gateways gives the next hops that are down, with the reason: Follow of
	// host.Gateways.
	Gateways func(hops []netip.Addr, nodeGone bool) map[netip.Addr]string
	// Masqueraded tells which networks are translated: Among of host.Masqueraded.
	Masqueraded func([]netip.Prefix) map[netip.Prefix]bool

	// facts are the newest that could be read, down what came of them.
	facts host.Datapath
	down  map[netip.Prefix]string
	// routers are those of the last Astray: packets come in where they are.
	routers []netip.Addr
}

// Down is Gate's. The link and the route come first, then the next hops.
func (g *DatapathGate) Down(prefixes []netip.Prefix, nodeGone bool) map[netip.Prefix]string {
	w := host.Want{Peers: g.routers}
	for _, p := range prefixes {
		w.Networks = append(w.Networks, host.Network{Prefix: p})
	}
	facts := g.Read(w)
	if facts.Err != nil {
		return g.down
	}
	g.facts, g.down = facts, facts.Down(w)
	hops := map[netip.Prefix][]netip.Addr{}
	var all []netip.Addr
	for _, p := range prefixes {
		if g.down[p] != "" {
			continue
		}
		hops[p] = facts.NextHops(p)
		all = append(all, hops[p]...)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	silent := g.Gateways(slices.Compact(all), nodeGone)
	for p, via := range hops {
		if why := allSilent(via, silent); why != "" {
			g.down[p] = why
		}
	}
	return g.down
}

// allSilent says why traffic by these next hops is lost, or "" where one of them
// may answer.
func allSilent(via []netip.Addr, silent map[netip.Addr]string) string {
	var why []string
	for _, hop := range via {
		if silent[hop] == "" {
			return ""
		}
		why = append(why, silent[hop])
	}
	return strings.Join(why, "; ")
}

// Translated is Gate's.
func (g *DatapathGate) Translated(prefixes []netip.Prefix) map[netip.Prefix]bool {
	return g.Masqueraded(prefixes)
}

// Astray says which routers this node looks for in the overlay, as of the last
// Down.
func (g *DatapathGate) Astray(routers []netip.Addr) []string {
	g.routers = slices.Clone(routers)
	var out []string
	for _, r := range routers {
		if _, why := g.facts.InOverlay(r); why != "" {
			out = append(out, why)
		}
	}
	return out
}

// straying is a Gate that can say which routers are looked for in the overlay.
type straying interface {
	Astray(routers []netip.Addr) []string
}
