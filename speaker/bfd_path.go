package speaker

import (
	"fmt"
	"time"

	"github.com/fairway-bgp/fairway/bfd"
	"github.com/fairway-bgp/fairway/bfd/wire"
)

// Path is how BFD sees the path to a neighbour.
type Path struct {
	// Wanted are the timers that are asked for.
	Wanted bfd.Settings
	// Watched is false before the BGP session was first up: its addresses are BFD's.
	Watched bool
	// Report is how it is; its state is Down before it is watched.
	wire.Report
}

// settling is how long a session may need to come up: packets go once a second until
// then, and each end must hear the other twice.
const settling = 5 * time.Second

// Trouble says for people why the path is not known to work, and what to change; "" where
// it is, or where that cannot be said yet.
func (p Path) Trouble(now time.Time) string {
	const meanwhile = "; meanwhile only the hold time tells of a dead router"
	port := fmt.Sprintf("UDP port %d", p.Port())
	switch {
	case p.Problem != "":
		return "BFD: " + p.Problem + meanwhile
	case !p.Watched || p.State == bfd.Up || now.Sub(p.Since) < settling:
		return ""
	case p.Heard && p.Neighbor == bfd.AdminDown:
		return "BFD is down: the router has turned it off for this node" + meanwhile
	case p.Heard:
		return fmt.Sprintf("BFD is down: the router does not hear this node's packets; let %s in there, from any port%s", port, meanwhile)
	case p.Dropped > 0:
		return fmt.Sprintf("BFD is down: what the router sends is no BFD for one hop without authentication (%d packets): a router in between, or a key on the router%s", p.Dropped, meanwhile)
	case p.Downs > 0:
		return "BFD is down: the router sends no packets any more; look at BFD there" + meanwhile
	}
	return fmt.Sprintf("BFD is down: the router sends no packets; configure it there (fairway plan -o frr, bird, junos and so on print how), and let %s in on this node%s", port, meanwhile)
}
