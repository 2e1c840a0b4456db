// Package chaos plays misfortune to the lab: daemons and routers are killed, links cut,
// files broken, ports flooded, one step after the other as a seed draws them. After each
// step the router's table must become what a model of the cluster and `fairway plan`
// say, and what a step does not touch must not move meanwhile.
//
// A run is replayed by its seed: what is drawn depends on nothing else.
//
//	FAIRWAY_CHAOS_SEED=7 FAIRWAY_CHAOS_STEPS=300 go test ./e2e/chaos -v -timeout 2h
//
// The machine's clock is never touched, and the daemon's is the machine's: no step sets
// a clock.
package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/lab"
)

// What a run is if nobody says otherwise: about a minute with each router.
const (
	usualSeed  = 1
	usualSteps = 24
)

// leaksEvery is after how many steps the daemons are measured.
const leaksEvery = 25

func TestWhateverHappensTheRouterHasWhatThePlanSays(t *testing.T) {
	needs.Root(t, "ip", "nft", "iptables-nft", "pgrep", "bird", "/usr/lib/frr/bgpd", "/usr/lib/frr/zebra")
	binary := filepath.Join(t.TempDir(), "fairway")
	must.BuildFairway(t, binary)
	seed, steps := must.Setting(t, "FAIRWAY_CHAOS_SEED", usualSeed), must.Setting(t, "FAIRWAY_CHAOS_STEPS", usualSteps)
	for i, router := range []lab.Router{lab.FRR, lab.BIRD} {
		t.Run(string(router), func(t *testing.T) {
			t.Logf("FAIRWAY_CHAOS_SEED=%d FAIRWAY_CHAOS_STEPS=%d, with %s", seed, steps, router)
			r := begin(t, binary, router, rand.New(rand.NewPCG(uint64(seed), uint64(i))))
			r.play(steps / 2)
			t.Logf("seed %d: %d steps with %s, nothing lost", seed, len(r.played), router)
		})
	}
}

// run is one run with one router.
type run struct {
	testing.TB
	*lab.Lab
	*model
	rng    *rand.Rand
	router *tor
	// inForce is a folder with the files that are in force: the last good ones.
	inForce string
	// deck are the steps to come, in their order.
	deck []step
	// open are the faults that a later step mends.
	open []fault
	// flaps counts by node how often its way into the overlay went away since its
	// daemon was started.
	flaps map[string]int
	// played says what was done, for whoever replays it.
	played []string
	// first is what each daemon used when the run began.
	first map[string]usage
}

// fault is something broken on a node.
type fault struct {
	what, node string
	mend       func()
}

