package objects

// Vlan is the provider network of a Kube-OVN Vlan (spec.provider,
// pkg/apis/kubeovn/v1/vlan.go).
type Vlan string

type vlanSpec struct {
	Provider string `json:"provider"`
}

// decodeVlan reads a Vlan and ignores what it does not know.
func decodeVlan(text []byte, r *report) (any, bool) {
	var d struct {
		Spec *vlanSpec `json:"spec"`
	}
	if !decodeLenient(text, &d, r) {
		return nil, true
	}
	if d.Spec == nil {
		r.wrong("spec", missing, "a Vlan without one is only a part of one")
		return nil, false
	}
	return Vlan(d.Spec.Provider), true
}
