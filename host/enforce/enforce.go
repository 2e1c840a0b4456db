package enforce

import (
	"context"
	"errors"
	"time"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/program"
)

// Enforcer repairs what we own on this host, and undoes it.
type Enforcer struct {
	// State is the folder of the ledger and the lock.
	State string
	// Sysctls is where sysctls are written, /proc/sys if empty. A container
	// runtime makes that one read-only; then it is a mount of the host's. Either
	// must show the same network namespace, for values are read from /proc/sys.
	Sysctls string
	Means   host.Means
}

// Enforce brings the host to what is wanted, as far as we own it, and reports
// whether anything had to be done. Applied twice is applied once.
func (e Enforcer) Enforce(ctx context.Context, w host.Want) (bool, error) {
	return e.change(func() host.Repair {
		f := host.Facts{Datapath: host.AskWhereRulesLead(w), Sysctls: host.ReadSysctls(), Filter: host.ReadOwn(ctx)}
		return host.PlanRepair(f, w, e.Means)
	}, e.apply, ctx)
}

// EnforceFilter is Enforce without the sysctls and without looking at routes:
// the quick part, for when rules have changed.
func (e Enforcer) EnforceFilter(ctx context.Context, w host.Want) (bool, error) {
	return e.change(func() host.Repair {
		repair := host.PlanRepair(host.Facts{Filter: host.ReadOwn(ctx)}, w, e.Means)
		repair.Sysctls = nil
		return repair
	}, e.apply, ctx)
}

// Fix does what Enforce would for facts that are there already.
func (e Enforcer) Fix(ctx context.Context, f host.Facts, w host.Want) (bool, error) {
	return e.change(func() host.Repair {
		f.Sysctls = host.ReadSysctls() // now under the lock
		return host.PlanRepair(f, w, e.Means)
	}, e.apply, ctx)
}

func (e Enforcer) change(plan func() host.Repair, apply func(context.Context, host.Repair) error, ctx context.Context) (bool, error) {
	unlock, err := lock(e.State)
	if err != nil {
		return false, err
	}
	defer unlock()
	unfinished := e.finishRestoring()
	repair := plan()
	if repair.Empty() {
		return false, unfinished
	}
	return true, errors.Join(unfinished, apply(ctx, repair))
}

// apply does every part; what fails does not stop the others.
func (e Enforcer) apply(ctx context.Context, repair host.Repair) error {
	var errs []error
	if repair.Sets != "" {
		_, err := program.Feed(ctx, repair.Sets, "ipset", "restore", "-exist")
		errs = append(errs, err)
	}
	errs = append(errs, e.noteMade(ctx, repair.Restores))
	for _, r := range repair.Restores {
		_, err := program.Feed(ctx, r.Input, program.Name(r.Backend, r.Family, "-restore"), "--noflush", "-w", lockSeconds)
		errs = append(errs, err)
	}
	if repair.NftRemovals != "" {
		_, err := program.Feed(ctx, repair.NftRemovals, "nft", "-f", "-")
		errs = append(errs, err)
	}
	errs = append(errs, e.removeMade(ctx))
	if repair.Leftovers != "" {
		errs = append(errs, removeSets(ctx, repair.Leftovers))
	}
	errs = append(errs, e.setSysctls(repair.Sysctls))
	return errors.Join(errs...)
}

// lockSeconds is how long iptables waits for its lock.
const lockSeconds = "5"

// removeSets tries again for a while: the kernel gives a set free some time
// after the rules that named it (nf_tables frees rules in the background).
func removeSets(ctx context.Context, input string) error {
	var err error
	for range 20 {
		if _, err = program.Feed(ctx, input, "ipset", "restore", "-exist"); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
	return err
}

// Undo takes away everything of ours: jumps, chains, sets, and sysctls that
// still have our value. It says what it did, and reports what it could not. Where
// a Keeper enforces it does nothing but give ErrKept.
func (e Enforcer) Undo(ctx context.Context) (Undone, error) {
	release, err := requireNotEnforcing(e.State)
	if err != nil {
		return Undone{}, err
	}
	defer release()
	unlock, err := lock(e.State)
	if err != nil {
		return Undone{}, err
	}
	defer unlock()
	var errs []error
	filter := host.ReadOwn(ctx)
	for _, problem := range filter.Unread {
		errs = append(errs, errors.New(problem))
	}
	errs = append(errs, e.apply(ctx, host.PlanRepair(host.Facts{Filter: filter}, host.Want{}, host.Means{})))
	sysctls, err := e.restoreSysctls()
	now := host.ReadOwn(ctx)
	return undone(&filter, &now, sysctls), errors.Join(append(errs, err)...)
}
