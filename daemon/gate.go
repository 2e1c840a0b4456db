package daemon

import (
	"net/netip"

	"github.com/fairway-bgp/fairway/host"
)

// DatapathGate is a Gate on the kernel's way into the overlay. Where the kernel
// cannot be asked, what was down when it last could be stays down: not to know
// neither withdraws nor announces.
func DatapathGate(read func() host.Datapath) Gate {
	down := map[netip.Prefix]string{}
	return func(prefixes []netip.Prefix) map[netip.Prefix]string {
		facts := read()
		if facts.Err != nil {
			return down
		}
		down = map[netip.Prefix]string{}
		for _, p := range prefixes {
			if why := facts.Down(p); why != "" {
				down[p] = why
			}
		}
		return down
	}
}
