package export

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/bfd"
	"github.com/fairway-bgp/fairway/inet"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// FRRK8s is no router's language: it prints what the FRR of each node needs to announce
// the node's prefixes, as objects of frr-k8s, which runs that FRR for MetalLB
// (FRRConfiguration of frrk8s.metallb.io/v1beta1). It is of the nodes' side, and not
// among the Formats.
const FRRK8s Format = "frr-k8s"

// FRRK8sInput is what the objects are made of besides an Input, of which they need the
// Plans, the Nodes and, for one BGPPeer alone, the Peer.
type FRRK8sInput struct {
	Input
	// Namespace is that of frr-k8s.
	Namespace string
	// Secrets names the Secret of each BGPPeer's password.
	Secrets map[string]string
}

// hostnameLabel is a Node's label that the kubelet writes.
const hostnameLabel = "kubernetes.io/hostname"

// mostFRRK8sPort is the greatest port that the CRD of frr-k8s takes.
const mostFRRK8sPort = 16384

// WriteFRRK8s prints an object for each node. What an object cannot say is a comment in
// the output, and in the notes.
func WriteFRRK8s(w io.Writer, in FRRK8sInput) (notes []string, err error) {
	sheet := frrSheet{}
	book := addressBook(in.Nodes)
	for _, plan := range byNode(in.Plans) {
		n := frrNode{Name: plain(plan.Node), Namespace: plain(in.Namespace), Host: plain(cmp.Or(book[plan.Node].Labels[hostnameLabel], plan.Node))}
		n.add(plan, in)
		sheet.Notes = append(sheet.Notes, n.notes...)
		if len(n.Neighbours) > 0 {
			sheet.Nodes = append(sheet.Nodes, n)
		}
	}
	if len(sheet.Nodes) == 0 {
		return sheet.Notes, fmt.Errorf("export as %s: no node has a session that the FRR of the node could have%s", FRRK8s, strings.Join(append([]string{""}, sheet.Notes...), "; "))
	}
	sheet.Notes = alike(sheet.Notes)
	var b bytes.Buffer
	if err := execute(&b, FRRK8s, "objects", sheet); err != nil {
		return nil, err
	}
	if _, err := b.WriteTo(w); err != nil {
		return nil, fmt.Errorf("export as %s: %w", FRRK8s, err)
	}
	return sheet.Notes, nil
}

// alike leaves one of several equal sentences.
func alike(notes []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(notes), func(n string) bool {
		again := seen[n]
		seen[n] = true
		return again
	})
}

// frrSheet is everything that is printed. What is exported is there for the template.
type frrSheet struct {
	Nodes []frrNode
	Notes []string
}

// frrNode is one object.
type frrNode struct {
	Name, Namespace, Host string
	ASN                   uint32
	Neighbours            []frrNeighbour
	Prefixes              []netip.Prefix
	notes                 []string
}

// frrNeighbour is a neighbor of the object, the times in seconds and 0 for frr-k8s' own.
type frrNeighbour struct {
	Peer string
	// Interface goes before Address, and DynamicASN before ASN.
	Interface                           string
	Address                             netip.Addr
	ASN                                 uint32
	DynamicASN                          string
	Port                                uint16
	Source                              string
	Secret                              string
	Hold, Keepalive, Connect            int
	Multihop, GracefulRestart, BothKind bool
	Prefixes                            []netip.Prefix
	Communities                         []frrTagged
	LocalPrefs                          []frrTagged
}

// frrTagged are prefixes that go out with a community or a LOCAL_PREF.
type frrTagged struct {
	Value    string
	Prefixes []netip.Prefix
}

func (n *frrNode) note(format string, args ...any) {
	n.notes = append(n.notes, fmt.Sprintf(format, args...))
}

