package discover

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// doubtFor is how long a router that was known has to answer once another one shows
// up on the link. RFC 4861 section 6.2.6 gives it 0.5 s and, to all at once, 3 s.
const doubtFor = 4 * time.Second

// mostRouters is how many are remembered on a link: more do not stand there, and whoever
// makes addresses up fills no memory.
const mostRouters = 16

// ear is what was heard of routers on one link. It knows no clock: each call says what
// time it is.
type ear struct {
	routers map[netip.Addr]heard
	// doubted is when the others were last asked whether they are still there; zero
	// where nobody is waited for.
	doubted time.Time
}

// heard is when a router was first heard in a row, and when last.
type heard struct{ first, last time.Time }

// hear notes an advertisement. It reports whether the routers are others than before,
// and whether those that were there already are to be asked if they still are.
func (e *ear) hear(router netip.Addr, at time.Time) (changed, ask bool) {
	if e.routers == nil {
		e.routers = map[netip.Addr]heard{}
	}
	h, known := e.routers[router]
	if !known && len(e.routers) >= mostRouters {
		return false, e.doubt(at)
	}
	if !known {
		h.first = at
	}
	h.last = at
	e.routers[router] = h
	if known || len(e.routers) == 1 {
		return !known, false
	}
	return true, e.doubt(at)
}

// doubt begins to wait for who is still there, and reports whether nobody was waited for.
func (e *ear) doubt(at time.Time) (ask bool) {
	if !e.doubted.IsZero() {
		return false
	}
	e.doubted = at
	return true
}

// due is when the doubt ends; zero where there is none.
func (e *ear) due() time.Time {
	if e.doubted.IsZero() {
		return time.Time{}
	}
	return e.doubted.Add(doubtFor)
}

// next reports whether routers are to be asked with an advertisement of ours: while none is
// known, while some are doubted, and where there is more than one, for one of them may
// have gone since.
func (e *ear) next(at time.Time) (ask bool) {
	if len(e.routers) > 1 {
		e.doubt(at)
	}
	return len(e.routers) == 0 || !e.doubted.IsZero()
}

// settle forgets those that have not answered since they were doubted, once their time
// is over, and reports whether there were any.
func (e *ear) settle(at time.Time) (changed bool) {
	if e.doubted.IsZero() || at.Before(e.due()) {
		return false
	}
	before := len(e.routers)
	maps.DeleteFunc(e.routers, func(_ netip.Addr, h heard) bool { return h.last.Before(e.doubted) })
	e.doubted = time.Time{}
	return len(e.routers) < before
}

// list gives the routers, the one that came last first.
func (e *ear) list() []netip.Addr {
	var out []netip.Addr
	for router := range e.routers {
		out = append(out, router)
	}
	slices.SortFunc(out, func(a, b netip.Addr) int {
		if c := e.routers[b].first.Compare(e.routers[a].first); c != 0 {
			return c
		}
		return a.Compare(b)
	})
	return out
}
