package speaker

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// silent gives a session with nobody: what is measured is this end alone.
func silent(i int) policy.Session {
	return policy.Session{Peer: fmt.Sprintf("tor-%d", i), LocalASN: ours, SessionSettings: policy.SessionSettings{
		Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), PeerASN: 65100, Port: 179, Passive: true,
		Families: []policy.Family{policy.IPv4Unicast},
	}}
}

// benchWish has n prefixes, in as many classes as told, for two peers.
func benchWish(n, classes int) policy.Wish {
	w := wishFor(silent(0), silent(1))
	w.RIB = manyPaths(n, 1)
	for _, r := range w.RIB {
		b := r.Prefix.Addr().As4()
		r.Class = routes.Class(1 + (int(b[1])<<8|int(b[2]))%classes)
	}
	for c := range classes {
		for _, s := range w.Sessions {
			w.Exports = append(w.Exports, export(routes.Class(1+c), s.Peer, policy.Attributes{MED: ptr(uint32(c))}))
		}
	}
	return w
}

// BenchmarkSync10k announces and withdraws 10,000 prefixes.
func BenchmarkSync10k(b *testing.B) {
	s := running(b, Options{ListenPort: int32(freePort(b, netip.IPv4Unspecified()))})
	w := benchWish(10000, 10)
	none := w
	none.RIB = nil
	mustSync(b, s, none)
	for b.Loop() {
		mustSync(b, s, w)
		mustSync(b, s, none)
	}
}

// BenchmarkSyncIdle hands over the same wish again.
func BenchmarkSyncIdle(b *testing.B) {
	for _, size := range []struct{ prefixes, classes int }{{100, 10}, {1000, 1000}, {10000, 10}} {
		b.Run(fmt.Sprintf("prefixes=%d/classes=%d", size.prefixes, size.classes), func(b *testing.B) {
			s := running(b, Options{ListenPort: int32(freePort(b, netip.IPv4Unspecified()))})
			w := benchWish(size.prefixes, size.classes)
			mustSync(b, s, w)
			for b.Loop() {
				mustSync(b, s, w)
			}
		})
	}
}
