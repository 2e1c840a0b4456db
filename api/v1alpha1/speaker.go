package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// HeartbeatTerm is how long a daemon may leave its Lease unrenewed until it counts as dead.
const HeartbeatTerm = 40 * time.Second

// Speaker is what one node says about itself: its BGP sessions, what it
// announces, what it withholds and why. It has the Node's name, is written by
// that node alone, and holds status only.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=spk
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Up",type=integer,description="Sessions that are established",JSONPath=`.status.established`
// +kubebuilder:printcolumn:name="Sessions",type=integer,JSONPath=`.status.configured`
// +kubebuilder:printcolumn:name="Announced",type=integer,description="Prefixes that some router has been sent",JSONPath=`.status.announced.sent`
// +kubebuilder:printcolumn:name="Withheld",type=integer,JSONPath=`.status.withheld.count`
// +kubebuilder:printcolumn:name="Planned",type=integer,priority=1,description="Prefixes that the node is to announce",JSONPath=`.status.announced.count`
// +kubebuilder:printcolumn:name="In Sync",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="RoutesInSync")].status`
// +kubebuilder:printcolumn:name="Host Ready",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="HostReady")].status`
// +kubebuilder:printcolumn:name="Source Fresh",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="SourceFresh")].status`
// +kubebuilder:printcolumn:name="Router ID",type=string,priority=1,JSONPath=`.status.routerID`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Speaker struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Status SpeakerStatus `json:"status,omitempty"`
}

// SpeakerList is a list of Speakers.
//
// +kubebuilder:object:root=true
type SpeakerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Speaker `json:"items"`
}

