package host

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// This file answers: which accept of ours, put where, lets the announced traffic pass
// and nothing else, and where is there none?
//
// For each rule or policy that drops packets of a network, an accept of just what that
// drop hits stands right before it, or before the jump in the base chain that leads to
// it: what is above it keeps its say. The measure is the same rules without that drop:
// whoever is turned away there must be turned away with the accept too. Where a chain
// both bans and drops, no accept does that, and none is put.

// OwnChains begins the names of all our chains.
const OwnChains = "FAIRWAY-"

// Opening is a chain of ours, and the place in a base chain where the jump to it stands.
// Numbers count without our own jumps.
type Opening struct {
	At netfilter.Place
	// Own is the chain's name, and Rules what it holds, each the words of a rule behind
	// -A CHAIN.
	Own   string
	Rules [][]string
}

// Refusal is a drop that is not opened.
type Refusal struct {
	// By is what drops, for packets of Network.
	By      *netfilter.Step
	Network netip.Prefix
	Why     string
	// Forced is whether Means.First opens it all the same.
	Forced bool
}

// planner works out the openings for one family.
type planner struct {
	want    Want
	means   Means
	six     bool
	facts   *Facts
	uplinks []string
	// rules are those of others.
	rules *netfilter.Ruleset
	names *netfilter.Names
	// named are the networks that rules name, and ports the ports: somebody may have
	// decided about them.
	named []netip.Prefix
	ports []uint16
	// answers are what was found for networks that no rule tells apart.
	answers map[string]openings
	all     openings
	// left is how many more rules may be gone through to see whom openings overrule.
	left int
}

// openings are what is to be done for networks.
type openings struct {
	drops   []opened
	refused []Refusal
}

// opened is a drop, and the accept for it.
type opened struct {
	by      *netfilter.Step
	at      netfilter.Place
	network netip.Prefix
	inbound bool
	// matches are what the drop asks, beside addresses and links of ours.
	matches []string
}

// OverruledBudget bounds the work of asking whom openings would let in, in rules gone
// through for each family: some tenths of a second. Whoever is named behind that is not
// asked about.
const OverruledBudget = 1_000_000

// newPlan has the plan of a family.
func newPlan(f *Facts, w Want, m Means, six bool) *planner {
	p := &planner{want: w, means: m, six: six, facts: f, uplinks: f.Uplinks(w, six), answers: map[string]openings{}, left: OverruledBudget}
	p.rules = f.Filter.writable(six).WithoutChains(OwnChains).Forwarding()
	p.named, p.ports = p.rules.WithoutSets("ovn40", "ovn60").Mentions(), p.rules.Ports()
	p.names = p.rules.Names(outsideAddress(six))
	p.plan()
	return p
}

// plan works out every network's openings; those that no rule tells apart fare alike.
func (p *planner) plan() {
	for _, n := range p.want.Networks {
		if n.Prefix.Addr().Is6() != p.six {
			continue
		}
		key := fmt.Sprint(n.Asymmetric, p.names.Key(n.Prefix))
		found, known := p.answers[key]
		if !known {
			found = p.openings(n)
			if names := p.names.Key(n.Prefix); names != "" {
				p.answers[fmt.Sprint(n.Asymmetric, names)] = found
			}
		}
		for _, o := range found.drops {
			o.network = n.Prefix.Masked()
			p.all.drops = append(p.all.drops, o)
		}
		for _, r := range found.refused {
			r.Network = n.Prefix
			p.all.refused = append(p.all.refused, r)
		}
	}
}

// openings opens what drops packets of a network, then takes back what would overrule
// somebody.
func (p *planner) openings(n Network) openings {
	g := &opener{planner: p, network: n, ideal: p.rules}
	g.anybody = p.packets(p.plain(n.Prefix), outsideAddress(p.six), n.Asymmetric)
	for _, k := range g.anybody {
		g.open(k)
		g.idealize(k)
	}
	if !p.means.First {
		g.keepDecisions()
	}
	return g.openings
}

// plain is an address of a network that no rule names, if one is found soon.
func (p *planner) plain(n netip.Prefix) netip.Addr {
	for a := range sampleAddresses(n) {
		if !namedInside(a, n, p.named) {
			return a
		}
	}
	return n.Addr()
}

// opener opens the drops of one network.
type opener struct {
	*planner
	openings
	network Network
	// anybody are the packets that are opened for.
	anybody []question
	// opened are the rules with the openings so far, nil where there are more by now.
	opened *netfilter.Ruleset
	// ideal are the rules without what drops packets of anybody: bans are left, and limits.
	ideal *netfilter.Ruleset
}

// open opens what drops a packet, one drop after the other, until it passes.
func (p *opener) open(k question) {
	const most = 16 // drops that follow each other are few
	if p.opened == nil {
		p.opened = p.with(p.drops)
	}
	with := p.opened
	for range most {
		r := with.Walk(k.Packet)
		p.names.AddVisited(r)
		if r.Verdict != netfilter.Dropped {
			return
		}
		o, why := p.opening(k, r, with)
		if why == "" {
			p.drops, p.opened = append(p.drops, o), nil
			with = with.With(o.at, o.text(p.want.Overlay))
		} else {
			p.refuse(r.By, why)
			p.opened = nil
			with = with.Without(r.By)
		}
	}
}

// idealize takes what drops a packet of anybody out of the ideal rules.
func (p *opener) idealize(k question) {
	for r := p.ideal.Walk(k.Packet); r.Verdict == netfilter.Dropped; r = p.ideal.Walk(k.Packet) {
		p.ideal = p.ideal.Without(r.By)
	}
}