// add takes the sessions of a plan over, and what each is sent.
func (n *frrNode) add(plan policy.Plan, in FRRK8sInput) {
	all := map[netip.Prefix]bool{}
	n.ASN = commonASN(plan.Sessions, in.Peer)
	for _, s := range plan.Sessions {
		if in.Peer != "" && s.Peer != in.Peer || !n.canHave(s) {
			continue
		}
		neighbour := neighbourOf(s, in.Secrets[s.Peer])
		n.limits(s)
		n.fill(&neighbour, plan, s)
		for _, p := range neighbour.Prefixes {
			all[p] = true
		}
		n.Neighbours = append(n.Neighbours, neighbour)
	}
	n.Prefixes = slices.SortedFunc(maps.Keys(all), netip.Prefix.Compare)
	if len(n.Neighbours) == 0 {
		n.note("Node %s: no object, for there is no neighbor in it", n.Name)
	}
}

// commonASN is the AS that most sessions have, the lowest of several; of one BGPPeer its
// own.
func commonASN(sessions []policy.Session, peer string) uint32 {
	count := map[uint32]int{}
	for _, s := range sessions {
		if peer == "" || s.Peer == peer {
			count[s.LocalASN]++
		}
	}
	var common uint32
	for _, asn := range slices.Sorted(maps.Keys(count)) {
		if count[asn] > count[common] {
			common = asn
		}
	}
	return common
}

// canHave reports whether the node's FRR could have the session, and notes why not.
func (n *frrNode) canHave(s policy.Session) bool {
	problem := ""
	switch {
	case s.LocalASN != n.ASN:
		problem = fmt.Sprintf("its localASN %d is not %d, which most have here: frr-k8s has one AS for all", s.LocalASN, n.ASN)
	case s.Passive:
		problem = "spec.passive is true, and the FRR of frr-k8s dials and does not listen"
	case s.Interface != "":
	case !s.Address.IsValid():
		problem = "spec.peerDiscovery: which address that is on this node is not known here"
	case s.Address.Zone() != "":
		problem = "its address is that of one link alone; give spec.interface instead"
	}
	switch {
	case problem != "":
	case s.Port > mostFRRK8sPort:
		problem = fmt.Sprintf("spec.port %d is more than %d, the most that frr-k8s takes", s.Port, mostFRRK8sPort)
	case s.TTLSecurity:
		problem = "spec.ttlSecurity is true, which frr-k8s cannot say, and the router would hear nothing"
	}
	if problem != "" {
		n.note("Node %s: BGPPeer %s is left out: %s", n.Name, plain(s.Peer), problem)
	}
	return problem == ""
}

// neighbourOf leaves out what is Fairway's own default: frr-k8s merges only what is equal,
// and MetalLB says what is asked for alone, too.
func neighbourOf(s policy.Session, secret string) frrNeighbour {
	out := frrNeighbour{Peer: plain(s.Peer), Interface: plain(s.Interface), Address: s.Address, ASN: s.PeerASN, DynamicASN: string(s.DynamicASN), Multihop: s.EBGPMultihop && !s.Internal(), GracefulRestart: s.GracefulRestartTime > 0}
	if s.Port != inet.BGPPort {
		out.Port = s.Port
	}
	if s.SourceAddress.IsValid() {
		out.Source = s.SourceAddress.String()
	}
	if s.Password != "" {
		out.Secret = plain(cmp.Or(secret, placeholder))
	}
	if s.HoldTime != policy.DefaultHoldTime || s.KeepaliveTime != policy.DefaultHoldTime/3 {
		out.Hold, out.Keepalive = seconds(s.HoldTime), seconds(s.KeepaliveTime)
	}
	if s.ConnectRetryTime != policy.DefaultConnectRetry {
		out.Connect = seconds(s.ConnectRetryTime)
	}
	return out
}

