package objects

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/inet"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// What a BGPPeer has where it does not say otherwise (api/v1alpha1 documents
// them).
const (
	defaultPort         = inet.BGPPort
	defaultHoldTime     = 90 * time.Second
	defaultConnectRetry = 5 * time.Second
	defaultRestartTime  = 120 * time.Second
	defaultSecretKey    = "password"
)

// Bounds of the protocol, inclusive.
const (
	// RFC 4271 section 4.2: zero, or at least three seconds, in 16 bits.
	leastHoldTime = 3 * time.Second
	mostTimer     = 65535 * time.Second
	// RFC 4724 section 3: 12 bits.
	mostRestartTime = 4095 * time.Second
	// Linux, TCP_MD5SIG_MAXKEYLEN (include/uapi/linux/tcp.h).
	longestPassword = 80
)

// Peer is a BGPPeer before its password is looked up.
type Peer struct {
	policy.Peer
	// Secret is nil where the session has no password.
	Secret *v1alpha1.SecretKeyRef
}

// decodePeer reads a BGPPeer and refuses what it does not know: a field that is
// misspelt would silently be left out of the session.
func decodePeer(text []byte, r *report) (any, bool) {
	var p struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              *v1alpha1.BGPPeerSpec `json:"spec"`
		// Status is what the reporter writes, for people.
		Status json.RawMessage `json:"status"`
	}
	fits := decodeStrict(text, &p, r)
	hidePasswords(r)
	if !fits {
		return nil, true
	}
	if p.Spec == nil {
		r.wrong("spec", missing, "a BGPPeer without one is only a part of one")
		return nil, false
	}
	return peerOf(p.Name, created(p.CreationTimestamp), p.Spec, r), true
}

// hidePasswords takes the value from problems with a field that has to do with
// passwords: somebody may have written one there instead of a reference.
func hidePasswords(r *report) {
	for i, p := range r.problems {
		if strings.Contains(strings.ToLower(p.Field), "password") {
			r.problems[i].Value = ""
		}
	}
}

// peerOf converts a BGPPeer, strictly, and reports everything that is wrong with
// it at once.
func peerOf(name string, since time.Time, s *v1alpha1.BGPPeerSpec, r *report) Peer {
	out := Peer{Secret: secretRef(s.PasswordSecretRef, r)}
	out.Name, out.Created = name, since
	if out.Secret != nil {
		out.PasswordSecret = out.Secret.Name
	}
	// The name is one of a comma-separated list in fairway.dev/peers.
	if why := validation.IsDNS1123Subdomain(name); len(why) > 0 {
		r.wrong("metadata.name", name, "is not a name that Kubernetes takes: use lower-case letters, digits, - and .")
	}
	out.Nodes = selectorOf(labelSelector(s.NodeSelector), "spec.nodeSelector", r)
	if s.LocalASN != nil {
		out.LocalASN = asn("spec.localASN", s.LocalASN, r)
	}
	out.Address = peerAddress(s, r)
	out.Interface, out.Discovery = s.Interface, policy.Discovery(s.PeerDiscovery)
	checkSearch(s, r)
	out.Port = port(s.Port, r)
	out.PeerASN, out.DynamicASN = peerASN(s, r)
	out.SourceAddress = sourceAddress(s.SourceAddress, out.Address, r)
	out.EBGPMultihop, out.TTLSecurity, out.Passive = s.EBGPMultihop, s.TTLSecurity, s.Passive
	checkHops(s, out.Peer, r)
	out.HoldTime = seconds("spec.holdTime", s.HoldTime, defaultHoldTime, leastHoldTime, mostTimer, r)
	out.KeepaliveTime = keepaliveTime(s.KeepaliveTime, out.HoldTime, r)
	out.ConnectRetryTime = seconds("spec.connectRetryTime", s.ConnectRetryTime, defaultConnectRetry, time.Second, mostTimer, r)
	out.Families = families(s.Families, r)
	if out.Discovery != "" && out.SourceAddress.IsValid() && out.SourceAddress.Is6() != out.Over6() {
		r.wrong("spec.sourceAddress", s.SourceAddress, "is not of the default gateway's family: IPv4, unless families has %s alone", policy.IPv6Unicast)
	}
	out.ExtendedNextHop = s.ExtendedNextHop || s.Interface != ""
	out.BFD = bfdSettings(s.BFD, r)
	out.GracefulRestartTime = restartTime(s.GracefulRestart, r)
	out.MaxPodPrefixes = maxPodPrefixes(s.MaxPodPrefixes, r)
	out.Defaults = defaults(s.Attributes, r)
	return out
}

