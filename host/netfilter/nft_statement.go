package netfilter

import (
	"encoding/json"
	"hash/fnv"
	"strings"
)

// This file answers: what does each expression of an nft rule do: ask, change the
// packet, or decide?
//
// The kernel runs them from the left to the right. Each may end the rule for this
// packet (NFT_BREAK in nf_tables_core.c): then the next rule's turn comes, and what
// was changed before stays. A question that is answered with no ends it, and so does
// an expression that cannot be computed, such as the port of a packet without ports.
//
// An expression with a name that is not listed is a question that nothing is known
// about: "limit rate 5/second", "quota", "ct count", "socket". It may end the rule
// or not. Statements that take the packet out of the kernel's hands (queue, tproxy,
// synproxy, fwd) may do anything with it.

// nftStatements are nft's statements by their names in JSON
// (libnftables-json(5)). Verdicts are verdictOf's.
var nftStatements = map[string]func(*Table, string, json.RawMessage) []statement{
	"match":          single((*Table).match),
	"vmap":           single((*Table).verdictMap),
	"mangle":         (*Table).mangle,
	"set":            (*Table).update,
	"map":            (*Table).update,
	"meter":          (*Table).update,
	"masquerade":     (*Table).translation,
	"snat":           (*Table).translation,
	"dnat":           (*Table).translation,
	"redirect":       (*Table).translation,
	"notrack":        single(func(*Table, json.RawMessage) statement { return statement{"notrack", untrack{}} }),
	"xt":             single(func(_ *Table, raw json.RawMessage) statement { return xtStatement(raw) }),
	"queue":          decidesAlways(decision{kind: unknownTarget}),
	"tproxy":         decidesAlways(decision{kind: unknownTarget}),
	"synproxy":       decidesAlways(decision{kind: unknownTarget}),
	"fwd":            decidesAlways(decision{kind: unknownTarget}),
	"counter":        noEffectStatement,
	"log":            noEffectStatement,
	"flow":           single(func(_ *Table, raw json.RawMessage) statement { return statement{"flow " + string(raw), offloading{}} }),
	"ct helper":      noEffectStatement,
	"ct timeout":     noEffectStatement,
	"ct expectation": noEffectStatement,
	"dup":            single((*Table).duplicate),
	"secmark":        noEffectStatement,
	"last":           noEffectStatement,
}

// single makes a list of one statement.
func single(f func(*Table, json.RawMessage) statement) func(*Table, string, json.RawMessage) []statement {
	return func(t *Table, _ string, raw json.RawMessage) []statement { return []statement{f(t, raw)} }
}

// decidesAlways is a statement that comes to one decision for every packet.
func decidesAlways(d decision) func(*Table, string, json.RawMessage) []statement {
	return func(_ *Table, name string, _ json.RawMessage) []statement { return []statement{decides(name, d)} }
}

// noEffectStatement is noEffect for the table of statements. An object out of a map
// ends the rule where the map has none: "counter name ip saddr map @counters".
func noEffectStatement(t *Table, name string, raw json.RawMessage) []statement {
	var object struct{ Map json.RawMessage }
	if json.Unmarshal(raw, &object) == nil && object.Map != nil {
		return []statement{{name + " " + string(raw), hasValue{t.expression(raw, kindNone)}}}
	}
	return []statement{noEffect(name)}
}

// duplicate is {"addr": …, "dev": …}: a copy of the packet goes there, and the packet
// goes on, unless there is no such value.
func (t *Table) duplicate(raw json.RawMessage) statement {
	var to struct{ Addr, Dev json.RawMessage }
	if json.Unmarshal(raw, &to) != nil {
		return unknown("dup " + string(raw))
	}
	return statement{"dup " + string(raw), hasValue{t.several(to.Addr, to.Dev)}}
}

// offloading is whether "flow add" goes on: for what it cannot put into the flow table
// the rule ends there (nft_flow_offload_eval in nft_flow_offload.c), which is all that
// is not TCP or UDP of a connection, TCP that is not established, and what is in the
// table already.
type offloading struct{}

func (offloading) touches() touches { return readsState }
func (offloading) matches(p *Packet) Truth {
	switch {
	case p.Protocol != TCP && p.Protocol != UDP, p.State&^(Invalid|Untracked) == 0:
		return No
	case p.Protocol == TCP && (p.State&^New == 0 || p.flags(FIN|RST) != 0):
		return No
	}
	return Maybe
}

