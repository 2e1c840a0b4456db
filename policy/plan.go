package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// Plan is what one node shall announce, and what it shall not and why. Lists
// are sorted and never nil, so that a Plan compares and prints the same
// wherever it was made.
type Plan struct {
	Node     string     `json:"node"`
	Adverts  []*Advert  `json:"adverts"`
	Withheld []Withheld `json:"withheld"`
	Warnings []Warning  `json:"warnings"`
	// Sessions are the BGP sessions that the node shall have, sorted by peer.
	Sessions []Session `json:"sessions"`
	// Forwards are the CIDRs whose traffic the node must let through, announced by
	// it or not, sorted.
	Forwards []Forward `json:"forwards"`
	// RouterID is the BGP identifier (RFC 4271 section 4.2), an IPv4 address.
	RouterID netip.Addr `json:"routerID"`
	// exports holds what each session makes of each class of adverts, sorted by
	// class and peer.
	exports []Export
	// Next is when time alone may change the plan, and it is to be made again; zero
	// for never.
	Next time.Time `json:"-"`
	// history is what the plan leaves to the next one.
	history routes.History
	// good is what parsed last of the Subnets, from the first time on that the cluster
	// can announce them; Memory keeps it.
	good routes.ByName[routes.Good]
	// rib are the routes of Adverts.
	rib routes.RIB
}

// Advert is one prefix that the node announces.
type Advert struct {
	Prefix netip.Prefix `json:"prefix"`
	Subnet string       `json:"subnet"`
	// NextHop is the zero Addr ("" in JSON) for each session's own address.
	NextHop          netip.Addr              `json:"nextHop"`
	Peers            []string                `json:"peers"`
	Role             routes.Role             `json:"role"`
	Communities      []routes.Community      `json:"communities"`
	LargeCommunities []routes.LargeCommunity `json:"largeCommunities"`
	MED              *uint32                 `json:"med"`
	LocalPref        *uint32                 `json:"localPref"`
	ASPathPrepend    uint8                   `json:"asPathPrepend"`
	// Draining is whether it leaves with GRACEFUL_SHUTDOWN and a path that loses,
	// because the node is about to withdraw it.
	Draining bool `json:"draining,omitempty"`
	// route is what the speaker originates; its class groups adverts that leave alike.
	route *routes.Route
}

// NextHopText is the next hop, "" for each session's own address.
func (a Advert) NextHopText() string {
	if !a.NextHop.IsValid() {
		return ""
	}
	return a.NextHop.String()
}

// Withheld is one prefix of a selected Subnet that the node does not announce.
type Withheld struct {
	// Prefix is as the Subnet has it where it does not parse.
	Prefix string        `json:"prefix"`
	Subnet string        `json:"subnet"`
	Reason routes.Reason `json:"reason"`
	Detail string        `json:"detail"`
	// Undecided is whether that depends on what the node announced before, which is
	// not known here: if it did, it goes on.
	Undecided bool `json:"undecided,omitempty"`
}

// Warning is something about an announced Subnet, a peer (Subnet "") or the
// node that the user should know; nothing is withheld for it.
type Warning struct {
	Subnet string        `json:"subnet"`
	Reason routes.Reason `json:"reason"`
	Detail string        `json:"detail"`
	// Peer is the BGPPeer that it is about, "" for none.
	Peer string `json:"-"`
}

// Why gives the detail without the name of the BGPPeer that it is about.
func (w Warning) Why() string { return strings.TrimPrefix(w.Detail, aboutPeer(w.Peer)) }

// aboutPeer begins the detail of a warning about a BGPPeer.
func aboutPeer(name string) string { return "BGPPeer " + name + ": " }

// Subnets names the Subnets that the plan has something to say about, sorted.
func (p Plan) Subnets() []string {
	var out []string
	for _, a := range p.Adverts {
		out = append(out, a.Subnet)
	}
	for _, w := range p.Withheld {
		out = append(out, w.Subnet)
	}
	return routes.SortedSet(out, strings.Compare)
}

// OnlySubnet gives the plan with what is about that Subnet alone.
func (p Plan) OnlySubnet(name string) Plan {
	p.Adverts = slices.DeleteFunc(slices.Clone(p.Adverts), func(a *Advert) bool { return a.Subnet != name })
	p.Withheld = slices.DeleteFunc(slices.Clone(p.Withheld), func(w Withheld) bool { return w.Subnet != name })
	p.Warnings = slices.DeleteFunc(slices.Clone(p.Warnings), func(w Warning) bool { return w.Subnet != name })
	return p
}
