package speaker

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"golang.org/x/net/bpf"
)

// packet is one of TCP from 192.0.2.1 or 2001:db8::1, with 4 octets of options in
// IPv4's header and 12 in TCP's, and trailing octets as Ethernet pads.
func packet(six bool, payload []byte) []byte {
	tcp := make([]byte, 32)
	tcp[tcpDataOffset] = 8 << 4
	tcp = append(tcp, payload...)
	if six {
		ip := make([]byte, length6)
		ip[0], ip[next6] = 6<<4, 6
		binary.BigEndian.PutUint16(ip[4:], uint16(len(tcp)))
		copy(ip[8:], netip.MustParseAddr("2001:db8::1").AsSlice())
		return append(append(ip, tcp...), 0, 0)
	}
	ip := make([]byte, 24)
	ip[0], ip[protocol4] = 4<<4|6, 6
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(tcp)))
	copy(ip[12:], netip.MustParseAddr("192.0.2.1").AsSlice())
	return append(append(ip, tcp...), 0, 0)
}

func octetsOf(t testing.TB, m *bgp.BGPMessage) []byte {
	b, err := m.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// openAndRefusal is what a router sends that answers and then does not like the
// answer: both in one segment.
func openAndRefusal(t testing.TB) []byte {
	open, err := bgp.NewBGPOpenMessage(23456, 90, netip.MustParseAddr("192.0.2.1"), []bgp.OptionParameterInterface{
		bgp.NewOptionParameterCapability([]bgp.ParameterCapabilityInterface{bgp.NewCapFourOctetASNumber(4200000001)})})
	if err != nil {
		t.Fatal(err)
	}
	return append(octetsOf(t, open), octetsOf(t, bgp.NewBGPNotificationMessage(bgp.BGP_ERROR_OPEN_MESSAGE_ERROR, bgp.BGP_ERROR_SUB_BAD_PEER_AS, nil))...)
}

func TestOverhearsOpenAndNotificationOfBothFamilies(t *testing.T) {
	for name, six := range map[string]bool{"IPv4": false, "IPv6": true} {
		t.Run(name, func(t *testing.T) {
			filter := messages4()
			if six {
				filter = messages6()
			}
			vm, err := bpf.NewVM(filter)
			if err != nil {
				t.Fatal(err)
			}
			for what, c := range map[string]struct {
				payload []byte
				passes  bool
			}{
				"open and notification": {openAndRefusal(t), true},
				"keepalive":             {octetsOf(t, bgp.NewBGPKeepAliveMessage()), false},
				"not BGP":               {[]byte("GET / HTTP/1.1\r\nHost: example\r\n\r\n"), false},
				"nothing":               {nil, false},
			} {
				if n, err := vm.Run(packet(six, c.payload)); err != nil || (n > 0) != c.passes {
					t.Errorf("%s: passes %d octets, %v; want %t", what, n, err, c.passes)
				}
			}
			from, payload, ok := tcpPayload(packet(six, openAndRefusal(t)))
			if !ok {
				t.Fatal("no TCP payload")
			}
			j := newJournal(quiet(), func() {})
			j.follow(map[netip.Addr]string{from: "tor"})
			j.overheard(from, payload)
			got := j.of(from).said
			if got.asn != 4200000001 || got.holdTime != 90 || got.notification != (notification{2, 2}) || got.notified.IsZero() {
				t.Errorf("overheard %+v", got)
			}
		})
	}
}

// TestRouterIsHeardAfterItsPeerWasRemovedWhileComingUp: GoBGP tells that the session is
// up, and not that it is gone.
func TestRouterIsHeardAfterItsPeerWasRemovedWhileComingUp(t *testing.T) {
	tor := netip.MustParseAddr("192.0.2.1")
	j := newJournal(quiet(), func() {})
	j.follow(map[netip.Addr]string{tor: "tor"})
	j.connected(tor, true)
	if j.waitsFor(tor) {
		t.Fatal("a session that is up is listened to")
	}
	j.changed(apiutil.Peer{State: apiutil.PeerState{NeighborAddress: tor, SessionState: bgp.BGP_FSM_ACTIVE}}, time.Now())
	if !j.waitsFor(tor) {
		t.Error("the session is dialled anew, and what its router says is not heard")
	}
}

func FuzzOverhear(f *testing.F) {
	f.Add(packet(false, openAndRefusal(f)))
	f.Add(packet(true, openAndRefusal(f)))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		from, payload, ok := tcpPayload(raw)
		if !ok {
			return
		}
		j := newJournal(quiet(), func() {})
		j.follow(map[netip.Addr]string{from: "tor"})
		j.overheard(from, payload)
	})
}
