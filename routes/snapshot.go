package routes

import (
	"maps"
	"net/netip"
	"time"
)

// Snapshot is everything the first decision looks at, at one moment.
// Functions of this package never change it.
type Snapshot struct {
	Settings
	// Subnets are shared from one Snapshot to the next: what is the same pointer is the
	// same Subnet, and nobody changes one that is in a Snapshot.
	Subnets []*Subnet
	Nodes   []Node
	// Pods are the addresses of live Pods. Only Subnets in mode "pods" need them, and
	// the plan of a node only those on it.
	Pods Pods
	// LastGood holds, by Subnet, what parsed last. A daemon fills it in for the Subnets
	// that it could announce, so that a typo is not a withdrawal; elsewhere it is nil.
	LastGood ByName[Good]
	// LastGoodNode does the same for the annotations of the daemon's own Node.
	LastGoodNode map[string]string
	// Live is what the node itself knows about its datapath and host. It is nil
	// where nothing is known (files on a laptop), and unknown never refuses.
	Live *Live
	// At is the moment of the decision: the core reads no clock. It is zero where
	// nothing is timed (files on a laptop).
	At time.Time
	// History is what the node that is planned for announced and saw until At.
	History History
	// Vlans gives the provider network of each Kube-OVN Vlan by its name; nil where
	// they are not followed.
	Vlans map[string]string
}

// Settings are the flags that change how objects are read.
type Settings struct {
	// ClusterRouter names the default VPC (kube-ovn-controller's flag
	// --cluster-router).
	ClusterRouter string `json:"clusterRouter"`
	// NodeSwitch names the join Subnet (kube-ovn-controller's flag
	// --node-switch).
	NodeSwitch string `json:"nodeSwitch"`
	// AdoptKubeOVN makes ovn.kubernetes.io/bgp select a Subnet that has no
	// fairway.dev/advertise annotation.
	AdoptKubeOVN bool `json:"adoptKubeOVN"`
	// AllowWidePrefixes lets CIDRs be announced that are wider than clusters need.
	AllowWidePrefixes bool `json:"allowWidePrefixes"`
	// DrainWait is how long a drained node goes on announcing with a path that loses.
	DrainWait time.Duration `json:"drainWait"`
	// DrainTaints are taints that drain a node, "key" or "key=value".
	DrainTaints []string `json:"drainTaints"`
}

// DefaultSettings are Kube-OVN's own names (pkg/controller/config.go), and a wait
// that routers need seconds of.
var DefaultSettings = Settings{ClusterRouter: "ovn-cluster", NodeSwitch: "join", DrainWait: 30 * time.Second}

// Live holds facts of the node that the plan is made for.
type Live struct {
	// DatapathDown says for a prefix why this node cannot carry it. Absent means
	// that it can, or that it is not known.
	DatapathDown map[netip.Prefix]string
	// HostNotReady says for a prefix which host finding would drop its traffic.
	HostNotReady map[netip.Prefix]string
	// Translated has, for a CIDR that is in the node's set of networks to
	// masquerade (ipset ovn40subnets-nat, ovn60subnets-nat), true, and false for one
	// that is not. Absent means that it is not known.
	Translated map[netip.Prefix]bool
}

