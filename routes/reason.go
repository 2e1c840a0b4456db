package routes

// Reason says why a prefix is withheld, or warned about. The set is closed: docs/reasons.md
// has an entry for each, and each has a golden case.
type Reason string

// Reasons for withholding, in the order in which they are tried.
const (
	InvalidAnnotation     Reason = "InvalidAnnotation"
	InvalidCIDR           Reason = "InvalidCIDR"
	JoinSubnet            Reason = "JoinSubnet"
	ForeignProvider       Reason = "ForeignProvider"
	CustomVPC             Reason = "CustomVPC"
	NotFormatted          Reason = "NotFormatted"
	Underlay              Reason = "Underlay"
	Deleting              Reason = "Deleting"
	NotValidated          Reason = "NotValidated"
	NATOutgoing           Reason = "NATOutgoing"
	ExternalEgressGateway Reason = "ExternalEgressGateway"
	UnsafePrefix          Reason = "UnsafePrefix"
	Overlap               Reason = "Overlap"
	NotGateway            Reason = "NotGateway"
	NoActiveGateway       Reason = "NoActiveGateway"
	NodeExcluded          Reason = "NodeExcluded"
	NodeNotReady          Reason = "NodeNotReady"
	Draining              Reason = "Draining"
	NoPeer                Reason = "NoPeer"
	DatapathDown          Reason = "DatapathDown"
	HostNotReady          Reason = "HostNotReady"
	NoPods                Reason = "NoPods"
)

// Role says in which capacity a node announces a prefix.
type Role string

// Roles. Distributed: every node, ECMP. Active: the one active gateway. ECMP:
// one of several active gateways. Standby: a gateway that waits, with a worse
// path. Pod: host routes of the node's own Pods.
const (
	RoleDistributed Role = "distributed"
	RoleActive      Role = "active"
	RoleECMP        Role = "ecmp"
	RoleStandby     Role = "standby"
	RolePod         Role = "pod"
)

// Roles gives all of them.
func Roles() []Role {
	return []Role{RoleDistributed, RoleActive, RoleECMP, RoleStandby, RolePod}
}

// Reasons for warnings: what they are about is announced all the same.
const (
	// KeptAnnounced: a rule would not let the node begin, but it announces already
	// and goes on.
	KeptAnnounced Reason = "KeptAnnounced"
	// Private: ACLs drop outside sources unless allowSubnets has their network.
	Private Reason = "Private"
	// UnknownPeer: annotation peers names a BGPPeer that does not exist.
	UnknownPeer Reason = "UnknownPeer"
	// UnknownAnnotation: a fairway.dev/ annotation that means nothing.
	UnknownAnnotation Reason = "UnknownAnnotation"
	// IgnoredAnnotation: an annotation that has no effect on this Subnet.
	IgnoredAnnotation Reason = "IgnoredAnnotation"
	// NATPolicy: announced though part of the traffic is NATed.
	NATPolicy Reason = "NATPolicy"
	// AsymmetricReturn: replies take another way than requests, by design of the
	// Subnet.
	AsymmetricReturn Reason = "AsymmetricReturn"
	// PeerSkipped: a neighbour would refuse the prefix, for the next hop is its own
	// address.
	PeerSkipped Reason = "PeerSkipped"
	// InvalidPeer: a BGPPeer that selects the node gives no session.
	InvalidPeer Reason = "InvalidPeer"
	// RestartOrFailure: BFD and graceful restart are asked for with one router.
	RestartOrFailure Reason = "RestartOrFailure"
	// DuplicateRouterID: another node has the same BGP identifier.
	DuplicateRouterID Reason = "DuplicateRouterID"
	// PodPrefixLimit: in mode pods a peer gets the CIDR, for the Pods are more prefixes
	// than it takes.
	PodPrefixLimit Reason = "PodPrefixLimit"
	// DoubleAnnouncement: kube-ovn-speaker is asked to announce it too.
	DoubleAnnouncement Reason = "DoubleAnnouncement"
)
