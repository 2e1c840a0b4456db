package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/routes"
)

// caseKey identifies a Case within a Snapshot.
type caseKey struct {
	subnet string
	prefix netip.Prefix
}

// overlaps gives, for each Case that loses its prefix to another Subnet, which
// one keeps it and what. The older Subnet wins, then the first by name, so that a
// newcomer never takes traffic away. The result does not depend on the node:
// cases are those that every Subnet check let pass.
func overlaps(cases []routes.Case) map[caseKey]string {
	order := slices.SortedStableFunc(slices.Values(cases), func(a, b routes.Case) int {
		return cmp.Or(a.Subnet.Created.Compare(b.Subnet.Created), strings.Compare(a.Subnet.Name, b.Subnet.Name), a.Prefix.Compare(b.Prefix))
	})
	lost := map[caseKey]string{}
	var kept keptPrefixes
	for _, c := range order {
		if owner, ok := kept.claim(c.Prefix, c.Subnet.Name); !ok {
			lost[caseKey{c.Subnet.Name, c.Prefix}] = fmt.Sprintf("%s of Subnet %s overlaps it and is older, or first by name", owner.prefix, owner.subnet)
		}
	}
	return lost
}

// keptPrefixes are prefixes of different Subnets that do not overlap, sorted, so
// that a prefix can only overlap its neighbours in the order.
type keptPrefixes []caseKey

// claim adds a prefix, or gives the other Subnet's that overlaps it.
func (k *keptPrefixes) claim(p netip.Prefix, subnet string) (caseKey, bool) {
	i, _ := slices.BinarySearchFunc(*k, p, func(e caseKey, p netip.Prefix) int { return compareRange(e.prefix, p) })
	for _, j := range []int{i - 1, i} {
		if j >= 0 && j < len(*k) && (*k)[j].subnet != subnet && (*k)[j].prefix.Overlaps(p) {
			return (*k)[j], false
		}
	}
	*k = slices.Insert(*k, i, caseKey{subnet, p})
	return caseKey{}, true
}

// compareRange orders by family, then first address, then size.
func compareRange(a, b netip.Prefix) int {
	return cmp.Or(cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()), a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func overlapCheck(lost map[caseKey]string) routes.Check {
	return routes.Check{
		Reason: routes.Overlap,
		When:   "Another announceable Subnet overlaps it: the older one, then the first by name, keeps the prefix.",
		Refuse: func(c *routes.Case) string { return lost[caseKey{c.Subnet.Name, c.Prefix}] },
		Fact:   func(c *routes.Case) string { return "no other announceable Subnet overlaps it" },
		Mend: func(c *routes.Case) string {
			return "give one of the two another CIDR, or take annotation " + routes.AnnotationAdvertise + " off one"
		},
	}
}
