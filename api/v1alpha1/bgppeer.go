package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BGPPeer is a BGP neighbour of every node that its nodeSelector selects.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=bgpp
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.peerAddress`
// +kubebuilder:printcolumn:name="ASN",type=integer,format=int64,description="The neighbour's AS number",JSONPath=`.spec.peerASN`
// +kubebuilder:printcolumn:name="Up",type=string,description="Sessions that are established, of those that there shall be",JSONPath=`.status.up`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Interface",type=string,priority=1,JSONPath=`.spec.interface`
// +kubebuilder:printcolumn:name="Discovery",type=string,priority=1,JSONPath=`.spec.peerDiscovery`
// +kubebuilder:printcolumn:name="Dynamic ASN",type=string,priority=1,JSONPath=`.spec.dynamicASN`
// +kubebuilder:printcolumn:name="Local ASN",type=integer,format=int64,priority=1,JSONPath=`.spec.localASN`
// +kubebuilder:printcolumn:name="Hold",type=string,priority=1,JSONPath=`.spec.holdTime`
// +kubebuilder:printcolumn:name="Password Secret",type=string,priority=1,JSONPath=`.spec.passwordSecretRef.name`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type BGPPeer struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the wished neighbour.
	// +required
	Spec BGPPeerSpec `json:"spec"`

	// Status is what became of it on all nodes, by what their Speakers say. One daemon
	// writes it, which is elected.
	// +optional
	Status BGPPeerStatus `json:"status,omitzero"`
}

// BGPPeerStatus sums up the sessions of all nodes with the neighbour.
type BGPPeerStatus struct {
	// ObservedGeneration is the metadata.generation of the spec that this is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Nodes is the number of Nodes that the nodeSelector selects.
	// +optional
	Nodes int32 `json:"nodes"`

	// Wanted is the number of nodes that shall have a session, and Established of those
	// that have it.
	// +optional
	Wanted int32 `json:"wanted"`
	// +optional
	Established int32 `json:"established"`

	// Up is both numbers as a person reads them, such as "2/3".
	// +optional
	Up string `json:"up,omitempty"`

	// Failing are the first nodes by name whose session is down, or cannot carry all
	// that is planned.
	// +optional
	// +listType=map
	// +listMapKey=node
	// +kubebuilder:validation:MaxItems=16
	Failing []FailingNode `json:"failing,omitempty"`

	// Conditions has Ready: every session that there shall be is up, and carries all that
	// is planned for it.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// FailingNode is a node whose session with the neighbour is not as it should be.
type FailingNode struct {
	// Node is the Node's name.
	Node string `json:"node"`
	// Why says what is in the way, and what to change.
	Why string `json:"why"`
}

// BGPPeerList is a list of BGPPeers.
//
// +kubebuilder:object:root=true
type BGPPeerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BGPPeer `json:"items"`
}

// BGPPeerSpec describes the neighbour and the session with it. Numbers that may
// not be zero are pointers, so that a missing one and a wrong one are told
// apart.
//
// +kubebuilder:validation:XValidation:rule=`has(self.peerAddress) || has(self.interface) || has(self.peerDiscovery)`,message="give peerAddress, the neighbour's IPv4 or IPv6 address; or interface, or peerDiscovery"
// +kubebuilder:validation:XValidation:rule=`!has(self.peerAddress) || !has(self.interface)`,message="peerAddress and interface exclude each other: give one of them"
// +kubebuilder:validation:XValidation:rule=`!has(self.peerDiscovery) || !has(self.peerAddress) && !has(self.interface)`,message="peerDiscovery excludes peerAddress and interface: give one of them"
// +kubebuilder:validation:XValidation:rule=`has(self.peerASN) || has(self.dynamicASN)`,message="give peerASN, the neighbour's AS number, or dynamicASN"
// +kubebuilder:validation:XValidation:rule=`!has(self.peerASN) || !has(self.dynamicASN)`,message="peerASN and dynamicASN exclude each other: give one of them"
// +kubebuilder:validation:XValidation:rule=`!has(self.interface) || !has(self.sourceAddress)`,message="sourceAddress is not for a neighbour on an interface: the session comes from the link-local address there"
// +kubebuilder:validation:XValidation:rule=`!has(self.peerDiscovery) || !has(self.sourceAddress) || !isIP(self.sourceAddress.split('%')[0]) || ip(self.sourceAddress.split('%')[0]).family() == (has(self.families) && self.families == ['ipv6-unicast'] ? 6 : 4)`,message="sourceAddress must be of the default gateway's family: IPv4, unless families has ipv6-unicast alone"
// +kubebuilder:validation:XValidation:rule=`!has(self.interface) || !(has(self.ebgpMultihop) && self.ebgpMultihop)`,message="a neighbour on an interface is one hop away: leave ebgpMultihop out"
// +kubebuilder:validation:XValidation:rule=`!(has(self.ttlSecurity) && self.ttlSecurity && has(self.ebgpMultihop) && self.ebgpMultihop)`,message="ttlSecurity is for a neighbour one hop away and excludes ebgpMultihop: leave one of them out"
// +kubebuilder:validation:XValidation:rule=`!has(self.sourceAddress) || !has(self.peerAddress) || !isIP(self.sourceAddress.split('%')[0]) || !isIP(self.peerAddress.split('%')[0]) || ip(self.sourceAddress.split('%')[0]).family() == ip(self.peerAddress.split('%')[0]).family()`,message="sourceAddress and peerAddress must be of the same family, both IPv4 or both IPv6"
// +kubebuilder:validation:XValidation:rule=`!has(self.sourceAddress) || !has(self.peerAddress) || self.sourceAddress != self.peerAddress`,message="sourceAddress is the neighbour's own address: give one of the node's, or leave it out"
// +kubebuilder:validation:XValidation:rule=`!has(self.keepaliveTime) || !self.keepaliveTime.matches('^(0*[0-9]{1,5}[hms]){1,9}$') || !(has(self.holdTime) ? self.holdTime : '90s').matches('^(0*[0-9]{1,5}[hms]){1,9}$') || duration(self.keepaliveTime).getSeconds() * 3 <= duration((has(self.holdTime) ? self.holdTime : '90s')).getSeconds()`,message="keepaliveTime must be a third of holdTime (90s if absent) or less, so that one lost KEEPALIVE does not end the session"
type BGPPeerSpec struct {
	// PeerAddress is the neighbour's IPv4 or IPv6 address. An IPv6 link-local one
	// needs its interface as zone: fe80::1%eth1.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`isIP(self.split('%')[0])`,message="peerAddress is not an IP address: write it without name, port or prefix length"
	// +kubebuilder:validation:XValidation:rule=`!isIP(self.split('%')[0]) || !ip(self.split('%')[0]).isUnspecified()`,message="peerAddress is the unspecified address: give that of one router"
	// +kubebuilder:validation:XValidation:rule=`!isIP(self.split('%')[0]) || !(ip(self.split('%')[0]).family() == 4 ? cidr('224.0.0.0/4') : cidr('ff00::/8')).containsIP(ip(self.split('%')[0])) && self.split('%')[0] != '255.255.255.255'`,message="peerAddress is a multicast or broadcast address: give a unicast one"
	// +kubebuilder:validation:XValidation:rule=`!isIP(self.split('%')[0]) || (ip(self.split('%')[0]).family() == 6 && ip(self.split('%')[0]).isLinkLocalUnicast()) == self.contains('%')`,message="an IPv6 link-local address needs its interface, as in fe80::1%eth1, and no other address takes one"
	PeerAddress string `json:"peerAddress,omitempty"`

	// Interface names the link to an unnumbered neighbour, in place of peerAddress:
	// the neighbour's link-local address is learnt from the router advertisements that
	// it sends there, and the node sends such too, with lifetime 0 and no prefix. IPv4
	// prefixes leave with an IPv6 next hop (RFC 8950), as if extendedNextHop were given.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[-0-9A-Za-z._@+]+$') && !(self in ['.', '..'])`,message="this is no interface's name: letters, digits, and . - _ @ +"
	Interface string `json:"interface,omitempty"`

	// PeerDiscovery finds the neighbour on each node, in place of peerAddress.
	// defaultGateway takes the next hop of the node's default route in the main table:
	// IPv4's, unless families has ipv6-unicast alone.
	// +optional
	PeerDiscovery PeerDiscovery `json:"peerDiscovery,omitempty"`

	// PeerASN is the neighbour's AS number, 1 to 4294967294, except the reserved
	// 23456 (RFC 6793) and 65535 (RFC 7300).
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= 1 && self <= 4294967294`,message="an AS number is 1 to 4294967294; AS 0 may not be used (RFC 7607)"
	// +kubebuilder:validation:XValidation:rule=`self != 23456`,message="AS 23456 is AS_TRANS (RFC 6793) and may not be used"
	// +kubebuilder:validation:XValidation:rule=`self != 65535`,message="AS 65535 is reserved (RFC 7300) and may not be used"
	PeerASN *int64 `json:"peerASN,omitempty"`

	// DynamicASN takes the neighbour's AS from its OPEN, in place of peerASN: external
	// is any but our own, internal our own.
	// +optional
	DynamicASN DynamicASN `json:"dynamicASN,omitempty"`

	// LocalASN is our own AS number towards this neighbour. Absent, the node's
	// annotation fairway.dev/local-asn counts.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= 1 && self <= 4294967294`,message="an AS number is 1 to 4294967294; AS 0 may not be used (RFC 7607)"
	// +kubebuilder:validation:XValidation:rule=`self != 23456`,message="AS 23456 is AS_TRANS (RFC 6793) and may not be used"
	// +kubebuilder:validation:XValidation:rule=`self != 65535`,message="AS 65535 is reserved (RFC 7300) and may not be used"
	LocalASN *int64 `json:"localASN,omitempty"`

	// NodeSelector selects the nodes that have this neighbour, such as those of one
	// rack. Absent or empty, it selects every node.
	// +optional
	NodeSelector *NodeSelector `json:"nodeSelector,omitempty"`

	// Port is the neighbour's TCP port. Absent: 179.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= 1 && self <= 65535`,message="a TCP port is 1 to 65535; leave it out for 179"
	// +kubebuilder:default=179
	Port *int32 `json:"port,omitempty"`

	// SourceAddress is the address of the node that the session leaves from, of the
	// same family as peerAddress. Absent, the kernel chooses.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`isIP(self.split('%')[0])`,message="sourceAddress is not an IP address: write it without name, port or prefix length"
	// +kubebuilder:validation:XValidation:rule=`!isIP(self.split('%')[0]) || !ip(self.split('%')[0]).isUnspecified()`,message="sourceAddress is the unspecified address: give one of the node's, or leave it out"
	// +kubebuilder:validation:XValidation:rule=`!isIP(self.split('%')[0]) || !(ip(self.split('%')[0]).family() == 4 ? cidr('224.0.0.0/4') : cidr('ff00::/8')).containsIP(ip(self.split('%')[0])) && self.split('%')[0] != '255.255.255.255'`,message="sourceAddress is a multicast or broadcast address: give a unicast one"
	// +kubebuilder:validation:XValidation:rule=`!isIP(self.split('%')[0]) || (ip(self.split('%')[0]).family() == 6 && ip(self.split('%')[0]).isLinkLocalUnicast()) == self.contains('%')`,message="an IPv6 link-local address needs its interface, as in fe80::1%eth1, and no other address takes one"
	SourceAddress string `json:"sourceAddress,omitempty"`

	// PasswordSecretRef names the Secret with the TCP MD5 password (RFC 2385), in
	// the namespace that Fairway runs in.
	// +optional
	PasswordSecretRef *SecretKeyRef `json:"passwordSecretRef,omitempty"`

	// EBGPMultihop allows an eBGP neighbour that is not on a connected network.
	// +optional
	EBGPMultihop bool `json:"ebgpMultihop,omitempty"`

	// TTLSecurity accepts only packets that come from one hop away (GTSM,
	// RFC 5082). The neighbour must do the same.
	// +optional
	TTLSecurity bool `json:"ttlSecurity,omitempty"`

	// Passive waits for the neighbour to connect; otherwise only we connect.
	// +optional
	Passive bool `json:"passive,omitempty"`

	// HoldTime ends the session after so long without a word from the neighbour
	// (RFC 4271 section 4.2): whole seconds, 3s to 65535s; the lower of the two
	// sides counts. Absent: 90s. 0, which RFC 4271 allows, is refused: a dead
	// neighbour would keep its routes for ever.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]+[hms])+$')`,message="write whole hours, minutes or seconds with their unit, such as 90s or 1m30s"
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^([0-9]+[hms])+$') || (self.matches('^(0*[0-9]{1,5}[hms]){1,9}$') && duration(self) >= duration('3s') && duration(self) <= duration('65535s'))`,message="holdTime is 3s to 65535s: less, or 0, is no hold time (RFC 4271 section 4.2); leave it out for 90s"
	HoldTime *metav1.Duration `json:"holdTime,omitempty"`

	// KeepaliveTime is the time between two KEEPALIVEs: whole seconds, 1s to a third
	// of holdTime. Absent: a third of holdTime, so 30s where that is absent too.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]+[hms])+$')`,message="write whole hours, minutes or seconds with their unit, such as 90s or 1m30s"
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^([0-9]+[hms])+$') || (self.matches('^(0*[0-9]{1,5}[hms]){1,9}$') && duration(self) >= duration('1s') && duration(self) <= duration('65535s'))`,message="keepaliveTime is at least 1s, and at most a third of holdTime; leave it out for that third"
	KeepaliveTime *metav1.Duration `json:"keepaliveTime,omitempty"`

	// ConnectRetryTime is the time between two attempts to connect: whole seconds,
	// 1s to 65535s. Absent: 5s.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]+[hms])+$')`,message="write whole hours, minutes or seconds with their unit, such as 90s or 1m30s"
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^([0-9]+[hms])+$') || (self.matches('^(0*[0-9]{1,5}[hms]){1,9}$') && duration(self) >= duration('1s') && duration(self) <= duration('65535s'))`,message="connectRetryTime is 1s to 65535s; leave it out for 5s"
	ConnectRetryTime *metav1.Duration `json:"connectRetryTime,omitempty"`

	// Families are the address families of the session. Absent: both.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Families []Family `json:"families,omitempty"`

	// ExtendedNextHop announces IPv4 prefixes with an IPv6 next hop (RFC 8950).
	// +optional
	ExtendedNextHop bool `json:"extendedNextHop,omitempty"`

	// BFD watches the path to the neighbour (RFC 5880), so that a failure is seen in a
	// fraction of a second; {} does it with the default timers. The neighbour must do it
	// too. Absent: off.
	// +optional
	BFD *BFD `json:"bfd,omitempty"`

	// GracefulRestart asks the neighbour to keep our routes while Fairway restarts
	// (RFC 4724). Absent: off.
	// +optional
	GracefulRestart *GracefulRestart `json:"gracefulRestart,omitempty"`

	// MaxPodPrefixes is how many prefixes of Pods of one CIDR a node announces to the
	// neighbour for a Subnet in mode pods, 1 to 4294967295; where there are more, it
	// announces the CIDR instead. A Subnet's annotation goes before. Absent: as many as
	// there are.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= 1 && self <= 4294967295`,message="maxPodPrefixes is 1 to 4294967295; leave it out for as many as there are"
	MaxPodPrefixes *int64 `json:"maxPodPrefixes,omitempty"`

	// Attributes are for Subnets that do not say otherwise by annotation.
	// +optional
	Attributes *Attributes `json:"attributes,omitempty"`
}

