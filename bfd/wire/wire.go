package wire

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/bfd"
)

// Session is one that shall run. There is one per Peer.
type Session struct {
	// Peer and Local are the two ends, link-local ones of IPv6 with their zone.
	Peer, Local netip.Addr
	// Multihop is for a peer that is on no network of this node's: packets need not
	// come with a TTL of 255, and go to another port.
	Multihop bool
	// Listen is for one that says nothing, and tells of each packet of a peer that is not
	// up, as a change from Down to Down.
	Listen bool
	bfd.Settings
}

// samePath reports whether two sessions watch the same path, however they do.
func (s Session) samePath(other Session) bool {
	s.Settings = other.Settings
	return s == other
}

// Report is a session as it is.
type Report struct {
	Session
	bfd.Now
	// Since is when it came into its state.
	Since time.Time
	// Problem says why packets cannot go or come, "" where they can.
	Problem string
	// Sent, Received and Dropped count packets; those dropped were from the peer, and
	// no valid ones for the session.
	Sent, Received, Dropped uint64
	// Downs counts how often it went from up to down.
	Downs int
}

// again is how long the loop waits after a socket could not be had.
const again = time.Second

// Wire is the loop and its sessions.
type Wire struct {
	changed func(peer netip.Addr, c bfd.Change, at time.Time)
	// ended is closed when the loop is over.
	ended chan struct{}

	mu sync.Mutex
	// waker ends a wait for packets.
	waker    int
	sessions []*session
	// listeners receive; each for all sessions of one address of this node.
	listeners map[netip.AddrPort]*listener
	retryAt   time.Time
	closed    bool
}

// session is one that runs, or says goodbye.
type session struct {
	Report
	machine *bfd.Machine
	my      uint32
	sender  int
	leaving bool
}

// Start gives a loop without sessions, which runs until Close. changed is told of each
// change of state, by the loop, which waits for it.
func Start(changed func(peer netip.Addr, c bfd.Change, at time.Time)) (*Wire, error) {
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("BFD: eventfd: %w", err)
	}
	w := &Wire{changed: changed, waker: waker, ended: make(chan struct{}), listeners: map[netip.AddrPort]*listener{}}
	go w.loop()
	return w, nil
}

// Set brings the sessions to the wish. Sessions that are no longer wanted are taken
// down in words (AdminDown); new settings of one that runs do not interrupt it.
func (w *Wire) Set(wish []Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sessions {
		if !s.leaving && !slices.ContainsFunc(wish, s.samePath) {
			s.leave()
		}
	}
	for _, wanted := range wish {
		if i := slices.IndexFunc(w.sessions, func(s *session) bool { return !s.leaving && s.samePath(wanted) }); i >= 0 {
			w.sessions[i].Settings = wanted.Settings
			w.sessions[i].machine.Set(wanted.Settings)
			continue
		}
		my := w.discriminator()
		w.sessions = append(w.sessions, &session{
			Report: Report{Session: wanted, Since: time.Now()}, machine: bfd.New(my, wanted.Settings), my: my, sender: noSocket,
		})
	}
	w.retryAt = time.Time{}
	w.wake()
}

func (s *session) leave() {
	s.leaving = true
	s.machine.Leave()
}

// discriminator draws one that no session has (RFC 5880 section 6.8.1).
func (w *Wire) discriminator() uint32 {
	for {
		my := rand.Uint32()
		if my != 0 && !slices.ContainsFunc(w.sessions, func(s *session) bool { return s.my == my }) {
			return my
		}
	}
}

// Reports gives the sessions that shall run, sorted by peer.
func (w *Wire) Reports() []Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Report
	for _, s := range w.sessions {
		if !s.leaving {
			r := s.Report
			r.Now = s.machine.Now()
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Report) int { return a.Peer.Compare(b.Peer) })
	return out
}

// Close tells every neighbour that this end goes on purpose, and ends the loop. It
// returns when that is said, or ctx is over.
func (w *Wire) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	for _, s := range w.sessions {
		s.leave()
	}
	w.wake()
	w.mu.Unlock()
	select {
	case <-w.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("BFD: say goodbye: %w", ctx.Err())
	}
}

