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

// peering is the router's side of the sessions of one BGPPeer. Names in it are
// safe to print.
type peering struct {
	peer string
	// name begins the names of lists and groups in the router.
	name string
	// settings are Fairway's side: PeerASN is the router's own AS, Address its
	// own address, and Passive means that the router dials.
	settings policy.SessionSettings
	groups   []group
	families []family
	// paths is how many nodes may carry a prefix at once.
	paths int
	// mixed says that the nodes are in different ASes, so equal paths differ in
	// their AS path.
	mixed bool
	notes []string
}

// group is the neighbours that share all settings. eBGP and iBGP neighbours
// cannot share a group in most languages.
type group struct {
	name       string
	internal   bool
	neighbours []neighbour
}

// neighbour is one node, as the router sees it.
type neighbour struct {
	node    string
	address netip.Addr
	asn     uint32
}

// family is what the router accepts in one address family.
type family struct {
	v6 bool
	// on says that the sessions negotiate the family.
	on    bool
	rules []rule
	// limit is how many prefixes one node may announce before the router ends
	// the session.
	limit int
}

// rule allows one prefix, or with longest set every prefix in it that is not
// longer than that.
type rule struct {
	prefix  netip.Prefix
	longest int
}

// peeringOf judges the plans from the router's point of view.
func peeringOf(in Input) (peering, error) {
	peer, err := choosePeer(in)
	if err != nil {
		return peering{}, err
	}
	plans := byNode(in.Plans)
	p := peering{peer: plain(peer), name: "FAIRWAY-" + strings.ToUpper(symbol(peer, "-"))}
	p.addNeighbours(peer, plans, addressBook(in.Nodes))
	if len(p.groups) == 0 {
		return peering{}, fmt.Errorf("BGPPeer %s: no node has an address that the router could peer with: %s",
			p.peer, strings.Join(p.notes, "; "))
	}
	rules := rulesOf(peer, plans, in.Subnets)
	most := mostAdverts(peer, plans)
	for _, v6 := range []bool{false, true} {
		p.families = append(p.families, p.familyOf(v6, rules, most[v6]))
	}
	p.notes = append(p.notes, unannounced(plans)...)
	return p, nil
}

// addNeighbours sorts the nodes that have a session with peer into groups.
func (p *peering) addNeighbours(peer string, plans []policy.Plan, book map[string]routes.Node) {
	seen := map[netip.Addr]string{}
	asns := map[uint32]bool{}
	byKind := map[bool][]neighbour{}
	for _, plan := range plans {
		i := slices.IndexFunc(plan.Sessions, func(s policy.Session) bool { return s.Peer == peer })
		if i < 0 {
			continue
		}
		s := plan.Sessions[i]
		p.settings = s.SessionSettings
		n := neighbour{plain(plan.Node), neighbourAddress(s, book[plan.Node]), s.LocalASN}
		switch other := seen[n.address]; {
		case !n.address.IsValid():
			p.notes = append(p.notes, fmt.Sprintf("%s is left out: it has no %s InternalIP, and BGPPeer %s no sourceAddress",
				n.node, familyName(s.Address.Unmap().Is6()), p.peer))
			continue
		case other != "":
			p.notes = append(p.notes, fmt.Sprintf("%s is left out: it has the address of %s, %s", n.node, other, n.address))
			continue
		}
		seen[n.address] = n.node
		asns[n.asn] = true
		byKind[s.Internal()] = append(byKind[s.Internal()], n)
	}
	p.paths, p.mixed = len(seen), len(asns) > 1
	for _, internal := range []bool{false, true} {
		if ns := byKind[internal]; ns != nil {
			p.groups = append(p.groups, group{p.name, internal, ns})
		}
	}
	if len(p.groups) == 2 {
		p.groups[1].name += "-I"
	}
}

// neighbourAddress is where the node's side of the session comes from; the zero
// Addr where that is not known, as with a link-local peer, whose session comes
// from a link-local address of the node.
func neighbourAddress(s policy.Session, n routes.Node) netip.Addr {
	peer := s.Address.Unmap()
	source := s.SourceAddress.Unmap()
	switch {
	case source.IsValid() && !source.IsUnspecified() && source.Zone() == "":
		return source
	case peer.IsLinkLocalUnicast():
		return netip.Addr{}
	}
	return internalIP(n, peer.Is6())
}

