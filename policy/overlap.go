package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/routes"
)

// claim is a prefix that a Subnet keeps.
type claim struct {
	prefix netip.Prefix
	subnet *routes.Subnet
	// held is whether it is announced and its Subnet is not Ready.
	held bool
}

// overlaps says in each Case that loses its prefix to another Subnet (Lost) which
// one keeps it and what. Cases are those that every Subnet check let pass, sorted by
// prefix: so those that overlap the widest follow it.
func overlaps(cases []*routes.Case) {
	for len(cases) > 0 {
		widest, n := cases[0].Prefix, 1
		for n < len(cases) && widest.Overlaps(cases[n].Prefix) {
			n++
		}
		if n > 1 {
			contend(cases[:n])
		}
		cases = cases[n:]
	}
}

// contend decides among Cases that overlap. The older Subnet wins, then the first by
// name, so that a newcomer never takes traffic away. That holds among those that are
// Ready, on every node alike; one that is announced and not Ready keeps what it has
// until it is, too. Last come CIDRs of a spec.cidrBlock that parses no more.
func contend(cases []*routes.Case) {
	order := slices.SortedStableFunc(slices.Values(cases), func(a, b *routes.Case) int {
		return cmp.Or(keeping(a.Subnet)-keeping(b.Subnet), holder(a)-holder(b), a.Subnet.Created.Compare(b.Subnet.Created), strings.Compare(a.Subnet.Name, b.Subnet.Name), a.Prefix.Compare(b.Prefix))
	})
	var kept keptPrefixes
	for _, c := range order {
		if owner, ok := kept.add(claim{c.Prefix, c.Subnet, holder(c) == 0}); !ok {
			c.Lost = owner.beats(c.Subnet)
		}
	}
}

// keeping is 1 for a Subnet that has its CIDRs only because what it says now does not
// parse, else 0.
func keeping(s *routes.Subnet) int {
	if s.CIDRKept != nil {
		return 1
	}
	return 0
}

// holder is 0 for what is announced of a Subnet that is not Ready, else 1.
func holder(c *routes.Case) int {
	if c.Past.Role != "" && !c.Subnet.Ready {
		return 0
	}
	return 1
}

// beats says why the loser of an overlap is one.
func (w claim) beats(loser *routes.Subnet) string {
	why := "was created earlier"
	switch {
	case keeping(loser) > keeping(w.subnet):
		why = "has it in its spec.cidrBlock now"
	case w.held:
		why = "is announced, until both are Ready"
	case w.subnet.Created.Equal(loser.Created):
		why = "comes first by name"
	}
	return fmt.Sprintf("overlaps %s of Subnet %s, which %s", w.prefix, w.subnet.Name, why)
}

// keptPrefixes are claims of different Subnets that do not overlap, sorted, so
// that a prefix can only overlap its neighbours in the order.
type keptPrefixes []claim

// add keeps a claim, or gives the other Subnet's that overlaps it.
func (k *keptPrefixes) add(c claim) (claim, bool) {
	i, _ := slices.BinarySearchFunc(*k, c.prefix, func(e claim, p netip.Prefix) int { return e.prefix.Compare(p) })
	for _, j := range []int{i - 1, i} {
		if j >= 0 && j < len(*k) && (*k)[j].subnet.Name != c.subnet.Name && (*k)[j].prefix.Overlaps(c.prefix) {
			return (*k)[j], false
		}
	}
	*k = slices.Insert(*k, i, c)
	return claim{}, true
}

func overlap() routes.Check {
	return routes.Check{
		Reason: routes.Overlap,
		When:   "Another announceable Subnet overlaps it: the older one, then the first by name, keeps the prefix, on every node. One that is not Ready takes nothing from one that is announced, and one whose `cidrBlock` parses no more nothing from any.",
		Refuse: func(c *routes.Case) string { return c.Lost },
		Fact:   func(c *routes.Case) string { return "no other announceable Subnet overlaps it" },
		Mend: func(c *routes.Case) string {
			return "give one of the two another CIDR, or take annotation " + routes.AnnotationAdvertise + " off one"
		},
	}
}
