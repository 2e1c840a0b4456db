package host

import (
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/columns"
)

// This file answers: of which addresses of a network is the answer another one, and do
// they weigh enough to be the network's answer?

// smallShare is the share of a CIDR below which what is lost of it is somebody's
// decision about these addresses, and not about the CIDR: 4,096 addresses of a /16, 16
// of a /24.
const smallShare = 1.0 / 16

// survey is what was found by asking about each part of a network.
type survey struct {
	network netip.Prefix
	// plain is the answer for the addresses that no rule names.
	plain Finding
	// worse are the answers for parts that are not ok, by what tells their addresses
	// from others (netfilter.Names).
	worse map[string]*share
	// walked counts the parts that were asked about, left are of what was left out,
	// and example is an address there.
	walked  int
	left    map[string]bool
	example netip.Addr
}

// share is the part of a network that has an answer of its own.
type share struct {
	Finding
	// of is how much of the network it is, from 0 to 1, and networks are its
	// networks: none of them inside another.
	of       float64
	networks []netip.Prefix
	counted  map[netip.Prefix]bool
}

// add counts a network, unless a wider one that has it counts already.
func (s *share) add(part, whole netip.Prefix) {
	for w := range wider(part) {
		if s.counted[w] {
			return
		}
		if w.Bits() <= whole.Bits() {
			break
		}
	}
	s.counted[part] = true
	s.networks = append(s.networks, part)
	s.of += math.Ldexp(1, whole.Bits()-part.Bits())
}

// forget takes all networks away.
func (s *share) forget() { s.of, s.networks, s.counted = 0, nil, map[netip.Prefix]bool{} }

// survey asks about an address of p that no rule names in particular, then
// about one of each part that rules on the way may treat worse, the widest
// first, until the answer for p is final. With "-s 10.16.5.0/24 -j DROP" somewhere on
// the way, 10.16.0.0/16 is asked about twice: an address outside 10.16.5.0/24, and one
// inside. A walk may come to chains that name more parts, so it goes on until
// there are no more.
func (w *walker) survey(p netip.Prefix, ask func(netip.Addr) Finding) survey {
	w.budget += partBudget / 2 / len(w.want.Networks) / questionsEach
	s := survey{network: p, worse: map[string]*share{}, left: map[string]bool{}}
	names := w.names[p.Addr().Is6()]
	plain := w.askPlain(p, ask, &s)
	key := names.HarmfulKey
	switch {
	case names.Named(plain, p): // all are named, so what only accepts counts too
		key = names.KeyInside
		s.note(key(plain, p), s.plain)
		s.plain = Finding{State: OK}
	case s.plain.State == Wrong:
		return s
	}
	keys := map[string]bool{key(plain, p): true}
	for known := 0; known < len(keys) && len(s.left) == 0; {
		known = len(keys)
		for _, worse := range s.worse {
			worse.forget()
		}
		for _, part := range names.Parts(p) {
			inside := w.plainAddress(part)
			k := key(inside, p)
			switch {
			case keys[k] || s.left[k]:
			case w.budget <= 0:
				s.left[k], s.example = true, inside
			default:
				found := w.spend(inside, ask)
				s.walked++
				k = key(inside, p) // the key after the walk, as in once
				keys[k] = true
				s.note(k, found)
			}
			if worse := s.worse[k]; worse != nil {
				worse.add(part, p)
				if worse.State == Wrong && worse.of >= smallShare {
					return s // whatever the rest is like
				}
			}
		}
	}
	return s
}

// note keeps an answer that is not ok.
func (s *survey) note(key string, found Finding) {
	if found.State != OK {
		s.worse[key] = &share{Finding: found}
		s.worse[key].forget()
	}
}

// spend asks about an address, and takes from the budget what that costs.
func (w *walker) spend(inside netip.Addr, ask func(netip.Addr) Finding) Finding {
	before := w.rulesWalked
	found := ask(inside)
	w.budget -= w.rulesWalked - before
	return found
}

// askPlain asks about an address that no rule on the way names, if there is one.
// Only the walk shows which rules are on the way, so it may take several tries.
func (w *walker) askPlain(p netip.Prefix, ask func(netip.Addr) Finding, s *survey) (plain netip.Addr) {
	for range 8 {
		plain = w.plainAddress(p)
		s.plain = ask(plain)
		if !w.names[p.Addr().Is6()].Named(plain, p) {
			break
		}
	}
	return plain
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

// heaviest is the answer of the largest share among those of a state, and how much all
// of these are together.
func (s *survey) heaviest(state State) (found share, of float64) {
	for _, worse := range s.worse {
		if worse.State != state || worse.of == 0 {
			continue
		}
		of += worse.of
		if worse.of > found.of || worse.of == found.of && worse.networks[0].Compare(found.networks[0]) < 0 {
			found = *worse
		}
	}
	return found, of
}

// conclude gives the answer for a network. What is lost of less than smallShare is said
// apart.
func (c *checker) conclude(s survey, ok string) answer {
	if s.plain.State == OK {
		s.plain.Got = ok
	}
	wrong, lost := s.heaviest(Wrong)
	unknown, doubtful := s.heaviest(Unknown)
	switch {
	case s.plain.State == Wrong:
		return answer{Finding: s.plain}
	case lost >= smallShare:
		return answer{Finding: wrong.Finding}
	}
	out := answer{Finding: c.unlessUnread(s.plain, s)}
	if s.plain.State == OK && lost+doubtful >= smallShare && doubtful > 0 {
		out.Finding = unknown.Finding
	}
	switch {
	case lost > 0:
		out.part = s.part(wrong, lost)
	case doubtful > 0 && out.State == OK:
		out.part = s.part(unknown, doubtful)
	}
	return out
}

// part is the finding about a small part of a network, and others that fare like it.
func (s *survey) part(worst share, of float64) *Finding {
	found := worst.Finding
	others := 0
	for _, worse := range s.worse {
		if worse.State == found.State {
			others += len(worse.networks)
		}
	}
	found.About = aboutNetwork(s.network, "part "+worst.networks[0].String())
	text := "this part"
	if others--; others > 0 {
		text += " and " + columns.Count(others, "other", "others")
	}
	found.Evidence = append(slices.Clip(found.Evidence), fmt.Sprintf("%s: %s of the CIDR; below %s nothing is withheld", text, shareText(of), shareText(smallShare)))
	found.Fix = fmt.Sprintf("leave it, where these addresses are shut out on purpose; fairway check --trace %s %s shows the walk", outsideAddress(s.network.Addr().Is6()), worst.networks[0].Addr())
	return &found
}

// shareText is a share as a fraction of one: 1/256.
func shareText(of float64) string {
	return fmt.Sprintf("1/%.0f", math.Round(1/of))
}
