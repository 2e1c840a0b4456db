package status

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// Status is the picture. Times are UTC; lists are sorted and never nil. What is
// announced, and what is not well, is told by methods (outcome.go); JSON has their
// answers too.
type Status struct {
	Version string    `json:"version"`
	Node    string    `json:"node"`
	Started time.Time `json:"started"`
	// Settings are the daemon's flags that a check of this node follows.
	Settings Settings `json:"settings"`
	// At is when the pass that made this picture ended.
	At time.Time `json:"at"`
	// Ready is true once the source has been read and its plan handed to the
	// speaker without error; Waiting says what is missing.
	Ready   bool     `json:"ready"`
	Waiting []string `json:"waiting"`
	// Draining is true if everything is to be withdrawn from the node, and DrainCause
	// says why, for people. DrainRequest is the name of that request, if it has one.
	Draining     bool   `json:"draining"`
	DrainCause   string `json:"drainCause,omitempty"`
	DrainRequest string `json:"drainRequest,omitempty"`
	// DrainUntil is when what is announced with a path that loses will be withdrawn;
	// zero where nothing waits for that.
	DrainUntil time.Time `json:"drainUntil,omitzero"`

	// OnStop is what a SIGTERM would mean now; the zero value where nobody tells.
	OnStop OnStop `json:"onStop,omitzero"`

	// NotServed are ways to look at the daemon that cannot be served, with the reason;
	// what is announced does not need them.
	NotServed []string `json:"notServed,omitempty"`

	Source   Source    `json:"source"`
	Plan     Plan      `json:"plan"`
	Speaker  Speaker   `json:"speaker"`
	Sessions []Session `json:"sessions"`
	// Audited is true once the host has been looked at; Findings say how it is.
	Audited  bool           `json:"audited"`
	Findings []host.Finding `json:"findings"`
	// ToWire counts how long changes took from the first that was heard of one to the
	// hand-over of what it changed to the sessions.
	ToWire Delays `json:"toWire"`
	// Basis is told apart from the rest.
	Basis Basis `json:"-"`
}

// Basis is what the plan was made with beside the objects: who has it plans as the
// daemon does. It holds no password.
type Basis struct {
	Settings routes.Settings `json:"settings"`
	Memory   policy.Memory   `json:"memory"`
}

// MarshalJSON adds "degraded", what is not as it should be, "announced", how many
// prefixes of the plan some peer has been sent, and "notSent", those of them that some
// peer has not.
func (s *Status) MarshalJSON() ([]byte, error) {
	type fields Status
	return json.Marshal(struct {
		*fields
		Degraded  []string  `json:"degraded"`
		Announced int       `json:"announced"`
		NotSent   []NotSent `json:"notSent"`
	}{(*fields)(s), s.Degraded(), s.Announced(), s.notSent()})
}

// Settings are some of the daemon's flags.
type Settings struct {
	// OverlayLink is the link into the overlay.
	OverlayLink string `json:"overlayLink"`
	// BGPPort is where passive peers are waited for.
	BGPPort uint16 `json:"bgpPort"`
}

// OnStop is what a SIGTERM means: a daemon that comes back leaves its routes to peers that
// do graceful restart (RFC 4724), any other withdraws everything.
type OnStop struct {
	Keep    bool   `json:"keep"`
	Because string `json:"because"`
}

// Plan is the plan that is in force, nil Adverts meaning that there is none yet.
type Plan = policy.Plan

// Source says where the objects come from and how well that works.
type Source struct {
	// Kind is "files" or "api".
	Kind string `json:"kind"`
	// From are the paths, or the API server's address.
	From []string `json:"from"`
	// Waiting says what has not been read yet, or so long ago that it counts no
	// more; empty once everything has.
	Waiting []string `json:"waiting"`
	Subnets int      `json:"subnets"`
	Nodes   int      `json:"nodes"`
	Peers   int      `json:"peers"`
	// Problems are objects or files that are not as they should be. What was
	// announced because of them stays.
	Problems []Problem `json:"problems"`
	// Ignored counts the objects that Fairway does not read, by kind.
	Ignored []string `json:"ignored,omitempty"`
	// StaleSince is when the source, or a part of it, was last in step; zero while
	// it is. What was known then stays in force, and Problems say why.
	StaleSince time.Time `json:"staleSince,omitzero"`
}

