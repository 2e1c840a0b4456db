package netfilter

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"strings"
)

// This file answers: what becomes of one packet on its way through all hooks, and
// which rule decided?
//
// The kernel runs the base chains of a hook one after the other, whoever
// registered them (nf_hook_slow in net/netfilter/core.c). An accept ends only the
// base chain that it is in: the packet goes on to the next one, and a drop there is
// final. So one drop anywhere is enough, and no accept is ever the last word.
// Inside a base chain jumps, returns and the policy work alike in nft_do_chain
// (net/netfilter/nf_tables_core.c) and ipt_do_table
// (net/ipv4/netfilter/ip_tables.c).
//
// Where a rule asks what is not known, the walk takes both ways: the packet splits
// into one that matched and one that did not, and both are joined again behind the
// rule. What differs between them is unknown from there on. The verdict is Unknown
// only if the ways end differently: "-m limit --limit 5/sec -j LOG" splits and
// joins without a trace, "-m limit --limit 5/sec -j DROP" leaves a doubt.
//
// Not modelled: programs of traffic control and XDP. A flow table takes packets past
// the rules and drops none. Neither is routing modelled: the packet's Out is taken as
// given.

// Verdict is what becomes of a packet.
type Verdict string

// Verdicts. Unknown is a result, not an error: see Result.Doubt.
const (
	Accepted Verdict = "accepted"
	Dropped  Verdict = "dropped"
	Unknown  Verdict = "unknown"
)

// Step is one station on the way: a rule, or a chain's policy where Rule is nil.
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

// String is chain, number and text: "iptables-nft filter FORWARD rule 3: -A
// FORWARD -j DROP".
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
	// does not understand, and Question the part of it, such as "-m limit --limit
	// 5/sec"; only where Unknown.
	Doubt    *Step
	Question string
	// Rewritten is whether the source address is rewritten on the way out, and
	// RewrittenBy the rule that does or may do it.
	Rewritten   Truth
	RewrittenBy *Step
	// FlagsAsked are the TCP flags that rules on the way asked for: a packet that has
	// the same of these, and is the same otherwise, fares alike.
	FlagsAsked uint8
	// Rules is how many were gone through.
	Rules int
	// Chains are those that the packet came, or may have come, through.
	Chains map[*Chain]bool
	// Trail has every rule that matched or may match, and every policy on the way.
	Trail []Step
}

// Walk follows a forwarded packet through all hooks.
func (rs *Ruleset) Walk(p Packet) Result {
	return rs.WalkHooks(p, Ingress, Prerouting, Forward, Postrouting, Egress)
}

// Source follows a packet for what becomes of its source address. A drop in the
// forward hook is another question: then that hook is left out.
func (rs *Ruleset) Source(p Packet) Result {
	whole := rs.Walk(p)
	if whole.Verdict != Dropped {
		return whole
	}
	r := rs.WalkHooks(p, Ingress, Prerouting, Postrouting, Egress)
	maps.Copy(r.Chains, whole.Chains)
	r.FlagsAsked |= whole.FlagsAsked
	r.Rules += whole.Rules
	return r
}

// WalkIn follows a packet to the node itself, and WalkOut one from it.
func (rs *Ruleset) WalkIn(p Packet) Result { return rs.WalkHooks(p, Ingress, Prerouting, Input) }

// WalkOut follows a packet that the node itself sends.
func (rs *Ruleset) WalkOut(p Packet) Result { return rs.WalkHooks(p, Output, Postrouting, Egress) }

// WalkHooks follows a packet through the given hooks only.
//
// A new connection begins with mark 0 (init_conntrack in nf_conntrack_core.c), and
// so does every packet that comes in by a link. That of a connection that is
// already there may be anything.
//
// The source counts as rewritten where the packet leaves with another address than
// it came with. One that a rule wrote and another wrote back is the old one again.
func (rs *Ruleset) WalkHooks(p Packet, hooks ...Hook) Result {
	p.rules = rs
	p.asked = &questions{}
	p.mark.known = ^uint32(0) // a packet arrives with mark 0
	if p.State == New && p.begins() {
		p.ctMark.known = ^uint32(0)
	}
	p.six = p.Src.Is6()
	w := &walk{rules: rs, visited: map[*Chain]bool{}}
	cur, from := &p, p.Src
	for _, hook := range hooks {
		if cur == nil {
			break
		}
		cur.natDone = No
		for _, b := range rs.bases(hook, cur) {
			if cur != nil {
				cur = w.pass(b, *cur)
			}
		}
		w.checkRerouted(hook, cur)
	}
	end := Result{Verdict: Accepted, Trail: w.trail, Chains: w.visited, FlagsAsked: p.asked.flags, Rules: w.gone}
	if cur != nil && (cur.Src != from || cur.source.truth == Maybe) { // what was written may be written back
		end.Rewritten, end.RewrittenBy = cur.source.truth, cur.source.by
	}
	switch {
	case w.rerouted != nil:
		end.Verdict, end.Doubt, end.Question = Unknown, w.rerouted, w.rerouting
	case cur == nil:
		end.Verdict, end.By = Dropped, w.drops[len(w.drops)-1]
	case len(w.drops) > 0:
		end.Verdict, end.Doubt, end.Question = Unknown, w.doubt, w.question
	}
	return end
}

