// Package live tells the stories of a cluster: a real kube-apiserver and etcd,
// the program as it is shipped, with the rights of its own ServiceAccount, and
// two FRR routers whose kernels show what arrived. The daemon and the routers
// live in network namespaces that the tests make and remove themselves.
package live

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/e2e/kubetest"
	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

const (
	namespace = "fairway-system"
	patience  = 30 * time.Second
	page      = "127.0.0.1:7473"
)

// world is one cluster with node n1, on which the daemon runs, and routers a and
// b. n2 is a Node object and no more.
type world struct {
	testing.TB
	server *kubetest.Server
	// node is the daemon's namespace; dir holds everything on disk.
	prefix, node, dir string
	binary            string
	// kubeconfig has the rights of the daemon's ServiceAccount, admin all.
	kubeconfig, admin string
	routers           map[string]*router
	daemon            *exec.Cmd
	ended             chan struct{}
	log               *lines
	// line is held while the way to the API server is cut.
	line sync.RWMutex
	// calls counts the connections that the daemon has opened to the API server, in
	// vain or not.
	calls atomic.Int64
	// carried are the connections of the daemon that are open.
	carried sync.Map
}

// program is what every test here runs.
var program must.Program

func TestMain(m *testing.M) { program.Main(m) }

// worlds counts them: stories that mostly wait are told two at a time.
var worlds atomic.Uint32

// newWorld brings everything up but the daemon.
func newWorld(t testing.TB, routers ...string) *world {
	t.Helper()
	needs.Root(t, "ip", "etcd", "/usr/lib/frr/bgpd", "/usr/lib/frr/zebra", "vtysh")
	w := &world{TB: t, prefix: fmt.Sprintf("fwl%d%c", os.Getpid(), 'a'+rune(worlds.Add(1)%26)), dir: t.TempDir(), routers: map[string]*router{}}
	w.node = w.prefix + "n"
	w.binary = program.Build(t)
	w.server = kubetest.StartForTest(t)
	w.install()
	w.space(w.node)
	w.relay()
	for i, name := range routers {
		w.routers[name] = w.startRouter(name, i+1)
	}
	return w
}

func (w *world) must(argv ...string) string {
	w.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		w.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// ctx outlives the test, for clean-up.
func (w *world) ctx() context.Context { return context.WithoutCancel(w.Context()) }

// install puts into the cluster what an administrator would, and Kube-OVN's CRD.
func (w *world) install() {
	w.Helper()
	if err := w.server.InstallCRDs(w.ctx()); err != nil {
		w.Fatal(err)
	}
	for _, file := range []string{"namespace", "rbac", "admission"} {
		if err := w.server.ApplyFile(w.ctx(), "manifests/base/"+file+".yaml"); err != nil {
			w.Fatal(err)
		}
	}
	w.makeNode("n1", "172.31.1.1")
	w.makeNode("n2", "172.31.1.9")
	token, err := w.server.PodToken(w.ctx(), namespace, "fairway", "n1")
	if err != nil {
		w.Fatal(err)
	}
	if w.kubeconfig, err = w.server.WriteKubeconfig(w.dir, "", token, namespace); err != nil {
		w.Fatal(err)
	}
	if w.admin, err = w.server.WriteKubeconfig(w.dir, "", w.server.AdminToken(), namespace); err != nil {
		w.Fatal(err)
	}
}

func (w *world) makeNode(name, address string) {
	w.Helper()
	if _, err := w.server.MakeNode(w.ctx(), name, address); err != nil {
		w.Fatal(err)
	}
}

// space makes a network namespace that goes with the test.
func (w *world) space(name string) {
	w.Helper()
	must.Space(w, name)
}

// relay makes the API server reachable from the daemon's namespace, at the same
// address: a listener belongs to the namespace that it was opened in.
func (w *world) relay() {
	w.Helper()
	address := strings.TrimPrefix(w.server.URL(), "https://")
	var listener net.Listener
	var err error
	var opened sync.WaitGroup
	opened.Go(func() {
		// The thread is not unlocked: it ends with the goroutine.
		runtime.LockOSThread()
		var space netns.NsHandle
		if space, err = netns.GetFromName(w.node); err != nil {
			return
		}
		defer space.Close()
		if err = netns.Set(space); err == nil {
			listener, err = net.Listen("tcp", address)
		}
	})
	opened.Wait()
	if err != nil {
		w.Fatalf("relay: %v", err)
	}
	w.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			w.calls.Add(1)
			go w.carry(c, address)
		}
	}()
}

