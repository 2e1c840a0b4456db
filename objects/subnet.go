package objects

import (
	"fmt"
	"slices"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/routes"
)

// subnetSpec is the part of a Kube-OVN Subnet's spec that Fairway reads
// (pkg/apis/kubeovn/v1/subnet.go, which has the JSON names).
type subnetSpec struct {
	CIDRBlock              string                 `json:"cidrBlock,omitempty"`
	VPC                    string                 `json:"vpc,omitempty"`
	Provider               string                 `json:"provider,omitempty"`
	VLAN                   string                 `json:"vlan,omitempty"`
	LogicalGateway         bool                   `json:"logicalGateway,omitempty"`
	NATOutgoing            bool                   `json:"natOutgoing,omitempty"`
	NATOutgoingPolicyRules []natPolicyRule        `json:"natOutgoingPolicyRules,omitempty"`
	GatewayType            string                 `json:"gatewayType,omitempty"`
	GatewayNode            string                 `json:"gatewayNode,omitempty"`
	GatewayNodeSelectors   []metav1.LabelSelector `json:"gatewayNodeSelectors,omitempty"`
	EnableECMP             bool                   `json:"enableEcmp,omitempty"`
	ExternalEgressGateway  string                 `json:"externalEgressGateway,omitempty"`
	Private                bool                   `json:"private,omitempty"`
	AllowSubnets           []string               `json:"allowSubnets,omitempty"`
}

type natPolicyRule struct {
	Action string `json:"action"`
}

// subnetStatus is the part of its status.
type subnetStatus struct {
	// ActivateGateway really is spelt so.
	ActivateGateway string      `json:"activateGateway,omitempty"`
	Conditions      []condition `json:"conditions,omitempty"`
}

// condition is what Subnets and Nodes have in common, and LastUpdateTime, which
// those of Subnets have.
type condition struct {
	Type           string `json:"type"`
	Status         string `json:"status"`
	Reason         string `json:"reason,omitempty"`
	Message        string `json:"message,omitempty"`
	LastUpdateTime string `json:"lastUpdateTime,omitempty"`
}

// Types of a Subnet's conditions (pkg/apis/kubeovn/v1/condition.go); a Node has a
// Ready too.
const (
	conditionValidated = "Validated"
	conditionReady     = "Ready"
)

// conditionOf gives the condition of a type; the zero condition where there is
// none.
func conditionOf(conditions []condition, kind string) condition {
	for _, c := range conditions {
		if c.Type == kind {
			return c
		}
	}
	return condition{}
}

// gatewayVerdict gives the reason of a Subnet's condition Ready where it says that
// no gateway was found (pkg/controller/subnet.go, reconcileOvnDefaultVpcRoute), else
// "".
func gatewayVerdict(ready condition) string {
	switch {
	case ready.Status == "True":
	case ready.Reason == "NoActiveGatewayFound", ready.Reason == "NoReadyGateway":
		return ready.Reason
	}
	return ""
}

// Subnet is a Subnet before anything is filled in.
type Subnet struct {
	routes.Subnet
	// Formatted is true if a controller has written a status: what is empty is
	// meant to be empty.
	Formatted bool
}

// decodeSubnet reads a Subnet and ignores what it does not know.
func decodeSubnet(text []byte, r *report) (any, bool) {
	var d struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metaDocument `json:"metadata"`
		Spec            *subnetSpec  `json:"spec"`
		Status          subnetStatus `json:"status"`
	}
	if !decodeLenient(text, &d, r) {
		return nil, true
	}
	if d.Spec == nil {
		r.wrong("spec", missing, "a Subnet without one is only a part of one")
		return nil, false
	}
	return subnetOf(d.Metadata.read(r, readAnnotation), d.Spec, &d.Status, r), true
}

// subnetOf converts a Subnet. What its strings mean is not judged here: the
// core's checks turn a bad one into a reason.
func subnetOf(m metadata, spec *subnetSpec, status *subnetStatus, r *report) *Subnet {
	ready := conditionOf(status.Conditions, conditionReady)
	out := routes.Subnet{
		Name:                  m.name,
		Created:               m.created,
		Annotations:           m.annotations,
		CIDRBlock:             spec.CIDRBlock,
		VPC:                   shared(spec.VPC),
		Provider:              shared(spec.Provider),
		VLAN:                  spec.VLAN,
		LogicalGateway:        spec.LogicalGateway,
		NATOutgoing:           spec.NATOutgoing,
		NATPolicyForwards:     slices.Contains(spec.NATOutgoingPolicyRules, natPolicyRule{"forward"}),
		GatewayType:           shared(spec.GatewayType),
		GatewayNode:           shared(spec.GatewayNode),
		GatewayNodeSelectors:  gatewaySelectors(spec, r),
		EnableECMP:            spec.EnableECMP,
		ExternalEgressGateway: spec.ExternalEgressGateway,
		Private:               spec.Private,
		AllowSubnets:          append([]string(nil), spec.AllowSubnets...),
		Deleting:              m.deleting,
		Controlled:            len(status.Conditions) > 0,
		Validated:             conditionOf(status.Conditions, conditionValidated).Status == "True",
		Unjudged:              conditionOf(status.Conditions, conditionValidated).Status == "",
		Ready:                 ready.Status == "True",
		ReadyAt:               shared(ready.LastUpdateTime),
		GatewayVerdict:        gatewayVerdict(ready),
		ActiveGateway:         shared(status.ActivateGateway),
	}
	return &Subnet{*out.Parsed(), out.Controlled}
}

// shared gives the same string for all that are equal, as many Subnets say the same.
func shared(s string) string { return unique.Make(s).Value() }

// gatewaySelectors leaves selectors alone that Kube-OVN does not look at: those
// beside a gatewayNode (pkg/controller/subnet.go).
func gatewaySelectors(s *subnetSpec, r *report) []routes.Selector {
	if len(routes.ParseGatewayNodes(s.GatewayNode)) > 0 {
		return nil
	}
	var out []routes.Selector
	for i := range s.GatewayNodeSelectors {
		out = append(out, selectorOf(&s.GatewayNodeSelectors[i], fmt.Sprintf("spec.gatewayNodeSelectors[%d]", i), r))
	}
	return out
}