// Subnet is what Fairway reads of a Kube-OVN Subnet
// (pkg/apis/kubeovn/v1/subnet.go). Strings are as the object has them; Parsed
// says what the two that are read apart mean, so that a bad one becomes a reason.
type Subnet struct {
	Name string
	// Created decides which of two overlapping Subnets keeps the prefix. A watch of
	// files fills it in for what comes later; what was there at its start counts as
	// oldest.
	Created time.Time
	// Annotations holds the keys that Fairway reads and no others.
	Annotations map[string]string
	// CIDRBlock is one or two CIDRs, comma-separated, in either order.
	CIDRBlock      string
	VPC            string
	Provider       string
	VLAN           string
	LogicalGateway bool
	NATOutgoing    bool
	// NATPolicyForwards is true if a natOutgoingPolicyRule has action "forward".
	NATPolicyForwards bool
	// GatewayType is "distributed", "centralized", or empty before Kube-OVN's
	// controller has formatted the Subnet.
	GatewayType string
	// GatewayNode lists gateways as "n1,n2" or "n1:ip,n2:ip".
	GatewayNode string
	// GatewayNodeSelectors select gateways by label, OR'ed; Kube-OVN uses them
	// only where GatewayNode is empty.
	GatewayNodeSelectors  []Selector
	EnableECMP            bool
	ExternalEgressGateway string
	Private               bool
	AllowSubnets          []string
	// Deleting is true once the object has a deletionTimestamp.
	Deleting bool
	// Validated is the status condition Validated=True; Ready is Ready=True, and
	// ReadyAt that condition's lastUpdateTime as it stands in the object. Kube-OVN
	// writes Validated before it has looked for conflicts, and Ready once OVN
	// forwards (pkg/controller/subnet.go).
	Validated, Ready bool
	// Unjudged is whether there is no condition Validated at all, neither True nor
	// False: the controller has not looked at the object yet.
	Unjudged bool
	ReadyAt  string
	// GatewayVerdict is the reason of the condition Ready where it says that no
	// gateway was found, NoActiveGatewayFound or NoReadyGateway, else "".
	GatewayVerdict string
	// ActiveGateway is status.activateGateway. It means something only for
	// centralized without ECMP.
	ActiveGateway string
	// Controlled is whether a controller writes the status: then what it leaves empty
	// may be undecided. It is false for a Subnet of files that has no status.
	Controlled bool

	// CIDRs are what CIDRBlock holds, or CIDRErr is what is wrong with it; Tuning is
	// what Annotations ask for, or TuningErr. Parsed fills them in.
	CIDRs   []netip.Prefix
	CIDRErr error
	// CIDRKept is set, and CIDRErr is not, where CIDRBlock does not parse and CIDRs are
	// those that it had last. Everything else is as the object has it now.
	CIDRKept  error
	Tuning    Tuning
	TuningErr error
}

// Parsed gives the Subnet, as another one, with its CIDRs and annotations parsed:
// whoever makes a Subnet ends with it, and nobody parses them again.
func (s Subnet) Parsed() *Subnet {
	s.CIDRs, s.CIDRErr = ParseCIDRBlock(s.CIDRBlock)
	s.Tuning, s.TuningErr = tuningOf(&s, s.Annotations)
	return &s
}

// KeepingCIDRs gives a Subnet whose CIDRBlock does not parse, as another one, with the
// CIDRs of another block, and reports whether that parses.
func (s Subnet) KeepingCIDRs(block string) (kept *Subnet, parses bool) {
	cidrs, err := ParseCIDRBlock(block)
	if err != nil {
		return nil, false
	}
	s.CIDRs, s.CIDRErr, s.CIDRKept = cidrs, nil, s.CIDRErr
	return &s, true
}

// Good is what parsed last of a Subnet.
type Good struct {
	// Annotations is nil where none have parsed yet.
	Annotations map[string]string
	// CIDRBlock is "" where none has parsed yet.
	CIDRBlock string
}

// Equal reports whether two are the same.
func (g Good) Equal(o Good) bool {
	return g.CIDRBlock == o.CIDRBlock && maps.Equal(g.Annotations, o.Annotations)
}

// Node is what Fairway reads of a Kubernetes Node.
type Node struct {
	Name        string
	Labels      map[string]string
	Annotations map[string]string
	// InternalIPs are the addresses of type InternalIP, in the object's order.
	InternalIPs        []netip.Addr
	Ready              bool
	NetworkUnavailable bool
	// Allocated is whether Kube-OVN has given the node its join address (annotation
	// ovn.kubernetes.io/allocated): before that it has no way into the overlay.
	Allocated bool
	// ShuttingDown is whether the kubelet says that the machine is being shut down
	// (condition Ready is False with that message, pkg/kubelet/nodestatus).
	ShuttingDown bool
	// Taints are those of spec.taints, as "key" or "key=value", sorted.
	Taints []string
}

// Selector is a Kubernetes label selector (metav1.LabelSelector). The zero
// value matches every node.
type Selector struct {
	MatchLabels      map[string]string
	MatchExpressions []Requirement
}

// Requirement is one of a Selector's matchExpressions. Operator is In, NotIn,
// Exists or DoesNotExist.
type Requirement struct {
	Key, Operator string
	Values        []string
}