// Problem is one thing that is not as it should be. In JSON it is its text.
type Problem struct {
	objects.Problem
	// Stale is true for one of the source itself: what it is not in step with, and why.
	Stale bool
}

// Problemf is a problem of no object. Its text says what is wrong and what to do.
func Problemf(format string, args ...any) Problem {
	return Problem{Problem: objects.Problem{Severity: objects.Wrong, Message: fmt.Sprintf(format, args...)}}
}

// Stalef is a problem of the source itself.
func Stalef(format string, args ...any) Problem {
	p := Problemf(format, args...)
	p.Stale = true
	return p
}

// MarshalText gives the text for people.
func (p Problem) MarshalText() ([]byte, error) { return []byte(p.Error()), nil }

// UnmarshalText reads what MarshalText gives. What it is about stays in the text.
func (p *Problem) UnmarshalText(text []byte) error {
	*p = Problemf("%s", text)
	return nil
}

// Texts gives problems in words, those of the source itself or all others.
func (s Source) Texts(stale bool) []string {
	var out []string
	for _, p := range s.Problems {
		if p.Stale == stale {
			out = append(out, p.Error())
		}
	}
	return out
}

// MarshalJSON adds "stale": those of the problems that are about the source itself.
func (s Source) MarshalJSON() ([]byte, error) {
	type fields Source
	return json.Marshal(struct {
		fields
		Stale []string `json:"stale,omitempty"`
	}{fields(s), s.Texts(true)})
}

// Known reports whether nothing is missing that must be known to plan.
func (s Source) Known() bool { return len(s.Waiting) == 0 }

// NoSessions says why there is no session.
func (s Source) NoSessions() string {
	if !s.Known() {
		return "which BGPPeers select this node is not known"
	}
	return "no BGPPeer selects this node"
}

// Speaker is the embedded BGP process.
type Speaker struct {
	// RouterID and ASN are the zero Addr and 0 before there is a plan with a
	// session.
	RouterID netip.Addr `json:"routerID"`
	ASN      uint32     `json:"asn"`
	// Originated is how many prefixes are in the speaker's own table.
	Originated int `json:"originated"`
	// InSync is true if the table was as the plan wants it after the last pass.
	InSync bool `json:"inSync"`
	// Errors are what the last pass could not do.
	Errors []string `json:"errors"`
}

// Session is one BGP session as it is.
type Session struct {
	Peer string `json:"peer"`
	// Address is "" while the neighbour is looked for, on Interface or by PeerDiscovery.
	Address       string `json:"address"`
	Interface     string `json:"interface,omitempty"`
	PeerDiscovery string `json:"peerDiscovery,omitempty"`
	LocalAddress  string `json:"localAddress"`
	// PeerASN is 0 while it is any, and no OPEN has told it.
	PeerASN  uint32 `json:"peerASN"`
	LocalASN uint32 `json:"localASN"`
	// State is the FSM's (RFC 4271 section 8): Idle, Connect, Active, OpenSent,
	// OpenConfirm, Established.
	State string `json:"state"`
	// Since is when that state of being up or down began; zero if never up.
	Since time.Time `json:"since"`
	// LastError says why it last went down or stays down; "" if it never did.
	LastError string `json:"lastError"`
	// LastErrorAt is when that was seen last; zero if it never did.
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
	// Advertised is how many prefixes the peer has been sent.
	Advertised int `json:"advertised"`
	// Received is how many the peer has announced since the session is up, counting
	// those that come again. None is taken.
	Received int `json:"received"`
	// Families are those that both ends offered, and NotOffered those of which the plan
	// has prefixes for the peer and that the router did not; none unless the session is up.
	Families   []string `json:"families"`
	NotOffered []string `json:"notOffered,omitempty"`
	// NoHoldTime is whether the router asked for a hold time of 0.
	NoHoldTime bool `json:"noHoldTime,omitempty"`
	// OldPassword is whether the session runs with the password of before a change, which
	// counts from the next connection on.
	OldPassword bool `json:"oldPassword,omitempty"`
	// Planned is how many prefixes the plan has for the peer.
	Planned int `json:"planned"`
	// Flaps counts how often the session went down after it was up, and LastReset is the
	// last time; nil if it never did.
	Flaps     int    `json:"flaps"`
	LastReset *Reset `json:"lastReset,omitempty"`
	// Down is why the session is not up; nil while it is, and while the neighbour is
	// looked for.
	Down *Why `json:"down,omitempty"`
	// BFD is how the path to the router is watched, nil where it is not to be.
	BFD *BFD `json:"bfd,omitempty"`
}

