package host

import (
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// Facts are what Read found. Each part has its own error: then that part is
// unknown, and the others still count.
type Facts struct {
	Datapath Datapath
	Links    Links
	// Neighbours are the kernel's entries on the overlay link; nil where they could
	// not be read.
	Neighbours map[netip.Addr]Neighbour
	// Sysctls are settings by path below /proc/sys.
	Sysctls map[string]Setting
	Filter  Filter
	Sockets Sockets
	// Processes are the names of the programs that run here.
	Processes Processes
}

// Setting is one sysctl, without its line end.
type Setting struct {
	Value string
	Err   error
}

// Filter is the packet filter of both families.
type Filter struct {
	IPv4, IPv6 netfilter.Ruleset
	// Unread says what could not be read: a drop that is seen is one all the
	// same, but nothing is known to pass.
	Unread []string
	// Mixed are tables of iptables-nft that it cannot read any more, for somebody
	// has put into them what only nft can express; as nft lists them.
	Mixed []*netfilter.Table
	// SetTool is whether there is a program for ipsets.
	SetTool bool
	// printed stands for what programs printed of iptables-legacy and ipsets, and moving is
	// whether there are sets of nft's that change by themselves: see Steady.
	printed string
	moving  bool
}

// unreadFix is what to do about it.
const unreadFix = "install the program on the node or in the image, or run as root"

// of gives the rules that packets of a family meet.
func (f *Filter) of(six bool) *netfilter.Ruleset {
	if six {
		return &f.IPv6
	}
	return &f.IPv4
}

// Sockets are TCP sockets of this network namespace.
type Sockets struct {
	Err  error
	List []Socket
}

// Socket is one TCP socket: a listener, a session or an attempt at one.
type Socket struct {
	Local, Remote netip.AddrPort
	Listening     bool
	// Program is the name of the process that has it, "" where it cannot be seen.
	Program string
}

// Processes are the programs that can be seen.
type Processes struct {
	Err   error
	Names []string
	// Partial is set where this process sees only its own container's.
	Partial bool
}

// Uplinks are the links by which packets of a family come in from the peers, and those
// by which replies leave, all of them with ECMP; sorted.
func (f Facts) Uplinks(w Want, six bool) []string {
	x := f.Datapath.waysFor(w)
	exits := x.exits(six)
	if len(exits) == 0 {
		exits = x.mainWay(outsideAddress(six)).Links
	}
	return x.outward(slices.Concat(x.entries[six], exits))
}

// outsideAddress is an address that no cluster has, for a packet from anywhere:
// public ones, which no firewall drops as private or reserved.
func outsideAddress(six bool) netip.Addr {
	if six {
		return netip.MustParseAddr("2600:1406::77")
	}
	return netip.MustParseAddr("23.45.67.89")
}
