package routes

import (
	"fmt"
	"slices"
	"strings"
)

// Gateway types (pkg/apis/kubeovn/v1/subnet.go).
const (
	Distributed = "distributed"
	Centralized = "centralized"
)

// ParseGatewayNodes gives the node names of spec.gatewayNode, in order, each
// once. "n1,n2", "n1:ip,n2:ip" and mixtures are allowed; the address, which may
// be IPv6, is an SNAT source and never a next hop, so the name ends at the first
// colon (pkg/util/strings.go).
func ParseGatewayNodes(s string) []string {
	var names []string
	for _, item := range strings.Split(s, ",") {
		name, _, _ := strings.Cut(item, ":")
		name = strings.TrimSpace(name)
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Gateways gives the names of a centralized Subnet's gateways: those of
// spec.gatewayNode, whether such Nodes exist or not, else the Nodes that
// spec.gatewayNodeSelectors select, sorted.
func Gateways(s *Subnet, nodes []Node) []string {
	if names := ParseGatewayNodes(s.GatewayNode); len(names) > 0 {
		return names
	}
	var names []string
	for i := range nodes {
		if slices.ContainsFunc(s.GatewayNodeSelectors, func(sel Selector) bool { return sel.Matches(nodes[i].Labels) }) {
			names = append(names, nodes[i].Name)
		}
	}
	slices.Sort(names)
	return names
}

// Usable reports whether Kube-OVN would let the node be a gateway
// (pkg/controller/node.go: Ready and not NetworkUnavailable).
func (n *Node) Usable() bool { return n.Ready && !n.NetworkUnavailable }

// Reach reports whether some BGPPeer gives a node a session by which the Case's CIDR
// can leave.
type Reach func(*Node, *Case) bool

// carriage is the answer to "does this node carry this Subnet now, and as
// what?". Reason is empty where it does.
type carriage struct {
	role   Role
	reason Reason
	detail string
	// stay says why a node goes on that the rules alone would not let begin.
	stay string
}

// judgeCarriage follows Kube-OVN's gateway semantics. gatewayNode, enableEcmp and
// status.activateGateway are left-overs on a distributed Subnet.
func (c *Case) judgeCarriage() carriage {
	switch {
	case c.Tuning.Mode == ModePods:
		// Inbound goes straight to the hosting node; the gateway only matters for
		// the way back.
		return carriage{role: RolePod}
	case c.Subnet.GatewayType == Distributed:
		return carriage{role: RoleDistributed}
	case c.Subnet.EnableECMP:
		return c.carriageECMP()
	}
	return c.carriageSingle()
}

// carriageECMP computes ready ∩ list: with ECMP status.activateGateway may be
// stale (pkg/controller/subnet.go).
func (c *Case) carriageECMP() carriage {
	listed := slices.Contains(c.gateways, c.Node.Name)
	if listed && (c.Node.Usable() || c.Past.Role != "") {
		return carriage{role: RoleECMP} // whether it stays is asked with its readiness
	}
	others := slices.DeleteFunc(slices.Clone(c.gateways), func(name string) bool {
		n, there := c.others[name]
		return name == c.Node.Name || !there || !n.Usable()
	})
	switch {
	case !listed:
		return c.unless(slices.ContainsFunc(others, c.canCarry), NotGateway, notOneOf(c.gateways))
	case len(others) == 0:
		return carriage{reason: NoActiveGateway, detail: "none of the gateways " + strings.Join(c.gateways, ", ") + " is known to be Ready"}
	}
	return carriage{reason: NotGateway, detail: fmt.Sprintf("%s is not Ready; carried by %s", c.Node.Name, strings.Join(others, ", "))}
}

// carriageSingle follows status.activateGateway, which for centralized without
// ECMP is the controller's verdict: sticky, without fail-back, and an old one
// until the controller has had its turn. After a change of gatewayType, gatewayNode
// or enableEcmp it is empty or has a stale name for as long as that takes, and
// with NoActiveGatewayFound it is empty for good; all the while OVN forwards by
// its old policies. So who announced goes on until a node is named that can carry.
func (c *Case) carriageSingle() carriage {
	active, listed := c.Subnet.ActiveGateway, slices.Contains(c.gateways, c.Node.Name)
	switch {
	case active == c.Node.Name:
		return carriage{role: RoleActive}
	case active == "" && !c.Subnet.Controlled, active != "" && c.canCarry(active):
		if listed && c.Tuning.Standby && active != "" {
			return carriage{role: RoleStandby}
		}
		return c.unless(true, c.notActive(listed), c.notActiveText(listed))
	case (c.Past.Role == "" || c.Past.Role == RoleStandby) && listed && c.Tuning.Standby && active != "":
		return carriage{role: RoleStandby}
	}
	return c.unless(false, c.notActive(listed), c.notActiveText(listed))
}

func (c *Case) notActive(listed bool) Reason {
	if listed && c.Subnet.ActiveGateway == "" {
		return NoActiveGateway
	}
	return NotGateway
}

func (c *Case) notActiveText(listed bool) string {
	switch active := c.Subnet.ActiveGateway; {
	case !listed:
		return notOneOf(c.gateways)
	case active == "":
		text := "status.activateGateway is empty: Kube-OVN has none of " + strings.Join(c.gateways, ", ") + " active"
		if c.Subnet.GatewayVerdict != "" {
			text += " (" + c.Subnet.GatewayVerdict + ")"
		}
		return text
	case !c.canCarry(active):
		return "the active gateway is " + active + ", which cannot carry it now"
	default:
		return "the active gateway is " + active
	}
}

// unless refuses with a reason, unless the node announces the CIDR already: then
// it stays, for good while no other node can carry it, else for the handover.
func (c *Case) unless(another bool, r Reason, text string) carriage {
	if c.stays(another) {
		return carriage{role: c.Past.Role, stay: text}
	}
	return carriage{reason: r, detail: text}
}

// stays reports whether a node that announces the CIDR goes on with it for now,
// and notes when it was first seen that another one can.
func (c *Case) stays(another bool) bool {
	if c.Past.Role == "" {
		return false
	}
	if !another || c.Snapshot.At.IsZero() {
		return !another // without a clock there is no handover
	}
	if c.leaving.IsZero() {
		c.leaving = c.Snapshot.At
		if !c.Past.Leaving.IsZero() {
			c.leaving = c.Past.Leaving
		}
	}
	end := c.leaving.Add(handover)
	if !c.Snapshot.At.Before(end) {
		return false
	}
	c.wake(end)
	return true
}

// canCarry reports whether a node, by all that is known, would announce the CIDR
// if it is the one to. Nobody begins with a Subnet that is not Ready, or on its
// way out. A Snapshot of one Node, as in a machine's own folder, tells nothing of
// others.
func (c *Case) canCarry(name string) bool {
	n, there := c.others[name]
	if !there {
		return len(c.Snapshot.Nodes) <= 1
	}
	mayBegin := c.Subnet.Ready && !c.Subnet.Deleting
	return mayBegin && n.fit && (c.reach == nil || c.reach(n.Node, c))
}

// elsewhere reports whether another node would announce the CIDR by its own rules.
// In mode pods none can: each has its own Pods.
func (c *Case) elsewhere() bool {
	able := func(name string) bool { return name != c.Node.Name && c.canCarry(name) }
	switch {
	case c.Tuning.Mode == ModePods:
		return false
	case c.Subnet.GatewayType == Distributed:
		for name := range c.others {
			if able(name) {
				return true
			}
		}
		return false
	case c.Subnet.EnableECMP, c.Tuning.Standby:
		return slices.ContainsFunc(c.gateways, able)
	}
	return c.Subnet.ActiveGateway != "" && able(c.Subnet.ActiveGateway)
}

// readiness is the answer to "is this node fit to announce it?": detail is empty
// where it is, or where it stays though it is not, which stay explains.
type readiness struct{ detail, stay string }

// judgeReadiness follows the Node's conditions. Not Ready never begins, it only
// keeps: the kubelet says nothing of the datapath, and a node that is dead loses
// its sessions by itself. NetworkUnavailable, which says that the node has no way
// into the overlay, comes tens of seconds late (measured): there is time to hand
// over.
func (c *Case) judgeReadiness() readiness {
	n := c.Node
	switch {
	case c.gone:
		return readiness{detail: fmt.Sprintf("Node %s does not exist: Kube-OVN has cut it off", n.Name)}
	case n.Ready && !n.NetworkUnavailable && n.Allocated:
		return readiness{}
	case n.NetworkUnavailable:
		text := fmt.Sprintf("Node %s has condition NetworkUnavailable", n.Name)
		if c.stays(c.elsewhere()) {
			return readiness{stay: text}
		}
		return readiness{detail: text}
	}
	text := fmt.Sprintf("Node %s is not Ready", n.Name)
	if n.Ready {
		text = fmt.Sprintf("Node %s has no address in the join Subnet yet (annotation %s)", n.Name, AnnotationAllocated)
	}
	if c.stays(c.elsewhere()) {
		return readiness{stay: text}
	}
	return readiness{detail: text}
}

// CarriesReplies reports whether replies of the CIDR's Pods may leave the overlay
// by the node: by the Pods' own where the Subnet is distributed, by any gateway
// with ECMP, else by the active one; and while it stays as what it was, as they
// did then. What Fairway announces, and whether the node is Ready for it, does
// not change that. In mode pods a distributed Subnet concerns the nodes that have
// Pods of it.
func (c *Case) CarriesReplies() bool {
	switch {
	case c.carriage.stay != "":
		return true
	case c.Subnet.GatewayType == Distributed:
		return len(c.prefixes) > 0
	case c.Subnet.EnableECMP:
		return slices.Contains(c.gateways, c.Node.Name)
	}
	return c.Subnet.ActiveGateway == c.Node.Name
}

// notOneOf is true as well where only this node is known, as in a daemon.
func notOneOf(gateways []string) string {
	if len(gateways) == 0 {
		return "centralized, and neither gatewayNode nor gatewayNodeSelectors name this node"
	}
	return "this node is not one of the gateways " + strings.Join(gateways, ", ")
}
