package policy

import (
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/routes"
)

// Forward is a CIDR whose traffic the node must let through: it announces the
// CIDR, or replies of the CIDR's Pods leave by it while others announce. The
// second does not end with an announcement: a drained node, one that is
// excluded, and one that no BGPPeer selects still carry the replies of their Pods.
type Forward struct {
	Prefix netip.Prefix `json:"prefix"`
	Subnet string       `json:"subnet"`
	// Asymmetric is whether replies may leave by another node than requests came
	// in by: then a node sees connections from the middle.
	Asymmetric bool `json:"asymmetric"`
	// NATPolicy is whether Kube-OVN translates part of the traffic by wish: natOutgoing
	// with rules, announced by annotation allow-nat-policy.
	NATPolicy bool `json:"natPolicy,omitempty"`
}

// forward gives what a Case asks the node to let through, nil for nothing. What the
// host itself holds back (Live) does not count: it comes back when the host is mended.
func (v *view) forward(c *routes.Case) *Forward {
	if !v.carries(c) || !v.announcedBySomebody(c) {
		return nil
	}
	return v.forwards.place(Forward{c.Prefix, c.Subnet.Name, asymmetric(c), c.Subnet.NATOutgoing})
}

// carries reports whether traffic of the CIDR goes through the node, in or out.
func (v *view) carries(c *routes.Case) bool {
	return c.CarriesReplies() || c.Role() != "" && len(c.Prefixes()) > 0
}

// announcedBySomebody reports whether there is a BGPPeer that the CIDR could go
// to, from this node or, for all that is known here, from another one.
func (v *view) announcedBySomebody(c *routes.Case) bool {
	return len(c.Peers) > 0 || slices.ContainsFunc(v.Peers, func(p Peer) bool {
		elsewhere := !slices.ContainsFunc(v.sessions, func(s Session) bool { return s.Peer == p.Name })
		return elsewhere && asks(c, p.Name) && slices.Contains(p.Families, FamilyOf(c.Prefix))
	})
}

// asymmetric reports whether replies may leave by another node than requests
// came in by: they follow the Pod's own node where a Subnet is distributed, any
// gateway with ECMP, else the active gateway; requests come by any node that
// announces, to the Pod's own in mode pods (unless the CIDR goes in their place), or to whoever has the next hop given.
func asymmetric(c *routes.Case) bool {
	distributed := c.Subnet.GatewayType == routes.Distributed
	if c.Tuning.Mode == routes.ModePods {
		return !distributed || len(c.Whole) > 0
	}
	return distributed || c.Subnet.EnableECMP || c.Tuning.NextHop(c.Prefix).IsValid()
}
