package lab

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/replace"
)

//go:embed cluster/*.yaml
var firstCluster embed.FS

// Lab is one that this program started.
type Lab struct {
	Options
	wiring  *wiring
	running []*process
}

// Start checks the machine and builds a lab: namespaces, router, agent and one
// daemon a node. A failure takes away what was made. The lab goes on when this
// program ends; Down removes it.
func Start(ctx context.Context, opts Options) (*Lab, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := opts.check(); err != nil {
		return nil, err
	}
	l := &Lab{Options: opts}
	if err := l.claim(); err != nil {
		return nil, err
	}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(err, l.Stop())
	}
	return l, nil
}

// Stop removes the lab. It takes its own time, because it has to work after the
// context that built the lab has ended.
func (l *Lab) Stop() error {
	if l.wiring != nil {
		l.wiring.close()
		l.wiring = nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return Down(ctx, l.Options)
}

// check looks for what a lab needs, and for one that is there already.
func (o Options) check() error {
	if os.Geteuid() != 0 {
		return errors.New("the lab makes network namespaces and needs root: try sudo")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("the lab needs iproute2: apt-get install iproute2")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		return errors.New("the lab's nodes need nft for natOutgoing: apt-get install nftables")
	}
	if err := o.Router.check(); err != nil {
		return err
	}
	left, err := o.leftovers()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return o.leftover(left...)
	}
	return nil
}

// leftovers names what there is of a lab with this prefix.
func (o Options) leftovers() ([]string, error) {
	spaces, err := o.spaces()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(o.State); err == nil {
		spaces = append(spaces, o.State)
	}
	return spaces, nil
}

// spaces lists the lab's namespaces that exist, by their exact names: another
// namespace that begins with the prefix is none of the lab's.
func (o Options) spaces() ([]string, error) {
	entries, err := os.ReadDir(netnsFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var names []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), o.Prefix)
		if ok && (slices.Contains(fixedSpaces(), rest) || strings.HasPrefix(rest, podSpace)) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// build makes the lab, step by step.
func (l *Lab) build(ctx context.Context) error {
	router := func() error { return l.startRouter(ctx) }
	overlay := func() error { return l.waitForOverlay(ctx) }
	for _, step := range []struct {
		doing string
		do    func() error
	}{
		{"writing the cluster's YAML", l.makeState},
		{"wiring the network namespaces", l.makeSpaces},
		{"starting the router", router},
		{"starting the client outside", l.startOutside},
		{"starting what plays Kube-OVN", l.startAgent},
		{"waiting for the overlay's routes on each node", overlay},
		{"starting a Fairway daemon on each node", l.startDaemons},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.tell(step.doing)
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil
}

// tell says what is being done.
func (l *Lab) tell(doing string) {
	if l.Progress != nil {
		fmt.Fprintf(l.Progress, "lab: %s ...\n", doing)
	}
}

// makeState fills the state folder: the first YAML, a folder for logs.
func (l *Lab) makeState() error {
	for _, dir := range []string{filepath.Join(l.State, "log"), l.ClusterDir()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("state folder: %w", err)
		}
	}
	files, err := fs.ReadDir(firstCluster, "cluster")
	if err != nil {
		return fmt.Errorf("first cluster: %w", err)
	}
	for _, f := range files {
		text, err := fs.ReadFile(firstCluster, "cluster/"+f.Name())
		if err != nil {
			return fmt.Errorf("first cluster: %w", err)
		}
		if err := l.WriteYAML(f.Name(), string(text)); err != nil {
			return err
		}
	}
	return nil
}

// WriteYAML puts a file into the cluster's folder, all at once.
func (l *Lab) WriteYAML(name, text string) error {
	if err := replace.File(filepath.Join(l.ClusterDir(), name), []byte(text), 0o644); err != nil {
		return fmt.Errorf("cluster file %s: %w", name, err)
	}
	return nil
}

// ReadYAML gives a file of the cluster's folder.
func (l *Lab) ReadYAML(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(l.ClusterDir(), name))
	if err != nil {
		return "", fmt.Errorf("cluster file %s: %w", name, err)
	}
	return string(text), nil
}

func (l *Lab) makeSpaces() error {
	for _, name := range fixedSpaces() {
		if err := addSpace(l.Prefix + name); err != nil {
			return err
		}
	}
	w, err := openWiring(l.Prefix)
	if err != nil {
		return err
	}
	l.wiring = w
	return w.wire()
}

// startOutside gives the client outside a web server too, for Pods that look
// out.
func (l *Lab) startOutside() error {
	return l.run("ext", outsideSpace, l.Binary, "lab", "play", "pod", "ext", "outside")
}

func (l *Lab) startAgent() error {
	return l.run("agent", "", l.Binary, "lab", "play", "agent", l.Prefix, l.State, l.Binary)
}

