package objects

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/routes"
)

// annotationAllocated is "true" on a Node that has its join address
// (pkg/util/const.go: AllocatedAnnotation).
const annotationAllocated = "ovn.kubernetes.io/allocated"

// shuttingDown is what the kubelet adds to the message of Ready=False during a
// graceful shutdown (pkg/kubelet/nodeshutdown; pkg/kubelet/nodestatus/setters.go
// joins it with whatever else is wrong).
const shuttingDown = "node is shutting down"

// Node is a Node before anything is filled in.
type Node struct {
	routes.Node
	// Reported is true if something has written conditions, Judged if Kube-OVN's
	// annotation says whether the node has its join address.
	Reported, Judged bool
}

// nodeSpec is the part of a Node's spec that Fairway reads.
type nodeSpec struct {
	Taints []taint `json:"taints,omitempty"`
}

type taint struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

// nodeStatus is the part of its status.
type nodeStatus struct {
	Addresses  []nodeAddress `json:"addresses,omitempty"`
	Conditions []condition   `json:"conditions,omitempty"`
}

type nodeAddress struct {
	Type    string `json:"type"`
	Address string `json:"address"`
}

// Types of a Node's conditions and addresses (k8s.io/api/core/v1).
const (
	networkUnavailable = "NetworkUnavailable"
	internalIP         = "InternalIP"
)

// decodeNode reads a Node and ignores what it does not know.
func decodeNode(text []byte, r *report) (any, bool) {
	var d struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metaDocument `json:"metadata"`
		Spec            nodeSpec     `json:"spec"`
		Status          nodeStatus   `json:"status"`
	}
	decodeLenient(text, &d, r)
	return nodeOf(d.Metadata.read(r, readNodeAnnotation), d.Spec, d.Status, r), true
}

// nodeOf converts a Node.
func nodeOf(m metadata, spec nodeSpec, status nodeStatus, r *report) Node {
	ready := conditionOf(status.Conditions, conditionReady)
	allocated, judged := m.annotations[annotationAllocated]
	return Node{Reported: len(status.Conditions) > 0, Judged: judged, Node: routes.Node{
		Name:               m.name,
		Labels:             m.labels,
		Annotations:        selected(m.annotations, readAnnotation),
		InternalIPs:        internalIPs(status.Addresses, r),
		Taints:             taintsOf(spec.Taints),
		Ready:              ready.Status == "True",
		ShuttingDown:       ready.Status == "False" && strings.Contains(ready.Message, shuttingDown),
		NetworkUnavailable: conditionOf(status.Conditions, networkUnavailable).Status == "True",
		Allocated:          allocated == "true",
	}}
}

func internalIPs(addresses []nodeAddress, r *report) []netip.Addr {
	var out []netip.Addr
	for i, a := range addresses {
		if a.Type != internalIP {
			continue
		}
		addr, err := netip.ParseAddr(a.Address)
		if err != nil {
			r.warn(fmt.Sprintf("status.addresses[%d].address", i), a.Address, "is not an IP address: left out")
			continue
		}
		out = append(out, addr.Unmap())
	}
	return out
}

// taintsOf gives taints as "key" or "key=value", sorted; one that stands there with
// two effects once.
func taintsOf(taints []taint) []string {
	var out []string
	for _, t := range taints {
		if t.Value != "" {
			t.Key += "=" + t.Value
		}
		out = append(out, t.Key)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
