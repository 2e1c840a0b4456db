package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/routes"
)

// Discovery is how the node finds a neighbour that no BGPPeer gives the address of.
type Discovery string

// DefaultGateway takes the next hop of the node's default route for the neighbour.
const DefaultGateway Discovery = "defaultGateway"

// DynamicASN is what is known of a neighbour's AS in the place of its number.
type DynamicASN string

// External is any AS but our own, which the neighbour's OPEN tells; Internal is our own.
const (
	External DynamicASN = "external"
	Internal DynamicASN = "internal"
)

// Search is where a node looks for a neighbour whose address the BGPPeer leaves open,
// as a word that is a key in JSON too: "interface eth1", "defaultGateway ipv4-unicast".
// It is "" for a neighbour of which the address is given.
type Search string

const (
	linkSearch    = "interface "
	gatewaySearch = string(DefaultGateway) + " "
)

// Link names the link on which the neighbour sends router advertisements.
func (s Search) Link() (name string, ok bool) { return strings.CutPrefix(string(s), linkSearch) }

// Gateway gives the family of the default route that leads to the neighbour.
func (s Search) Gateway() (f Family, ok bool) {
	text, ok := strings.CutPrefix(string(s), gatewaySearch)
	return Family(text), ok
}

// String says for people where the neighbour is.
func (s Search) String() string {
	if link, ok := s.Link(); ok {
		return "neighbour on " + link
	}
	if f, _ := s.Gateway(); f == IPv6Unicast {
		return "the IPv6 default gateway"
	}
	return "the default gateway"
}

// Search is where the neighbour is looked for. A default gateway is that of IPv4,
// unless the session is for IPv6 alone: one BGPPeer gives a node one session.
func (s SessionSettings) Search() Search {
	switch {
	case s.Interface != "":
		return Search(linkSearch + s.Interface)
	case s.Discovery != "" && len(s.Families) == 1:
		return Search(gatewaySearch + string(s.Families[0]))
	case s.Discovery != "":
		return Search(gatewaySearch + string(IPv4Unicast))
	}
	return ""
}

// Over6 reports whether the session runs over IPv6.
func (s SessionSettings) Over6() bool {
	if s.Address.IsValid() {
		return s.Address.Is6()
	}
	f, gateway := s.Search().Gateway()
	return !gateway || f == IPv6Unicast
}

// Where is the neighbour's address with, where that was found, what it was found by.
func (s SessionSettings) Where() string {
	switch search := s.Search(); {
	case search == "":
		return s.Address.String()
	case !s.Address.IsValid():
		return search.String()
	case s.Interface != "":
		return s.Address.String() // its zone is the link
	default:
		return fmt.Sprintf("%s, %s", s.Address, search)
	}
}

// Found is what a node has found where it looked.
type Found struct {
	// Routers are the addresses found there now, the one to take first. None says that
	// nothing is there now, or that nobody could look: Why tells.
	Routers []netip.Addr
	// Own is the node's own address to speak from; the zero Addr where the kernel
	// chooses.
	Own netip.Addr
	// Why says what is in the way and what to do, "" where nothing is.
	Why string
	// Impossible is whether nothing can be there: the node has no such link.
	Impossible bool
}

// Settled is the neighbour that a node has settled on: that address, spoken to from
// that own one (see Found).
type Settled struct {
	Router netip.Addr `json:"router"`
	Own    netip.Addr `json:"own,omitzero"`
}

// settled is what is to be remembered of a neighbour that was looked for.
func (s SessionSettings) settled() Settled {
	at := Settled{Router: s.Address}
	if s.Interface != "" { // else the source is the BGPPeer's, if it gives one
		at.Own = s.SourceAddress
	}
	return at
}

// settle decides for one of the routers found. The one settled on stays while it is
// still there, and while there is no other: advertisements and routes may be missing for
// a moment, and no session may end by that. On a link it stays while its session is up
// (keep), too: whoever advertises there besides takes nothing away.
func settle(last Settled, found Found, keep bool) Settled {
	if found.Impossible {
		return Settled{}
	}
	if !found.Own.IsValid() {
		found.Own = last.Own
	}
	if last.Router.IsValid() && (keep || len(found.Routers) == 0 || slices.Contains(found.Routers, last.Router)) {
		return Settled{last.Router, found.Own}
	}
	if len(found.Routers) == 0 {
		return Settled{}
	}
	return Settled{found.Routers[0], found.Own}
}

// upOnLinks are the neighbours settled on that stay because their session is up; nil for none.
func (s *Snapshot) upOnLinks() map[netip.Addr]bool {
	var out map[netip.Addr]bool
	for search, at := range s.Settled {
		if _, link := search.Link(); link && s.Up[at.Router] {
			if out == nil {
				out = map[netip.Addr]bool{}
			}
			out[at.Router] = true
		}
	}
	return out
}

// located gives the BGPPeers with the addresses that this node has found for them.
func (s *Snapshot) located() []Peer {
	out := slices.Clone(s.Peers)
	for i := range out {
		p := &out[i]
		search := p.Search()
		if search == "" {
			continue
		}
		found, last := s.Found[search], s.Settled[search]
		at := settle(last, found, p.Interface != "" && s.Up[last.Router])
		p.Address = at.Router
		if at.Own.IsValid() {
			p.SourceAddress = at.Own
		}
		p.Missing = found.Why
	}
	return out
}

// Searches are where the node of that name looks for neighbours, sorted.
func (s Snapshot) Searches(node string) []Search {
	n := s.nodeOrBare(node)
	var out []Search
	for _, p := range s.Peers {
		if search := p.Search(); search != "" && p.Nodes.Matches(n.Labels) {
			out = append(out, search)
		}
	}
	return routes.SortedSet(out, func(a, b Search) int { return strings.Compare(string(a), string(b)) })
}

// crowded warns where more than one router is found in the place of one.
func (s *Snapshot) crowded(p Peer) (text string, is bool) {
	routers := s.Found[p.Search()].Routers
	if len(routers) < 2 {
		return "", false
	}
	names := make([]string, len(routers))
	for i, a := range routers {
		names[i] = a.String()
	}
	slices.Sort(names)
	if p.Interface != "" {
		return fmt.Sprintf("%s send router advertisements on %s, and a session is with one of them: %s; give each a BGPPeer with its peerAddress",
			columns.First(3, names), p.Interface, p.Address), true
	}
	return fmt.Sprintf("the default route has several next hops, %s, and a session is with one of them: %s; give each a BGPPeer with its peerAddress", columns.First(3, names), p.Address), true
}
