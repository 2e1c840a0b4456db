package speaker

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// This file says in words why a session is down, and what to change. GoBGP's and the
// kernel's own words name the symptom; the session's settings, and what the router was
// overheard to say (overhear.go), tell the cause.

// cause is why a session went down or does not come up, as it was noted.
type cause struct {
	kind causeKind
	// text is what GoBGP, the kernel or the router said.
	text string
	at   time.Time
	// notification is what we have sent; the zero value is none.
	notification notification
}

type causeKind uint8

const (
	// noCause is of a session that was never down.
	noCause causeKind = iota
	// otherCause has all there is to say in its text.
	otherCause
	// noConnection is of a dial that failed, with the kernel's words.
	noConnection
	// closedEarly is of a router that closed the connection instead of an OPEN.
	closedEarly
	// openRefused is of a router that answered our OPEN with a NOTIFICATION.
	openRefused
	// pathFailed is of a path that BFD found dead.
	pathFailed
	// refusedOpen is of a router whose OPEN we answered with one.
	refusedOpen
	// begunAnew is of a session that we have ended: its settings changed, or it could not get
	// on by itself (stranded.go).
	begunAnew
)

// notification is the code and subcode of a NOTIFICATION (RFC 4271 section 4.5).
type notification struct{ code, subcode uint8 }

func (n notification) String() string {
	return strings.TrimPrefix(bgp.NewNotificationErrorCode(n.code, n.subcode).String(), "code ")
}

// overheardFor is how far what was overheard may be from a cause that it explains.
const overheardFor = 5 * time.Second

// silentBound is how long a router may take for its OPEN before that is said.
const silentBound = 5 * time.Second

// said is what a router was overheard to say last.
type said struct {
	// notified is when it sent the notification, and text the reason that came with it
	// (RFC 9003).
	notified     time.Time
	notification notification
	text         string
	// opened is when it sent an OPEN, with these values.
	opened   time.Time
	asn      uint32
	holdTime uint16
	routerID netip.Addr
}

// words gives the cause and what to change, for people; "" for none. p are the
// session's settings, and linkAddressOf is that of the Options.
func (e entry) words(p *api.Peer, linkAddressOf func(netip.Addr) string) string {
	n, heard := e.said.notification, e.heardAtCause()
	switch {
	case e.halfOpenFor(silentBound) && e.state == bgp.BGP_FSM_OPENCONFIRM:
		return routerAt(p) + " has sent its OPEN and no KEEPALIVE after it: its BGP process hangs, or waits in another connection; look at it there"
	case e.halfOpenFor(silentBound):
		return routerAt(p) + " takes the connection and does not answer our OPEN: its BGP process hangs or is overloaded; look at it there"
	case e.cause.kind == noConnection:
		if strings.HasSuffix(e.cause.text, "i/o timeout") {
			return silenceWords(p, linkAddressOf)
		}
		return noConnectionWords(p, e.cause.text)
	case e.cause.kind == closedEarly && !heard:
		return fmt.Sprintf("%s closed the connection before it said anything: it does not know this node's address as a neighbor; have it configured there, or give spec.sourceAddress the one that is", routerAt(p))
	case heard && (e.cause.kind == closedEarly || e.cause.kind == openRefused || n.code == bgp.BGP_ERROR_OPEN_MESSAGE_ERROR):
		return strings.TrimSuffix(fmt.Sprintf("%s refused our OPEN with %s: %s", routerAt(p), n, n.advice(p, e.said)), ": ")
	case e.cause.kind == openRefused:
		return fmt.Sprintf("%s refused our OPEN: %s; its log says which", routerAt(p), openTerms(p))
	case e.held():
		return fmt.Sprintf("%s; it is dialled again when the router's BFD answers, %s later at the latest", e.cause.text, holdBound)
	case e.cause.kind == refusedOpen:
		return refusedOpenWords(p, e.cause.notification, e.said)
	}
	return e.cause.text
}

func routerAt(p *api.Peer) string { return "the router at " + p.Conf.NeighborAddress }

// target is where a session is dialled.
func target(p *api.Peer) string {
	return fmt.Sprintf("%s port %d", p.Conf.NeighborAddress, cmp.Or(p.Transport.RemotePort, bgp.BGP_PORT))
}

