package netfilter

// compileTarget turns -j or -g into the rule's last statement.
func (p part) compileTarget(t *Table) []statement {
	text := "-j " + p.module
	if t.Chains[p.module] != nil {
		kind := jump
		if p.goTo {
			kind, text = goTo, "-g "+p.module
		}
		return []statement{decides(text, decision{kind: kind, chain: p.module})}
	}
	switch p.module {
	case "ACCEPT":
		return []statement{decides(text, decision{kind: accept})}
	case "DROP":
		return []statement{decides(text, decision{kind: drop})}
	case "REJECT":
		return []statement{decides(text, decision{kind: reject})}
	case "RETURN":
		return []statement{decides(text, decision{kind: leave})}
	case "MASQUERADE", "SNAT":
		return []statement{decides(text, decision{kind: rewriteSource})}
	case "DNAT", "REDIRECT":
		return []statement{decides(text, decision{kind: rewriteTarget})}
	case "SET":
		return []statement{{text: text, change: p.writeSets()}}
	case "MARK":
		return []statement{{text: text, change: p.setMark(), carries: true}}
	case "CONNMARK":
		return []statement{{text: text, change: p.setConnmark(), carries: true}}
	case "NOTRACK":
		return []statement{{text: text, change: untrack, carries: true}}
	case "CT":
		if len(p.options) == 1 && p.options[0].name == "notrack" {
			return []statement{{text: text, change: untrack, carries: true}}
		}
		return nil // zone, helper, timeout: another connection, the same packet
	case "LOG", "NFLOG", "ULOG", "TRACE", "AUDIT", "CHECKSUM", "TCPMSS", "CLASSIFY", "DSCP", "TOS", "TTL", "HL", "ECN",
		"SECMARK", "CONNSECMARK", "RATEEST", "LED", "IDLETIMER", "TEE", "TCPOPTSTRIP", "ACCOUNT":
		return []statement{{text: text, change: func(*Packet) {}}}
	}
	return []statement{decides(text, decision{kind: foreign})}
}

// untrack forbids tracking of a packet that has no connection yet: all before
// conntrack's own hook, those in state INVALID behind it (nft_ct.c).
func untrack(p *Packet) {
	if p.State&Invalid != 0 {
		p.State = p.State&^Invalid | Untracked
	}
}

// writeSets is SET: --add-set and --del-set change a set, --map-set looks up
// what the packet gets as its mark.
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

// setMark is MARK; iptables-save prints every form as --set-xmark VALUE/MASK.
func (p part) setMark() func(*Packet) {
	if len(p.options) == 1 && len(p.options[0].values) == 1 && p.options[0].name == "set-xmark" {
		if value, mask, ok := parseMark(p.options[0].values[0]); ok {
			return func(q *Packet) { q.mark = q.mark.set(value, mask) }
		}
	}
	return func(q *Packet) { q.mark = mark{} }
}

// setConnmark is CONNMARK (net/netfilter/xt_connmark.c). A packet without a
// connection is left as it is.
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

// mixed is (m & ^mask) ^ (other & otherMask).
func (m mark) mixed(mine uint32, other mark, theirs uint32) mark {
	known := (m.known | mine) & (other.known | ^theirs)
	return mark{((m.value &^ mine) ^ (other.value & theirs)) & known, known}
}