// peerASN reads the neighbour's AS, or what is known of it.
func peerASN(s *v1alpha1.BGPPeerSpec, r *report) (uint32, policy.DynamicASN) {
	const field = "spec.dynamicASN"
	dynamic := policy.DynamicASN(s.DynamicASN)
	switch {
	case dynamic == "":
		return asn("spec.peerASN", s.PeerASN, r), ""
	case s.PeerASN != nil:
		r.wrong(field, dynamic, "stands beside peerASN: give one of them")
	case dynamic != policy.External && dynamic != policy.Internal:
		r.wrong(field, dynamic, "is neither %s nor %s", policy.External, policy.Internal)
	}
	return 0, dynamic
}

// checkSearch judges what a BGPPeer says of how the neighbour is found.
func checkSearch(s *v1alpha1.BGPPeerSpec, r *report) {
	if d := policy.Discovery(s.PeerDiscovery); d != "" && d != policy.DefaultGateway {
		r.wrong("spec.peerDiscovery", d, "is not %s", policy.DefaultGateway)
	}
	if s.Interface == "" {
		return
	}
	switch {
	case !namesInterface(s.Interface) || s.Interface == "." || s.Interface == "..":
		r.wrong("spec.interface", s.Interface, "is no interface's name: up to 15 letters, digits, and . - _ @ +")
	case s.SourceAddress != "":
		r.wrong("spec.sourceAddress", s.SourceAddress, "is not for a neighbour on an interface: the session comes from the link-local address there; leave it out")
	case s.EBGPMultihop:
		r.wrong("spec.ebgpMultihop", true, "is not for a neighbour on an interface, which is one hop away: leave it out")
	}
}

// asn checks a number that the field must have.
func asn(field string, n *int64, r *report) uint32 {
	const bounds = "an AS number is 1 to 4294967294"
	switch {
	case n == nil:
		r.wrong(field, missing, "%s; give the AS that the neighbour is in, or dynamicASN", bounds)
	case *n < 1 || *n > 4294967295:
		r.wrong(field, *n, "%s; give the real one, or a private one (64512 to 65534, RFC 6996)", bounds)
	default:
		if err := routes.CheckASN(uint32(*n)); err != nil {
			r.wrong(field, *n, "%v; give the real one, or a private one (64512 to 65534, RFC 6996)", err)
		}
		return uint32(*n)
	}
	return 0
}

func peerAddress(s *v1alpha1.BGPPeerSpec, r *report) netip.Addr {
	switch {
	case s.PeerAddress != "" && s.Interface != "":
		r.wrong("spec.interface", s.Interface, "stands beside peerAddress: give one of them")
	case s.PeerDiscovery != "" && s.PeerAddress != "":
		r.wrong("spec.peerDiscovery", s.PeerDiscovery, "stands beside peerAddress: give one of them")
	case s.PeerDiscovery != "" && s.Interface != "":
		r.wrong("spec.peerDiscovery", s.PeerDiscovery, "stands beside interface: give one of them")
	case s.PeerAddress == "" && s.Interface == "" && s.PeerDiscovery == "":
		r.wrong("spec.peerAddress", missing, "give the neighbour's IPv4 or IPv6 address, or interface or peerDiscovery in its place")
	}
	if s.PeerAddress == "" {
		return netip.Addr{}
	}
	return address("spec.peerAddress", s.PeerAddress, r)
}

// address reads the unicast address of one end of a session. Loopback is
// allowed: a router may run on the node itself.
func address(field, text string, r *report) netip.Addr {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		r.wrong(field, text, "is not an IP address: write it without name, port or prefix length")
		return netip.Addr{}
	}
	addr = addr.Unmap()
	linkLocal6 := addr.Is6() && addr.IsLinkLocalUnicast()
	switch {
	case addr.IsUnspecified():
		r.wrong(field, text, "is the unspecified address: give that of one router")
	case addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		r.wrong(field, text, "is a multicast or broadcast address: give that of one router")
	case linkLocal6 && addr.Zone() == "":
		r.wrong(field, text, "is link-local, and every link has such addresses: add the interface, as in %s%%eth1", addr)
	case !linkLocal6 && addr.Zone() != "":
		r.wrong(field, text, "only a link-local address takes a zone: remove %%%s", addr.Zone())
	case !namesInterface(addr.Zone()):
		r.wrong(field, text, "what is behind the %% is no interface's name: up to 15 letters, digits, and . - _ @ +")
	default:
		return addr
	}
	return netip.Addr{}
}

