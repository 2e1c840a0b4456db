package speaker

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

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

// BenchmarkSyncOneOf10k changes one path among 10,000: to another class and back.
func BenchmarkSyncOneOf10k(b *testing.B) {
	s := running(b, Options{ListenPort: int32(freePort(b, netip.IPv4Unspecified()))})
	w := benchWish(10000, 10)
	other := w
	other.RIB = with(w.RIB, pfx("10.0.0.0/24"), routes.Path{Class: 10})
	mustSync(b, s, w)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		mustSync(b, s, []policy.Wish{other, w}[i%2])
	}
}

// BenchmarkObserve10k looks at sessions that are up, with 10,000 paths in 10 classes.
func BenchmarkObserve10k(b *testing.B) {
	r := newRouter(b, "tor", 65100, ours, loopback())
	s := running(b, Options{})
	w := benchWish(10000, 10)
	w.Sessions = []policy.Session{r.session(ours)}
	w.Exports = nil
	for c := range 10 {
		w.Exports = append(w.Exports, export(routes.Class(1+c), r.session(ours).Peer, policy.Attributes{}))
	}
	mustSync(b, s, w)
	wantEstablished(b, s, r.session(ours).Peer)
	b.ReportAllocs()
	for b.Loop() {
		if n := observe(b, s).Sessions[0].Advertised; n != 10000 {
			b.Fatal(n)
		}
	}
}

// BenchmarkReadBack10k asks GoBGP what it has.
func BenchmarkReadBack10k(b *testing.B) { benchLook(b, func(k *known) { k.read = time.Time{} }) }

// BenchmarkCount10k has GoBGP count what it has.
func BenchmarkCount10k(b *testing.B) { benchLook(b, func(k *known) { k.counted = time.Time{} }) }

// benchLook syncs the same 10,000 paths again, each time with a look that is due.
func benchLook(b *testing.B, due func(*known)) {
	s := running(b, Options{ListenPort: int32(freePort(b, netip.IPv4Unspecified()))})
	w := benchWish(10000, 10)
	mustSync(b, s, w)
	b.ReportAllocs()
	for b.Loop() {
		due(s.passive.known)
		mustSync(b, s, w)
	}
}
