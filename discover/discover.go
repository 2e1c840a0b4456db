package discover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/policy"
)

// patience is how long a router may be silent before it is said.
const patience = 3 * time.Second

// retryEvery is when a link on which nobody could speak is tried again though nothing
// changed.
const retryEvery = 2 * time.Second

// Neighbours finds neighbours. It is silent on every link until one is looked for there.
type Neighbours struct {
	log *logrus.Entry
	// changed is rung when others are looked for.
	changed *bell.Bell

	mu    sync.Mutex
	links map[string]*link
}

// link is what is known of one link that somebody is looked for on.
type link struct {
	state linkState
	why   string
	gone  bool
	// read is whether the above was read once, broken why the voice ended.
	read   bool
	broken error
	ear    ear
	// since is when the voice began, and silent whether nobody was heard for patience.
	since  time.Time
	silent bool
	// stop ends the voice, nil where there is none. Where one broke, the next begins no
	// sooner than again.
	stop  context.CancelFunc
	again time.Time
}

// New gives one that looks for nobody yet.
func New(log *logrus.Entry) *Neighbours {
	return &Neighbours{log: log, changed: bell.New(), links: map[string]*link{}}
}

// Find says who is looked for from now on, and gives what is found.
func (n *Neighbours) Find(searches []policy.Search) map[policy.Search]policy.Found {
	if len(searches) == 0 && !n.looking() {
		return nil
	}
	var names []string
	for _, s := range searches {
		if name, ok := s.Link(); ok {
			names = append(names, name)
		}
	}
	n.follow(names)
	out := make(map[policy.Search]policy.Found, len(searches))
	for _, s := range searches {
		if f, ok := s.Gateway(); ok {
			out[s] = gateways(f)
		} else if name, ok := s.Link(); ok {
			out[s] = n.on(name)
		}
	}
	return out
}

func (n *Neighbours) looking() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.links) > 0
}

// follow begins and ends to look on links.
func (n *Neighbours) follow(names []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range names {
		if n.links[name] == nil {
			n.links[name] = &link{}
			n.changed.Ring()
		}
	}
	for name, l := range n.links {
		if !slices.Contains(names, name) {
			l.silence()
			delete(n.links, name)
		}
	}
}

// on gives what is found on a link.
func (n *Neighbours) on(name string) policy.Found {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.links[name]
	out := policy.Found{Routers: l.ear.list(), Own: l.state.own, Why: l.why, Impossible: l.gone}
	switch {
	case l.why != "" || len(out.Routers) > 0:
	case errors.Is(l.broken, fs.ErrPermission):
		out.Why = fmt.Sprintf("router advertisements on %s need the capability NET_RAW, which this process has not", name)
	case l.broken != nil:
		out.Why = fmt.Sprintf("router advertisements on %s: %v", name, l.broken)
	case l.silent:
		out.Why = fmt.Sprintf("no router advertisement seen on %s: have the router send them there (FRR: `neighbor IFNAME interface`; others: `ipv6 nd` or `radv`), and see that nothing drops ICMPv6", name)
	}
	return out
}

// Watch looks on links until ctx ends, and rings when something else is found. ring
// must not block. The error is why it ended before that; what was known stays.
func (n *Neighbours) Watch(ctx context.Context, ring func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer n.silenceAll()
	defer cancel()
	news, broken, err := watchLinks(ctx)
	if err != nil {
		return err
	}
	for {
		n.review(ctx, ring)
		timer := time.NewTimer(n.next(time.Now()))
		select {
		case <-ctx.Done():
		case err = <-broken:
		case <-news.Rung():
		case <-n.changed.Rung():
		case <-timer.C:
		}
		timer.Stop()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("watch links and their addresses: %w", err)
		}
	}
}

// watchLinks rings when a link or an IPv6 address changes.
func watchLinks(ctx context.Context) (*bell.Bell, <-chan error, error) {
	changes, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, nil, fmt.Errorf("watch links and their addresses: %w", err)
	}
	news, broken := bell.New(), make(chan error, 1)
	context.AfterFunc(ctx, changes.Close)
	go func() {
		for {
			if _, _, err := changes.Receive(); err != nil {
				broken <- err
				return
			}
			news.Ring()
		}
	}()
	return news, broken, nil
}

// next is the time until something is due without news.
func (n *Neighbours) next(now time.Time) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	wait := 24 * time.Hour
	for _, l := range n.links {
		if l.stop == nil && !l.gone {
			wait = min(wait, retryEvery)
		}
		if said := l.since.Add(patience); l.stop != nil && len(l.ear.routers) == 0 && said.After(now) {
			wait = min(wait, said.Sub(now))
		}
		if due := l.ear.due(); !due.IsZero() {
			wait = min(wait, max(0, due.Sub(now)))
		}
	}
	return wait
}

// review looks at every link again: a voice is ended where the link is no longer what
// it speaks on, and begun where there is none.
func (n *Neighbours) review(ctx context.Context, ring func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	changed, now := false, time.Now()
	for name, l := range n.links {
		state, why, gone := readLink(name)
		if !l.read || state != l.state || why != l.why {
			l.silence()
			if why != "" { // whoever is behind a link that was down may be another one
				l.ear = ear{}
			}
			l.state, l.why, l.gone, l.read, changed = state, why, gone, true, true
		}
		silent := l.stop != nil && len(l.ear.routers) == 0 && now.Sub(l.since) >= patience
		changed = l.ear.settle(now) || silent != l.silent || changed
		l.silent = silent
		if l.why == "" && l.stop == nil && !now.Before(l.again) {
			n.begin(ctx, name, l, ring)
		}
	}
	if changed {
		ring()
	}
}

// begin has somebody speak on a link.
func (n *Neighbours) begin(ctx context.Context, name string, l *link, ring func()) {
	ctx, l.stop = context.WithCancel(ctx)
	l.since = time.Now()
	state := l.state
	mine := func() bool { return n.links[name] == l && ctx.Err() == nil }
	heard := func(router netip.Addr, at time.Time) bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		if !mine() {
			return false
		}
		changed, ask := l.ear.hear(router, at)
		if changed {
			n.log.WithFields(logrus.Fields{"link": name, "router": router.String()}).Info("a router sends advertisements")
			ring()
		}
		if ask {
			n.changed.Ring() // the doubt is due in a while
		}
		return ask
	}
	asking := func(at time.Time) bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		ask := l.ear.next(at)
		if !l.ear.due().IsZero() {
			n.changed.Ring() // the doubt is due in a while
		}
		return ask
	}
	go func() {
		err := speak(ctx, name, state, heard, asking)
		n.mu.Lock()
		defer n.mu.Unlock()
		if !mine() {
			return
		}
		if err != nil && (l.broken == nil || l.broken.Error() != err.Error()) {
			n.log.WithError(err).WithField("link", name).Warn("no router advertisements on this link")
			ring()
		}
		l.broken, l.stop, l.again = err, nil, time.Now().Add(retryEvery)
		n.changed.Ring()
	}()
}

// silence ends the voice.
func (l *link) silence() {
	if l.stop != nil {
		l.stop()
		l.stop = nil
	}
	l.broken, l.again = nil, time.Time{}
}

func (n *Neighbours) silenceAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		l.silence()
		l.read = false
	}
}
