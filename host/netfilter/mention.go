package netfilter

import (
	"net/netip"
	"slices"
	"strings"
)

// This file answers: which networks do rules name anywhere, and what would another
// first rule change?

// Mentions gives the networks that rules and their sets name, sorted. Traffic of
// one of them may fare otherwise than its neighbours'. It is read from the rules'
// texts, which works alike for matches, targets and statements that this package
// does not know. What only looks like an address costs a question too many, never
// an answer.
func (rs *Ruleset) Mentions() []netip.Prefix {
	var out []netip.Prefix
	// A number such as 10 or "fe" is made of an address's characters alone, too.
	add := func(text string) {
		if strings.ContainsAny(text, ".:") {
			out = append(out, prefixesIn(text)...)
		}
	}
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				for _, word := range strings.FieldsFunc(r.Text, notInAddress) {
					add(word)
				}
			}
		}
		for _, s := range t.sets {
			for _, e := range s.elements {
				for _, p := range e.key {
					if p.isAddr {
						out = append(out, netip.PrefixFrom(p.addrs.from, p.addrs.bits()).Masked())
					}
				}
			}
		}
	}
	for _, s := range rs.Sets {
		for _, m := range s.members {
			first, _, _ := strings.Cut(m.text, ",")
			add(first)
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// notInAddress is what cannot be part of an address or a prefix.
func notInAddress(c rune) bool {
	switch {
	case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F', c == '.', c == ':', c == '/', c == '-':
		return false
	}
	return true
}

// prefixesIn are the networks that a word means: one, or the two ends of a range.
func prefixesIn(word string) []netip.Prefix {
	var out []netip.Prefix
	parts := []string{word}
	if _, ok := parseRange(word); !ok {
		return nil
	}
	if from, to, ranged := strings.Cut(word, "-"); ranged {
		parts = []string{from, to}
	}
	for _, part := range parts {
		if p, err := netip.ParsePrefix(part); err == nil {
			out = append(out, p.Masked())
		} else if a, err := netip.ParseAddr(part); err == nil && a.Zone() == "" {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out
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
