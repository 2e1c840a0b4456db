package routes

import (
	"fmt"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
)

// SubnetChecks are the questions about the Subnet alone, from InvalidAnnotation
// to ExternalEgressGateway. They never look at Case.Node.
func SubnetChecks() []Check {
	return []Check{
		invalidAnnotation(), invalidCIDR(), joinSubnet(), foreignProvider(), customVPC(), notFormatted(),
		underlay(), deleting(), notValidated(), natOutgoing(), externalEgressGateway(),
	}
}

func invalidAnnotation() Check {
	return Check{
		Reason: InvalidAnnotation,
		When:   "A `fairway.dev/` annotation does not parse, or `next-hop` lacks the CIDR's family.",
		Refuse: func(c *Case) string {
			if c.TuningErr != nil {
				return c.TuningErr.Error()
			}
			if len(c.Tuning.NextHops) == 0 || !c.Prefix.IsValid() || c.Tuning.NextHop(c.Prefix).IsValid() {
				return ""
			}
			return fmt.Sprintf("%s: %q: has no address of the family of %s", AnnotationNextHop, c.Subnet.Annotations[AnnotationNextHop], c.Text())
		},
		Fact: says("annotations parse"),
		Mend: func(c *Case) string {
			name := AnnotationNextHop
			if e, ok := c.TuningErr.(*AnnotationError); ok {
				name = e.Name
			}
			return fmt.Sprintf("correct it, or remove it: kubectl annotate subnet %s %s-", columns.Quote(c.Subnet.Name), name)
		},
	}
}

func invalidCIDR() Check {
	return Check{
		Reason: InvalidCIDR,
		When:   "A CIDR of `spec.cidrBlock` does not parse: the whole Subnet is withheld, unless the node knows its last good CIDRs (a warning then). Host bits are masked, not refused.",
		Refuse: func(c *Case) string {
			if c.CIDRErr == nil {
				return ""
			}
			return c.CIDRErr.Error()
		},
		Fact: func(c *Case) string {
			if c.Subnet.CIDRKept != nil {
				return "spec.cidrBlock no longer parses, and its last good CIDRs count"
			}
			return "spec.cidrBlock is " + c.Subnet.CIDRBlock
		},
		Mend: says("correct spec.cidrBlock"),
	}
}

func joinSubnet() Check {
	return Check{
		Reason: JoinSubnet,
		When:   "It is the join Subnet (flag `--node-switch`), which connects nodes to the overlay and means nothing outside.",
		Refuse: func(c *Case) string {
			if c.Subnet.Name == c.Snapshot.NodeSwitch {
				return c.Subnet.Name + " is the join Subnet"
			}
			return ""
		},
		Fact: says("not the join Subnet"),
		Mend: func(c *Case) string {
			return fmt.Sprintf("remove its annotation: kubectl annotate subnet %s %s-", columns.Quote(c.Subnet.Name), AnnotationAdvertise)
		},
	}
}

// foreignProvider follows pkg/util/subnet.go: "", "ovn" and "<nad>.<ns>.ovn"
// are OVN's.
func foreignProvider() Check {
	return Check{
		Reason: ForeignProvider,
		When:   "`spec.provider` is not `\"\"`, `ovn` or `*.ovn`: another network carries the Subnet.",
		Refuse: func(c *Case) string {
			if p := c.Subnet.Provider; p != "" && p != "ovn" && !strings.HasSuffix(p, ".ovn") {
				return "spec.provider is " + p
			}
			return ""
		},
		Fact: func(c *Case) string { return fmt.Sprintf("spec.provider is %q", c.Subnet.Provider) },
		Mend: says("announce it where its provider's network meets the routers; Fairway cannot carry it"),
	}
}

