package host

import (
	"net/netip"
	"strings"
)

// Family is a family of addresses.
type Family string

// The families.
const (
	IPv4 Family = "IPv4"
	IPv6 Family = "IPv6"
)

// familyName is IPv6, or else IPv4.
func familyName(six bool) Family {
	if six {
		return IPv6
	}
	return IPv4
}

// About is what a finding holds for. Exactly one of Prefix, Address, Setting and Link
// names it; with none of them it is the family, or, without one, the node.
type About struct {
	// Family is "" where the finding is about no addresses.
	Family Family `json:"family,omitempty"`
	// Prefix is a network of the Want, or a part of one.
	Prefix netip.Prefix `json:"prefix,omitzero"`
	// Part is which part of the traffic it is about: "udp", "RST", "from 10.0.0.0/8";
	// "" for all.
	Part string `json:"part,omitempty"`
	// Address is that of a router or of a join gateway.
	Address netip.Addr `json:"address,omitzero"`
	// Setting is a sysctl, as sysctl(8) takes it.
	Setting string `json:"setting,omitempty"`
	// Link is an uplink or the overlay link.
	Link string `json:"link,omitempty"`
}

// aboutNetwork is about a network, or a part of its traffic.
func aboutNetwork(p netip.Prefix, part string) About {
	return About{Family: familyName(p.Addr().Is6()), Prefix: p, Part: part}
}

// aboutAddress is about a router or a join gateway.
func aboutAddress(a netip.Addr) About {
	return About{Family: familyName(a.Is6()), Address: a}
}

// concerns reports whether it is about a network: about the network itself, networks
// inside, or all of its family.
func (a About) concerns(p netip.Prefix) bool {
	switch {
	case a.Prefix.IsValid():
		return p.Overlaps(a.Prefix) && a.Prefix.Bits() >= p.Bits()
	case a.Address.IsValid():
		return false
	}
	return a.Family == familyName(p.Addr().Is6())
}

// String is what people read as the subject.
func (a About) String() string {
	var words []string
	switch {
	case a.Prefix.IsValid():
		words = append(words, a.Prefix.String())
	case a.Address.IsValid():
		words = append(words, a.Address.String())
	case a.Setting != "":
		words = append(words, a.Setting)
	case a.Link != "":
		words = append(words, a.Link)
	case a.Family != "":
		words = append(words, string(a.Family))
	default:
		words = append(words, "node")
	}
	if a.Part != "" {
		words = append(words, a.Part)
	}
	return strings.Join(words, " ")
}
