package speaker

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
)

// journal remembers of each session what GoBGP tells once and then forgets. It
// has entries for the sessions that are wanted; what it hears of others it
// ignores.
type journal struct {
	log  *logrus.Entry
	bell func()
	// up is told of each session that is up, with this node's address, and gone of each
	// that is so no more. They must not call the journal.
	up   func(a, local netip.Addr)
	gone func(a netip.Addr)
	// restless rings when a session is down, or newly wanted.
	restless *bell.Bell
	// halfOpenBound is halfOpenBound but in tests.
	halfOpenBound time.Duration

	mu      sync.Mutex
	entries map[netip.Addr]*entry
}

// entry is what the journal knows of one session.
type entry struct {
	// peer is the BGPPeer's name.
	peer  string
	state bgp.FSMState
	since time.Time
	// cause is why the session last went down or did not come up.
	cause cause
	// said is what the router was overheard to say.
	said said
	// text is what the peer said in the notification that is being handled.
	text  string
	flaps int
	// reset is the last of those.
	reset Reset
	// connected is true from when the session is up until its connection is closed.
	// GoBGP tells of a session that is down only when it has cleared what it had
	// from the peer, which can take seconds.
	connected bool
	// steady is whether the session was up for long until now.
	steady bool
	// halfOpen is since when there is a connection and the session is not up; zero where
	// there is none. GoBGP says Active until the router's OPEN is there.
	halfOpen time.Time
	// received is what the peer has announced since then.
	received receivedPrefixes
	// heldUntil is when a session that BFD ended is dialled again though BFD is silent;
	// zero where none waits for BFD (hold.go).
	heldUntil time.Time
}

func newJournal(log *logrus.Entry, ring func()) *journal {
	return &journal{log: log, bell: ring, up: func(netip.Addr, netip.Addr) {}, gone: func(netip.Addr) {}, restless: bell.New(), halfOpenBound: halfOpenBound, entries: map[netip.Addr]*entry{}}
}

// follow sets which sessions the journal is about.
func (j *journal) follow(peers map[netip.Addr]string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for a := range j.entries {
		if _, ok := peers[a]; !ok {
			delete(j.entries, a)
		}
	}
	for a, name := range peers {
		if _, ok := j.entries[a]; !ok {
			j.entries[a] = &entry{}
			j.restless.Ring()
		}
		j.entries[a].peer = name
	}
}

// of gives a copy of the entry, the zero entry where there is none.
func (j *journal) of(a netip.Addr) entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e, ok := j.entries[a]; ok {
		return *e
	}
	return entry{}
}

// changed notes a change of state and rings the bell.
func (j *journal) changed(p apiutil.Peer, at time.Time) {
	defer j.bell()
	j.mu.Lock()
	defer j.mu.Unlock()
	a := p.State.NeighborAddress
	e, ok := j.entries[a]
	if !ok {
		return
	}
	was, is := e.state, p.State.SessionState
	e.steady = was == bgp.BGP_FSM_ESTABLISHED && at.Sub(e.since) >= steadyAfter
	e.state, e.since = is, at
	// A peer that is removed while it is up, to be added anew, leaves without a word.
	e.connected = is == bgp.BGP_FSM_ESTABLISHED
	switch is {
	case bgp.BGP_FSM_OPENSENT, bgp.BGP_FSM_OPENCONFIRM:
		j.halfOpened(e, at)
	case bgp.BGP_FSM_ESTABLISHED, bgp.BGP_FSM_IDLE:
		e.halfOpen = time.Time{}
	}
	log := j.log.WithFields(logrus.Fields{"peer": e.peer, "address": a.String()})
	if is == bgp.BGP_FSM_ESTABLISHED {
		e.cause, e.said, e.text = cause{}, said{}, ""
		log.Info("session is established")
		j.up(a, p.Transport.LocalAddress)
		return
	}
	if why := downReason(p.State); why != "" && is == bgp.BGP_FSM_IDLE {
		if was == bgp.BGP_FSM_ESTABLISHED {
			why = lossWords(why)
		}
		if e.text != "" {
			why += `: "` + e.text + `"`
		}
		e.down(why, at)
	}
	j.restless.Ring()
	if was == bgp.BGP_FSM_ESTABLISHED {
		e.flaps++
		e.reset = Reset{At: at, Why: lossOf(p.State, e.cause)}
		log.WithField("reason", e.cause.text).Warn("session went down")
		if !e.held() {
			j.gone(a)
		}
	}
}

