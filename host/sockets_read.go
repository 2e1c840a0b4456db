package host

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/fairway-bgp/fairway/inet"
)

// States of /proc/net/tcp (tcp_states.h).
const (
	tcpEstablished = "01"
	tcpSynSent     = "02"
	tcpListen      = "0A"
)

// readSockets reads the listening and connected TCP sockets, and who has those
// of BGP.
func readSockets() Sockets {
	var s Sockets
	found, err := listSockets()
	s.Err = err
	unowned := false
	for _, f := range found {
		unowned = unowned || f.bgp()
	}
	if unowned { // looking through all processes is work
		owners := socketOwners()
		for i := range found {
			if found[i].bgp() {
				found[i].Program = owners[found[i].inode]
			}
		}
		found = withoutEnded(found)
	}
	for _, f := range found {
		s.List = append(s.List, f.Socket)
	}
	return s
}

// numbered is a socket with its number, by which its owner has it.
type numbered struct {
	Socket
	inode string
}

func (n numbered) bgp() bool {
	return n.Local.Port() == inet.BGPPort || n.Remote.Port() == inet.BGPPort
}

// withoutEnded leaves out those that nobody was found to have because they have
// ended meanwhile.
func withoutEnded(found []numbered) []numbered {
	unseen := func(n numbered) bool { return n.bgp() && n.Program == "" }
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

func listSockets() ([]numbered, error) {
	var out []numbered
	var failed error
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open("/proc/thread-self/net/" + name)
		if err != nil {
			if name == "tcp" {
				failed = fmt.Errorf("read TCP sockets: %w", err)
			}
			continue
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if socket, inode, ok := parseSocket(lines.Text()); ok {
				out = append(out, numbered{socket, inode})
			}
		}
		if err := lines.Err(); err != nil {
			failed = fmt.Errorf("read TCP sockets: %w", err)
		}
		f.Close()
	}
	return out, failed
}

// parseSocket reads a line of /proc/net/tcp that is a listener, a session or an
// attempt at one. A session without a number waits for its listener's program to
// take it.
func parseSocket(line string) (s Socket, inode string, ok bool) {
	w := strings.Fields(line)
	if len(w) < 10 || w[9] == "0" || w[3] != tcpListen && w[3] != tcpEstablished && w[3] != tcpSynSent {
		return Socket{}, "", false
	}
	local, okLocal := parseEndpoint(w[1])
	remote, okRemote := parseEndpoint(w[2])
	return Socket{Local: local, Remote: remote, Listening: w[3] == tcpListen}, w[9], okLocal && okRemote
}

// parseEndpoint reads ADDRESS:PORT in hexadecimal; the address is in words of
// the machine's byte order, which is little-endian where Kube-OVN runs.
func parseEndpoint(text string) (netip.AddrPort, bool) {
	addr, port, ok := strings.Cut(text, ":")
	b, err := hex.DecodeString(addr)
	n, errPort := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || errPort != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok
}

// socketOwners are the programs by the inode of a socket, as far as they can be
// seen.
func socketOwners() map[string]string {
	out := map[string]string{}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return out
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		inode, ok := strings.CutPrefix(target, "socket:[")
		if err != nil || !ok {
			continue
		}
		name, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(link)), "comm"))
		if err == nil {
			out[strings.TrimSuffix(inode, "]")] = strings.TrimSpace(string(name))
		}
	}
	return out
}
