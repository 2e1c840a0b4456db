package objects

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairway-bgp/fairway/routes"
)

// Annotations that Kube-OVN puts on a Pod for each of its providers, "ovn" or
// "<nad>.<namespace>.ovn" (pkg/util/const.go: "%s.kubernetes.io/ip_address").
const (
	podAddress = "ovn.kubernetes.io/ip_address"
	podSwitch  = "ovn.kubernetes.io/logical_switch"
)

// decodePod reads a Pod and ignores what it does not know.
func decodePod(text []byte, r *report) (any, bool) {
	var d struct {
		Metadata metaDocument `json:"metadata"`
		Spec     struct {
			NodeName    string `json:"nodeName"`
			HostNetwork bool   `json:"hostNetwork"`
		} `json:"spec"`
		Status struct {
			Phase string `json:"phase"`
		} `json:"status"`
	}
	decodeLenient(text, &d, r)
	p := corev1.Pod{ObjectMeta: d.Metadata.objectMeta(r, readPodAnnotation)}
	p.Spec.NodeName, p.Spec.HostNetwork = d.Spec.NodeName, d.Spec.HostNetwork
	p.Status.Phase = corev1.PodPhase(d.Status.Phase)
	return podsOf(&p, r), true
}

func readPodAnnotation(name string) bool {
	return isOf(name, podAddress) || isOf(name, podSwitch)
}

// isOf reports whether an annotation is the given one, of any OVN provider.
func isOf(name, annotation string) bool {
	return name == annotation || strings.HasSuffix(name, "."+annotation)
}

// podsOf gives a live Pod's attachments, one for each Subnet, sorted by Subnet.
// Addresses come from Kube-OVN's annotations and not from status.podIPs, which
// belongs to another CNI where Kube-OVN is the secondary one.
func podsOf(p *corev1.Pod, r *report) []routes.Pod {
	pods := []routes.Pod{}
	live := p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
	if !live || p.Spec.HostNetwork || p.Spec.NodeName == "" {
		return pods
	}
	for _, k := range slices.Sorted(maps.Keys(p.Annotations)) {
		if !isOf(k, podAddress) {
			continue
		}
		subnet := p.Annotations[strings.TrimSuffix(k, podAddress)+podSwitch]
		addresses := podAddresses(joinPath("metadata.annotations", k), p.Annotations[k], r)
		if subnet != "" && len(addresses) > 0 {
			pods = append(pods, routes.Pod{
				Namespace: p.Namespace, Name: p.Name, Node: p.Spec.NodeName,
				Subnet: subnet, Addresses: addresses,
			})
		}
	}
	slices.SortStableFunc(pods, func(a, b routes.Pod) int { return cmp.Compare(a.Subnet, b.Subnet) })
	return pods
}

func podAddresses(field, list string, r *report) []netip.Addr {
	var out []netip.Addr
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		addr, err := netip.ParseAddr(item)
		if err != nil {
			r.warn(field, item, "is not an IP address: left out")
			continue
		}
		out = append(out, addr.Unmap())
	}
	return out
}
