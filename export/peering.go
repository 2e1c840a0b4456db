package export

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// placeholder stands where the password goes. An export is pasted, mailed and
// kept in repositories, so it never holds the real one.
const placeholder = "CHANGE-ME"

// anyHop is the TTL of a multihop session: Fairway does not know the distance.
const anyHop = 255

// peering is the router's side of the sessions of one BGPPeer. What is exported
// is there for the templates. All of it is safe to print: names are plain, and
// the password is a placeholder.
type peering struct {
	Peer string
	// Name begins the names of lists and groups in the router.
	Name   string
	Groups []group
	// AllFamilies are IPv4 and IPv6.
	AllFamilies []family
	// Mixed says that the nodes are in different ASes, so equal paths differ in
	// their AS path.
	Mixed bool
	// settings are Fairway's side, made printable: PeerASN is the router's own AS, Address its
	// own address, and Passive means that the router dials.
	settings policy.SessionSettings
	// Format is the language that the peering is printed in.
	Format Format
	// paths is how many nodes may carry a prefix at once.
	paths int
	notes []string
	// leftOut are those of the notes that name nodes which cannot be exported.
	leftOut []string
	// warnings are those of the notes that whoever asked for the export should see at
	// once: what is listed although a range was to stand for it.
	warnings []string
	// allow and listen are the ranges asked for.
	allow  []Range
	listen []netip.Prefix
}

// group is the neighbours that share all settings. eBGP and iBGP neighbours
// cannot share a group in most languages.
type group struct {
	Name     string
	Internal bool
	// Multihop is the TTL of neighbours that are not on a connected network, 0
	// where they are. Languages that have GTSM ask for that first.
	Multihop int
	// Neighbours are the nodes that are listed.
	Neighbours []neighbour
	// Listen are the networks from which any node may open a session, and Covered the
	// nodes that do so today.
	Listen  []netip.Prefix
	Covered []neighbour
	// beside are the ASes of the nodes that are listed although there is a range.
	beside []uint32
}

// neighbour is one node, as the router sees it.
type neighbour struct {
	Node    string
	Address netip.Addr
	// Port is the router's, for an unnumbered session, which has no Address.
	Port string
	ASN  uint32
}

// family is what the router accepts in one address family.
type family struct {
	V6 bool
	// On says that the sessions negotiate the family.
	On bool
	// In names the list of what the family may bring, None the one that lets
	// nothing pass. They are the same for a family that may bring nothing, so
	// that a permit never has to follow a deny.
	In, None string
	Rules    []rule
	// Limit is how many prefixes one node may announce before the router ends
	// the session.
	Limit int
}

// rule allows one prefix, or with Longest set every prefix in it that is not
// longer than that.
type rule struct {
	Prefix  netip.Prefix
	Longest int
}

// longest is the length of the longest prefix that the rule allows.
func (r rule) longest() int { return max(r.Longest, r.Prefix.Bits()) }

// peeringOf judges the plans from the router's point of view.
func peeringOf(f Format, in Input) (peering, error) {
	peer, err := choosePeer(in)
	if err != nil {
		return peering{}, err
	}
	plans := byNode(in.Plans)
	p := peering{Peer: plain(peer), Name: listName(peer), Format: f, allow: in.Allow, listen: in.Listen}
	p.addNeighbours(peer, plans, addressBook(in.Nodes), in.Ports)
	if err := p.settleASN(in.RouterASN); err != nil {
		return peering{}, err
	}
	if err := p.mayBeUnnumbered(in.Ports); err != nil {
		return peering{}, err
	}
	if len(p.Groups) == 0 {
		return peering{}, fmt.Errorf("BGPPeer %s: no node has an address that the router could peer with: %s",
			p.Peer, strings.Join(p.notes, "; "))
	}
	p.leftOut = slices.Clone(p.notes)
	p.warnings = p.dangers()
	if err := p.addListen(); err != nil {
		return peering{}, err
	}
	wants := wantsOf(peer, plans, in.Subnets)
	most := mostAdverts(peer, plans)
	for _, v6 := range []bool{false, true} {
		p.AllFamilies = append(p.AllFamilies, p.familyOf(v6, wants, most[v6]))
	}
	p.notes = append(p.notes, p.warnings...)
	p.notes = append(p.notes, unannounced(plans)...)
	return p, nil
}

