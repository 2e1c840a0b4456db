package policy

import (
	"slices"

	"github.com/fairway-bgp/fairway/routes"
)

// SameAdverts reports whether two lists of adverts are the same in every field. What is the
// same pointer in both is not looked at, and nothing where they are one list.
func SameAdverts(a, b []*Advert) bool {
	return routes.SameList(a, b) || slices.EqualFunc(a, b, func(a, b *Advert) bool { return a == b || a.same(b) })
}

func (a *Advert) same(b *Advert) bool {
	return a.Prefix == b.Prefix && a.Subnet == b.Subnet && a.NextHop == b.NextHop && a.Role == b.Role &&
		a.ASPathPrepend == b.ASPathPrepend && a.Draining == b.Draining && samePointed(a.route, b.route) &&
		samePointed(a.MED, b.MED) && samePointed(a.LocalPref, b.LocalPref) &&
		slices.Equal(a.Peers, b.Peers) && slices.Equal(a.Communities, b.Communities) &&
		slices.Equal(a.LargeCommunities, b.LargeCommunities)
}

func samePointed[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }
