package netfilter

import (
	"net/netip"
	"slices"
	"strings"
)

// This file answers: which networks do rules name anywhere?

// Mentions gives the networks that rules and the sets that they ask name, sorted: of a
// range its ends. Traffic of one of them may fare otherwise than its neighbours'.
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
	asked := map[string]bool{}
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				for _, s := range r.statements {
					namesOf(s.does, func(n names) {
						for _, r := range n.ranges {
							add(r)
						}
						n.set.each(add)
						rs.Sets.collect(n.ipset, asked)
					})
				}
			}
		}
		for _, s := range t.sets {
			s.each(add)
		}
	}
	for name := range asked {
		for _, m := range rs.Sets[name].members {
			first, _, _ := strings.Cut(m.text, ",")
			if r, ok := parseRange(first); ok {
				add(r)
			}
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// collect adds a set's name and those of the sets that it lists, as far as they are there.
func (sets IPSets) collect(name string, asked map[string]bool) {
	if sets[name] == nil || asked[name] {
		return
	}
	asked[name] = true
	for _, l := range sets[name].lists {
		sets.collect(l, asked)
	}
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
