package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/routes"
)

// subnetWarnings gives what the user should know about a Subnet that is
// announced.
func (v *view) subnetWarnings(c *routes.Case) []Warning {
	var out []Warning
	warn := func(r routes.Reason, format string, args ...any) {
		out = append(out, Warning{Subnet: c.Subnet.Name, Reason: r, Detail: fmt.Sprintf(format, args...)})
	}
	out = append(out, kept(c)...)
	if r, why := c.Stay(); r != "" {
		warn(routes.KeptAnnounced, "%s: %s", r, why)
	}
	if c.Subnet.Private {
		warn(routes.Private, "spec.private is true: %s", privateReach(c.Subnet))
	}
	if c.Subnet.NATOutgoing {
		warn(routes.NATPolicy, "spec.natOutgoing is true: of connections that Pods open, only what a forward rule matches keeps the Pod's address")
	}
	if _, own := c.Subnet.Annotations[routes.AnnotationAdvertise]; own && routes.SelectedByKubeOVN(c.Subnet.Annotations) {
		warn(routes.DoubleAnnouncement, "annotation %s: %q lets kube-ovn-speaker announce it too, from every node: remove it once Fairway's routes are there",
			routes.AnnotationKubeOVN, c.Subnet.Annotations[routes.AnnotationKubeOVN])
	}
	for _, name := range c.Tuning.Peers {
		if !slices.ContainsFunc(v.Peers, func(p Peer) bool { return p.Name == name }) {
			warn(routes.UnknownPeer, "annotation %s names BGPPeer %s, which does not exist", routes.AnnotationPeers, name)
		}
	}
	for _, name := range c.Tuning.Unknown {
		warn(routes.UnknownAnnotation, "annotation %s means nothing; see docs/annotations.md", name)
	}
	if c.Tuning.Standby && (c.Subnet.GatewayType != routes.Centralized || c.Subnet.EnableECMP) {
		warn(routes.IgnoredAnnotation, "annotation %s works only for centralized without ECMP", routes.AnnotationStandby)
	}
	for i := range v.sessions {
		s := &v.sessions[i]
		// That some sessions are of the other family is how a node with an IPv4 and an
		// IPv6 peer is made: no news while there is one that carries the prefix.
		if problem := ownAddress(c, s); problem != "" && asks(c, s.Peer) {
			warn(routes.PeerSkipped, "%s", problem)
		}
		if c.Tuning.Standby && v.cannotLose(c, s) {
			warn(routes.IgnoredAnnotation, "annotation %s cannot make a path lose to BGPPeer %s: local-pref is 0 already", routes.AnnotationStandby, s.Peer)
		}
	}
	out = append(out, v.wholeWarnings(c)...)
	if c.Tuning.MaxPodPrefixes != nil && c.Tuning.Mode != routes.ModePods {
		warn(routes.IgnoredAnnotation, "annotation %s works only in mode pods", routes.AnnotationMaxPodPrefixes)
	}
	if c.Role() == routes.RolePod && c.Subnet.GatewayType == routes.Centralized {
		warn(routes.AsymmetricReturn, "mode pods on a centralized Subnet: requests come to the Pod's node, replies leave by the gateway")
	}
	return out
}

// cannotLose reports whether a path of the Case has the least local-pref at a session
// anyway.
func (v *view) cannotLose(c *routes.Case, s *Session) bool {
	pref := cmp.Or(c.Tuning.LocalPref, s.Defaults.LocalPref)
	return s.Internal() && pref != nil && *pref == 0 && slices.Contains(c.Peers, s.Peer)
}

// nodeWarnings gives what the user should know about annotations of the Node that
// have nothing to do with sessions.
func nodeWarnings(n *routes.Node, s *Snapshot) []Warning {
	var out []Warning
	if _, err := routes.DrainOf(n, s.Settings, s.LastGoodNode); err != nil {
		out = append(out, Warning{Reason: routes.InvalidAnnotation, Detail: err.Error()})
	}
	if v, ok := n.Annotations[routes.AnnotationConfirm]; ok {
		if _, err := routes.ParseSwitch(v); err != nil {
			out = append(out, Warning{Reason: routes.InvalidAnnotation, Detail: fmt.Sprintf("%s of Node %s: %v", routes.AnnotationConfirm, n.Name, err)})
		}
	}
	for _, name := range routes.UnknownOnNode(n) {
		out = append(out, Warning{Reason: routes.UnknownAnnotation, Detail: fmt.Sprintf("annotation %s of Node %s means nothing; see docs/annotations.md", name, n.Name)})
	}
	return out
}

