package netfilter

import "strings"

// This file answers: what does -m conntrack ask of a packet's connection?

// conntrack is "-m conntrack --ctstate NEW,RELATED" with its other options, or the older
// "-m state --state INVALID".
func (p part) conntrack() match {
	var m conntrackMatch
	for _, o := range p.options {
		asked := o.compile(connectionMatch)
		switch {
		case asked == nil:
			return nil
		case o.name == "ctstate" || o.name == "state":
			m.state = asked
		default:
			m.others = append(m.others, asked)
		}
	}
	return m
}

// conntrackMatch is a -m conntrack. What is asked beside the state is not looked at where
// there is no connection: with a state that fits it holds, without one it does not,
// negated or not (conntrack_mt in xt_conntrack.c).
type conntrackMatch struct {
	state  match
	others all
}

func (m conntrackMatch) touches() touches { return readsState | touchesOf(m.others) }

// names are none of an address's own: what is asked for names them.
func (m conntrackMatch) names(add func(names)) { m.others.names(add) }

func (m conntrackMatch) matches(p *Packet) Truth {
	truth, otherwise := Yes, No
	if m.state != nil {
		truth, otherwise = m.state.matches(p), Yes
	}
	if truth == No || len(m.others) == 0 {
		return truth
	}
	switch p.hasConnection() {
	case Yes:
		return min(truth, m.others.matches(p))
	case No:
		return min(truth, otherwise)
	}
	return min(truth, either(m.others.matches(p), otherwise))
}

// connectionMatch understands one option of -m conntrack.
func connectionMatch(o option) match {
	v := o.value()
	switch o.name {
	case "ctstate", "state":
		return parseStates(v)
	case "ctstatus":
		return parseStatus(v)
	case "ctdir":
		n, ok := constantNamed(kindDirection, strings.ToLower(v))
		return one(ctFields["direction"], numbers(n), ok)
	case "ctproto":
		n, ok := protocolNumber(v)
		return one(metaFields["l4proto"], numbers(uint64(n)), ok)
	}
	direction, end, ok := cutDirection(o.name)
	if !ok {
		return nil
	}
	if end == "src" || end == "dst" {
		in, ok := parseMasked(v)
		return one(tupleAddress(direction, end == "src"), in, ok)
	}
	r, ok := parsePorts(v, ":")
	return one(tuplePort(direction, end == "srcport"), []pattern{r}, ok)
}

// cutDirection reads "ctorigsrc", "ctreplsrcport" and the like.
func cutDirection(name string) (direction Direction, end string, ok bool) {
	if end, ok = strings.CutPrefix(name, "ctorig"); ok {
		direction = Original
	} else if end, ok = strings.CutPrefix(name, "ctrepl"); ok {
		direction = Reply
	}
	switch end {
	case "src", "dst", "srcport", "dstport":
		return direction, end, ok
	}
	return 0, "", false
}

// stateMatch is whether a packet's state is in a list. In the same list SNAT and DNAT ask
// whether the connection's addresses are translated. What is asked about comes
// untranslated, so they are No, until a rule on the packet's own way may have done it.
//
// A packet without a connection is INVALID, unless a rule has forbidden tracking: then it
// is UNTRACKED (xt_state.c, xt_conntrack.c).
type stateMatch struct {
	want       State
	snat, dnat bool
}

// parseStates reads a list of states; nil if one is not known.
func parseStates(text string) match {
	var m stateMatch
	for _, name := range strings.Split(strings.ToLower(text), ",") {
		switch s, ok := stateNamed(name); {
		case ok:
			m.want |= s
		case name == "snat":
			m.snat = true
		case name == "dnat":
			m.dnat = true
		default:
			return nil
		}
	}
	return m
}

func (m stateMatch) touches() touches { return readsState }
func (m stateMatch) matches(p *Packet) Truth {
	truth := Maybe
	switch {
	case p.State&m.want == 0:
		truth = No
	case p.State&^m.want == 0:
		truth = Yes
	}
	if m.snat && p.source.truth != No || m.dnat && p.destination.truth != No {
		return truth.or(Maybe)
	}
	return truth
}

// asksState reports whether a part of a rule asks for a state among others.
func asksState(part any, s State) bool {
	switch m := part.(type) {
	case conntrackMatch:
		return m.state != nil && asksState(m.state, s)
	case stateMatch:
		return m.want&s != 0
	case bitsMatch:
		return m.field.kind == kindState && State(m.bits)&s != 0
	}
	return false
}

