package enforce

import (
	"time"

	"github.com/fairway-bgp/fairway/host"
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
	s.next, s.known = now.Add(host.SetsInterval), seen
	return other
}
