// Package bfd tells stories of paths that fail: the program as it is shipped, FRR with
// its bfdd, and BIRD, in network namespaces that the tests make and remove themselves.
package bfd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/status"
)

// program is what every test here runs.
var program must.Program

func TestMain(m *testing.M) { program.Main(m) }

// What the daemon announces, and where its page is.
const (
	prefix = "10.1.0.0/16"
	page   = "127.0.0.1:7473"
)

// timers are those of both ends.
type timers struct {
	interval   time.Duration
	multiplier int
}

// detection is how long an end may be silent, in seconds.
func (t timers) detection() float64 { return (t.interval * time.Duration(t.multiplier)).Seconds() }

// world is a node, its daemon, and the routers that it has sessions with.
type world struct {
	testing.TB
	// whole is the test that everything lasts for; TB may be a step of it.
	whole           testing.TB
	dir, name, node string
	timers          timers
	daemon          *process
	routers         []*router
}

// newWorld brings up the routers, whose kinds are given, but not the daemon.
func newWorld(t testing.TB, timers timers, kinds ...string) *world {
	t.Helper()
	needs.Root(t, "ip", "nft", "curl", "chrt", "bird", "birdc", "/usr/lib/frr/bgpd", "/usr/lib/frr/bfdd", "/usr/lib/frr/zebra", "vtysh")
	w := &world{TB: t, whole: t, name: fmt.Sprintf("fwbfd%d", os.Getpid()), timers: timers}
	// Not t.TempDir: FRR's daemons drop root and must reach it, and the path of a unix
	// socket is short.
	dir, err := os.MkdirTemp("", "bfd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	w.dir, w.node = dir, w.space("n")
	for i, kind := range kinds {
		w.routers = append(w.routers, w.startRouter(kind, i+1))
	}
	return w
}

// space makes a network namespace that goes with the test.
func (w *world) space(name string) string {
	w.Helper()
	name = w.name + name
	must.Space(w, name)
	return name
}

// process is a program in a namespace.
type process struct {
	*exec.Cmd
	ended chan struct{}
	log   *lines
}

// start runs a program in a namespace until the test ends.
func (w *world) start(namespace string, argv ...string) *process {
	w.Helper()
	p := &process{Cmd: exec.Command("ip", append([]string{"netns", "exec", namespace}, argv...)...), ended: make(chan struct{}), log: &lines{}}
	out, in, err := os.Pipe()
	if err != nil {
		w.Fatal(err)
	}
	p.Stdout, p.Stderr = in, in
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the death of this thread is that of the parent
		err := p.Start()
		in.Close()
		started <- err
		p.log.read(out)
		out.Close()
		if err == nil {
			p.Wait()
		}
		close(p.ended)
	}()
	if err := <-started; err != nil {
		w.Fatal(err)
	}
	w.whole.Cleanup(p.kill)
	return p
}

// kill ends a process as a crash would.
func (p *process) kill() {
	p.Process.Signal(syscall.SIGKILL)
	<-p.ended
}

// lines are what a program has logged, each with the time at which it was read.
type lines struct {
	mu   sync.Mutex
	text []string
	at   []time.Time
}

func (l *lines) read(from io.Reader) {
	for s := bufio.NewScanner(from); s.Scan(); {
		now := time.Now()
		l.mu.Lock()
		l.text, l.at = append(l.text, s.Text()), append(l.at, now)
		l.mu.Unlock()
	}
}

// since gives when a line with all the words came first, from a time on.
func (l *lines) since(from time.Time, words ...string) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for i, text := range l.text {
		for _, word := range words {
			if !strings.Contains(text, word) {
				continue next
			}
		}
		if !l.at[i].Before(from) {
			return l.at[i], true
		}
	}
	return time.Time{}, false
}

func (l *lines) last(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text[max(0, len(l.text)-n):], "\n")
}

