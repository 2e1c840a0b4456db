package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/policy"
)

// portPlaceholder begins what stands where the name of the router's port to a node goes,
// which only the router knows.
const portPlaceholder = "PORT-"

// longestPort is how long the name of a port may be: longer than any that is known.
const longestPort = 40

// ParsePorts reads NODE=PORT, one each.
func ParsePorts(texts []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range texts {
		node, port, ok := strings.Cut(text, "=")
		if !ok || node == "" || !isPort(port) {
			return nil, fmt.Errorf("--router-port %q: write NODE=PORT, the Node's name and that of the router's port to it, as n1=swp1 or n1=ge-0/0/1.0", text)
		}
		if other, there := out[node]; there {
			return nil, fmt.Errorf("--router-port %q: node %s has the port %s already", text, node, other)
		}
		out[node] = port
	}
	return out, nil
}

// isPort reports whether a router could have such a port, and no other word of its
// language: letters, digits, and what stands between numbers.
func isPort(text string) bool {
	return text != "" && len(text) <= longestPort && strings.IndexFunc(text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("-_./:@", c)
	}) < 0
}

// portOf is the port to a node as it was given, or the placeholder.
func portOf(node string, ports map[string]string) string {
	if port := ports[node]; port != "" {
		return port
	}
	return portPlaceholder + symbol(node, "-")
}

// Unnumbered reports whether the neighbours are ports and have no addresses.
func (p peering) Unnumbered() bool { return p.settings.Interface != "" }

// settleASN takes the router's AS where the BGPPeer leaves it open.
func (p *peering) settleASN(asn uint32) error {
	switch known := p.settings.PeerASN; {
	case len(p.Groups) == 0:
	case known == 0 && asn == 0:
		return fmt.Errorf("BGPPeer %s takes a router of any other AS (dynamicASN: %s): say with --router-asn which this one has", p.Peer, policy.External)
	case known == 0:
		p.settings.PeerASN = asn
	case asn != 0 && asn != known:
		return fmt.Errorf("--router-asn %d: BGPPeer %s has a router of AS %d", asn, p.Peer, known)
	}
	return nil
}

// mayBeUnnumbered is the error of a language without such peerings, and of ports where
// there are none.
func (p *peering) mayBeUnnumbered(ports map[string]string) error {
	if len(p.Groups) == 0 {
		return nil
	}
	switch {
	case !p.Unnumbered() && len(ports) > 0:
		return fmt.Errorf("--router-port: the nodes of BGPPeer %s have addresses; ports are for one with spec.interface", p.Peer)
	case !p.Unnumbered():
		return nil
	case p.Format == IOS:
		return fmt.Errorf("BGPPeer %s is unnumbered (interface %s), and IOS finds no neighbor by its link: give the link addresses, and the BGPPeer a peerAddress", p.Peer, p.settings.Interface)
	case p.Format == Junos && p.Groups[len(p.Groups)-1].Internal:
		return fmt.Errorf("BGPPeer %s is unnumbered (interface %s) and internal, and Junos finds external neighbors alone by their link: give the BGPPeer a peerAddress", p.Peer, p.settings.Interface)
	}
	return p.knowsPorts(ports)
}

// knowsPorts is the error of a port to a node that has no such session.
func (p *peering) knowsPorts(ports map[string]string) error {
	nodes := p.nodes()
	for _, node := range slices.Sorted(maps.Keys(ports)) {
		if !slices.Contains(nodes, plain(node)) {
			return fmt.Errorf("--router-port %s=%s: node %s has no session with BGPPeer %s", node, ports[node], node, p.Peer)
		}
	}
	return nil
}

// whereabouts say which router it is.
func (p peering) whereabouts() string {
	switch {
	case p.Unnumbered():
		return "the one on the nodes' link " + p.settings.Interface
	case !p.settings.Address.IsValid():
		return "the nodes' default gateway"
	}
	return p.settings.Address.String()
}

// AddressText is the router's own address, or which that is.
func (p peering) AddressText() string {
	if !p.settings.Address.IsValid() {
		return "the address that is the nodes' default gateway"
	}
	return p.settings.Address.String()
}

// foundNotes say what has to be known of a router that the nodes find themselves.
func (p peering) foundNotes() []string {
	var out []string
	if p.settings.Discovery != "" {
		out = append(out, "GATEWAY: each node speaks to its own default gateway: of the nodes listed, only those are this router's whose gateway it is (--node).")
	}
	if !p.Unnumbered() {
		return out
	}
	for _, g := range p.Groups {
		if i := slices.IndexFunc(g.Neighbours, func(n neighbour) bool { return strings.HasPrefix(n.Port, portPlaceholder) }); i >= 0 {
			out = append(out, fmt.Sprintf("PORT: put the name of the router's port to node %s in the place of %s, and so on; or give --router-port %s=NAME.",
				g.Neighbours[i].Node, g.Neighbours[i].Port, g.Neighbours[i].Node))
			break
		}
	}
	return append(out, "ADVERTISEMENTS: node and router learn each other's link-local address from router advertisements (ICMPv6 types 133 and 134); let them through on those ports.")
}
