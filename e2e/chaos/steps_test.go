package chaos

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fairway-bgp/fairway/lab"
)

// step is one kind of misfortune.
type step struct {
	// can says whether it makes sense now; nil: always.
	can func(*run) bool
	do  func(*run)
}

// mostOpen is how many faults may last into later steps at a time.
const mostOpen = 2

// misfortunes are all that can happen, in the shares in which it does.
func misfortunes() []step {
	freeNode := func(r *run) bool { return len(r.free()) > 0 }
	heardNode := func(r *run) bool { return len(r.heard()) > 0 }
	calmNode := func(r *run) bool { return len(r.calm()) > 0 }
	someAnnounced := func(r *run) bool { return len(r.names(r.announced)) > 0 }
	someOpen := func(r *run) bool { return len(r.open) > 0 }
	return []step{
		{freeNode, (*run).killed}, {freeNode, (*run).terminated},
		{freeNode, (*run).stoppedForAMoment}, {heardNode, (*run).stoppedForLong},
		{nil, (*run).routerRestarted},
		{heardNode, (*run).cableCut}, {calmNode, (*run).uplinkDown},
		{calmNode, (*run).overlayLinkDown}, {calmNode, (*run).overlayRouteRemoved},
		{freeNode, (*run).addressAdded}, {calmNode, (*run).addressReplaced},
		{freeNode, (*run).firewallFlushed}, {freeNode, (*run).forwardDropped}, {calmNode, (*run).inputDropped},
		{nil, (*run).subnetAddedOrRemoved}, {nil, (*run).annotationChanged},
		{nil, (*run).gatewaysChanged}, {nil, (*run).gatewaysChanged}, {nil, (*run).natChanged},
		{nil, (*run).nodeOutOrBack}, {nil, (*run).nodeOutOrBack},
		{someAnnounced, (*run).fileBroken}, {someAnnounced, (*run).fileBroken}, {someAnnounced, (*run).fileBroken},
		{nil, (*run).nodesFileBroken}, {nil, (*run).folderMoved},
		{freeNode, (*run).flooded}, {freeNode, (*run).flooded}, {freeNode, (*run).fewDescriptors}, {freeNode, (*run).runFolderFull},
		{someOpen, (*run).oneMended}, {someOpen, (*run).oneMended},
	}
}

// drawStep takes the first card of the deck that can happen now. The others wait, so
// that a short run has seen as much as it can.
func (r *run) drawStep() step {
	for {
		i := slices.IndexFunc(r.deck, func(s step) bool { return s.can == nil || s.can(r) })
		if i >= 0 {
			s := r.deck[i]
			r.deck = slices.Delete(r.deck, i, i+1)
			return s
		}
		more := misfortunes()
		r.rng.Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
		r.deck = append(r.deck, more...)
	}
}

func draw[T any](r *run, from []T) T { return from[r.rng.IntN(len(from))] }

// free are the nodes on which nothing is broken.
func (r *run) free() []string {
	return slices.DeleteFunc(nodeNames(), func(n string) bool {
		return slices.ContainsFunc(r.open, func(f fault) bool { return f.node == n })
	})
}

// heard are those of them that announce something, so that their silence is seen.
func (r *run) heard() []string {
	return slices.DeleteFunc(r.free(), func(n string) bool { return n == r.notReady || n == r.drained })
}

// shines has the beacon announced, so that whoever is cut off is missed.
func (r *run) shines() {
	r.Helper()
	if !r.subnets[beacon].advertise {
		r.allRead()
	}
}

// calm are those of them that may lose their way into the overlay: after each time a
// daemon waits for longer until it trusts it again, up to minutes.
func (r *run) calm() []string {
	const most = 3
	return slices.DeleteFunc(r.heard(), func(n string) bool { return r.flaps[n] >= most })
}

// drawCalm picks one of them, and counts.
func (r *run) drawCalm() string {
	n := draw(r, r.calm())
	r.flaps[n]++
	return n
}

