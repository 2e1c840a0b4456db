package routes

import (
	"fmt"
	"strings"
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
			return fmt.Sprintf("%s: %q: has no address of the family of %s", AnnotationNextHop, c.Subnet.Annotations[AnnotationNextHop], c.Text)
		},
		Fact: says("annotations parse"),
		Mend: func(c *Case) string {
			name := AnnotationNextHop
			if e, ok := c.TuningErr.(*AnnotationError); ok {
				name = e.Name
			}
			return fmt.Sprintf("correct it, or remove it: kubectl annotate subnet %s %s-", c.Subnet.Name, name)
		},
	}
}

func invalidCIDR() Check {
	return Check{
		Reason: InvalidCIDR,
		When:   "A CIDR of `spec.cidrBlock` does not parse: the whole Subnet is withheld. Host bits are masked, not refused.",
		Refuse: func(c *Case) string {
			if c.CIDRErr == nil {
				return ""
			}
			return c.CIDRErr.Error()
		},
		Fact: func(c *Case) string { return "spec.cidrBlock is " + c.Subnet.CIDRBlock },
		Mend: says("correct spec.cidrBlock"),
	}
}

func joinSubnet() Check {
	return Check{
		Reason: JoinSubnet,
		When:   "It is the join Subnet (flag `--node-switch`), which connects nodes to the overlay and means nothing outside.",
		Refuse: func(c *Case) string {
			return detail(c.Subnet.Name == c.Snapshot.NodeSwitch, "%s is the join Subnet", c.Subnet.Name)
		},
		Fact: says("not the join Subnet"),
		Mend: func(c *Case) string {
			return fmt.Sprintf("remove its annotation: kubectl annotate subnet %s %s-", c.Subnet.Name, AnnotationAdvertise)
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
			p := c.Subnet.Provider
			return detail(p != "" && p != "ovn" && !strings.HasSuffix(p, ".ovn"), "spec.provider is %s", p)
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
			v := c.Subnet.VPC
			return detail(v != "" && v != c.Snapshot.ClusterRouter, "spec.vpc is %s, not %s", v, c.Snapshot.ClusterRouter)
		},
		Fact: func(c *Case) string { return "spec.vpc is " + c.Subnet.VPC },
		Mend: says("use a VPC gateway for custom VPCs, or put the workload in a Subnet of the default VPC"),
	}
}

func notFormatted() Check {
	return Check{
		Reason: NotFormatted,
		When:   "`spec.vpc` or `spec.gatewayType` is still empty: Kube-OVN's controller has not formatted the Subnet yet.",
		Refuse: func(c *Case) string {
			switch t := c.Subnet.GatewayType; {
			case c.Subnet.VPC == "":
				return "spec.vpc is empty"
			case t == "":
				return "spec.gatewayType is empty"
			case t != Distributed && t != Centralized:
				return fmt.Sprintf("spec.gatewayType is %s, neither distributed nor centralized", t)
			}
			return ""
		},
		Fact: func(c *Case) string { return "spec.gatewayType is " + c.Subnet.GatewayType },
		Mend: says("look at kube-ovn-controller: it fills these fields in within moments"),
	}
}