func customVPC() Check {
	return Check{
		Reason: CustomVPC,
		When:   "`spec.vpc` is set and is not the default VPC (flag `--cluster-router`): nodes have no route to it.",
		Refuse: func(c *Case) string {
			if v := c.Subnet.VPC; v != "" && v != c.Snapshot.ClusterRouter {
				return fmt.Sprintf("spec.vpc is %s, not %s", v, c.Snapshot.ClusterRouter)
			}
			return ""
		},
		Fact: func(c *Case) string { return "spec.vpc is " + c.Subnet.VPC },
		Mend: says("use a VPC gateway for custom VPCs, or put the workload in a Subnet of the default VPC"),
	}
}

func notFormatted() Check {
	return Check{
		Reason: NotFormatted,
		When:   "`spec.vpc` or `spec.gatewayType` is still empty: Kube-OVN's controller has not formatted the Subnet yet. What is announced of a Subnet that was made anew stays.",
		Refuse: func(c *Case) string {
			switch t := c.Subnet.GatewayType; {
			case c.Past.Role != "" && (c.Subnet.VPC == "" || t == ""):
				return "" // made anew, and not looked at yet
			case c.Subnet.VPC == "":
				return "spec.vpc is empty"
			case t == "":
				return "spec.gatewayType is empty"
			case t != Distributed && t != Centralized:
				return fmt.Sprintf("spec.gatewayType is %s, neither distributed nor centralized", t)
			}
			return ""
		},
		Fact: func(c *Case) string {
			if c.Subnet.GatewayType == "" {
				return "not formatted yet; announced as before"
			}
			return "spec.gatewayType is " + c.Subnet.GatewayType
		},
		Mend: says("look at kube-ovn-controller: it fills these fields in within moments"),
	}
}

func underlay() Check {
	return Check{
		Reason: Underlay,
		When:   "`spec.vlan` is set without `logicalGateway`: the physical switch is the gateway, not the nodes.",
		Refuse: func(c *Case) string {
			if c.Subnet.VLAN != "" && !c.Subnet.LogicalGateway {
				return fmt.Sprintf("spec.vlan is %s and logicalGateway is false", c.Subnet.VLAN)
			}
			return ""
		},
		Fact: func(c *Case) string {
			if c.Subnet.VLAN == "" {
				return "overlay (no spec.vlan)"
			}
			return "logical gateway on vlan " + c.Subnet.VLAN
		},
		Mend: says("nothing to announce: the physical network already routes an underlay Subnet"),
	}
}

func deleting() Check {
	return Check{
		Reason: Deleting,
		When:   "`metadata.deletionTimestamp` is set, and the prefix is not announced yet. What is announced stays, with a warning, until the object goes: Pods that are left are still reached.",
		Refuse: func(c *Case) string {
			if c.Subnet.Deleting && c.Past.Role == "" {
				return "metadata.deletionTimestamp is set"
			}
			return ""
		},
		Fact: func(c *Case) string {
			if c.Subnet.Deleting {
				return "being deleted, and announced until the object goes"
			}
			return "not being deleted"
		},
		Mend: says("nothing to do; if it stays, look at what still uses its addresses"),
	}
}

func notValidated() Check {
	return Check{
		Reason: NotValidated,
		When:   "There is no condition `Validated=True` (none at all, where the prefix is announced already, says nothing); or, for a prefix that is not announced yet, no `Ready=True`, or one that is older than a change of `spec.cidrBlock`. (`Ready` drops on passing errors while traffic flows, so what is announced does not depend on it.)",
		Refuse: func(c *Case) string { return c.verdict },
		Fact: func(c *Case) string {
			if c.Subnet.Unjudged {
				return "Kube-OVN has not judged the new object yet; announced as before"
			}
			if c.Subnet.Ready {
				return "status has Validated=True and Ready=True"
			}
			return "status has Validated=True; Ready is asked before the first announcement only"
		},
		Mend: func(c *Case) string {
			return fmt.Sprintf("read Kube-OVN's verdict: kubectl get subnet %s -o jsonpath='{.status.conditions}'", columns.Quote(c.Subnet.Name))
		},
	}
}

