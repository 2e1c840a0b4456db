package host

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Trip is a packet that the kernel is asked about: from where to where, and the link
// that it comes in by. Without From and In it is one of this node's own.
type Trip struct {
	From, To netip.Addr
	In       string
}

// String is what follows "for" in the evidence of a finding.
func (t Trip) String() string {
	if t.In == "" {
		return "packets to " + t.To.String()
	}
	return fmt.Sprintf("%s -> %s, in by %s", t.From, t.To, t.In)
}

// Way is where a packet goes.
type Way struct {
	// Links are those that it may leave by, several with ECMP.
	Links []string
	// Refusal is why it leaves by none: the type of a route, or noRoute.
	Refusal string
	// Err is set where the kernel does not say.
	Err error
}

// Refusals besides the types of routes.
const (
	// noRoute is where no table has a route.
	noRoute = "none"
	// strictOrBlackhole is where a strict reverse path filter and a blackhole give the
	// same answer.
	strictOrBlackhole = "blackhole, or by a strict reverse path filter"
)

// by reports whether all such packets leave by the link.
func (w Way) by(link string) bool {
	return len(w.Links) > 0 && !slices.ContainsFunc(w.Links, func(l string) bool { return l != link })
}

// errNotAsked is why nothing is known of a way.
var errNotAsked = errors.New("rules of `ip rule` may lead packets past table main, and the kernel was not asked where to")

// way is the kernel's answer. Where it has none, table main's routes are the last word,
// unless rules lead elsewhere.
func (d Datapath) way(t Trip) Way {
	w, asked := d.Ways[t]
	switch {
	case asked && w.Err == nil:
		return w
	case d.Policy.Other[t.To.Is6()]:
		return Way{Err: cmp.Or(w.Err, errNotAsked)}
	}
	return d.mainWay(t.To)
}

// mainWay is where table main leads.
func (d Datapath) mainWay(to netip.Addr) Way {
	if to.Zone() != "" {
		return Way{Links: []string{to.Zone()}}
	}
	_, route, ok := d.routeTo(to)
	if !ok {
		return Way{Refusal: noRoute}
	}
	if route.Refusal != "" {
		return Way{Refusal: route.Refusal}
	}
	return Way{Links: route.Links}
}

// ways are what a Datapath says of the networks of a Want; what each question needs is
// worked out once. Maps by a bool are by family, true for IPv6.
type ways struct {
	Datapath
	want Want
	// entries are the links by which packets from outside come in: those that lead to
	// the peers, else those of the default route; sorted.
	entries map[bool][]string
	// clients are whom packets are exchanged with: anybody, the networks that sites have
	// inside, and the peers, whose addresses are certain to be outside.
	clients map[bool][]client
}

func (d Datapath) waysFor(w Want) ways {
	x := ways{d, w, map[bool][]string{}, map[bool][]client{}}
	for _, six := range []bool{false, true} {
		x.entries[six], x.clients[six] = d.entriesOf(w, six), d.clientsOf(w, six)
	}
	return x
}

func (d Datapath) entriesOf(w Want, six bool) []string {
	var out []string
	for _, peer := range w.peersFor(six) {
		out = append(out, d.way(Trip{To: peer}).Links...)
	}
	if out = d.outward(out); len(out) == 0 {
		out = d.outward(d.mainWay(outsideAddress(six)).Links)
	}
	return out
}

// outward gives the links that do not lead inside, sorted, each once.
func (d Datapath) outward(links []string) []string {
	out := slices.DeleteFunc(slices.Clone(links), func(l string) bool { return l == "" || l == d.Link.Name || l == "lo" })
	slices.Sort(out)
	return slices.Compact(out)
}

// client is an address outside that stands for a network of clients; without one it
// stands for any, or for itself.
type client struct {
	network netip.Prefix
	address netip.Addr
}

func (d Datapath) clientsOf(w Want, six bool) []client {
	out := []client{{address: outsideAddress(six)}}
	for _, p := range privateNetworks(six) {
		for a := range sampleAddresses(p) {
			if !w.covers(a) && !slices.Contains(d.linksTo(a), d.Link.Name) && !slices.Contains(d.Addresses, a) {
				out = append(out, client{p, a})
				break
			}
		}
	}
	for _, peer := range w.Peers {
		if peer.Is6() == six && peer.Zone() == "" && !slices.Contains(d.Addresses, peer) {
			out = append(out, client{address: peer})
		}
	}
	return out
}

// exits are the links by which replies of a family's networks leave; sorted.
func (x ways) exits(six bool) []string {
	var out []string
	for _, p := range x.want.prefixes(six) {
		inside := x.plainAddress(p)
		for _, c := range x.clients[six] {
			out = append(out, x.way(Trip{inside, c.address, x.Link.Name}).Links...)
		}
	}
	return x.outward(out)
}

