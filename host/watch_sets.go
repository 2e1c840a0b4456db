package host

import (
	"hash/fnv"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// setsInterval is how often our ipsets are looked at: ipset, too, tells nobody. A
// look is a listing by netlink for each family.
const setsInterval = 200 * time.Millisecond

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
	seen := [2]uint64{listing(setName(false)), listing(setName(true))}
	other := seen != s.known
	s.next, s.known = now.Add(setsInterval), seen
	return other
}

// listing is a number that stands for all that the kernel says of a set: the same
// as of none where it says nothing.
func listing(name string) uint64 {
	h := fnv.New64a()
	messages, err := setRequest(nl.IPSET_CMD_LIST, name).Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return h.Sum64()
	}
	for _, m := range messages {
		h.Write(m)
	}
	return h.Sum64()
}
