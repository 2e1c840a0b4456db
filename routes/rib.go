package routes

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// RIB is the whole set of paths that a node originates, at most one a prefix
// (GoBGP keeps one local path per prefix and path id). nil and empty both mean
// "originate nothing"; "unknown" is never expressed as a RIB.
type RIB map[netip.Prefix]Path

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

// Changes is what takes one RIB to another. Apply Set before Withdraw, so that
// a prefix that moves between paths is never missing in between. Both are
// sorted by prefix.
type Changes struct {
	Set      []Change
	Withdraw []netip.Prefix
}

// Change is one path to originate, new or in place of another.
type Change struct {
	Prefix netip.Prefix
	Path   Path
}

// Empty reports whether there is nothing to do.
func (c Changes) Empty() bool { return len(c.Set) == 0 && len(c.Withdraw) == 0 }

// Diff compares full values: a prefix whose path differs in any field is set
// again, one that is no longer wanted is withdrawn whatever its path is.
func Diff(have, want RIB) Changes {
	var c Changes
	for p, path := range want {
		if h, ok := have[p]; !ok || h != path {
			c.Set = append(c.Set, Change{p, path})
		}
	}
	for p := range have {
		if _, ok := want[p]; !ok {
			c.Withdraw = append(c.Withdraw, p)
		}
	}
	slices.SortFunc(c.Set, func(a, b Change) int { return a.Prefix.Compare(b.Prefix) })
	slices.SortFunc(c.Withdraw, netip.Prefix.Compare)
	return c
}

// Apply gives the RIB that results from changes; have stays as it is.
func Apply(have RIB, c Changes) RIB {
	out := maps.Clone(have)
	if out == nil {
		out = RIB{}
	}
	for _, s := range c.Set {
		out[s.Prefix] = s.Path
	}
	for _, p := range c.Withdraw {
		delete(out, p)
	}
	return out
}
