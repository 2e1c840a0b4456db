package speaker

import (
	"bufio"
	bin "encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// BenchmarkTable has a router dial a speaker that has just begun, and take all it announces:
// in all, and from the first Sync to its end.
func BenchmarkTable(b *testing.B) {
	for _, size := range []struct{ prefixes, classes int }{{10_000, 1}, {10_000, 1000}, {100_000, 1}} {
		b.Run(fmt.Sprintf("prefixes=%d/classes=%d", size.prefixes, size.classes), func(b *testing.B) {
			b.ReportAllocs()
			var syncing time.Duration
			for b.Loop() {
				b.StopTimer()
				from := loopback()
				port := freePort(b, netip.IPv4Unspecified())
				s := running(b, Options{ListenPort: int32(port)})
				w := benchTable(size.prefixes, size.classes, from)
				b.StartTimer()
				begun := time.Now()
				mustSync(b, s, w)
				syncing += time.Since(begun)
				takeAll(b, from, netip.AddrPortFrom(loopback(), port), size.prefixes)
			}
			b.ReportMetric(float64(syncing.Milliseconds())/float64(b.N), "sync-ms/op")
		})
	}
}

// benchTable has n paths, of each class but one a single one.
func benchTable(n, classes int, peer netip.Addr) policy.Wish {
	w := wishFor(silent(0))
	w.Sessions[0].Address = peer
	w.RIB = make(routes.RIB, n)
	for i := range n {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		w.RIB[i] = &routes.Route{Prefix: prefix, Path: routes.Path{Class: routes.Class(min(1+i, classes))}}
	}
	for c := range classes {
		w.Exports = append(w.Exports, export(routes.Class(1+c), w.Sessions[0].Peer, policy.Attributes{MED: ptr(uint32(c))}))
	}
	return w
}

// takeAll is a router that dials, and hangs up when it has n prefixes.
func takeAll(b *testing.B, from netip.Addr, to netip.AddrPort, n int) {
	b.Helper()
	c := dialUp(b, from, to)
	defer c.Close()
	in, messages := bufio.NewReaderSize(c, 1<<16), 0
	for got := 0; got < n; {
		body, err := nextMessage(in)
		if err != nil {
			b.Fatal(err)
		}
		if announced := announcedIn(body); announced > 0 {
			got, messages = got+announced, messages+1
		}
	}
	b.ReportMetric(float64(messages), "UPDATEs/op")
}

// dialUp gives a connection whose OPEN was answered. One that comes a moment after its peer
// was added GoBGP closes.
func dialUp(b *testing.B, from netip.Addr, to netip.AddrPort) (c net.Conn) {
	b.Helper()
	open, err := bgp.NewBGPOpenMessage(65100, 90, netip.MustParseAddr("192.0.2.250"), []bgp.OptionParameterInterface{
		bgp.NewOptionParameterCapability([]bgp.ParameterCapabilityInterface{
			bgp.NewCapMultiProtocol(bgp.RF_IPv4_UC), bgp.NewCapFourOctetASNumber(65100),
		}),
	})
	if err != nil {
		b.Fatal(err)
	}
	hello, _ := open.Serialize()
	keepalive, _ := bgp.NewBGPKeepAliveMessage().Serialize()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: patience}
	answered := within(patience, func() bool {
		if c, err = dialer.Dial("tcp", to.String()); err != nil {
			return false
		}
		c.Write(append(hello, keepalive...))
		if _, err = nextMessage(c); err != nil {
			c.Close()
		}
		return err == nil
	})
	if !answered {
		b.Fatal(err)
	}
	return c
}

// nextMessage gives an UPDATE's body, nil for any other message.
func nextMessage(in io.Reader) ([]byte, error) {
	header := make([]byte, bgp.BGP_HEADER_LENGTH)
	if _, err := io.ReadFull(in, header); err != nil {
		return nil, err
	}
	body := make([]byte, int(bin.BigEndian.Uint16(header[16:]))-len(header))
	if _, err := io.ReadFull(in, body); err != nil || header[18] != bgp.BGP_MSG_UPDATE {
		return nil, err
	}
	return body, nil
}

// announcedIn counts the IPv4 prefixes of an UPDATE (RFC 4271 section 4.3).
func announcedIn(body []byte) (n int) {
	if body == nil {
		return 0
	}
	withdrawn := int(bin.BigEndian.Uint16(body))
	rest := body[2+withdrawn:]
	rest = rest[2+int(bin.BigEndian.Uint16(rest)):]
	for len(rest) > 0 {
		rest = rest[1+(int(rest[0])+7)/8:]
		n++
	}
	return n
}
