package speaker

import (
	"context"
	bin "encoding/binary"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/fairway-bgp/fairway/policy"
)

// talker is a router that says what it is told to, octet by octet.
type talker struct {
	t    testing.TB
	addr netip.AddrPort
	// up is closed when the session is there, or will not be; then conn is set.
	up   chan struct{}
	conn net.Conn
}

// newTalker gives a router that waits to be dialled.
func newTalker(t testing.TB, asn uint16) (*talker, policy.Session) {
	t.Helper()
	r := &talker{t: t, up: make(chan struct{})}
	l, err := net.Listen("tcp", netip.AddrPortFrom(loopback(), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r.addr = netip.MustParseAddrPort(l.Addr().String())
	go func() {
		defer close(r.up)
		if c, err := l.Accept(); err == nil {
			r.greet(c, asn)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-r.up
		if r.conn != nil {
			r.conn.Close()
		}
	})
	return r, policy.Session{Peer: "tor", LocalASN: ours, SessionSettings: policy.SessionSettings{
		Address: r.addr.Addr(), Port: r.addr.Port(), PeerASN: uint32(asn), HoldTime: 90 * time.Second,
		Families: []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast},
	}}
}

// greet answers the OPEN, and everything else with a KEEPALIVE.
func (r *talker) greet(c net.Conn, asn uint16) {
	r.conn = c
	open, err := bgp.NewBGPOpenMessage(asn, 90, netip.MustParseAddr("192.0.2.250"), []bgp.OptionParameterInterface{
		bgp.NewOptionParameterCapability([]bgp.ParameterCapabilityInterface{
			bgp.NewCapMultiProtocol(bgp.RF_IPv4_UC), bgp.NewCapMultiProtocol(bgp.RF_IPv6_UC), bgp.NewCapFourOctetASNumber(uint32(asn)),
		}),
	})
	if err != nil {
		r.t.Error(err)
		return
	}
	hello, _ := open.Serialize()
	keepalive, _ := bgp.NewBGPKeepAliveMessage().Serialize()
	c.Write(hello)
	for range 2 { // an OPEN, and a KEEPALIVE
		header := make([]byte, bgp.BGP_HEADER_LENGTH)
		if _, err := io.ReadFull(c, header); err != nil {
			return
		}
		io.CopyN(io.Discard, c, int64(bin.BigEndian.Uint16(header[16:]))-bgp.BGP_HEADER_LENGTH)
		c.Write(keepalive)
	}
	go io.Copy(io.Discard, c)
}

// announce sends an UPDATE.
func (r *talker) announce(attributes []bgp.PathAttributeInterface, prefixes []bgp.PathNLRI) {
	r.t.Helper()
	<-r.up
	b, err := bgp.NewBGPUpdateMessage(nil, attributes, prefixes).Serialize()
	if err == nil {
		_, err = r.conn.Write(b)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// fullTable announces n prefixes of each family, a hundred per message.
func (r *talker) fullTable(n int, asn uint32) {
	r.t.Helper()
	const each = 100
	for first := 0; first < n; first += each {
		var v4, v6 []bgp.PathNLRI
		for i := first; i < first+each; i++ {
			four := [4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}
			six := [16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 16), byte(i >> 8), byte(i)}
			v4 = append(v4, nlriOf(r.t, netip.PrefixFrom(netip.AddrFrom4(four), 32)))
			v6 = append(v6, nlriOf(r.t, netip.PrefixFrom(netip.AddrFrom16(six), 56)))
		}
		path := []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(0), bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{
			bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, []uint32{asn, uint32(first + 1)}),
		})}
		hop, err := bgp.NewPathAttributeNextHop(r.addr.Addr())
		if err != nil {
			r.t.Fatal(err)
		}
		r.announce(append(path[:2:2], hop), v4)
		reach, err := bgp.NewPathAttributeMpReachNLRI(bgp.RF_IPv6_UC, v6, netip.MustParseAddr("2001:db8::1"))
		if err != nil {
			r.t.Fatal(err)
		}
		r.announce(append(path[:2:2], reach), nil)
	}
}

func nlriOf(t testing.TB, p netip.Prefix) bgp.PathNLRI {
	t.Helper()
	n, err := bgp.NewIPAddrPrefix(p)
	if err != nil {
		t.Fatal(err)
	}
	return bgp.PathNLRI{NLRI: n}
}

// heapNow is what is in use after everything else has been collected.
func heapNow() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestAFullTableIsNotKept: a router without an export filter sends a full table to
// each node. The session stays up, and it costs no room.
func TestAFullTableIsNotKept(t *testing.T) {
	const n, asn = 200_000, 65100
	r, session := newTalker(t, asn)
	socket := filepath.Join(t.TempDir(), "gobgp.sock")
	s := running(t, Options{GRPCSocket: socket})
	mustSync(t, s, wishFor(session))
	wantEstablished(t, s, "tor")
	before := heapNow()
	r.fullTable(n, asn)
	if !within(patience, func() bool { return sessionOf(t, s, "tor").Received == 2*n }) {
		t.Fatalf("not all arrives: %+v", sessionOf(t, s, "tor"))
	}
	if got := sessionOf(t, s, "tor"); got.State != Established || got.Flaps != 0 {
		t.Errorf("%+v", got)
	}
	if more := heapNow() - before; more > n*20 { // kept, they take 400 octets and more
		t.Errorf("%d prefixes cost %d octets", 2*n, more)
	}
	peers, err := api.NewGoBgpServiceClient(reading(t, socket)).ListPeer(t.Context(), &api.ListPeerRequest{})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := peers.Recv()
	for _, f := range shown.GetPeer().GetAfiSafis() {
		if f.State.Received != n || f.State.Accepted != 0 {
			t.Errorf("gobgp neighbor shows %v", f.State)
		}
	}
	if len(shown.GetPeer().GetAfiSafis()) != 2 {
		t.Errorf("%v, %v", shown, err)
	}
	for _, family := range session.Families {
		table, err := s.view.Load().servers[0].GetTable(context.Background(), &api.GetTableRequest{
			TableType: api.TableType_TABLE_TYPE_ADJ_IN, Name: session.Address.String(), Family: apiFamily(family),
		})
		if err != nil || table.NumPath > 1 {
			t.Errorf("GoBGP keeps %v of %s, %v", table, family, err)
		}
	}
}
