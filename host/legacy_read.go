package host

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// This file answers: which tables of iptables-legacy has the kernel, and are they as
// they were? The answers are those that iptables itself begins with, by getsockopt(2):
// nobody has to be run for them.

// LegacyTables names the tables of iptables-legacy that are in use. The kernel
// makes them at their first use, so asking further would make them.
func LegacyTables(f netfilter.Family) []string {
	name := "ip_tables_names"
	if f == netfilter.IPv6 {
		name = "ip6_tables_names"
	}
	b, err := os.ReadFile("/proc/thread-self/net/" + name)
	if err != nil {
		return nil // no iptables-legacy in this kernel
	}
	names := strings.Fields(string(b))
	slices.Sort(names)
	return names
}

// Legacy looks at tables of iptables-legacy, of the network namespace that it was opened
// in.
type Legacy struct{ sockets [2]int }

// OpenLegacy opens what Close closes.
func OpenLegacy() (*Legacy, error) {
	l := &Legacy{[2]int{-1, -1}}
	var err error
	if l.sockets[0], err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
		return nil, fmt.Errorf("look at iptables-legacy: %w", err)
	}
	// A kernel without IPv6 has no ip6tables.
	if l.sockets[1], err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
		l.sockets[1] = -1
	}
	return l, nil
}

// Close closes the sockets.
func (l *Legacy) Close() {
	for _, s := range l.sockets {
		if s >= 0 {
			unix.Close(s)
		}
	}
}

// LegacyShape is struct ipt_getinfo (linux/netfilter_ipv4/ip_tables.h), the same
// for IPv6: where chains begin, how many rules there are and how large they are.
type LegacyShape struct {
	Name             [32]byte
	Hooks            uint32
	Entry, Underflow [5]uint32
	Rules, Size      uint32
}

// Shape gives the shape of a table that is in use: asking for another would make it.
// An error leaves only the name, which is a shape too.
func (l *Legacy) Shape(f netfilter.Family, table string) (LegacyShape, error) {
	const getInfo = 64 // IPT_SO_GET_INFO, IP6T_SO_GET_INFO
	var s LegacyShape
	copy(s.Name[:], table)
	size := uint32(unsafe.Sizeof(s))
	return s, l.ask(f, getInfo, unsafe.Pointer(&s), &size)
}

func (l *Legacy) ask(f netfilter.Family, option uintptr, into unsafe.Pointer, size *uint32) error {
	socket, level := l.sockets[0], uintptr(unix.SOL_IP)
	if f == netfilter.IPv6 {
		socket, level = l.sockets[1], unix.SOL_IPV6
	}
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(socket), level, option, uintptr(into), uintptr(unsafe.Pointer(size)), 0); errno != 0 {
		return errno
	}
	return nil
}

// entries gives a table as the kernel has it (struct ipt_get_entries): 40,000 rules are
// 6 MB, and take some milliseconds.
func (l *Legacy) entries(f netfilter.Family, table string) (netfilter.LegacyEntries, error) {
	const getEntries = 65 // IPT_SO_GET_ENTRIES, IP6T_SO_GET_ENTRIES
	const head = 40       // the name, the size, and what aligns the rules
	for {
		shape, err := l.Shape(f, table)
		if err != nil {
			return netfilter.LegacyEntries{}, err
		}
		buf := make([]byte, head+shape.Size)
		copy(buf, table)
		binary.NativeEndian.PutUint32(buf[32:], shape.Size)
		size := uint32(len(buf))
		err = l.ask(f, getEntries, unsafe.Pointer(&buf[0]), &size)
		if errors.Is(err, unix.EAGAIN) {
			continue // its size has changed meanwhile
		}
		return netfilter.LegacyEntries{Family: f, Hooks: shape.Hooks, Entry: shape.Entry, Underflow: shape.Underflow, Rules: buf[head:]}, err
	}
}

// sum stands for the content of all tables of a family, their counters aside; with
// forwarding for what forwarded packets may come to.
func (l *Legacy) sum(f netfilter.Family, forwarding bool) ([sha256.Size]byte, error) {
	h := sha256.New()
	for _, table := range LegacyTables(f) {
		e, err := l.entries(f, table)
		if err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("look at table %s of iptables-legacy: %w", table, err)
		}
		fmt.Fprintln(h, table, e.Hooks)
		if forwarding {
			err = e.WriteForwarding(h)
		} else {
			err = e.WriteAll(h)
		}
		if err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("look at table %s of iptables-legacy: %w", table, err)
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// Content stands for all that is in the tables of both families, their counters aside.
func (l *Legacy) Content() (FilterState, error) {
	h := sha256.New()
	for _, f := range []netfilter.Family{netfilter.IPv4, netfilter.IPv6} {
		sum, err := l.sum(f, false)
		if err != nil {
			return FilterState{}, err
		}
		h.Write(sum[:])
	}
	return FilterState(h.Sum(nil)), nil
}
