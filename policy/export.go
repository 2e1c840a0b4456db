package policy

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"slices"

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
// and with it the path, as it is, and only that peer hears of it.
func classOf(c *routes.Case, role routes.Role, p netip.Prefix) routes.Class {
	h := fnv.New64a()
	t := c.Tuning
	fmt.Fprintf(h, "%s|%t|%q|%t%t|%v|%v|%s|%s|%s|%s", FamilyOf(p), t.Peers == nil, t.Peers, role == routes.RoleStandby, c.Gently(),
		t.Communities, t.LargeCommunities, number(t.MED), number(t.LocalPref), number(t.ASPathPrepend), t.NextHop(p))
	return routes.Class(h.Sum64())
}

func number[T uint8 | uint32](n *T) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

// attributes gives what a path of the Case has when it leaves by the session:
// the Subnet's annotations, then the peer's defaults, then what the role costs.
func attributes(c *routes.Case, s Session, role routes.Role, hop netip.Addr) Attributes {
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
	if role == routes.RoleStandby {
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
	w := Wish{RouterID: p.RouterID, Sessions: p.Sessions, RIB: routes.RIB{}, Exports: p.exports}
	if len(p.Sessions) > 0 {
		w.ASN = p.Sessions[0].LocalASN
	}
	for _, a := range p.Adverts {
		w.RIB[a.Prefix] = routes.Path{NextHop: a.NextHop, Class: a.class}
	}
	return w
}

// Exports gives what each session makes of an advert, sorted by peer.
func (p Plan) Exports(a Advert) []Export {
	i, _ := slices.BinarySearchFunc(p.exports, a.class, func(e Export, c routes.Class) int { return cmp.Compare(e.Class, c) })
	j := i
	for j < len(p.exports) && p.exports[j].Class == a.class {
		j++
	}
	return p.exports[i:j]
}
