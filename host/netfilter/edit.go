package netfilter

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// This file answers: what would the rules be with one more, or one less? The receiver
// stays as it is: tables and chains that change are copied first; rules are shared, for
// nobody writes to them.

// Place is a place in a chain of iptables: before the rule of this Number, or at the end
// where there is none of it. Numbers are those of the chain as it was read.
type Place struct {
	Backend Backend
	Family  Family
	Table   string
	Chain   string
	Before  int
}

// With gives the Ruleset with one more rule at a place, as iptables-save prints it
// without "-A CHAIN". Its target may be ACCEPT or CT.
func (rs *Ruleset) With(at Place, rule string) *Ruleset {
	return rs.edited(func(t *Table, c *Chain) *Chain {
		if t.Backend != at.Backend || t.Family != at.Family || t.Name != at.Table || c.Name != at.Chain {
			return nil
		}
		scratch := &Table{Chains: map[string]*Chain{}}
		if err := scratch.append("-A " + at.Chain + " " + rule); err != nil {
			return nil
		}
		more := *scratch.Chains[at.Chain].Rules[0]
		more.Number = 0 // of none that was read
		i := slices.IndexFunc(c.Rules, func(r *Rule) bool { return r.Number >= at.Before })
		if i < 0 {
			i = len(c.Rules)
		}
		longer := *c
		longer.Rules = slices.Insert(slices.Clone(c.Rules), i, &more)
		return &longer
	})
}

// Without gives the Ruleset without what a step did: without its rule, or with a policy
// that accepts.
func (rs *Ruleset) Without(s *Step) *Ruleset {
	return rs.edited(func(t *Table, c *Chain) *Chain {
		if t.Backend != s.Backend || t.Family != s.Family || t.Name != s.Table || c.Name != s.Chain.Name {
			return nil
		}
		shorter := *c
		if s.Rule == nil {
			shorter.Drops = false
			return &shorter
		}
		shorter.Rules = slices.DeleteFunc(slices.Clone(c.Rules), func(r *Rule) bool { return r == s.Rule })
		return &shorter
	})
}

// WithoutChains gives the Ruleset without the chains of iptables whose names begin so,
// and without the jumps to them; what is left is numbered anew.
func (rs *Ruleset) WithoutChains(prefix string) *Ruleset {
	out := rs.edited(func(_ *Table, c *Chain) *Chain {
		if !slices.ContainsFunc(c.Rules, func(r *Rule) bool { return r.JumpsInto(prefix) }) {
			return nil
		}
		shorter := *c
		shorter.Rules = nil
		for _, r := range c.Rules {
			if !r.JumpsInto(prefix) {
				renumbered := *r
				shorter.add(&renumbered)
			}
		}
		return &shorter
	})
	return out.onlyChains(func(_ *Table, c *Chain) bool { return !strings.HasPrefix(c.Name, prefix) })
}

// onlyChains gives the Ruleset with no chains but these.
func (rs *Ruleset) onlyChains(stays func(*Table, *Chain) bool) *Ruleset {
	out := *rs
	out.Tables = slices.Clone(rs.Tables)
	for i, t := range out.Tables {
		fewer := *t
		fewer.order = slices.DeleteFunc(slices.Clone(t.order), func(name string) bool { return t.Chains[name] == nil || !stays(t, t.Chains[name]) })
		if len(fewer.order) == len(t.order) {
			continue
		}
		fewer.Chains, fewer.hooked = map[string]*Chain{}, nil
		for _, name := range fewer.order {
			fewer.Chains[name] = t.Chains[name]
		}
		out.Tables[i] = &fewer
	}
	return &out
}

// Forwarding gives the Ruleset with no chains but those that a forwarded packet may come
// to: what stands in INPUT, or where nothing jumps to, says nothing of it.
func (rs *Ruleset) Forwarding() *Ruleset {
	reached := map[*Chain]bool{}
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			own := c.Hook == Input || c.Hook == Output
			if c.Hook != "" && (!own || t.Family == Bridge) { // see Ruleset.sees
				t.reach(c, reached)
			}
		}
	}
	return rs.onlyChains(func(_ *Table, c *Chain) bool { return reached[c] })
}

// reach adds a chain and all that its rules may lead to.
func (t *Table) reach(c *Chain, reached map[*Chain]bool) {
	if c == nil || reached[c] {
		return
	}
	reached[c] = true
	for _, r := range c.Rules {
		for _, d := range r.decisions() {
			t.reach(t.Chains[d.chain], reached)
		}
	}
}

// JumpsInto reports whether the rule sends packets to a chain whose name begins so.
func (r *Rule) JumpsInto(prefix string) bool {
	return slices.ContainsFunc(r.decisions(), func(d decision) bool {
		return (d.kind == jump || d.kind == goTo) && strings.HasPrefix(d.chain, prefix)
	})
}

// edited gives the Ruleset with other chains; nil from edit leaves one as it is.
func (rs *Ruleset) edited(edit func(*Table, *Chain) *Chain) *Ruleset {
	out := *rs
	out.Tables = slices.Clone(rs.Tables)
	for i, t := range out.Tables {
		copied := *t
		for name, c := range t.Chains {
			other := edit(t, c)
			if other == nil {
				continue
			}
			if out.Tables[i] == t {
				copied.Chains, out.Tables[i] = maps.Clone(t.Chains), &copied
			}
			other.touched = nil
			copied.Chains[name] = other
		}
	}
	return &out
}

// WithoutSets gives the Ruleset without the ipsets whose names begin with one of these.
func (rs *Ruleset) WithoutSets(prefixes ...string) *Ruleset {
	out := *rs
	out.Sets = maps.Clone(rs.Sets)
	for _, prefix := range prefixes {
		maps.DeleteFunc(out.Sets, func(name string, _ *IPSet) bool { return strings.HasPrefix(name, prefix) })
	}
	return &out
}

// Ports gives the ports that rules of iptables name, in any chain, sorted.
func (rs *Ruleset) Ports() []uint16 {
	var out []uint16
	for _, t := range rs.Tables {
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				out = append(out, portsIn(r.Text)...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// portsIn are the ports that a rule names: of a range both ends.
func portsIn(text string) []uint16 {
	if !strings.Contains(text, "port") {
		return nil
	}
	var out []uint16
	words := strings.Fields(text)
	for i, w := range words[:len(words)-1] {
		switch w {
		case "--dport", "--sport", "--dports", "--sports", "--ports":
			for _, port := range strings.FieldsFunc(words[i+1], func(c rune) bool { return c == ',' || c == ':' }) {
				if n, err := strconv.ParseUint(port, 10, 16); err == nil {
					out = append(out, uint16(n))
				}
			}
		}
	}
	return out
}
