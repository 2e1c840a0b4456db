package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/routes"
)

// subnetWarnings gives what the user should know about a Subnet that is
// announced.
func (v *view) subnetWarnings(c *routes.Case, role routes.Role) []Warning {
	var out []Warning
	warn := func(r routes.Reason, format string, args ...any) {
		out = append(out, Warning{c.Subnet.Name, r, fmt.Sprintf(format, args...)})
	}
	if c.Kept != nil {
		out = append(out, kept(c))
	}
	if c.Subnet.Private {
		warn(routes.Private, "spec.private is true: %s", privateReach(c.Subnet))
	}
	if c.Subnet.NATOutgoing {
		warn(routes.NATPolicy, "spec.natOutgoing is true: only what a forward rule matches keeps its source address")
	}
	for _, name := range c.Tuning.Peers {
		if !slices.ContainsFunc(v.s.Peers, func(p Peer) bool { return p.Name == name }) {
			warn(routes.UnknownPeer, "annotation %s names BGPPeer %s, which does not exist", routes.AnnotationPeers, name)
		}
	}
	for _, name := range c.Tuning.Unknown {
		warn(routes.UnknownAnnotation, "annotation %s means nothing; see docs/annotations.md", name)
	}
	if c.Tuning.Standby && (c.Subnet.GatewayType != routes.Centralized || c.Subnet.EnableECMP) {
		warn(routes.IgnoredAnnotation, "annotation %s works only for centralized without ECMP", routes.AnnotationStandby)
	}
	if role == routes.RolePod && c.Subnet.GatewayType == routes.Centralized {
		warn(routes.AsymmetricReturn, "mode pods on a centralized Subnet: requests come to the Pod's node, replies leave by the gateway")
	}
	return out
}

func privateReach(s *routes.Subnet) string {
	if len(s.AllowSubnets) == 0 {
		return "ACLs drop every source outside the Subnet (spec.allowSubnets is empty)"
	}
	return "ACLs drop sources other than " + strings.Join(s.AllowSubnets, ", ")
}

func kept(c *routes.Case) Warning {
	return Warning{c.Subnet.Name, routes.InvalidAnnotation, fmt.Sprintf("%v; the last good annotations stay in force until it is mended", c.Kept)}
}
