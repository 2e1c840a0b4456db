package kube

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/routes"
)

// subnet is the part of a Kube-OVN Subnet that Fairway reads
// (pkg/apis/kubeovn/v1/subnet.go, which has the JSON names).
type subnet struct {
	metav1.ObjectMeta
	Spec   subnetSpec
	Status subnetStatus
}

type subnetSpec struct {
	CIDRBlock              string                 `json:"cidrBlock"`
	VPC                    string                 `json:"vpc"`
	Provider               string                 `json:"provider"`
	VLAN                   string                 `json:"vlan"`
	LogicalGateway         bool                   `json:"logicalGateway"`
	NATOutgoing            bool                   `json:"natOutgoing"`
	NATOutgoingPolicyRules []natPolicyRule        `json:"natOutgoingPolicyRules"`
	GatewayType            string                 `json:"gatewayType"`
	GatewayNode            string                 `json:"gatewayNode"`
	GatewayNodeSelectors   []metav1.LabelSelector `json:"gatewayNodeSelectors"`
	EnableECMP             bool                   `json:"enableEcmp"`
	ExternalEgressGateway  string                 `json:"externalEgressGateway"`
	Private                bool                   `json:"private"`
	AllowSubnets           []string               `json:"allowSubnets"`
}

type natPolicyRule struct {
	Action string `json:"action"`
}

type subnetStatus struct {
	// ActivateGateway really is spelt so.
	ActivateGateway string      `json:"activateGateway"`
	Conditions      []condition `json:"conditions"`
}

// condition is what Subnets and Nodes have in common.
type condition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

// subnetDraft is a Subnet before anything is filled in.
type subnetDraft struct {
	routes.Subnet
	// formatted is true if a controller has written a status: what is empty is
	// meant to be empty.
	formatted bool
}

// decodeSubnet reads a Subnet and ignores what it does not know.
func decodeSubnet(text []byte, r *report) (any, bool) {
	var d struct {
		Metadata metaDocument `json:"metadata"`
		Spec     *subnetSpec  `json:"spec"`
		Status   subnetStatus `json:"status"`
	}
	if !decodeLenient(text, &d, r) {
		return nil, true
	}
	if d.Spec == nil {
		r.wrong("spec", missing, "a Subnet without one is only a part of one")
		return nil, false
	}
	return subnetOf(subnet{d.Metadata.objectMeta(r, readAnnotation), *d.Spec, d.Status}, r), true
}

// subnetOf converts a Subnet. What its strings mean is not judged here: the
// core's checks turn a bad one into a reason.
func subnetOf(s subnet, r *report) subnetDraft {
	out := routes.Subnet{
		Name:                  s.Name,
		Created:               created(s.ObjectMeta),
		Annotations:           selected(s.Annotations, readAnnotation),
		CIDRBlock:             s.Spec.CIDRBlock,
		VPC:                   s.Spec.VPC,
		Provider:              s.Spec.Provider,
		VLAN:                  s.Spec.VLAN,
		LogicalGateway:        s.Spec.LogicalGateway,
		NATOutgoing:           s.Spec.NATOutgoing,
		NATPolicyForwards:     slices.Contains(s.Spec.NATOutgoingPolicyRules, natPolicyRule{"forward"}),
		GatewayType:           s.Spec.GatewayType,
		GatewayNode:           s.Spec.GatewayNode,
		GatewayNodeSelectors:  gatewaySelectors(s.Spec, r),
		EnableECMP:            s.Spec.EnableECMP,
		ExternalEgressGateway: s.Spec.ExternalEgressGateway,
		Private:               s.Spec.Private,
		AllowSubnets:          slices.Clone(s.Spec.AllowSubnets),
		Deleting:              s.DeletionTimestamp != nil,
		Validated:             slices.Contains(s.Status.Conditions, condition{"Validated", "True"}),
		ActiveGateway:         s.Status.ActivateGateway,
	}
	return subnetDraft{out, len(s.Status.Conditions) > 0}
}

// gatewaySelectors leaves selectors alone that Kube-OVN does not look at: those
// beside a gatewayNode (pkg/controller/subnet.go).
func gatewaySelectors(s subnetSpec, r *report) []routes.Selector {
	if len(routes.ParseGatewayNodes(s.GatewayNode)) > 0 {
		return nil
	}
	var out []routes.Selector
	for i := range s.GatewayNodeSelectors {
		out = append(out, selectorOf(&s.GatewayNodeSelectors[i], fmt.Sprintf("spec.gatewayNodeSelectors[%d]", i), r))
	}
	return out
}
