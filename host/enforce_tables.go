package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// noteMade remembers the base chains that iptables-nft-restore will make, and
// their tables: iptables makes what it needs and never takes it away. A table of
// iptables-legacy that was made stays, for the kernel keeps it while its module
// is loaded.
func (e Enforcer) noteMade(ctx context.Context, restores []Restore) error {
	l, err := readLedger(e.State)
	if err != nil {
		return err
	}
	known := len(l.Made)
	for _, r := range restores {
		for _, p := range r.Into {
			if r.Backend != netfilter.IptablesNft {
				continue
			}
			t, err := listTable(ctx, r.Family, p.table)
			made := madeChain{r.Family, p.table, p.chain, p.own, t == nil}
			switch {
			case errors.Is(err, exec.ErrNotFound): // and none who could delete it
			case err != nil:
				return err
			case (t == nil || t.Chains[p.chain] == nil) && !l.lists(made):
				l.Made = append(l.Made, made)
			}
		}
	}
	if len(l.Made) == known {
		return nil
	}
	return l.write(e.State)
}

// lists is whether a chain of that name is known already.
func (l ledger) lists(c madeChain) bool {
	return slices.ContainsFunc(l.Made, func(o madeChain) bool {
		return o.Family == c.Family && o.Table == c.Table && o.Chain == c.Chain
	})
}

// removeMade takes away what was made for chains of ours that are gone, unless
// somebody uses it by now.
func (e Enforcer) removeMade(ctx context.Context) error {
	l, err := readLedger(e.State)
	if err != nil || len(l.Made) == 0 {
		return err
	}
	var errs []error
	var stay []madeChain
	for _, c := range l.Made {
		gone, err := c.remove(ctx)
		if !gone {
			stay = append(stay, c)
		}
		errs = append(errs, err)
	}
	if len(stay) < len(l.Made) {
		l.Made = stay
		errs = append(errs, l.write(e.State))
	}
	return errors.Join(errs...)
}

// remove reports whether nothing is left to remove.
func (c madeChain) remove(ctx context.Context) (bool, error) {
	t, err := listTable(ctx, c.Family, c.Table)
	if err != nil || t == nil {
		return err == nil, err
	}
	if t.Chains[c.Own] != nil {
		return false, nil // still of use
	}
	if input := c.removal(t); input != "" {
		_, err = feed(ctx, input, "nft", "-f", "-")
	}
	return err == nil, err
}

// removal is an input for nft; "" where others have rules, or another policy, in
// the chain.
func (c madeChain) removal(t *netfilter.Table) string {
	chain := t.Chains[c.Chain]
	switch {
	case !chain.Empty():
		return ""
	case c.Alone && (len(t.Chains) == 0 || len(t.Chains) == 1 && chain != nil):
		return fmt.Sprintf("delete table %s %s\n", c.Family, c.Table)
	case chain != nil:
		return fmt.Sprintf("delete chain %s %s %s\n", c.Family, c.Table, c.Chain)
	}
	return ""
}

// listTable reads one table with nft; nil where there is none.
func listTable(ctx context.Context, f netfilter.Family, name string) (*netfilter.Table, error) {
	listing, err := output(ctx, "nft", "-j", "list", "table", string(f), name)
	if err != nil {
		if strings.Contains(err.Error(), "No such file or directory") {
			return nil, nil
		}
		return nil, err
	}
	tables, err := netfilter.ParseNft([]byte(listing))
	if err != nil || len(tables) == 0 {
		return nil, err
	}
	return tables[0], nil
}

// readMixed reads the tables that iptables-nft-save names as incompatible and leaves
// out.
func (r *filterReader) readMixed(f netfilter.Family, saved string) {
	for line := range strings.Lines(saved) {
		name, ok := strings.CutPrefix(line, "# Table `")
		name, _, incompatible := strings.Cut(name, "' is incompatible")
		if !ok || !incompatible {
			continue
		}
		t, err := listTable(r.ctx, f, name)
		if err != nil {
			r.unread(err)
		}
		if t != nil {
			r.Mixed = append(r.Mixed, t)
		}
	}
}

// mixedOf are the mixed tables of a family.
func (f *Filter) mixedOf(six bool) []*netfilter.Table {
	return slices.DeleteFunc(slices.Clone(f.Mixed), func(t *netfilter.Table) bool { return t.Family != familyOf(six) })
}

// mixed is the mixed table of that name, or nil.
func (f *Filter) mixed(six bool, name string) *netfilter.Table {
	for _, t := range f.mixedOf(six) {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// nftRemovals gives the input for nft that takes our chains out of mixed tables,
// and whether any is left in them: what is there works on, and cannot be mended.
func (f *Filter) nftRemovals(six bool, networks []netip.Prefix) (input string, holds bool) {
	for _, t := range f.mixedOf(six) {
		for _, p := range append(positions(), untracking()) {
			switch {
			case t.Name != p.table:
			case len(networks) == 0:
				input += p.nftRemoval(t)
			case t.Chains[p.own] != nil:
				holds = true
			}
		}
	}
	return input, holds
}

// nftRemoval gives the input for nft that takes our chain out of a table, and all
// jumps to it, by handle: iptables' own text of a rule means nothing to nft.
func (p position) nftRemoval(t *netfilter.Table) string {
	if t.Chains[p.own] == nil {
		return ""
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.Chains)) {
		for _, r := range t.Chains[name].Rules {
			if r.Jumps(p.own) {
				fmt.Fprintf(&out, "delete rule %s %s %s handle %d\n", t.Family, t.Name, name, r.Handle)
			}
		}
	}
	fmt.Fprintf(&out, "flush chain %[1]s %[2]s %[3]s\ndelete chain %[1]s %[2]s %[3]s\n", t.Family, t.Name, p.own)
	return out.String()
}