// with are the rules with openings.
func (p *planner) with(drops []opened) *netfilter.Ruleset {
	with := p.rules
	for _, o := range drops {
		with = with.With(o.at, o.text(p.want.Overlay))
	}
	return with
}

// refuse leaves a drop alone, and takes back what was to open it.
func (p *opener) refuse(by *netfilter.Step, why string) {
	p.drops = slices.DeleteFunc(p.drops, func(o opened) bool { return sameStep(o.by, by) })
	if !slices.ContainsFunc(p.refused, func(r Refusal) bool { return sameStep(r.By, by) }) {
		p.refused = append(p.refused, Refusal{By: by, Network: p.network.Prefix, Why: why, Forced: writable(by) && !p.means.First})
	}
}

func sameStep(a, b *netfilter.Step) bool { return a.Rule == b.Rule && a.Where() == b.Where() }

// writable is whether iptables can put a rule into the drop's base chain.
func writable(by *netfilter.Step) bool { return by.Backend != netfilter.Nft }

// opening is the accept for a drop, or why there is none.
func (p *opener) opening(k question, r netfilter.Result, rules *netfilter.Ruleset) (opened, string) {
	by, n := r.By, p.network.Prefix
	o := opened{by: by, network: n, inbound: k.inbound, at: netfilter.Place{Backend: by.Backend, Family: by.Family, Table: by.Table, Chain: by.Base.Name}}
	if !writable(by) {
		return o, "an accept of Fairway's cannot undo a drop in another base chain (" + by.Where() + ")"
	}
	if p.means.First {
		o.at.Before = 1
		return o, ""
	}
	path, ok := pathTo(r)
	if !ok {
		return o, "the way to the drop cannot be told"
	}
	o.at.Before = atEnd
	if path[0].Rule != nil {
		o.at.Before = path[0].Rule.Number
	}
	for _, s := range path {
		if s.Rule == nil {
			continue
		}
		m, why := matchesOf(s.Rule.Text, n, k.inbound)
		if why != "" {
			return o, why
		}
		if o.matches, ok = appendMatches(o.matches, m); !ok {
			return o, twoAnswers
		}
	}
	if with := rules.With(o.at, o.text(p.want.Overlay)).Walk(k.Packet); with.Verdict == netfilter.Dropped && sameStep(with.By, by) {
		return o, "an accept right before it does not help"
	}
	return o, ""
}

// atEnd is the number of the place behind all rules of a chain.
const atEnd = 1 << 30

// pathTo are the rules by which the packet came to what dropped it, from the base
// chain on.
func pathTo(r netfilter.Result) ([]*netfilter.Step, bool) {
	path := []*netfilter.Step{r.By}
	for i := len(r.Trail) - 1; i >= 0 && path[0].Chain != r.By.Base; i-- {
		s := &r.Trail[i]
		if s.Rule != nil && s.Base == r.By.Base && s.Rule.Jumps(path[0].Chain.Name) {
			path = append([]*netfilter.Step{s}, path...)
		}
	}
	return path, path[0].Chain == r.By.Base
}

// text is the opening as one rule for the evaluator.
func (o *opened) text(overlay string) string {
	return quoted(o.rule(ownMatch{flag: o.network.String()}, overlay))
}

// ownMatch says how a rule names networks: one of them, or the set of all.
type ownMatch struct{ flag, set string }

// rule is the accept, as words: networks and links of ours, then what the drop asks.
func (o *opened) rule(networks ownMatch, overlay string) []string {
	side, flag, link, what := "src", "-s", []string{"-i", overlay}, "from"
	if o.inbound {
		side, flag, link, what = "dst", "-d", []string{"-o", overlay}, "to"
	}
	asked := o.matches
	switch {
	case o.at.Chain == "POSTROUTING" && !o.inbound: // a refusal comes out of the overlay
		link = nil
	case (o.at.Chain == "PREROUTING" || o.at.Chain == "INPUT") && o.inbound: // where it goes out is not known yet
		link = []string{"!", "-i", overlay}
		if slices.Contains(asked, "-i") {
			link = nil
		}
	}
	words := []string{flag, networks.flag}
	if networks.set != "" {
		words = []string{"-m", "set", "--match-set", networks.set, side}
	}
	words = slices.Concat(words, link, asked)
	return append(words, "-m", "comment", "--comment", fmt.Sprintf("%s %s announced Subnets", commentStart, what), "-j", "ACCEPT")
}

// commentStart begins the comment of every rule of ours.
const commentStart = "fairway:"

// quoted is a rule as iptables-save prints it.
func quoted(words []string) string {
	out := slices.Clone(words)
	for i, w := range out {
		if strings.ContainsAny(w, " \"") {
			out[i] = `"` + strings.ReplaceAll(w, `"`, `\"`) + `"`
		}
	}
	return strings.Join(out, " ")
}

// walk follows a packet of a network through the rules with its openings.
func (p *planner) walk(n netip.Prefix, k netfilter.Packet) netfilter.Result {
	drops := slices.DeleteFunc(slices.Clone(p.all.drops), func(o opened) bool { return o.network != n.Masked() })
	return p.with(drops).Walk(k)
}

// why says why a drop is not opened for a network; "" where nothing is known of it.
func (p *planner) why(n netip.Prefix, by *netfilter.Step) string {
	for _, r := range p.all.refused {
		if sameStep(r.By, by) && r.Network == n {
			return r.Why
		}
	}
	return ""
}
