package netfilter

import (
	"net/netip"
	"slices"
	"strings"
)

// This file answers: which networks do rules name anywhere, and what would another
// first rule change?

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

// WithFirst gives the Ruleset as it would be with one more rule, as iptables-save
// prints it without "-A CHAIN", at the head of a chain of every iptables backend
// that has it. The receiver stays as it is: what is changed is copied first, the
// table, its chains and the chain itself; the rules are shared, for nobody writes
// to them.
func (rs *Ruleset) WithFirst(table, chain, rule string) *Ruleset {
	out := *rs
	out.Tables = slices.Clone(rs.Tables)
	for i, t := range out.Tables {
		c := t.Chains[chain]
		if t.Backend == Nft || t.Name != table || c == nil {
			continue
		}
		// Its target may be a chain of this table only if it is known there; what is
		// tried here are ACCEPT and CT.
		scratch := &Table{Chains: map[string]*Chain{}}
		if err := scratch.append("-A " + chain + " " + rule); err != nil {
			continue
		}
		first := *scratch.Chains[chain].Rules[0]
		longer := *c
		longer.Rules = append([]*Rule{&first}, c.Rules...)
		copied := *t
		copied.Chains = map[string]*Chain{}
		for name, other := range t.Chains {
			copied.Chains[name] = other
		}
		copied.Chains[chain] = &longer
		out.Tables[i] = &copied
	}
	return &out
}
