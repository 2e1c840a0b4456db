package routes

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Annotation keys on a Subnet.
const (
	Prefix                   = "fairway.dev/"
	AnnotationAdvertise      = Prefix + "advertise"
	AnnotationMode           = Prefix + "mode"
	AnnotationPeers          = Prefix + "peers"
	AnnotationCommunities    = Prefix + "communities"
	AnnotationMED            = Prefix + "med"
	AnnotationLocalPref      = Prefix + "local-pref"
	AnnotationASPathPrepend  = Prefix + "as-path-prepend"
	AnnotationNextHop        = Prefix + "next-hop"
	AnnotationStandby        = Prefix + "standby"
	AnnotationAllowNAT       = Prefix + "allow-nat-policy"
	AnnotationMaxPodPrefixes = Prefix + "max-pod-prefixes"
	// AnnotationKubeOVN is kube-ovn-speaker's (pkg/speaker); it counts only with
	// Settings.AdoptKubeOVN.
	AnnotationKubeOVN = "ovn.kubernetes.io/bgp"
)

// Annotation keys and the label on a Node.
const (
	AnnotationDrain = Prefix + "drain"
	// AnnotationDrainRequest tells one drain from the next. The Speaker repeats it,
	// so that whoever waits does not take an older answer for his own.
	AnnotationDrainRequest = Prefix + "drain-request"

	AnnotationLocalASN = Prefix + "local-asn"
	AnnotationRouterID = Prefix + "router-id"
	// AnnotationConfirm is that of a person who confirms a mass of deletions.
	AnnotationConfirm = Prefix + "confirm-mass-withdraw"
	// AnnotationAllocated is Kube-OVN's: the node has its address in the join Subnet
	// (pkg/util/const.go).
	AnnotationAllocated = "ovn.kubernetes.io/allocated"
	// LabelExclude keeps a node from announcing (Kubernetes well-known label).
	LabelExclude = "node.kubernetes.io/exclude-from-external-load-balancers"
)

// MaxASPathPrepend bounds as-path-prepend. Longer paths win nothing, and many
// routers refuse them.
const MaxASPathPrepend = 16

// Mode says what of a Subnet is announced.
type Mode string

// Modes: the CIDR, or the addresses of the Pods from the node that hosts them.
const (
	ModeCIDR Mode = "cidr"
	ModePods Mode = "pods"
)

// Tuning is what a Subnet's annotations ask for, parsed.
type Tuning struct {
	Mode Mode
	// Peers are the BGPPeers asked for, sorted; nil for all.
	Peers            []string
	Communities      []Community
	LargeCommunities []LargeCommunity
	MED, LocalPref   *uint32
	ASPathPrepend    *uint8
	// NextHops holds at most one address a family.
	NextHops       []netip.Addr
	Standby        bool
	AllowNATPolicy bool
	// MaxPodPrefixes goes before the BGPPeers', nil where they count; 0 is as many as
	// there are.
	MaxPodPrefixes *uint32
	// Unknown are fairway.dev/ keys that mean nothing, sorted.
	Unknown []string
}