// breaks does something broken on a node and mends it, now or in a later step.
func (r *run) breaks(f fault) {
	r.Helper()
	lasts := r.rng.IntN(2) == 0
	if lasts && len(r.open) < mostOpen {
		r.open = append(r.open, f)
		r.say("%s: %s, and it lasts", f.node, f.what)
		return
	}
	f.mend()
}

func (r *run) oneMended() {
	i := r.rng.IntN(len(r.open))
	r.say("%s: mended is %s", r.open[i].node, r.open[i].what)
	r.mendOne(i)
}

// ended ends a daemon by a signal and waits until the router knows.
func (r *run) ended(n string, by syscall.Signal) {
	r.Helper()
	r.shines()
	r.change(func() { r.cut[n] = true }, func() { r.end(n, by) })
}

func (r *run) end(n string, by syscall.Signal) {
	r.Helper()
	over := r.Ended(n)
	r.signal(n, by)
	select {
	case <-over:
	case <-time.After(endBound):
		r.Fatalf("the daemon of %s has not ended %s after %v", n, endBound, by)
	}
}

// endBound is how long a daemon may take to end.
const endBound = 20 * time.Second

func (r *run) signal(name string, s os.Signal) {
	r.Helper()
	if err := r.Signal(name, s); err != nil {
		r.Fatal(err)
	}
}

func (r *run) started(n string) {
	r.Helper()
	r.change(func() { delete(r.cut, n) }, func() { r.start(n) })
}

func (r *run) start(n string) {
	r.Helper()
	r.flaps[n] = 0 // it begins without a memory
	if err := r.StartDaemon(n); err != nil {
		r.Fatal(err)
	}
}

func (r *run) killed() {
	n := draw(r, r.free())
	r.say("%s: the daemon is killed and started", n)
	r.ended(n, syscall.SIGKILL)
	r.started(n)
}

func (r *run) terminated() {
	n := draw(r, r.free())
	r.say("%s: the daemon is ended and started", n)
	r.ended(n, syscall.SIGTERM)
	r.started(n)
}

// moment is how long a fault lasts that nobody is to notice.
const moment = 2 * time.Second

func (r *run) stoppedForAMoment() {
	n := draw(r, r.free())
	r.say("%s: the daemon is stopped for a moment", n)
	r.change(nil, func() {
		r.signal(n, syscall.SIGSTOP)
		time.Sleep(moment)
		r.signal(n, syscall.SIGCONT)
	})
	r.allRead()
}

func (r *run) stoppedForLong() {
	n := draw(r, r.heard())
	r.say("%s: the daemon is stopped until the router gives it up", n)
	r.shines()
	r.change(func() { r.cut[n] = true }, func() { r.signal(n, syscall.SIGSTOP) })
	r.change(func() { delete(r.cut, n) }, func() { r.signal(n, syscall.SIGCONT) })
}

