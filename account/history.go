package account

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// History gives what a node announces by its Speaker, as the history to plan for it
// with. It is not known whole where the Speaker lists only the first of many. Of the
// Subnets only names and CIDRs are looked at.
func History(s *v1alpha1.Speaker, subnets []*routes.Subnet) routes.History {
	of := map[string]routes.SubnetHistory{}
	cidrs := make(map[string][]netip.Prefix, len(subnets))
	for _, sub := range subnets {
		cidrs[sub.Name] = sub.CIDRs
	}
	for _, a := range s.Status.Announced.First {
		p, err := netip.ParsePrefix(a.Prefix)
		if err != nil {
			continue
		}
		past := of[a.Subnet]
		if past.Prefixes == nil {
			past.Prefixes = routes.PrefixHistories{}
		}
		for _, cidr := range cidrs[a.Subnet] {
			was, _ := past.Prefixes.Of(cidr)
			if cidr.Overlaps(p) { // itself, or Pods of it
				was.Role = routes.Role(a.Role)
			}
			if cidr == p && was.Role == routes.RolePod { // in the place of its Pods
				was.Whole = strings.Join(PeersOf(s.Status.Sessions, a), ",")
			}
			past.Prefixes = past.Prefixes.With(cidr, was)
		}
		of[a.Subnet] = past
	}
	return routes.History{Known: listsAllAnnounced(s), Subnets: routes.ByNameOf(of)}
}

// PeersOf gives the BGPPeers that a prefix of a Speaker is for, sorted: all that it has
// sessions with, where none are named.
func PeersOf(sessions []v1alpha1.SessionStatus, a v1alpha1.AnnouncedPrefix) []string {
	if len(a.Peers) > 0 {
		return a.Peers
	}
	all := make([]string, 0, len(sessions))
	for _, session := range sessions {
		all = append(all, session.Peer)
	}
	return all
}

// Listed gives what a Speaker lists of what its node announces and withholds.
func Listed(s *v1alpha1.Speaker) (announced []policy.Place, withheld []policy.Withheld) {
	for _, a := range s.Status.Announced.First {
		if p, err := netip.ParsePrefix(a.Prefix); err == nil {
			announced = append(announced, policy.Place{Subnet: a.Subnet, Prefix: p})
		}
	}
	for _, h := range s.Status.Withheld.First {
		withheld = append(withheld, policy.Withheld{Prefix: h.Prefix, Subnet: h.Subnet, Reason: routes.Reason(h.Reason), Detail: h.Detail})
	}
	return announced, withheld
}

// Unlisted says what a Speaker is too short to list and the objects do not tell either:
// prefixes that are withheld for what only the node's daemon sees.
func Unlisted(s *v1alpha1.Speaker) []string {
	listed := map[string]int64{}
	for _, h := range s.Status.Withheld.First {
		listed[h.Reason]++
	}
	var out []string
	for _, r := range []routes.Reason{routes.DatapathDown, routes.HostNotReady} {
		if more := s.Status.Withheld.Reasons[string(r)] - listed[string(r)]; more > 0 {
			out = append(out, fmt.Sprintf("node %s withholds %d more for %s than its Speaker lists (the first %d): ask on the node, or run fairway plan --diff there", s.Name, more, r, mostListed))
		}
	}
	return out
}
