package enforce

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/coreos/go-iptables/iptables"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/netfilter"
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

	// datapath and settings are what EnforceFilter takes for granted; tools are programs, and alike what
	// iptables has said to be as wanted.
	datapath host.Datapath
	settings map[string]host.Setting
	tools    map[string]*iptables.IPTables
	alike    map[string]bool
	// plans are the newest, by the rules of others that they are for.
	plans map[string]host.Repair
	// looks are the newest that found nothing to do: at all, and at the quick part.
	looks map[bool]*look
	// spared is whether the last pass found so without reading anything.
	spared bool
	// families are those that are looked at, true for IPv6, and read is their state before
	// they were read last.
	families []bool
	read     host.FilterState
	// doneBefore is how much was done by then. With insists what was found out is written, although
	// rules have changed since.
	doneBefore int
	insists    bool
	// done is what the last pass that had to do something has put or taken away.
	done []string
}

// Enforce brings the host to what is wanted, as far as we own it, and reports
// whether anything had to be done. Applied twice is applied once.
func (e *Enforcer) Enforce(ctx context.Context, w host.Want) (bool, error) {
	e.datapath, e.settings = host.AskWhereRulesLead(w), host.ReadSysctls()
	return e.change(ctx, w, true)
}

// EnforceFilter is Enforce without the sysctls, without looking at routes and at families
// that nothing is announced of: the quick part, for when rules have changed.
func (e *Enforcer) EnforceFilter(ctx context.Context, w host.Want) (bool, error) {
	return e.change(ctx, w, false)
}

// verifications is how often what was written is read again, and corrected where somebody
// has changed the rules around it meanwhile.
const verifications = 4

func (e *Enforcer) change(ctx context.Context, w host.Want, whole bool) (did bool, err error) {
	unlock, err := lock(e.State)
	if err != nil {
		return false, err
	}
	defer unlock()
	unfinished := e.finishRestoring()
	e.done = nil
	state := askState(w, whole)
	if e.spared = e.looks[whole].holds(state, e, w); e.spared {
		return false, unfinished
	}
	e.families, e.insists = families(w, whole), false
	if whole {
		e.plans = nil
	}
	for range verifications {
		e.doneBefore = len(e.done)
		e.read, _ = host.AskForwarding(e.families...) // none is told from any other
		f := host.Facts{Datapath: e.datapath, Sysctls: e.settings, Filter: host.ReadPrinted(ctx, e.families...)}
		repair := e.plan(ctx, &f, w, whole)
		wrote, err := e.apply(ctx, &f.Filter, repair)
		did = did || wrote
		if errors.Is(err, errOutdated) {
			e.insists = true // others may never rest
			continue
		}
		if len(repair.Sysctls) > 0 {
			e.settings = host.ReadSysctls()
		}
		if err != nil || !wrote {
			err = errors.Join(unfinished, err, unsaid(repair))
			e.noteLook(whole, state, w, &f.Filter, did || err != nil)
			return did, err
		}
	}
	return did, errors.Join(unfinished, errors.New("the rules around Fairway's change faster than it can follow"))
}

// families are those to look at: all, or those of what is announced.
func families(w host.Want, whole bool) []bool {
	var out []bool
	for _, six := range []bool{false, true} {
		if whole || slices.ContainsFunc(w.Networks, func(n host.Network) bool { return n.Prefix.Addr().Is6() == six }) {
			out = append(out, six)
		}
	}
	return out
}

// plan is what is to be there. A firewall that is loaded anew has the rules that it had:
// then so have we, and nothing more has to be read while traffic waits.
func (e *Enforcer) plan(ctx context.Context, f *host.Facts, w host.Want, whole bool) host.Repair {
	key := f.Filter.OthersKey() + fmt.Sprint(w)
	if known, ok := e.plans[key]; ok && !whole {
		if len(known.Sets) > 0 {
			f.Filter.ReadSets(ctx)
		}
		return known
	}
	f.Filter.Complete(ctx, e.datapath)
	repair := host.PlanRepair(*f, w, e.Means)
	if !whole {
		repair.Sysctls = nil
	}
	if len(e.plans) >= 16 || e.plans == nil { // the steps of a reload
		e.plans = map[string]host.Repair{}
	}
	kept := repair
	kept.Sysctls = nil
	e.plans[key] = kept
	return repair
}

