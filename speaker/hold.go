package speaker

import (
	"net/netip"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/fairway-bgp/fairway/bfd"
)

// A session that BFD has ended is not dialled again before BFD is heard from the router,
// or holdBound is over: a router whose BFD comes back later than its BGP ends the fresh
// session once more. It is as with BGP's BFD strict mode
// (draft-ietf-idr-bgp-bfd-strict-mode), whose hold time this is.
const holdBound = 30 * time.Second

// pathDown notes that the path to a neighbour has failed, and reports whether that ends
// the session: one that is up, and since when the path was seen to work. That a neighbour
// has turned BFD off ends none (RFC 5882 section 4.2).
func (j *journal) pathDown(a netip.Addr, c bfd.Change, why string, at time.Time) (ends bool) {
	defer j.bell()
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.entries[a]
	if !ok || e.state != bgp.BGP_FSM_ESTABLISHED || c.Neighbor == bfd.AdminDown || !c.ProvenAt.After(e.since) {
		return false
	}
	e.cause, e.heldUntil = cause{kind: pathFailed, text: why, at: at}, at.Add(holdBound)
	return true
}

// released ends a wait for BFD, and reports whether there was one.
func (j *journal) released(a netip.Addr) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.entries[a]
	if !ok || e.heldUntil.IsZero() {
		return false
	}
	e.heldUntil = time.Time{}
	return true
}

// held reports whether a session waits for BFD.
func (e entry) held() bool { return !e.heldUntil.IsZero() }

// overdue reports whether it has waited for long enough.
func (e entry) overdue() bool { return e.held() && !time.Now().Before(e.heldUntil) }
