package enforce

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// nftGroup is the netlink group of nftables' changes (NFNLGRP_NFTABLES in
// linux/netfilter/nfnetlink.h). iptables-nft's changes are among them.
const nftGroup = 7

// watchFilter rings the bell on every change of a rule until ctx ends. The bell
// must not block. nftables tells of changes; iptables-legacy tells nobody, so its tables
// are looked at as often as pace says, where there are any, and neither does ipset, so
// our sets are too.
func watchFilter(ctx context.Context, pace pace, bell func()) error {
	events, err := openEvents(unix.NETLINK_NETFILTER, nftGroup)
	if err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	defer events.Close()
	legacy, err := openLegacy()
	if err != nil {
		return err
	}
	defer legacy.close()
	stop := context.AfterFunc(ctx, func() { events.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	last, rung := legacy.look(), time.Now()
	var sets setsLook
	buf := make([]byte, 1<<16)
	for {
		events.SetReadDeadline(time.Now().Add(pace.next(last != (shapes{}), time.Since(rung))))
		if ctx.Err() != nil {
			return nil
		}
		_, err := events.Read(buf)
		switch {
		case err == nil, errors.Is(err, unix.ENOBUFS): // more changes than the buffer holds: a change all the same
			bell()
			if !pace.sets {
				continue // an audit waits a while, and looks at everything then
			}
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("watch nftables: %w", err)
		}
		if pace.sets && sets.changed() {
			bell()
		}
		now := legacy.look()
		inDoubt := now != (shapes{}) && pace.doubt != nil && time.Since(rung) > pace.doubt()
		if now != last || inDoubt {
			last, rung = now, time.Now()
			bell()
		}
	}
}

// pace is how often what tells nobody is looked at.
type pace struct {
	// legacy is for tables of iptables-legacy, absent for whether there are any,
	// restless for the time after a change: changes come in groups, and traffic waits.
	legacy, absent, restless time.Duration
	// doubt is when the bell rings for iptables-legacy though its tables have kept their
	// shape, for other rules may have the same; nil for never.
	doubt func() time.Duration
	// sets is whether our sets are looked at.
	sets bool
}

// enforcing is the pace where traffic waits for the repair. A look at a table is one
// system call.
func enforcing(doubt func() time.Duration) pace {
	return pace{legacy: legacyInterval, absent: absentInterval, restless: restlessInterval, doubt: doubt, sets: true}
}

// auditing is the pace where somebody only reads what is found.
func auditing() pace {
	return pace{legacy: auditedInterval, absent: auditedInterval, restless: auditedInterval}
}

// Intervals of looks at iptables-legacy.
const (
	legacyInterval   = 50 * time.Millisecond
	absentInterval   = time.Second
	restlessInterval = 5 * time.Millisecond
	restlessFor      = 2 * time.Second
	auditedInterval  = 5 * time.Second
	doubtInterval    = 5 * time.Second
)

// next is the time to the next look.
func (p pace) next(legacy bool, sinceChange time.Duration) time.Duration {
	switch {
	case !legacy:
		return p.absent
	case sinceChange < restlessFor:
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

// legacy looks at iptables-legacy's filter tables by the call that iptables
// itself begins with.
type legacy struct {
	ipv4, ipv6 int
	// used are the tables in use, as of named: which they are changes hardly ever.
	used  [2][]string
	named time.Time
}

// names reads which tables are in use, now and then.
func (l *legacy) names() {
	if time.Since(l.named) < absentInterval {
		return
	}
	l.used = [2][]string{host.LegacyTables(netfilter.IPv4), host.LegacyTables(netfilter.IPv6)}
	l.named = time.Now()
}

func openLegacy() (*legacy, error) {
	l := &legacy{ipv4: -1, ipv6: -1}
	var err error
	if l.ipv4, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
		return nil, fmt.Errorf("watch iptables-legacy: %w", err)
	}
	// A kernel without IPv6 has no ip6tables.
	if l.ipv6, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
		l.ipv6 = -1
	}
	return l, nil
}

func (l *legacy) close() {
	unix.Close(l.ipv4)
	if l.ipv6 >= 0 {
		unix.Close(l.ipv6)
	}
}

// tableShape is struct ipt_getinfo (linux/netfilter_ipv4/ip_tables.h), the same
// for IPv6: where chains begin, how many rules there are and how large they are.
type tableShape struct {
	Name             [32]byte
	Hooks            uint32
	Entry, Underflow [5]uint32
	Rules, Size      uint32
}

// shapes are those of all tables that matter.
type shapes [2][3]tableShape

// look gives the shapes of the tables in use.
func (l *legacy) look() shapes {
	const getInfo = 64 // IPT_SO_GET_INFO, IP6T_SO_GET_INFO
	l.names()
	var out shapes
	for i, of := range []struct{ fd, level int }{{l.ipv4, unix.SOL_IP}, {l.ipv6, unix.SOL_IPV6}} {
		if of.fd < 0 {
			continue
		}
		for j, name := range []string{"filter", "mangle", "raw"} {
			if !slices.Contains(l.used[i], name) {
				continue // asking would make it
			}
			s := &out[i][j]
			copy(s.Name[:], name)
			size := uint32(unsafe.Sizeof(*s))
			// The kernel fills s in; an error leaves only the name, which is a shape too.
			_, _, _ = unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(of.fd), uintptr(of.level), getInfo, uintptr(unsafe.Pointer(s)), uintptr(unsafe.Pointer(&size)), 0)
		}
	}
	return out
}
