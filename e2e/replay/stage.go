package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
)

// Stage is where a recording is played in its own time: a router's network namespace
// and one for each node, joined by a bridge.
type Stage struct {
	// binary is the program, prefix begins the names of the namespaces.
	binary, prefix string
	nodes          []string
	folder         string
}

// Kill ends a node's daemon at a time of the recording, and starts it again.
type Kill struct {
	Node   string
	At     time.Duration
	Signal syscall.Signal
}

// frrFolder has FRR's daemons on Debian.
const frrFolder = "/usr/lib/frr/"

// patience is how long things may take to come up.
const patience = time.Minute

// NewStage makes the namespaces for the nodes of the recordings, node1 and node2,
// with the addresses that they have there. It needs root.
func NewStage(binary string) (s *Stage, err error) {
	s = &Stage{binary: binary, prefix: fmt.Sprintf("fwrp%d", os.Getpid()), nodes: []string{"node1", "node2"}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.folder, err = os.MkdirTemp("", "replay"); err != nil {
		return s, err
	}
	// FRR's daemons are not root.
	if err = os.Chmod(s.folder, 0o755); err != nil {
		return s, err
	}
	router := s.space("r")
	commands := [][]string{
		{"netns", "add", router}, {"-n", router, "link", "set", "lo", "up"},
		{"-n", router, "link", "add", "br0", "type", "bridge"}, {"-n", router, "link", "set", "br0", "up"},
		{"-n", router, "addr", "add", routerAddress + "/24", "dev", "br0"},
	}
	for i, n := range s.nodes {
		name := s.space(n)
		commands = append(commands, []string{"netns", "add", name}, []string{"-n", name, "link", "set", "lo", "up"},
			[]string{"-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", n, "netns", router},
			[]string{"-n", router, "link", "set", n, "master", "br0", "up"}, []string{"-n", name, "link", "set", "eth0", "up"},
			[]string{"-n", name, "addr", "add", nodeAddress(i) + "/24", "dev", "eth0"})
	}
	for _, c := range commands {
		if out, err := exec.Command("ip", c...).CombinedOutput(); err != nil {
			return s, fmt.Errorf("ip %s: %w: %s", strings.Join(c, " "), err, out)
		}
	}
	return s, nil
}

// nodeAddress is the InternalIP of the recorded Nodes.
func nodeAddress(i int) string { return fmt.Sprintf("192.168.50.%d", 11+i) }

func (s *Stage) space(name string) string { return s.prefix + name }

// Close removes the namespaces.
func (s *Stage) Close() error {
	for _, n := range append([]string{"r"}, s.nodes...) {
		_ = exec.Command("ip", "netns", "del", s.space(n)).Run() // may not have been made
	}
	return os.RemoveAll(s.folder)
}

// show is one recording being played.
type show struct {
	*Stage
	folder  string
	api     *apiServer
	watched *observer
	daemons map[string]*process
	zero    time.Time
}

// Play plays a recording to new daemons with a new router.
func (s *Stage) Play(ctx context.Context, t Trace, kills ...Kill) (r Result, err error) {
	p := &show{Stage: s, api: newAPIServer(), daemons: map[string]*process{}}
	if p.folder, err = os.MkdirTemp(s.folder, t.Name); err != nil {
		return r, err
	}
	before, after := t.Before()
	if err := p.tell(before); err != nil {
		return r, err
	}
	if err := p.api.tell("ADDED", "BGPPeer", []byte(peer)); err != nil {
		return r, err
	}
	stop, err := p.open()
	defer stop()
	if err != nil {
		return r, err
	}
	first := time.Duration(0)
	if len(after) > 0 {
		first = after[0].At
	}
	p.zero = time.Now().Add(100*time.Millisecond - min(first, 0))
	if err := p.run(ctx, after, kills); err != nil {
		return r, err
	}
	return p.watched.result(t.Name, p.zero, first), nil
}

func (p *show) tell(events []Event) error {
	for _, e := range events {
		if err := p.api.tell(e.Type, e.Kind, e.Object); err != nil {
			return fmt.Errorf("%s %s at %s: %w", e.Kind, e.Name, e.At, err)
		}
	}
	return nil
}

// open brings up the API server, the router and the daemons, and waits until they
// are at rest. stop ends them in any case.
func (p *show) open() (stop func(), err error) {
	var ends []func()
	stop = func() {
		for _, end := range slices.Backward(ends) {
			end()
		}
		for _, d := range p.daemons {
			d.stop(syscall.SIGTERM)
		}
	}
	listener, err := listen(p.space("r"), routerAddress+":8080")
	if err != nil {
		return stop, err
	}
	server := &http.Server{Handler: p.api}
	go func() { _ = server.Serve(listener) }() // ends with Close
	ends = append(ends, func() { server.Close() })
	if p.watched, err = observe(p.space("r")); err != nil {
		return stop, err
	}
	ends = append(ends, p.watched.stop)
	end, err := p.startFRR()
	ends = append(ends, end)
	if err != nil {
		return stop, err
	}
	for i := range p.nodes {
		if err := p.startDaemon(i); err != nil {
			return stop, err
		}
	}
	return stop, p.rest()
}

// listen opens a listener in a namespace. It stays there.
func listen(space, address string) (l net.Listener, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		var ns netns.NsHandle
		if ns, err = netns.GetFromName(space); err != nil {
			return
		}
		defer ns.Close()
		if err = netns.Set(ns); err == nil {
			l, err = net.Listen("tcp", address)
		}
	}()
	<-done
	return l, err
}

