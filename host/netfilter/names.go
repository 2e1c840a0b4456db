package netfilter

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// This file answers: which addresses do the rules treat alike, so that one packet
// can be walked for all of them?
//
// An address that no rule names fares like any other that no rule names. Of those
// that are named, two fare alike if the same mentions hold both. A mention is an
// address, prefix or range in a rule, or a set that a rule asks. Examples:
//
//	-A FORWARD -s 10.16.5.0/24 -j DROP
//	    one mention; 10.16.5.1 and 10.16.5.2 are alike, 10.16.6.1 is not
//	-A FORWARD -m set --match-set blocked src -j DROP
//	    one mention for all members of blocked: a thousand of them are one walk
//	ip saddr { 10.16.1.0/24, 10.16.2.0/24 } drop
//	    one mention for both
//	ip saddr vmap { 10.16.1.0/24 : drop, 10.16.2.0/24 : accept }
//	    two mentions, for each leads somewhere else
//
// It errs on one side only: addresses that fare alike may be told apart, which
// costs a walk, but those that fare otherwise are not taken for alike.

// Names are the networks by which rules tell addresses apart: those that stand
// in the chains that packets came through, and in the sets that are asked there.
// What stands elsewhere, as each endpoint in chains of kube-proxy's that only
// packets to a Service reach, makes no difference.
type Names struct {
	rules *Ruleset
	// outside are the far ends of the packets: a mention of two addresses, such as a
	// member of hash:net,net, counts only where one of them can be the far end.
	outside []netip.Addr
	// VisitedRules is how many rules stand in the chains visited.
	VisitedRules int

	tables   map[*Chain]*Table
	seen     map[string]bool
	chains   map[*Chain]bool
	mentions map[netip.Prefix][]mention
	// sorted has all networks by address, then by length; nil where it must be
	// made anew.
	sorted []netip.Prefix
}

// mention is where a network is named: networks with equal mentions fare alike.
type mention struct {
	// where tells it from other mentions: a rule and its statement, or a set.
	where string
	// onlyAccepts is set where all that comes of it is that a packet is let through.
	onlyAccepts bool
}

// Names gives the names on the way to and from far ends; none before AddVisited.
func (rs *Ruleset) Names(outside ...netip.Addr) *Names {
	n := &Names{rules: rs, outside: outside, tables: map[*Chain]*Table{}, seen: map[string]bool{}, chains: map[*Chain]bool{}, mentions: map[netip.Prefix][]mention{}}
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			n.tables[c] = t
		}
	}
	return n
}

// AddVisited takes in the chains that a packet came through, and says whether that
// brought new names.
func (n *Names) AddVisited(r Result) bool {
	before := len(n.seen)
	for c := range r.Chains {
		if t := n.tables[c]; t != nil && !n.chains[c] {
			n.chains[c] = true
			n.VisitedRules += len(c.Rules)
			for _, r := range c.Rules {
				n.rule(t, r)
			}
		}
	}
	if len(n.seen) == before {
		return false
	}
	n.sorted = nil
	return true
}

// Key names all mentions of the networks that hold p; two of one key fare alike.
// It is "" where a part of p is named: then p is like no other.
func (n *Names) Key(p netip.Prefix) string {
	if len(n.within(p)) > 0 {
		return ""
	}
	return "in " + n.key(p, -1, func(mention) bool { return true })
}

