package replay

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// observer notes what becomes of the routes that a router's kernel has by BGP.
type observer struct {
	done chan struct{}

	mu sync.Mutex
	// hops are the next hops of each prefix now; seen is how they were, in the order
	// of time.
	hops  map[netip.Prefix][]string
	seen  []Hops
	began time.Time
}

// Hops are the next hops that a prefix has from a moment on; none for no route.
type Hops struct {
	When   time.Time
	Prefix netip.Prefix
	To     []string
}

// observe begins, in a network namespace.
func observe(space string) (*observer, error) {
	ns, err := netns.GetFromName(space)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	o := &observer{done: make(chan struct{}), hops: map[netip.Prefix][]string{}, began: time.Now()}
	updates := make(chan netlink.RouteUpdate, 4096)
	if err := netlink.RouteSubscribeAt(ns, updates, o.done); err != nil {
		return nil, fmt.Errorf("watch routes of %s: %w", space, err)
	}
	go func() {
		for u := range updates {
			o.take(u)
		}
	}()
	return o, nil
}

func (o *observer) stop() { close(o.done) }

// take notes a change; FRR gives all next hops of a prefix in one route.
func (o *observer) take(u netlink.RouteUpdate) {
	if u.Protocol != unix.RTPROT_BGP || u.Dst == nil {
		return
	}
	prefix, err := netip.ParsePrefix(u.Dst.String())
	if err != nil {
		return
	}
	var to []string
	if u.Type == unix.RTM_NEWROUTE {
		if u.Gw != nil {
			to = append(to, u.Gw.String())
		}
		for _, h := range u.MultiPath {
			to = append(to, h.Gw.String())
		}
		slices.Sort(to)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(o.hops[prefix], to) {
		o.hops[prefix] = to
		o.seen = append(o.seen, Hops{time.Now(), prefix, to})
	}
}

// last is when a route changed, or when this began.
func (o *observer) last() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.seen) == 0 {
		return o.began
	}
	return o.seen[len(o.seen)-1].When
}

// Result is what a router saw of one recording.
type Result struct {
	Name string
	// Seen has its times as from the change; what was there before is at start.
	Seen []SeenHops
}

// SeenHops are Hops at a time of the recording.
type SeenHops struct {
	At     time.Duration
	Prefix netip.Prefix
	To     []string
}

// result gives what was seen so far; before first, the routes only came up.
func (o *observer) result(name string, zero time.Time, first time.Duration) Result {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := Result{Name: name}
	standing := map[netip.Prefix][]string{}
	for _, h := range o.seen {
		at := h.When.Sub(zero)
		if at < first {
			standing[h.Prefix] = h.To
			continue
		}
		r.Seen = append(r.Seen, SeenHops{at, h.Prefix, h.To})
	}
	var before []SeenHops
	for _, p := range slices.SortedFunc(maps.Keys(standing), netip.Prefix.Compare) {
		before = append(before, SeenHops{start, p, standing[p]})
	}
	r.Seen = append(before, r.Seen...)
	return r
}

// Toll is what a change cost a prefix.
type Toll struct {
	Prefix netip.Prefix
	// Without is how long it had no route after it first had one and before it last
	// had one; Changes is how often its next hops changed.
	Without time.Duration
	Changes int
}

// Tolls gives one for each prefix, sorted.
func (r Result) Tolls() []Toll {
	by := map[netip.Prefix]*Toll{}
	lost := map[netip.Prefix]time.Duration{}
	for _, h := range r.Seen {
		t := by[h.Prefix]
		if t == nil {
			t = &Toll{Prefix: h.Prefix}
			by[h.Prefix] = t
		}
		if h.At != start {
			t.Changes++
		}
		since, was := lost[h.Prefix]
		switch {
		case len(h.To) == 0:
			lost[h.Prefix] = h.At
		case was:
			t.Without += h.At - since
			delete(lost, h.Prefix)
		}
	}
	var out []Toll
	for _, p := range slices.SortedFunc(maps.Keys(by), netip.Prefix.Compare) {
		out = append(out, *by[p])
	}
	return out
}

// String is for people.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Name)
	for _, h := range r.Seen {
		to := strings.Join(h.To, " ")
		if to == "" {
			to = "no route"
		}
		fmt.Fprintf(&b, "  %9s  %-18s %s\n", word(h.At), h.Prefix, to)
	}
	for _, t := range r.Tolls() {
		fmt.Fprintf(&b, "  %-18s without a route for %.3f s between two; its next hops changed %d times\n", t.Prefix, t.Without.Seconds(), t.Changes)
	}
	return b.String()
}
