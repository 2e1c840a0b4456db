package daemon

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// Host is what the daemon needs of the host module; *host.Keeper is one.
type Host interface {
	// Follow hands over what the node shall be able to do.
	Follow(host.Want)
	// Findings are those of the newest audit; false before there was one.
	Findings() ([]host.Finding, bool)
}

// WantOf derives from a plan what the node must be like. What the host itself
// holds back is asked about too, and taken for asymmetric, which a plan made
// without Live knows better.
func WantOf(p policy.Plan, overlayLink string, bgpPort uint16) host.Want {
	w := host.Want{Overlay: overlayLink}
	for _, a := range p.Adverts {
		w.Networks = append(w.Networks, host.Network{Prefix: a.Prefix, Subnet: a.Subnet, Asymmetric: asymmetric(a.Role)})
	}
	for _, h := range p.Withheld {
		prefix, err := netip.ParsePrefix(h.Prefix)
		if err == nil && (h.Reason == routes.HostNotReady || h.Reason == routes.DatapathDown) {
			w.Networks = append(w.Networks, host.Network{Prefix: prefix, Subnet: h.Subnet, Asymmetric: true})
		}
	}
	for _, s := range p.Sessions {
		w.Peers = append(w.Peers, s.Address)
		if s.Passive {
			w.BGPPort = bgpPort
		}
	}
	return w
}

// asymmetric is whether replies may leave by another node than requests came in
// by: the return path follows the Pod's own node where a Subnet is distributed,
// and any gateway with ECMP.
func asymmetric(r routes.Role) bool {
	return r == routes.RoleDistributed || r == routes.RoleECMP
}

// notReady says for each prefix which finding would drop its traffic. Findings
// about the whole node concern every prefix of their family.
func notReady(findings []host.Finding, prefixes []netip.Prefix) map[netip.Prefix]string {
	out := map[netip.Prefix]string{}
	for _, f := range findings {
		if !f.Drops() {
			continue
		}
		for _, p := range prefixes {
			if _, said := out[p]; !said && concerns(f, p) {
				first, _, _ := strings.Cut(f.Got, "\n")
				out[p] = fmt.Sprintf("%s: %s", f.Check, first)
			}
		}
	}
	return out
}

func concerns(f host.Finding, p netip.Prefix) bool {
	subject, err := netip.ParsePrefix(f.Subject)
	switch {
	case err == nil:
		return subject == p || p.Overlaps(subject) && subject.Bits() >= p.Bits()
	case f.Check == "forwarding":
		return strings.Contains(f.Subject, "ipv6") == p.Addr().Is6()
	case f.Check == "rp_filter":
		return p.Addr().Is4()
	}
	return false // a RST in state INVALID: slower, not lost
}

// heldBackHere reports whether the node's own state withholds anything.
func heldBackHere(p policy.Plan) bool {
	for _, w := range p.Withheld {
		if w.Reason == routes.DatapathDown || w.Reason == routes.HostNotReady {
			return true
		}
	}
	return false
}
