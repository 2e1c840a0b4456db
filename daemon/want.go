package daemon

import (
	"fmt"
	"net/netip"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/policy"
)

// Host is what the daemon needs of the host module; *host.Keeper is one.
type Host interface {
	// Follow hands over what the node shall be able to do.
	Follow(host.Want)
	// Findings are those of the newest audit; false before there was one.
	Findings() ([]host.Finding, bool)
}

// WantOf derives from a plan what the node must be like.
func WantOf(p policy.Plan, overlayLink string, bgpPort uint16) host.Want {
	w := host.Want{Overlay: overlayLink}
	for _, f := range p.Forwards {
		w.Networks = append(w.Networks, host.Network{Prefix: f.Prefix, Subnet: f.Subnet, Asymmetric: f.Asymmetric, NATPolicy: f.NATPolicy})
	}
	for _, s := range p.Sessions {
		if s.Address.IsValid() {
			w.Peers = append(w.Peers, s.Address)
		}
		if s.Passive {
			w.BGPPort = bgpPort
		}
	}
	return w
}

// notReady says for each prefix which finding would drop its traffic.
func notReady(findings []host.Finding, prefixes []netip.Prefix) map[netip.Prefix]string {
	out := map[netip.Prefix]string{}
	for _, f := range findings {
		for _, p := range prefixes {
			if _, said := out[p]; !said && f.Loses(p) {
				out[p] = fmt.Sprintf("%s: %s", f.Check, f.Got)
			}
		}
	}
	return out
}