// judgeVerdict follows Kube-OVN's order: Validated=True is written before conflicts
// are looked for, and again at each retry of a Subnet that is refused; Ready once
// OVN forwards (pkg/controller/subnet.go). After a change of cidrBlock both are
// those of the CIDRs before, for a while.
func (c *Case) judgeVerdict() string {
	s := c.Subnet
	switch {
	case !s.Validated && !(s.Unjudged && c.Past.Role != ""):
		return "no condition Validated=True in status"
	case c.Past.Role != "":
		return ""
	case !s.Ready:
		return "no condition Ready=True in status: Kube-OVN has not finished, or refuses it"
	case !s.Controlled || c.Past.New.IsZero() || s.ReadyAt != c.Past.VerdictThen:
		return ""
	}
	stands := c.Past.New.Add(verdictStands)
	if !c.Snapshot.At.Before(stands) {
		return ""
	}
	c.wake(stands)
	return "spec.cidrBlock changed a moment ago, and Kube-OVN's verdict may be older"
}

func natOutgoing() Check {
	return Check{
		Reason: NATOutgoing,
		When:   "`spec.natOutgoing` is true: connections that Pods open, and replies to UDP that came in by another node, get the node's address (replies to TCP and ping keep the Pod's). Not with `allow-nat-policy: \"true\"` and a natOutgoingPolicyRule with action `forward`.",
		Refuse: func(c *Case) string {
			switch {
			case !c.Subnet.NATOutgoing:
				return c.translated
			case c.Tuning.AllowNATPolicy && c.Subnet.NATPolicyForwards:
				return ""
			case c.Tuning.AllowNATPolicy:
				return "spec.natOutgoing is true, and no natOutgoingPolicyRule has action forward"
			}
			return "spec.natOutgoing is true"
		},
		Fact: func(c *Case) string {
			if c.Subnet.NATOutgoing {
				return "natOutgoing with a policy rule that forwards, allowed by annotation"
			}
			return "spec.natOutgoing is false"
		},
		Mend: func(c *Case) string {
			return fmt.Sprintf(`set natOutgoing to false: kubectl patch subnet %s --type=merge -p '{"spec":{"natOutgoing":false}}'`, columns.Quote(c.Subnet.Name))
		},
	}
}

// judgeTranslation holds a CIDR back while this node may still translate it: for up
// to 3 s after natOutgoing became false (pkg/daemon/gateway.go).
func (c *Case) judgeTranslation() string {
	ends := c.natEnded.Add(translationEnds)
	if c.natEnded.IsZero() || c.Past.Role != "" || c.Subnet.NATOutgoing || !c.Snapshot.At.Before(ends) {
		return ""
	}
	if live := c.Snapshot.Live; live != nil {
		if translated, known := live.Translated[c.Prefix]; known && !translated {
			return ""
		}
	}
	c.wake(ends)
	return "spec.natOutgoing became false a moment ago, and this node may still translate new flows"
}

func externalEgressGateway() Check {
	return Check{
		Reason: ExternalEgressGateway,
		When:   "`spec.externalEgressGateway` is set: replies would leave past the peers.",
		Refuse: func(c *Case) string {
			if g := c.Subnet.ExternalEgressGateway; g != "" {
				return "spec.externalEgressGateway is " + g
			}
			return ""
		},
		Fact: says("no external egress gateway"),
		Mend: says("remove spec.externalEgressGateway, or announce the Subnet from that gateway"),
	}
}

// NodeChecks are the questions about the node's part in carrying the Subnet,
// from NotGateway to Draining.
func NodeChecks() []Check {
	return []Check{notGateway(), noActiveGateway(), nodeExcluded(), nodeNotReady(), draining()}
}

func carriageCheck(r Reason) func(*Case) string {
	return func(c *Case) string {
		if c.carriage.reason != r {
			return ""
		}
		return c.carriage.detail
	}
}