// unsaid is the error that rules cannot name all networks.
func unsaid(r host.Repair) error {
	if r.Unsaid == 0 {
		return nil
	}
	return fmt.Errorf("%d CIDRs have no accept: without the program ipset rules name no more; install ipset", r.Unsaid)
}

// apply does every part; what fails does not stop the others. Sets are filled before a
// rule names them, and go after the last one that does.
func (e *Enforcer) apply(ctx context.Context, f *host.Filter, repair host.Repair) (did bool, err error) {
	before := len(e.done)
	var errs []error
	added, removed := setChanges(rulesOf(f, false).Sets, repair.Sets)
	if added != "" {
		e.did("ipset")
	}
	errs = append(errs, feedSets(ctx, added))
	for _, o := range repair.Openings {
		errs = append(errs, e.ensure(ctx, find(f, o.At), o))
	}
	for _, l := range e.leftovers(f, repair.Openings) {
		e.did(chainName(l.table, l.own))
		errs = append(errs, e.remove(l.table, l.own, backendOf(l.table)))
	}
	errs = append(errs, e.removeMade(ctx))
	if removed != "" {
		e.did("ipset")
		errs = append(errs, removeSets(ctx, removed))
	}
	for _, c := range repair.Sysctls {
		e.did(host.SysctlName(c.Key) + "=" + c.Value)
	}
	errs = append(errs, e.setSysctls(repair.Sysctls))
	return len(e.done) > before, errors.Join(errs...)
}

// errOutdated says that what was read is not there any more, before anything was written:
// what to write must be found out anew.
var errOutdated = errors.New("the rules have changed since they were read")

// outdated reports whether rules have changed since they were read, where nothing was
// written since and they were not read once more for that already.
func (e *Enforcer) outdated() bool {
	if e.insists || len(e.done) > e.doneBefore {
		return false
	}
	now, err := host.AskForwarding(e.families...)
	return err == nil && now != e.read
}

// did notes what is being done.
func (e *Enforcer) did(what string) { e.done = append(e.done, what) }

// ensure makes an opening that is not there as it must be.
func (e *Enforcer) ensure(ctx context.Context, t *netfilter.Table, o host.Opening) error {
	good, err := e.inPlace(t, o)
	if good || err != nil {
		return err
	}
	if e.outdated() {
		return errOutdated
	}
	e.did(fmt.Sprintf("%s %s %s", program.Name(o.At.Backend, o.At.Family, ""), o.At.Table, o.Own))
	if t == nil || t.Chains[o.At.Chain].Empty() { // a base chain that is printed may not be there
		err = e.noteMade(ctx, o)
	}
	return errors.Join(err, e.put(t, o))
}

// Undo takes away everything of ours: jumps, chains, sets, and sysctls that
// still have our value. It says what it did, and reports what it could not. Where
// a Keeper enforces it does nothing but give ErrKept.
func (e *Enforcer) Undo(ctx context.Context) (Undone, error) {
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
	filter := host.ReadPrinted(ctx, false, true)
	filter.ReadSets(ctx)
	for _, problem := range filter.Unread {
		errs = append(errs, errors.New(problem))
	}
	_, err = e.apply(ctx, &filter, host.Repair{})
	errs = append(errs, err)
	sysctls, err := e.restoreSysctls()
	now := host.ReadPrinted(ctx, false, true)
	now.ReadSets(ctx)
	return undone(&filter, &now, sysctls), errors.Join(append(errs, err)...)
}