// startFRR starts a router that takes both nodes' routes side by side.
func (p *show) startFRR() (stop func(), err error) {
	var running []*process
	stop = func() {
		for _, r := range running {
			r.stop(syscall.SIGKILL)
		}
	}
	config := "router bgp 65000\n bgp router-id " + routerAddress + "\n no bgp ebgp-requires-policy\n bgp bestpath as-path multipath-relax\n"
	for i := range p.nodes {
		config += fmt.Sprintf(" neighbor %[1]s remote-as 65001\n neighbor %[1]s passive\n", nodeAddress(i))
	}
	config += " address-family ipv4 unicast\n  maximum-paths 8\n exit-address-family\n"
	if err := os.Chmod(p.folder, 0o777); err != nil {
		return stop, err
	}
	for _, d := range []struct{ name, config, socket string }{{"zebra", "", "zserv"}, {"bgpd", config, "bgpd.vty"}} {
		file := filepath.Join(p.folder, d.name+".conf")
		if err := os.WriteFile(file, []byte(d.config), 0o644); err != nil {
			return stop, err
		}
		r, err := p.spawn(d.name, p.space("r"), frrFolder+d.name, "-P", "0", "-i", filepath.Join(p.folder, d.name+".pid"),
			"-z", filepath.Join(p.folder, "zserv"), "--vty_socket", p.folder, "-f", file, "--log", "stdout")
		if err != nil {
			return stop, err
		}
		running = append(running, r)
		if err := until(d.name+" answers", func() bool {
			c, err := net.Dial("unix", filepath.Join(p.folder, d.socket))
			if err == nil {
				c.Close()
			}
			return err == nil
		}); err != nil {
			return stop, err
		}
	}
	return stop, nil
}

// until waits for a condition.
func until(what string, so func() bool) error {
	for began := time.Now(); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > patience {
			return fmt.Errorf("not within %s: %s", patience, what)
		}
	}
	return nil
}

// startDaemon starts a node's daemon, which finds what it left before.
func (p *show) startDaemon(i int) error {
	node := p.nodes[i]
	kubeconfig := filepath.Join(p.folder, "kubeconfig")
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": "http://" + routerAddress + ":8080"}}},
		"users":    []any{map[string]any{"name": "c", "user": map[string]any{}}},
		"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "c", "user": "c"}}},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(kubeconfig, text, 0o600); err != nil {
		return err
	}
	p.daemons[node], err = p.spawn(node, p.space(node), p.binary, "run", "--kubeconfig", kubeconfig, "--node", node, "--namespace", space,
		"--datapath-gate=false", "--host=off", "--grpc-socket", "", "--grpc-address", "",
		"--run-dir", filepath.Join(p.folder, node+"-run"), "--host-state", filepath.Join(p.folder, node+"-host"), "--state-dir", filepath.Join(p.folder, node+"-state"))
	return err
}

// rest waits until both sessions are up and the routes have not changed for a while.
func (p *show) rest() error {
	const quiet = 2 * time.Second
	err := until("both sessions are established", func() bool {
		out, err := exec.Command("vtysh", "--vty_socket", p.folder, "-d", "bgpd", "-c", "show bgp summary json").Output()
		return err == nil && strings.Count(string(out), `"Established"`) == len(p.nodes)
	})
	if err != nil {
		return err
	}
	return until("the routes are at rest", func() bool { return time.Since(p.watched.last()) > quiet })
}

// run lets the events happen in their own time.
func (p *show) run(ctx context.Context, events []Event, kills []Kill) error {
	last := time.Duration(0)
	for len(events)+len(kills) > 0 {
		if len(kills) > 0 && (len(events) == 0 || kills[0].At < events[0].At) {
			last = kills[0].At
			if err := p.sleepTo(ctx, last); err != nil {
				return err
			}
			if err := p.kill(kills[0]); err != nil {
				return err
			}
			kills = kills[1:]
			continue
		}
		last = events[0].At
		if err := p.sleepTo(ctx, last); err != nil {
			return err
		}
		if err := p.tell(events[:1]); err != nil {
			return err
		}
		events = events[1:]
	}
	return p.sleepTo(ctx, last+tail)
}

func (p *show) sleepTo(ctx context.Context, at time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(p.zero.Add(at))):
		return nil
	}
}

func (p *show) kill(k Kill) error {
	i := slices.Index(p.nodes, k.Node)
	if i < 0 {
		return fmt.Errorf("kill: no node %s", k.Node)
	}
	p.daemons[k.Node].stop(k.Signal)
	return p.startDaemon(i)
}

// process is a running program.
type process struct {
	*exec.Cmd
	ended chan struct{}
}

// spawn runs a program in a namespace. The kernel kills it with this one, which is
// tied to the thread, so the thread waits for it. What it says goes to NAME.log.
func (p *show) spawn(name, space string, argv ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(p.folder, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	r := &process{exec.Command("ip", append([]string{"netns", "exec", space}, argv...)...), make(chan struct{})}
	r.Stdout, r.Stderr = log, log
	r.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer close(r.ended)
		defer log.Close()
		err := r.Start()
		started <- err
		if err == nil {
			_ = r.Wait() // by signal, mostly
		}
	}()
	return r, <-started
}

// stop ends it, and waits.
func (r *process) stop(how syscall.Signal) {
	_ = r.Process.Signal(how) // it may have ended
	select {
	case <-r.ended:
	case <-time.After(patience):
		_ = r.Process.Kill()
		<-r.ended
	}
}
