package enforce

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/netfilter"
	"github.com/fairway-bgp/fairway/host/program"
)

// noteMade remembers the base chain that iptables-nft will make for an opening, and its
// table: iptables makes what it needs and never takes it away. A table of
// iptables-legacy that was made stays, for the kernel keeps it while its module
// is loaded.
func (e *Enforcer) noteMade(ctx context.Context, o host.Opening) error {
	if o.At.Backend != netfilter.IptablesNft {
		return nil
	}
	t, err := host.ListTable(ctx, o.At.Family, o.At.Table)
	if errors.Is(err, exec.ErrNotFound) || err == nil && t != nil && t.Chains[o.At.Chain] != nil {
		return nil // there is none who could delete it, or nothing to delete
	}
	if err != nil {
		return err
	}
	l, err := readLedger(e.State)
	made := madeChain{o.At.Family, o.At.Table, o.At.Chain, o.Own, t == nil}
	if err != nil || l.lists(made) {
		return err
	}
	l.Made = append(l.Made, made)
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
func (e *Enforcer) removeMade(ctx context.Context) error {
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
	t, err := host.ListTable(ctx, c.Family, c.Table)
	if err != nil || t == nil {
		return err == nil, err
	}
	if t.Chains[c.Own] != nil {
		return false, nil // still of use
	}
	if input := c.removal(t); input != "" {
		_, err = program.Feed(ctx, input, "nft", "-f", "-")
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
