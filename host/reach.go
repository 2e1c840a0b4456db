package host

import (
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Neighbour is the kernel's entry for an address on a link. The zero value is no
// entry.
type Neighbour struct {
	State NeighbourState
	// LinkAddress is where the kernel sends to.
	LinkAddress net.HardwareAddr
	// Since is when it came into this state, Confirmed when the owner of the address
	// last answered whoever asked.
	Since, Confirmed time.Time
}

// NeighbourState is an entry's state, as linux/neighbour.h names and numbers it.
type NeighbourState uint16

// The states.
const (
	NUDIncomplete NeighbourState = 0x01
	NUDReachable  NeighbourState = 0x02
	NUDStale      NeighbourState = 0x04
	NUDDelay      NeighbourState = 0x08
	NUDProbe      NeighbourState = 0x10
	NUDFailed     NeighbourState = 0x20
	NUDNoARP      NeighbourState = 0x40
	NUDPermanent  NeighbourState = 0x80
)

// static reports whether the kernel asks nobody, so that the entry says nothing of
// who is there.
func (n Neighbour) static() bool { return n.State&(NUDNoARP|NUDPermanent) != 0 }

// usable reports whether the kernel sends to the entry's link address.
func (n Neighbour) usable() bool { return n.State&(NUDReachable|NUDStale|NUDDelay|NUDProbe) != 0 }

// Times of the questions to a next hop.
const (
	// askInterval is the time from one question to the next: less than the 5 s of
	// kube-ovn-cni's own ping (pkg/daemon/controller.go).
	askInterval = 4 * time.Second
	// askPatience is how long an answer may take.
	askPatience = time.Second
	// failWindow is within what time a next hop must fail twice to be lost.
	failWindow = 12 * time.Second
	// failApart is how far two failures are from each other at least: what the
	// kernel and we find at once is one.
	failApart = 2 * time.Second
	// kernelTick is how exactly the kernel tells ages (USER_HZ), and some more.
	kernelTick = 20 * time.Millisecond
)

// Request is what to send to a next hop.
type Request int

// Requests. An echo goes the way of the traffic, and makes the kernel ask for a
// link address that it does not know or doubts. A solicitation, ARP or neighbour
// discovery like the kernel's own probe, is for a next hop that echoes nothing.
const (
	Nothing Request = iota
	Echo
	Solicitation
)

// Reach is what is known of whether a next hop answers. The zero value knows
// nothing, and what is not known holds nothing back.
//
// Two things are failures: the kernel has tried, and its entry is FAILED; or the
// entry has a link address, but neither an echo nor a solicitation is answered.
// The kernel would find that out too, but up to 53 s later (base_reachable_time of
// 30 s and a half more, delay_first_probe_time, three probes). Both must fail: a
// firewall may eat echoes, and OVN answers neighbour discovery, other than ARP and
// echoes, by ovn-controller, which may be away for a while without any loss.
type Reach struct {
	// silent is when it first failed after it had answered last, newest when it last
	// did; both are zero while it answers.
	silent, newest time.Time
	// lost is whether it failed twice within failWindow, refused whether the
	// kernel's entry was FAILED.
	lost, refused bool
	// answered is when it was last heard of.
	answered time.Time

	// request is what waits for an answer, of a question begun at begun; due is when
	// there is something to do.
	request    Request
	begun, due time.Time
	// urgent is whether it is asked all the time.
	urgent bool
}

// Down reports whether nothing gets into the overlay by this next hop. Where the
// own Node object is gone, OVN has cut the node off, and one failure is enough.
func (r *Reach) Down(nodeGone bool) bool { return r.lost || nodeGone && !r.silent.IsZero() }

// Why says how it is down.
func (r *Reach) Why(hop netip.Addr, link string) string {
	how := "no answer"
	if r.refused {
		how = "neighbour FAILED"
	}
	return fmt.Sprintf("the join gateway %s does not answer on %s (%s since %s)", hop, link, how, r.silent.UTC().Format("15:04:05Z"))
}

// Due is when Ask has something to do; long ago where it never had.
func (r *Reach) Due() time.Time { return r.due }

// SetUrgent has it asked at once, and then all the time, or as usual again.
func (r *Reach) SetUrgent(now time.Time, all bool) {
	if all && !r.urgent && r.request == Nothing && now.Before(r.due) {
		r.due = now
	}
	r.urgent = all
}

// Ask goes on with a question, or begins one, and gives what to send. It is called
// when that is due, with the entry as it is then.
func (r *Reach) Ask(now time.Time, n Neighbour) Request {
	r.See(now, n)
	switch {
	case n.static():
		r.begun = now
	case r.request == Nothing:
		r.begun = now
		return r.await(Echo, now)
	case n.usable() && n.Confirmed.After(r.begun.Add(-kernelTick)):
		r.answer(now)
	case n.usable() && r.request == Echo:
		return r.await(Solicitation, now)
	case n.usable():
		r.fail(now)
	}
	// Without a link address the kernel asks by itself, and See hears what it finds.
	r.rest(now)
	return Nothing
}

// Unsent says that what Ask gave could not be sent: then no answer means nothing.
func (r *Reach) Unsent(now time.Time) {
	if r.request == Echo {
		r.due = now
		return
	}
	r.rest(now)
}

// Skip says that the kernel's entry could not be read: nothing is learnt, and the
// next question comes later.
func (r *Reach) Skip(now time.Time) {
	r.begun = now
	r.rest(now)
}

// Hear takes in an answer to an echo.
func (r *Reach) Hear(now time.Time) {
	r.answer(now)
	r.rest(now)
}

// See takes in the kernel's entry, as it is listed or told of.
func (r *Reach) See(now time.Time, n Neighbour) {
	switch {
	case n.static():
		*r = Reach{begun: r.begun, due: r.due, urgent: r.urgent}
	case n.State == NUDFailed:
		r.fail(n.Since)
		r.refused = !r.silent.IsZero()
		if r.request == Nothing && r.due.After(r.begun.Add(askPatience)) {
			r.due = r.begun.Add(askPatience) // so that the kernel asks on, until there is an answer
		}
	case n.usable() && !r.silent.IsZero() && n.Confirmed.After(r.newest):
		r.answer(n.Confirmed)
	}
}

func (r *Reach) await(q Request, now time.Time) Request {
	r.request, r.due = q, now.Add(askPatience)
	return q
}

// rest waits for the time of the next question. One that is lost is asked on and
// on, so that it is back as soon as it answers.
func (r *Reach) rest(now time.Time) {
	r.request, r.due = Nothing, r.begun.Add(askInterval)
	if r.lost || r.urgent {
		r.due = r.begun.Add(askPatience)
	}
	if r.due.Before(now) {
		r.due = now
	}
}

func (r *Reach) answer(at time.Time) {
	r.silent, r.newest, r.lost, r.refused = time.Time{}, time.Time{}, false, false
	r.answered = at
}

func (r *Reach) fail(at time.Time) {
	if !at.After(r.answered) || at.Before(r.newest.Add(failApart)) {
		return // of before, or the same once more
	}
	if r.silent.IsZero() {
		r.silent = at
	} else if at.Sub(r.newest) <= failWindow {
		r.lost = true
	}
	r.newest = at
}