// familyOf gathers what may come in one family.
func (p *peering) familyOf(v6 bool, rules []rule, most int) family {
	f := family{v6: v6, on: slices.Contains(p.settings.Families, familyIn(v6))}
	pods := 0
	for _, r := range rules {
		if r.prefix.Addr().Is6() != v6 {
			continue
		}
		f.rules = append(f.rules, r)
		if r.longest > 0 {
			pods++
		}
	}
	f.limit = max(20, 2*(len(f.rules)-pods)+256*pods, 2*most)
	return f
}

// limitNote explains family.limit.
const limitNote = "The prefix limit is twice what is listed, 256 for a Subnet announced by Pods, at least 20."

// rulesOf lists what may come from any node, now or once a node that is away
// is back. A Subnet that is announced to other routers only is not listed.
func rulesOf(peer string, plans []policy.Plan, subnets []routes.Subnet) []rule {
	var out []rule
	announced := map[string]bool{}
	for _, plan := range plans {
		for _, a := range plan.Adverts {
			announced[a.Subnet] = true
			if slices.Contains(a.Peers, peer) {
				out = append(out, ruleOf(a, subnets))
			}
		}
	}
	for _, plan := range plans {
		for _, w := range plan.Withheld {
			if prefix, err := netip.ParsePrefix(w.Prefix); err == nil && !announced[w.Subnet] && passing(w.Reason) {
				r := rule{prefix: prefix.Masked()}
				if w.Reason == routes.NoPods {
					r.longest = prefix.Addr().BitLen()
				}
				out = append(out, r)
			}
		}
	}
	return routes.SortedSet(out, compareRules)
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
func ruleOf(a policy.Advert, subnets []routes.Subnet) rule {
	prefix := a.Prefix.Masked()
	if a.Role != routes.RolePod {
		return rule{prefix: prefix}
	}
	r := rule{prefix, prefix.Addr().BitLen()}
	for _, s := range subnets {
		if s.Name != a.Subnet {
			continue
		}
		for _, c := range s.CIDRs {
			if c.Bits() <= prefix.Bits() && c.Contains(prefix.Addr()) {
				r.prefix = c
			}
		}
	}
	if r.prefix.Bits() == r.longest {
		r.longest = 0 // a host route has nothing longer in it
	}
	return r
}

func compareRules(a, b rule) int {
	if c := a.prefix.Compare(b.prefix); c != 0 {
		return c
	}
	return a.longest - b.longest
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
	for _, g := range p.groups {
		for _, n := range g.neighbours {
			out = append(out, n.node)
		}
	}
	return out
}

// external and internal report whether there is such a group.
func (p peering) external() bool { return !p.groups[0].internal }
func (p peering) internal() bool { return p.groups[len(p.groups)-1].internal }

// in names the list of what a family may bring. A family that may bring nothing
// has no list of its own, so that a permit never has to follow a deny.
func (p peering) in(f family) string {
	if len(f.rules) == 0 {
		return none(f)
	}
	return p.name + "-" + f.suffix()
}

// none names the list that lets nothing pass.
func none(f family) string { return "FAIRWAY-NONE-" + f.suffix() }

func (f family) suffix() string { return strings.ToUpper(f.short()) }

// short is "v4" or "v6".
func (f family) short() string {
	if f.v6 {
		return "v6"
	}
	return "v4"
}

// ip is the word that begins commands of the family: "ip" or "ipv6".
func (f family) ip() string {
	if f.v6 {
		return "ipv6"
	}
	return "ip"
}

// af is "ipv4" or "ipv6".
func (f family) af() string { return "ip" + f.short() }

// all is the prefix that contains every other, and bits the length of the
// longest.
func (f family) all() string {
	if f.v6 {
		return "::/0"
	}
	return "0.0.0.0/0"
}

func (f family) bits() int {
	if f.v6 {
		return 128
	}
	return 32
}

// le is the clause that IOS and its relatives put after a prefix.
func (r rule) le() string {
	if r.longest == 0 {
		return ""
	}
	return fmt.Sprintf(" le %d", r.longest)
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