// carry joins a connection to the API server, and hangs up where there is none.
func (w *world) carry(c net.Conn, address string) {
	defer c.Close()
	s, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer s.Close()
	w.carried.Store(c, nil)
	defer w.carried.Delete(c)
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{c, s}, {s, c}} {
		go func() { io.Copy(slow{pair[0], &w.line}, pair[1]); done <- struct{}{} }()
	}
	<-done
}

// hangUp ends all connections of the daemon to the API server, and with them its
// watches.
func (w *world) hangUp() {
	w.carried.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
}

// slow writes when the line is free: while it is not, nothing gets through and
// nothing is hung up.
type slow struct {
	net.Conn
	line *sync.RWMutex
}

// Write implements io.Writer.
func (s slow) Write(b []byte) (int, error) {
	s.line.RLock()
	defer s.line.RUnlock()
	return s.Conn.Write(b)
}

// router is FRR in a namespace of its own.
type router struct {
	*world
	name, space, address, node string
	dir                        string
	// kernel reads and watches the namespace's routes; origin marks those that the
	// router's own program put there (rtnetlink(7), rtm_protocol).
	kernel *netlink.Handle
	handle netns.NsHandle
	origin netlink.RouteProtocol
}

// link makes a router's namespace and links it to the node.
func (w *world) link(name string, number int) *router {
	w.Helper()
	r := &router{world: w, name: name, space: w.prefix + name, node: fmt.Sprintf("172.31.%d.1", number), address: fmt.Sprintf("172.31.%d.2", number)}
	w.space(r.space)
	w.must("ip", "-n", w.node, "link", "add", "up-"+name, "type", "veth", "peer", "name", "to-node", "netns", r.space)
	w.must("ip", "-n", w.node, "addr", "add", r.node+"/24", "dev", "up-"+name)
	w.must("ip", "-n", w.node, "link", "set", "up-"+name, "up")
	w.must("ip", "-n", r.space, "addr", "add", r.address+"/24", "dev", "to-node")
	w.must("ip", "-n", r.space, "link", "set", "dev", "to-node", "up")
	var err error
	if r.handle, err = netns.GetFromName(r.space); err != nil {
		w.Fatal(err)
	}
	if r.kernel, err = netlink.NewHandleAt(r.handle); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { r.kernel.Close(); r.handle.Close() })
	return r
}

// startRouter starts FRR in a namespace of its own: AS 64512, with graceful
// restart as a helper, which is FRR's default.
func (w *world) startRouter(name string, number int) *router {
	w.Helper()
	r := w.link(name, number)
	r.origin = unix.RTPROT_BGP
	var err error
	// Not the test's folder: FRR's daemons are not root and must reach it.
	if r.dir, err = os.MkdirTemp("", "frr"); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { os.RemoveAll(r.dir) })
	if err := os.Chmod(r.dir, 0o777); err != nil {
		w.Fatal(err)
	}
	r.start("zebra", "")
	w.until("zebra answers", func() string { return lack(r.reachable("zserv")) })
	r.start("bgpd", fmt.Sprintf(`
router bgp 64512
 bgp router-id %[1]s
 no bgp ebgp-requires-policy
 neighbor %[2]s remote-as 65000
 neighbor %[2]s timers 3 9
 neighbor %[2]s timers connect 1
 neighbor %[2]s passive
 address-family ipv4 unicast
  maximum-paths 8
 exit-address-family
`, r.address, r.node))
	w.until("bgpd answers", func() string { return lack(strings.HasPrefix(r.show("show bgp summary json"), "{")) })
	return r
}

