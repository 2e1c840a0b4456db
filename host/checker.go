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
	// budget is how many more rules may be gone through for parts of networks.
	budget int
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
	answers map[answerKey]Finding
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
const partBudget = 5_000_000

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
	w := &walker{checker: c, follow: follow, names: map[bool]*netfilter.Names{}, answers: map[answerKey]Finding{}}
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
func (w *walker) walk(p netfilter.Packet) netfilter.Result {
	six := p.Src.Is6()
	r := w.follow(w.facts.Filter.of(six), p)
	w.names[six].AddVisited(r)
	return r
}

// once answers for a network, or repeats the answer for another one that no rule
// tells from it. The key is taken after the walk: on its way the packet may have
// come to chains that name more networks, and the key from before would not have
// them.
func (w *walker) once(question string, p netip.Prefix, answer func() Finding) Finding {
	six := p.Addr().Is6()
	names := w.names[six]
	if known, ok := w.answers[answerKey{question, six, names.Key(p)}]; ok {
		return known
	}
	found := answer()
	if key := names.Key(p); key != "" {
		w.answers[answerKey{question, six, key}] = found
	}
	return found
}

// leftOut is how much of a network was not asked about.
type leftOut struct {
	// walked counts the parts that were asked about.
	walked int
	// keys are of what was left out, and example is an address there.
	keys    map[string]bool
	example netip.Addr
}

// eachPart asks about an address of p that no rule names in particular, then
// about one of each part that rules on the way may treat worse, the widest
// first, until an answer is final. With "-s 10.16.5.0/24 -j DROP" somewhere on the
// way, 10.16.0.0/16 is asked about twice: an address outside 10.16.5.0/24, and one
// inside. A walk may come to chains that name more parts, so it goes on until
// there are no more.
func (w *walker) eachPart(p netip.Prefix, ask func(netip.Addr) (goOn bool)) leftOut {
	w.budget += partBudget / 2 / len(w.want.Networks) / questionsEach
	names := w.names[p.Addr().Is6()]
	plain, final := w.askPlain(p, ask)
	if final {
		return leftOut{}
	}
	key := names.HarmfulKey
	if names.Named(plain, p) {
		key = names.KeyInside // an address that no rule names was not asked about, so what only accepts counts too
	}
	keys := map[string]bool{key(plain, p): true}
	left := leftOut{keys: map[string]bool{}}
	for known := 0; known < len(keys) && len(left.keys) == 0; {
		known = len(keys)
		for _, part := range names.Parts(p) {
			inside := w.plainAddress(part)
			switch k := key(inside, p); {
			case keys[k] || left.keys[k]:
				continue
			case !w.spend(names.VisitedRules * 4 * len(w.uplinks[p.Addr().Is6()])):
				left.keys[k], left.example = true, inside
				continue
			}
			if !ask(inside) {
				return leftOut{}
			}
			left.walked++
			// The key after the walk, as in once.
			keys[key(inside, p)] = true
		}
	}
	return left
}

// askPlain asks about an address that no rule on the way names, if there is one.
// Only the walk shows which rules are on the way, so it may take several tries.
func (w *walker) askPlain(p netip.Prefix, ask func(netip.Addr) bool) (plain netip.Addr, final bool) {
	for range 8 {
		if plain = w.plainAddress(p); !ask(plain) {
			return plain, true
		}
		if !w.names[p.Addr().Is6()].Named(plain, p) {
			break
		}
	}
	return plain, false
}

// spend takes from the budget what a question costs, and reports whether there was
// enough.
func (w *walker) spend(rules int) bool {
	if w.budget < rules {
		return false
	}
	w.budget -= rules
	return true
}

// plainAddress is an address of p outside what rules name, if one is found soon.
func (w *walker) plainAddress(p netip.Prefix) netip.Addr {
	for a := range sampleAddresses(p) {
		if !w.names[a.Is6()].Named(a, p) {
			return a
		}
	}
	return p.Masked().Addr()
}