// NodeSelector is a Kubernetes label selector (metav1.LabelSelector), with bounds:
// the API server checks only rules whose cost it can foresee.
//
// +structType=atomic
type NodeSelector struct {
	// MatchLabels are labels that a Node must have, all of them.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule=`self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))`,message="a key of matchLabels is no label's name: write it as in topology.kubernetes.io/zone or rack"
	MatchLabels map[string]LabelValue `json:"matchLabels,omitempty"`

	// MatchExpressions are conditions on labels that must hold, all of them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	MatchExpressions []NodeRequirement `json:"matchExpressions,omitempty"`
}

// NodeRequirement is one condition on a label (metav1.LabelSelectorRequirement).
//
// +kubebuilder:validation:XValidation:rule=`self.operator in ['In', 'NotIn', 'Exists', 'DoesNotExist']`,message="an operator of matchExpressions is In, NotIn, Exists or DoesNotExist"
// +kubebuilder:validation:XValidation:rule=`(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)`,message="In and NotIn need values, Exists and DoesNotExist take none"
type NodeRequirement struct {
	// Key of the label.
	// +required
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')`,message="a key of matchExpressions is no label's name: write it as in topology.kubernetes.io/zone or rack"
	Key string `json:"key"`

	// Operator is In, NotIn, Exists or DoesNotExist.
	// +required
	Operator metav1.LabelSelectorOperator `json:"operator"`

	// Values of the label, for In and NotIn.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Values []LabelValue `json:"values,omitempty"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule=`self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$')`,message="this is no label's value: it has letters, digits, '-', '_' and '.' alone"
type LabelValue string

// PeerDiscovery is how a node finds a neighbour.
//
// +kubebuilder:validation:Enum=defaultGateway
type PeerDiscovery string

// DefaultGateway is the one way there is.
const DefaultGateway PeerDiscovery = "defaultGateway"

// DynamicASN is what is asked of a neighbour's AS.
//
// +kubebuilder:validation:Enum=external;internal
type DynamicASN string

// The choices.
const (
	External DynamicASN = "external"
	Internal DynamicASN = "internal"
)

// Family is an address family with SAFI unicast.
//
// +kubebuilder:validation:Enum=ipv4-unicast;ipv6-unicast
type Family string

// The families.
const (
	IPv4Unicast Family = "ipv4-unicast"
	IPv6Unicast Family = "ipv6-unicast"
)

// SecretKeyRef names one key of a Secret.
type SecretKeyRef struct {
	// Name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="a Secret's name has lower-case letters, digits, '-' and '.' alone, such as tor-password"
	Name string `json:"name"`

	// Key in the Secret. Absent: password, as in a Secret of type
	// kubernetes.io/basic-auth.
	// +optional
	// +kubebuilder:default=password
	Key string `json:"key,omitempty"`
}

// BFD holds the timers of asynchronous mode (RFC 5880 section 6.8.1). The neighbour is
// dead when nothing comes from it for its multiplier times the longer one of its
// transmit interval and our receiveInterval.
type BFD struct {
	// TransmitInterval is the shortest time between two packets of ours, 10ms to 60s;
	// a neighbour that takes fewer gets fewer. Absent: 300ms.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]+(h|m|s|ms))+$')`,message="write a time with its unit, such as 300ms"
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^([0-9]+(h|m|s|ms))+$') || (self.matches('^(0*[0-9]{1,5}(h|m|s|ms)){1,9}$') && duration(self) >= duration('10ms') && duration(self) <= duration('60s'))`,message="transmitInterval is 10ms to 60s; leave it out for 300ms"
	TransmitInterval *metav1.Duration `json:"transmitInterval,omitempty"`

	// ReceiveInterval is the shortest time between two packets of the neighbour that
	// this end takes, 10ms to 60s. Absent: 300ms.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]+(h|m|s|ms))+$')`,message="write a time with its unit, such as 300ms"
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^([0-9]+(h|m|s|ms))+$') || (self.matches('^(0*[0-9]{1,5}(h|m|s|ms)){1,9}$') && duration(self) >= duration('10ms') && duration(self) <= duration('60s'))`,message="receiveInterval is 10ms to 60s; leave it out for 300ms"
	ReceiveInterval *metav1.Duration `json:"receiveInterval,omitempty"`

	// DetectMultiplier is after how many packets of ours that are missing the neighbour
	// takes this node for dead, 1 to 255. Absent: 3.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= 1 && self <= 255`,message="detectMultiplier is 1 to 255"
	DetectMultiplier *int32 `json:"detectMultiplier,omitempty"`
}

// GracefulRestart turns graceful restart on.
type GracefulRestart struct {
	// Enabled turns it off with false, and leaves restartTime where it is.
	// Absent: true.
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`

	// RestartTime is how long the neighbour keeps our routes without a session:
	// whole seconds, 1s to 4095s (12 bits, RFC 4724 section 3). Absent: 120s.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]+[hms])+$')`,message="write whole hours, minutes or seconds with their unit, such as 90s or 1m30s"
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^([0-9]+[hms])+$') || (self.matches('^(0*[0-9]{1,5}[hms]){1,9}$') && duration(self) >= duration('1s') && duration(self) <= duration('4095s'))`,message="restartTime is 1s to 4095s (RFC 4724 section 3); leave it out for 120s"
	RestartTime *metav1.Duration `json:"restartTime,omitempty"`
}

// Attributes are defaults for the path attributes of what goes to the neighbour.
type Attributes struct {
	// Communities are added to those of the Subnet: standard ("65000:100"),
	// well-known ("no-export") or large ("65000:1:2").
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.all(c, c.matches('^[0-9]{1,5}:[0-9]{1,5}$|^[1-9][0-9]{0,9}:[0-9]{1,10}:[0-9]{1,10}$') || c in ['graceful-shutdown', 'accept-own', 'llgr-stale', 'no-llgr', 'blackhole', 'no-export', 'no-advertise', 'no-export-subconfed', 'no-peer'])`,message="a community is written 65000:100, 65000:1:2 or by its well-known name, such as no-export; one per item"
	// +kubebuilder:validation:XValidation:rule=`self.all(c, !c.matches('^[0-9]{1,5}:[0-9]{1,5}$') || c.split(':').all(n, int(n) <= 65535))`,message="each half of a community is 0 to 65535; for a larger AS number give a large community, such as 70000:1:2"
	// +kubebuilder:validation:XValidation:rule=`self.all(c, !c.matches('^[0-9]{1,10}:[0-9]{1,10}:[0-9]{1,10}$') || c.split(':').all(n, int(n) <= 4294967295))`,message="each part of a large community is 0 to 4294967295"
	Communities []string `json:"communities,omitempty"`

	// MED is the multi-exit discriminator, 0 to 4294967295. Absent: none is sent.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= 0 && self <= 4294967295`,message="med is 0 to 4294967295"
	MED *int64 `json:"med,omitempty"`

	// LocalPref is LOCAL_PREF, 0 to 4294967295; it counts towards an internal
	// neighbour only. Absent: 100.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= 0 && self <= 4294967295`,message="localPref is 0 to 4294967295"
	LocalPref *int64 `json:"localPref,omitempty"`

	// ASPathPrepend is how often our own AS number is prepended in addition, 0 to 16.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= 0 && self <= 16`,message="asPathPrepend is 0 to 16"
	ASPathPrepend *int32 `json:"asPathPrepend,omitempty"`
}
