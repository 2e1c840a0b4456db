package routes

// Annotation documents one annotation or label that Fairway reads.
type Annotation struct {
	// On is the kind of object: Subnet or Node.
	On   string
	Name string
	// Value shows what it takes.
	Value   string
	Meaning string
}

// Annotations gives all of them, for documentation.
func Annotations() []Annotation {
	return []Annotation{
		{"Subnet", AnnotationAdvertise, "`true` or `false`", "Opt in or out. Absent: the Subnet is not selected (but see `--adopt-kube-ovn-annotations`)."},
		{"Subnet", AnnotationMode, "`cidr` (default) or `pods`", "Announce the CIDR, or the addresses of the Pods from the node that hosts them, aggregated without covering any other address."},
		{"Subnet", AnnotationPeers, "names, comma-separated", "Only to these BGPPeers. Default: all that select the node."},
		{"Subnet", AnnotationCommunities, "`65000:100,no-export,65000:1:2`", "Standard, well-known and large communities, in addition to the BGPPeer's."},
		{"Subnet", AnnotationMED, "0 to 4294967295", "MULTI_EXIT_DISC; goes before the BGPPeer's."},
		{"Subnet", AnnotationLocalPref, "0 to 4294967295", "LOCAL_PREF, to internal peers only; goes before the BGPPeer's."},
		{"Subnet", AnnotationASPathPrepend, "0 to 16", "How often the local AS is prepended in addition, to external peers only; goes before the BGPPeer's."},
		{"Subnet", AnnotationNextHop, "one address, or one of each family", "This next hop, say a Keepalived VIP, instead of the session's own address."},
		{"Subnet", AnnotationStandby, "`true` or `false`", "Centralized without ECMP: the gateways that are not active announce too, with a path that loses (eBGP: 3 more prepends, iBGP: LOCAL_PREF less 50)."},
		{"Subnet", AnnotationAllowNAT, "`true` or `false`", "Announce although `natOutgoing` is true, because a natOutgoingPolicyRule forwards part of the traffic."},
		{"Subnet", AnnotationMaxPodPrefixes, "0 to 4294967295", "Mode `pods`: how many prefixes of one CIDR's Pods a node announces to a peer; where there are more, that peer gets the CIDR from the node instead. 0: as many as there are. Goes before the BGPPeer's `maxPodPrefixes`."},
		{"Subnet", AnnotationKubeOVN, "`true`, `cluster` or `local`", "kube-ovn-speaker's. With `--adopt-kube-ovn-annotations` it selects a Subnet that has no `advertise`."},
		{"Node", AnnotationDrain, "`true` or `false`", "Move traffic away from this node (GRACEFUL_SHUTDOWN and a path that loses, for `--drain-wait`), then withdraw everything from it."},
		{"Node", AnnotationDrainRequest, "any text", "Written by `fairway drain`, and repeated in the Speaker's `drainRequest`: which drain is carried out. It may be left out."},
		{"Node", AnnotationLocalASN, "an AS number", "The node's own AS; goes before a BGPPeer's `localASN`."},
		{"Node", AnnotationRouterID, "an IPv4 address", "The BGP identifier. Default: the first IPv4 InternalIP."},
		{"Node", AnnotationConfirm, "`true` or `false`", "Believe at once that Subnets which vanished in a mass are really gone."},
		{"Node", LabelExclude, "(label) any", "Kubernetes' well-known label: the node announces nothing. Cordon, in contrast, changes nothing."},
	}
}
