package netfilter

import (
	"encoding/json"
	"strings"
)

// This file answers: which rules of iptables-nft's tables are not what
// iptables-nft-save prints? Both programs keep their rules in nf_tables, so nft can
// put rules into iptables' tables. Example: "nft insert rule ip filter FORWARD ip
// saddr @blocked drop" reads as "-A FORWARD -j DROP" in iptables-nft-save 1.8.9.

// Reconcile corrects what iptables-nft-save printed of a table by what nft says
// of the same one, and reports whether that was needed. iptables-nft leaves out,
// without a word, what only nft can express: whole base chains of other names,
// and parts of rules that somebody added by nft, so that a drop for one set
// reads as a drop for everything (seen with iptables 1.8.9).
func (t *Table) Reconcile(n *Table) bool {
	corrected := false
	t.sets, t.dormant = n.sets, n.dormant
	for _, name := range n.order {
		ours, theirs := t.Chains[name], n.Chains[name]
		switch {
		case ours == nil:
			*t.chain(name) = *theirs
			corrected = true
			continue
		case len(ours.Rules) != len(theirs.Rules):
			ours.Rules = theirs.Rules
			corrected = true
		}
		for i, r := range theirs.Rules {
			if r.beyondIptables {
				ours.Rules[i] = r
				corrected = true
			}
		}
		ours.touched = nil // it was worked out from the rules as they were
	}
	return corrected
}

// beyondIptables reports whether an nft rule is not one that iptables-nft makes:
// those count, always, and ask only simple questions or such of its own modules
// (xt), which nobody else can add. "ip saddr 10.0.0.1 counter drop" typed in nft
// looks like iptables' own, and iptables-nft-save prints it rightly; without
// "counter", or with a set, it does not.
func beyondIptables(exprs []map[string]json.RawMessage) bool {
	counts := false
	for _, e := range exprs {
		if e["xt"] != nil {
			return false
		}
	}
	for _, e := range exprs {
		for key, raw := range e {
			switch key {
			case "counter":
				counts = true
			case "match":
				if !plainMatch(raw) {
					return true
				}
			case "vmap", "map", "set", "meter", "flow", "queue", "notrack", "fwd", "dup", "mangle":
				return true
			}
		}
	}
	return !counts
}

// plainMatch is a comparison of a header field or of a link's name with a
// constant, as iptables-nft makes of -s, -i, -p, --dport and --mark. A set, a
// range or a question of nft's own (ct state) is taken for somebody else's.
func plainMatch(raw json.RawMessage) bool {
	var m struct {
		Left struct {
			Payload *struct{}
			Meta    *struct{ Key string }
			And     []json.RawMessage `json:"&"`
		}
		Right json.RawMessage
	}
	if json.Unmarshal(raw, &m) != nil {
		return false
	}
	right := string(m.Right)
	if strings.HasPrefix(right, `"@`) || strings.HasPrefix(right, `{"set"`) || strings.HasPrefix(right, `{"range"`) {
		return false
	}
	meta := m.Left.Meta != nil && (m.Left.Meta.Key == "iifname" || m.Left.Meta.Key == "oifname" || m.Left.Meta.Key == "l4proto" || m.Left.Meta.Key == "mark")
	return m.Left.Payload != nil || meta || m.Left.And != nil
}
