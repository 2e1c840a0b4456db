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
// far as anything here asks: LOG, TCPMSS, DSCP. What is not listed (NFQUEUE,
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
	"SET":        func(p part, text string) statement { return statement{text: text, change: p.writeSets()} },
	"MARK":       func(p part, text string) statement { return statement{text: text, change: p.setMark(), carries: true} },
	"CONNMARK": func(p part, text string) statement {
		return statement{text: text, change: p.setConnmark(), carries: true}
	},
	"NOTRACK": func(_ part, text string) statement { return statement{text: text, change: untrack, carries: true} },
	"CT":      part.ct,
	"TTL":     part.hopLimit,
	"HL":      part.hopLimit,
	// These change nothing that is asked about.
	"LOG": noEffectTarget, "NFLOG": noEffectTarget, "ULOG": noEffectTarget, "TRACE": noEffectTarget, "AUDIT": noEffectTarget, "CHECKSUM": noEffectTarget, "TCPMSS": noEffectTarget,
	"CLASSIFY": noEffectTarget, "DSCP": noEffectTarget, "TOS": noEffectTarget, "ECN": noEffectTarget, "SECMARK": noEffectTarget, "CONNSECMARK": noEffectTarget, "RATEEST": noEffectTarget,
	"LED": noEffectTarget, "IDLETIMER": noEffectTarget, "TEE": noEffectTarget, "TCPOPTSTRIP": noEffectTarget, "ACCOUNT": noEffectTarget,
}

// deciding is a target that always does the same.
func deciding(k decisionKind) func(part, string) statement {
	return func(_ part, text string) statement { return decides(text, decision{kind: k}) }
}

// noEffectTarget is a target that changes nothing that is asked about.
func noEffectTarget(_ part, text string) statement { return noEffect(text) }

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
			return statement{text: text, change: untrack, carries: true}
		case strings.HasPrefix(o.name, "zone"):
			return statement{text: text, change: changeConnection, carries: true}
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
				return noEffect(text)
			}
		}
	}
	for _, name := range []string{"ttl-inc", "hl-inc"} {
		if _, ok := p.value(name); ok {
			return noEffect(text)
		}
	}
	return decides(text, decision{kind: unknownTarget})
}

// untrack forbids tracking of a packet that has no connection yet: all before
// conntrack's own hook, those in state INVALID behind it (nft_notrack_eval in
// nft_ct.c, xt_CT.c). One that has a connection keeps it.
func untrack(p *Packet) {
	if p.State&Invalid != 0 {
		p.State = p.State&^Invalid | Untracked
	}
}

// writeSets is SET: --add-set and --del-set change a set, --map-set looks up
// what the packet gets as its mark. The rule goes on in any case, also where the set
// is full. What the set holds for this packet is unknown from there on.
func (p part) writeSets() func(*Packet) {
	var written uint64
	marks := false
	for _, o := range p.options {
		switch {
		case len(o.values) == 0:
		case o.name == "map-set":
			marks = true
		default:
			written |= setBit(o.values[0])
		}
	}
	return func(q *Packet) {
		q.written |= written
		if marks {
			q.mark = markUnknown()
		}
	}
}

// setMark is MARK; iptables-save prints every form as --set-xmark VALUE/MASK:
// --set-mark 1 is 0x1/0xffffffff, --or-mark 1 is 0x1/0x1, --and-mark 1 is
// 0x0/0xfffffffe (xt_mark.c).
func (p part) setMark() func(*Packet) {
	if len(p.options) == 1 && len(p.options[0].values) == 1 && p.options[0].name == "set-xmark" {
		if value, mask, ok := parseMark(p.options[0].values[0]); ok {
			return func(q *Packet) { q.mark = q.mark.set(value, mask) }
		}
	}
	return func(q *Packet) { q.mark = mark{} }
}

// setConnmark is CONNMARK (net/netfilter/xt_connmark.c): "--set-xmark 1/1" writes the
// connection's mark, "--save-mark" copies the packet's to it, "--restore-mark
// --nfmask 0xff --ctmask 0xff" copies it back. A packet without a connection is left
// as it is; where it may have one, both outcomes are joined.
func (p part) setConnmark() func(*Packet) {
	nfMask, ctMask := ^uint32(0), ^uint32(0)
	kind := ""
	var value, mask uint32
	ok := true
	for _, o := range p.options {
		switch {
		case o.name == "save-mark" || o.name == "restore-mark":
			kind = o.name
		case o.name == "set-xmark" && len(o.values) == 1:
			kind = o.name
			value, mask, ok = parseMark(o.values[0])
		case o.name == "nfmask" && len(o.values) == 1:
			nfMask, _, ok = parseMark(o.values[0])
		case o.name == "ctmask" && len(o.values) == 1:
			ctMask, _, ok = parseMark(o.values[0])
		default:
			ok = false
		}
	}
	return func(q *Packet) {
		if q.State&^(Invalid|Untracked) == 0 {
			return
		}
		was := *q
		switch {
		case !ok || kind == "":
			q.mark, q.ctMark = markUnknown(), markUnknown()
		case kind == "set-xmark":
			q.ctMark = q.ctMark.set(value, mask)
		case kind == "save-mark":
			q.ctMark = q.ctMark.mixed(ctMask, q.mark, nfMask)
		default:
			q.mark = q.mark.mixed(nfMask, q.ctMark, ctMask)
		}
		if q.State&(Invalid|Untracked) != 0 {
			*q = q.join(was)
		}
	}
}

func markUnknown() mark { return mark{} }

// mixed is (m & ^mine) ^ (other & theirs): what --save-mark and --restore-mark
// compute. A bit is known where it is cleared or known on either side.
func (m mark) mixed(mine uint32, other mark, theirs uint32) mark {
	known := (m.known | mine) & (other.known | ^theirs)
	return mark{((m.value &^ mine) ^ (other.value & theirs)) & known, known}
}
