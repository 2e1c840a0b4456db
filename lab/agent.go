package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/sirupsen/logrus"
)

// settle is how long the agent lets an editor finish after a change.
const settle = 50 * time.Millisecond

// agent plays kube-ovn-controller and kube-ovn-cni: it follows the folder and
// keeps Pods, node routes and return paths as the objects say.
type agent struct {
	options Options
	wiring  *wiring
	log     *logrus.Entry
	// pods are the running ones with the switch that they are plugged into. The
	// agent starts in a lab without Pods.
	pods map[string]runningPod
	last cluster
}

type runningPod struct {
	pod
	sw     logicalSwitch
	server *process
}

// runAgent works until ctx ends or the lab's state folder disappears: a lab that
// was torn down must not leave an agent behind.
func runAgent(ctx context.Context, opts Options, log *logrus.Entry) error {
	w, err := openWiring(opts.Prefix)
	if err != nil {
		return err
	}
	defer w.close()
	a := &agent{options: opts, wiring: w, log: log, pods: map[string]runningPod{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := a.servePages(ctx); err != nil {
		return err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer func() { _ = watcher.Close() }() // read only
	for _, dir := range []string{filepath.Dir(opts.State), opts.State, opts.ClusterDir()} {
		if err := watcher.Add(dir); err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	if _, err := os.Stat(opts.State); err != nil {
		return nil // it went before the watch began
	}
	return a.follow(ctx, watcher)
}

func (a *agent) follow(ctx context.Context, watcher *fsnotify.Watcher) error {
	pass := time.After(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-watcher.Errors:
			a.log.WithError(err).Warn("watch")
			pass = time.After(settle)
		case event := <-watcher.Events:
			if event.Name == a.options.State && event.Has(fsnotify.Remove) {
				return nil
			}
			if event.Name == a.options.ClusterDir() && event.Has(fsnotify.Create) {
				// A folder that was moved away takes its watch with it.
				if err := watcher.Add(event.Name); err != nil {
					a.log.WithError(err).Warn("watch")
				}
			}
			if filepath.Dir(event.Name) == a.options.ClusterDir() || event.Name == a.options.ClusterDir() {
				pass = time.After(settle)
			}
		case <-pass:
			pass = nil
			a.pass()
		}
	}
}

// pass reads, decides and applies once. A file that makes no sense takes nothing
// away: what it said before still holds.
func (a *agent) pass() {
	c, problems, err := readCluster(a.options.ClusterDir())
	if err != nil {
		a.log.WithError(err).Warn("nothing is changed")
		return
	}
	for file, problem := range problems {
		a.log.WithError(problem).WithField("file", file).Warn("what this file said before still holds")
	}
	c = c.with(a.last, func(file string) bool { return problems[file] != nil })
	a.last = c
	o := overlayOf(c)
	if err := a.wiring.applyNetwork(o); err != nil {
		a.log.WithError(err).Error("apply the overlay")
	}
	a.applyPods(o)
	a.log.WithFields(logrus.Fields{"cidrs": len(o.cidrs), "pods": len(a.pods), "returns": len(o.returns)}).Info("overlay applied")
}

// applyPods starts, replaces and stops Pods.
func (a *agent) applyPods(o overlay) {
	wanted := map[string]runningPod{}
	for _, p := range o.pods {
		for _, sw := range o.switches {
			if sw.name == p.subnet {
				wanted[p.name] = runningPod{pod: p, sw: sw}
			}
		}
	}
	for name, have := range a.pods {
		if want, ok := wanted[name]; !ok || !want.same(have) {
			a.stopPod(have)
		}
	}
	for name, want := range wanted {
		if _, ok := a.pods[name]; ok {
			continue
		}
		if err := a.startPod(want); err != nil {
			a.log.WithError(err).WithField("pod", name).Error("start the Pod")
			a.stopPod(want)
		}
	}
}

func (p runningPod) same(q runningPod) bool {
	if !p.equal(q.pod) || p.sw.name != q.sw.name || len(p.sw.gateways) != len(q.sw.gateways) {
		return false
	}
	for i := range p.sw.gateways {
		if p.sw.gateways[i] != q.sw.gateways[i] {
			return false
		}
	}
	return true
}

func (a *agent) startPod(p runningPod) error {
	if err := a.wiring.addPodSpace(p.pod, p.sw); err != nil {
		return err
	}
	server, err := a.options.start(p.spaceName(), p.spaceName(), a.options.Binary, "lab", "play", "pod", p.name, p.node)
	if err != nil {
		return err
	}
	p.server = server
	a.pods[p.name] = p
	return nil
}

func (a *agent) stopPod(p runningPod) {
	delete(a.pods, p.name)
	if p.server != nil {
		p.server.stop()
	}
	// The kernel tears a namespace down in its own time; the cable goes now, so
	// that its name is free for a successor.
	if err := errors.Join(a.wiring.spaces[overlaySpace].unplug(p.portName()), removeSpace(a.options.Prefix+p.spaceName())); err != nil {
		a.log.WithError(err).Error("stop the Pod")
	}
}

// with is c and those objects of last that stood in the chosen files.
func (c cluster) with(last cluster, chosen func(file string) bool) cluster {
	for _, s := range last.subnets {
		if chosen(s.file) {
			c.subnets = append(c.subnets, s)
		}
	}
	for _, p := range last.pods {
		if chosen(p.file) {
			c.pods = append(c.pods, p)
		}
	}
	for _, n := range last.nodes {
		if chosen(n.file) {
			c.nodes = append(c.nodes, n)
		}
	}
	c.sort()
	return c
}
