package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/inet"
)

// readSockets reads the listening and connected TCP sockets, and who has those
// of BGP: of its port, and of the one that this node waits on.
func readSockets(own uint16) Sockets {
	var s Sockets
	found, err := listSockets()
	s.Err = err
	unowned := false
	for _, f := range found {
		unowned = unowned || f.bgp(own)
	}
	if unowned { // looking through all processes is work
		owners := socketOwners()
		for i := range found {
			if found[i].bgp(own) {
				found[i].Program = owners[found[i].inode]
			}
		}
		found = withoutEnded(found, own)
	}
	for _, f := range found {
		s.List = append(s.List, f.Socket)
	}
	return s
}

// numbered is a socket with its number, by which its owner has it.
type numbered struct {
	Socket
	inode uint32
}

func (n numbered) bgp(own uint16) bool {
	return n.Local.Port() == inet.BGPPort || n.Remote.Port() == inet.BGPPort || own != 0 && n.Local.Port() == own
}

// withoutEnded leaves out those that nobody was found to have because they have
// ended meanwhile.
func withoutEnded(found []numbered, own uint16) []numbered {
	unseen := func(n numbered) bool { return n.bgp(own) && n.Program == "" }
	if !slices.ContainsFunc(found, unseen) {
		return found
	}
	now, err := listSockets()
	if err != nil {
		return found
	}
	return slices.DeleteFunc(found, func(n numbered) bool {
		return unseen(n) && !slices.ContainsFunc(now, func(m numbered) bool { return m.inode == n.inode })
	})
}

// listSockets asks the kernel (sock_diag(7)) for listeners, sessions and attempts at
// one.
func listSockets() ([]numbered, error) {
	var out []numbered
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		found, err := diagnose(family)
		if family == unix.AF_INET6 && errors.Is(err, unix.ENOENT) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return out, fmt.Errorf("list TCP sockets: %w", err)
		}
		for _, s := range found {
			if n, ok := numberedOf(s); ok {
				out = append(out, n)
			}
		}
	}
	return out, nil
}

// diagnose lists a family's sockets, once more where the list changed meanwhile.
func diagnose(family uint8) (found []*netlink.Socket, err error) {
	for range 3 {
		if found, err = netlink.SocketDiagTCP(family); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return found, err
		}
	}
	return found, err
}

// numberedOf takes listeners, sessions and attempts at one. A session without a number
// waits for its listener's program to take it.
func numberedOf(s *netlink.Socket) (numbered, bool) {
	listening := s.State == netlink.TCP_LISTEN
	local, okLocal := netip.AddrFromSlice(s.ID.Source)
	remote, okRemote := netip.AddrFromSlice(s.ID.Destination)
	if !okLocal || !okRemote || s.INode == 0 || !listening && s.State != netlink.TCP_ESTABLISHED && s.State != netlink.TCP_SYN_SENT {
		return numbered{}, false
	}
	return numbered{Socket{
		Local: netip.AddrPortFrom(local.Unmap(), s.ID.SourcePort), Remote: netip.AddrPortFrom(remote.Unmap(), s.ID.DestinationPort), Listening: listening,
	}, s.INode}, true
}

// socketOwners are the programs by the inode of a socket, as far as they can be
// seen.
func socketOwners() map[uint32]string {
	out := map[uint32]string{}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return out
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		number, is := strings.CutPrefix(target, "socket:[")
		inode, bad := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 32)
		if err != nil || !is || bad != nil {
			continue
		}
		name, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(link)), "comm"))
		if err == nil {
			out[uint32(inode)] = strings.TrimSpace(string(name))
		}
	}
	return out
}
