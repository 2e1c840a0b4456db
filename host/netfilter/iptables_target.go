package netfilter

import (
	"strconv"
	"strings"
)

// This file answers: what does a target of iptables (-j NAME and its options) do
// with a packet that its rule matches?
//
// Targets are of three sorts (iptables-extensions(8)). Some end the packet's way
// through the base chain: ACCEPT, DROP, REJECT, and NAT's, which accept. Some change
// the packet and go on (XT_CONTINUE): MARK, CONNMARK, SET, CT. Some do neither, as
// far as anything here asks: LOG, AUDIT. What is not listed (NFQUEUE,
// TPROXY, NETMAP, a module of one's own) may do anything; see unknownTarget.

// compileTarget turns -j or -g into the rule's last statement. What is
// no chain of the table is a target of iptables'.
func (p part) compileTarget(t *Table) []statement {
	text := "-j " + p.module
	if t.Chains[p.module] != nil {
		kind := jump
		if p.goTo {
			kind, text = goTo, "-g "+p.module
		}
		return []statement{decides(text, decision{kind: kind, chain: p.module})}
	}
	if compile := targets[p.module]; compile != nil {
		return []statement{compile(p, text)}
	}
	return []statement{decides(text, decision{kind: unknownTarget})}
}

// targets are iptables' targets (iptables-extensions(8)).
var targets = map[string]func(p part, text string) statement{
	"ACCEPT":     deciding(accept),
	"DROP":       deciding(drop),
	"REJECT":     deciding(reject),
	"RETURN":     deciding(returnToCaller),
	"MASQUERADE": deciding(rewriteSource),
	"SNAT":       part.snat,
	"DNAT":       deciding(rewriteDestination),
	"REDIRECT":   deciding(rewriteDestination),
	"SET":        func(p part, text string) statement { return statement{text, p.setTarget()} },
	"MARK":       func(p part, text string) statement { return statement{text, p.setMark()} },
	"CONNMARK":   func(p part, text string) statement { return statement{text, p.setConnmark()} },
	"NOTRACK":    func(_ part, text string) statement { return statement{text, untrack{}} },
	"CT":         part.ct,
	"TTL":        part.hopLimit,
	"HL":         part.hopLimit,
	// What these write is noted for those that ask for it.
	"TCPMSS": writing(mssWritten()), "TCPOPTSTRIP": writing(mssWritten()), "DSCP": writing(dscpWritten()),
	"TOS": writing(dscpWritten() | ecnWritten()), "ECN": writing(ecnWritten()),
	// These change nothing that is asked about.
	"LOG": noEffectTarget, "NFLOG": noEffectTarget, "ULOG": noEffectTarget, "TRACE": noEffectTarget, "AUDIT": noEffectTarget, "CHECKSUM": noEffectTarget,
	"CLASSIFY": noEffectTarget, "SECMARK": noEffectTarget, "CONNSECMARK": noEffectTarget, "RATEEST": noEffectTarget,
	"LED": noEffectTarget, "IDLETIMER": noEffectTarget, "TEE": noEffectTarget, "ACCOUNT": noEffectTarget,
}

// deciding is a target that always does the same.
func deciding(k decisionKind) func(part, string) statement {
	return func(_ part, text string) statement { return decides(text, decision{kind: k}) }
}

// noEffectTarget is a target that changes nothing that is asked about.
func noEffectTarget(_ part, text string) statement { return noEffect(text) }

// writing is a target that writes what some rules ask for.
func writing(what uint64) func(part, string) statement {
	return func(_ part, text string) statement { return statement{text, writeSets(what)} }
}

// value gives the value of an option that has one.
func (p part) value(name string) (string, bool) {
	for _, o := range p.options {
		if o.name == name && len(o.values) == 1 {
			return o.values[0], true
		}
	}
	return "", false
}

// snat is SNAT --to-source [ADDRESS[-ADDRESS]][:PORT[-PORT]], for IPv6 with brackets
// where there is a port: "-j SNAT --to-source 192.0.2.1-192.0.2.9:1024-2048", "-j SNAT
// --to-source [2001:db8::1]:1024". Ports alone leave the address. An address that
// does not parse is one that is not known.
func (p part) snat(text string) statement {
	to, _ := p.value("to-source")
	if strings.HasPrefix(to, ":") {
		return decides(text, decision{kind: rewritePort})
	}
	if strings.HasPrefix(to, "[") {
		to, _, _ = strings.Cut(to[1:], "]")
	} else if strings.Count(to, ":") == 1 {
		to, _, _ = strings.Cut(to, ":")
	}
	address, _ := parseRange(to)
	return decides(text, decision{kind: rewriteSource, to: address})
}

