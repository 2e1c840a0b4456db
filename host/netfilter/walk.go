package netfilter

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Verdict is what becomes of a packet.
type Verdict string

// Verdicts. Unknown is a result, not an error: see Result.Doubt.
const (
	Accepted Verdict = "accepted"
	Dropped  Verdict = "dropped"
	Unknown  Verdict = "unknown"
)

// Step is a place on the way: a rule, or a chain's policy where Rule is nil.
type Step struct {
	Backend Backend
	Family  Family
	Table   string
	Chain   *Chain
	Rule    *Rule
	// Base is the base chain that the walk came from.
	Base *Chain
	// Did says what happened there.
	Did string
}

// Where names the chain: backend, table and chain.
func (s *Step) Where() string {
	if s.Backend == Nft {
		return fmt.Sprintf("nft %s %s %s", s.Family, s.Table, s.Chain.Name)
	}
	name := string(s.Backend)
	if s.Family == IPv6 {
		name = "ip6tables" + strings.TrimPrefix(name, "iptables")
	}
	return fmt.Sprintf("%s %s %s", name, s.Table, s.Chain.Name)
}

// String is place and text.
func (s *Step) String() string {
	if s.Rule == nil {
		policy := "ACCEPT"
		if s.Chain.Drops {
			policy = "DROP"
		}
		return fmt.Sprintf("%s: policy %s", s.Where(), policy)
	}
	return fmt.Sprintf("%s rule %d: %s", s.Where(), s.Rule.Number, s.Rule.Text)
}

// Result is where a walk ended.
type Result struct {
	Verdict Verdict
	// By is the rule or policy that dropped the packet; nil unless Dropped.
	By *Step
	// Doubt is the first rule that could change the verdict and that this package
	// does not understand, and Question the part of it; only where Unknown.
	Doubt    *Step
	Question string
	// Rewritten is whether the source address is rewritten on the way out, and
	// RewrittenBy the rule that does or may do it.
	Rewritten   Truth
	RewrittenBy *Step
	// Chains are those that the packet came, or may have come, through.
	Chains map[*Chain]bool
	// Trail has every rule that matched or may match, and every policy met.
	Trail []Step
}

// Walk follows a forwarded packet through all hooks.
func (rs *Ruleset) Walk(p Packet) Result {
	return rs.WalkHooks(p, Prerouting, Forward, Postrouting)
}

// WalkHooks follows a packet through the given hooks only.
func (rs *Ruleset) WalkHooks(p Packet, hooks ...Hook) Result {
	p.rules = rs
	p.mark.known = ^uint32(0) // a packet arrives with mark 0
	if p.State == New {
		p.ctMark.known = ^uint32(0)
	}
	w := &walk{rules: rs, met: map[*Chain]bool{}}
	var end Result
	cur := &p
	for _, hook := range hooks {
		for _, b := range rs.bases(hook, &p) {
			if cur == nil {
				break
			}
			if b.chain.NAT && cur.State&(New|Related) == 0 {
				continue
			}
			cur = w.base(b, *cur)
		}
	}
	end.Trail, end.Chains = w.trail, w.met
	switch {
	case cur == nil:
		end.Verdict, end.By = Dropped, w.drops[len(w.drops)-1]
		return end
	case len(w.drops) > 0 || cur.target.truth != No:
		end.Verdict, end.Doubt, end.Question = Unknown, w.doubt, w.question
		if len(w.drops) == 0 {
			end.Doubt, end.Question = cur.target.by, "the destination is rewritten"
		}
	default:
		end.Verdict = Accepted
	}
	end.Rewritten, end.RewrittenBy = cur.source.truth, cur.source.by
	return end
}

// base is a base chain with its table.
type base struct {
	table *Table
	chain *Chain
	// disputed is set where another table's chain of equal priority matters.
	disputed bool
}

