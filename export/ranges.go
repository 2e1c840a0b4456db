package export

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/fairway-bgp/fairway/routes"
)

// Range is a network from which a router accepts every prefix that is not longer
// than Longest bits, the network itself among them: "10.0.0.0/8 le 24" in the
// words of prefix lists.
type Range struct {
	Prefix  netip.Prefix
	Longest int
}

// String writes the range as ParseRanges takes it.
func (r Range) String() string { return fmt.Sprintf("%s le %d", r.Prefix, r.Longest) }

// covers reports whether all that the rule allows is in the range.
func (r Range) covers(x rule) bool {
	return r.Prefix.Bits() <= x.Prefix.Bits() && r.Prefix.Contains(x.Prefix.Addr()) && x.longest() <= r.Longest
}

// rule is the range as a line of a filter.
func (r Range) rule() rule {
	if r.Longest == r.Prefix.Bits() {
		return rule{Prefix: r.Prefix}
	}
	return rule(r)
}

// ParseRanges reads ranges as people write them, "10.0.0.0/8" or "10.0.0.0/8 le 24".
// maxLength is the longest prefix of those that do not say their own; with 0 they
// take prefixes of any length, as "orlonger" of other languages does.
func ParseRanges(texts []string, maxLength int) ([]Range, error) {
	var out []Range
	for _, text := range texts {
		r, err := parseRange(text, maxLength)
		if err != nil {
			return nil, fmt.Errorf("--allow %s: %w", text, err)
		}
		out = append(out, r)
	}
	if err := oneFamily(out, texts, maxLength); err != nil {
		return nil, err
	}
	return routes.SortedSet(out, func(a, b Range) int { return compareRules(rule(a), rule(b)) }), nil
}

func parseRange(text string, maxLength int) (Range, error) {
	network, length, ownLength := strings.Cut(text, " le ")
	prefix, err := ParseNetwork(strings.TrimSpace(network))
	if err != nil {
		return Range{}, err
	}
	most := prefix.Addr().BitLen()
	r := Range{prefix, most}
	switch {
	case ownLength:
		if r.Longest, err = strconv.Atoi(strings.TrimSpace(length)); err != nil {
			return Range{}, fmt.Errorf("%q after \"le\" is not a length; write it as 10.0.0.0/8 le 24", length)
		}
	case maxLength != 0:
		r.Longest = maxLength
	}
	if r.Longest < prefix.Bits() || r.Longest > most {
		return Range{}, fmt.Errorf("prefixes of up to %d bits: %s has some of %d to %d", r.Longest, prefix, prefix.Bits(), most)
	}
	return r, nil
}

// oneFamily refuses a length that is given once for ranges of both families: 24
// means something else in each.
func oneFamily(ranges []Range, texts []string, maxLength int) error {
	families := map[bool]bool{}
	for i, r := range ranges {
		if !strings.Contains(texts[i], " le ") {
			families[r.Prefix.Addr().Is6()] = true
		}
	}
	if maxLength != 0 && len(families) > 1 {
		return fmt.Errorf("--max-length %d: --allow has IPv4 and IPv6; write the length with each range, as --allow %q", maxLength, ranges[0].Prefix.String()+" le N")
	}
	return nil
}

// ParseNetwork reads a CIDR for a filter or a listen range. It refuses those whose
// bits go on behind the length, which are more often a slip than meant, and those
// that no node and no Subnet can be in.
func ParseNetwork(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a CIDR such as 10.0.0.0/8 or fd00::/8", text)
	}
	a := prefix.Addr()
	switch {
	case a.Is4In6():
		return netip.Prefix{}, fmt.Errorf("write an IPv4 network as such")
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("has bits behind its length: write %s", prefix.Masked())
	case prefix.Bits() == 0:
		return netip.Prefix{}, fmt.Errorf("is everything there is, a default route among it: name the networks")
	case a.IsLoopback(), a.IsMulticast(), a.IsLinkLocalUnicast():
		return netip.Prefix{}, fmt.Errorf("is loopback, link-local or multicast")
	}
	return prefix, nil
}

// ranged puts the ranges of a family in the place of the rules that they cover. A
// rule that none covers stays, so that nothing that is announced today is filtered.
func ranged(rules []rule, ranges []Range) []rule {
	var out []rule
	for _, r := range rules {
		if !slices.ContainsFunc(ranges, func(x Range) bool { return x.covers(r) }) {
			out = append(out, r)
		}
	}
	for _, r := range ranges {
		out = append(out, r.rule())
	}
	return routes.SortedSet(out, compareRules)
}

// outside says which of the rules are there because no range covers them.
func outside(wants []want, rules []rule, ranges []Range) []string {
	var out []string
	for _, w := range wants {
		listed := slices.Contains(rules, w.rule)
		covered := slices.ContainsFunc(ranges, func(x Range) bool { return x.covers(w.rule) })
		if listed && !covered {
			out = append(out, fmt.Sprintf("%s, Subnet %s, is in no range of --allow: it is listed by itself", w.rule, plain(w.Subnet)))
		}
	}
	return out
}

// dangers names the routers and nodes whose own addresses are in a range: the router
// would take a route to them. Fairway never announces one; another speaker on a node
// could.
func (p *peering) dangers() []string {
	var out []string
	for _, r := range p.allow {
		var there []string
		if r.Prefix.Contains(p.settings.Address.WithZone("")) {
			there = append(there, "the router")
		}
		for _, g := range p.Groups {
			for _, n := range g.Neighbours {
				if r.Prefix.Contains(n.Address) {
					there = append(there, n.Node)
				}
			}
		}
		if len(there) > 0 {
			out = append(out, fmt.Sprintf("%s of --allow has the addresses of %s in it: name a narrower range, if you can", r.Prefix, some(there)))
		}
	}
	return out
}

// rangesIn are those of one family.
func rangesIn(v6 bool, ranges []Range) []Range {
	return slices.DeleteFunc(slices.Clone(ranges), func(r Range) bool { return r.Prefix.Addr().Is6() != v6 })
}
