package kube

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairway-bgp/fairway/routes"
)

// nodeDraft is a Node before anything is filled in.
type nodeDraft struct {
	routes.Node
	// reported is true if something has written conditions.
	reported bool
}

// decodeNode reads a Node and ignores what it does not know.
func decodeNode(text []byte, r *report) (any, bool) {
	var d struct {
		Metadata metaDocument `json:"metadata"`
		Status   struct {
			Addresses  []corev1.NodeAddress `json:"addresses"`
			Conditions []condition          `json:"conditions"`
		} `json:"status"`
	}
	decodeLenient(text, &d, r)
	n := corev1.Node{ObjectMeta: d.Metadata.objectMeta(r, readNodeAnnotation)}
	n.Status.Addresses = d.Status.Addresses
	for _, c := range d.Status.Conditions {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{
			Type: corev1.NodeConditionType(c.Type), Status: corev1.ConditionStatus(c.Status),
		})
	}
	return nodeOf(&n, r), true
}

// nodeOf converts a Node.
func nodeOf(n *corev1.Node, r *report) nodeDraft {
	out := nodeDraft{reported: len(n.Status.Conditions) > 0}
	out.Name = n.Name
	out.Labels = selected(n.Labels, func(string) bool { return true })
	out.Annotations = selected(n.Annotations, readNodeAnnotation)
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
		case corev1.NodeNetworkUnavailable:
			out.NetworkUnavailable = c.Status == corev1.ConditionTrue
		}
	}
	return out
}
