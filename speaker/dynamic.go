package speaker

import (
	"fmt"
	"strings"

	"github.com/osrg/gobgp/v4/api"

	"github.com/fairway-bgp/fairway/policy"
)

// nobodysASN is the last AS number, which is nobody's (RFC 7300).
const nobodysASN = 4294967295

// expectedASN is the AS that the neighbour's OPEN must have, 0 for any. GoBGP takes
// every AS where it has no number, and would speak as inside our own AS to a neighbour
// of it. So where another AS was asked for (external), and the neighbour has shown up
// with ours, nobody's is expected, and its OPENs are refused until they have another.
func (s *server) expectedASN(session policy.Session, have *api.Peer) uint32 {
	if session.DynamicASN != policy.External {
		return session.PeerASN
	}
	asn := s.journal.of(session.Address).said.asn
	if have.State.SessionState == api.PeerState_SESSION_STATE_ESTABLISHED {
		asn = have.State.PeerAsn
	}
	if asn == session.LocalASN || asn == 0 && have.Conf.PeerAsn == nobodysASN {
		return nobodysASN
	}
	return 0
}

// ownASWords is for a neighbour that expectedASN keeps out.
func ownASWords(p *api.Peer) string {
	return fmt.Sprintf("%s is in AS %d as this node is, and spec.dynamicASN is %s: give %s, or another AS on one side",
		routerAt(p), p.Conf.LocalAsn, policy.External, policy.Internal)
}

// orDynamic adds the other field by which our own AS is expected.
func orDynamic(p *api.Peer) string {
	if p.Conf.PeerAsn == p.Conf.LocalAsn {
		return fmt.Sprintf(", or spec.dynamicASN, which may be %s", policy.Internal)
	}
	return ""
}

// onLink begins what foundBy says of an unnumbered neighbour.
const onLink = "interface "

// isOnLink reports whether the neighbour was found on a link.
func isOnLink(p *api.Peer) bool { return strings.HasPrefix(p.Conf.Description, onLink) }

// foundBy is the field of a BGPPeer by which the neighbour's address was found, "" for
// peerAddress. GoBGP keeps it as the neighbour's description.
func foundBy(s policy.Session) string {
	switch {
	case s.Interface != "":
		return onLink + s.Interface
	case s.Discovery != "":
		return "peerDiscovery " + string(s.Discovery)
	}
	return ""
}

// correctAddress says what to do about an address at which nobody is.
func correctAddress(p *api.Peer) string {
	if by := p.Conf.Description; by != "" {
		return "it was found by spec." + by
	}
	return "correct spec.peerAddress"
}

// correctAddressOrPort is correctAddress where a router is there, and refuses.
func correctAddressOrPort(p *api.Peer) string {
	if p.Conf.Description != "" {
		return "correct spec.port"
	}
	return "correct spec.peerAddress or spec.port"
}

// isFoundLate reports whether a session is the first with a neighbour that had to be
// found: it is told that we have restarted though others were there before (RFC 4724
// section 4.1), or it would drop what it kept.
func (s *server) isFoundLate(session policy.Session) bool {
	return session.Search() != "" && !s.met[session.Address]
}
