package host

import (
	"net/netip"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// checker holds the facts, and what several checks need of them: worked out once,
// here. Maps by a bool are by family, true for IPv6.
type checker struct {
	facts   *Facts
	want    Want
	uplinks map[bool][]string
	// kinds are the kinds of traffic that are asked about beside the decisive one.
	kinds map[bool][]traffic
	// passage asks whether a packet gets through this node; source asks whether its
	// source address is rewritten on the way.
	passage, source *walker
	// budget is how many more rules may be gone through for parts of networks, and
	// rulesWalked how many were gone through at all.
	budget, rulesWalked int
	// plans are what enforcing would open.
	plans map[planned]*planner
}

// walker follows packets for one question, and remembers the answers. A thousand
// Subnets in one ipset fare alike, so one walk answers for all of them; a Subnet
// that a rule names ("-s 10.16.5.0/24 -j DROP") is walked for itself.
type walker struct {
	*checker
	follow func(*netfilter.Ruleset, netfilter.Packet) netfilter.Result
	// names are the networks by which the rules tell addresses apart, of the chains
	// that packets have come through so far.
	names map[bool]*netfilter.Names
	// answers keeps what was found for networks that no rule tells apart.
	answers map[answerKey]answer
}

// answerKey is a question and the networks that it has one answer for: those of a
// family that the same rules name (key, from netfilter.Names.Key). The family is a
// part of it, because what no rule names has the same key in both.
type answerKey struct {
	question string
	six      bool
	key      string
}

// partBudget bounds the time that parts of networks take, in rules gone through:
// about a second. Half of it is for the questions that come first, half is shared
// out evenly among networks and questions.
const partBudget = 20_000_000

// questionsEach is about how many questions are asked of each network.
const questionsEach = 14

func newChecker(f *Facts, w Want) *checker {
	c := &checker{facts: f, want: w, uplinks: map[bool][]string{}, kinds: map[bool][]traffic{}, budget: partBudget / 2, plans: map[planned]*planner{}}
	for _, six := range c.families() {
		c.uplinks[six] = f.Uplinks(w, six)
		c.kinds[six] = c.otherTraffic(six)
	}
	c.passage = c.newWalker((*netfilter.Ruleset).Walk)
	c.source = c.newWalker((*netfilter.Ruleset).Source)
	return c
}

func (c *checker) newWalker(follow func(*netfilter.Ruleset, netfilter.Packet) netfilter.Result) *walker {
	w := &walker{checker: c, follow: follow, names: map[bool]*netfilter.Names{}, answers: map[answerKey]answer{}}
	for _, six := range c.families() {
		ends := []netip.Addr{outsideAddress(six)}
		for _, t := range c.kinds[six] {
			ends = append(ends, t.client)
		}
		w.names[six] = c.facts.Filter.of(six).Names(ends...)
	}
	return w
}

// families are those of the announced networks: false for IPv4, true for IPv6.
func (c *checker) families() []bool {
	var out []bool
	for _, six := range []bool{false, true} {
		if c.want.has(six) {
			out = append(out, six)
		}
	}
	return out
}

// walk follows a packet, and adds what the rules on its way name to the names.
func (w *walker) walk(p netfilter.Packet) netfilter.Result { return w.walkBy(w.follow, p) }

// walkBy is walk by other hooks.
func (w *walker) walkBy(follow func(*netfilter.Ruleset, netfilter.Packet) netfilter.Result, p netfilter.Packet) netfilter.Result {
	six := p.Src.Is6()
	r := follow(w.facts.Filter.of(six), p)
	w.names[six].AddVisited(r)
	w.rulesWalked += r.Rules
	return r
}

// answer is what was found of a network.
type answer struct {
	// Finding is about the network as a whole.
	Finding
	// part is about small parts of it, of which that is not true; nil where there are
	// none.
	part *Finding
}

// once answers for a network, or repeats the answer for another one that no rule
// tells from it. The key is taken after the walk: on its way the packet may have
// come to chains that name more networks, and the key from before would not have
// them.
func (w *walker) once(question string, p netip.Prefix, ask func() answer) answer {
	six := p.Addr().Is6()
	names := w.names[six]
	if known, ok := w.answers[answerKey{question, six, names.Key(p)}]; ok {
		return known
	}
	found := ask()
	if key := names.Key(p); key != "" {
		w.answers[answerKey{question, six, key}] = found
	}
	return found
}
