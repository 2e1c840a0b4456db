package enforce

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// nftGroup is the netlink group of nftables' changes (NFNLGRP_NFTABLES in
// linux/netfilter/nfnetlink.h). iptables-nft's changes are among them.
const nftGroup = 7

// WatchFilter rings the bell on every change of a rule until ctx ends. The bell
// must not block. nftables tells of changes; iptables-legacy tells nobody, so
// its tables are looked at every legacyInterval, where there are any, and neither
// does ipset, so our sets are looked at every host.SetsInterval.
func WatchFilter(ctx context.Context, bell func()) error {
	events, err := openEvents()
	if err != nil {
		return err
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
		pause := legacyInterval
		if time.Since(rung) < restlessFor {
			pause = restlessInterval
		}
		events.SetReadDeadline(time.Now().Add(pause))
		if ctx.Err() != nil {
			return nil
		}
		_, err := events.Read(buf)
		switch {
		case err == nil, errors.Is(err, unix.ENOBUFS): // more changes than the buffer holds: a change all the same
			bell()
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("watch nftables: %w", err)
		}
		if sets.changed() {
			bell()
		}
		now := legacy.look()
		inDoubt := now != (shapes{}) && time.Since(rung) > doubtInterval
		if now != last || inDoubt {
			last, rung = now, time.Now()
			bell()
		}
	}
}

// legacyInterval is how often the tables of iptables-legacy are looked at. A
// look is one system call for each table in use, and none where there is none.
const legacyInterval = 50 * time.Millisecond

// restlessInterval is how often they are looked at for restlessFor after a
// change: changes come in groups, and traffic waits.
const (
	restlessInterval = 5 * time.Millisecond
	restlessFor      = 2 * time.Second
)

// doubtInterval is when the bell rings for iptables-legacy though its tables
// have kept their shape: other rules may have the same.
const doubtInterval = 5 * time.Second

// openEvents opens a netlink socket for changes of nftables, with the runtime's
// poller behind it.
func openEvents() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("watch nftables: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (nftGroup - 1)}); err != nil {
		return nil, fmt.Errorf("watch nftables: %w", errors.Join(err, unix.Close(fd)))
	}
	return os.NewFile(uintptr(fd), "nftables events"), nil
}

// legacy looks at iptables-legacy's filter tables by the call that iptables
// itself begins with.
type legacy struct {
	ipv4, ipv6 int
}

func openLegacy() (*legacy, error) {
	l := &legacy{-1, -1}
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
	var out shapes
	for i, of := range []struct {
		family    netfilter.Family
		fd, level int
	}{{netfilter.IPv4, l.ipv4, unix.SOL_IP}, {netfilter.IPv6, l.ipv6, unix.SOL_IPV6}} {
		if of.fd < 0 {
			continue
		}
		used := host.LegacyTables(of.family)
		for j, name := range []string{"filter", "mangle", "raw"} {
			if !contains(used, name) {
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

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
