package netfilter

// This file has what rules are made of: matches, changes and verdicts. Each is a small
// kind of its own that can be asked what it does to a packet, which networks it names
// and what it touches of what packets carry along.

// statement is one part of a rule.
type statement struct {
	// text is as its backend prints it, or nearly.
	text string
	// does is a match, a change or a verdict.
	does any
}

// match is a question: "-s 10.0.0.0/8".
type match interface {
	matches(*Packet) Truth
}

// change writes into the packet or beside it: "meta mark set 1".
type change interface {
	apply(*Packet)
}

// verdict decides on the packet: "-j DROP".
type verdict interface {
	// decide gives the decisions that are possible for a packet; more than one where it
	// is not known which.
	decide(*Packet) []decision
	// decisions are all that it ever comes to.
	decisions() []decision
}

// naming is what names networks: it gives each of them to add.
type naming interface {
	names(add func(names))
}

// names are networks that a part of a rule treats alike, or a set of them.
type names struct {
	ranges []addrRange
	// set is of nft, ipset the name of one of ipset.
	set   *nftSet
	ipset string
	// negated is set where it is asked for all others.
	negated bool
}

// namesOf gives the networks that a part names, if it names any.
func namesOf(part any, add func(names)) {
	if n, ok := part.(naming); ok {
		n.names(add)
	}
}

// touching is what asks for, or writes, what packets carry from chain to chain.
type touching interface {
	touches() touches
}

// touches is a set of what is asked for and written.
type touches uint8

const (
	readsMark touches = 1 << iota
	writesMark
	readsState
	// forbidsTracking is also to track it as another connection.
	forbidsTracking
	// writesAddress is without NAT: "ip saddr set 10.0.0.1".
	writesAddress
)

// touchesOf is what a part touches, nothing for most.
func touchesOf(part any) touches {
	if t, ok := part.(touching); ok {
		return t.touches()
	}
	return 0
}

// answer is the same for every packet: Maybe for a question that nothing is known
// about, so that both are taken into account from there on.
type answer Truth

func (a answer) matches(*Packet) Truth { return Truth(a) }

// unknown is a question that nothing is known about.
func unknown(text string) statement { return statement{text, answer(Maybe)} }

// not is the opposite of a match.
type not struct{ match }

func (n not) matches(p *Packet) Truth { return n.match.matches(p).Not() }
func (n not) touches() touches        { return touchesOf(n.match) }
func (n not) names(add func(names)) {
	namesOf(n.match, func(m names) {
		m.negated = !m.negated
		add(m)
	})
}

// all holds where each of several matches does; none is Yes.
type all []match

func (a all) matches(p *Packet) Truth {
	truth := Yes
	for _, m := range a {
		if truth = min(truth, m.matches(p)); truth == No {
			break
		}
	}
	return truth
}

func (a all) names(add func(names)) {
	for _, m := range a {
		namesOf(m, add)
	}
}

func (a all) touches() touches {
	var t touches
	for _, m := range a {
		t |= touchesOf(m)
	}
	return t
}

// eitherOf holds where one of two matches does.
type eitherOf [2]match

func (e eitherOf) matches(p *Packet) Truth { return e[0].matches(p).or(e[1].matches(p)) }

// oneOf compares a field with some values. A packet without the field has none of them.
type oneOf struct {
	field field
	in    []pattern
}

func (m oneOf) matches(p *Packet) Truth {
	v, there := m.field.read(p)
	if there == No {
		return No
	}
	found := No
	for i := range m.in {
		if found = found.or(m.in[i].holds(&v)); found == Yes {
			break
		}
	}
	return min(there, found)
}

func (m oneOf) names(add func(names)) {
	if m.field.kind == kindAddr {
		var n names
		for _, p := range m.in {
			n.ranges = append(n.ranges, p.addrs)
		}
		add(n)
	}
}

func (m oneOf) touches() touches { return m.field.touches() }

// fixed is a verdict that is the same for every packet.
type fixed []decision

func (f fixed) decide(*Packet) []decision { return f }
func (f fixed) decisions() []decision     { return f }
func (f fixed) names(add func(names))     { namesIn(f, add) }

// namesIn gives the addresses that decisions write.
func namesIn(decisions []decision, add func(names)) {
	for _, d := range decisions {
		if d.to.from.IsValid() {
			add(names{ranges: []addrRange{d.to}})
		}
	}
}

// decides is a statement that always comes to the same decisions.
func decides(text string, ds ...decision) statement { return statement{text, fixed(ds)} }

// nothing changes nothing that is asked about.
type nothing struct{}

func (nothing) apply(*Packet) {}

// noEffect is a statement that changes nothing that is asked about.
func noEffect(text string) statement { return statement{text, nothing{}} }

// untrack forbids tracking of a packet that has no connection yet: all before
// conntrack's own hook, those in state INVALID behind it (nft_notrack_eval in
// nft_ct.c, xt_CT.c). One that has a connection keeps it.
type untrack struct{}

func (untrack) touches() touches { return forbidsTracking }
func (untrack) apply(p *Packet) {
	if p.State&Invalid != 0 {
		p.State = p.State&^Invalid | Untracked
	}
}

// changeConnection makes the connection another one than the packet's State speaks of:
// a zone is a connection table of its own, where an established connection is new, and
// the other way round.
type changeConnection struct{}

func (changeConnection) touches() touches { return forbidsTracking }
func (changeConnection) apply(p *Packet)  { p.otherConnection = true }

// writeSets writes to sets, by their bits: what they hold is not known from there on.
type writeSets uint64

func (w writeSets) apply(p *Packet) { p.written |= uint64(w) }

// hasConnection is whether conntrack has one for the packet.
func (p *Packet) hasConnection() Truth {
	switch {
	case p.State&^(Invalid|Untracked) == 0:
		return No
	case p.State&(Invalid|Untracked) != 0:
		return Maybe
	}
	return Yes
}