// waitForOverlay waits for Kube-OVN's part, which comes before Fairway's in a
// cluster too: a daemon announces nothing that its node has no route to.
func (l *Lab) waitForOverlay(ctx context.Context) error {
	ctx, done := l.whileAllRun(ctx)
	defer done()
	for _, n := range nodes() {
		for _, p := range prefixes(routed4, routed6) {
			if err := l.WaitForRoute(ctx, n.name, p, joinGateway(p.Addr().Is6())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Lab) startDaemons() error {
	for _, n := range nodes() {
		if err := l.StartDaemon(n.name); err != nil {
			return err
		}
	}
	return nil
}

// StartDaemon starts the Fairway daemon of a node.
func (l *Lab) StartDaemon(node string, more ...string) error {
	argv := []string{l.Binary, "run", "-f", l.ClusterDir(), "--node", node, "--grpc-socket", l.grpcSocket(node), "--listen", StatusAddress, "--run-dir", filepath.Join(l.State, "run", node)}
	return l.run(node, node, slices.Concat(argv, l.DaemonFlags, more)...)
}

// StatusAddress is where a node's daemon serves its page, inside the node's
// namespace.
const StatusAddress = "127.0.0.1:7473"

// Command is argv in one of the lab's namespaces, or outside all where station
// is "", not started yet. It belongs to the lab: Down ends it.
func (l *Lab) Command(ctx context.Context, station string, argv ...string) *exec.Cmd {
	return l.command(ctx, station, argv...)
}

// Signal sends a signal to a process of the lab: a node's daemon ("n1"), the
// "router" or the "agent".
func (l *Lab) Signal(name string, signal os.Signal) error {
	for _, p := range slices.Backward(l.running) {
		if p.name == name {
			return p.cmd.Process.Signal(signal)
		}
	}
	return fmt.Errorf("no process %s runs in this lab", name)
}

// Ended is closed when the named process, started last under that name, has
// ended; nil where there is none.
func (l *Lab) Ended(name string) <-chan struct{} {
	for _, p := range slices.Backward(l.running) {
		if p.name == name {
			return p.done
		}
	}
	return nil
}

// Restart ends a process of the lab by a signal, such as the router's "bgpd", "zebra"
// or "bird", and once it has ended starts it again as it was started. between, if
// any, is done meanwhile.
func (l *Lab) Restart(ctx context.Context, name string, signal os.Signal, between func() error) error {
	if err := l.Signal(name, signal); err != nil {
		return err
	}
	select {
	case <-l.Ended(name):
	case <-ctx.Done():
		return fmt.Errorf("%s does not end by %v: %w", name, signal, context.Cause(ctx))
	}
	if between != nil {
		if err := between(); err != nil {
			return err
		}
	}
	i := slices.IndexFunc(l.running, func(p *process) bool { return p.name == name })
	argv := l.running[i].cmd.Args // with its namespace
	l.running = slices.DeleteFunc(l.running, func(p *process) bool { return p.name == name })
	return l.run(name, "", argv...)
}

func (l *Lab) run(name, space string, argv ...string) error {
	p, err := l.start(name, space, argv...)
	if err != nil {
		return err
	}
	l.running = append(l.running, p)
	return nil
}

// Down ends the lab's processes and removes its namespaces and its state
// folder: whatever is there of them, also after a crash. The state folder goes
// last, so that an interrupted Down is seen and can be repeated.
func Down(ctx context.Context, opts Options) error {
	opts, err := opts.withDefaults()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("the lab's namespaces belong to root: try sudo")
	}
	if err := opts.endAll(ctx); err != nil {
		return err
	}
	names, err := opts.spaces()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, removeSpace(name))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return opts.removeState()
}

// Exec replaces this program by argv inside one of the lab's namespaces: n1, n2,
// n3, tor, ext, host, ovn, lan, or a Pod by its name. It returns only an error.
func Exec(opts Options, name string, argv []string) error {
	opts, err := opts.withDefaults()
	if err != nil {
		return err
	}
	known, err := opts.spaces()
	if err != nil {
		return err
	}
	space := ""
	for _, candidate := range []string{opts.Prefix + name, opts.Prefix + podSpace + name} {
		if space == "" && slices.Contains(known, candidate) {
			space = candidate
		}
	}
	if space == "" && len(known) == 0 {
		return errors.New("there is no lab of this name; `lab up` makes one")
	}
	if space == "" {
		for i := range known {
			known[i] = strings.TrimPrefix(strings.TrimPrefix(known[i], opts.Prefix), podSpace)
		}
		return fmt.Errorf("the lab has no %q; it has %s", name, strings.Join(known, ", "))
	}
	ip, err := exec.LookPath("ip")
	if err != nil {
		return errors.New("the lab needs iproute2: apt-get install iproute2")
	}
	err = unix.Exec(ip, append([]string{"ip", "netns", "exec", space}, argv...), opts.visitorEnv())
	return fmt.Errorf("run %s in %s: %w", strings.Join(argv, " "), space, err)
}

// Play runs one of the lab's own processes in this one until ctx ends. The lab
// starts them as `fairway lab play ARGS`:
//
//	router                       the embedded router, in the router's namespace
//	agent PREFIX STATE BINARY    Kube-OVN's part
//	pod NAME NODE                a Pod's web server, in the Pod's namespace
func Play(ctx context.Context, args []string, log *logrus.Entry) error {
	switch {
	case len(args) == 1 && args[0] == "router":
		return runRouter(ctx, log)
	case len(args) == 4 && args[0] == "agent":
		opts, err := Options{Prefix: args[1], State: args[2], Binary: args[3], Log: log}.withDefaults()
		if err != nil {
			return err
		}
		return runAgent(ctx, opts, log)
	case len(args) == 3 && args[0] == "pod":
		return runPod(ctx, args[1], args[2])
	}
	return fmt.Errorf("lab play %s: router, agent PREFIX STATE BINARY or pod NAME NODE is needed", strings.Join(args, " "))
}