// down notes why the state machine has left a state. What was noted a moment before
// of the same connection says more than that it is gone.
func (e *entry) down(why string, at time.Time) {
	e.text = ""
	switch {
	case at.Sub(e.cause.at).Abs() < overheardFor && e.cause.kind != otherCause && e.cause.kind != noConnection:
	case why == invalidMessage:
		e.cause = cause{kind: openRefused, text: why, at: at}
	default:
		e.cause = cause{kind: otherCause, text: why, at: at}
	}
}

// invalidMessage is GoBGP's word for a message other than it waits for: before a
// session is up, a NOTIFICATION, whose code it drops.
const invalidMessage = "invalid-msg"

// downReason is empty for steps on the way up, to which GoBGP gives no reason of
// its own.
func downReason(s apiutil.PeerState) string {
	if s.DisconnectReason == api.PeerState_DISCONNECT_REASON_UNSPECIFIED {
		return ""
	}
	return strings.Replace(s.DisconnectMessage, "subcode 10(undefined)", "subcode 10(BFD down)", 1) // RFC 9384
}

// said notes the text of the peer's notification, which changed takes up.
func (j *journal) said(a netip.Addr, text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e, ok := j.entries[a]; ok {
		e.text = text
	}
}

// connected notes that a session has a connection, or that it is closed.
func (j *journal) connected(a netip.Addr, is bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e, ok := j.entries[a]; ok {
		e.connected, e.received = is, receivedPrefixes{}
	}
}

// heard adds to what the peer has announced, and warns of the first.
func (j *journal) heard(a netip.Addr, n receivedPrefixes) {
	if n.all() == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.entries[a]
	if !ok {
		return
	}
	if e.received.all() == 0 {
		defer j.bell()
		j.log.WithFields(logrus.Fields{"peer": e.peer, "address": a.String()}).Warn("the peer sends prefixes: none is taken; have the router send this node none")
	}
	e.received.ipv4 += n.ipv4
	e.received.ipv6 += n.ipv6
}

// failed notes why a session does not come up, and rings the bell where that is news.
func (j *journal) failed(a netip.Addr, why cause) {
	if why.kind == noCause {
		return
	}
	why.at = time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.entries[a]
	if !ok {
		return
	}
	e.halfOpen = time.Time{}
	was := e.cause
	ended := was.kind == begunAnew || was.kind == pathFailed
	if ended && why.kind == refusedOpen && why.at.Sub(was.at).Abs() < overheardFor {
		return // that is the notification by which we ended it
	}
	e.cause = why
	if was.kind != why.kind || was.text != why.text || was.notification != why.notification {
		j.log.WithFields(logrus.Fields{"peer": e.peer, "address": a.String()}).Debugf("session does not come up: %s", why.text)
		j.bell()
	}
}

// waitsFor reports whether a router has a session that is wanted and down.
func (j *journal) waitsFor(from netip.Addr) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.down(from)) > 0
}

// down gives the entries of a router's sessions that are down. A packet does not tell
// the zone of the address that it is from.
func (j *journal) down(from netip.Addr) []*entry {
	var out []*entry
	for a, e := range j.entries {
		if a.WithZone("") == from && !e.connected {
			out = append(out, e)
		}
	}
	return out
}

// hears notes what a router was overheard to say.
func (j *journal) hears(from netip.Addr, what func(*said)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.down(from) {
		what(&e.said)
		j.bell()
	}
}

// dialled notes that a dial has become a connection.
func (j *journal) dialled(a netip.Addr) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e, ok := j.entries[a]; ok {
		e.halfOpen = time.Time{}
		j.halfOpened(e, time.Now())
	}
}

// halfOpened notes that a session has a connection, and rings when it has had it for long.
func (j *journal) halfOpened(e *entry, at time.Time) {
	if !e.halfOpen.IsZero() {
		return
	}
	e.halfOpen = at
	time.AfterFunc(silentBound, j.bell)
	time.AfterFunc(j.halfOpenBound, j.bell)
}

// wasSteady is whether a session was up for long until it was lost just now. It is so once.
func (j *journal) wasSteady(a netip.Addr) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.entries[a]
	if !ok || !e.steady {
		return false
	}
	e.steady = false
	return true
}

// begunAnew notes why a session is about to be begun anew.
func (j *journal) begunAnew(a netip.Addr, why string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e, ok := j.entries[a]; ok {
		e.cause = cause{kind: begunAnew, text: why, at: time.Now()}
	}
}

// allUp reports whether every session that is wanted is up.
func (j *journal) allUp() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.entries {
		if e.state != bgp.BGP_FSM_ESTABLISHED {
			return false
		}
	}
	return true
}
