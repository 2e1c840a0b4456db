package host

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/fairway-bgp/fairway/bell"
)

// Masqueraded follows which networks this node hides behind its own address: those
// in the ipsets that kube-ovn-cni fills every 3 s (pkg/daemon/gateway_linux.go).
type Masqueraded struct {
	changed *bell.Bell

	mu sync.Mutex
	// known is what was answered last.
	known map[netip.Prefix]bool
}

// NewMasqueraded gives one that looks at nothing yet.
func NewMasqueraded() *Masqueraded { return &Masqueraded{changed: bell.New()} }

// Among says for each network whether it is in its family's set. One that is not
// there could not be looked up: the set is missing, or may not be read.
func (m *Masqueraded) Among(networks []netip.Prefix) map[netip.Prefix]bool {
	now := lookUp(networks)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = now
	if waits(now) {
		m.changed.Ring()
	}
	return maps.Clone(now)
}

func lookUp(networks []netip.Prefix) map[netip.Prefix]bool {
	out := map[netip.Prefix]bool{}
	for _, p := range networks {
		if in, err := masqueraded(p); err == nil {
			out[p] = in
		}
	}
	return out
}

// waits reports whether a network is in a set: then it is worth knowing when it
// leaves.
func waits(known map[netip.Prefix]bool) bool {
	for _, in := range known {
		if in {
			return true
		}
	}
	return false
}

// SetsInterval is how often ipsets are looked at that somebody waits for: ipset tells
// nobody of changes.
const SetsInterval = 200 * time.Millisecond

// Watch rings when a network that was asked about last leaves its set, or
// the set goes, until ctx ends. ring must not block. ipset tells nobody of
// changes, so while there is such a network it is looked up every SetsInterval.
func (m *Masqueraded) Watch(ctx context.Context, ring func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.changed.Rung():
		}
		for m.waiting() {
			timer := time.NewTimer(SetsInterval)
			select {
			case <-ctx.Done():
				timer.Stop()
				return nil
			case <-timer.C:
			}
			if m.look() {
				ring()
			}
		}
	}
}

func (m *Masqueraded) waiting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return waits(m.known)
}

// look looks up again what was asked about last, and reports whether the answer is
// another.
func (m *Masqueraded) look() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.known
	m.known = lookUp(slices.Collect(maps.Keys(before)))
	return !maps.Equal(before, m.known)
}
