package export

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/routes"
)

// fewestPaths is how many equal paths a router uses at least where nodes may come
// that nobody has counted yet.
const fewestPaths = 16

// listenDefault is how many nodes a router takes by listen ranges unless told
// otherwise: FRR, VyOS and IOS by `bgp listen limit`, EOS by `dynamic peer max`.
const listenDefault = 100

// ParseListen reads the networks from which nodes may open sessions.
func ParseListen(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		prefix, err := ParseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("--listen %s: %w", text, err)
		}
		out = append(out, prefix)
	}
	out = routes.SortedSet(out, netip.Prefix.Compare)
	for i := 1; i < len(out); i++ {
		if out[i-1].Overlaps(out[i]) {
			return nil, fmt.Errorf("--listen %s: overlaps %s; a router wants each address in one range", out[i], out[i-1])
		}
	}
	return out, nil
}

// addListen hands each range to the group whose nodes are in it, takes those out of
// the neighbours, and makes groups of their own of the ranges.
func (p *peering) addListen() error {
	if len(p.listen) == 0 {
		return nil
	}
	if err := p.mayListen(); err != nil {
		return fmt.Errorf("--listen %s: %w", p.listen[0], err)
	}
	for _, network := range p.listen {
		if network.Addr().Is6() != p.settings.Over6() {
			return fmt.Errorf("--listen %s: BGPPeer %s has the address %s, and its sessions come from %s addresses",
				network, p.Peer, p.AddressText(), familyName(p.settings.Over6()))
		}
		g, err := p.groupIn(network)
		if err != nil {
			return fmt.Errorf("--listen %s: %w", network, err)
		}
		g.listen(network)
		if !slices.ContainsFunc(g.Covered, func(n neighbour) bool { return network.Contains(n.Address) }) {
			p.warnings = append(p.warnings, fmt.Sprintf("%s of --listen: no node opens its session from there today", network))
		}
	}
	for _, g := range p.Groups {
		for _, n := range g.Neighbours {
			p.warnings = append(p.warnings, fmt.Sprintf("%s, %s, is in no range of --listen: it is listed as a neighbor", n.Node, n.Address))
		}
	}
	p.paths = max(fewestPaths, 2*p.paths)
	p.Groups = apart(p.Groups)
	return p.mayListenForAll()
}

// listenSuffix ends the name of a group that takes ranges. No BGPPeer's own name has
// the line in it.
const listenSuffix = "_L"

// apart parts each group into its neighbours and its ranges. A group for ranges has an
// AS, and FRR then lets no neighbour of it name its own: neither one beside the ranges,
// nor one that an earlier export has put there.
func apart(groups []group) []group {
	var out []group
	for _, g := range groups {
		listed, ranges := g, g
		listed.Listen, listed.Covered = nil, nil
		ranges.Name += listenSuffix
		ranges.Neighbours, ranges.beside = nil, asnsOf(g.Neighbours)
		if len(g.Neighbours) > 0 {
			out = append(out, listed)
		}
		if len(g.Listen) > 0 {
			out = append(out, ranges)
		}
	}
	return out
}

// mayListen is the error of a peering that listen ranges cannot serve at all.
func (p *peering) mayListen() error {
	switch {
	case p.Unnumbered():
		return fmt.Errorf("BGPPeer %s is unnumbered: its nodes have no addresses but link-local ones, and the router needs a port for each", p.Peer)
	case p.settings.Passive:
		return fmt.Errorf("BGPPeer %s is passive: its nodes wait to be dialled, so the router needs a neighbor for each", p.Peer)
	case p.settings.Address.IsLinkLocalUnicast():
		return fmt.Errorf("BGPPeer %s has the link-local address %s, and so have its nodes", p.Peer, p.settings.Address)
	case p.Format == Junos && p.settings.Password != "":
		return fmt.Errorf("BGPPeer %s has a password, and Junos takes none in a group with \"allow\": list the neighbors, or do without the password", p.Peer)
	}
	return nil
}

