package netfilter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// This file answers: which tables, chains, sets and rules does `nft -j list ruleset`
// print (libnftables-json(5))?
//
//	{"nftables": [
//	  {"table": {"family": "inet", "name": "t", …}},
//	  {"chain": {"table": "t", "name": "f", "hook": "forward", "prio": 0, …}},
//	  {"set":   {"table": "t", "name": "blocked", "type": "ipv4_addr", "elem": […]}},
//	  {"rule":  {"table": "t", "chain": "f", "expr": […]}}]}
//
// A rule's expr is a list of objects with one name each: {"match": …}, {"counter":
// …}, {"drop": null}. nft_statement.go turns each into statements.
//
// JSON is read for its meaning and nft's own text for people. Either leaves out
// what the other has. nft drops the question that it put in front of another one by
// itself: "tcp dport 80" is "meta l4proto tcp" and the port in the kernel, and "ip
// saddr" in a table of family inet asks for IPv4 first. So a field here is absent
// from packets of another protocol or family, and its question ends the rule.

// nftObject is one entry of what `nft -j list` prints (libnftables-json(5)).
type nftObject struct {
	Table *struct {
		Family, Name string
		Flags        json.RawMessage
	}
	Chain *struct {
		Family, Table, Name, Type, Hook, Policy string
		Dev                                     flagList
		Prio                                    int
	}
	Rule *struct {
		Family, Table, Chain, Comment string
		Handle                        int
		Expr                          nftExprs
	}
	Set *nftSetJSON
	Map *nftSetJSON
}

// nftExprs are the expressions of a rule, each an object of one name.
type nftExprs []map[string]json.RawMessage

// UnmarshalJSON reads what nft has no JSON for, and prints as a text, as a
// statement that nobody knows (nft 1.0.6: "add @map { … : … }").
func (out *nftExprs) UnmarshalJSON(b []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for _, raw := range list {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			*out = append(*out, map[string]json.RawMessage{"statement": raw})
			continue
		}
		var e map[string]json.RawMessage
		if err := json.Unmarshal(raw, &e); err != nil {
			return err
		}
		*out = append(*out, e)
	}
	return nil
}

type nftSetJSON struct {
	Family, Table, Name string
	Type                json.RawMessage
	Map                 json.RawMessage
	Elem                []json.RawMessage
	Size                int
	Stmt                json.RawMessage
}

// ParseNft reads what `nft -j list ruleset` or `nft -j list table` prints. Rules
// have no text that people like to read; see Describe. Tables of family arp are left
// out: they see no packet that is forwarded.
//
// It goes through the list three times, because a rule may name what comes later: a
// chain to jump to, a set to ask.
func ParseNft(listing []byte) ([]*Table, error) {
	var doc struct{ Nftables []nftObject }
	if err := json.Unmarshal(listing, &doc); err != nil {
		return nil, fmt.Errorf("nft -j list: %w", err)
	}
	tables := nftTables{}
	for _, o := range doc.Nftables {
		tables.declare(o)
	}
	for _, o := range doc.Nftables {
		for _, s := range []*nftSetJSON{o.Set, o.Map} {
			if s == nil {
				continue
			}
			if t := tables.find(s.Family, s.Table); t != nil {
				t.sets[s.Name] = t.newSet(s)
			}
		}
	}
	for _, o := range doc.Nftables {
		if o.Rule == nil {
			continue
		}
		t := tables.find(o.Rule.Family, o.Rule.Table)
		if t == nil {
			continue
		}
		r := &Rule{Handle: o.Rule.Handle, Comment: o.Rule.Comment}
		for _, e := range o.Rule.Expr {
			if raw, ok := e["reject"]; ok {
				r.statements = append(r.statements, statement{"reject", newRejection(t, raw, r.statements)})
				continue
			}
			r.statements = append(r.statements, t.compile(e)...)
		}
		r.Text = textOf(r.statements)
		r.beyondIptables = beyondIptables(o.Rule.Expr)
		t.chain(o.Rule.Chain).add(r)
	}
	return tables.list, nil
}

// nftTables are the tables read so far.
type nftTables struct{ list []*Table }

func (ts *nftTables) find(family, name string) *Table {
	i := slices.IndexFunc(ts.list, func(t *Table) bool { return string(t.Family) == family && t.Name == name })
	if i < 0 {
		return nil
	}
	return ts.list[i]
}

// declare takes in a table or a chain. A chain without a hook is only jumped to.
func (ts *nftTables) declare(o nftObject) {
	switch {
	case o.Table != nil:
		f := Family(o.Table.Family)
		var flags flagList
		_ = json.Unmarshal(o.Table.Flags, &flags) // most tables have none
		ts.list = append(ts.list, &Table{Backend: Nft, Family: f, Name: o.Table.Name, Chains: map[string]*Chain{}, sets: map[string]*nftSet{},
			Flagged: len(flags) > 0, dormant: slices.Contains(flags, "dormant")})
	case o.Chain != nil:
		t := ts.find(o.Chain.Family, o.Chain.Table)
		if t == nil {
			return
		}
		c := t.chain(o.Chain.Name)
		c.Hook, c.Priority = Hook(o.Chain.Hook), o.Chain.Prio
		c.NAT, c.Drops, c.Devices = o.Chain.Type == "nat", o.Chain.Policy == "drop", o.Chain.Dev
	}
}