// limits notes what an object cannot say of a session.
func (n *frrNode) limits(s policy.Session) {
	if s.Password != "" {
		n.note("BGPPeer %s: frr-k8s wants the password in a Secret of type kubernetes.io/basic-auth, with the key password, in its own namespace %s", plain(s.Peer), n.Namespace)
	}
	if s.GracefulRestartTime > 0 {
		n.note("BGPPeer %s: the restart time of graceful restart is FRR's own, not %d s", plain(s.Peer), seconds(s.GracefulRestartTime))
	}
	if s.BFD != (bfd.Settings{}) {
		n.note("BGPPeer %s: spec.bfd is left out; name MetalLB's own BFD profile in the objects where the session has one", plain(s.Peer))
	}
	if s.ExtendedNextHop {
		n.note("BGPPeer %s: spec.extendedNextHop cannot be said; IPv4 prefixes need an IPv4 next hop", plain(s.Peer))
	}
}

// fill gives a neighbour what it is sent by the plan.
func (n *frrNode) fill(to *frrNeighbour, plan policy.Plan, s policy.Session) {
	communities, prefs := map[string][]netip.Prefix{}, map[string][]netip.Prefix{}
	for _, a := range plan.Adverts {
		if !slices.Contains(a.Peers, s.Peer) {
			continue
		}
		x := attributesFor(plan, a, s.Peer)
		if !n.canSend(a, x, s) {
			continue
		}
		p := a.Prefix.Masked()
		to.Prefixes = append(to.Prefixes, p)
		to.BothKind = to.BothKind || s.Interface == "" && p.Addr().Is6() != s.Address.Is6()
		for _, c := range frrK8sCommunities(x) {
			communities[c] = append(communities[c], p)
		}
		if x.LocalPref != nil {
			pref := fmt.Sprint(*x.LocalPref)
			prefs[pref] = append(prefs[pref], p)
		}
	}
	to.Communities, to.LocalPrefs = tagged(communities), tagged(prefs)
}

// frrK8sCommunities writes communities as frr-k8s reads them: no names.
func frrK8sCommunities(x policy.Attributes) []string {
	var out []string
	for _, c := range x.Communities {
		out = append(out, fmt.Sprintf("%d:%d", uint32(c)>>16, uint32(c)&0xFFFF))
	}
	for _, c := range x.LargeCommunities {
		out = append(out, "large:"+c.String())
	}
	return out
}

// attributesFor is what the peer would be sent by Fairway.
func attributesFor(plan policy.Plan, a *policy.Advert, peer string) policy.Attributes {
	for _, e := range plan.Exports(a) {
		if e.Peer == peer {
			return e.Attributes
		}
	}
	return policy.Attributes{}
}

// canSend reports whether the prefix may go out without what an object cannot say, and
// notes what that is. It may not where traffic would go astray.
func (n *frrNode) canSend(a *policy.Advert, x policy.Attributes, s policy.Session) bool {
	subject := fmt.Sprintf("Subnet %s: %s to BGPPeer %s by node %s", plain(a.Subnet), a.Prefix, plain(s.Peer), n.Name)
	switch {
	case a.NextHop.IsValid():
		n.note("%s is left out: its next hop %s cannot be said, and the node's own is another", subject, a.NextHop)
		return false
	case a.Role == routes.RoleStandby && !s.Internal():
		n.note("%s is left out: it stands by, and the longer AS path that says so cannot be said", subject)
		return false
	case x.LocalPref != nil && *x.LocalPref == 0:
		n.note("%s is left out: its local-pref 0 cannot be said", subject)
		return false
	}
	var lost []string
	if x.MED != nil {
		lost = append(lost, fmt.Sprintf("MED %d", *x.MED))
	}
	if x.ASPathPrepend > 0 {
		lost = append(lost, fmt.Sprintf("%d prepended to its AS path", x.ASPathPrepend))
	}
	if len(lost) > 0 {
		n.note("%s goes out without %s, which cannot be said", subject, strings.Join(lost, " and "))
	}
	return true
}

// tagged sorts by value.
func tagged(by map[string][]netip.Prefix) []frrTagged {
	var out []frrTagged
	for _, value := range slices.Sorted(maps.Keys(by)) {
		out = append(out, frrTagged{value, by[value]})
	}
	return out
}
