package routes

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// RIB is the whole set of routes that a node originates, sorted by prefix, at most one a
// prefix (GoBGP keeps one local path per prefix and path id). nil and empty both mean
// "originate nothing"; "unknown" is never expressed as a RIB. Two RIBs share the routes
// that they have in common: nobody changes one.
type RIB []*Route

// Route is a path for a prefix.
type Route struct {
	Prefix netip.Prefix
	Path
}

// Path is one originated path before any session touches it. Paths are
// comparable; a difference in any field is a change to announce.
type Path struct {
	// NextHop is the zero Addr for "each session's own local address", which
	// GoBGP fills in (internal/pkg/table/path.go, UpdatePathAttrs).
	NextHop netip.Addr
	// Class names the group of export rules that the path is subject to.
	Class Class
}

// Class identifies a recipe of export: to which peers, with which attributes. It
// is a hash of the recipe, so equal recipes share a Class on every node and in
// every run, and a Class never changes its meaning while a peer stays the same.
type Class uint64

// String gives the large community (RFC 8092) that marks paths of the class
// inside the embedded speaker; it is removed before a path leaves. Global
// administrator 0 is reserved, so no user's community can be mistaken for it.
func (c Class) String() string {
	return fmt.Sprintf("0:%d:%d", uint32(c>>32), uint32(c))
}

// RIBOf gives the RIB of paths by their prefixes.
func RIBOf(paths map[netip.Prefix]Path) RIB {
	out := make(RIB, 0, len(paths))
	for prefix, path := range paths {
		out = append(out, &Route{prefix, path})
	}
	return out.sort()
}

func (r RIB) sort() RIB {
	slices.SortFunc(r, func(a, b *Route) int { return a.Prefix.Compare(b.Prefix) })
	return r
}

// Of gives the path of a prefix; there is false where it has none.
func (r RIB) Of(prefix netip.Prefix) (path Path, there bool) {
	i, there := slices.BinarySearchFunc(r, prefix, func(e *Route, p netip.Prefix) int { return e.Prefix.Compare(p) })
	if !there {
		return Path{}, false
	}
	return r[i].Path, true
}

// Changes is what takes one RIB to another. Apply Set before Withdraw, so that
// a prefix that moves between paths is never missing in between. Both are
// sorted by prefix.
type Changes struct {
	// Set are routes to originate, new or in place of another path.
	Set      []*Route
	Withdraw []netip.Prefix
}

// Empty reports whether there is nothing to do.
func (c Changes) Empty() bool { return len(c.Set) == 0 && len(c.Withdraw) == 0 }

// Diff compares full values: a prefix whose path differs in any field is set
// again, one that is no longer wanted is withdrawn whatever its path is. What is the
// same pointer in both is not looked at.
func Diff(have, want RIB) Changes {
	var c Changes
	for len(have) > 0 && len(want) > 0 {
		h, w := have[0], want[0]
		if h == w {
			have, want = have[1:], want[1:]
			continue
		}
		order := h.Prefix.Compare(w.Prefix)
		if order <= 0 {
			have = have[1:]
		}
		if order >= 0 {
			want = want[1:]
		}
		switch {
		case order < 0:
			c.Withdraw = append(c.Withdraw, h.Prefix)
		case order > 0 || h.Path != w.Path:
			c.Set = append(c.Set, w)
		}
	}
	c.Set = append(c.Set, want...)
	for _, h := range have {
		c.Withdraw = append(c.Withdraw, h.Prefix)
	}
	return c
}

// Apply gives the RIB that results from changes; have stays as it is.
func Apply(have RIB, c Changes) RIB {
	byPrefix := make(map[netip.Prefix]*Route, len(have)+len(c.Set))
	for _, r := range slices.Concat(have, c.Set) {
		byPrefix[r.Prefix] = r
	}
	for _, p := range c.Withdraw {
		delete(byPrefix, p)
	}
	return slices.AppendSeq(make(RIB, 0, len(byPrefix)), maps.Values(byPrefix)).sort()
}
