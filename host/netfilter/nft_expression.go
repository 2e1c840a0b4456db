package netfilter

import (
	"encoding/json"
	"slices"
)

// This file answers: what is the value of an expression of nft's for a packet, and has
// it one at all?
//
//	10.0.0.1, 0x1                         a constant
//	ip saddr                              a field of the packet (nft_field.go)
//	ip saddr map { 10.0.0.1 : 0x1 }       what a map has for it
//	meta mark & 0xff | 0x100              an operation
//
// Where there is none the rule ends (NFT_BREAK in nf_tables_core.c), whatever is done
// with it: a map may lack the key, and the packet what is read of it ("meta mark set ct
// mark" without a connection).

// expression gives a value for a packet, and whether there is one.
type expression interface {
	read(*Packet) (value, Truth)
}

// constant is a value of its own.
type constant struct{ value }

func (c constant) read(*Packet) (value, Truth) { return c.value, Yes }
func (c constant) names(add func(names)) {
	if c.to.from.IsValid() {
		add(names{ranges: []addrRange{c.to}})
	}
}

// constantMark is a number of 32 bits.
func constantMark(n uint32) expression { return constant{value{number: uint64(n)}} }

// nothingKnown is an expression that is not understood. Of one that is the connection's
// it is known that it needs a connection.
type nothingKnown struct{ ofConnection bool }

func (n nothingKnown) read(p *Packet) (value, Truth) {
	if n.ofConnection {
		return unknownValue, p.withConnection()
	}
	return unknownValue, Maybe
}

// operation is "&", "|" or "^" of two marks. Bits are followed one by one: after "&
// 0xff" all others are known to be 0, whatever they were.
type operation struct {
	op          string
	left, right expression
}

func (o operation) touches() touches { return touchesOf(o.left) | touchesOf(o.right) }

func (o operation) read(p *Packet) (value, Truth) {
	left, isLeft := o.left.read(p)
	right, isRight := o.right.read(p)
	a, b := left.mark(), right.mark()
	known := a.known & b.known
	v := a.value ^ b.value
	switch o.op {
	case "&":
		v, known = a.value&b.value, known|a.known&^a.value|b.known&^b.value
	case "|":
		v, known = a.value|b.value, known|a.value|b.value
	}
	return value{number: uint64(v), unknownBits: ^known}, min(isLeft, isRight)
}

// mark is a number of which only some bits are known.
func (v value) mark() mark {
	return mark{uint32(v.number) &^ v.unknownBits, ^v.unknownBits}
}

// several are read together.
type several []expression

func (s several) read(p *Packet) (value, Truth) {
	truth := Yes
	for _, e := range s {
		_, is := e.read(p)
		truth = min(truth, is)
	}
	return unknownValue, truth
}

func (s several) names(add func(names)) {
	for _, e := range s {
		namesOf(e, add)
	}
}

// expression reads one of a kind; what is not there is nil, and its value a constant.
func (t *Table) expression(raw json.RawMessage, k kind) expression {
	if raw == nil {
		return constant{}
	}
	if p, ok := parsePattern(raw, k); ok && k != kindNone && k != kindForeign {
		return constant{value{number: p.from, to: p.addrs}}
	}
	var parts map[string]json.RawMessage
	if json.Unmarshal(raw, &parts) != nil {
		return constant{unknownValue}
	}
	for name, operand := range parts {
		var list []json.RawMessage
		switch name {
		case "prefix", "range", "set":
			return constant{unknownValue}
		case "map":
			var m struct{ Key, Data json.RawMessage }
			if json.Unmarshal(operand, &m) == nil {
				return t.lookup(m.Key, m.Data)
			}
		case "&", "|", "^":
			if json.Unmarshal(operand, &list) == nil && len(list) == 2 {
				return operation{name, t.expression(list[0], kindMark), t.expression(list[1], kindMark)}
			}
		case "<<", ">>", "concat":
			if json.Unmarshal(operand, &list) == nil {
				return t.several(list...)
			}
		}
	}
	var e nftExpression
	_ = json.Unmarshal(raw, &e) // an object it is
	if f, ok := t.field(e); ok {
		return f
	}
	return nothingKnown{e.Ct != nil}
}

