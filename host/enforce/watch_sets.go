package enforce

import (
	"time"

	"github.com/fairway-bgp/fairway/host"
)

// setsInterval is how often our ipsets are looked at: ipset, too, tells nobody. A look
// is a listing by netlink for each family. Where we have none, that they are made is
// looked for more seldom: we make them ourselves.
const (
	setsInterval   = time.Second
	noSetsInterval = 5 * time.Second
)

// setsLook is what our sets held when they were looked at last.
type setsLook struct {
	next  time.Time
	known [2]uint64
}

// changed looks, where it is time to, and reports whether the sets are other
// ones than before.
func (s *setsLook) changed() bool {
	now := time.Now()
	if now.Before(s.next) {
		return false
	}
	seen := [2]uint64{host.SetListing(host.SetName(false)), host.SetListing(host.SetName(true))}
	other := seen != s.known
	s.next, s.known = now.Add(setsInterval), seen
	if seen == [2]uint64{} {
		s.next = now.Add(noSetsInterval)
	}
	return other
}
