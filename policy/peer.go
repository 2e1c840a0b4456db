package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/bfd"
	"github.com/fairway-bgp/fairway/routes"
)

// Snapshot is a routes.Snapshot and the BGP peers.
type Snapshot struct {
	routes.Snapshot
	Peers []Peer
	// InForce names, by neighbour, the BGPPeer that the daemon's own node has a
	// session of, so that another one with its address cannot take that over.
	// Elsewhere it is nil.
	InForce map[netip.Addr]InForce
	// Found is what the daemon's own node finds now where it looks for neighbours,
	// Settled what it has settled on so far, and Up are the neighbours that it has a
	// session with. Elsewhere they are nil.
	Found   map[Search]Found
	Settled map[Search]Settled
	Up      map[netip.Addr]bool
}

// WithNode gives the Snapshot with one more Node.
func (s Snapshot) WithNode(n routes.Node) Snapshot {
	s.Nodes = append(slices.Clone(s.Nodes), n)
	slices.SortFunc(s.Nodes, func(a, b routes.Node) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// InForce is what a daemon's own node has with a neighbour: whose session, and as
// which AS.
type InForce struct {
	Peer     string `json:"peer"`
	LocalASN uint32 `json:"localASN"`
}

// Node gives the Node of that name, nil where there is none.
func (s Snapshot) Node(name string) *routes.Node {
	for i := range s.Nodes {
		if s.Nodes[i].Name == name {
			return &s.Nodes[i]
		}
	}
	return nil
}

// HasNode reports whether the Snapshot has a Node of that name.
func (s Snapshot) HasNode(name string) bool { return s.Node(name) != nil }

// nodeOrBare is Node, and one that has nothing but its name where there is none.
func (s Snapshot) nodeOrBare(name string) *routes.Node {
	if n := s.Node(name); n != nil {
		return n
	}
	return &routes.Node{Name: name}
}

// AssumeNode gives the Snapshot with a Ready Node of that name where it has no
// Node at all: files that hold only Subnets can still be planned for.
func (s Snapshot) AssumeNode(name string) Snapshot {
	if len(s.Nodes) == 0 {
		s.Nodes = []routes.Node{{Name: name, Ready: true, Allocated: true}}
	}
	return s
}

// AssumePeer gives the Snapshot with a peer of every node where it has no
// BGPPeer at all: static routes can be planned for without BGP.
func (s Snapshot) AssumePeer() Snapshot {
	if len(s.Peers) == 0 {
		s.Peers = []Peer{{Name: "static", LocalASN: 64512, SessionSettings: SessionSettings{
			Address: netip.IPv4Unspecified(), PeerASN: 64512, Families: []Family{IPv4Unicast, IPv6Unicast},
		}}}
	}
	return s
}

// Peer is a BGPPeer object (api/v1alpha1), parsed: a neighbour of every node
// that Nodes selects.
type Peer struct {
	Name string
	// Created decides which of two peers with one address has the session, where
	// neither has it yet.
	Created time.Time
	Nodes   routes.Selector
	// LocalASN is 0 where the object leaves it to the node's annotation
	// fairway.dev/local-asn.
	LocalASN uint32
	// PasswordSecret names the Secret with the password, empty where there is none.
	PasswordSecret string
	// SessionSettings hold what does not depend on the node.
	SessionSettings
}

// key is the same for two that are one neighbour to the node.
func (s SessionSettings) key() string {
	if s.Address.IsValid() {
		return s.Address.String()
	}
	return string(s.Search())
}

// given is what the BGPPeer says of where the neighbour is, by its fields.
func (p Peer) given() string {
	switch {
	case p.Interface != "":
		return "spec.interface " + p.Interface
	case p.Discovery != "" && p.Address.IsValid():
		return fmt.Sprintf("spec.peerDiscovery %s, %s,", p.Discovery, p.Address)
	case p.Discovery != "":
		return "spec.peerDiscovery " + string(p.Discovery)
	}
	return "spec.peerAddress " + p.Address.String()
}

// Timers of a session that names none. RFC 4271 section 10 suggests the hold time;
// GoBGP's own 120 s between two attempts to connect would keep a repaired link idle
// for two minutes.
const (
	DefaultHoldTime     = 90 * time.Second
	DefaultConnectRetry = 5 * time.Second
)

// SessionSettings are the fields of a BGP session that a BGPPeer gives as they
// are.
type SessionSettings struct {
	// Address of the neighbour, with a zone for an IPv6 link-local one. It is the zero
	// Addr where the neighbour is looked for (Interface, Discovery), until it is found.
	Address netip.Addr `json:"address"`
	// Interface names the link whose router advertisements give the address, "" for none.
	Interface string `json:"interface,omitempty"`
	// Discovery is what else gives it, "" for nothing.
	Discovery Discovery `json:"peerDiscovery,omitempty"`
	// Missing says why it is not found, or not there at the moment; "" otherwise.
	Missing string `json:"missing,omitempty"`
	// Port is the neighbour's TCP port, inet.BGPPort unless given.
	Port uint16 `json:"port"`
	// PeerASN is 0 for any AS but our own (DynamicASN external).
	PeerASN uint32 `json:"peerASN"`
	// DynamicASN is "" where the BGPPeer gives the number.
	DynamicASN DynamicASN `json:"dynamicASN,omitempty"`
	// SourceAddress is the zero Addr where the kernel chooses.
	SourceAddress netip.Addr `json:"sourceAddress"`
	// Password for TCP MD5 (RFC 2385); empty for none.
	Password Password `json:"password"`
	// EBGPMultihop allows an eBGP neighbour that is not on a connected network.
	EBGPMultihop bool `json:"ebgpMultihop"`
	// TTLSecurity is GTSM (RFC 5082) for a neighbour one hop away.
	TTLSecurity bool `json:"ttlSecurity"`
	// Passive waits for the neighbour to dial; otherwise only we dial.
	Passive          bool          `json:"passive"`
	HoldTime         time.Duration `json:"holdTime"`
	KeepaliveTime    time.Duration `json:"keepaliveTime"`
	ConnectRetryTime time.Duration `json:"connectRetryTime"`
	// Families to negotiate; never empty, sorted.
	Families []Family `json:"families"`
	// ExtendedNextHop allows IPv4 prefixes with an IPv6 next hop (RFC 8950).
	ExtendedNextHop bool `json:"extendedNextHop"`
	// GracefulRestartTime is 0 where graceful restart (RFC 4724) is off.
	GracefulRestartTime time.Duration `json:"gracefulRestartTime"`
	// BFD watches the path to the neighbour (RFC 5880) with these timers; the zero value
	// does not.
	BFD bfd.Settings `json:"bfd,omitzero"`
	// MaxPodPrefixes is how many prefixes of Pods of one CIDR the neighbour gets at most;
	// beyond that it gets the CIDR. 0 is as many as there are.
	MaxPodPrefixes uint32 `json:"maxPodPrefixes,omitempty"`
	// Defaults are attributes for Subnets that do not say otherwise.
	Defaults Defaults `json:"-"`
}

// Defaults are a peer's attribute defaults. Communities are added to those of
// the Subnet; a number counts where the Subnet gives none.
type Defaults struct {
	Communities      []routes.Community
	LargeCommunities []routes.LargeCommunity
	MED              *uint32
	LocalPref        *uint32
	ASPathPrepend    *uint8
}

// Session is a BGP session that one node shall have.
type Session struct {
	// Peer is the BGPPeer's name.
	Peer     string `json:"peer"`
	LocalASN uint32 `json:"localASN"`
	SessionSettings
}

// Internal reports whether the session is iBGP.
func (s Session) Internal() bool { return s.LocalASN == s.PeerASN }

// Family is an address family with SAFI unicast.
type Family string

// Families, by the names that BGPPeer's spec.families takes.
const (
	IPv4Unicast Family = "ipv4-unicast"
	IPv6Unicast Family = "ipv6-unicast"
)

// FamilyOf gives the family that a prefix is announced in.
func FamilyOf(p netip.Prefix) Family {
	if p.Addr().Is4() {
		return IPv4Unicast
	}
	return IPv6Unicast
}

// Password is a secret string. Printing or marshalling it never shows it; use
// string(p) where it is really needed.
type Password string

// String hides the password.
func (p Password) String() string {
	if p == "" {
		return ""
	}
	return "(set)"
}

// GoString hides the password from %#v.
func (p Password) GoString() string { return p.String() }

// MarshalText hides the password from JSON and YAML.
func (p Password) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
