// Package cover keeps sets of addresses, and with each the fewest prefixes that cover
// exactly its addresses and nothing else.
//
// A Set never changes. What With and Without give shares all of it but the path to the
// one address (a binary trie with compressed paths), so that one address more or less
// among 100,000 costs some twenty small nodes, and whoever holds the old Set keeps it.
// A prefix whose addresses are all there is one node, whatever its size: that is the
// cover.
package cover

import (
	"net/netip"
	"slices"
	"sort"
)

// Set is a set of addresses; the zero value is empty. Sets of the same addresses are
// deeply equal.
type Set struct{ v4, v6 *node }

// node is the addresses of a Set within a prefix, its first bits those of at.
type node struct {
	at   key
	bits uint8
	// zero and one are those within the halves of the prefix, neither empty. Both are
	// nil where all addresses of the prefix are there.
	zero, one *node
	// prefixes are how many the cover has.
	prefixes int32
}

// Of gives the Set of some addresses, without their zones.
func Of(addrs ...netip.Addr) Set {
	var v4, v6 []key
	for _, a := range addrs {
		if a.Is4() {
			v4 = append(v4, keyOf(a))
		} else {
			v6 = append(v6, keyOf(a))
		}
	}
	return Set{build(distinct(v4), 32), build(distinct(v6), 128)}
}

func distinct(keys []key) []key {
	slices.SortFunc(keys, key.compare)
	return slices.Compact(keys)
}

// With gives the Set with an address more.
func (s Set) With(a netip.Addr) Set { return s.changed(a, (*node).with) }

// Without gives the Set without an address.
func (s Set) Without(a netip.Addr) Set { return s.changed(a, (*node).without) }

func (s Set) changed(a netip.Addr, change func(n *node, a key, max uint8) *node) Set {
	if a.Is4() {
		s.v4 = change(s.v4, keyOf(a), 32)
	} else {
		s.v6 = change(s.v6, keyOf(a), 128)
	}
	return s
}

// Empty reports whether there is no address.
func (s Set) Empty() bool { return s == Set{} }

// Has reports whether an address is in the Set.
func (s Set) Has(a netip.Addr) bool { return s.within(netip.PrefixFrom(a, a.BitLen())) != nil }

// Count gives how many prefixes cover the addresses within a prefix, without walking
// them.
func (s Set) Count(within netip.Prefix) int { return s.within(within).count() }

// Prefixes gives the fewest prefixes that cover exactly the addresses within a prefix,
// in the order of their addresses; nil for none.
func (s Set) Prefixes(within netip.Prefix) []netip.Prefix {
	n := s.within(within)
	if n == nil {
		return nil
	}
	return n.appendTo(make([]netip.Prefix, 0, n.count()), within.Addr().Is4())
}

// within gives the part of the Set that lies within a prefix; nil for none.
func (s Set) within(p netip.Prefix) *node {
	n := s.v6
	if p.Addr().Is4() {
		n = s.v4
	}
	at, bits := keyOf(p.Masked().Addr()), uint8(p.Bits())
	for n != nil && n.bits < bits {
		switch {
		case at.common(n.at) < n.bits:
			return nil
		case n.full():
			return &node{at: at, bits: bits, prefixes: 1}
		case at.bit(n.bits) == 0:
			n = n.zero
		default:
			n = n.one
		}
	}
	if n == nil || at.common(n.at) < bits {
		return nil
	}
	return n
}

// build gives the node of keys that are sorted and distinct.
func build(keys []key, max uint8) *node {
	switch len(keys) {
	case 0:
		return nil
	case 1:
		return single(keys[0], max)
	}
	bits := keys[0].common(keys[len(keys)-1])
	half := sort.Search(len(keys), func(i int) bool { return keys[i].bit(bits) == 1 })
	return branch(keys[0], bits, build(keys[:half], max), build(keys[half:], max))
}

func single(a key, max uint8) *node { return &node{at: a, bits: max, prefixes: 1} }

// branch gives the node of two halves, neither nil; at is any address in the prefix.
func branch(at key, bits uint8, zero, one *node) *node {
	whole := func(half *node) bool { return half.full() && half.bits == bits+1 }
	if whole(zero) && whole(one) {
		return &node{at: at.masked(bits), bits: bits, prefixes: 1}
	}
	return &node{at: at.masked(bits), bits: bits, zero: zero, one: one, prefixes: zero.prefixes + one.prefixes}
}

// full reports whether all addresses of the prefix are there.
func (n *node) full() bool { return n.zero == nil }

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return int(n.prefixes)
}

// with gives the node with an address more; n where it is there.
func (n *node) with(a key, max uint8) *node {
	if n == nil {
		return single(a, max)
	}
	switch bits := min(n.at.common(a), n.bits); {
	case bits < n.bits && a.bit(bits) == 0:
		return branch(a, bits, single(a, max), n)
	case bits < n.bits:
		return branch(a, bits, n, single(a, max))
	case n.full():
		return n
	}
	return n.replaced(a, func(half *node) *node { return half.with(a, max) })
}

// without gives the node without an address, nil where none is left; n where it is not
// there.
func (n *node) without(a key, max uint8) *node {
	if n == nil || n.at.common(a) < n.bits {
		return n
	}
	if n.full() && n.bits == max {
		return nil
	}
	if n.full() {
		n = n.opened()
	}
	return n.replaced(a, func(half *node) *node { return half.without(a, max) })
}

// opened gives a full node with its halves.
func (n *node) opened() *node {
	upper := n.at.withBit(n.bits)
	return &node{
		at: n.at, bits: n.bits, prefixes: 2,
		zero: &node{at: n.at, bits: n.bits + 1, prefixes: 1}, one: &node{at: upper, bits: n.bits + 1, prefixes: 1},
	}
}

// replaced gives the node with the half that an address belongs to changed.
func (n *node) replaced(a key, change func(half *node) *node) *node {
	zero, one := n.zero, n.one
	if a.bit(n.bits) == 0 {
		zero = change(zero)
	} else {
		one = change(one)
	}
	switch {
	case zero == nil:
		return one
	case one == nil:
		return zero
	case zero == n.zero && one == n.one:
		return n
	}
	return branch(n.at, n.bits, zero, one)
}

func (n *node) appendTo(out []netip.Prefix, is4 bool) []netip.Prefix {
	if n.full() {
		return append(out, n.at.prefix(n.bits, is4))
	}
	return n.one.appendTo(n.zero.appendTo(out, is4), is4)
}
