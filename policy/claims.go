package policy

import (
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/routes"
)

// claims are the CIDRs of the selected Subnets, sorted by prefix: those that overlap are
// of rivals, which are decided on together.
type claims []cidrClaim

type cidrClaim struct {
	prefix netip.Prefix
	of     *subject
}

// claimsOf gives those of all subjects.
func claimsOf(s *routes.Snapshot, subjects []*subject) claims {
	out := make(claims, 0, len(subjects))
	for _, of := range subjects {
		of.cidrs = s.SelectedCIDRs(of.subnet)
		for _, p := range of.cidrs {
			out = append(out, cidrClaim{p, of})
		}
	}
	slices.SortStableFunc(out, func(a, b cidrClaim) int { return a.prefix.Compare(b.prefix) })
	return out
}

// from gives the place of the first claim that is not before a prefix.
func (l claims) from(p netip.Prefix) int {
	i, _ := slices.BinarySearchFunc(l, p, func(c cidrClaim, p netip.Prefix) int { return c.prefix.Compare(p) })
	return i
}

// without gives the claims without those of a subject; l may change.
func (l claims) without(of *subject) claims {
	for _, p := range of.cidrs {
		i := l.from(p)
		for l[i].of != of {
			i++
		}
		l = slices.Delete(l, i, i+1)
	}
	return l
}

// with gives the claims with those of a subject; l may change.
func (l claims) with(of *subject) claims {
	for _, p := range of.cidrs {
		l = slices.Insert(l, l.from(p), cidrClaim{p, of})
	}
	return l
}

// rivals calls do with who claims what overlaps a prefix.
func (l claims) rivals(p netip.Prefix, do func(*subject)) {
	for bits := range p.Bits() { // the wider ones
		wide := netip.PrefixFrom(p.Addr(), bits).Masked()
		for i := l.from(wide); i < len(l) && l[i].prefix == wide; i++ {
			do(l[i].of)
		}
	}
	for i := l.from(p); i < len(l) && l[i].prefix.Overlaps(p); i++ {
		do(l[i].of)
	}
}

// prefixes gives what is claimed, sorted.
func (l claims) prefixes() []netip.Prefix {
	out := make([]netip.Prefix, len(l))
	for i, c := range l {
		out[i] = c.prefix
	}
	return slices.Compact(out)
}
