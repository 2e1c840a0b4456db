package objects

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

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

// decodeNode reads a Node and ignores what it does not know.
func decodeNode(text []byte, r *report) (any, bool) {
	var d struct {
		Metadata metaDocument `json:"metadata"`
		Spec     slimNodeSpec `json:"spec"`
		Status   struct {
			Addresses  []corev1.NodeAddress `json:"addresses"`
			Conditions []condition          `json:"conditions"`
		} `json:"status"`
	}
	decodeLenient(text, &d, r)
	n := corev1.Node{ObjectMeta: d.Metadata.objectMeta(r, readNodeAnnotation)}
	for _, t := range d.Spec.Taints {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: t.Key, Value: t.Value})
	}
	n.Status.Addresses = d.Status.Addresses
	for _, c := range d.Status.Conditions {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{
			Type: corev1.NodeConditionType(c.Type), Status: corev1.ConditionStatus(c.Status), Message: c.Message,
		})
	}
	return nodeOf(&n, r), true
}

// nodeOf converts a Node.
func nodeOf(n *corev1.Node, r *report) Node {
	out := Node{Reported: len(n.Status.Conditions) > 0}
	out.Name = n.Name
	out.Labels = selected(n.Labels, func(string) bool { return true })
	out.Annotations = selected(n.Annotations, readAnnotation)
	allocated, judged := n.Annotations[annotationAllocated]
	out.Allocated, out.Judged = allocated == "true", judged
	out.Taints = taintsOf(n.Spec.Taints)
	for i, a := range n.Status.Addresses {
		if a.Type != corev1.NodeInternalIP {
			continue
		}
		addr, err := netip.ParseAddr(a.Address)
		if err != nil {
			r.warn(fmt.Sprintf("status.addresses[%d].address", i), a.Address, "is not an IP address: left out")
			continue
		}
		out.InternalIPs = append(out.InternalIPs, addr.Unmap())
	}
	for _, c := range n.Status.Conditions {
		switch c.Type {
		case corev1.NodeReady:
			out.Ready = c.Status == corev1.ConditionTrue
			out.ShuttingDown = c.Status == corev1.ConditionFalse && strings.Contains(c.Message, shuttingDown)
		case corev1.NodeNetworkUnavailable:
			out.NetworkUnavailable = c.Status == corev1.ConditionTrue
		}
	}
	return out
}

// taintsOf gives taints as "key" or "key=value", sorted; one that stands there with
// two effects once.
func taintsOf(taints []corev1.Taint) []string {
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