// several are the expressions that are there.
func (t *Table) several(list ...json.RawMessage) several {
	var out several
	for _, raw := range list {
		out = append(out, t.expression(raw, kindNone))
	}
	return out
}

// hasValue is the question whether an expression has a value for a packet.
type hasValue struct{ expression }

func (h hasValue) matches(p *Packet) Truth {
	_, is := h.read(p)
	return is
}

func (h hasValue) touches() touches      { return touchesOf(h.expression) }
func (h hasValue) names(add func(names)) { namesOf(h.expression, add) }

// lookup is a packet's key in a set or a map.
type lookup struct {
	fields []field
	// set is nil where it is not known.
	set *nftSet
	// written is the set's bit in Packet.written.
	written uint64
}

// lookup reads the left and the right side of a map.
func (t *Table) lookup(key, data json.RawMessage) lookup {
	fields, ok := t.fields(key)
	if !ok {
		return lookup{}
	}
	l := lookup{fields: fields, written: writtenBit(data)}
	if set, ok := t.mapOf(data, fields); ok {
		l.set = set
	}
	return l
}

func (l lookup) touches() touches {
	var t touches
	for _, f := range l.fields {
		t |= f.touches()
	}
	return t
}

func (l lookup) names(add func(names)) {
	if slices.ContainsFunc(l.fields, func(f field) bool { return f.kind == kindAddr }) && l.set != nil {
		add(names{set: l.set})
	}
}

// read is what a map has for the packet. Where no element surely fits but one may, it is
// not known what that has.
func (l lookup) read(p *Packet) (value, Truth) {
	e, truth, _ := l.find(p, nil)
	if e == nil {
		return unknownValue, truth
	}
	return e.data, truth
}

// find gives the element that surely fits, or nil; whether one fits; and whether the
// packet has a key. Those that may fit before that are given to maybe. A key of several
// parts is none that an element has where one part alone says so.
//
// An element that fits makes it Yes even where others did not parse; that none fits is
// only certain where all did.
func (l lookup) find(p *Packet, maybe func(*nftElement)) (e *nftElement, found, there Truth) {
	var room [3]value
	var isThere [8]Truth
	values, there := room[:0], Yes
	for i, f := range l.fields {
		v, is := f.read(p)
		if is == No {
			return nil, No, No // a question about what the packet does not have ends the rule
		}
		there = min(there, is)
		values, isThere[i%len(isThere)] = append(values, v), is
	}
	switch {
	case l.set == nil || len(l.fields) > len(isThere):
		return nil, Maybe, min(there, Maybe)
	case l.set.unparsed, p.written&l.written != 0:
		found = Maybe
	}
	for i := range l.set.elements {
		e := &l.set.elements[i]
		fits := e.holds(values, isThere[:])
		if p.written&l.written != 0 {
			fits = min(fits, Maybe)
		}
		switch {
		case fits == Yes:
			return e, Yes, there
		case fits == Maybe && maybe != nil:
			maybe(e)
		}
		found = found.or(fits)
	}
	return l.orElse(found, there, maybe)
}

// orElse is the element for all that no other fits.
func (l lookup) orElse(found, there Truth, maybe func(*nftElement)) (*nftElement, Truth, Truth) {
	e := l.set.otherwise
	switch {
	case e == nil:
		return nil, found, there
	case found == No && there == Yes && !e.limited:
		return e, Yes, there
	case maybe != nil:
		maybe(e)
	}
	return nil, Maybe, there
}

// holds is whether the element fits. One with a limit of its own may refuse even
// then.
func (e *nftElement) holds(values []value, there []Truth) Truth {
	truth := Yes
	if e.limited {
		truth = Maybe
	}
	for i := range e.key {
		if truth = min(truth, there[i], e.key[i].holds(&values[i])); truth == No {
			break
		}
	}
	return truth
}