// statusMatch is whether the connection's status has one of some bits; NONE asks for one
// that has none.
type statusMatch struct {
	bits uint64
	none bool
}

// parseStatus reads "NONE", "EXPECTED,ASSURED" and the like.
func parseStatus(text string) match {
	m := statusMatch{}
	for _, name := range strings.Split(strings.ToLower(text), ",") {
		if m.none = m.none || name == "none"; name == "none" {
			continue
		}
		n, ok := constantNamed(kindStatus, strings.ReplaceAll(name, "_", "-"))
		if !ok {
			return nil
		}
		m.bits |= n
	}
	return m
}

func (m statusMatch) matches(p *Packet) Truth {
	v := p.status()
	switch {
	case m.none:
		return Maybe
	case v.number&^uint64(v.unknownBits)&m.bits != 0:
		return Yes
	case uint64(v.unknownBits)&m.bits != 0:
		return Maybe
	}
	return No
}

// Direction is whether a packet goes the way of its connection's first one.
type Direction uint8

// The directions of conntrack; none where it is not known.
const (
	Original Direction = iota + 1
	Reply
)

// direction is that of the packet, as far as its state, flags and type tell: the first
// of a connection is original, and what answers it a reply.
func (p *Packet) direction() Direction {
	switch {
	case p.otherConnection || p.State&^(Invalid|Untracked) == 0:
		return 0
	case p.State == New:
		return Original
	case p.State != Established:
		return 0
	case p.Protocol == TCP && p.flags(SYN|ACK) == SYN|ACK, p.Protocol == ICMP && p.Type == 0, p.Protocol == ICMPv6 && p.Type == 129:
		return Reply
	case p.Protocol == ICMP && p.Type == 8, p.Protocol == ICMPv6 && p.Type == 128:
		return Original
	}
	return 0
}

// directionValue is direction as what a field holds.
func (p *Packet) directionValue() value {
	if d := p.direction(); d != 0 {
		return value{number: uint64(d - Original)}
	}
	return value{unknownBits: 1}
}

// ofTuple tells which end of the packet is the source, or the target, of its connection
// in a direction. It is not known once a rule translates.
func (p *Packet) ofTuple(d Direction, source bool) (end bool, known bool) {
	mine := p.direction()
	return source == (mine == d), mine != 0 && p.source.truth == No && p.destination.truth == No
}

// tupleAddress is "ct original saddr" and the like.
func tupleAddress(d Direction, source bool) field {
	return field{kindAddr, func(p *Packet) (value, Truth) {
		end, known := p.ofTuple(d, source)
		if !known {
			return unknownValue, p.withConnection()
		}
		return value{addr: p.addr(end)}, Yes
	}}
}

// tuplePort is "ct original proto-src" and the like.
func tuplePort(d Direction, source bool) field {
	return field{kindNumber, func(p *Packet) (value, Truth) {
		end, known := p.ofTuple(d, source)
		port, has := p.port(end)
		if !known || !has {
			return unknownValue, p.withConnection()
		}
		return value{number: uint64(port)}, Yes
	}}
}

// withConnection is whether a thing of the connection's is there whose value is not
// known.
func (p *Packet) withConnection() Truth { return min(p.hasConnection(), Maybe) }

// Bits of a connection's status (enum ip_conntrack_status in nf_conntrack_common.h).
const (
	statusExpected = 1 << iota
	statusSeenReply
	statusAssured
	statusConfirmed
	statusSNAT
	statusDNAT
)

// status is what is known of the connection's status. What is asked about comes
// untranslated and belongs to no other connection. A reply has been seen of what is
// established and of nothing new, which is not assured either.
func (p *Packet) status() value {
	v := value{unknownBits: ^uint32(0)}
	if p.hasConnection() != Yes || p.otherConnection {
		return v
	}
	if p.source.truth == No && p.destination.truth == No {
		v.unknownBits &^= statusSNAT | statusDNAT
	}
	switch p.State {
	case New:
		v.unknownBits &^= statusExpected | statusSeenReply | statusAssured
	case Established:
		v.unknownBits &^= statusExpected | statusSeenReply | statusConfirmed
		v.number = statusSeenReply | statusConfirmed
	}
	return v
}
