package netfilter

import (
	"net/netip"
	"slices"
	"strings"
)

// This file answers: which networks do rules name anywhere?

// Mentions gives the networks that rules and their sets name, sorted: of a range its
// ends. Traffic of one of them may fare otherwise than its neighbours'.
func (rs *Ruleset) Mentions() []netip.Prefix {
	var out []netip.Prefix
	add := func(r addrRange) {
		if !r.from.IsValid() {
			return
		}
		if p := netip.PrefixFrom(r.from, r.bits()).Masked(); rangeOf(p) == r {
			out = append(out, p)
		} else {
			out = append(out, netip.PrefixFrom(r.from, r.from.BitLen()), netip.PrefixFrom(r.to, r.to.BitLen()))
		}
	}
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				for _, s := range r.statements {
					namesOf(s.does, func(n names) {
						for _, r := range n.ranges {
							add(r)
						}
						n.set.each(add)
					})
				}
			}
		}
		for _, s := range t.sets {
			s.each(add)
		}
	}
	for _, s := range rs.Sets {
		for _, m := range s.members {
			first, _, _ := strings.Cut(m.text, ",")
			if r, ok := parseRange(first); ok {
				add(r)
			}
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// each gives the addresses in a set's keys; a set that is not there has none.
func (s *nftSet) each(add func(addrRange)) {
	if s == nil {
		return
	}
	for _, e := range s.elements {
		for _, p := range e.key {
			if p.isAddr {
				add(p.addrs)
			}
		}
	}
}
