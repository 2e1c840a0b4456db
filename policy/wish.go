package policy

import (
	"net/netip"

	"github.com/fairway-bgp/fairway/routes"
)

// Wish is everything the speaker shall have: it is handed over whole, and the
// speaker finds out the difference itself. Sessions are sorted by peer, Exports
// by class and peer.
type Wish struct {
	// RouterID and ASN are those of the BGP process. Each session states its own
	// local AS, so ASN only matters where a process is started.
	RouterID netip.Addr
	ASN      uint32
	Sessions []Session
	RIB      routes.RIB
	// Exports says with which attributes the paths of a class leave by a
	// session. A (class, peer) that is not listed does not leave by that session.
	Exports []Export
}

// Export is one export rule. (Class, Peer) is its key.
type Export struct {
	Class      routes.Class `json:"-"`
	Peer       string       `json:"peer"`
	Attributes Attributes   `json:"attributes"`
}

// Attributes are those a path has when it leaves by a session, complete: what
// is unset is absent from the UPDATE (or GoBGP's default: LOCAL_PREF 100 to an
// internal peer).
type Attributes struct {
	// NextHop is the zero Addr to leave the path's own, which in turn may be the
	// session's local address. It is set where a prefix travels over a session
	// of the other family.
	NextHop          netip.Addr              `json:"nextHop"`
	Communities      []routes.Community      `json:"communities"`
	LargeCommunities []routes.LargeCommunity `json:"largeCommunities"`
	MED              *uint32                 `json:"med"`
	// LocalPref is set for internal peers only.
	LocalPref *uint32 `json:"localPref"`
	// ASPathPrepend, set for external peers only, is how often the session's local AS is prepended in
	// addition to the one that eBGP demands.
	ASPathPrepend uint8 `json:"asPathPrepend"`
}