// mostAlternateASNs is how many more ASes IOS takes in `remote-as N alternate-as …`.
const mostAlternateASNs = 5

// mayListenForAll is the error of a language that cannot say which ASes the nodes
// of a range are in.
func (p *peering) mayListenForAll() error {
	for _, g := range p.Groups {
		switch asns := len(g.ASNs()); {
		case len(g.Listen) == 0 || asns == 1:
		case p.Format == IOS && asns > mostAlternateASNs+1:
			return fmt.Errorf("--listen %s: its nodes are in %d ASes, and IOS takes %d in one range", g.Listen[0], asns, mostAlternateASNs+1)
		case p.Format == NXOS && g.Multihop > 0:
			return fmt.Errorf("--listen %s: its nodes are in %d ASes, and NX-OS has no ebgp-multihop for a range of several", g.Listen[0], asns)
		}
	}
	return nil
}

// groupIn is the group whose nodes open sessions from the network.
func (p *peering) groupIn(network netip.Prefix) (*group, error) {
	var found *group
	for i := range p.Groups {
		g := &p.Groups[i]
		if !slices.ContainsFunc(g.Neighbours, func(n neighbour) bool { return network.Contains(n.Address) }) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("some nodes in it are in the router's own AS %d and some are not: give each kind a range of its own", p.ASN())
		}
		found = g
	}
	switch {
	case found != nil:
		return found, nil
	case len(p.Groups) > 1:
		return nil, fmt.Errorf("no node opens its session from there, so it cannot be told whether iBGP or eBGP is meant")
	}
	return &p.Groups[0], nil
}

// listen lets the nodes of a network in without naming them.
func (g *group) listen(network netip.Prefix) {
	in := func(n neighbour) bool { return network.Contains(n.Address) }
	g.Listen = append(g.Listen, network)
	for _, n := range g.Neighbours {
		if in(n) {
			g.Covered = append(g.Covered, n)
		}
	}
	g.Neighbours = slices.DeleteFunc(g.Neighbours, in)
}

// all are the nodes of the group, named by themselves or by a range.
func (g group) all() []neighbour { return slices.Concat(g.Covered, g.Neighbours) }

// ASNs are the ASes from which a range takes nodes, sorted: those of the nodes that
// are in it today, or where none is, of the nodes beside it.
func (g group) ASNs() []uint32 {
	if len(g.Covered) == 0 {
		return g.beside
	}
	return asnsOf(g.Covered)
}

func asnsOf(nodes []neighbour) []uint32 {
	var out []uint32
	for _, n := range nodes {
		out = append(out, n.ASN)
	}
	return routes.SortedSet(out, cmp.Compare[uint32])
}

// RemoteAS is the AS of the nodes of a range, or the word for any but the router's
// own where they are in several.
func (g group) RemoteAS() string {
	if asns := g.ASNs(); len(asns) == 1 {
		return fmt.Sprint(asns[0])
	}
	return "external"
}

// ManyAS reports whether nodes of a range are in several ASes.
func (g group) ManyAS() bool { return len(g.ASNs()) > 1 }

// ListenLimit is how many nodes may come by ranges where the router would take too
// few, else 0.
func (p peering) ListenLimit() int {
	if n := p.listeners(); 2*n > listenDefault {
		return 2 * n
	}
	return 0
}

// MostPeers is how many nodes may come by ranges, for a router that has no number
// of its own.
func (p peering) MostPeers() int { return max(listenDefault, p.ListenLimit()) }

// listeners counts the nodes that come by ranges.
func (p peering) listeners() int {
	n := 0
	for _, g := range p.Groups {
		n += len(g.Covered)
	}
	return n
}

// Addressed are what a language configures one by one that has no groups: the
// neighbours, and before them the group where one is needed for a range.
func (g group) Addressed() []string {
	var out []string
	if len(g.Listen) > 0 {
		out = []string{g.Name}
	}
	for _, n := range g.Neighbours {
		out = append(out, n.Address.String())
	}
	return out
}
