package netfilter

import (
	"cmp"
	"slices"
	"strings"
)

// base is a base chain with its table.
type base struct {
	table *Table
	chain *Chain
	// disputed is set where another table's chain of equal priority matters.
	orderMatters bool
	// readdressed is set where such a chain writes addresses.
	addressesUnsure bool
}

// bases are the base chains of a hook in the kernel's order.
func (rs *Ruleset) bases(hook Hook, p *Packet) []base {
	var out []base
	for _, t := range rs.Tables {
		if t.dormant || !t.Family.sees(p) {
			continue
		}
		for _, name := range t.order {
			if c := t.Chains[name]; c.Hook == hook {
				out = append(out, base{table: t, chain: c})
			}
		}
	}
	// Of equal priority, the chain registered last runs first
	// (nf_hook_entries_grow); within a table that is the one listed last.
	slices.Reverse(out)
	slices.SortStableFunc(out, func(a, b base) int {
		return cmp.Or(cmp.Compare(a.chain.runsAt(), b.chain.runsAt()), cmp.Compare(a.chain.Priority, b.chain.Priority))
	})
	for i := range out {
		for _, o := range out {
			if o.table != out[i].table && o.chain.runsAt() == out[i].chain.runsAt() {
				out[i].orderMatters = out[i].orderMatters || orderMatters(o.table, out[i].table)
				out[i].addressesUnsure = out[i].addressesUnsure || o.table.touches().addresses
			}
		}
	}
	return out
}

// runsAt is the priority at which a chain runs. All chains of type nat run at
// NAT's own place, and their priorities only order them there
// (nf_nat_register_fn).
func (c *Chain) runsAt() int {
	switch {
	case c.NAT && c.Hook == Prerouting:
		return priorityDNAT
	case c.NAT:
		return prioritySNAT
	}
	return c.Priority
}

// disputed is whether it matters which of two tables' chains runs first: one
// writes marks, or forbids tracking, and the other asks or writes too. The order
// of chains of equal priority in different tables cannot be read.
func orderMatters(a, b *Table) bool {
	mine, other := a.touches(), b.touches()
	return mine.writes && (other.reads || other.writes) || other.writes && (mine.reads || mine.writes)
}

// touches is whether rules of a table ask for, and change, what packets carry
// along, and whether they write addresses.
type touches struct{ reads, writes, addresses bool }

func (t *Table) touches() touches {
	if t.touched == nil {
		var all touches
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				all.reads = all.reads || strings.Contains(r.Text, "mark") || strings.Contains(strings.ToLower(r.Text), "untracked")
				for _, s := range r.statements {
					all.writes, all.addresses = all.writes || s.carries, all.addresses || s.rewrites
				}
			}
		}
		t.touched = &all
	}
	return *t.touched
}