// compile turns one expression of a rule into statements.
func (t *Table) compile(e map[string]json.RawMessage) []statement {
	for name, raw := range e {
		if f := nftStatements[name]; f != nil {
			return f(t, name, raw)
		}
		if d, ok := verdictOf(e); ok {
			return []statement{decides(name, d)}
		}
		return []statement{unknown(name + " " + string(raw))}
	}
	return []statement{noEffect("nothing")}
}

// xtStatement is a match or target of iptables', which nft only names: {"xt":
// {"type": "match", "name": "recent"}}. Rules of iptables-nft have them; the same
// rule is then read from iptables-nft-save (see Reconcile). Before 1.0.6 nft prints
// null, whichever it is. A comment asks nothing.
func xtStatement(raw json.RawMessage) statement {
	var xt struct{ Type, Name string }
	if json.Unmarshal(raw, &xt) == nil && xt.Type == "match" && xt.Name == "comment" {
		return noEffect("a comment")
	}
	if !strings.Contains(string(raw), `"match"`) {
		return decides("xt "+string(raw), decision{kind: unknownTarget})
	}
	return unknown("xt " + string(raw))
}

// update adds the packet's key to a set, a map or a meter, or takes it out:
// {"op": …, "elem": …, "set": "@NAME", "stmt": […]}. The rule ends there for a
// packet without such a key, and for a new key where the set is full. A limit, a quota
// or a number of connections, of the statement or of the set itself, may end it too
// (nft_dynset.c). What a meter has is not listed, and so not how full it is.
func (t *Table) update(verb string, raw json.RawMessage) []statement {
	var u struct {
		Elem, Key json.RawMessage
		Set, Map  json.RawMessage
		Stmt      json.RawMessage
	}
	text := verb + " " + string(raw)
	if json.Unmarshal(raw, &u) != nil {
		return []statement{unknown(text)}
	}
	key, name := u.Elem, u.Set
	if key == nil {
		key = u.Key
	}
	if u.Map != nil {
		name = u.Map
	}
	fields, ok := t.fields(unwrapElem(key))
	s, _, _ := t.named(name, fields)
	if crowded, ok := firstConnection(u.Stmt, unwrapElem(key)); ok && s != nil && !s.limited && !s.crowded {
		return []statement{{text, all{update{fields, false}, crowded}}, {text, writeSets(writtenBit(name))}}
	}
	limited := !ok || mayRefuse(u.Stmt) || verb == "meter" || s != nil && (s.limited || s.crowded)
	return []statement{{text, update{fields, limited}}, {text, writeSets(writtenBit(name))}}
}

// firstConnection reads "ct count over 500" for each source address, in a list or not.
func firstConnection(stmt, key json.RawMessage) (match, bool) {
	type count struct {
		Count *struct {
			Val uint64
			Inv bool
		} `json:"ct count"`
	}
	var list []count
	if json.Unmarshal(stmt, &list) != nil {
		list = make([]count, 1)
		_ = json.Unmarshal(stmt, &list[0]) // what is something else has no count
	}
	var e nftExpression
	if len(list) != 1 || list[0].Count == nil || json.Unmarshal(key, &e) != nil || e.Payload == nil || e.Payload.Field != "saddr" {
		return nil, false
	}
	return crowd{list[0].Count.Val, list[0].Count.Inv}, true
}

// update is whether a rule that writes to a set goes on.
type update struct {
	key []field
	// limited is set where it may end there.
	limited bool
}

func (u update) matches(p *Packet) Truth {
	there := Yes
	for _, f := range u.key {
		_, is := f.read(p)
		there = min(there, is)
	}
	if u.limited {
		return min(there, Maybe)
	}
	return there
}

// writtenBit stands for a set in Packet.written: one of 64 bits, by a hash of the
// name. Two sets may share a bit; then writing to one makes the other unknown too,
// which is never wrong.
func writtenBit(raw json.RawMessage) uint64 {
	var name string
	if json.Unmarshal(raw, &name) != nil || len(name) < 2 || name[0] != '@' {
		return 0
	}
	return setBit(name[1:])
}

// setBit is writtenBit of a set's name.
func setBit(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return 1 << (h.Sum64() % 64)
}
