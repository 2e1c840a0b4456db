package bfd

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// step is one thing that happens.
type step struct {
	symptom string
	play    func(*world)
}

// TestPathsThatFail is one world that everything happens to. Hold times are 90 s, so that
// what is seen in the bounds of a test is BFD's doing. Its timers bear a machine that does
// something else for a second; with FAIRWAY_BFD_BUSY they are fast, and it first is busy for
// so long ("10m").
func TestPathsThatFail(t *testing.T) {
	long, with := timers{400 * time.Millisecond, 4}, []step(nil)
	if busy := os.Getenv("FAIRWAY_BFD_BUSY"); busy != "" {
		d, err := time.ParseDuration(busy)
		if err != nil {
			t.Fatal(err)
		}
		long, with = timers{50 * time.Millisecond, 3}, []step{{"a busy machine takes a router for dead", func(w *world) { w.busy(d) }}}
	}
	w := newWorld(t, long, frr, bird)
	w.write(w.timers.withBFD())
	w.run("--on-stop=keep")
	for _, step := range append(with, []step{
		{"the status does not say that the path is watched", (*world).statusTells},
		{"other timers, or BFD turned off and on, reset a session", (*world).settingsChange},
		{"a router whose BFD freezes is noticed late, or loses its session twice", (*world).bfdFreezes},
		{"a bgpd that is restarted, or a link that comes back, loses a session twice", (*world).bgpdAndLink},
		{"a dead node keeps its routes", (*world).nodeDies},
		{"with graceful restart too a dead node keeps its routes", (*world).nodeDiesWithGracefulRestart},
		{"a planned stop or a crash loses routes at FRR in spite of graceful restart", (*world).stopsWithGracefulRestart},
		{"paths over IPv6, or over several hops, are not watched", (*world).otherKinds},
	}...) {
		ok := t.Run(step.symptom, func(t *testing.T) {
			w.TB = t
			defer func() { w.TB = nil }()
			step.play(w)
		})
		if !ok {
			return // what follows stands on it
		}
	}
}

// flaps counts the sessions' ends.
func (w *world) flaps() []int {
	var out []int
	for _, r := range w.routers {
		out = append(out, w.session(r).Flaps)
	}
	return out
}

// lostOnce fails unless each session has ended as often as told since then.
func (w *world) lost(since []int, times ...int) {
	w.Helper()
	for i, n := range w.flaps() {
		if got := n - since[i]; got != times[i] {
			w.Errorf("the session with %s went down %d times, want %d\n%s", w.routers[i].kind, got, times[i], w.daemon.log.last(40))
		}
	}
}

func (w *world) statusTells() {
	for _, r := range w.routers {
		s := w.session(r)
		if s.BFD == nil || s.BFD.DetectionTime != w.timers.detection() || s.BFD.TransmitInterval != w.timers.interval.Seconds() || s.Trouble() != "" {
			w.Errorf("%+v %+v", s, s.BFD)
		}
	}
}

// busy keeps all processors busy twice over.
func (w *world) busy(long time.Duration) {
	before := w.flaps()
	for range 2 * runtime.NumCPU() {
		defer w.start(w.node, "sh", "-c", "while :; do :; done").kill()
	}
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(time.Second) {
		w.lost(before, 0, 0)
		if w.Failed() {
			return
		}
	}
	for _, r := range w.routers {
		if s := w.session(r); s.BFD == nil || s.BFD.Downs != 0 {
			w.Errorf("%+v", s)
		}
	}
}

func (w *world) settingsChange() {
	before := w.flaps()
	slower := timers{2 * w.timers.interval, w.timers.multiplier + 2}
	w.write(slower.withBFD())
	w.await("the new timers count", func() bool {
		for _, r := range w.routers {
			if s := w.session(r); s.BFD == nil || s.BFD.DetectionTime != 2*w.timers.detection() { // by the router's multiplier
				return false
			}
		}
		return true
	})
	w.write("")
	w.await("BFD is off", func() bool { return w.session(w.routers[0]).BFD == nil })
	w.write(w.timers.withBFD())
	w.allUp()
	w.lost(before, 0, 0)
}

func (w *world) bfdFreezes() {
	before, began := w.flaps(), time.Now()
	for _, r := range w.routers {
		r.bfd.Process.Signal(syscall.SIGSTOP)
	}
	for _, r := range w.routers {
		w.await("the daemon notices "+r.kind, func() bool {
			_, ok := w.daemon.log.since(began, "session went down", "BFD: no packet from the router", r.address)
			return ok
		})
		w.await("the status says why", func() bool {
			s := w.session(r)
			return strings.HasPrefix(s.LastError, "BFD: no packet from the router for") && strings.Contains(s.LastError, "dialled again when the router's BFD answers")
		})
	}
	for _, r := range w.routers {
		r.bfd.Process.Signal(syscall.SIGCONT)
	}
	w.allUp()
	w.lost(before, 1, 1)
}

func (w *world) bgpdAndLink() {
	frr, bird := w.routers[0], w.routers[1]
	before, began := w.flaps(), time.Now()
	w.link(bird, "down")
	frr.bgp.kill()
	frr.startBGP()
	w.await("the daemon notices the link", func() bool {
		_, ok := w.daemon.log.since(began, "session went down", "BFD: no packet from the router", bird.address)
		return ok
	})
	w.link(bird, "up")
	w.await("FRR had a new session", func() bool { return w.session(frr).Flaps > before[0] })
	w.allUp()
	w.lost(before, 1, 1)
}

// nodeDies takes the node from the net, and then brings it back, rebooted.
func (w *world) nodeDies() {
	w.dead()
	w.daemon.kill()
	for _, r := range w.routers {
		w.await(r.kind+" has the route no more", func() bool { return !r.hasRoute() })
	}
	w.alive()
}

func (w *world) nodeDiesWithGracefulRestart() {
	w.write(w.timers.withBFD() + ", gracefulRestart: {}")
	w.run("--on-stop=keep")
	w.nodeDies()
}

// stopsWithGracefulRestart is where BFD and graceful restart are both asked for. FRR
// takes a closed connection for a restart, whatever BFD says afterwards; BIRD follows BFD
// and drops the routes.
func (w *world) stopsWithGracefulRestart() {
	frr, bird := w.routers[0], w.routers[1]
	w.run("--on-stop=keep")
	lost := frr.follow()
	w.daemon.kill()
	w.await("BIRD has the route no more", func() bool { return !bird.hasRoute() })
	w.run("--on-stop=keep")
	w.daemon.Process.Signal(syscall.SIGTERM)
	<-w.daemon.ended
	w.await("BIRD has the route no more", func() bool { return !bird.hasRoute() })
	w.run("--on-stop=keep")
	for len(lost) > 0 {
		if c := <-lost; !c.comes {
			w.Error("FRR lost the route for a moment")
		}
	}
}