// plainAddress is an address of p that no route or rule tells from others there, if
// one is found soon.
func (d Datapath) plainAddress(p netip.Prefix) netip.Addr {
	parts := d.partsOf(p)
	for a := range sampleAddresses(p) {
		if !slices.ContainsFunc(parts, func(part netip.Prefix) bool { return part.Contains(a) }) {
			return a
		}
	}
	return p.Masked().Addr()
}

// partsOf are the networks inside p that routes of any table, or rules, tell from the
// rest of it.
func (d Datapath) partsOf(p netip.Prefix) []netip.Prefix {
	i, is := slices.BinarySearchFunc(d.Named, p, netip.Prefix.Compare)
	if is {
		i++
	}
	end := i
	for end < len(d.Named) && p.Contains(d.Named[end].Addr()) {
		end++
	}
	return d.Named[i:end]
}

// trips are the packets of a family that Check wants to know of: between each network,
// with its parts, and each client, by each link that packets come in by.
func (x ways) trips(six bool) []Trip {
	var out []Trip
	for _, p := range x.want.prefixes(six) {
		inside := x.plainAddress(p)
		for _, c := range x.clients[six] {
			out = append(append(out, x.inward(inside, c)...), x.back(inside, c))
		}
		for _, part := range x.askedParts(p) {
			anybody, inside := x.clients[six][0], x.plainAddress(part)
			out = append(append(out, x.inward(inside, anybody)...), x.back(inside, anybody))
		}
	}
	return out
}

// inward are a client's packets to an address inside, by each link that they come in by.
func (x ways) inward(inside netip.Addr, c client) []Trip {
	var out []Trip
	for _, link := range x.entries[inside.Is6()] {
		out = append(out, Trip{c.address, inside, link})
	}
	if len(out) == 0 {
		out = append(out, Trip{From: c.address, To: inside})
	}
	return out
}

// back is a packet to a client from an address inside.
func (x ways) back(inside netip.Addr, c client) Trip {
	return Trip{inside, c.address, x.Link.Name}
}

// mostParts bounds how many parts of one network are asked about.
const mostParts = 256

// askedParts are the parts of p that are asked about.
func (d Datapath) askedParts(p netip.Prefix) []netip.Prefix {
	parts := d.partsOf(p)
	return parts[:min(mostParts, len(parts))]
}

// PolicyRule is a rule of ip-rule(8) besides those that every node has.
type PolicyRule struct {
	Priority int
	// From and To are the networks that it is for, the zero Prefix for any.
	From, To netip.Prefix
	// Transport is whether it looks at ports, protocols or the TOS, which the kernel is
	// not asked with.
	Transport bool
	// Text is the rule as `ip rule` prints it, more or less.
	Text string
}

// leading are the rules that a trip may meet.
func (p Policy) leading(t Trip) []PolicyRule {
	var out []PolicyRule
	for _, r := range p.Rules[t.To.Is6()] {
		if (!r.From.IsValid() || r.From.Contains(t.From)) && (!r.To.IsValid() || r.To.Contains(t.To)) {
			out = append(out, r)
		}
	}
	return out
}

// evidence names the trip, and the rules that it may meet.
func (d Datapath) evidence(t Trip) []string {
	const most = 3
	out := []string{"for " + t.String()}
	rules := d.Policy.leading(t)
	for _, r := range rules[:min(most, len(rules))] {
		out = append(out, "rule "+r.Text)
	}
	if len(rules) > most {
		out = append(out, fmt.Sprintf("and %d more rules", len(rules)-most))
	}
	return out
}

// exempt is the command that has packets of a trip look into table main before any
// rule leads them elsewhere; direction is "to" or "from" the network.
func (d Datapath) exempt(t Trip, direction string, p netip.Prefix) string {
	rules := d.Policy.leading(t)
	if len(rules) == 0 {
		return "ip rule: have the rule's owner leave " + p.String() + " out"
	}
	first := slices.MinFunc(rules, func(a, b PolicyRule) int { return cmp.Compare(a.Priority, b.Priority) })
	if first.Priority < 2 { // 0 is table local's
		return fmt.Sprintf("%s rule del pref %d", ipCommand(p.Addr().Is6()), first.Priority)
	}
	return fmt.Sprintf("%s rule add pref %d %s %s lookup main", ipCommand(p.Addr().Is6()), first.Priority-1, direction, p)
}

// ipCommand is ip(8) for a family.
func ipCommand(six bool) string {
	if six {
		return "ip -6"
	}
	return "ip"
}

// listed names links for people.
func listed(links []string) string { return strings.Join(links, ", ") }