// begin starts a lab with the cluster that the model begins with.
func begin(t *testing.T, binary string, router lab.Router, rng *rand.Rand) *run {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Options{
		Prefix: fmt.Sprintf("fwc%d-", os.Getpid()), Binary: binary, Router: router, DaemonFlags: []string{"--drain-wait=1s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	r := &run{TB: t, Lab: l, model: newModel(), rng: rng, inForce: t.TempDir(), flaps: map[string]int{}, first: map[string]usage{}}
	if r.router, err = openTor(l.Prefix + "tor"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.router.close)
	t.Cleanup(func() {
		if t.Failed() {
			r.report()
		}
	})
	r.write("bgppeer-tor.yaml", peersText)
	r.write("nodes.yaml", r.nodesText())
	for name := range r.subnets {
		r.writeSubnet(name)
	}
	r.settle(r.wanted())
	r.router.guard(r.wanted())
	for _, n := range nodeNames() {
		r.first[n] = r.usage(n)
	}
	return r
}

// play does a number of steps, and mends everything at the end.
func (r *run) play(steps int) {
	r.Helper()
	for i := range steps {
		began := time.Now()
		r.played = append(r.played, "")
		r.drawStep().do(r)
		r.Logf("%3d  %s (%.1f s)", i+1, r.played[i], time.Since(began).Seconds())
		if (i+1)%leaksEvery == 0 || i == steps-1 {
			r.mendAll()
			r.noLeaks()
			r.nothingLost()
		}
	}
}

// say notes what the step is.
func (r *run) say(format string, args ...any) {
	r.played[len(r.played)-1] = fmt.Sprintf(format, args...)
}

// change is one change of the world: what the model says of it, and how it is made.
// What is wanted before and after must not move, but for the nodes that are touched.
func (r *run) change(model func(), do func(), touched ...string) {
	r.Helper()
	before := r.wanted()
	if model != nil {
		model()
	}
	after := r.wanted()
	r.router.guard(before.both(after).without(touched...))
	do()
	r.settle(after)
	r.router.guard(after)
}

// settle waits until the router's table is as wanted.
func (r *run) settle(want table) {
	r.Helper()
	r.agreeWithPlan()
	var have table
	ok := must.Eventually(func() (yes bool) {
		r.allRun()
		r.nothingLost()
		var err error
		if have, err = r.router.table(); err != nil {
			r.Fatal(err)
		}
		return have.equal(want)
	})
	if !ok {
		r.Fatalf("the router's table does not become what is wanted. It has\n%swanted is\n%s", have, want)
	}
}

func (r *run) nothingLost() {
	r.Helper()
	if lost := r.router.lost(); len(lost) > 0 {
		r.Fatalf("what was not touched went missing:\n%s", strings.Join(lost, "\n"))
	}
}

// agreeWithPlan compares the model with what `fairway plan` says of the files in force:
// where they differ, one of them is wrong.
func (r *run) agreeWithPlan() {
	r.Helper()
	want := map[string][]netip.Prefix{}
	for _, s := range r.subnets {
		for _, n := range r.planned(s) {
			want[n] = append(want[n], s.cidrs...)
		}
	}
	for _, p := range r.plans() {
		var have []netip.Prefix
		for _, a := range p.Adverts {
			have = append(have, a.Prefix)
		}
		slices.SortFunc(have, netip.Prefix.Compare)
		slices.SortFunc(want[p.Node], netip.Prefix.Compare)
		if !slices.Equal(have, want[p.Node]) {
			r.Fatalf("for %s the plan has %v, and the model %v", p.Node, have, want[p.Node])
		}
	}
}

// plan is what is read of a node's plan.
type plan struct {
	Node    string
	Adverts []struct{ Prefix netip.Prefix }
}

func (r *run) plans() []plan {
	r.Helper()
	cmd := r.Command(r.Context(), "", r.Binary, "plan", "-f", r.inForce, "-o", "json")
	out, err := cmd.Output()
	var plans []plan
	if parse := json.NewDecoder(bytes.NewReader(out)).Decode(&plans); parse != nil {
		r.Fatalf("fairway plan: %v, %v: %s", err, parse, out)
	}
	return plans
}

// allRun fails where a daemon has ended that nobody ended.
func (r *run) allRun() {
	r.Helper()
	for _, n := range nodeNames() {
		select {
		case <-r.Ended(n):
			if !r.cut[n] {
				r.Fatalf("the daemon of %s has ended by itself", n)
			}
		default:
		}
	}
}

// mendAll mends what is broken still.
func (r *run) mendAll() {
	r.Helper()
	for len(r.open) > 0 {
		r.mendOne(0)
	}
}

func (r *run) mendOne(i int) {
	r.Helper()
	f := r.open[i]
	r.open = slices.Delete(r.open, i, i+1)
	f.mend()
}

// report is all that is needed to look for the cause, besides the seed.
func (r *run) report() {
	have, err := r.router.table()
	r.Logf("the steps so far, the last of which failed:\n%s", strings.Join(r.played, "\n"))
	for _, f := range r.open {
		r.Logf("broken still: %s on %s", f.what, f.node)
	}
	r.Logf("the router has (%v)\n%swanted is\n%s", err, have, r.wanted())
	logs, _ := filepath.Glob(filepath.Join(r.State, "log", "*.log")) // a fixed pattern
	for _, file := range logs {
		text, err := os.ReadFile(file)
		r.Logf("the end of %s: %v\n%s", filepath.Base(file), err, text[max(0, len(text)-8000):])
	}
}