func lack(ok bool) string {
	if ok {
		return ""
	}
	return "it is not so"
}

func (r *router) reachable(socket string) bool {
	c, err := net.Dial("unix", filepath.Join(r.dir, socket))
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func (r *router) start(program, config string) {
	r.Helper()
	file := filepath.Join(r.dir, program+".conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		r.Fatal(err)
	}
	r.spawn("/usr/lib/frr/"+program, "-P", "0", "-i", filepath.Join(r.dir, program+".pid"),
		"-z", filepath.Join(r.dir, "zserv"), "--vty_socket", r.dir, "-f", file, "--log", "stdout")
}

// startBIRD starts BIRD 2 instead: FRR's bgpd and zebra wait for more before they
// act, for about 60 ms together (bgp_main.c and zebra_rib.c, work queue hold).
func (w *world) startBIRD(name string, number int) *router {
	w.Helper()
	r := w.link(name, number)
	r.origin = unix.RTPROT_BIRD
	r.dir = w.dir
	file := filepath.Join(r.dir, "bird.conf")
	config := fmt.Sprintf(`
router id %[1]s;
protocol device {}
protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; }
protocol bgp {
  local as 64512;
  neighbor %[2]s as 65000;
  passive on;
  ipv4 { import all; export none; };
}
`, r.address, r.node)
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		w.Fatal(err)
	}
	r.spawn("bird", "-f", "-c", file, "-s", filepath.Join(r.dir, "bird.ctl"))
	w.routers[name] = r
	return r
}

