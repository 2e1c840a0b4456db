package speaker

import (
	"net/netip"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/sirupsen/logrus"
)

// journal remembers of each session what GoBGP tells once and then forgets. It
// has entries for the sessions that are wanted; what it hears of others it
// ignores.
type journal struct {
	log  *logrus.Entry
	bell func()

	mu      sync.Mutex
	entries map[netip.Addr]*entry
}

// entry is what the journal knows of one session.
type entry struct {
	// peer is the BGPPeer's name.
	peer  string
	state bgp.FSMState
	since time.Time
	// lastError says why the session last went down or did not come up.
	lastError string
	// text is what the peer said in the notification that is being handled.
	text  string
	flaps int
	// connected is true from when the session is up until its connection is closed.
	// GoBGP tells of a session that is down only when it has cleared what it had
	// from the peer, which can take seconds.
	connected bool
	// received is what the peer has announced since then.
	received receivedPrefixes
}

func newJournal(log *logrus.Entry, bell func()) *journal {
	return &journal{log: log, bell: bell, entries: map[netip.Addr]*entry{}}
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
	e.state, e.since = is, at
	log := j.log.WithFields(logrus.Fields{"peer": e.peer, "address": a.String()})
	if is == bgp.BGP_FSM_ESTABLISHED {
		e.lastError, e.text = "", ""
		log.Info("session is established")
		return
	}
	if why := downReason(p.State); why != "" && is == bgp.BGP_FSM_IDLE {
		if e.text != "" {
			why += `: "` + e.text + `"`
		}
		e.lastError, e.text = why, ""
	}
	if was == bgp.BGP_FSM_ESTABLISHED {
		e.flaps++
		log.WithField("reason", e.lastError).Warn("session went down")
	}
}

// downReason is empty for steps on the way up, to which GoBGP gives no reason of
// its own.
func downReason(s apiutil.PeerState) string {
	if s.DisconnectReason == api.PeerState_DISCONNECT_REASON_UNSPECIFIED {
		return ""
	}
	return s.DisconnectMessage
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

// failed notes why a session does not come up.
func (j *journal) failed(a netip.Addr, why string) {
	if why == "" {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if e, ok := j.entries[a]; ok {
		e.lastError = why
	}
}
