package host

import (
	"net/netip"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// view is the facts with what several checks need of them. Maps by a bool are
// by family, true for IPv6.
type view struct {
	facts   *Facts
	want    Want
	uplinks map[bool][]string
	kinds   map[bool][]traffic
	// passage is the whole way through this node; source is what may rewrite the
	// source on it.
	passage, source *way
	// patience is how many more rules may be gone through for parts of networks.
	patience int
}

// way is how packets are followed for a question, and what was learnt there.
type way struct {
	*view
	follow func(*netfilter.Ruleset, netfilter.Packet) netfilter.Result
	// names are the networks by which the rules met so far tell addresses apart.
	names map[bool]*netfilter.Names
	// answers keeps what was found for networks that no rule tells apart.
	answers map[alike]Finding
}

// alike are networks of one family that stand in the same places of its rules, and
// what was asked of them. A key of names.Key means something in its family only:
// what no rule names has the same in both.
type alike struct {
	question string
	six      bool
	key      string
}

// partPatience bounds the time that parts of networks take. Half of it is for
// whoever asks first, half is shared out evenly.
const partPatience = 5_000_000

// questionsEach is about how many questions are asked of each network.
const questionsEach = 14

func newView(f *Facts, w Want) *view {
	v := &view{facts: f, want: w, uplinks: map[bool][]string{}, kinds: map[bool][]traffic{}, patience: partPatience / 2}
	for _, six := range v.families() {
		v.uplinks[six] = f.Uplinks(w, six)
		v.kinds[six] = v.partial(six)
	}
	v.passage = v.newWay((*netfilter.Ruleset).Walk)
	v.source = v.newWay((*netfilter.Ruleset).Source)
	return v
}

func (v *view) newWay(follow func(*netfilter.Ruleset, netfilter.Packet) netfilter.Result) *way {
	w := &way{view: v, follow: follow, names: map[bool]*netfilter.Names{}, answers: map[alike]Finding{}}
	for _, six := range v.families() {
		ends := []netip.Addr{stranger(six)}
		for _, t := range v.kinds[six] {
			ends = append(ends, t.client)
		}
		w.names[six] = v.facts.Filter.of(six).Names(ends...)
	}
	return w
}

// families are those of the announced networks: false for IPv4, true for IPv6.
func (v *view) families() []bool {
	var out []bool
	for _, six := range []bool{false, true} {
		if v.want.has(six) {
			out = append(out, six)
		}
	}
	return out
}

// walk follows a packet, and learns what the rules on its way name.
func (w *way) walk(p netfilter.Packet) netfilter.Result {
	six := p.Src.Is6()
	r := w.follow(w.facts.Filter.of(six), p)
	w.names[six].Meet(r)
	return r
}

// once answers for a network, or repeats what was found for one that no rule on
// the way tells from it: a thousand Subnets in one set are one walk. The key is
// that after the walk, which may have met more names.
func (w *way) once(question string, p netip.Prefix, answer func() Finding) Finding {
	six := p.Addr().Is6()
	names := w.names[six]
	if known, ok := w.answers[alike{question, six, names.Key(p)}]; ok {
		return known
	}
	found := answer()
	if key := names.Key(p); key != "" {
		w.answers[alike{question, six, key}] = found
	}
	return found
}

// leftOut is how much of a network was not asked about.
type leftOut struct {
	asked int
	// keys are of what was left out, and one is an address there.
	keys map[string]bool
	one  netip.Addr
}

// eachPart asks about an address of p that no rule names in particular, then
// about one of each part that rules on the way may treat worse, the widest
// first, until an answer is final. Walks meet more rules, which name more
// parts, so it goes on until there are no more.
func (w *way) eachPart(p netip.Prefix, ask func(netip.Addr) (goOn bool)) leftOut {
	w.patience += partPatience / 2 / len(w.want.Networks) / questionsEach
	names := w.names[p.Addr().Is6()]
	plain, final := w.askPlain(p, ask)
	if final {
		return leftOut{}
	}
	key := names.Harms
	if names.Named(plain, p) {
		key = names.Places // nothing is known of what no rule names
	}
	asked := map[string]bool{key(plain, p): true}
	left := leftOut{keys: map[string]bool{}}
	for before := 0; before < len(asked) && len(left.keys) == 0; {
		before = len(asked)
		for _, part := range names.Parts(p) {
			inside := w.plainAddress(part)
			switch k := key(inside, p); {
			case asked[k] || left.keys[k]:
				continue
			case !w.affords(names.Met * 4 * len(w.uplinks[p.Addr().Is6()])):
				left.keys[k], left.one = true, inside
				continue
			}
			if !ask(inside) {
				return leftOut{}
			}
			left.asked++
			// As it is after the walk: what else has this key then fares alike.
			asked[key(inside, p)] = true
		}
	}
	return left
}

// askPlain asks about an address that no rule on the way names, as far as there
// is one: only the walk tells what they name.
func (w *way) askPlain(p netip.Prefix, ask func(netip.Addr) bool) (plain netip.Addr, final bool) {
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

// affords takes from the patience what a question costs, if there is enough.
func (w *way) affords(rules int) bool {
	if w.patience < rules {
		return false
	}
	w.patience -= rules
	return true
}

// plainAddress is an address of p outside what rules name, if one is found soon.
func (w *way) plainAddress(p netip.Prefix) netip.Addr {
	for a := range spread(p) {
		if !w.names[a.Is6()].Named(a, p) {
			return a
		}
	}
	return p.Masked().Addr()
}