func (r *run) routerRestarted() {
	by := draw(r, []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM})
	name := map[lab.Router]string{lab.FRR: "bgpd", lab.BIRD: "bird"}[r.Router]
	r.say("the router is restarted by %v", by)
	r.shines()
	r.router.guard(nil)
	err := r.Restart(r.Context(), name, by, func() error {
		r.routerDown = true
		if by == syscall.SIGKILL {
			if err := r.router.forget(); err != nil {
				return err
			}
		}
		r.settle(r.wanted())
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	r.change(func() { r.routerDown = false }, func() {})
}

// allRead has every daemon that the router hears show that it has read the files.
func (r *run) allRead() {
	r.Helper()
	r.edit(beacon, func(s *subnet) { s.advertise = !s.advertise })
}

// edit changes a Subnet in its file.
func (r *run) edit(name string, how func(*subnet)) {
	r.Helper()
	r.change(func() { r.set(name, how) }, func() { r.writeSubnet(name) })
}

func (r *run) set(name string, how func(*subnet)) {
	s := r.subnets[name]
	how(&s)
	r.subnets[name] = s
}

func (r *run) announced(s subnet) bool { return len(r.planned(s)) > 0 }

func anySubnet(subnet) bool { return true }

// fewSubnets is how many there are before one is removed.
const fewSubnets = 4

func (r *run) subnetAddedOrRemoved() {
	name := nameOf(1 + r.rng.IntN(mostSubnets))
	if _, there := r.subnets[name]; there {
		if len(r.names(r.announced)) < fewSubnets {
			r.say("Subnet %s is announced", name)
			r.edit(name, func(s *subnet) { s.advertise, s.nat = true, false })
			return
		}
		r.say("Subnet %s is removed", name)
		r.change(func() { delete(r.subnets, name) }, func() { r.remove(fileOf(name)) })
		return
	}
	s := subnet{cidrs: cidrsOf(int(name[1] - '0')), advertise: true, gateways: r.drawGateways(), ecmp: r.rng.IntN(2) == 0}
	r.say("Subnet %s is added: %v", name, s)
	r.change(func() { r.subnets[name] = s }, func() { r.writeSubnet(name) })
}

// drawGateways gives none or two gateways. A drained node is not made one: who
// announces goes on where the active gateway cannot carry, which is a matter of
// what was before.
func (r *run) drawGateways() []string {
	if r.rng.IntN(3) == 0 {
		return nil
	}
	two := slices.DeleteFunc(nodeNames(), func(n string) bool { return n == r.drained })
	r.rng.Shuffle(len(two), func(i, j int) { two[i], two[j] = two[j], two[i] })
	return two[:2]
}

// mostly is true four times of five: most Subnets are to be announced.
func (r *run) mostly() bool { return r.rng.IntN(5) > 0 }

func (r *run) annotationChanged() {
	name, advertise := draw(r, r.names(anySubnet)), r.mostly()
	r.say("Subnet %s: fairway.dev/advertise is %t", name, advertise)
	r.edit(name, func(s *subnet) { s.advertise = advertise })
}

func (r *run) natChanged() {
	name, nat := draw(r, r.names(anySubnet)), !r.mostly()
	r.say("Subnet %s: natOutgoing is %t", name, nat)
	r.edit(name, func(s *subnet) { s.nat = nat })
}

func (r *run) gatewaysChanged() {
	name, gateways, ecmp := draw(r, r.names(anySubnet)), r.drawGateways(), r.rng.IntN(2) == 0
	r.say("Subnet %s: gateways %v with ECMP %t", name, gateways, ecmp)
	r.edit(name, func(s *subnet) { s.gateways, s.ecmp = gateways, ecmp })
}

// nodeOutOrBack takes a node out by a drain or because it is not Ready, and the next
// time back. Two are whole at all times: the last one goes on announcing or not as it
// did before.
func (r *run) nodeOutOrBack() {
	n, drain := draw(r, nodeNames()), r.rng.IntN(2) == 0
	r.change(func() {
		switch {
		case r.notReady+r.drained != "":
			r.say("Nodes: %s is Ready and not drained", r.notReady+r.drained)
			r.notReady, r.drained = "", ""
		case drain:
			r.say("Nodes: %s is drained", n)
			r.drained = n
		default:
			r.say("Nodes: %s is not Ready", n)
			r.notReady = n
		}
	}, func() { r.write("nodes.yaml", r.nodesText()) })
}

func fileOf(subnet string) string { return "subnet-" + subnet + ".yaml" }

func (r *run) writeSubnet(name string) {
	r.Helper()
	r.write(fileOf(name), r.subnets[name].text(name))
}

// write puts a file in force.
func (r *run) write(name, text string) {
	r.Helper()
	if err := os.WriteFile(filepath.Join(r.inForce, name), []byte(text), 0o644); err != nil {
		r.Fatal(err)
	}
	if err := r.WriteYAML(name, text); err != nil {
		r.Fatal(err)
	}
}

func (r *run) remove(name string) {
	r.Helper()
	for _, folder := range []string{r.inForce, r.ClusterDir()} {
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			r.Fatal(err)
		}
	}
}
