package speaker

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// repeatWindow is how long a line stands for those that are like it.
const repeatWindow = time.Minute

// repeats lets one line of a kind through, counts those that follow within
// repeatWindow, and then says how many they were: who can make GoBGP write a line
// for each packet must not fill the node's log. It holds an entry for each kind
// whose window is open: GoBGP has a fixed number of texts for each peer.
type repeats struct {
	mu   sync.Mutex
	more map[repeatKey]int
}

// repeatKey is a kind of line. The peer is the zero Addr in lines about none.
type repeatKey struct {
	peer netip.Addr
	text string
}

func newRepeats() *repeats { return &repeats{more: map[repeatKey]int{}} }

// first reports whether a line is the first of its kind within its window. At the
// window's end say is called with the number of the others, if there are any; the
// next one is a first one again.
func (r *repeats) first(k repeatKey, say func(more int)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, open := r.more[k]; open {
		r.more[k]++
		return false
	}
	r.more[k] = 0
	time.AfterFunc(repeatWindow, func() {
		if more := r.end(k); more > 0 {
			say(more)
		}
	})
	return true
}

// end closes a window and gives the number of lines that it held back.
func (r *repeats) end(k repeatKey) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer delete(r.more, k)
	return r.more[k]
}

// again says how often a line came again.
func (k repeatKey) again(more int) string {
	switch k.text {
	case "Closed an accepted connection", "accepted conn is closed to avoid be blocked":
		return fmt.Sprintf("refused %d more connections from %s in the last minute", more, k.peer)
	}
	return fmt.Sprintf("gobgp: %s: %d more in the last minute", k.text, more)
}