func privateReach(s *routes.Subnet) string {
	if len(s.AllowSubnets) == 0 {
		return "ACLs drop every source outside the Subnet (spec.allowSubnets is empty)"
	}
	return "ACLs drop sources other than " + strings.Join(s.AllowSubnets, ", ")
}

// kept tells of what does not parse and counts as it was last.
func kept(c *routes.Case) []Warning {
	var out []Warning
	if c.Kept != nil {
		out = append(out, Warning{Subnet: c.Subnet.Name, Reason: routes.InvalidAnnotation, Detail: fmt.Sprintf("%v; the last good annotations stay in force until it is mended", c.Kept)})
	}
	if c.Subnet.CIDRKept != nil {
		out = append(out, Warning{Subnet: c.Subnet.Name, Reason: routes.InvalidCIDR, Detail: fmt.Sprintf("%v; its last good CIDRs stay in force until it is mended", c.Subnet.CIDRKept)})
	}
	return out
}

// WarningReason documents one reason that warnings are given for.
type WarningReason struct {
	Reason routes.Reason
	When   string
}

// WarningReasons gives them all, for documentation.
func WarningReasons() []WarningReason {
	return []WarningReason{
		{routes.KeptAnnounced, "The node announced the prefix, and a rule that would not let it begin now (given with the warning) lets it go on, because the overlay still forwards by it and nobody else would announce it."},
		{routes.Private, "`spec.private` is true: ACLs drop outside sources unless `allowSubnets` has their network."},
		{routes.UnknownPeer, "Annotation `peers` names a BGPPeer that does not exist. The others still get the prefix."},
		{routes.PeerSkipped, "Annotation `next-hop` is a neighbour's own address, which it would refuse; the others still get the prefix. That a session cannot carry the prefix's family is told only where none can (`NoPeer`)."},
		{routes.InvalidPeer, "A BGPPeer selects the node but gives no session there: it has no local AS (one that it had stays in force), its address is another BGPPeer's, or more than one router is found where it looks for one."},
		{routes.DuplicateRouterID, "Another node that a BGPPeer selects has the same BGP identifier, as with a VIP that is the first InternalIP of both: routers refuse the second session, or take both nodes for one."},
		{routes.RestartOrFailure, "A BGPPeer asks for `bfd` and for `gracefulRestart`, and BFD ends with the daemon: a router cannot tell that from a dead node (RFC 5882 section 4.3). FRR keeps the routes of a daemon that stops or crashes, and drops those of a dead node at once; BIRD drops them in both cases, or with `bfd graceful` keeps them in both. See docs/operate.md, BFD."},
		{routes.InvalidAnnotation, "An annotation of the Node does not parse, or one of the Subnet no longer does and the last good ones stay in force."},
		{routes.InvalidCIDR, "`spec.cidrBlock` no longer parses, and its last good CIDRs stay in force; everything else counts as it is now, and a Subnet whose own CIDR overlaps them goes before."},
		{routes.UnknownAnnotation, "A `fairway.dev/` annotation has a name that means nothing: a typo, or one of another version."},
		{routes.IgnoredAnnotation, "An annotation has no effect on this Subnet: `standby` without centralized, with ECMP, or where local-pref is 0; `max-pod-prefixes` without mode `pods`."},
		{routes.NATPolicy, "Announced by `allow-nat-policy`: of connections that Pods open, what no `forward` rule matches leaves with the node's address."},
		{routes.AsymmetricReturn, "Mode `pods` on a centralized Subnet: requests come to the Pod's node, replies leave by the gateway."},
		{routes.PodPrefixLimit, "Mode `pods`: the node's Pods are more prefixes than a BGPPeer takes (`spec.maxPodPrefixes`, annotation `max-pod-prefixes`), so it gets the CIDR in their place: requests come by any node that announces it, and the overlay carries them on. It gets the Pods again once they are a tenth fewer than it takes."},
		{routes.DoubleAnnouncement, "The Subnet carries `ovn.kubernetes.io/bgp` besides `fairway.dev/advertise`: a kube-ovn-speaker that still runs announces it too."},
	}
}