// NextHop gives the explicit next hop of a prefix's family, or the zero Addr.
func (t Tuning) NextHop(p netip.Prefix) netip.Addr {
	for _, a := range t.NextHops {
		if a.Is4() == p.Addr().Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// AnnotationError is an annotation whose value does not parse.
type AnnotationError struct {
	Name, Value string
	Err         error
}

// shownValue is how many bytes of a bad value are shown: enough to find it by.
const shownValue = 200

// Error names the annotation and its value.
func (e *AnnotationError) Error() string {
	value, rest := e.Value, ""
	if len(value) > shownValue {
		value, rest = value[:shownValue], "…"
	}
	return fmt.Sprintf("%s: %q%s: %v", e.Name, value, rest, e.Err)
}

// Unwrap gives what is wrong with the value.
func (e *AnnotationError) Unwrap() error { return e.Err }

// Selected reports whether annotations opt the Subnet in. A value of advertise
// that does not parse selects, so that the Subnet is shown with the mistake
// rather than forgotten.
func Selected(annotations map[string]string, s Settings) bool {
	if v, ok := annotations[AnnotationAdvertise]; ok {
		on, err := parseBool(v)
		return err != nil || on
	}
	return s.AdoptKubeOVN && SelectedByKubeOVN(annotations)
}

// SelectedByKubeOVN reports whether kube-ovn-speaker, where it runs, announces
// the Subnet (pkg/speaker/subnet.go).
func SelectedByKubeOVN(annotations map[string]string) bool {
	switch annotations[AnnotationKubeOVN] {
	case "true", "cluster", "local":
		return true
	}
	return false
}

// ParseSwitch reads an annotation of a Node that is on or off.
func ParseSwitch(s string) (bool, error) {
	on, err := parseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q %w", s, err)
	}
	return on, nil
}

// UnknownOnNode gives the Node's fairway.dev/ keys that mean nothing there, sorted.
func UnknownOnNode(n *Node) []string {
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(n.Annotations)) {
		known := func(a Annotation) bool { return a.On == "Node" && a.Name == name }
		if strings.HasPrefix(name, Prefix) && !slices.ContainsFunc(Annotations(), known) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// ParseTuning reads the fairway.dev/ annotations of a Subnet. The error is an
// *AnnotationError for the first bad key in alphabetical order.
func ParseTuning(annotations map[string]string) (Tuning, error) {
	t := Tuning{Mode: ModeCIDR, Communities: []Community{}, LargeCommunities: []LargeCommunity{}}
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		if !strings.HasPrefix(name, Prefix) {
			continue
		}
		value := annotations[name]
		if err := t.set(name, strings.TrimSpace(value)); err != nil {
			return t, &AnnotationError{name, value, err}
		}
	}
	return t, nil
}

// tuningOf is ParseTuning for a Subnet: what parses must suit its CIDRs too. The
// annotations need not be those that the Subnet has now.
func tuningOf(s *Subnet, annotations map[string]string) (Tuning, error) {
	t, err := ParseTuning(annotations)
	if err != nil || len(t.NextHops) == 0 {
		return t, err
	}
	for _, p := range s.CIDRs {
		if hop := t.NextHop(p); p.Contains(hop) {
			return t, &AnnotationError{AnnotationNextHop, annotations[AnnotationNextHop],
				fmt.Errorf("%s lies inside the Subnet's own %s: give an address of the network outside", hop, p)}
		}
	}
	return t, nil
}

// set parses one annotation into its field.
func (t *Tuning) set(name, value string) (err error) {
	switch name {
	case AnnotationAdvertise:
		_, err = parseBool(value)
	case AnnotationStandby:
		t.Standby, err = parseBool(value)
	case AnnotationAllowNAT:
		t.AllowNATPolicy, err = parseBool(value)
	case AnnotationMode:
		t.Mode = Mode(value)
		if t.Mode != ModeCIDR && t.Mode != ModePods {
			err = fmt.Errorf("is neither cidr nor pods")
		}
	case AnnotationPeers:
		t.Peers, err = parseNames(value)
	case AnnotationCommunities:
		t.Communities, t.LargeCommunities, err = ParseCommunities(value)
	case AnnotationMED:
		t.MED, err = parseUint32(value)
	case AnnotationLocalPref:
		t.LocalPref, err = parseUint32(value)
	case AnnotationASPathPrepend:
		t.ASPathPrepend, err = parsePrepend(value)
	case AnnotationMaxPodPrefixes:
		t.MaxPodPrefixes, err = parseUint32(value)
	case AnnotationNextHop:
		t.NextHops, err = parseNextHops(value)
	default:
		t.Unknown = append(t.Unknown, name)
	}
	return err
}

func parseBool(s string) (bool, error) {
	switch strings.TrimSpace(s) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("is neither true nor false")
}

func parseUint32(s string) (*uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("is not a number from 0 to 4294967295")
	}
	v := uint32(n)
	return &v, nil
}

func parsePrepend(s string) (*uint8, error) {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || n > MaxASPathPrepend {
		return nil, fmt.Errorf("is not a number from 0 to %d", MaxASPathPrepend)
	}
	v := uint8(n)
	return &v, nil
}

func parseNames(s string) ([]string, error) {
	var names []string
	for _, item := range strings.Split(s, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			return nil, fmt.Errorf("has an empty name; separate names of BGPPeers by single commas")
		}
		names = append(names, item)
	}
	return SortedSet(names, strings.Compare), nil
}

// neverUnicast is true for 0.0.0.0/8 and 240.0.0.0/4 (RFC 6890): routers answer
// such a next hop with a NOTIFICATION, and drop the session with all that it
// carries.
func neverUnicast(a netip.Addr) bool {
	return a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240)
}

// parseNextHops reads one address, or one of each family. What can never be a
// next hop on a wire is refused.
func parseNextHops(s string) ([]netip.Addr, error) {
	var hops []netip.Addr
	for _, item := range strings.Split(s, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(item))
		if err != nil {
			return nil, fmt.Errorf("%q is not an IP address", strings.TrimSpace(item))
		}
		if a.Zone() != "" || a.Is4In6() || neverUnicast(a) || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() {
			return nil, fmt.Errorf("%s cannot be a next hop: give a unicast address that the peers can reach", a)
		}
		for _, b := range hops {
			if a.Is4() == b.Is4() {
				return nil, fmt.Errorf("%s and %s are of the same family: give one address per family", b, a)
			}
		}
		hops = append(hops, a)
	}
	return hops, nil
}
