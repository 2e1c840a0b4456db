package export

import (
	"fmt"
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
	// By are the nodes that announce it now, none where it only is away for a while.
	By []string
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
func wantsOf(peer string, plans []policy.Plan, subnets []routes.Subnet) []want {
	var out []want
	announced := map[string]bool{}
	for _, plan := range plans {
		for _, a := range plan.Adverts {
			announced[a.Subnet] = true
			if slices.Contains(a.Peers, peer) {
				out = append(out, want{ruleOf(a, subnets), a.Subnet, []string{plan.Node}})
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
				out = append(out, want{rule: r, Subnet: w.Subnet})
			}
		}
	}
	return merged(out)
}

// merged makes one of the wants of all nodes for the same, sorted.
func merged(wants []want) []want {
	slices.SortStableFunc(wants, func(a, b want) int {
		if c := compareRules(a.rule, b.rule); c != 0 {
			return c
		}
		return strings.Compare(a.Subnet, b.Subnet)
	})
	var out []want
	for _, w := range wants {
		last := len(out) - 1
		if last < 0 || out[last].rule != w.rule || out[last].Subnet != w.Subnet {
			out = append(out, w)
			continue
		}
		out[last].By = routes.SortedSet(append(out[last].By, w.By...), strings.Compare)
	}
	return out
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
