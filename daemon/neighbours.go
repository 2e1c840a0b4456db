package daemon

import (
	"maps"
	"net/netip"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/speaker"
)

// Neighbours finds those that no BGPPeer gives the address of; *discover.Neighbours is
// one. It is asked in each pass.
type Neighbours interface {
	// Find says who is looked for from now on, and gives what is found.
	Find([]policy.Search) map[policy.Search]policy.Found
}

// noteUp notes which sessions are established. The next pass must know: where one ended,
// another router may be there to take.
func (d *Daemon) noteUp(o speaker.Observed) {
	up := map[netip.Addr]bool{}
	for _, s := range o.Sessions {
		if s.State == speaker.Established {
			up[s.Address] = true
		}
	}
	if d.Neighbours != nil && !maps.Equal(up, d.up) {
		d.Bell.Ring()
	}
	d.up = up
}