// pass runs one base chain, if the packet comes to it.
//
// A chain of type nat is special (nf_nat_inet_fn in nf_nat_core.c). It sees only
// the first packet of a tracked connection, in state new or related, and no ICMP
// error about one, which is translated as its connection is; what it
// decides is kept with the connection and done to all later packets without a
// look at the rules. And once one chain has decided for this connection and
// direction, the remaining ones of type nat are left out. Where either is not
// known, the packet both skips the chain and goes through it.
func (w *walk) pass(b base, p Packet) *Packet {
	if b.chain.NAT && (p.State&(New|Related) == 0 || p.natDone == Yes || p.isError() && p.State == Related) {
		return &p
	}
	dropsBefore := len(w.drops)
	behind := w.base(b, p)
	question := ""
	switch {
	case b.sees != Yes:
		question = "whether the packet passes this chain: what lies below the link " + p.In + " or " + p.Out + " is seen too"
	case b.chain.NAT && (p.natDone != No || p.State&^(New|Related) != 0 || !p.begins()):
		question = "whether NAT sees the packet: a rule before may keep it from being tracked, or translate it"
	default:
		return behind
	}
	if len(w.drops) > dropsBefore && w.doubt == nil {
		w.doubt, w.question = w.drops[dropsBefore], question
	}
	return joined(&p, behind)
}

// checkRerouted looks at a packet behind a hook. One whose destination was rewritten (-j
// DNAT --to-destination 10.96.0.10) goes another way than the caller gave, by
// another link perhaps or to this node itself. What becomes of it is unknown,
// whatever rules it seems to pass then. The same holds for a source that was
// written before the routing decision: the kernel may refuse to route it. And for a mark
// that it has by then and that ip-rule(8) asks for.
func (w *walk) checkRerouted(hook Hook, p *Packet) {
	switch {
	case p == nil || w.rerouted != nil:
	case p.destination.truth != No:
		w.rerouted, w.rerouting = p.destination.by, "the destination is rewritten"
	case p.routed.truth != No:
		w.rerouted, w.rerouting = p.routed.by, "the kernel chooses the way after the source is rewritten"
	case (hook == Prerouting || hook == Output) && w.rules.reroutes(p.mark):
		w.rerouted, w.rerouting = w.marked, "a rule of ip rule chooses the way by the mark"
	}
}

// walk is one packet's way through the rules, and what was noted on it.
type walk struct {
	rules *Ruleset
	trail []Step
	// drops are the steps that dropped the packet or a part of it. Any may be the
	// verdict; where there is none it is accepted.
	drops []*Step
	// doubt is the first rule that split the packet in a way that matters, and question
	// what it asks.
	doubt    *Step
	question string
	// gone counts the rules that were gone through.
	gone int
	// rerouted is the rule that sends the packet another way, and rerouting says
	// how.
	rerouted  *Step
	rerouting string
	// marked is the rule, or the chain, that last wrote the packet's mark.
	marked *Step
	// at is the base chain that is being run.
	at base
	// inside are the chains that the walk is in, visited those it has been in.
	inside, visited map[*Chain]bool
}

// flow is what can become of a packet in a rule or chain: each part is the
// packet as it then is, or nil where that cannot happen.
type flow struct {
	// next goes on behind, returned goes back to the caller, accepted is done
	// with the base chain. dropped is whether it may have been dropped.
	next, returned, accepted *Packet
	dropped                  bool
}

