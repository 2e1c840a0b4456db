package routes

import (
	"net/netip"
	"time"
)

// History is what one node announced, and saw, until the moment of the decision.
// It is an input of the decision, which gives the next one with its answer: so a
// time (a second for others to announce, seconds of quiet) is a moment in a
// value, and a daemon that is started again in the middle decides as if it had
// not been away. The zero History knows nothing.
type History struct {
	// Known is whether Subnets has all that the node announced. It is false where
	// nobody told: then what depends on it says so.
	Known bool `json:"known,omitempty"`
	// Subnets is by name.
	Subnets map[string]SubnetHistory `json:"subnets,omitempty"`
	// RouterID is the BGP identifier that the node's speaker runs with; the zero
	// Addr where none does.
	RouterID netip.Addr `json:"routerID,omitzero"`
	// DrainSince is when the node was first seen to be drained; zero where it is not.
	DrainSince time.Time `json:"drainSince,omitzero"`
}

// SubnetHistory is what was seen of one Subnet.
type SubnetHistory struct {
	// CIDRBlock is what spec.cidrBlock was last, since CIDRSince; that is zero where
	// it was never seen to change. ReadyAt is the Subnet's own of that moment: a
	// verdict of Kube-OVN that is no newer is about the CIDRs before.
	CIDRBlock string    `json:"cidrBlock,omitempty"`
	CIDRSince time.Time `json:"cidrSince,omitzero"`
	ReadyAt   string    `json:"readyAt,omitempty"`
	// NAT is whether spec.natOutgoing was true last, NATEnded when it was first seen
	// false after it had been true.
	NAT      bool      `json:"nat,omitempty"`
	NATEnded time.Time `json:"natEnded,omitzero"`
	// Prefixes is by the Subnet's CIDR, also in mode pods.
	Prefixes map[netip.Prefix]PrefixHistory `json:"prefixes,omitempty"`
}

// PrefixHistory is what was done about one CIDR of a Subnet.
type PrefixHistory struct {
	// Role is that in which the node announces the CIDR, since Since; empty where it
	// does not.
	Role  Role      `json:"role,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Leaving is when another node was first seen to be the one that is to announce
	// it; zero where none is.
	Leaving time.Time `json:"leaving,omitzero"`
	// Down is whether the datapath was down last, since Turned or up since then.
	// Downs counts how often it went down lately.
	Down   bool      `json:"down,omitempty"`
	Turned time.Time `json:"turned,omitzero"`
	Downs  int       `json:"downs,omitempty"`
}

// Prefix gives what was done about a CIDR of a Subnet.
func (h History) Prefix(subnet string, cidr netip.Prefix) PrefixHistory {
	return h.Subnets[subnet].Prefixes[cidr]
}