// spawn runs a program in the router's namespace until the test ends.
func (r *router) spawn(argv ...string) {
	r.Helper()
	c := exec.Command("ip", append([]string{"netns", "exec", r.space}, argv...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	startLocked(r, c)
	r.Cleanup(func() { c.Process.Kill(); c.Wait() })
}

// startLocked starts a process that the kernel kills with this one. That is tied
// to the thread, so the thread must stay.
func startLocked(t testing.TB, c *exec.Cmd) {
	t.Helper()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- c.Start()
		c.Process.Wait()
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
}

// show gives bgpd's answer to a command.
func (r *router) show(commands ...string) string {
	args := []string{"--vty_socket", r.dir, "-d", "bgpd"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	out, err := exec.Command("vtysh", args...).Output()
	if err != nil {
		return "error: " + err.Error()
	}
	return strings.TrimSpace(string(out))
}

// up gives how often, in the router's words, the session has been established; 0
// while it is not.
func (r *router) up() int {
	var neighbors map[string]struct {
		BGPState               string
		ConnectionsEstablished int
	}
	json.Unmarshal([]byte(r.show("show bgp neighbors "+r.node+" json")), &neighbors)
	for _, n := range neighbors {
		if n.BGPState == "Established" {
			return n.ConnectionsEstablished
		}
	}
	return 0
}

// routes gives the prefixes that the router's kernel has by BGP, sorted.
func (r *router) routes() string {
	list, err := r.kernel.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: r.origin}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, l := range list {
		out = append(out, l.Dst.String())
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// has waits until the kernel has exactly these prefixes, and gives the time that
// it took.
func (r *router) has(prefixes string) time.Duration {
	r.Helper()
	return r.until(fmt.Sprintf("router %s has [%s]", r.name, prefixes), func() string {
		if got := r.routes(); got != prefixes {
			return "it has [" + got + "]"
		}
		return ""
	})
}

// losses watches for routes that go, until stop is called, which gives them.
func (r *router) losses() (stop func() []string) {
	r.Helper()
	updates, done := make(chan netlink.RouteUpdate, 4096), make(chan struct{})
	if err := netlink.RouteSubscribeAt(r.handle, updates, done); err != nil {
		r.Fatal(err)
	}
	var lost []string
	var reading sync.WaitGroup
	reading.Go(func() {
		for u := range updates {
			if u.Type == unix.RTM_DELROUTE && u.Dst != nil && u.Protocol == r.origin {
				lost = append(lost, u.Dst.String())
			}
		}
	})
	return func() []string { close(done); reading.Wait(); return lost }
}

// until waits for a condition; lacking says what is not so.
func (w *world) until(what string, lacking func() string) time.Duration {
	w.Helper()
	return w.within(patience, what, lacking)
}

func (w *world) within(bound time.Duration, what string, lacking func() string) time.Duration {
	w.Helper()
	began, pause := time.Now(), must.Pauses()
	for {
		why := lacking()
		if why == "" {
			return time.Since(began)
		}
		if time.Since(began) > bound {
			w.Fatalf("not within %s: %s: %s\nthe daemon: %s\nthe routers: %s", bound, what, why, w.log.last(30), w.routersSay())
		}
		pause()
	}
}

// routersSay is what FRR knows, for the one who reads why a test failed.
func (w *world) routersSay() string {
	var out []string
	for name, r := range w.routers {
		if r.origin == unix.RTPROT_BGP {
			out = append(out, name+": "+r.show("show clock", "show bgp summary", "show bgp ipv4 unicast", "show bgp neighbors"))
		}
	}
	return strings.Join(out, "\n")
}

// lines keeps a process' output.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) last(n int) string {
	if l == nil {
		return "was not started"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Split(l.text.String(), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

// run starts the daemon.
func (w *world) run(more ...string) {
	w.Helper()
	args := append([]string{"netns", "exec", w.node, w.binary, "run", "--node=n1", "--kubeconfig=" + w.kubeconfig, "--namespace=" + namespace,
		"--datapath-gate=false", "--host=off", "--grpc-socket=", "--grpc-address=", "--listen=" + page, "--run-dir=" + w.dir + "/run"}, more...)
	w.daemon, w.ended, w.log = exec.Command("ip", args...), make(chan struct{}), &lines{}
	w.daemon.Stderr, w.daemon.Stdout = w.log, w.log
	w.daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c, ended := w.daemon, w.ended
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- c.Start()
		if c.Process != nil {
			c.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { c.Process.Kill(); <-ended })
}

// stop ends the daemon: with SIGTERM on purpose, with SIGKILL as a crash would.
func (w *world) stop(how syscall.Signal) {
	w.Helper()
	w.daemon.Process.Signal(how)
	select {
	case <-w.ended:
	case <-time.After(patience):
		w.Fatalf("the daemon does not end: %s", w.log.last(30))
	}
}

// ask gives a page of the daemon and its HTTP status.
func (w *world) ask(path string) (string, int) {
	out, err := exec.Command("ip", "netns", "exec", w.node, "curl", "-s", "-m", "5", "-w", "\n%{http_code}", "http://"+page+path).Output()
	if err != nil {
		return err.Error(), 0
	}
	i := strings.LastIndexByte(string(out), '\n')
	code := 0
	fmt.Sscan(string(out[i+1:]), &code)
	return strings.TrimSpace(string(out[:i])), code
}

// says waits until the daemon's page says something.
func (w *world) says(path, words string) {
	w.Helper()
	w.until(path+" says "+words, func() string {
		text, _ := w.ask(path)
		return lack(strings.Contains(text, words))
	})
}

// fairway runs a command of the CLI as administrator.
func (w *world) fairway(args ...string) (string, int) { return w.fairwayAs(w.admin, args...) }

// viewer gives the kubeconfig of somebody with the role fairway-view alone.
func (w *world) viewer() string {
	w.Helper()
	w.apply(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: viewer, namespace: ` + namespace + `}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: viewer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: fairway-view}
subjects: [{kind: ServiceAccount, name: viewer, namespace: ` + namespace + `}]
`)
	token, err := w.server.PodToken(w.ctx(), namespace, "viewer", "n1")
	if err != nil {
		w.Fatal(err)
	}
	file, err := w.server.WriteKubeconfig(w.dir, "", token, namespace)
	if err != nil {
		w.Fatal(err)
	}
	return file
}

// fairwayAs runs a command of the CLI with a kubeconfig.
func (w *world) fairwayAs(kubeconfig string, args ...string) (string, int) {
	c := exec.Command(w.binary, args...)
	c.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	out, err := c.CombinedOutput()
	if err != nil && c.ProcessState == nil {
		return err.Error(), -1
	}
	return string(out), c.ProcessState.ExitCode()
}

func (w *world) apply(stream string) {
	w.Helper()
	if err := w.server.Apply(w.ctx(), []byte(stream)); err != nil {
		w.Fatal(err)
	}
}

func like(apiVersion, kind, space string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(apiVersion)
	o.SetKind(kind)
	o.SetNamespace(space)
	return o
}

// patch merges into an object, or into its status.
func (w *world) patch(o *unstructured.Unstructured, name, body string, subresource ...string) {
	w.Helper()
	resource, err := kubetest.Resource(w.server.Config(), o)
	if err == nil {
		_, err = resource.Patch(w.ctx(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{}, subresource...)
	}
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) delete(o *unstructured.Unstructured, name string) {
	w.Helper()
	resource, err := kubetest.Resource(w.server.Config(), o)
	if err == nil {
		err = resource.Delete(w.ctx(), name, metav1.DeleteOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		w.Fatal(err)
	}
}

func subnets() *unstructured.Unstructured  { return like("kubeovn.io/v1", "Subnet", "") }
func bgpPeers() *unstructured.Unstructured { return like("fairway.dev/v1alpha1", "BGPPeer", "") }

// subnet makes a Subnet as Kube-OVN's controller leaves it; more goes into its
// spec.
func (w *world) subnet(name, cidr, more string) {
	w.Helper()
	w.apply(fmt.Sprintf("{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: %s, annotations: {fairway.dev/advertise: \"true\"}}, spec: {cidrBlock: %s, vpc: ovn-cluster, provider: ovn, gatewayType: distributed%s}}", name, cidr, more))
	w.patch(subnets(), name, `{"status":{"conditions":[{"type":"Validated","status":"True","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"},{"type":"Ready","status":"True","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`, "status")
}

func (w *world) advertise(name, value string) {
	w.Helper()
	w.patch(subnets(), name, fmt.Sprintf(`{"metadata":{"annotations":{"fairway.dev/advertise":%s}}}`, value))
}

// peer makes the BGPPeer of a router; more goes into its spec.
func (w *world) peer(name, more string) {
	w.Helper()
	w.apply(fmt.Sprintf("{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: %s}, spec: {peerAddress: %s, peerASN: 64512, localASN: 65000, connectRetryTime: 1s%s}}", name, w.routers[name].address, more))
}

// speaker reads n1's Speaker.
func (w *world) speaker() (s v1alpha1.Speaker) {
	w.read("Speaker", "n1", &s)
	return s
}

func (w *world) readPeer(name string) (p v1alpha1.BGPPeer) {
	w.read("BGPPeer", name, &p)
	return p
}

// read reads an object of Fairway's; into stays as it is where there is none.
func (w *world) read(kind, name string, into any) {
	resource, err := kubetest.Resource(w.server.Config(), like("fairway.dev/v1alpha1", kind, ""))
	if err != nil {
		return
	}
	o, err := resource.Get(w.ctx(), name, metav1.GetOptions{})
	if err != nil {
		return
	}
	text, _ := o.MarshalJSON()
	json.Unmarshal(text, into)
}

// condition gives status and message of a condition of n1's Speaker.
func (w *world) condition(kind string) string {
	for _, c := range w.speaker().Status.Conditions {
		if c.Type == kind {
			return string(c.Status) + " " + c.Message
		}
	}
	return ""
}

// events gives those about an object, as "Reason: message".
func (w *world) events(kind, name string) string {
	resource, err := kubetest.Resource(w.server.Config(), like("v1", "Event", "default"))
	if err != nil {
		return err.Error()
	}
	list, err := resource.List(w.ctx(), metav1.ListOptions{FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + name})
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, e := range list.Items {
		reason, _, _ := unstructured.NestedString(e.Object, "reason")
		message, _, _ := unstructured.NestedString(e.Object, "message")
		out = append(out, reason+": "+message)
	}
	return strings.Join(out, "\n")
}