// joined is one packet for two that may be there: what both agree on is known, the
// rest is not. A nil packet is one that cannot come to be.
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
//
// What the chain sees is not always what the packet carries:
//   - In prerouting the link that it goes out by is not chosen yet, so Out is
//     empty: "oifname eth0" is No there, and "oifname != eth0" is Yes.
//   - Ingress is like the beginning of prerouting, and in egress the link that it came
//     in by is not told any more (nf_hook_egress in netfilter_netdev.h).
//   - A link below, or a bridge, hands the packet on by ports that are not known here.
//   - Before conntrack (priority -200, nf_conntrack_proto.c) no packet has a
//     connection, and conntrack's state of such a one is INVALID: "-m conntrack
//     --ctstate INVALID -j DROP" in table raw drops everything. At exactly that
//     priority either may come first.
//   - Where chains of another table have the same priority and write what this one
//     asks for, their order decides, and it cannot be read (see orderMatters).
//     Then the chain sees marks, tracking and addresses as unknown.
//
// A doubt from inside counts only if some way through the chain drops the packet.
func (w *walk) base(b base, p Packet) *Packet {
	w.at = b
	seen := p
	w.atHook(b, &seen)
	if b.addressesUnsure {
		seen.Src, seen.Dst = netip.Addr{}, netip.Addr{}
	}
	if b.marksUnsure {
		seen.mark, seen.ctMark, w.marked = mark{}, mark{}, w.step(b.chain, nil)
	}
	if b.stateUnsure && seen.State != p.State {
		seen.State |= Untracked
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
	out.In = p.In
	if out.Out == seen.Out { // no rule has sent it another way
		out.Out = p.Out
	}
	if b.addressesUnsure {
		if out.source.truth == p.source.truth {
			out.Src = p.Src
		}
		if out.destination.truth == p.destination.truth {
			out.Dst = p.Dst
		}
	}
	if out.otherConnection && seen.beforeConntrack && p.State != Untracked {
		p.State |= New | Established | Related | Invalid
		p.ctMark = mark{}
	}
	switch {
	case b.table.Family == Bridge:
		out.State = p.State | out.State&Untracked
	case seen.State != p.State && out.State != Untracked:
		out.State = out.State&^Invalid | p.State // now it is tracked, unless a rule forbade it
	}
	return &out
}

// atHook makes the packet what a base chain sees of it.
func (w *walk) atHook(b base, p *Packet) {
	p.hook = b.chain.Hook
	if b.table.Family == Bridge {
		p.hook = Egress
		if b.chain.Hook == Prerouting || b.chain.Hook == Input {
			p.hook = Ingress
		}
	}
	first := p.hook == Prerouting || p.hook == Output // where conntrack is (nf_conntrack_proto.c)
	p.beforeConntrack = p.hook == Ingress || first && b.chain.Priority <= priorityConntrack
	if p.beforeRouting() || p.hook == Input {
		p.Out = ""
	}
	if p.hook == Egress || p.hook == Output {
		p.In = ""
	}
	switch {
	case !p.beforeConntrack || p.State == Untracked:
	case first && b.chain.Priority == priorityConntrack:
		p.State |= Invalid // whether conntrack comes first cannot be read
	default:
		p.State = Invalid // nothing has been tracked yet
	}
	if p.hook == Postrouting && w.rules.PostroutingBlind {
		p.In = unknownLink
	}
	switch {
	case b.table.Family == Bridge: // which may track connections by itself
		p.In, p.Out = unknownLink, unknownLink
		p.State |= Invalid | New | Established | Related
	case b.sees != Yes && p.hook == Ingress:
		p.In = unknownLink
	case b.sees != Yes && p.hook == Egress:
		p.Out = unknownLink
	}
}

// chain runs the rules of one chain from the first to the last. Parts of the packet
// may leave on the way, by accept or return; the rest falls off the end.
func (w *walk) chain(c *Chain, p Packet) flow {
	if w.inside == nil {
		w.inside = map[*Chain]bool{}
	}
	w.inside[c], w.visited[c] = true, true
	defer delete(w.inside, c)
	var out flow
	cur := &p
	for _, r := range c.Rules {
		w.gone++
		if r.misses(cur) {
			continue
		}
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

// step names a rule, or the policy, of a chain below the present base chain.
func (w *walk) step(c *Chain, r *Rule) *Step {
	return &Step{Backend: w.at.table.Backend, Family: w.at.table.Family, Table: w.at.table.Name, Chain: c, Rule: r, Base: w.at.chain}
}

// misses is whether the rule says no before it changes or decides anything, as most
// rules do of most packets: then nothing needs a copy of the packet.
func (r *Rule) misses(p *Packet) bool {
	for _, m := range r.leading {
		switch m.matches(p) {
		case No:
			return true
		case Maybe:
			return false
		}
	}
	return false
}

// rule runs one rule: its statements from the left to the right, as nft_do_chain
// does, until one says no or decides. A change in front of a question is done even
// if the question then says no: in "meta mark set 1 ip saddr 10.0.0.1 drop" every
// packet gets the mark. iptables' rules have their one target last.
//
// With a Maybe the packet splits: missed is that for which the rule ended there,
// with the changes made so far.
func (w *walk) rule(c *Chain, r *Rule, p Packet) flow {
	var missed *Packet // the packet as it is where a doubtful question said no
	question := ""
	for _, s := range r.statements {
		switch does := s.does.(type) {
		case match:
			switch does.matches(&p) {
			case No:
				return flow{next: joined(missed, &p)}
			case Maybe:
				was := p
				missed = joined(missed, &was)
				if question == "" {
					question = s.text
				}
			}
		case change:
			was := p.mark
			does.apply(&p)
			if p.mark != was {
				w.marked = w.step(c, r)
			}
			if touchesOf(does)&writesAddress != 0 {
				w.creditRewrite(c, r, &p)
			}
		case verdict:
			return w.decide(c, r, p, does.decide(&p), missed, cmp.Or(question, s.text))
		}
	}
	if missed == nil && len(r.statements) > 0 {
		w.addStep(c, r, "matches, and goes on")
	}
	return flow{next: joined(missed, &p)}
}

// creditRewrite names the rule that has rewritten an address, if none is named yet.
func (w *walk) creditRewrite(c *Chain, r *Rule, p *Packet) {
	for _, done := range []*rewrite{&p.source, &p.destination, &p.routed} {
		if done.truth != No && done.by == nil {
			done.by = w.addStep(c, r, "rewrites an address")
		}
	}
}

// addStep adds a rule to the trail, with what it did.
func (w *walk) addStep(c *Chain, r *Rule, did string) *Step {
	s := w.step(c, r)
	s.Did = did
	w.trail = append(w.trail, *s)
	return s
}

// decide carries out the decisions of a rule that matches, or may match where
// missed is set. There are several where a verdict map is asked for a key that is
// not known, and all of them are carried out on a copy of the packet each. The
// rule is a doubt only if it can end the packet's way through the chain, or drop
// it: whether "-j LOG" matched makes no difference.
func (w *walk) decide(c *Chain, r *Rule, p Packet, decisions []decision, missed *Packet, question string) flow {
	sure := missed == nil && len(decisions) == 1 && decisions[0].kind != unknownTarget
	dropsBefore := len(w.drops)
	out := flow{next: missed}
	for _, d := range decisions {
		did := d.text()
		if !sure {
			did = "may match (" + question + "): " + did
		}
		w.carryOut(&out, c, d, p, w.addStep(c, r, did))
	}
	if !sure && w.doubt == nil && (out.accepted != nil || out.returned != nil || len(w.drops) > dropsBefore) {
		w.doubt, w.question = w.step(c, r), question
	}
	return out
}

// carryOut does one decision to the packet and adds what becomes of it to out. An
// unknown target may do anything: what is left of the packet has unknown marks,
// may be untracked and rewritten, is accepted, goes on, and is dropped.
func (w *walk) carryOut(out *flow, c *Chain, d decision, p Packet, step *Step) {
	here := p
	switch d.kind {
	case goOn:
		out.next = joined(out.next, &here)
	case returnToCaller:
		out.returned = joined(out.returned, &here)
	case accept:
		out.accepted = joined(out.accepted, &here)
	case drop, reject:
		out.dropped = true
		w.drops = append(w.drops, step)
	case rewriteSource, rewriteDestination, rewritePort:
		here.natDone = Yes
		switch {
		case d.kind != rewritePort:
			here.rewrite(d.kind == rewriteSource, d.to)
		case here.source.truth != No:
			// With the port NAT writes the address that the connection began with
			// (nf_nat_manip_pkt), whatever a rule wrote since.
			here.Src, here.source.truth = netip.Addr{}, Maybe
		}
		for _, done := range []*rewrite{&here.source, &here.destination, &here.routed} {
			if done.truth != No && done.by == nil {
				done.by = step
			}
		}
		out.accepted = joined(out.accepted, &here)
	case unknownTarget:
		here.mark, here.ctMark, w.marked = mark{}, mark{}, step
		here.State |= Untracked
		w.rewriteUnknown(&here, step)
		out.next, out.accepted = joined(out.next, &here), joined(out.accepted, &here)
		out.dropped = true
		w.drops = append(w.drops, step)
	case jump, goTo:
		w.enter(out, d, p)
	}
}

// rewriteUnknown is what a target that is not known may do to addresses. -j NETMAP
// rewrites sources, or destinations in prerouting's chains of type nat.
func (w *walk) rewriteUnknown(p *Packet, step *Step) {
	if p.source.truth == No {
		p.source = rewrite{Maybe, step}
	}
	if p.destination.truth == No && p.hook == Prerouting && w.at.chain.NAT {
		p.destination = rewrite{Maybe, step}
	}
	p.natDone = p.natDone.or(Maybe)
}

// enter follows a jump or goto. Both differ in where a return, or the chain's end,
// leads: behind the jump, or for a goto to where the chain it stands in would have
// returned to; in a base chain that is its policy (nft(8), VERDICT STATEMENTS).
//
// A chain that is not there, or a loop, which a text taken in the middle of a
// change can show, is as one without rules: the kernel has neither.
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

// text says what a decision does, for the trail.
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
	case returnToCaller:
		return "returns"
	case rewriteSource:
		return "rewrites the source"
	case rewriteDestination:
		return "rewrites the destination"
	case rewritePort:
		return "rewrites the port"
	case unknownTarget:
		return "does something that is not known here"
	}
	return "goes on"
}