// namesInterface reports whether a zone is none, or such a name as interfaces have in
// practice. Linux takes more (dev_valid_name in net/core/dev.c), but a router's
// language may read it as something else.
func namesInterface(zone string) bool {
	const longest = 15 // IFNAMSIZ without the NUL
	return len(zone) <= longest && strings.IndexFunc(zone, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune(".-_@+", c)
	}) < 0
}

func sourceAddress(text string, peer netip.Addr, r *report) netip.Addr {
	const field = "spec.sourceAddress"
	if text == "" {
		return netip.Addr{}
	}
	addr := address(field, text, r)
	if !addr.IsValid() || !peer.IsValid() {
		return addr
	}
	if addr.Is4() != peer.Is4() {
		r.wrong(field, text, "is not of the same family as peerAddress %s", peer)
	} else if addr == peer {
		r.wrong(field, text, "is the neighbour's own address: give one of the node's, or leave it out")
	}
	return addr
}

func port(p *int32, r *report) uint16 {
	switch {
	case p == nil:
		return defaultPort
	case *p < 1 || *p > 65535:
		r.wrong("spec.port", *p, "a TCP port is 1 to 65535; leave it out for %d", defaultPort)
		return 0
	}
	return uint16(*p)
}

// checkHops judges the two ways of saying how far the neighbour may be.
func checkHops(s *v1alpha1.BGPPeerSpec, p policy.Peer, r *report) {
	if s.TTLSecurity && s.EBGPMultihop {
		r.wrong("spec.ttlSecurity", true, "is for a neighbour one hop away and excludes ebgpMultihop: leave one of them out")
	}
	if s.EBGPMultihop && p.LocalASN != 0 && p.LocalASN == p.PeerASN {
		r.warn("spec.ebgpMultihop", true, "means nothing to an internal neighbour, which may be any number of hops away")
	}
}

// seconds reads a time that goes into the protocol in whole seconds.
func seconds(field string, d *metav1.Duration, absent, least, most time.Duration, r *report) time.Duration {
	if d == nil {
		return absent
	}
	switch {
	case d.Duration < least || d.Duration > most:
		r.wrong(field, d.Duration, "is not between %s and %s; leave it out for %s", inSeconds(least), inSeconds(most), inSeconds(absent))
	case d.Duration%time.Second != 0:
		r.wrong(field, d.Duration, "BGP counts in whole seconds: round it")
	default:
		return d.Duration
	}
	return absent
}

// keepaliveTime is a third of the hold time, or less (RFC 4271 section 4.4).
func keepaliveTime(d *metav1.Duration, hold time.Duration, r *report) time.Duration {
	const field = "spec.keepaliveTime"
	third := (hold / 3).Truncate(time.Second)
	keepalive := seconds(field, d, third, time.Second, mostTimer, r)
	if keepalive > third {
		r.wrong(field, keepalive, "is more than a third of holdTime %s, so that one lost KEEPALIVE may end the session: %s at most",
			inSeconds(hold), inSeconds(third))
	}
	return keepalive
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%ds", int(d/time.Second)) }

func families(list []v1alpha1.Family, r *report) []policy.Family {
	const field = "spec.families"
	if list == nil {
		return []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast}
	}
	if len(list) == 0 {
		r.wrong(field, "[]", "a session without a family carries nothing: leave it out for both")
	}
	var out []policy.Family
	for i, f := range list {
		at, family := fmt.Sprintf("%s[%d]", field, i), policy.Family(f)
		switch {
		case family != policy.IPv4Unicast && family != policy.IPv6Unicast:
			r.wrong(at, f, "is neither %s nor %s", policy.IPv4Unicast, policy.IPv6Unicast)
		case slices.Contains(out, family):
			r.wrong(at, f, "is there twice: leave one")
		default:
			out = append(out, family)
		}
	}
	slices.Sort(out)
	return out
}

// restartTime gives 0 where graceful restart is off.
func restartTime(g *v1alpha1.GracefulRestart, r *report) time.Duration {
	if g == nil {
		return 0
	}
	t := seconds("spec.gracefulRestart.restartTime", g.RestartTime, defaultRestartTime, time.Second, mostRestartTime, r)
	if g.Enabled != nil && !*g.Enabled {
		return 0
	}
	return t
}