// wake makes the loop look at what has changed, if it runs.
func (w *Wire) wake() {
	if w.waker == noSocket {
		return
	}
	// It fails where the counter is full, and then the loop wakes all the same.
	_, _ = unix.Write(w.waker, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// urgency is the nice value of the process: late packets are lost ones.
const urgency = -10

// hurry gives the loop's thread a real-time priority, the least there is: on a busy
// machine no nice value is sure to get a processor within 50 ms. All other threads get
// the urgency, and those that come later have it from them: the loop may wait for what
// they hold (Go's processors). Without CAP_SYS_NICE all stays as it is.
func hurry() {
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
	threads, _ := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, id, urgency)
		}
	}
}

func (w *Wire) loop() {
	runtime.LockOSThread()
	hurry()
	defer close(w.ended)
	for {
		changes, fds, until, over := w.turn()
		for _, c := range changes {
			w.changed(c.peer, c.Change, c.at)
		}
		if over {
			return
		}
		wait(fds, until)
	}
}

// change is one to tell of.
type change struct {
	peer netip.Addr
	at   time.Time
	bfd.Change
}

// turn does all that is to do now. It gives what to wait for, and until when.
func (w *Wire) turn() (changes []change, fds []unix.PollFd, until time.Time, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	drain(w.waker)
	w.open(time.Now())
	for _, l := range w.listeners {
		changes = append(changes, w.hear(l)...)
	}
	changes = append(changes, w.tick(time.Now())...)
	w.bury()
	if w.closed && len(w.sessions) == 0 {
		w.closeListeners()
		unix.Close(w.waker)
		w.waker = noSocket
		return changes, nil, time.Time{}, true
	}
	fds = append(fds, unix.PollFd{Fd: int32(w.waker), Events: unix.POLLIN})
	for _, l := range w.listeners {
		fds = append(fds, unix.PollFd{Fd: int32(l.fd), Events: unix.POLLIN})
	}
	return changes, fds, w.next(), false
}

// next is when there is something to do though nothing comes.
func (w *Wire) next() time.Time {
	next := w.retryAt
	for _, s := range w.sessions {
		if wake := s.wakesAt(); !wake.IsZero() && (next.IsZero() || wake.Before(next)) {
			next = wake
		}
	}
	return next
}

// wakesAt is when a session has something to do, the zero Time for never.
func (s *session) wakesAt() time.Time {
	if s.Listen {
		return time.Time{}
	}
	return s.machine.Wake()
}

// tick lets the sessions look at the clock.
func (w *Wire) tick(now time.Time) []change {
	var out []change
	for _, s := range w.sessions {
		if wake := s.wakesAt(); !wake.IsZero() && !now.Before(wake) {
			out = append(out, w.do(s, now, s.machine.Tick(now))...)
		}
	}
	return out
}

// do sends what a session says, and notes how it changes.
func (w *Wire) do(s *session, now time.Time, o bfd.Output) []change {
	for _, p := range o.Packets {
		w.send(s, p)
	}
	var out []change
	for _, c := range o.Changes {
		s.Since = now
		if c.From == bfd.Up {
			s.Downs++
		}
		if !s.leaving {
			out = append(out, change{s.Peer, now, c})
		}
	}
	return out
}

// bury forgets the sessions that have said goodbye.
func (w *Wire) bury() {
	w.sessions = slices.DeleteFunc(w.sessions, func(s *session) bool {
		if s.leaving && (s.Listen || s.machine.Gone()) {
			s.closeSender()
			return true
		}
		return false
	})
}

// find gives the session that a packet is for: by our discriminator where the sender
// knows it (RFC 5880 section 6.8.6), else by its address (RFC 5881 section 3).
func (w *Wire) find(from netip.Addr, to netip.AddrPort, p bfd.Packet) *session {
	for _, s := range w.sessions {
		if s.Peer == from && s.listensAt() == to && !s.leaving && (s.Listen || cmp.Or(p.Your, s.my) == s.my) {
			return s
		}
	}
	return nil
}