func notGateway() Check {
	return Check{
		Reason: NotGateway,
		When:   "The Subnet is centralized and this node does not carry it now: it is not a gateway, or not the active one. A node that announced it before goes on until another one that can carry it is named, and a second longer.",
		Refuse: carriageCheck(NotGateway),
		Fact: func(c *Case) string {
			if c.carriage.stay != "" {
				return "goes on as before: " + c.carriage.stay
			}
			switch c.Role() {
			case RoleDistributed:
				return "distributed: every node carries it"
			case RolePod:
				return "mode pods: each node announces its own Pods"
			case RoleStandby:
				return "centralized: this node waits as standby for " + c.Subnet.ActiveGateway
			case RoleActive:
				return "centralized: this node is the active gateway"
			case RoleECMP:
				return "centralized with ECMP: this node is one of the active gateways"
			}
			return "this node is one of the gateways"
		},
		Mend: says("nothing to do if another node announces it; else mend spec.gatewayNode. Annotation standby lets idle gateways announce a worse path"),
	}
}

func noActiveGateway() Check {
	return Check{
		Reason: NoActiveGateway,
		When:   "The Subnet is centralized, this node is a gateway, none is active, and this node did not announce it before: who did goes on, because OVN forwards by its old policies until Kube-OVN names another.",
		Refuse: carriageCheck(NoActiveGateway),
		Fact: func(c *Case) string {
			switch {
			case c.carriage.stay != "":
				return "this node announces it already"
			case c.Subnet.GatewayType == Centralized:
				return "a gateway is active"
			}
			return "no gateway needed"
		},
		Mend: says("bring a gateway node to Ready; then look at kube-ovn-controller, which chooses the active one"),
	}
}

func nodeExcluded() Check {
	return Check{
		Reason: NodeExcluded,
		When:   "The node has the label `" + LabelExclude + "`.",
		Refuse: func(c *Case) string {
			if _, excluded := c.Node.Labels[LabelExclude]; excluded {
				return fmt.Sprintf("Node %s has label %s", c.Node.Name, LabelExclude)
			}
			return ""
		},
		Fact: says("node is not excluded by label"),
		Mend: func(c *Case) string {
			return fmt.Sprintf("remove the label: kubectl label node %s %s-", columns.Quote(c.Node.Name), LabelExclude)
		},
	}
}

func nodeNotReady() Check {
	return Check{
		Reason: NodeNotReady,
		When:   "The Node is not Ready, has NetworkUnavailable, or has no address in the join Subnet yet (annotation `" + AnnotationAllocated + "`). Such a node never begins to announce; what it announces it keeps while no other node would.",
		Refuse: func(c *Case) string { return c.readiness.detail },
		Fact: func(c *Case) string {
			if c.readiness.stay != "" {
				return c.readiness.stay + ", and it goes on for now"
			}
			return "node is Ready"
		},
		Mend: func(c *Case) string { return "kubectl describe node " + c.Node.Name },
	}
}

func draining() Check {
	return Check{
		Reason: Draining,
		When:   "The Node has the annotation `" + AnnotationDrain + ": \"true\"` or a taint of `--drain-taint`, or the kubelet says that it is shutting down. What is announced goes out with GRACEFUL_SHUTDOWN (RFC 8326) and a path that loses for `--drain-wait` first. Without the annotation, what no other node would announce stays.",
		Refuse: func(c *Case) string { return c.drain.refusal },
		Fact: func(c *Case) string {
			switch {
			case c.drain.stay != "":
				return c.drain.stay + ", and no other node would announce it: it goes on, with GRACEFUL_SHUTDOWN"
			case c.drain.gently:
				return "node is draining: announced with GRACEFUL_SHUTDOWN and a path that loses, for now"
			}
			return "node is not draining"
		},
		Mend: func(c *Case) string {
			if c.Node.Annotations[AnnotationDrain] == "" {
				return "nothing to do: the node announces again when that ends"
			}
			return "kubectl fairway undrain " + c.Node.Name
		},
	}
}