func maxPodPrefixes(n *int64, r *report) uint32 {
	if n == nil {
		return 0
	}
	if *n < 1 || *n > 4294967295 {
		r.wrong("spec.maxPodPrefixes", *n, "is not a number from 1 to 4294967295; leave it out for as many prefixes as there are")
		return 0
	}
	return uint32(*n)
}

func defaults(a *v1alpha1.Attributes, r *report) policy.Defaults {
	const field = "spec.attributes"
	var out policy.Defaults
	if a == nil {
		return out
	}
	for i, text := range a.Communities {
		standard, large, err := routes.ParseCommunities(text)
		if strings.Contains(text, ",") {
			err = fmt.Errorf("%q has a comma: one community per item", text)
		}
		if err != nil {
			r.wrong(fmt.Sprintf("%s.communities[%d]", field, i), nil, "%v", err)
		}
		out.Communities = append(out.Communities, standard...)
		out.LargeCommunities = append(out.LargeCommunities, large...)
	}
	if len(a.Communities) > 0 {
		out.Communities = routes.SortedSet(out.Communities, cmp.Compare[routes.Community])
		out.LargeCommunities = routes.SortedSet(out.LargeCommunities, routes.LargeCommunity.Compare)
	}
	if n := len(out.Communities) + len(out.LargeCommunities); n > routes.MaxCommunities {
		r.wrong(field+".communities", nil, "has %d communities: at most %d are allowed", n, routes.MaxCommunities)
	}
	out.MED = number32(field+".med", a.MED, r)
	out.LocalPref = number32(field+".localPref", a.LocalPref, r)
	if n := a.ASPathPrepend; n != nil {
		if *n < 0 || *n > routes.MaxASPathPrepend {
			r.wrong(field+".asPathPrepend", *n, "is not a number from 0 to %d", routes.MaxASPathPrepend)
		} else {
			prepend := uint8(*n)
			out.ASPathPrepend = &prepend
		}
	}
	return out
}

func number32(field string, n *int64, r *report) *uint32 {
	if n == nil {
		return nil
	}
	if *n < 0 || *n > 4294967295 {
		r.wrong(field, *n, "is not a number from 0 to 4294967295")
		return nil
	}
	u := uint32(*n)
	return &u
}

// secretRef gives the reference with its default.
func secretRef(ref *v1alpha1.SecretKeyRef, r *report) *v1alpha1.SecretKeyRef {
	if ref == nil {
		return nil
	}
	if ref.Name == "" {
		r.wrong("spec.passwordSecretRef.name", missing, "give the name of the Secret with the password, or leave passwordSecretRef out")
		return nil
	}
	return &v1alpha1.SecretKeyRef{Name: ref.Name, Key: cmp.Or(ref.Key, defaultSecretKey)}
}

// errUnreadable says that a Secret is there but did not convert.
var errUnreadable = errors.New("is in the input but does not convert: see its own problem")

// password looks up what a draft's reference means. secrets gives the content of
// a Secret by name, or an error that continues "Secret NAME".
func (d Peer) password(secrets func(name string) (Secret, error), r *report) policy.Password {
	if d.Secret == nil {
		return ""
	}
	const field = "spec.passwordSecretRef"
	content, err := secrets(d.Secret.Name)
	if err != nil {
		r.wrong(field, nil, "Secret %s %v", d.Secret.Name, err)
		return ""
	}
	password, ok := content[d.Secret.Key]
	switch {
	case !ok:
		r.wrong(field, nil, "Secret %s has no key %s: add it, or name the right one in passwordSecretRef.key", d.Secret.Name, d.Secret.Key)
	case password == "":
		r.wrong(field, nil, "key %s of Secret %s is empty: put the neighbour's password there", d.Secret.Key, d.Secret.Name)
	case len(password) > longestPassword:
		r.wrong(field, nil, "key %s of Secret %s has %d bytes: TCP MD5 takes %d at most", d.Secret.Key, d.Secret.Name, len(password), longestPassword)
	case strings.TrimSpace(password) != password:
		r.warn(field, nil, "key %s of Secret %s begins or ends with a blank or a line end, which is part of the password; `printf %%s` writes none", d.Secret.Key, d.Secret.Name)
	}
	return policy.Password(password)
}
