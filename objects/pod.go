package objects

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/routes"
)

// Annotations that Kube-OVN puts on a Pod for each of its providers, "ovn" or
// "<nad>.<namespace>.ovn" (pkg/util/const.go: "%s.kubernetes.io/ip_address").
const (
	podAddress = "ovn.kubernetes.io/ip_address"
	podSwitch  = "ovn.kubernetes.io/logical_switch"
	// podAllocated is "true" once the addresses are the Pod's: before, they are those
	// that it asks for, as a Pod with a static address does that waits for the one
	// before it to end (pkg/controller/pod.go, reconcileAllocateSubnets).
	podAllocated = "ovn.kubernetes.io/allocated"
)

// podSpec is the part of a Pod's spec that Fairway reads.
type podSpec struct {
	NodeName    string `json:"nodeName,omitempty"`
	HostNetwork bool   `json:"hostNetwork,omitempty"`
}

// podStatus is the part of its status.
type podStatus struct {
	Phase string `json:"phase,omitempty"`
}

// ended reports whether the Pod's containers have ended for good
// (k8s.io/api/core/v1, PodPhase).
func (s podStatus) ended() bool { return s.Phase == "Succeeded" || s.Phase == "Failed" }

// decodePod reads a Pod and ignores what it does not know.
func decodePod(text []byte, r *report) (any, bool) {
	var d struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metaDocument `json:"metadata"`
		Spec            podSpec      `json:"spec"`
		Status          podStatus    `json:"status"`
	}
	decodeLenient(text, &d, r)
	return podsOf(d.Metadata.read(r, readPodAnnotation), d.Spec, d.Status, r), true
}

func readPodAnnotation(name string) bool {
	return isOf(name, podAddress) || isOf(name, podSwitch) || isOf(name, podAllocated)
}

// isOf reports whether an annotation is the given one, of any OVN provider.
func isOf(name, annotation string) bool {
	return name == annotation || strings.HasSuffix(name, "."+annotation)
}

// podsOf gives a live Pod's attachments, one for each provider, sorted by Subnet.
// Addresses come from Kube-OVN's annotations and not from status.podIPs, which
// belongs to another CNI where Kube-OVN is the secondary one.
func podsOf(m metadata, spec podSpec, status podStatus, r *report) []routes.Pod {
	pods := []routes.Pod{}
	if status.ended() || spec.HostNetwork || spec.NodeName == "" {
		return pods
	}
	for _, k := range slices.Sorted(maps.Keys(m.annotations)) {
		if !isOf(k, podAddress) {
			continue
		}
		provider := strings.TrimSuffix(k, podAddress)
		if allocated, says := m.annotations[provider+podAllocated]; allocated != "true" && (says || !r.inFile) {
			continue
		}
		subnet := m.annotations[provider+podSwitch]
		addresses := podAddresses(joinPath("metadata.annotations", k), m.annotations[k], r)
		if subnet != "" && len(addresses) > 0 {
			pods = append(pods, routes.Pod{
				Namespace: m.namespace, Name: m.name, Node: spec.NodeName,
				Subnet: subnet, Addresses: addresses, Lingers: m.lingers,
			})
		}
	}
	slices.SortStableFunc(pods, func(a, b routes.Pod) int { return cmp.Compare(a.Subnet, b.Subnet) })
	return pods
}

// lingers is for how long the addresses of a Pod that is being deleted stay its own though
// the object is there for longer, as where its node's kubelet does not answer
// (pkg/controller/pod.go, isPodAlive): for the grace period, at whose end the time of the
// deletion is, and as long again. A second more, as that time has no fractions.
func lingers(deletion *metav1.Time, graceSeconds *int64) time.Duration {
	if deletion == nil || graceSeconds == nil {
		return 0
	}
	return time.Duration(2**graceSeconds+1) * time.Second
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