// listName begins the names of a BGPPeer's lists and groups in a router.
func listName(peer string) string { return "FAIRWAY-" + strings.ToUpper(symbol(peer, "-")) }

// addNeighbours sorts the nodes that have a session with peer into groups.
func (p *peering) addNeighbours(peer string, plans []policy.Plan, book map[string]routes.Node, ports map[string]string) {
	seen, nodes := map[netip.Addr]string{}, 0
	asns := map[uint32]bool{}
	byKind := map[bool][]neighbour{}
	for _, plan := range plans {
		i := slices.IndexFunc(plan.Sessions, func(s policy.Session) bool { return s.Peer == peer })
		if i < 0 {
			continue
		}
		s := plan.Sessions[i]
		p.settings = printable(s.SessionSettings)
		n := neighbour{Node: plain(plan.Node), Address: neighbourAddress(s, book[plan.Node]), ASN: s.LocalASN}
		switch other := seen[n.Address]; {
		case s.Interface != "":
			n.Port = portOf(plan.Node, ports)
		case !n.Address.IsValid():
			p.notes = append(p.notes, fmt.Sprintf("%s is left out: it has no %s InternalIP, and BGPPeer %s no sourceAddress",
				n.Node, familyName(s.Over6()), p.Peer))
			continue
		case other != "":
			p.notes = append(p.notes, fmt.Sprintf("%s is left out: it has the address of %s, %s", n.Node, other, n.Address))
			continue
		}
		seen[n.Address] = n.Node
		nodes++
		asns[n.ASN] = true
		byKind[s.Internal()] = append(byKind[s.Internal()], n)
	}
	p.paths, p.Mixed = nodes, len(asns) > 1
	p.Groups = p.groupsOf(byKind)
}

// printable takes out of the settings what must not be printed.
func printable(s policy.SessionSettings) policy.SessionSettings {
	if s.Password != "" {
		s.Password = placeholder
	}
	s.Address = s.Address.WithZone(plain(s.Address.Zone()))
	s.Interface = plain(s.Interface)
	return s
}

// internalSuffix ends the name of the iBGP group where there is an eBGP one too.
const internalSuffix = "-I"

// groupsOf makes a group of the eBGP and one of the iBGP neighbours (true).
func (p *peering) groupsOf(byKind map[bool][]neighbour) []group {
	var out []group
	for _, internal := range []bool{false, true} {
		if byKind[internal] == nil {
			continue
		}
		g := group{Name: p.Name, Internal: internal, Neighbours: byKind[internal]}
		if p.settings.EBGPMultihop && !internal {
			g.Multihop = anyHop
		}
		if len(out) > 0 {
			g.Name += internalSuffix
		}
		out = append(out, g)
	}
	return out
}

// neighbourAddress is where the node's side of the session comes from; the zero
// Addr where that is not known, as with a link-local peer, whose session comes
// from a link-local address of the node.
func neighbourAddress(s policy.Session, n routes.Node) netip.Addr {
	peer := s.Address.Unmap()
	source := s.SourceAddress.Unmap()
	switch {
	case s.Interface != "":
		return netip.Addr{}
	case source.IsValid() && !source.IsUnspecified() && source.Zone() == "":
		return source
	case peer.IsLinkLocalUnicast():
		return netip.Addr{}
	}
	return internalIP(n, s.Over6())
}

