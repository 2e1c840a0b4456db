package bfd

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/bfd"
	"github.com/fairway-bgp/fairway/e2e/must"
)

// tries is how often each way is measured.
const tries = 12

// BenchmarkDeadPeer measures from the moment at which one end falls silent, its
// connections open, until the other has noticed: this node a router whose BFD is stopped,
// a router this daemon. A router says on the wire that it has noticed; a moment later its
// kernel has the route no more.
func BenchmarkDeadPeer(b *testing.B) {
	for _, t := range []timers{{50 * time.Millisecond, 3}, {300 * time.Millisecond, 3}} {
		b.Run(fmt.Sprintf("%sx%d", t.interval, t.multiplier), func(b *testing.B) {
			w := newWorld(b, t, frr, bird)
			w.write(t.withBFD())
			w.run()
			b.Run("we notice", func(b *testing.B) { measure(b, w.weNotice) })
			b.Run("routers notice", func(b *testing.B) { measure(b, w.routersNotice) })
		})
	}
}

// measure takes so many times of each name.
func measure(b *testing.B, try func() map[string]time.Duration) {
	times := map[string][]time.Duration{}
	for range tries { // which takes longer than a benchmark is repeated for
		for name, d := range try() {
			times[name] = append(times[name], d)
		}
	}
	for name, all := range times {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"-median-ms")
		b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, name+"-max-ms")
	}
	b.ReportMetric(0, "ns/op")
}

// weNotice stops the BFD of one router after the other.
func (w *world) weNotice() map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, r := range w.routers {
		w.unsynchronise()
		began := time.Now()
		r.bfd.Process.Signal(syscall.SIGSTOP)
		w.await("the daemon notices", func() bool {
			at, ok := w.daemon.log.since(began, "BFD went down", r.address)
			out[r.kind] = at.Sub(began)
			return ok
		})
		r.bfd.Process.Signal(syscall.SIGCONT)
	}
	w.allUp()
	return out
}

// routersNotice stops the daemon.
func (w *world) routersNotice() map[string]time.Duration {
	var packets []<-chan heard
	var kernels []<-chan change
	for _, r := range w.routers {
		packets, kernels = append(packets, r.sniff()), append(kernels, r.follow())
	}
	w.unsynchronise()
	began := time.Now()
	w.daemon.Process.Signal(syscall.SIGSTOP)
	out := map[string]time.Duration{}
	for i, r := range w.routers {
		out[r.kind] = first(w, packets[i], func(h heard) (time.Time, bool) {
			return h.at, h.packet.State == bfd.Down && h.at.After(began)
		}).Sub(began)
		out[r.kind+"-route"] = first(w, kernels[i], func(c change) (time.Time, bool) { return c.at, !c.comes && c.at.After(began) }).Sub(began)
	}
	w.daemon.Process.Signal(syscall.SIGCONT)
	w.allUp()
	return out
}

// first gives when the first came of what is waited for.
func first[T any](w *world, from <-chan T, is func(T) (time.Time, bool)) time.Time {
	w.Helper()
	late := time.After(must.Patience)
	for {
		select {
		case x := <-from:
			if at, yes := is(x); yes {
				return at
			}
		case <-late:
			w.Fatalf("nothing of the kind came in %s: %+v\n%s", must.Patience, w.status().Sessions, w.daemon.log.last(20))
		}
	}
}

// unsynchronise waits for a part of an interval, so that what is measured does not begin
// at the same point of it each time.
func (w *world) unsynchronise() {
	time.Sleep(time.Duration(time.Now().UnixNano()) % (2 * w.timers.interval))
}