// SpeakerStatus is a node's own account. Its lists are bounded, so that the
// object stays small with any number of Subnets; the counts are whole.
type SpeakerStatus struct {
	// RouterID is the BGP identifier, an IPv4 address.
	// +optional
	RouterID string `json:"routerID,omitempty"`

	// Established is the number of sessions in state Established.
	Established int32 `json:"established"`

	// Configured is the number of sessions that the node shall have.
	Configured int32 `json:"configured"`

	// Sessions are sorted by peer.
	// +optional
	// +listType=map
	// +listMapKey=peer
	// +kubebuilder:validation:MaxItems=64
	Sessions []SessionStatus `json:"sessions,omitempty"`

	// Announced are the prefixes that the node originates, and to whom they have been
	// sent.
	// +optional
	Announced AnnouncedPrefixes `json:"announced,omitempty"`

	// Withheld are the prefixes of selected Subnets that it does not.
	// +optional
	Withheld WithheldPrefixes `json:"withheld,omitempty"`

	// Findings are what is wrong or unknown about the host.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Findings []FindingStatus `json:"findings,omitempty"`

	// Problems are objects that the node cannot use as they are, such as a BGPPeer whose
	// Secret is not there; what was good last stays in force.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Problems []ProblemStatus `json:"problems,omitempty"`

	// Heartbeat is the Lease that the daemon renews every 10 s while it runs, as
	// NAMESPACE/NAME; absent where it cannot write one.
	// +optional
	Heartbeat string `json:"heartbeat,omitempty"`

	// DrainRequest repeats the Node's annotation fairway.dev/drain-request: the
	// drain that the condition Drained is about.
	// +optional
	DrainRequest string `json:"drainRequest,omitempty"`

	// DrainUntil is when a draining node will withdraw what it still announces, with
	// GRACEFUL_SHUTDOWN and a path that loses; absent where it does not wait.
	// +optional
	DrainUntil *metav1.Time `json:"drainUntil,omitempty"`

	// Conditions sum it up; Ready is true when the wish is carried out.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SessionStatus is one BGP session as it is.
type SessionStatus struct {
	// Peer is the BGPPeer's name.
	Peer string `json:"peer"`
	// Address of the neighbour.
	Address string `json:"address"`
	// PeerASN is the neighbour's AS; absent while it is any, and no OPEN has told it.
	// +optional
	PeerASN int64 `json:"peerASN,omitempty"`
	// LocalAddress is the node's own, while the session is up: the next hop of what it
	// is sent without another one.
	// +optional
	LocalAddress string `json:"localAddress,omitempty"`
	// State is that of RFC 4271 section 8.2.2, in lower case.
	State string `json:"state"`
	// Since is when the session entered the state.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// LastError is why the session was down last.
	// +optional
	LastError string `json:"lastError,omitempty"`
	// Trouble is why not everything that is planned for the peer can be sent to it, and
	// what to change; absent where nothing is in the way.
	// +optional
	Trouble string `json:"trouble,omitempty"`
	// NotOffered are the families that the router did not offer, of which the node has
	// prefixes for it, so that these are not sent; none unless the session is up.
	// +optional
	// +listType=atomic
	NotOffered []string `json:"notOffered,omitempty"`
	// BFD is the state of the path to the neighbour (RFC 5880 section 6.2), in lower
	// case; absent without spec.bfd.
	// +optional
	BFD string `json:"bfd,omitempty"`
	// Advertised is the number of prefixes that left by the session.
	Advertised int64 `json:"advertised"`
	// Planned is the number of prefixes that the node has for the peer.
	// +optional
	Planned int64 `json:"planned"`
	// Flaps counts how often the session went down after it was up, since the daemon
	// started.
	// +optional
	Flaps int64 `json:"flaps,omitempty"`
	// LastReset is when that was last.
	// +optional
	LastReset *metav1.Time `json:"lastReset,omitempty"`
	// LastResetReason is why, one of docs/metrics.md, with the code and subcode of the
	// NOTIFICATION if there was one.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LastResetReason string `json:"lastResetReason,omitempty"`
}

// AnnouncedPrefixes are the first of them, and how many there are.
type AnnouncedPrefixes struct {
	// Count of all of them, sent or not.
	Count int64 `json:"count"`
	// Sent is how many of them some router has been sent: the session is up, and both
	// ends offered the family.
	// +optional
	Sent int64 `json:"sent"`
	// First are the first ones in order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	First []AnnouncedPrefix `json:"first,omitempty"`
}

// AnnouncedPrefix is one prefix that the node originates.
type AnnouncedPrefix struct {
	// Prefix in CIDR notation.
	Prefix string `json:"prefix"`
	// Subnet that it belongs to.
	Subnet string `json:"subnet"`
	// Role is distributed, active, ecmp, standby or pod.
	Role string `json:"role"`
	// NextHop is the address that the Subnet asks for; absent for the node's own, which
	// is the localAddress of each session.
	// +optional
	NextHop string `json:"nextHop,omitempty"`
	// Peers are the BGPPeers that it is for; absent for all that the node has sessions
	// with.
	// +optional
	// +listType=atomic
	Peers []string `json:"peers,omitempty"`
	// NotSentTo are the BGPPeers that it is for and that have not been sent it.
	// +optional
	// +listType=atomic
	NotSentTo []string `json:"notSentTo,omitempty"`
	// Sent is whether some router has been sent it.
	// +optional
	Sent bool `json:"sent"`
}

// WithheldPrefixes are the first of them, and how many there are.
type WithheldPrefixes struct {
	// Count of all of them.
	Count int64 `json:"count"`
	// Reasons counts them by reason.
	// +optional
	Reasons map[string]int64 `json:"reasons,omitempty"`
	// First are the first ones in order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	First []WithheldPrefix `json:"first,omitempty"`
}

// WithheldPrefix is one prefix of a selected Subnet that the node does not
// originate.
type WithheldPrefix struct {
	// Prefix as the Subnet has it.
	Prefix string `json:"prefix"`
	// Subnet that it belongs to.
	Subnet string `json:"subnet"`
	// Reason is one of docs/reasons.md.
	Reason string `json:"reason"`
	// Detail says what exactly.
	// +optional
	Detail string `json:"detail,omitempty"`
}

// FindingStatus is one finding about the host that is not ok.
type FindingStatus struct {
	// Check is the finding's id.
	Check string `json:"check"`
	// Subject is what it is about, such as a prefix.
	// +optional
	Subject string `json:"subject,omitempty"`
	// State is wrong or unknown.
	State string `json:"state"`
	// Why it matters.
	// +optional
	Why string `json:"why,omitempty"`
	// Fix says what to do.
	// +optional
	Fix string `json:"fix,omitempty"`
}

// ProblemStatus is one thing that is wrong with an object.
type ProblemStatus struct {
	// Object is kind and name, such as "BGPPeer tor".
	// +optional
	Object string `json:"object,omitempty"`
	// Text says what is wrong and what to do, with the field's path.
	Text string `json:"text"`
}
