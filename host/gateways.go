package host

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/bell"
)

// Gateways follows whether the next hops into the overlay answer: Kube-OVN's join
// gateways, by which its routes lead (pkg/daemon/controller_linux.go). The kernel
// tells of its neighbour entries; a question every askInterval keeps them true,
// and writes none.
type Gateways struct {
	link string
	log  *logrus.Entry
	// changed is rung when others are to be asked, or at once.
	changed *bell.Bell

	mu       sync.Mutex
	wanted   []netip.Addr
	nodeGone bool
	known    map[netip.Addr]*Reach
}

// NewGateways gives one that asks nobody yet, for next hops on a link.
func NewGateways(link string, log *logrus.Entry) *Gateways {
	return &Gateways{link: link, log: log, changed: bell.New(), known: map[netip.Addr]*Reach{}}
}

// Follow says which next hops matter from now on, and whether the own Node object
// is gone, and gives those that are down, with the reason. What is not known is
// not down.
func (g *Gateways) Follow(hops []netip.Addr, nodeGone bool) map[netip.Addr]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(g.wanted, hops) || nodeGone && !g.nodeGone {
		g.changed.Ring()
	}
	g.wanted = slices.Clone(hops)
	for _, hop := range hops {
		if g.known[hop] == nil {
			g.known[hop] = &Reach{}
		}
		g.known[hop].SetUrgent(time.Now(), nodeGone)
	}
	// Of a next hop that nothing leads to any more, only that it is down is worth
	// knowing: the route may come back.
	maps.DeleteFunc(g.known, func(hop netip.Addr, r *Reach) bool { return !r.Down(false) && !slices.Contains(hops, hop) })
	g.nodeGone = nodeGone
	return g.down()
}

func (g *Gateways) down() map[netip.Addr]string {
	out := map[netip.Addr]string{}
	for _, hop := range g.wanted {
		if r := g.known[hop]; r.Down(g.nodeGone) {
			out[hop] = r.Why(hop, g.link)
		}
	}
	return out
}

// Watch asks and listens until ctx ends, and rings when a next hop goes
// down or answers again. ring must not block. The error is why it ended before
// that; what was known stays.
func (g *Gateways) Watch(ctx context.Context, ring func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	news, broken, err := watchNeighbours(ctx)
	if err != nil {
		return err
	}
	defer drain(news)
	asker := openAsker(g.log)
	defer asker.close()
	for before := g.current(); ; {
		g.ask(asker)
		if now := g.current(); !maps.Equal(before, now) {
			before = now
			ring()
		}
		timer := time.NewTimer(time.Until(g.due()))
		select {
		case <-ctx.Done():
		case err = <-broken:
		case n := <-news:
			g.see(n, asker.link)
		case hop := <-asker.heard:
			g.hear(hop)
		case <-g.changed.Rung():
		case <-timer.C:
		}
		timer.Stop()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("watch neighbours: %w", err)
		}
	}
}

// current is what Follow would give.
func (g *Gateways) current() map[netip.Addr]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.down()
}

// due is when somebody is to be asked; in a day, where there is nobody.
func (g *Gateways) due() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := time.Now().Add(24 * time.Hour)
	for _, hop := range g.wanted {
		if due := g.known[hop].Due(); due.Before(first) {
			first = due
		}
	}
	return first
}

// ask asks all that are due. Nothing is sent, and nothing follows, while the
// kernel's entries cannot be read.
func (g *Gateways) ask(a *asker) {
	if g.due().After(time.Now()) {
		return
	}
	entries, err := a.look(g.link)
	for hop, q := range g.requests(entries, err) {
		if err := a.send(hop, q, entries[hop]); err != nil {
			g.update(hop, (*Reach).Unsent)
		}
	}
}

// requests are what the due ones have to be sent.
func (g *Gateways) requests(entries map[netip.Addr]Neighbour, err error) map[netip.Addr]Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, out := time.Now(), map[netip.Addr]Request{}
	for _, hop := range g.wanted {
		r := g.known[hop]
		if r.Due().After(now) {
			continue
		}
		if err != nil {
			r.Skip(now)
		} else if q := r.Ask(now, entries[hop]); q != Nothing {
			out[hop] = q
		}
	}
	return out
}

// see takes in what the kernel tells of an entry.
func (g *Gateways) see(n netlink.NeighUpdate, link int) {
	if n.LinkIndex == link && n.Type == unix.RTM_NEWNEIGH {
		g.update(addrOf(n.IP), func(r *Reach, now time.Time) { r.See(now, neighbourOf(n.Neigh, now)) })
	}
}

func (g *Gateways) hear(hop netip.Addr) { g.update(hop, (*Reach).Hear) }

// update does something to what is known of a next hop, if it is followed.
func (g *Gateways) update(hop netip.Addr, do func(*Reach, time.Time)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.known[hop]; r != nil {
		do(r, time.Now())
	}
}
