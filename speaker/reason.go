package speaker

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// This file names the causes of cause.go for whoever counts: metrics and objects have
// one of few reasons, and people the words.

// Reason is why a session is down, or went down last. "" is none.
type Reason string

// Reasons; Reasons() says what each means.
const (
	NotConnectedYet      Reason = "not-connected-yet"
	ConnectionRefused    Reason = "connection-refused"
	NoAnswer             Reason = "no-answer"
	Unreachable          Reason = "unreachable"
	NoSourceAddress      Reason = "no-source-address"
	FilteredHere         Reason = "filtered-here"
	ClosedByRouter       Reason = "closed-by-router"
	OpenRefusedByRouter  Reason = "open-refused-by-router"
	OpenRefusedHere      Reason = "open-refused-here"
	HoldTimerExpired     Reason = "hold-timer-expired"
	NotificationReceived Reason = "notification-received"
	NotificationSent     Reason = "notification-sent"
	BFDDown              Reason = "bfd-down"
	ConnectionLost       Reason = "connection-lost"
	BegunAnew            Reason = "begun-anew"
	OtherReason          Reason = "other"
)

// Meaning documents a Reason.
type Meaning struct {
	Reason Reason
	When   string
}

// Reasons gives all of them, first those of sessions that do not come up.
func Reasons() []Meaning {
	return []Meaning{
		{NotConnectedYet, "nothing has been tried, or nothing has failed yet"},
		{ConnectionRefused, "nothing listens at the router's address and port"},
		{NoAnswer, "the router does not answer TCP, or not our OPEN: a filter, another password, a router that hangs"},
		{Unreachable, "there is no route to the router, or nobody answers for its address on the link"},
		{NoSourceAddress, "spec.sourceAddress is not an address of this node"},
		{FilteredHere, "this node's own packet filter drops what it sends"},
		{ClosedByRouter, "the router closed the connection before it said anything: it does not know this neighbor"},
		{OpenRefusedByRouter, "the router refused our OPEN: AS, router ID, hold time or capabilities"},
		{OpenRefusedHere, "this node refused the router's OPEN, or another message before the session was up"},
		{HoldTimerExpired, "the router was silent for the whole hold time"},
		{NotificationReceived, "the router ended the session with a NOTIFICATION"},
		{NotificationSent, "this node ended the session with a NOTIFICATION"},
		{BFDDown, "BFD found the path dead"},
		{ConnectionLost, "the connection broke without a word"},
		{BegunAnew, "this node began the session anew: its settings changed, or it could not get on"},
		{OtherReason, "something else; fairway status has the words"},
	}
}

// Why is a reason, with the NOTIFICATION if there was one.
type Why struct {
	Reason Reason
	// Notification is its code and subcode as "6/2" (RFC 4271 section 4.5), "" for none.
	Notification string
}

// Reset is when an established session went down last, and why; zero if it never did.
type Reset struct {
	At time.Time
	Why
}

func whyOf(r Reason, n notification) Why {
	if n == (notification{}) {
		return Why{Reason: r}
	}
	return Why{r, fmt.Sprintf("%d/%d", n.code, n.subcode)}
}

// notificationCodes finds the numbers in GoBGP's words for a NOTIFICATION.
var notificationCodes = regexp.MustCompile(`code (\d+)\(.*subcode (\d+)\(`)

// lossOf gives why GoBGP has ended a session that was up.
func lossOf(s apiutil.PeerState, c cause) Why {
	switch {
	case c.kind == pathFailed:
		return Why{Reason: BFDDown}
	case c.kind == begunAnew:
		return Why{Reason: BegunAnew}
	}
	why := Why{Reason: disconnectReason(s.DisconnectReason)}
	if m := notificationCodes.FindStringSubmatch(s.DisconnectMessage); m != nil {
		why.Notification = m[1] + "/" + m[2]
	}
	return why
}

func disconnectReason(r api.PeerState_DisconnectReason) Reason {
	switch r {
	case api.PeerState_DISCONNECT_REASON_HOLD_TIMER_EXPIRED:
		return HoldTimerExpired
	case api.PeerState_DISCONNECT_REASON_NOTIFICATION_RECEIVED, api.PeerState_DISCONNECT_REASON_HARD_RESET:
		return NotificationReceived
	case api.PeerState_DISCONNECT_REASON_NOTIFICATION_SENT:
		return NotificationSent
	case api.PeerState_DISCONNECT_REASON_READ_FAILED, api.PeerState_DISCONNECT_REASON_WRITE_FAILED, api.PeerState_DISCONNECT_REASON_GRACEFUL_RESTART:
		return ConnectionLost
	case api.PeerState_DISCONNECT_REASON_ADMIN_DOWN, api.PeerState_DISCONNECT_REASON_DECONFIGURED:
		return BegunAnew
	}
	return OtherReason
}

// why gives the reason for which a session is down now, as words gives its words.
func (e entry) why() Why {
	n, heard := e.said.notification, e.heardAtCause()
	switch k := e.cause.kind; {
	case e.halfOpenFor(silentBound):
		return Why{Reason: NoAnswer}
	case k == noConnection:
		return Why{Reason: dialReason(e.cause.text)}
	case k == closedEarly && !heard:
		return Why{Reason: ClosedByRouter}
	case k == openRefused && !heard:
		return Why{Reason: OpenRefusedByRouter}
	case heard && (k == closedEarly || k == openRefused || n.code == bgp.BGP_ERROR_OPEN_MESSAGE_ERROR):
		return whyOf(OpenRefusedByRouter, n)
	case k == refusedOpen && e.cause.notification.code == bgp.BGP_ERROR_HOLD_TIMER_EXPIRED:
		return Why{Reason: HoldTimerExpired}
	case k == refusedOpen:
		return whyOf(OpenRefusedHere, e.cause.notification)
	case k == noCause:
		return Why{Reason: NotConnectedYet}
	case k == pathFailed:
		return Why{Reason: BFDDown}
	case k == begunAnew:
		return Why{Reason: BegunAnew}
	case !e.reset.At.IsZero() && e.reset.At.Sub(e.cause.at).Abs() < overheardFor:
		return e.reset.Why
	}
	return Why{Reason: OtherReason}
}

// heardAtCause reports whether the router was overheard to send a NOTIFICATION at the
// time of the cause.
func (e entry) heardAtCause() bool {
	return e.said.notified.Sub(e.cause.at).Abs() < overheardFor
}

// dialReason names the kernel's answer to a dial, the end of text.
func dialReason(text string) Reason {
	for errno, reason := range map[syscall.Errno]Reason{
		syscall.ECONNREFUSED: ConnectionRefused, syscall.ECONNRESET: ClosedByRouter,
		syscall.EHOSTUNREACH: Unreachable, syscall.ENETUNREACH: Unreachable,
		syscall.EADDRNOTAVAIL: NoSourceAddress, syscall.EPERM: FilteredHere, syscall.EACCES: FilteredHere,
	} {
		if strings.HasSuffix(text, errno.Error()) {
			return reason
		}
	}
	if strings.HasSuffix(text, "i/o timeout") {
		return NoAnswer
	}
	return OtherReason
}