// Parts are the networks inside p that are named, the widest first.
func (n *Names) Parts(p netip.Prefix) []netip.Prefix {
	out := slices.Clone(n.within(p))
	slices.SortStableFunc(out, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	return out
}

// KeyInside names the mentions of networks inside p that hold an address; two of
// one key fare alike.
func (n *Names) KeyInside(a netip.Addr, p netip.Prefix) string {
	return n.key(netip.PrefixFrom(a, a.BitLen()), p.Bits(), func(mention) bool { return true })
}

// HarmfulKey is KeyInside, but "" where all mentions can only be to an address's
// good: then it fares well where an address that is named nowhere fares well. An
// allow list with a thousand entries ("-s 10.16.5.7 -j ACCEPT") needs no walk for
// each, if a Pod that is not on it gets through.
func (n *Names) HarmfulKey(a netip.Addr, p netip.Prefix) string {
	if n.key(netip.PrefixFrom(a, a.BitLen()), p.Bits(), func(at mention) bool { return !at.onlyAccepts }) == "" {
		return ""
	}
	return n.KeyInside(a, p)
}

// Named reports whether an address is in a network inside p that is named.
func (n *Names) Named(a netip.Addr, p netip.Prefix) bool {
	for bits := a.BitLen(); bits > p.Bits(); bits-- {
		if len(n.mentions[netip.PrefixFrom(a, bits).Masked()]) > 0 {
			return true
		}
	}
	return false
}

// key joins the mentions of the networks around p that are longer than above.
func (n *Names) key(p netip.Prefix, above int, counts func(mention) bool) string {
	var where []string
	for bits := p.Bits(); bits > above; bits-- {
		for _, at := range n.mentions[netip.PrefixFrom(p.Addr(), bits).Masked()] {
			if counts(at) {
				where = append(where, at.where)
			}
		}
	}
	slices.Sort(where)
	return strings.Join(slices.Compact(where), " ")
}

// within are the networks inside p and narrower.
func (n *Names) within(p netip.Prefix) []netip.Prefix {
	if n.sorted == nil {
		for name := range n.mentions {
			n.sorted = append(n.sorted, name)
		}
		slices.SortFunc(n.sorted, netip.Prefix.Compare)
	}
	// Of equal addresses the wider come first, so what is inside begins behind p.
	i, is := slices.BinarySearchFunc(n.sorted, p.Masked(), netip.Prefix.Compare)
	if is {
		i++
	}
	j := i
	for j < len(n.sorted) && p.Contains(n.sorted[j].Addr()) {
		j++
	}
	return n.sorted[i:j]
}

// add takes in one mention of a range, as the prefixes that cover it.
func (n *Names) add(r addrRange, at mention) {
	for _, p := range r.prefixes() {
		if !slices.Contains(n.mentions[p], at) {
			n.mentions[p] = append(n.mentions[p], at)
			n.seen[at.where] = true
		}
	}
}

// rule takes in what stands in a rule. In a table that changes packets an accept may
// still do harm: it skips the rule that would have set a mark.
func (n *Names) rule(t *Table, r *Rule) {
	onlyAccepts := r.onlyAccepts() && !t.changesPackets()
	for i, s := range r.statements {
		namesOf(s.does, func(named names) {
			for _, span := range named.ranges {
				n.add(span, mention{fmt.Sprintf("%p %d", r, i), onlyAccepts})
			}
			if named.set != nil {
				n.nftSet(fmt.Sprintf("%p", named.set), named.set, onlyAccepts)
			}
			if named.ipset != "" {
				n.ipset(named.ipset, onlyAccepts)
			}
		})
	}
}

// once reports whether a set is new. One that is asked by a rule that only accepts
// and by another one is taken in for each.
func (n *Names) once(name string, onlyAccepts bool) bool {
	name = fmt.Sprint("set ", name, onlyAccepts)
	if n.seen[name] {
		return false
	}
	n.seen[name] = true
	return true
}

// nftSet takes in a set of nft's. Elements of one address each are alike, but not
// those of a map, those with a limit of their own, and those with more to them: in
// { 10.16.0.1 . 80, 10.16.0.2 . 443 } each has another port.
func (n *Names) nftSet(name string, s *nftSet, onlyAccepts bool) {
	if !n.once(name, onlyAccepts) {
		return
	}
	for i, e := range s.elements {
		where := name
		if len(e.key) > 1 || s.isMap || e.limited {
			where += " " + strconv.Itoa(i)
		}
		var ends []addrRange
		for _, k := range e.key {
			if k.isAddr {
				ends = append(ends, k.addrs)
			}
		}
		if e.data.to.from.IsValid() {
			n.add(e.data.to, mention{where + " data", onlyAccepts})
		}
		n.ends(ends, mention{where, onlyAccepts})
	}
}

// ipset takes in an ipset. Members of one address each are alike. Where some are
// exceptions ("10.16.5.0/24 nomatch"), the narrowest that has an address decides
// (ipset(8), hash:net), so length and kind belong to the mention, and none of them
// only accepts. What is no address, such as "tcp:80", tells members apart too.
func (n *Names) ipset(name string, onlyAccepts bool) {
	s := n.rules.Sets[name]
	if s == nil || !n.once(name, onlyAccepts) {
		return
	}
	for _, l := range s.lists {
		n.ipset(l, onlyAccepts)
	}
	exceptions := slices.ContainsFunc(s.members, func(m ipsetMember) bool { return m.nomatch })
	for _, m := range s.members {
		where := name
		if exceptions {
			where += fmt.Sprint(" ", m.bits, m.nomatch)
		}
		var ends []addrRange
		for _, value := range strings.Split(m.text, ",") {
			span, ok := parseRange(value)
			switch {
			case !ok:
				where += " " + value
				continue
			case s.netmask > 0:
				if p, err := span.from.Prefix(s.netmask); err == nil {
					span = rangeOf(p)
				}
			}
			ends = append(ends, span)
		}
		n.ends(ends, mention{where, onlyAccepts && !exceptions})
	}
}

// ends takes in the addresses of one element. Of two, one is the far end's: in
// hash:net,net the member 10.16.0.0/16,192.0.2.0/24 says nothing of 10.16.0.1 where
// no far end is in 192.0.2.0/24.
func (n *Names) ends(ends []addrRange, at mention) {
	where := at.where
	for i, end := range ends {
		far := len(ends) == 1
		for j, other := range ends {
			far = far || j != i && slices.ContainsFunc(n.outside, func(a netip.Addr) bool { return other.has(a) == Yes })
		}
		if far {
			at.where = where + " end " + strconv.Itoa(i)
			n.add(end, at)
		}
	}
}

// onlyAccepts reports whether all that can come of being named in the rule is that a
// packet is let through, or goes on unchanged. A rule that names all others may let
// through all but those that it names.
func (r *Rule) onlyAccepts() bool {
	only := true
	for _, s := range r.statements {
		if c, ok := s.does.(change); ok && c != change(nothing{}) {
			return false
		}
		namesOf(s.does, func(n names) { only = only && !n.negated })
	}
	return only && !slices.ContainsFunc(r.decisions(), func(d decision) bool { return d.kind != accept && d.kind != goOn })
}

// changesPackets is whether rules of the table write marks, addresses or whether
// packets are tracked.
func (t *Table) changesPackets() bool {
	return t.touches()&(writesMark|forbidsTracking|writesAddress) != 0
}

// prefixes cover the range: from its beginning the widest prefix that begins there
// and does not reach beyond the end, and so on. 10.0.0.1-10.0.0.4 is 10.0.0.1/32,
// 10.0.0.2/31 and 10.0.0.4/32.
func (r addrRange) prefixes() []netip.Prefix {
	if r.from == r.to {
		return []netip.Prefix{netip.PrefixFrom(r.from, r.from.BitLen())}
	}
	var out []netip.Prefix
	for a := r.from; a.IsValid() && a.Compare(r.to) <= 0; {
		bits := a.BitLen()
		for bits > 0 {
			wider := netip.PrefixFrom(a, bits-1).Masked()
			if wider.Addr() != a || rangeOf(wider).to.Compare(r.to) > 0 {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(a, bits)
		out = append(out, p)
		a = rangeOf(p).to.Next()
	}
	return out
}
