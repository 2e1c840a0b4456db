package policy

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"

	"github.com/fairway-bgp/fairway/routes"
)

const (
	// standbyPrepend and standbyLocalPref make a standby path lose: at eBGP by
	// length, at iBGP, where length is the same for all, by LOCAL_PREF.
	standbyPrepend   = 3
	standbyLocalPref = 50
	// drainPrepend makes the path of a draining node lose to a standby's as well, for
	// routers that do not honour GRACEFUL_SHUTDOWN; drainMED does where the length is
	// not looked at.
	drainPrepend = 2 * standbyPrepend
	drainMED     = math.MaxUint32
	// defaultLocalPref is what an internal path has without saying so.
	defaultLocalPref = 100
)

// classOf hashes everything of a Case that export rules are made of, except the
// peers themselves: so a BGPPeer that comes, goes or changes leaves the class,
// and with it the path, as it is, and only that peer hears of it. part tells a share
// of the Case that does not go to all its peers; nil for one that does.
func classOf(c *routes.Case, part []string) routes.Class {
	var room [256]byte // most recipes are shorter, and cost no memory then
	t, b := c.Tuning, room[:0]
	b = append(b, FamilyOf(c.Prefix)...)
	b = strconv.AppendBool(append(b, '|'), t.Peers == nil)
	b = appendList(append(b, '|'), t.Peers, strconv.AppendQuote)
	b = strconv.AppendBool(append(b, '|'), c.Role() == routes.RoleStandby)
	b = strconv.AppendBool(b, c.Gently())
	b = appendList(append(b, '|'), t.Communities, appendText[routes.Community])
	b = appendList(append(b, '|'), t.LargeCommunities, appendText[routes.LargeCommunity])
	b = appendNumber(append(b, '|'), t.MED)
	b = appendNumber(append(b, '|'), t.LocalPref)
	b = appendNumber(append(b, '|'), t.ASPathPrepend)
	b = append(append(b, '|'), t.NextHop(c.Prefix).String()...)
	if part != nil {
		b = appendList(append(b, '|'), part, strconv.AppendQuote)
	}
	return routes.Class(fnv1a(b))
}

// fnv1a is the hash of hash/fnv, which would put each recipe on the heap.
func fnv1a(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, x := range b {
		h = (h ^ uint64(x)) * 1099511628211
	}
	return h
}

func appendList[T any](b []byte, list []T, item func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, x := range list {
		if i > 0 {
			b = append(b, ' ')
		}
		b = item(b, x)
	}
	return append(b, ']')
}

func appendText[T fmt.Stringer](b []byte, x T) []byte { return append(b, x.String()...) }

func appendNumber[T uint8 | uint32](b []byte, n *T) []byte {
	if n == nil {
		return append(b, '-')
	}
	return strconv.AppendUint(b, uint64(*n), 10)
}

// attributes gives what a path of the Case has when it leaves by the session:
// the Subnet's annotations, then the peer's defaults, then what the role costs.
func attributes(c *routes.Case, s *Session, hop netip.Addr) Attributes {
	t, d := c.Tuning, s.Defaults
	a := Attributes{
		NextHop:          hop,
		Communities:      routes.SortedSet(slices.Concat(t.Communities, d.Communities), cmp.Compare[routes.Community]),
		LargeCommunities: routes.SortedSet(slices.Concat(t.LargeCommunities, d.LargeCommunities), routes.LargeCommunity.Compare),
		MED:              cmp.Or(t.MED, d.MED),
	}
	if s.Internal() {
		// No prepend: an internal peer takes its own AS in the path for a loop
		// (RFC 4271 section 9.1.2).
		a.LocalPref = cmp.Or(t.LocalPref, d.LocalPref)
	} else if n := cmp.Or(t.ASPathPrepend, d.ASPathPrepend); n != nil {
		a.ASPathPrepend = *n
	}
	if c.Role() == routes.RoleStandby {
		a.worsen(s.Internal())
	}
	if c.Gently() {
		a.shutDown(s.Internal())
	}
	return a
}

// shutDown marks the path of a node that is about to withdraw it (RFC 8326 section
// 4.2), and makes it lose where that is not honoured.
func (a *Attributes) shutDown(internal bool) {
	a.Communities = routes.SortedSet(append(a.Communities, routes.GracefulShutdown), cmp.Compare[routes.Community])
	med, pref := uint32(drainMED), uint32(0)
	a.MED = &med
	if internal {
		a.LocalPref = &pref
		return
	}
	a.ASPathPrepend += drainPrepend
}

// worsen makes the path lose against the active gateway's with the same
// annotations.
func (a *Attributes) worsen(internal bool) {
	if !internal {
		a.ASPathPrepend += standbyPrepend
		return
	}
	pref := uint32(defaultLocalPref)
	if a.LocalPref != nil {
		pref = *a.LocalPref
	}
	pref -= min(pref, standbyLocalPref)
	a.LocalPref = &pref
}

// Wish gives what the speaker shall have for the plan.
func (p Plan) Wish() Wish {
	return Wish{RouterID: p.RouterID, ASN: p.ASN(), Sessions: withAddress(p.Sessions), RIB: p.rib, Exports: p.exports}
}

// withAddress gives the sessions whose neighbour is found.
func withAddress(sessions []Session) []Session {
	return slices.DeleteFunc(slices.Clone(sessions), func(s Session) bool { return !s.Address.IsValid() })
}

// ASN is the BGP process's, 0 without sessions; each session states its own.
func (p Plan) ASN() uint32 {
	if len(p.Sessions) == 0 {
		return 0
	}
	return p.Sessions[0].LocalASN
}

// Exports gives what each session makes of an advert, sorted by peer.
func (p Plan) Exports(a *Advert) []Export {
	i, _ := slices.BinarySearchFunc(p.exports, a.route.Class, func(e Export, c routes.Class) int { return cmp.Compare(e.Class, c) })
	j := i
	for j < len(p.exports) && p.exports[j].Class == a.route.Class {
		j++
	}
	return p.exports[i:j]
}