// openTerms are what a router may refuse in an OPEN.
func openTerms(p *api.Peer) string {
	return fmt.Sprintf("it expects another AS than %d of this node, or another hold time or role", p.Conf.LocalAsn)
}

// noConnectionWords explains the kernel's answer to a dial, the end of text.
func noConnectionWords(p *api.Peer, text string) string {
	ends := func(errors ...error) bool {
		for _, e := range errors {
			if strings.HasSuffix(text, e.Error()) {
				return true
			}
		}
		return false
	}
	switch {
	case ends(syscall.ECONNREFUSED):
		return target(p) + " refuses connections: no BGP speaker listens there, or it does not for this node; start it, or " + correctAddressOrPort(p)
	case ends(syscall.EHOSTUNREACH):
		return fmt.Sprintf("%s is not there: nobody answers for that address on its network (no route to host); %s, or look at the link", p.Conf.NeighborAddress, correctAddress(p))
	case ends(syscall.ENETUNREACH):
		return fmt.Sprintf("this node has no route to %s (network is unreachable); add one, or %s", p.Conf.NeighborAddress, correctAddress(p))
	case ends(syscall.EADDRNOTAVAIL):
		if p.Conf.Description != "" {
			return fmt.Sprintf("%s is not an address of this node now: look at the link", p.Transport.LocalAddress)
		}
		return fmt.Sprintf("spec.sourceAddress %s is not an address of this node; correct it", p.Transport.LocalAddress)
	case ends(syscall.EPERM, syscall.EACCES):
		return "this node's own firewall drops what it sends to " + target(p) + " (operation not permitted); let TCP out in OUTPUT"
	case ends(syscall.ECONNRESET):
		return target(p) + " resets the connection: the router does not take one from this node's address; have it configured there as a neighbor"
	}
	return text
}

// silenceWords are for a router whose TCP gives no answer at all. One that answers for its
// address on its link is there, and drops what this node sends.
func silenceWords(p *api.Peer, linkAddressOf func(netip.Addr) string) string {
	terms, linkAddress, how := silenceTerms(p), "", "ARP"
	if a, err := netip.ParseAddr(p.Conf.NeighborAddress); err == nil && linkAddressOf != nil {
		linkAddress = linkAddressOf(a)
		if a.Is6() {
			how = "neighbour discovery"
		}
	}
	if linkAddress == "" {
		return fmt.Sprintf("no answer from %s: %s, or a router that is down", target(p), terms)
	}
	return fmt.Sprintf("no answer from %s, though the router is there (%s answers %s for it) and drops what this node sends: %s", target(p), linkAddress, how, terms)
}

// silenceTerms are the settings of a session by which TCP gets no answer. A segment with a
// wrong digest is dropped without one (RFC 2385 section 2), and so is one with too low a
// TTL (RFC 5082 section 3).
func silenceTerms(p *api.Peer) string {
	terms := []string{"a filter on the way"}
	if p.Conf.AuthPassword != "" {
		terms = append(terms, "a password that the router has not, or another one (TCP MD5)")
	} else {
		terms = append(terms, "a password that the router wants and BGPPeer has not (spec.passwordSecretRef)")
	}
	switch {
	case p.TtlSecurity.Enabled:
		terms = append(terms, "a router that is more than one hop away, with spec.ttlSecurity")
	case p.EbgpMultihop.Enabled || p.Conf.PeerAsn == p.Conf.LocalAsn:
	case isOnLink(p):
		terms = append(terms, "a router that wants TTL security (then spec.ttlSecurity)")
	default:
		terms = append(terms, "a router that is more than one hop away (then spec.ebgpMultihop), or that wants TTL security (then spec.ttlSecurity)")
	}
	return strings.Join(terms, ", ")
}

