package export

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// want is what a router has to accept of one Subnet.
type want struct {
	rule
	Subnet string
	// Away is whether no node announces it now, and one will again by itself.
	Away bool
}

// String writes the rule as prefix lists do.
func (r rule) String() string {
	if r.Longest == 0 {
		return r.Prefix.String()
	}
	return fmt.Sprintf("%s le %d", r.Prefix, r.Longest)
}

// wantsOf lists what may come from any node, now or once a node that is away
// is back. A Subnet that is announced to other routers only is not listed.
func wantsOf(peer string, plans []policy.Plan, subnets []*routes.Subnet) []want {
	out := map[want]bool{}
	announced := map[string]bool{}
	for _, plan := range plans {
		for _, a := range plan.Adverts {
			announced[a.Subnet] = true
			if slices.Contains(a.Peers, peer) {
				out[want{rule: ruleOf(a, subnets), Subnet: a.Subnet}] = true
			}
		}
	}
	for _, plan := range plans {
		for _, w := range plan.Withheld {
			if prefix, err := netip.ParsePrefix(w.Prefix); err == nil && !announced[w.Subnet] && passing(w.Reason) {
				r := rule{Prefix: prefix.Masked()}
				if w.Reason == routes.NoPods {
					r.Longest = prefix.Addr().BitLen()
				}
				out[want{rule: r, Subnet: w.Subnet, Away: true}] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(out), func(a, b want) int {
		return cmp.Or(compareRules(a.rule, b.rule), strings.Compare(a.Subnet, b.Subnet))
	})
}

// rulesOf are the rules of one family for what is wanted.
func rulesOf(v6 bool, wants []want) []rule {
	var out []rule
	for _, w := range wants {
		if w.Prefix.Addr().Is6() == v6 {
			out = append(out, w.rule)
		}
	}
	return routes.SortedSet(out, compareRules)
}