func underlay() Check {
	return Check{
		Reason: Underlay,
		When:   "`spec.vlan` is set without `logicalGateway`: the physical switch is the gateway, not the nodes.",
		Refuse: func(c *Case) string {
			return detail(c.Subnet.VLAN != "" && !c.Subnet.LogicalGateway, "spec.vlan is %s and logicalGateway is false", c.Subnet.VLAN)
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
		When:   "`metadata.deletionTimestamp` is set. A finalizer may keep the object for a while; its prefix goes at once.",
		Refuse: func(c *Case) string {
			return detail(c.Subnet.Deleting, "metadata.deletionTimestamp is set")
		},
		Fact: says("not being deleted"),
		Mend: says("nothing to do; if it stays, look at what still uses its addresses"),
	}
}

func notValidated() Check {
	return Check{
		Reason: NotValidated,
		When:   "There is no condition `Validated=True`. (`Ready` drops on passing errors while traffic flows, so it is not asked.)",
		Refuse: func(c *Case) string {
			return detail(!c.Subnet.Validated, "no condition Validated=True in status")
		},
		Fact: says("status has Validated=True"),
		Mend: func(c *Case) string {
			return fmt.Sprintf("read Kube-OVN's verdict: kubectl get subnet %s -o jsonpath='{.status.conditions}'", c.Subnet.Name)
		},
	}
}

func natOutgoing() Check {
	return Check{
		Reason: NATOutgoing,
		When:   "`spec.natOutgoing` is true: replies would come from the node's address. Not with `allow-nat-policy: \"true\"` and a natOutgoingPolicyRule with action `forward`.",
		Refuse: func(c *Case) string {
			switch {
			case !c.Subnet.NATOutgoing || c.Tuning.AllowNATPolicy && c.Subnet.NATPolicyForwards:
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
			return fmt.Sprintf(`set natOutgoing to false: kubectl patch subnet %s --type=merge -p '{"spec":{"natOutgoing":false}}'`, c.Subnet.Name)
		},
	}
}

func externalEgressGateway() Check {
	return Check{
		Reason: ExternalEgressGateway,
		When:   "`spec.externalEgressGateway` is set: replies would leave past the peers.",
		Refuse: func(c *Case) string {
			g := c.Subnet.ExternalEgressGateway
			return detail(g != "", "spec.externalEgressGateway is %s", g)
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
		k := c.carriage()
		if k.reason != r {
			return ""
		}
		return k.detail
	}
}

func notGateway() Check {
	return Check{
		Reason: NotGateway,
		When:   "The Subnet is centralized and this node does not carry it now: it is not a gateway, or not the active one.",
		Refuse: carriageCheck(NotGateway),
		Fact: func(c *Case) string {
			switch r := c.Role(); r {
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
		When:   "The Subnet is centralized, this node is a gateway, and none is active.",
		Refuse: carriageCheck(NoActiveGateway),
		Fact: func(c *Case) string {
			if c.Subnet.GatewayType == Centralized {
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
			_, ok := c.Node.Labels[LabelExclude]
			return detail(ok, "Node %s has label %s", c.Node.Name, LabelExclude)
		},
		Fact: says("node is not excluded by label"),
		Mend: func(c *Case) string {
			return fmt.Sprintf("remove the label: kubectl label node %s %s-", c.Node.Name, LabelExclude)
		},
	}
}

func nodeNotReady() Check {
	return Check{
		Reason: NodeNotReady,
		When:   "The Node is not Ready, or has NetworkUnavailable.",
		Refuse: func(c *Case) string {
			switch {
			case !c.Node.Ready:
				return fmt.Sprintf("Node %s is not Ready", c.Node.Name)
			case c.Node.NetworkUnavailable:
				return fmt.Sprintf("Node %s has condition NetworkUnavailable", c.Node.Name)
			}
			return ""
		},
		Fact: says("node is Ready"),
		Mend: func(c *Case) string { return "kubectl describe node " + c.Node.Name },
	}
}

func draining() Check {
	return Check{
		Reason: Draining,
		When:   "The Node has the annotation `" + AnnotationDrain + ": \"true\"`.",
		Refuse: func(c *Case) string {
			on, err := Drained(c.Node, c.Snapshot.LastGoodNode)
			if err != nil && on {
				return fmt.Sprintf("%v; the last good value, true, stays in force", err)
			}
			return detail(on, "Node %s has annotation %s: \"true\"", c.Node.Name, AnnotationDrain)
		},
		Fact: says("node is not draining"),
		Mend: func(c *Case) string { return "kubectl annotate node " + c.Node.Name + " " + AnnotationDrain + "-" },
	}
}

// LiveChecks are the questions that only the node itself can answer, and last
// whether mode pods has anything to announce. What is not known refuses
// nothing.
func LiveChecks() []Check { return []Check{datapathDown(), hostNotReady(), noPods()} }

func datapathDown() Check {
	return Check{
		Reason: DatapathDown,
		When:   "Live only: this node has no working path to the CIDR (route by ovn0, link, join gateway).",
		Refuse: func(c *Case) string {
			if c.Snapshot.Live == nil {
				return ""
			}
			return c.Snapshot.Live.DatapathDown[c.Prefix]
		},
		Fact: says("the datapath is up, or not known here"),
		Mend: says("look at kube-ovn-cni on this node: it makes ovn0 and the routes by it"),
	}
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
			return detail(c.Tuning.Mode == ModePods && len(c.pods()) == 0, "no live Pod of %s in %s on %s", c.Subnet.Name, c.Text, c.Node.Name)
		},
		Fact: func(c *Case) string {
			if c.Tuning.Mode == ModePods {
				return fmt.Sprintf("mode pods: %d of this node's prefixes", len(c.pods()))
			}
			return "mode cidr"
		},
		Mend: says("nothing to do: the node announces its Pods as soon as it has some"),
	}
}