// refusedOpenWords is for a router whose OPEN we refused.
func refusedOpenWords(p *api.Peer, n notification, s said) string {
	if n.code == bgp.BGP_ERROR_OPEN_MESSAGE_ERROR && !s.opened.IsZero() {
		switch n.subcode {
		case bgp.BGP_ERROR_SUB_BAD_PEER_AS:
			if p.Conf.PeerAsn == nobodysASN {
				return ownASWords(p)
			}
			return fmt.Sprintf("%s is AS %d, and spec.peerASN is %d: correct spec.peerASN", routerAt(p), s.asn, p.Conf.PeerAsn) + orDynamic(p)
		case bgp.BGP_ERROR_SUB_BAD_BGP_IDENTIFIER:
			return fmt.Sprintf("%s has the router ID %s, which is this node's own too or none at all: change one (annotation fairway.dev/router-id of the Node)", routerAt(p), s.routerID)
		case bgp.BGP_ERROR_SUB_UNACCEPTABLE_HOLD_TIME:
			return fmt.Sprintf("%s wants a hold time of %d s: it must be 0 or at least 3 s (RFC 4271 section 4.2); correct it on the router", routerAt(p), s.holdTime)
		}
	}
	if n.code == bgp.BGP_ERROR_OPEN_MESSAGE_ERROR && n.subcode == bgp.BGP_ERROR_SUB_BAD_PEER_AS {
		if p.Conf.PeerAsn == nobodysASN {
			return ownASWords(p)
		}
		return fmt.Sprintf("%s is of another AS than spec.peerASN %d: correct it", routerAt(p), p.Conf.PeerAsn)
	}
	if n.code == bgp.BGP_ERROR_HOLD_TIMER_EXPIRED {
		return fmt.Sprintf("%s has said nothing for the hold time: it is down, or the way to it is", routerAt(p))
	}
	return fmt.Sprintf("this node refused what %s sent, with %s", routerAt(p), n)
}

// lossWords says in words why a session that was up is not; reason is GoBGP's
// (fsmStateReason in pkg/server/fsm.go).
func lossWords(reason string) string {
	for of, is := range map[string]string{
		"notification-received code ": "the router ended it with ",
		"notification-sent code ":     "this node ended it with ",
	} {
		if n, ok := strings.CutPrefix(reason, of); ok {
			return is + n
		}
	}
	switch reason {
	case "read-failed", "graceful-restart":
		return "the connection broke without a word: the router's BGP process or the router itself ended, or something on the way cut it"
	case "write-failed":
		return "the connection broke: the router or something on the way takes nothing more"
	case "hold-timer-expired":
		return "the router was silent for the whole hold time"
	}
	return reason
}

// advice says what to change for a notification that the router has sent, as far as
// that is known.
func (n notification) advice(p *api.Peer, s said) string {
	var advice string
	if n.code == bgp.BGP_ERROR_CEASE && n.subcode == bgp.BGP_ERROR_SUB_CONNECTION_COLLISION_RESOLUTION {
		advice = "it has a session with this node's address already, another BGP speaker's (MetalLB, Calico, kube-ovn-speaker), and takes one alone; stop that one, or announce through it (docs/recipes/metallb/README.md)"
	}
	if n.code == bgp.BGP_ERROR_OPEN_MESSAGE_ERROR {
		switch n.subcode {
		case bgp.BGP_ERROR_SUB_BAD_PEER_AS:
			advice = fmt.Sprintf("it expects another AS than %d of this node; correct spec.localASN, or the remote AS on the router", p.Conf.LocalAsn)
		case bgp.BGP_ERROR_SUB_BAD_BGP_IDENTIFIER:
			advice = "it does not take this node's router ID, which may be its own or another neighbor's; give the Node annotation fairway.dev/router-id another"
		case bgp.BGP_ERROR_SUB_UNACCEPTABLE_HOLD_TIME:
			advice = fmt.Sprintf("it does not take a hold time of %d s; change spec.holdTime", p.Timers.Config.HoldTime)
		case bgp.BGP_ERROR_SUB_UNSUPPORTED_CAPABILITY:
			advice = "it wants or refuses a capability: compare the families, and the role (RFC 9234) on the router"
		case subRoleMismatch:
			advice = "it insists on a BGP role (RFC 9234), which this node does not send; take it off this neighbor on the router"
		default:
			advice = openTerms(p)
		}
	}
	if s.text != "" {
		advice = strings.TrimPrefix(fmt.Sprintf("%s; it says %q", advice, s.text), "; ")
	}
	return advice
}

// subRoleMismatch is a subcode of RFC 9234 section 4.2.
const subRoleMismatch = 11