// bases are the base chains of a hook in the kernel's order.
func (rs *Ruleset) bases(hook Hook, p *Packet) []base {
	var out []base
	for _, t := range rs.Tables {
		if !t.Family.sees(p) {
			continue
		}
		for _, name := range t.order {
			if c := t.Chains[name]; c.Hook == hook {
				out = append(out, base{table: t, chain: c})
			}
		}
	}
	// Of equal priority, the chain registered last runs first
	// (nf_hook_entries_grow); within a table that is the one listed last.
	slices.Reverse(out)
	slices.SortStableFunc(out, func(a, b base) int { return cmp.Compare(a.chain.Priority, b.chain.Priority) })
	for i := range out {
		out[i].disputed = slices.ContainsFunc(out, func(o base) bool {
			return o.table != out[i].table && o.chain.Priority == out[i].chain.Priority && disputed(o.table, out[i].table)
		})
	}
	return out
}

// disputed is whether it matters which of two tables' chains runs first: one
// writes marks, or forbids tracking, and the other asks or writes too. The order
// of chains of equal priority in different tables cannot be read.
func disputed(a, b *Table) bool {
	reads, writes := a.touches()
	otherReads, otherWrites := b.touches()
	return writes && (otherReads || otherWrites) || otherWrites && (reads || writes)
}

// touches is whether rules of the table ask for, and change, what packets carry
// along.
func (t *Table) touches() (reads, writes bool) {
	if t.touched == nil {
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				reads = reads || strings.Contains(r.Text, "mark") || strings.Contains(strings.ToLower(r.Text), "untracked")
				writes = writes || slices.ContainsFunc(r.statements, func(s statement) bool { return s.carries })
			}
		}
		t.touched = &[2]bool{reads, writes}
	}
	return t.touched[0], t.touched[1]
}

type walk struct {
	rules    *Ruleset
	trail    []Step
	drops    []*Step
	doubt    *Step
	question string
	at       base
	// inside are the chains that the walk is in, met those it has been in.
	inside, met map[*Chain]bool
}

// flow is what can become of a packet in a rule or chain: each part is the
// packet as it then is, or nil where that cannot happen.
type flow struct {
	// next goes on behind, returned goes back to the caller, accepted is done
	// with the base chain. dropped is whether it may have been dropped.
	next, returned, accepted *Packet
	dropped                  bool
}

func joined(a *Packet, b *Packet) *Packet {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	j := a.join(*b)
	return &j
}

// base runs one base chain and gives the packet behind it, nil if it cannot get
// there.
func (w *walk) base(b base, p Packet) *Packet {
	w.at = b
	seen := p
	seen.hook = b.chain.Hook
	if b.chain.Hook == Prerouting {
		seen.Out = ""
		if b.chain.Priority <= priorityConntrack && p.State != Untracked {
			seen.State = Invalid // nothing has been tracked yet
		}
	}
	if b.disputed {
		seen.mark, seen.ctMark = mark{}, mark{}
		if seen.State != p.State {
			seen.State |= Untracked
		}
	}
	dropsBefore, doubt, question := len(w.drops), w.doubt, w.question
	f := w.chain(b.chain, seen)
	cur := f.accepted
	if rest := joined(f.next, f.returned); rest != nil {
		step := w.step(b.chain, nil)
		if b.chain.Drops {
			step.Did = "the policy drops it"
			w.trail = append(w.trail, *step)
			w.drops = append(w.drops, step)
		} else {
			cur = joined(cur, rest)
		}
	}
	if len(w.drops) == dropsBefore {
		w.doubt, w.question = doubt, question // every way through ends well
	}
	if cur == nil {
		return nil
	}
	out := *cur
	out.Out = p.Out
	if seen.State != p.State && out.State != Untracked {
		out.State = out.State&^Invalid | p.State // now it is tracked, unless a rule forbade it
	}
	return &out
}

func (w *walk) chain(c *Chain, p Packet) flow {
	if w.inside == nil {
		w.inside = map[*Chain]bool{}
	}
	w.inside[c], w.met[c] = true, true
	defer delete(w.inside, c)
	var out flow
	cur := &p
	for _, r := range c.Rules {
		f := w.rule(c, r, *cur)
		out.accepted = joined(out.accepted, f.accepted)
		out.returned = joined(out.returned, f.returned)
		out.dropped = out.dropped || f.dropped
		if cur = f.next; cur == nil {
			break
		}
	}
	out.next = cur
	return out
}