// Why is one of few reasons for a session to be down (docs/metrics.md); LastError has
// the words.
type Why struct {
	Reason string `json:"reason"`
	// Notification is the code and subcode of the NOTIFICATION as "6/2" (RFC 4271
	// section 4.5); "" where there was none.
	Notification string `json:"notification,omitempty"`
}

// String is like "notification-received 6/2".
func (w Why) String() string { return strings.TrimSuffix(w.Reason+" "+w.Notification, " ") }

// Reset is when and why a session that was up went down.
type Reset struct {
	At time.Time `json:"at"`
	Why
}

// BFD is a BFD session as it is (RFC 5880).
type BFD struct {
	// State is Up, Init or Down; Down also before it begins, when the BGP session is
	// first up. AdminDown of the router is in RouterState.
	State string `json:"state"`
	// Since is when that began; zero before the path is watched.
	Since time.Time `json:"since,omitzero"`
	// Diagnostic is why it came to be so, "" on the way up.
	Diagnostic string `json:"diagnostic,omitempty"`
	// RouterState and RouterDiagnostic are what the router says of its end, "" where it
	// says nothing.
	RouterState      string `json:"routerState,omitempty"`
	RouterDiagnostic string `json:"routerDiagnostic,omitempty"`
	// TransmitInterval is the time between two packets of ours, and DetectionTime how
	// long the router may be silent, as both ends have agreed; in seconds.
	TransmitInterval float64 `json:"transmitIntervalSeconds"`
	DetectionTime    float64 `json:"detectionTimeSeconds"`
	// Downs counts how often it went from Up to Down.
	Downs int `json:"downs"`
	// Sent and Received count packets.
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
	// Trouble is why it is not up, and what to change.
	Trouble string `json:"trouble,omitempty"`
}

// Text is the state for people, in a line.
func (b BFD) Text() string {
	if b.State != "Up" {
		return "BFD " + strings.ToLower(b.State)
	}
	return fmt.Sprintf("BFD up: a router that is silent for %s is dead", time.Duration(b.DetectionTime*float64(time.Second)).Round(time.Millisecond))
}

// Neighbour is the address with what it was found by, or where it is looked for.
func (s Session) Neighbour() string {
	switch {
	case s.Address == "" && s.Interface != "":
		return "on " + s.Interface
	case s.Address == "":
		return "default gateway"
	case s.PeerDiscovery != "":
		return s.Address + " (gateway)"
	}
	return s.Address // a link-local one has the link as zone
}

// Established reports whether the session is up.
func (s Session) Established() bool { return s.State == "Established" }

// Board holds the newest Status. The zero Board is empty; it is safe for any
// number of readers and writers.
type Board struct {
	newest  atomic.Pointer[Status]
	mu      sync.Mutex
	changed chan struct{}
}

// Post publishes a Status, which must not be changed afterwards. It waits for nobody.
func (b *Board) Post(s *Status) {
	b.newest.Store(s)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Newest gives what was posted last, or nil before that.
func (b *Board) Newest() *Status { return b.newest.Load() }

// Changed gives a channel that is closed when something newer is posted. Ask for it before
// Newest, so that nothing is missed in between.
func (b *Board) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}