// ct is "-j CT --notrack", "--zone 7", or a helper or a timeout. A zone is a
// connection table of its own: an established connection is new there, and the
// other way round. A helper and a timeout leave the connection what it is.
func (p part) ct(text string) statement {
	for _, o := range p.options {
		switch {
		case o.name == "notrack":
			return statement{text, untrack{}}
		case strings.HasPrefix(o.name, "zone"):
			return statement{text, changeConnection{}}
		}
	}
	return noEffect(text)
}

// hopLimit is "-j TTL --ttl-set 64", and HL for IPv6. A packet that has no hop left
// is not forwarded. How many it has is not known, so --ttl-dec may end it.
func (p part) hopLimit(text string) statement {
	for _, name := range []string{"ttl-set", "hl-set"} {
		if v, ok := p.value(name); ok {
			if n, err := strconv.Atoi(v); err == nil && n > 1 {
				return statement{text, writeSets(hopsWritten())}
			}
		}
	}
	for _, name := range []string{"ttl-inc", "hl-inc"} {
		if _, ok := p.value(name); ok {
			return statement{text, writeSets(hopsWritten())}
		}
	}
	return decides(text, decision{kind: unknownTarget})
}

// setTarget is SET: --add-set and --del-set change a set, --map-set looks up
// what the packet gets as its mark. The rule goes on in any case, also where the set
// is full. What the set holds for this packet is unknown from there on.
func (p part) setTarget() change {
	var written writeSets
	for _, o := range p.options {
		switch {
		case len(o.values) == 0:
		case o.name == "map-set":
			return setMark{to: constant{unknownValue}}
		default:
			written |= writeSets(setBit(o.values[0]))
		}
	}
	return written
}

// setMark is MARK; iptables-save prints every form as --set-xmark VALUE/MASK:
// --set-mark 1 is 0x1/0xffffffff, --or-mark 1 is 0x1/0x1, --and-mark 1 is
// 0x0/0xfffffffe (xt_mark.c).
func (p part) setMark() change {
	if len(p.options) == 1 && p.options[0].name == "set-xmark" {
		if value, mask, ok := parseMark(p.options[0].value()); ok {
			return setMark{to: mixed(metaFields["mark"], mask, constantMark(value), ^uint32(0))}
		}
	}
	return setMark{to: constant{unknownValue}}
}

// setConnmark is CONNMARK (net/netfilter/xt_connmark.c): "--set-xmark 1/1" writes the
// connection's mark, "--save-mark" copies the packet's to it, "--restore-mark
// --nfmask 0xff --ctmask 0xff" copies it back. A packet without a connection is left
// as it is.
func (p part) setConnmark() change {
	nfMask, ctMask := ^uint32(0), ^uint32(0)
	kind := ""
	var value, mask uint32
	ok := true
	for _, o := range p.options {
		var read bool
		switch o.name {
		case "save-mark", "restore-mark":
			kind, read = o.name, true
		case "set-xmark":
			kind = o.name
			value, mask, read = parseMark(o.value())
		case "nfmask":
			nfMask, _, read = parseMark(o.value())
		case "ctmask":
			ctMask, _, read = parseMark(o.value())
		}
		ok = ok && read
	}
	mine, ours := ctFields["mark"], metaFields["mark"]
	switch {
	case !ok || kind == "":
		return unknownMarks{}
	case kind == "set-xmark":
		return setMark{ofConnection: true, needsConnection: true, to: mixed(mine, mask, constantMark(value), ^uint32(0))}
	case kind == "save-mark":
		return setMark{ofConnection: true, needsConnection: true, to: mixed(mine, ctMask, ours, nfMask)}
	}
	return setMark{needsConnection: true, to: mixed(ours, nfMask, mine, ctMask)}
}

// unknownMarks is a CONNMARK that is not understood.
type unknownMarks struct{}

func (unknownMarks) touches() touches { return writesMark }
func (unknownMarks) apply(p *Packet)  { p.mark, p.ctMark = mark{}, mark{} }

// mixed is (mine & ^mask) ^ (other & theirs).
func mixed(mine expression, mask uint32, other expression, theirs uint32) expression {
	return operation{"^", operation{"&", mine, constantMark(^mask)}, operation{"&", other, constantMark(theirs)}}
}