func (w *walk) step(c *Chain, r *Rule) *Step {
	return &Step{Backend: w.at.table.Backend, Family: w.at.table.Family, Table: w.at.table.Name, Chain: c, Rule: r, Base: w.at.chain}
}

// rule runs one rule.
func (w *walk) rule(c *Chain, r *Rule, p Packet) flow {
	var missed *Packet // the packet as it is where a doubtful question said no
	question := ""
	for _, s := range r.statements {
		switch {
		case s.test != nil:
			switch s.test(&p) {
			case No:
				return flow{next: joined(missed, &p)}
			case Maybe:
				was := p
				missed = joined(missed, &was)
				if question == "" {
					question = s.text
				}
			}
		case s.change != nil:
			s.change(&p)
		default:
			return w.decide(c, r, p, s, missed, question)
		}
	}
	if missed == nil && len(r.statements) > 0 {
		w.note(c, r, "matches, and goes on")
	}
	return flow{next: joined(missed, &p)}
}

func (w *walk) note(c *Chain, r *Rule, did string) *Step {
	s := w.step(c, r)
	s.Did = did
	w.trail = append(w.trail, *s)
	return s
}

// decide carries out the decisions of a rule that matches, or may match where
// missed is set.
func (w *walk) decide(c *Chain, r *Rule, p Packet, s statement, missed *Packet, question string) flow {
	decisions := s.decide(&p)
	sure := missed == nil && len(decisions) == 1 && decisions[0].kind != foreign
	if question == "" && !sure {
		question = s.text
	}
	dropsBefore := len(w.drops)
	out := flow{next: missed}
	for _, d := range decisions {
		did := d.text()
		if !sure {
			did = "may match (" + question + "): " + did
		}
		w.carryOut(&out, c, d, p, w.note(c, r, did))
	}
	if !sure && w.doubt == nil && (out.accepted != nil || out.returned != nil || len(w.drops) > dropsBefore) {
		w.doubt, w.question = w.step(c, r), question
	}
	return out
}

func (w *walk) carryOut(out *flow, c *Chain, d decision, p Packet, step *Step) {
	here := p
	switch d.kind {
	case goOn:
		out.next = joined(out.next, &here)
	case leave:
		out.returned = joined(out.returned, &here)
	case accept:
		out.accepted = joined(out.accepted, &here)
	case drop, reject:
		out.dropped = true
		w.drops = append(w.drops, step)
	case rewriteSource:
		here.source = rewrite{Yes, step}
		out.accepted = joined(out.accepted, &here)
	case rewriteTarget:
		here.target = rewrite{Yes, step}
		out.accepted = joined(out.accepted, &here)
	case foreign:
		here.mark, here.ctMark = mark{}, mark{}
		here.State |= Untracked
		if w.at.chain.NAT {
			here.source = rewrite{Maybe, step}
		}
		out.next, out.accepted = joined(out.next, &here), joined(out.accepted, &here)
		out.dropped = true
		w.drops = append(w.drops, step)
	case jump, goTo:
		w.enter(out, d, p)
	}
}

// enter follows a jump or goto. A chain that is not there, or a loop, which a
// text taken in the middle of a change can show, is as one without rules: the
// kernel has neither.
func (w *walk) enter(out *flow, d decision, p Packet) {
	target := w.at.table.Chains[d.chain]
	if target == nil || w.inside[target] {
		out.next = joined(out.next, &p)
		return
	}
	f := w.chain(target, p)
	out.accepted = joined(out.accepted, f.accepted)
	out.dropped = out.dropped || f.dropped
	back := joined(f.next, f.returned)
	if d.kind == goTo {
		out.returned = joined(out.returned, back)
	} else {
		out.next = joined(out.next, back)
	}
}

func (d decision) text() string {
	switch d.kind {
	case accept:
		return "accepts it"
	case drop:
		return "drops it"
	case reject:
		return "rejects it"
	case jump:
		return "jumps to " + d.chain
	case goTo:
		return "goes to " + d.chain
	case leave:
		return "returns"
	case rewriteSource:
		return "rewrites the source"
	case rewriteTarget:
		return "rewrites the destination"
	case foreign:
		return "does something that is not known here"
	}
	return "goes on"
}
