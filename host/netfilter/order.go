package netfilter

import (
	"cmp"
	"slices"
)

// This file answers: in which order does the kernel run the base chains of a hook?
//
// By priority, the lowest first: raw (-300), conntrack itself (-200), mangle
// (-150), DNAT (-100), filter (0), security (50), SNAT (100); see enum
// nf_ip_hook_priorities in linux/netfilter_ipv4.h. The order matters only where one
// chain writes what another asks for. Drops need no order: one is enough.

// base is a base chain with its table.
type base struct {
	table *Table
	chain *Chain
	// These are set where another table's chain has the same priority, and what this one
	// sees of marks, of tracking and of addresses depends on which of them runs first.
	marksUnsure, stateUnsure, addressesUnsure bool
	// sees is whether the packet comes to the chain at all.
	sees Truth
}

// bases are the base chains of a hook in the kernel's order.
func (rs *Ruleset) bases(hook Hook, p *Packet) []base {
	var out []base
	for _, t := range rs.Tables {
		if t.dormant || !t.Family.sees(p) {
			continue
		}
		for _, name := range t.hooks() {
			c := t.Chains[name]
			if sees := rs.sees(t, c, hook, p); sees != No {
				out = append(out, base{table: t, chain: c, sees: sees})
			}
		}
	}
	// Of equal priority, the chain registered last runs first
	// (nf_hook_entries_grow puts it in front of its equals); within a table that is
	// the one listed last. Of different tables nothing tells which came later.
	slices.Reverse(out)
	slices.SortStableFunc(out, func(a, b base) int {
		return cmp.Or(cmp.Compare(a.chain.runsAt(), b.chain.runsAt()), cmp.Compare(a.chain.Priority, b.chain.Priority))
	})
	for i := range out {
		for _, o := range out {
			if o.table != out[i].table && o.chain.runsAt() == out[i].chain.runsAt() {
				mine, other := out[i].table.touches(), o.table.touches()
				out[i].marksUnsure = out[i].marksUnsure || orderMatters(mine, other, readsMark, writesMark)
				out[i].stateUnsure = out[i].stateUnsure || orderMatters(mine, other, readsState, forbidsTracking)
				out[i].addressesUnsure = out[i].addressesUnsure || other&writesAddress != 0
			}
		}
	}
	return out
}

// hooks are the names of the chains that have a hook, as they were listed.
func (t *Table) hooks() []string {
	if t.hooked == nil {
		t.hooked = []string{}
		for _, name := range t.order {
			if t.Chains[name].Hook != "" {
				t.hooked = append(t.hooked, name)
			}
		}
	}
	return t.hooked
}

// sees is whether a packet at a hook comes to a base chain.
//
// Those of ingress and egress are on links: the packet surely passes the one that it
// comes in or goes out by, and may pass those below, where it may look otherwise
// (tagged). Those of family bridge are passed between a bridge and its ports: by
// prerouting and input on the way in, by output and postrouting on the way out.
func (rs *Ruleset) sees(t *Table, c *Chain, hook Hook, p *Packet) Truth {
	link := p.In
	if hook == Egress {
		link = p.Out
	}
	switch {
	case t.Family == Bridge && (hook == Ingress && (c.Hook == Prerouting || c.Hook == Input) || hook == Egress && (c.Hook == Postrouting || c.Hook == Output)):
		return rs.maybeBelow(link, func(_ string, l Link) bool { return l.Bridge })
	case t.Family == Bridge || c.Hook != hook:
		return No
	case !c.onLinks() || slices.Contains(c.Devices, link):
		return Yes
	case c.Devices == nil:
		return Maybe
	}
	return rs.maybeBelow(link, func(name string, _ Link) bool { return slices.Contains(c.Devices, name) })
}

// onLinks is whether the chain is on links.
func (c *Chain) onLinks() bool { return c.Hook == Ingress || c.Hook == Egress }

// maybeBelow is No where neither the link nor anything below it is such a one.
func (rs *Ruleset) maybeBelow(link string, such func(string, Link) bool) Truth {
	todo, seen := []string{link}, map[string]bool{}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		l, isKnown := rs.Links[name]
		if !isKnown || such(name, l) {
			return Maybe
		}
		for _, below := range l.Below {
			if !seen[below] {
				seen[below] = true
				todo = append(todo, below)
			}
		}
	}
	return No
}

// runsAt is the priority at which a chain runs. All chains of type nat run within
// NAT's own hook, and their priorities only order them there
// (nf_nat_register_fn): "type nat hook postrouting priority -50" still runs at 100,
// behind a filter chain of priority 0.
func (c *Chain) runsAt() int {
	switch {
	case c.NAT && (c.Hook == Prerouting || c.Hook == Output):
		return priorityDNAT
	case c.NAT:
		return prioritySNAT
	}
	return c.Priority
}

// orderMatters is whether it matters which of two tables' chains runs first: one
// writes what the other asks for or writes too. The order of chains of equal priority in
// different tables cannot be read. Example: iptables-legacy's mangle has "-j MARK
// --set-mark 1", and a table of nft's at priority -150 has "meta mark 1 drop".
func orderMatters(a, b touches, reads, writes touches) bool {
	return a&writes != 0 && b&(reads|writes) != 0 || b&writes != 0 && a&reads != 0
}

// touches is what the table's rules touch.
func (t *Table) touches() touches {
	var all touches
	for _, c := range t.Chains {
		all |= c.touches()
	}
	return all
}

// touches is what the chain's rules touch.
func (c *Chain) touches() touches {
	if c.touched == nil {
		var all touches
		for _, r := range c.Rules {
			for _, s := range r.statements {
				all |= touchesOf(s.does)
			}
		}
		c.touched = &all
	}
	return *c.touched
}
