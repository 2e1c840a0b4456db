package account

import (
	"net/netip"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/routes"
)

// History gives what a node announces by its Speaker, as the history to plan for it
// with. It is not known whole where the Speaker lists only the first of many. Of the
// Subnets only names and CIDRs are looked at.
func History(s *v1alpha1.Speaker, subnets []routes.Subnet) routes.History {
	h := routes.History{Known: listsAllAnnounced(s), Subnets: map[string]routes.SubnetHistory{}}
	cidrs := make(map[string][]netip.Prefix, len(subnets))
	for i := range subnets {
		cidrs[subnets[i].Name] = subnets[i].CIDRs
	}
	for _, a := range s.Status.Announced.First {
		p, err := netip.ParsePrefix(a.Prefix)
		if err != nil {
			continue
		}
		of := h.Subnets[a.Subnet]
		if of.Prefixes == nil {
			of.Prefixes = routes.PrefixHistories{}
		}
		for _, cidr := range cidrs[a.Subnet] {
			past, _ := of.Prefixes.Of(cidr)
			if cidr.Overlaps(p) { // itself, or Pods of it
				past.Role = routes.Role(a.Role)
			}
			of.Prefixes = of.Prefixes.With(cidr, past)
		}
		h.Subnets[a.Subnet] = of
	}
	return h
}
