package netfilter

import (
	"maps"
	"slices"
)

// Known are the names that the evaluator gives a meaning to, by what they name.
func Known() map[string][]string {
	return map[string][]string{
		"iptables match":    append(slices.Collect(maps.Keys(matchers)), slices.Collect(maps.Keys(wholeMatchers))...),
		"iptables target":   slices.Collect(maps.Keys(targets)),
		"nft statement":     slices.Collect(maps.Keys(nftStatements)),
		"nft field":         slices.Collect(maps.Keys(payloadFields)),
		"nft meta":          slices.Collect(maps.Keys(metaFields)),
		"nft ct":            slices.Collect(maps.Keys(ctFields)),
		"nft written field": slices.Collect(maps.Keys(harmlessFields)),
		"part of an ipset":  slices.Collect(maps.Keys(ipsetFields)),
	}
}