// LiveChecks are the questions that only the node itself can answer, and last
// whether mode pods has anything to announce. What is not known refuses
// nothing.
func LiveChecks() []Check { return []Check{datapathDown(), hostNotReady(), noPods()} }

func datapathDown() Check {
	return Check{
		Reason: DatapathDown,
		When:   "Live only: this node has no working path to the CIDR (the kernel's own answer, by routes and rules, for each uplink and back; link, join gateway, provider network of a vlan), or had none a moment ago and loses it again and again: then only seconds of quiet, more each time, count as up.",
		Refuse: func(c *Case) string { return c.datapath },
		Fact:   says("the datapath is up, or not known here"),
		Mend:   says("look at kube-ovn-cni on this node: it makes ovn0 and the routes by it"),
	}
}

// judgeDown says what the node itself knows against its way to the CIDR, or "".
func (c *Case) judgeDown() string {
	if why := c.noProviderNetwork(); why != "" || c.Snapshot.Live == nil {
		return why
	}
	return c.Snapshot.Live.DatapathDown[c.Prefix]
}

// noProviderNetwork follows kube-ovn-cni, which labels the nodes that have a
// provider network (pkg/daemon/controller.go): only by those is a vlan Subnet with
// logicalGateway reached.
func (c *Case) noProviderNetwork() string {
	if c.Subnet.VLAN == "" || !c.Subnet.LogicalGateway {
		return ""
	}
	provider, known := c.Snapshot.Vlans[c.Subnet.VLAN]
	label := provider + ".provider-network.ovn.kubernetes.io/ready"
	if !known || c.Node.Labels[label] == "true" {
		return ""
	}
	return fmt.Sprintf("Node %s does not have provider network %s of vlan %s (label %s)", c.Node.Name, provider, c.Subnet.VLAN, label)
}

// judgeDatapath holds a CIDR back whose datapath flaps.
func (c *Case) judgeDatapath() string {
	if c.down != "" {
		return c.down
	}
	up := c.Past.Turned.Add(quiet(c.Past.Downs))
	if c.Past.Role != "" || !c.Snapshot.At.Before(up) {
		return ""
	}
	c.wake(up)
	return fmt.Sprintf("the datapath is up since %s, and went down %d times before: announced again after %s of quiet",
		c.Past.Turned.UTC().Format("15:04:05Z"), c.Past.Downs, quiet(c.Past.Downs))
}

func hostNotReady() Check {
	return Check{
		Reason: HostNotReady,
		When:   "Live only: a host finding would drop the traffic, and the gate is asked for.",
		Refuse: func(c *Case) string {
			if c.Snapshot.Live == nil {
				return ""
			}
			return c.Snapshot.Live.HostNotReady[c.Prefix]
		},
		Fact: says("no host finding holds it back"),
		Mend: says("fairway check names the rule or sysctl and the command that mends it"),
	}
}

func noPods() Check {
	return Check{
		Reason: NoPods,
		When:   "Mode `pods`, and there is no live Pod of the Subnet on this node.",
		Refuse: func(c *Case) string {
			if c.Tuning.Mode == ModePods && len(c.prefixes) == 0 {
				return fmt.Sprintf("no live Pod of %s in %s on %s", c.Subnet.Name, c.Text(), c.Node.Name)
			}
			return ""
		},
		Fact: func(c *Case) string {
			switch {
			case c.Tuning.Mode != ModePods:
				return "mode cidr"
			case len(c.Whole) > 0:
				return fmt.Sprintf("mode pods: %d of this node's prefixes, too many for %s", len(c.prefixes), strings.Join(c.Whole, ", "))
			}
			return fmt.Sprintf("mode pods: %d of this node's prefixes", len(c.prefixes))
		},
		Mend: says("nothing to do: the node announces its Pods as soon as it has some"),
	}
}
