package enforce

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// nftGroup is the netlink group of nftables' changes (NFNLGRP_NFTABLES in
// linux/netfilter/nfnetlink.h). iptables-nft's changes are among them.
const nftGroup = 7

// watchFilter rings the bell on every change of a rule until ctx ends. The bell
// must not block. nftables tells of changes; iptables-legacy tells nobody, so its tables
// are looked at when a program has had iptables' lock, and as often as pace says, where
// there are any. Neither does ipset tell, so our sets are looked at too.
func watchFilter(ctx context.Context, pace pace, bell func()) error {
	events, err := openEvents(unix.NETLINK_NETFILTER, nftGroup)
	if err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	defer events.Close()
	kernel, err := host.OpenLegacy()
	if err != nil {
		return err
	}
	defer kernel.Close()
	wake := func() { events.SetReadDeadline(time.Unix(1, 0)) }
	lock := watchLock(lockPath, wake)
	defer lock.close()
	defer context.AfterFunc(ctx, wake)()
	legacy := legacy{Legacy: kernel, pace: pace}
	legacy.changed(true)
	var sets setsLook
	buf := make([]byte, 1<<16)
	for {
		if pace.enforces {
			lock.try()
		}
		events.SetReadDeadline(time.Now().Add(pace.next(&legacy, lock.watched.Load())))
		if ctx.Err() != nil {
			return nil
		}
		err := os.ErrDeadlineExceeded
		if !lock.touched.Load() { // else the deadline was set before this one
			_, err = events.Read(buf)
		}
		switch {
		case err == nil, errors.Is(err, unix.ENOBUFS): // more changes than the buffer holds: a change all the same
			bell()
			if !pace.enforces {
				continue // an audit waits a while, and looks at everything then
			}
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("watch nftables: %w", err)
		}
		if pace.enforces && sets.changed() {
			bell()
		}
		if legacy.changed(lock.touched.Swap(false)) {
			bell()
		}
	}
}

// pace is how often what tells nobody is looked at.
type pace struct {
	// legacy is for tables of iptables-legacy, absent for whether there are any,
	// restless for the time after a change: changes come in groups, and traffic waits.
	// locked is in place of the two where iptables' lock tells.
	legacy, absent, restless, locked time.Duration
	// enforces is whether our sets, and the content of tables of iptables-legacy, are
	// looked at.
	enforces bool
}

// enforcing is the pace where traffic waits for the repair. A look at a table is one
// system call.
func enforcing() pace {
	return pace{legacy: legacyInterval, absent: absentInterval, restless: restlessInterval, locked: lockedInterval, enforces: true}
}

// auditing is the pace where somebody only reads what is found.
func auditing() pace {
	return pace{legacy: auditedInterval, absent: auditedInterval, restless: auditedInterval, locked: auditedInterval}
}

// Intervals of looks at iptables-legacy.
const (
	legacyInterval   = 50 * time.Millisecond
	absentInterval   = time.Second
	lockedInterval   = time.Second
	restlessInterval = 5 * time.Millisecond
	restlessFor      = 2 * time.Second
	auditedInterval  = 5 * time.Second
	doubtInterval    = 5 * time.Second
)

// touchedShare bounds the part of the time that looks at content take because programs
// have had the lock, also those that only read.
const touchedShare = 50

// next is the time to the next look.
func (p pace) next(l *legacy, locked bool) time.Duration {
	switch {
	case l.last == (shapes{}):
		return p.absent
	case locked && l.touched:
		return min(p.locked, max(l.rest(), 0))
	case locked:
		return p.locked
	case time.Since(l.moved) < restlessFor:
		return p.restless
	}
	return p.legacy
}

// watchSettings rings the bell when the kernel says that forwarding or reverse path
// filters have changed, of any link, until ctx ends (RTM_NEWNETCONF in
// linux/netconf.h).
func watchSettings(ctx context.Context, bell func()) error {
	events, err := openEvents(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF)
	if err != nil {
		return fmt.Errorf("watch sysctls: %w", err)
	}
	defer events.Close()
	stop := context.AfterFunc(ctx, func() { events.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 1<<16)
	for {
		_, err := events.Read(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil, errors.Is(err, unix.ENOBUFS):
			bell()
		default:
			return fmt.Errorf("watch sysctls: %w", err)
		}
	}
}

// openEvents opens a netlink socket for groups of events, with the runtime's poller
// behind it.
func openEvents(protocol int, groups ...uint) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, err
	}
	address := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	for _, g := range groups {
		address.Groups |= 1 << (g - 1)
	}
	if err := unix.Bind(fd, address); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "netlink events"), nil
}

// legacy looks at iptables-legacy's tables.
type legacy struct {
	*host.Legacy
	pace pace
	// last are the shapes that were seen last, and moved is when they changed.
	last  shapes
	moved time.Time
	// content stands for all that is in the tables, as of looked, which took that long.
	content host.FilterState
	looked  time.Time
	took    time.Duration
	// touched is whether a program has had the lock since.
	touched bool
	// used are the tables in use, as of named: which they are changes hardly ever.
	used  [2][]string
	named time.Time
}

// changed looks, and reports whether the tables are, or may be, other ones than before.
// Where they have kept their shape, their content is looked at when a program may have
// touched them, and now and then: that reads all of them, so it takes one part in idleShare
// of the time.
func (l *legacy) changed(touched bool) bool {
	now := l.look()
	if now != l.last {
		l.last, l.moved, l.content = now, time.Now(), host.FilterState{}
		return true
	}
	l.touched = l.touched || touched
	inDoubt := now != (shapes{}) && time.Since(l.looked) > max(doubtInterval, idleShare*l.took)
	if !l.pace.enforces || !inDoubt && (!l.touched || l.rest() > 0) {
		return false
	}
	begin := time.Now()
	content, err := l.Content()
	l.looked, l.took, l.touched = time.Now(), time.Since(begin), false
	other := err != nil || content != l.content
	l.content = content
	return other
}

// rest is how long it takes until the content may be looked at again.
func (l *legacy) rest() time.Duration { return touchedShare*l.took - time.Since(l.looked) }

// names reads which tables are in use, now and then.
func (l *legacy) names() {
	if time.Since(l.named) < absentInterval*9/10 {
		return
	}
	l.used = [2][]string{host.LegacyTables(netfilter.IPv4), host.LegacyTables(netfilter.IPv6)}
	l.named = time.Now()
}

// shapes are those of all tables that matter.
type shapes [2][3]host.LegacyShape

// look gives the shapes of the tables in use.
func (l *legacy) look() shapes {
	l.names()
	var out shapes
	for i, f := range []netfilter.Family{netfilter.IPv4, netfilter.IPv6} {
		for j, name := range []string{"filter", "mangle", "raw"} {
			if slices.Contains(l.used[i], name) {
				out[i][j], _ = l.Shape(f, name) // an error is a shape too
			}
		}
	}
	return out
}