// write writes the objects that the daemon reads.
func (w *world) write(extra string) {
	w.Helper()
	var b bytes.Buffer
	b.WriteString(`{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: blue, annotations: {fairway.dev/advertise: "true"}}, spec: {cidrBlock: ` + prefix + `}}` + "\n---\n")
	b.WriteString(`{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.31.1.1}]}}` + "\n")
	for _, r := range w.routers {
		fmt.Fprintf(&b, "---\n{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: %s}, spec: {peerAddress: %s, peerASN: %d, localASN: 65001%s}}\n", r.kind, r.address, routerASN, extra)
	}
	folder := filepath.Join(w.dir, "objects")
	os.MkdirAll(folder, 0o755)
	must.WriteFile(w, filepath.Join(folder, "all.yaml"), b.Bytes())
}

// withBFD is a BGPPeer's field.
func (t timers) withBFD() string {
	return fmt.Sprintf(", bfd: {transmitInterval: %[1]s, receiveInterval: %[1]s, detectMultiplier: %[2]d}", t.interval, t.multiplier)
}

// run starts the daemon, and waits until all is up.
func (w *world) run(more ...string) {
	w.Helper()
	w.startDaemon(more...)
	w.allUp()
}

func (w *world) startDaemon(more ...string) {
	w.Helper()
	argv := append([]string{program.Build(w), "run", "--node=n1", "-f", filepath.Join(w.dir, "objects"), "--datapath-gate=false", "--host=off",
		"--grpc-socket=", "--grpc-address=", "--listen=" + page, "--run-dir=" + filepath.Join(w.dir, "run")}, more...)
	w.daemon = w.start(w.node, argv...)
}

// allUp waits until each router has the route, and BFD is up at both ends.
func (w *world) allUp() {
	w.Helper()
	for _, r := range w.routers {
		w.await(r.kind+" has the route", r.hasRoute)
		w.await("BFD with "+r.kind+" is up", func() bool {
			s := w.session(r)
			return s.Established() && s.BFD == nil || s.BFD != nil && s.BFD.State == "Up" && s.BFD.RouterState == "Up" && s.BFD.DetectionTime < 5
		})
	}
}

// await is must.Await with what the daemon has to say.
func (w *world) await(what string, yes func() bool) {
	w.Helper()
	if !must.Eventually(yes) {
		w.Fatalf("not so in %s: %s\n%s\n%+v", must.Patience, what, w.daemon.log.last(30), w.status().Sessions)
	}
}

// status is what the daemon says.
func (w *world) status() status.Status {
	var s status.Status
	out, err := exec.Command("ip", "netns", "exec", w.node, "curl", "-s", "-m", "5", "http://"+page+"/status.json").Output()
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	if err != nil {
		return status.Status{}
	}
	return s
}

// session is the daemon's with a router.
func (w *world) session(r *router) status.Session { return w.named(r.kind) }

// named is the session of a BGPPeer.
func (w *world) named(peer string) status.Session {
	for _, s := range w.status().Sessions {
		if s.Peer == peer {
			return s
		}
	}
	return status.Session{}
}

// change waits for a route event of the router's kernel about the prefix.
type change struct {
	at    time.Time
	comes bool
}

// follow gives what the router's kernel does with the prefix from now on.
func (r *router) follow() <-chan change {
	space, err := netns.GetFromName(r.space)
	if err != nil {
		r.Fatal(err)
	}
	updates, done, out := make(chan netlink.RouteUpdate, 100), make(chan struct{}), make(chan change, 100)
	if err := netlink.RouteSubscribeWithOptions(updates, done, netlink.RouteSubscribeOptions{Namespace: &space}); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { close(done); space.Close() })
	go func() {
		for u := range updates {
			if u.Dst != nil && u.Dst.String() == prefix {
				out <- change{time.Now(), u.Type == syscall.RTM_NEWROUTE}
			}
		}
	}()
	return out
}

func (r *router) hasRoute() bool {
	out, _ := exec.Command("ip", "-n", r.space, "route", "show", prefix).Output()
	return len(bytes.TrimSpace(out)) > 0
}