// textOf is a rule's statements, for lack of its own text.
func textOf(statements []statement) string {
	var out []string
	for _, s := range statements {
		if len(out) == 0 || out[len(out)-1] != s.text { // one expression may be two statements
			out = append(out, s.text)
		}
	}
	return strings.Join(out, " ")
}

// Describe gives rules their own texts by handle, from ParseNftTexts.
func (t *Table) Describe(texts map[int]string) {
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			if text := texts[r.Handle]; text != "" {
				r.Text = text
			}
		}
	}
}

// NeedsListing reports whether something of the table is told only by ReadListing.
func (t *Table) NeedsListing() bool {
	for _, c := range t.Chains {
		if c.onLinks() && c.Devices == nil {
			return true
		}
	}
	return t.Flagged
}

// ReadListing takes from what `nft list table` prints what its JSON leaves out: which
// flag a Flagged table has, and the links of chains on links.
func (t *Table) ReadListing(listing string) {
	t.readFlags(listing)
	t.readDevices(listing)
}

// readDevices looks for the heads of chains:
//
//	chain in { # handle 1
//		type filter hook ingress device "up0" priority filter; policy accept;
//		type filter hook egress devices = { up0, "up1" } priority 0; policy accept;
func (t *Table) readDevices(listing string) {
	var c *Chain
	for _, line := range strings.Split(listing, "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) > 2 && words[0] == "chain":
			c = t.Chains[words[1]]
		case c != nil && c.onLinks() && len(words) > 5 && words[0] == "type" && strings.HasPrefix(words[4], "device"):
			_, list, _ := strings.Cut(line, words[4])
			list, _, _ = strings.Cut(list, " priority ")
			c.Devices = strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(` =,{}"`, r) })
		}
	}
}

func (t *Table) readFlags(listing string) {
	_, body, ok := strings.Cut(listing, "{")
	if !ok {
		return
	}
	t.dormant = false
	for _, line := range strings.Split(body, "\n") {
		flags, has := strings.CutPrefix(strings.TrimSpace(line), "flags ")
		if has {
			t.dormant = slices.Contains(strings.FieldsFunc(flags, func(c rune) bool { return c == ',' || c == ' ' }), "dormant")
		}
		if has || strings.HasSuffix(line, "{") {
			return
		}
	}
}

// ParseNftTexts reads what `nft -a list table` prints for rules' texts by
// handle. A rule may take several lines; only its last one has the handle.
func ParseNftTexts(listing string) map[int]string {
	out := map[int]string{}
	var parts []string
	for _, line := range strings.Split(listing, "\n") {
		line = strings.TrimSpace(line)
		text, handle, has := strings.Cut(line, " # handle ")
		isHead := !has && (strings.HasPrefix(text, "type ") || strings.HasPrefix(text, "comment "))
		if strings.HasSuffix(text, "{") || line == "}" || line == "" || isHead {
			parts = nil
			continue
		}
		parts = append(parts, text)
		if !has {
			continue
		}
		var n int
		if _, err := fmt.Sscanf(handle, "%d", &n); err == nil {
			out[n] = strings.Join(parts, " ")
		}
		parts = nil
	}
	return out
}

// newRejection reads {"type": "icmp", …}; null has no type.
func newRejection(t *Table, raw json.RawMessage, before []statement) rejection {
	var how struct{ Type string }
	_ = json.Unmarshal(raw, &how)
	return rejection{how.Type, t.Family == IPv4 || t.Family == IPv6 || slices.ContainsFunc(before, asksFamily)}
}

// asksFamily is whether a statement asks for a family in a way that nft prints: "meta
// nfproto ipv6" in front of a match, or "meta protocol ip".
func asksFamily(s statement) bool {
	c, ok := s.does.(comparison)
	return ok && slices.ContainsFunc(c.fields, func(f field) bool { return f.kind == kindNFProto || f.kind == kindEther })
}

// rejection restores what nft leaves out where it prints a reject in a table of
// family inet: the question for the family that the rule has in the kernel
// (nftables 1.0.6 drops "meta nfproto ipv6" before it). With an ICMP type the
// family follows from the type; with a TCP reset it cannot be known.
type rejection struct {
	kind        string
	familyKnown bool
}

func (r rejection) decisions() []decision { return []decision{{kind: reject}, {kind: goOn}} }
func (r rejection) decide(p *Packet) []decision {
	switch {
	case r.kind == "icmp" && p.is6(), r.kind == "icmpv6" && !p.is6(), r.kind == "tcp reset" && p.Protocol != TCP:
		return []decision{{kind: goOn}}
	case r.kind == "tcp reset" && !r.familyKnown:
		return []decision{{kind: reject}, {kind: goOn}}
	}
	return []decision{{kind: reject}}
}

// verdictOf reads {"accept": null}, {"jump": {"target": "c"}} and the like (nft(8),
// VERDICT STATEMENTS).
func verdictOf(e map[string]json.RawMessage) (decision, bool) {
	for name, raw := range e {
		switch name {
		case "accept":
			return decision{kind: accept}, true
		case "drop":
			return decision{kind: drop}, true
		case "reject":
			return decision{kind: reject}, true
		case "return":
			return decision{kind: returnToCaller}, true
		case "continue":
			return decision{kind: goOn}, true
		case "jump", "goto":
			var to struct{ Target string }
			if json.Unmarshal(raw, &to) != nil {
				return decision{}, false
			}
			k := jump
			if name == "goto" {
				k = goTo
			}
			return decision{kind: k, chain: to.Target}, true
		}
	}
	return decision{}, false
}
