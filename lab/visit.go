package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Visit is one HTTP request to a Pod and what became of it on the way.
type Visit struct {
	// Status is the HTTP status, 200 from a Pod.
	Status int
	// Pod and Node are who answered and where it runs.
	Pod, Node string
	// From is the client's own address, Seen the one that the Pod saw. They
	// differ where somebody translated addresses.
	From, Seen netip.Addr
	// In and Out are the nodes by which request and reply passed the border of
	// the overlay, seen by taps on every node's ovn0.
	In, Out string
}

// answer is what was answered.
func (v Visit) answer() string {
	return strings.TrimSpace(fmt.Sprintf(answerForm, v.Pod, v.Node, v.Seen))
}

// visitPatience bounds one request.
const visitPatience = 2 * time.Second

// Visit asks over HTTP from one of the lab's stations or from a Pod.
func (l *Lab) Visit(ctx context.Context, station string, to netip.Addr) (Visit, error) {
	taps, err := l.openTaps()
	if err != nil {
		return Visit{}, err
	}
	defer taps.close()
	ctx, cancel := context.WithTimeout(ctx, visitPatience)
	defer cancel()
	var conn net.Conn
	err = l.inside(station, func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", netip.AddrPortFrom(to, podPort).String())
		return err
	})
	if err != nil {
		return Visit{}, fmt.Errorf("from %s: %w", station, err)
	}
	defer func() { _ = conn.Close() }() // read to its end already
	local := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	v, err := ask(ctx, conn, to)
	if err != nil {
		return Visit{}, fmt.Errorf("from %s: %w", station, err)
	}
	v.From = local.Addr().Unmap()
	v.In, v.Out, err = taps.path(netip.AddrPortFrom(v.From, local.Port()), netip.AddrPortFrom(to, podPort))
	return v, err
}

// inside runs f in a station or in a Pod; see space.do.
func (l *Lab) inside(station string, f func() error) error {
	if s := l.wiring.spaces[station]; s != nil {
		return s.do(f)
	}
	s, err := openSpace(l.Prefix + podSpace + station)
	if err != nil {
		return err
	}
	defer s.close()
	return s.do(f)
}

// ask speaks HTTP over conn.
func ask(ctx context.Context, conn net.Conn, to netip.Addr) (Visit, error) {
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return Visit{}, err
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+netip.AddrPortFrom(to, podPort).String()+"/", nil)
	if err != nil {
		return Visit{}, err
	}
	req.Close = true
	if err := req.Write(conn); err != nil {
		return Visit{}, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return Visit{}, err
	}
	defer func() { _ = resp.Body.Close() }() // read only
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Visit{}, err
	}
	v := Visit{Status: resp.StatusCode}
	var seen string
	if _, err := fmt.Sscanf(string(body), answerForm, &v.Pod, &v.Node, &seen); err != nil {
		return Visit{}, fmt.Errorf("answer %q: %w", strings.TrimSpace(string(body)), err)
	}
	v.Seen, err = netip.ParseAddr(seen)
	return v, err
}

// taps listen on every node's ovn0.
type taps []tap

type tap struct {
	node string
	fd   int
}

func (l *Lab) openTaps() (taps, error) {
	var all taps
	for _, n := range nodes() {
		t := tap{node: n.name}
		err := l.wiring.spaces[n.name].do(func() (err error) {
			t.fd, err = openTap("ovn0")
			return err
		})
		if err != nil {
			all.close()
			return nil, fmt.Errorf("tap on %s: %w", n.name, err)
		}
		all = append(all, t)
	}
	return all, nil
}

// openTap opens a packet socket without link-layer headers (packet(7)) in the
// namespace of the calling thread.
func openTap(link string) (int, error) {
	const everything = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // network byte order
	index, err := net.InterfaceByName(link)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, everything)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: index.Index}); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func (ts taps) close() {
	for _, t := range ts {
		_ = unix.Close(t.fd) // nothing was written
	}
}

// path tells by which nodes the connection's packets went into the overlay and
// came out.
func (ts taps) path(client, server netip.AddrPort) (in, out string, err error) {
	buf := make([]byte, 2048)
	for _, t := range ts {
		for {
			n, _, err := unix.Recvfrom(t.fd, buf, 0)
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			if err != nil {
				return "", "", fmt.Errorf("tap on %s: %w", t.node, err)
			}
			src, dst, ok := endpoints(buf[:n])
			switch {
			case ok && src == client && dst == server:
				in = t.node
			case ok && src == server && dst == client:
				out = t.node
			}
		}
	}
	return in, out, nil
}

// endpoints reads addresses and ports of a TCP packet without IPv6 extension
// headers (RFC 791, RFC 8200).
func endpoints(p []byte) (src, dst netip.AddrPort, ok bool) {
	const tcp = 6
	var from, to []byte
	var header int
	switch {
	case len(p) >= 20 && p[0]>>4 == 4 && p[9] == tcp:
		from, to, header = p[12:16], p[16:20], int(p[0]&0xf)*4
	case len(p) >= 40 && p[0]>>4 == 6 && p[6] == tcp:
		from, to, header = p[8:24], p[24:40], 40
	}
	if from == nil || len(p) < header+4 {
		return src, dst, false
	}
	ports := p[header:]
	a, _ := netip.AddrFromSlice(from)
	b, _ := netip.AddrFromSlice(to)
	src = netip.AddrPortFrom(a, uint16(ports[0])<<8|uint16(ports[1]))
	dst = netip.AddrPortFrom(b, uint16(ports[2])<<8|uint16(ports[3]))
	return src, dst, true
}

// NextHops reads from the kernel of a station by which next hops it reaches
// exactly this prefix, sorted; none where it has no such route.
func (l *Lab) NextHops(station string, prefix netip.Prefix) ([]netip.Addr, error) {
	routes, err := l.wiring.spaces[station].RouteList(nil, family(prefix.Addr().Is6()))
	if err != nil {
		return nil, fmt.Errorf("routes of %s: %w", station, err)
	}
	for _, r := range routes {
		if prefixOf(r.Dst) == prefix {
			return gatewaysOf(r), nil
		}
	}
	return nil, nil
}

// NodeAddresses are the named nodes' own addresses of a family, in the order of
// the names; all nodes' where no name is given.
func NodeAddresses(is6 bool, names ...string) []netip.Addr {
	var out []netip.Addr
	for _, n := range nodes() {
		if len(names) == 0 {
			out = append(out, ofFamily(n.lan, is6).Addr())
		}
		for _, name := range names {
			if n.name == name {
				out = append(out, ofFamily(n.lan, is6).Addr())
			}
		}
	}
	return out
}