// familyOf gathers what may come in one family.
func (p *peering) familyOf(v6 bool, wants []want, most int) family {
	f := family{V6: v6, On: slices.Contains(p.settings.Families, familyIn(v6))}
	ranges := rangesIn(v6, p.allow)
	f.Rules = rulesOf(v6, wants)
	pods := 0
	for _, r := range f.Rules {
		if r.Longest > 0 {
			pods++
		}
	}
	f.Limit = max(fewestPrefixes, 2*(len(f.Rules)-pods)+p.podLimit()*pods, 2*most)
	if len(ranges) > 0 {
		f.Limit = max(rangedLimit, f.Limit)
	}
	f.Rules = ranged(f.Rules, ranges)
	if len(p.allow) > 0 {
		p.warnings = append(p.warnings, outside(wants, f.Rules, ranges)...)
	}
	f.None = f.none()
	f.In = f.None
	if len(f.Rules) > 0 {
		f.In = p.Name + "-" + f.suffix()
	}
	return f
}

// How many prefixes one node may announce at least, and where a range is to take
// what nobody has thought of yet.
const (
	fewestPrefixes = 20
	podPrefixes    = 256
	rangedLimit    = 1000
)

// podLimit is how many prefixes one node may announce of a Subnet by its Pods: as many
// as the BGPPeer takes, and with them for a moment the CIDR.
func (p peering) podLimit() int { return max(podPrefixes, int(p.settings.MaxPodPrefixes)+1) }

// limitNote explains family.limit.
func (p peering) limitNote() string {
	least := fmt.Sprint(fewestPrefixes)
	if len(p.allow) > 0 {
		least = fmt.Sprintf("%d, or %d with ranges", fewestPrefixes, rangedLimit)
	}
	return fmt.Sprintf("The prefix limit is twice what is listed, %d for a Subnet announced by Pods, at least %s.", p.podLimit(), least)
}

// passing reports whether a prefix that is withheld everywhere for this reason
// comes back by itself, without a change of configuration.
func passing(r routes.Reason) bool {
	switch r {
	case routes.NoActiveGateway, routes.NodeNotReady, routes.Draining, routes.DatapathDown, routes.HostNotReady, routes.NoPods:
		return true
	}
	return false
}

// ruleOf allows an advert: its exact prefix, or for a Pod anything in the
// Subnet's CIDR.
func ruleOf(a *policy.Advert, subnets []*routes.Subnet) rule {
	prefix := a.Prefix.Masked()
	if a.Role != routes.RolePod {
		return rule{Prefix: prefix}
	}
	r := rule{Prefix: prefix, Longest: prefix.Addr().BitLen()}
	for _, s := range subnets {
		if s.Name != a.Subnet {
			continue
		}
		for _, c := range s.CIDRs {
			if c.Bits() <= prefix.Bits() && c.Contains(prefix.Addr()) {
				r.Prefix = c
			}
		}
	}
	if r.Prefix.Bits() == r.Longest {
		r.Longest = 0 // a host route has nothing longer in it
	}
	return r
}

func compareRules(a, b rule) int {
	if c := a.Prefix.Compare(b.Prefix); c != 0 {
		return c
	}
	return a.Longest - b.Longest
}

// mostAdverts counts, by "is IPv6", the prefixes of the node that announces most
// to peer.
func mostAdverts(peer string, plans []policy.Plan) map[bool]int {
	most := map[bool]int{}
	for _, plan := range plans {
		n := map[bool]int{}
		for _, a := range plan.Adverts {
			if slices.Contains(a.Peers, peer) {
				v6 := a.Prefix.Addr().Is6()
				n[v6]++
				most[v6] = max(most[v6], n[v6])
			}
		}
	}
	return most
}

// nodes names the neighbours of all groups.
func (p peering) nodes() []string {
	var out []string
	for _, g := range p.Groups {
		for _, n := range g.all() {
			out = append(out, n.Node)
		}
	}
	return out
}

func familyIn(v6 bool) policy.Family {
	if v6 {
		return policy.IPv6Unicast
	}
	return policy.IPv4Unicast
}

func familyName(v6 bool) string {
	if v6 {
		return "IPv6"
	}
	return "IPv4"
}
