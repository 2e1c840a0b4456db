package enforce

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/coreos/go-iptables/iptables"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/netfilter"
	"github.com/fairway-bgp/fairway/host/program"
)

// lockSeconds is how long iptables waits for its lock.
const lockSeconds = 5

// newChain is the name of a chain that takes another one's place.
const newChain = host.OwnChains + "NEW"

// tool is iptables of one backend and family.
func (e *Enforcer) tool(b netfilter.Backend, f netfilter.Family) (*iptables.IPTables, error) {
	name := program.Name(b, f, "")
	if t := e.tools[name]; t != nil {
		return t, nil
	}
	path, err := host.Tool(b, f, "")
	if err != nil {
		return nil, err
	}
	proto := iptables.ProtocolIPv4
	if f == netfilter.IPv6 {
		proto = iptables.ProtocolIPv6
	}
	t, err := iptables.New(iptables.Path(path), iptables.IPFamily(proto), iptables.Timeout(lockSeconds))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if e.tools == nil {
		e.tools = map[string]*iptables.IPTables{}
	}
	e.tools[name] = t
	return t, nil
}

// ownTables are the tables that iptables can write to: those that nft had to list are
// among them.
func ownTables(f *host.Filter) []*netfilter.Table {
	var out []*netfilter.Table
	for _, six := range []bool{false, true} {
		for _, t := range slices.Concat(rulesOf(f, six).Tables, f.MixedOf(six)) {
			if t.Backend != netfilter.Nft || slices.Contains(f.Mixed, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

// find is the table of an opening as it was read, or nil.
func find(f *host.Filter, at netfilter.Place) *netfilter.Table {
	for _, t := range ownTables(f) {
		if backendOf(t) == at.Backend && t.Family == at.Family && t.Name == at.Table {
			return t
		}
	}
	return nil
}

// jumpRule is the jump to a chain of ours, as words behind -A CHAIN.
func jumpRule(own string) []string {
	return []string{"-m", "comment", "--comment", "fairway: announced Subnets", "-j", own}
}

// inPlace reports whether an opening is there as it must be: one jump at its place, and
// the chain with its rules and no others. What iptables prints of a rule differs from
// what it was given, so iptables itself is asked, once for each text that it printed.
func (e *Enforcer) inPlace(t *netfilter.Table, o host.Opening) (bool, error) {
	if t == nil || t.Chains[o.Own] == nil || len(t.Chains[o.Own].Rules) != len(o.Rules) {
		return false, nil
	}
	jumps := jumpsTo(t, o.Own)
	if len(jumps) != 1 || jumps[0].chain != o.At.Chain || !atPlace(t.Chains[o.At.Chain], jumps[0].rule, o.At.Before) {
		return false, nil
	}
	filled := filledKey(t, o)
	key := jumps[0].rule.Text + filled
	if e.alike[key] {
		return true, nil
	}
	same, err := e.exist(o)
	if same && err == nil {
		if len(e.alike) > 1000 || e.alike == nil {
			e.alike = map[string]bool{}
		}
		e.alike[key], e.alike[filled] = true, true
	}
	return same, err
}

// filledKey is what an opening's chain was to hold, and what iptables printed of it.
func filledKey(t *netfilter.Table, o host.Opening) string {
	key := fmt.Sprint(o)
	for _, r := range t.Chains[o.Own].Rules {
		key += "\n" + r.Text
	}
	return key
}

// exist asks iptables for the jump and every rule.
func (e *Enforcer) exist(o host.Opening) (bool, error) {
	ipt, err := e.tool(o.At.Backend, o.At.Family)
	if err != nil {
		return false, err
	}
	there, err := ipt.Exists(o.At.Table, o.At.Chain, jumpRule(o.Own)...)
	for _, r := range o.Rules {
		if !there || err != nil {
			return false, err
		}
		there, err = ipt.Exists(o.At.Table, o.Own, r...)
	}
	return there, err
}

// jumped is a jump to a chain of ours.
type jumped struct {
	chain string
	rule  *netfilter.Rule
}

// jumpsTo are all jumps to a chain, the last of a chain first, so that numbers hold while
// they are deleted.
func jumpsTo(t *netfilter.Table, own string) []jumped {
	var out []jumped
	for _, name := range slices.Sorted(maps.Keys(t.Chains)) {
		for _, r := range slices.Backward(t.Chains[name].Rules) {
			if r.Jumps(own) {
				out = append(out, jumped{name, r})
			}
		}
	}
	return out
}

// atPlace reports whether so many rules of others, less one, stand before ours, or, where
// there are not as many, none behind.
func atPlace(c *netfilter.Chain, ours *netfilter.Rule, before int) bool {
	others, passed := 0, 0
	for _, r := range c.Rules {
		switch {
		case r == ours:
			passed = others
		case !r.JumpsInto(host.OwnChains):
			others++
		}
	}
	return passed == min(before-1, others)
}

// number is where in the chain as it is now the jump goes; 0 for the end.
func number(c *netfilter.Chain, before int) int {
	if c == nil {
		return 1
	}
	others := 0
	for _, r := range c.Rules {
		if r.JumpsInto(host.OwnChains) {
			continue
		}
		if others++; others == before {
			return r.Number
		}
	}
	return 0
}

// put makes an opening. A chain that is there in another shape, or whose jump stands
// elsewhere, is replaced by one that is filled and jumped to first: no packet meets less
// than it did.
func (e *Enforcer) put(t *netfilter.Table, o host.Opening) error {
	ipt, err := e.tool(o.At.Backend, o.At.Family)
	if err != nil {
		return err
	}
	var base *netfilter.Chain
	replaced, name := false, o.Own
	if t != nil {
		base, replaced = t.Chains[o.At.Chain], t.Chains[o.Own] != nil && len(jumpsTo(t, o.Own)) > 0
	}
	if replaced {
		name = newChain
		if t.Chains[newChain] != nil { // of one that was killed
			if err := e.remove(t, newChain, o.At.Backend); err != nil {
				return err
			}
			delete(t.Chains, newChain)
		}
	}
	// Whoever flushes a base chain leaves ours: then the jump alone is put back.
	if whole := t != nil && t.Chains[name] != nil && name == o.Own && e.alike[filledKey(t, o)]; !whole {
		if err := fill(ipt, t, o, name); err != nil {
			return err
		}
	}
	if n := number(base, o.At.Before); n > 0 {
		err = ipt.Insert(o.At.Table, o.At.Chain, n, jumpRule(name)...)
	} else {
		err = ipt.Append(o.At.Table, o.At.Chain, jumpRule(name)...)
	}
	if err != nil || !replaced {
		return err
	}
	return errors.Join(e.remove(t, o.Own, o.At.Backend), ipt.RenameChain(o.At.Table, newChain, o.Own))
}

// fill makes a chain with an opening's rules. One that is there, emptied by a flush or left
// half done, is used: nothing jumps to it.
func fill(ipt *iptables.IPTables, t *netfilter.Table, o host.Opening, name string) error {
	var err error
	switch {
	case t == nil || t.Chains[name] == nil:
		err = ipt.NewChain(o.At.Table, name)
	case len(t.Chains[name].Rules) > 0:
		err = ipt.ClearChain(o.At.Table, name)
	}
	for _, r := range o.Rules {
		if err != nil {
			return err
		}
		err = ipt.Append(o.At.Table, name, r...)
	}
	return err
}

// remove takes a chain of ours and all jumps to it away; with nft where there is no
// iptables.
func (e *Enforcer) remove(t *netfilter.Table, own string, b netfilter.Backend) error {
	ipt, err := e.tool(b, t.Family)
	if err != nil {
		if b == netfilter.IptablesNft {
			return removeByNft(t, own)
		}
		return err
	}
	for _, j := range jumpsTo(t, own) {
		if words := host.RuleWords(j.rule.Text); words != nil {
			err = ipt.Delete(t.Name, j.chain, words...)
		} else {
			err = ipt.DeleteIfExists(t.Name, j.chain, jumpRule(own)...)
		}
		if err != nil {
			return err
		}
	}
	return ipt.ClearAndDeleteChain(t.Name, own)
}

// removeByNft is remove by handles.
func removeByNft(t *netfilter.Table, own string) error {
	var out strings.Builder
	for _, j := range jumpsTo(t, own) {
		fmt.Fprintf(&out, "delete rule %s %s %s handle %d\n", t.Family, t.Name, j.chain, j.rule.Handle)
	}
	fmt.Fprintf(&out, "flush chain %[1]s %[2]s %[3]s\ndelete chain %[1]s %[2]s %[3]s\n", t.Family, t.Name, own)
	_, err := program.Feed(context.Background(), out.String(), "nft", "-f", "-")
	return err
}

// leftovers are chains of ours that are not wanted.
func (e *Enforcer) leftovers(f *host.Filter, wanted []host.Opening) []leftover {
	var out []leftover
	for _, t := range ownTables(f) {
		for _, name := range slices.Sorted(maps.Keys(t.Chains)) {
			is := func(o host.Opening) bool {
				return o.Own == name && o.At.Backend == backendOf(t) && o.At.Family == t.Family && o.At.Table == t.Name
			}
			if t.Chains[name] != nil && strings.HasPrefix(name, host.OwnChains) && !slices.ContainsFunc(wanted, is) {
				out = append(out, leftover{t, name})
			}
		}
	}
	return out
}

// leftover is a chain of ours in a table.
type leftover struct {
	table *netfilter.Table
	own   string
}
