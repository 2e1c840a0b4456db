package host

import "net/netip"

// Want is what the node shall be able to do. It follows from the plan: without
// an announcement there is nothing to complain about, and IPv6 matters only with
// an IPv6 prefix.
type Want struct {
	// Networks are what the node must forward to and from: what it announces, and
	// what replies leave by it.
	Networks []Network
	// Peers are the BGP neighbours; the links that lead to them are the uplinks.
	Peers []netip.Addr
	// Overlay is the name of the link into the overlay.
	Overlay string
	// BGPPort is the TCP port that the daemon waits on for passive peers, 0 for
	// none.
	BGPPort uint16
}

// Network is one announced CIDR, by this node or by others.
type Network struct {
	Prefix netip.Prefix
	Subnet string
	// Asymmetric is whether replies may leave by another node than requests came
	// in by: then a node sees connections from the middle.
	Asymmetric bool
	// NATPolicy is whether Kube-OVN translates part of its traffic by wish.
	NATPolicy bool
}

// has reports whether any network is of the family.
func (w Want) has(six bool) bool {
	for _, n := range w.Networks {
		if n.Prefix.Addr().Is6() == six {
			return true
		}
	}
	return false
}

// asymmetric reports whether any network of the family is.
func (w Want) asymmetric(six bool) bool {
	for _, n := range w.Networks {
		if n.Asymmetric && n.Prefix.Addr().Is6() == six {
			return true
		}
	}
	return false
}

// peersFor are the peers whose sessions carry a family: those of that family, and those
// on a link that has no addresses but link-local ones; or else all.
func (w Want) peersFor(six bool) []netip.Addr {
	var out []netip.Addr
	for _, p := range w.Peers {
		if p.Is6() == six || p.Zone() != "" {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		out = append(out, w.Peers...)
	}
	return out
}
