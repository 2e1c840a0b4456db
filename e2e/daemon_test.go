package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/routes"
)

// cluster is a running lab of the real program, driven as its user would: by
// editing files.
type cluster struct {
	binary, prefix, state string
	// guide is what `lab up` printed.
	guide string
}

// upLab builds the program and brings a lab up that goes when the test ends. flags are
// the daemons'.
func upLab(t testing.TB, router string, flags ...string) *cluster {
	t.Helper()
	needs.Root(t, "ip")
	dir := t.TempDir()
	c := &cluster{binary: filepath.Join(dir, "fairway"), prefix: fmt.Sprintf("fwd%d%c-", os.Getpid(), 'a'+rune(labs.Add(1)%26)), state: filepath.Join(dir, "state")}
	// A name of its own for the program tells its processes from another lab's.
	if err := os.Link(program.Build(t), c.binary); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := c.lab("down").CombinedOutput(); err != nil {
			t.Errorf("lab down: %v\n%s", err, out)
		}
	})
	up := []string{"up", "--router", router, "--daemon-flag=--drain-wait=2s"}
	for _, f := range flags {
		up = append(up, "--daemon-flag="+f)
	}
	out, err := c.lab(up...).CombinedOutput()
	if err != nil {
		t.Fatalf("lab up: %v\n%s", err, out)
	}
	c.guide = string(out)
	return c
}

// lab gives a `fairway lab` command for this lab.
func (c *cluster) lab(args ...string) *exec.Cmd {
	return exec.Command(c.binary, append([]string{"lab", args[0], "--prefix", c.prefix, "--state", c.state}, args[1:]...)...)
}

// in gives a command in a station's namespace.
func (c *cluster) in(station string, argv ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", c.prefix + station}, argv...)...)
}

// pid is that of the lab's process with these arguments.
func (c *cluster) pid(t testing.TB, args string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(mustRun(t, "pgrep", "-f", "^"+c.binary+" "+args)))
	if err != nil {
		t.Fatalf("not one process %q: %v", args, err)
	}
	return pid
}

func signal(t testing.TB, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("%v to %d: %v", s, pid, err)
	}
}

func (c *cluster) file(name string) string { return filepath.Join(c.state, "cluster", name) }

// edit replaces text in a file of the lab's folder, which must be there.
func (c *cluster) edit(t testing.TB, name, from, to string) {
	t.Helper()
	data, err := os.ReadFile(c.file(name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("%s does not have %q:\n%s", name, from, data)
	}
	c.write(t, name, strings.Replace(string(data), from, to, 1))
}

func (c *cluster) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(c.file(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// nextHops gives the router's kernel next hops for a prefix, sorted.
func (c *cluster) nextHops(prefix string) []string {
	family := "-4"
	if strings.Contains(prefix, ":") {
		family = "-6"
	}
	out, _ := c.in("tor", "ip", family, "route", "show", prefix).Output()
	var hops []string
	words := strings.Fields(string(out))
	for i, w := range words {
		if w == "via" && i+1 < len(words) {
			hops = append(hops, words[i+1])
		}
	}
	slices.Sort(hops)
	return hops
}

// eventually waits for the router's next hops.
func (c *cluster) eventually(t testing.TB, prefix string, want ...string) {
	t.Helper()
	until(t, fmt.Sprintf("the router has %s by %v", prefix, want), func() (string, bool) {
		got := c.nextHops(prefix)
		return fmt.Sprint(got), slices.Equal(got, want)
	})
}

// until waits for a condition; got says what there is instead.
func until(t testing.TB, what string, ok func() (got string, done bool)) {
	t.Helper()
	var got string
	pause := must.Pauses()
	for end := time.Now().Add(must.Patience); time.Now().Before(end); pause() {
		var done bool
		if got, done = ok(); done {
			return
		}
	}
	t.Fatalf("never: %s; there is: %s", what, got)
}

// says waits for words in a node's `fairway status`.
func (c *cluster) says(t testing.TB, node string, words ...string) {
	t.Helper()
	until(t, fmt.Sprintf("%s says %q", node, words), func() (string, bool) {
		out, _ := c.in(node, c.binary, "status").CombinedOutput()
		text := strings.Join(strings.Fields(string(out)), " ")
		return string(out), !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
}

// watchRouter fails the test if the router ever loses a prefix until stop is
// called.
func (c *cluster) watchRouter(t testing.TB, prefix string) (stop func()) {
	t.Helper()
	losses := c.routerLosses(t)
	return func() {
		t.Helper()
		for _, line := range losses() {
			if strings.HasPrefix(line, "Deleted "+prefix) {
				t.Errorf("the router lost %s: %s", prefix, line)
			}
		}
	}
}

// routerLosses watches for routes that the router loses until stop is called,
// which gives them. It listens to the kernel, so that no moment is missed.
func (c *cluster) routerLosses(t testing.TB) (stop func() []string) {
	t.Helper()
	lines, end := c.monitorRoutes(t)
	// A route of our own, made again until the monitor tells of it, shows that it
	// listens.
	c.mark(t, lines, "192.0.2.250/32")
	return func() []string {
		t.Helper()
		heard := c.mark(t, lines, "192.0.2.251/32")
		end()
		return lostFor(heard)
	}
}

// monitorRoutes tells of each change of the router's routes until end is called, or
// the test has ended.
func (c *cluster) monitorRoutes(t testing.TB) (lines <-chan routeLine, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	monitor := exec.CommandContext(ctx, "ip", "netns", "exec", c.prefix+"tor", "ip", "-o", "monitor", "route")
	out, err := monitor.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := monitor.Start(); err != nil {
		t.Fatal(err)
	}
	heard := make(chan routeLine, 100)
	go func() {
		defer close(heard)
		for s := bufio.NewScanner(out); s.Scan(); {
			heard <- routeLine{time.Now(), s.Text()}
		}
	}()
	end = sync.OnceFunc(func() { cancel(); _ = monitor.Wait() })
	t.Cleanup(end)
	return heard, end
}

// routeLine is what the monitor said of a route, and when.
type routeLine struct {
	at   time.Time
	text string
}

// lostFor gives the lines of routes that went. FRR and BIRD replace an IPv6 route by
// taking it away and making it again in one breath; that is no loss, as pings show.
func lostFor(heard []routeLine) []string {
	const breath = 100 * time.Millisecond
	var lost []string
	for i, line := range heard {
		gone, deleted := strings.CutPrefix(line.text, "Deleted ")
		if !deleted {
			continue
		}
		prefix, _, _ := strings.Cut(gone, " ")
		replaced := slices.ContainsFunc(heard[i+1:], func(next routeLine) bool {
			return strings.HasPrefix(next.text, prefix+" ") && next.at.Sub(line.at) < breath
		})
		if !replaced || !strings.Contains(prefix, ":") {
			lost = append(lost, line.text)
		}
	}
	return lost
}

// mark makes a route and gives the lines up to the one that tells of it.
func (c *cluster) mark(t testing.TB, lines <-chan routeLine, route string) []routeLine {
	t.Helper()
	var before []routeLine
	end := time.After(must.Patience)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		// The kernel tells of a route that is new, not of one that is there.
		_ = c.in("tor", "ip", "route", "del", "blackhole", route).Run()
		_ = c.in("tor", "ip", "route", "add", "blackhole", route).Run()
		for waiting := true; waiting; {
			select {
			case line := <-lines:
				if strings.HasPrefix(line.text, "blackhole "+strings.TrimSuffix(route, "/32")) {
					_ = c.in("tor", "ip", "route", "del", "blackhole", route).Run()
					return before
				}
				before = append(before, line)
			case <-again.C:
				waiting = false
			case <-end:
				t.Fatalf("the route monitor never told of %s", route)
			}
		}
	}
}

const (
	routed  = "10.166.0.0/16"
	routed6 = "fd00:10:166::/64"
)

// TestNothingIsLostByMistakes makes every mistake a person can make in the
// files; the router, which a monitor watches, must not lose the route for a
// moment, and the daemon must say what is wrong.
func TestNothingIsLostByMistakes(t *testing.T) {
	t.Parallel()
	c := upLab(t, "embedded")
	c.eventually(t, routed, "172.30.0.11", "172.30.0.12", "172.30.0.13")
	subnet, err := os.ReadFile(c.file("subnet-routed.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	peer, err := os.ReadFile(c.file("bgppeer-tor.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := os.ReadFile(c.file("nodes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, mistake := range []struct {
		name  string
		make  func()
		words []string
	}{
		{"unknown annotation value", func() { c.edit(t, "subnet-routed.yaml", `"true"`, `"ture"`) }, []string{"InvalidAnnotation", `"ture"`}},
		{"AS of 0", func() { c.edit(t, "bgppeer-tor.yaml", "peerASN: 65000", "peerASN: 0") }, []string{"BGPPeer tor: spec.peerASN: 0"}},
		{"a peer without an AS", func() { c.edit(t, "bgppeer-tor.yaml", "  peerASN: 65000\n", "") }, []string{"BGPPeer tor: spec.peerASN: missing"}},
		{"an unknown field", func() { c.edit(t, "bgppeer-tor.yaml", "spec:\n", "spec:\n  holdtime: 9s\n") }, []string{"spec.holdtime: there is no such field"}},
		{"a missing password", func() {
			c.edit(t, "bgppeer-tor.yaml", "spec:\n", "spec:\n  passwordSecretRef: {name: gone}\n")
		}, []string{"Secret gone is not in the input"}},
		{"two BGPPeers with one address", func() {
			twin := strings.Replace(string(peer), "peerASN: 65000", "peerASN: 65999", 1)
			c.write(t, "twin.yaml", strings.Replace(twin, "name: tor", "name: aaa", 1))
		}, []string{"BGPPeer aaa: spec.peerAddress: 172.30.0.1"}},
		{"a BGPPeer of the same address for these nodes in other words", func() {
			c.write(t, "twin.yaml", strings.Replace(string(peer), "name: tor", "name: aaa", 1)+"  nodeSelector: {matchExpressions: [{key: nowhere, operator: DoesNotExist}]}\n")
		}, []string{"InvalidPeer: BGPPeer aaa: spec.peerAddress 172.30.0.1"}},
		{"a kind that there is not", func() { c.edit(t, "subnet-routed.yaml", "kind: Subnet", "kind: Subnets") }, []string{"Subnet routed: kind: Subnets (kubeovn.io/v1)"}},
		{"a key twice", func() {
			c.edit(t, "subnet-routed.yaml", "spec:\n", "spec:\n  natOutgoing: true\n")
		}, []string{"Subnet routed: a key is there twice"}},
		{"a Subnet that overlaps and comes first by name", func() {
			c.write(t, "twin.yaml", strings.Replace(string(subnet), "name: routed", "name: aaa", 1))
		}, []string{"overlaps 10.166.0.0/16 of Subnet routed, which was created earlier"}},
		{"no Nodes any more", func() { os.Remove(c.file("nodes.yaml")) }, []string{"no Node is in the input any more", "fd00:10:166::/64"}},
		{"UTF-16", func() { c.write(t, "subnet-routed.yaml", "\xff\xfea\x00") }, []string{"subnet-routed.yaml: is not UTF-8"}},
		{"YAML that does not parse", func() { c.write(t, "subnet-routed.yaml", string(subnet)+"\n{{{\n") }, []string{"subnet-routed.yaml"}},
		{"half a file", func() { c.write(t, "subnet-routed.yaml", string(subnet[:len(subnet)/2])) }, []string{"subnet-routed.yaml"}},
		{"an empty file", func() { c.write(t, "subnet-routed.yaml", "") }, []string{"subnet-routed.yaml"}},
	} {
		t.Run(mistake.name, func(t *testing.T) {
			stop := c.watchRouter(t, routed)
			mistake.make()
			c.says(t, "n1", mistake.words...)
			c.says(t, "n3", mistake.words...)
			c.write(t, "subnet-routed.yaml", string(subnet))
			c.write(t, "bgppeer-tor.yaml", string(peer))
			c.write(t, "nodes.yaml", string(nodes))
			os.Remove(c.file("twin.yaml"))
			until(t, "the mistake is forgotten", func() (string, bool) {
				out, _ := c.in("n1", c.binary, "status").CombinedOutput()
				return string(out), !strings.Contains(string(out), "!")
			})
			c.eventually(t, routed, "172.30.0.11", "172.30.0.12", "172.30.0.13")
			stop()
		})
	}
	t.Run("the folder is gone for a while", func(t *testing.T) {
		stop := c.watchRouter(t, routed)
		folder := filepath.Join(c.state, "cluster")
		if err := os.Rename(folder, folder+".away"); err != nil {
			t.Fatal(err)
		}
		c.says(t, "n2", "cannot be read", "objects stay in force")
		if err := os.Rename(folder+".away", folder); err != nil {
			t.Fatal(err)
		}
		until(t, "read again", func() (string, bool) {
			out, _ := c.in("n2", c.binary, "status").CombinedOutput()
			return string(out), !strings.Contains(string(out), "!")
		})
		stop()
	})
	t.Run("deleting the file withdraws", func(t *testing.T) {
		if err := os.Remove(c.file("subnet-routed.yaml")); err != nil {
			t.Fatal(err)
		}
		c.eventually(t, routed)
		c.write(t, "subnet-routed.yaml", string(subnet))
		c.eventually(t, routed, "172.30.0.11", "172.30.0.12", "172.30.0.13")
	})
}

// TestTheGuideCanBeTyped types the commands that `lab up` prints, as they are.
func TestTheGuideCanBeTyped(t *testing.T) {
	needs.Root(t, "curl")
	c := upLab(t, "embedded")
	c.eventually(t, routed, "172.30.0.11", "172.30.0.12", "172.30.0.13")
	typed := 0
	for _, line := range strings.Split(c.guide, "\n") {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, c.binary) {
			continue
		}
		typed++
		want := 0
		if strings.Contains(line, " why nat ") {
			want = 1 // withheld
		}
		cmd := exec.Command("sh", "-c", line)
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != want {
			t.Errorf("%s: exit status %d\n%s", line, cmd.ProcessState.ExitCode(), out)
		}
	}
	if typed != 5 {
		t.Errorf("%d commands in the guide:\n%s", typed, c.guide)
	}
}

// TestNodeLifeCycle takes nodes in and out in every way there is.
func TestNodeLifeCycle(t *testing.T) {
	t.Parallel()
	c := upLab(t, "embedded")
	all := []string{"172.30.0.11", "172.30.0.12", "172.30.0.13"}
	c.eventually(t, routed, all...)
	c.eventually(t, routed6, "fd00:30::11", "fd00:30::12", "fd00:30::13")

	t.Run("drain", func(t *testing.T) {
		c.edit(t, "nodes.yaml", "  name: n2\n  annotations:\n", "  name: n2\n  annotations:\n    fairway.dev/drain: \"true\"\n")
		c.says(t, "n2", "Draining", "with GRACEFUL_SHUTDOWN until")
		c.eventually(t, routed, all[0], all[2])
		c.says(t, "n2", "nothing is announced", "Established")
		c.edit(t, "nodes.yaml", "    fairway.dev/drain: \"true\"\n", "")
		c.eventually(t, routed, all...)
	})
	t.Run("the way into the overlay", func(t *testing.T) {
		// The agent may still have an earlier edit before it, and would make the
		// routes again by itself.
		agent := c.pid(t, "lab play agent")
		signal(t, agent, syscall.SIGSTOP)
		defer signal(t, agent, syscall.SIGCONT)
		mustRun(t, "ip", "-n", c.prefix+"n3", "link", "set", "ovn0", "down")
		c.eventually(t, routed, all[0], all[1])
		c.says(t, "n3", "DatapathDown", "link ovn0 is down")
		mustRun(t, "ip", "-n", c.prefix+"n3", "link", "set", "ovn0", "up")
		c.says(t, "n3", "DatapathDown", "no route to "+routed+" by ovn0")
		// The lab's agent makes the routes again, as kube-ovn-cni would.
		signal(t, agent, syscall.SIGCONT)
		c.edit(t, "nodes.yaml", "apiVersion", "# once more\napiVersion")
		c.eventually(t, routed, all...)
		c.eventually(t, routed6, "fd00:30::11", "fd00:30::12", "fd00:30::13")
	})
	t.Run("the join gateway", func(t *testing.T) {
		// The link stays up, and the routes by it.
		mustRun(t, "ip", "-n", c.prefix+"ovn", "link", "set", "n3", "nomaster")
		c.eventually(t, routed, all[0], all[1])
		c.says(t, "n3", "DatapathDown", "the join gateway 100.64.0.1 does not answer on ovn0")
		mustRun(t, "ip", "-n", c.prefix+"ovn", "link", "set", "n3", "master", "join")
		c.eventually(t, routed, all...)
		c.eventually(t, routed6, "fd00:30::11", "fd00:30::12", "fd00:30::13")
	})
	t.Run("a router in the overlay", func(t *testing.T) {
		mustRun(t, "ip", "-n", c.prefix+"n3", "route", "add", "172.30.0.0/30", "via", "100.64.0.1")
		c.says(t, "n3", "the route to the router 172.30.0.1 leaves by ovn0: the Subnet with 172.30.0.0/30 contains it")
		mustRun(t, "ip", "-n", c.prefix+"n3", "route", "del", "172.30.0.0/30")
		c.eventually(t, routed, all...)
	})
	t.Run("a daemon is killed and comes back", func(t *testing.T) {
		signal(t, c.pid(t, "run .*--node n1 "), syscall.SIGKILL)
		c.eventually(t, routed, all[1], all[2])
		daemon := c.in("n1", c.binary, "run", "-f", filepath.Join(c.state, "cluster"), "--node", "n1", "--grpc-socket", filepath.Join(c.state, "n1.sock"), "--run-dir", filepath.Join(c.state, "run", "n1"))
		if err := daemon.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- daemon.Wait() }()
		c.eventually(t, routed, all...)

		if err := daemon.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		c.eventually(t, routed, all[1], all[2])
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("a deliberate end: %v", err)
			}
		case <-time.After(must.Patience):
			t.Error("the daemon does not end")
		}
	})
}

// TestMostAttributesFitAMessage announces with everything that annotations and a
// BGPPeer may add, to a router without extended messages (RFC 8654).
func TestMostAttributesFitAMessage(t *testing.T) {
	needs.Root(t, "bird")
	c := upLab(t, "bird")
	c.eventually(t, routed, "172.30.0.11", "172.30.0.12", "172.30.0.13")
	communities := func(admin int, quote string) string {
		var out []string
		for i := range routes.MaxCommunities {
			out = append(out, fmt.Sprintf("%s%d:%d:4294967295%s", quote, admin, i, quote))
		}
		return strings.Join(out, ",")
	}
	c.edit(t, "bgppeer-tor.yaml", "  localASN: 65001\n", "  localASN: 65001\n  attributes: {communities: ["+communities(65000, `"`)+"]}\n")
	c.write(t, "subnet-longest.yaml", fmt.Sprintf(`apiVersion: kubeovn.io/v1
kind: Subnet
metadata:
  name: longest
  annotations:
    fairway.dev/advertise: "true"
    fairway.dev/as-path-prepend: "%d"
    fairway.dev/communities: "%s"
spec:
  cidrBlock: 10.99.0.0/16,fd00:99::/64
`, routes.MaxASPathPrepend, communities(65001, "")))
	c.eventually(t, "10.99.0.0/16", "172.30.0.11", "172.30.0.12", "172.30.0.13")
	c.eventually(t, "fd00:99::/64", "fd00:30::11", "fd00:30::12", "fd00:30::13")
}

// TestThousandSubnets adds a thousand Subnets in one file, and takes them away.
func TestThousandSubnets(t *testing.T) {
	c := upLab(t, "embedded")
	c.eventually(t, routed, "172.30.0.11", "172.30.0.12", "172.30.0.13")
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: s%d, annotations: {fairway.dev/advertise: \"true\"}}\nspec: {cidrBlock: 10.%d.%d.0/24}\n---\n", i, 200+i/250, i%250)
	}
	c.write(t, "thousand.yaml", b.String())
	count := func() int {
		out, _ := c.in("tor", "ip", "-o", "route", "show", "root", "10.200.0.0/14").Output()
		return strings.Count(string(out), "\n")
	}
	until(t, "a thousand routes", func() (string, bool) { n := count(); return fmt.Sprint(n), n == 1000 })
	if err := os.Remove(c.file("thousand.yaml")); err != nil {
		t.Fatal(err)
	}
	until(t, "none of them", func() (string, bool) { n := count(); return fmt.Sprint(n), n == 0 })
	c.eventually(t, routed, "172.30.0.11", "172.30.0.12", "172.30.0.13")
}

// BenchmarkFileToKernel measures from the write of a file to the route in the
// router's kernel, and back.
func BenchmarkFileToKernel(b *testing.B) {
	c := upLab(b, "embedded")
	c.eventually(b, routed, "172.30.0.11", "172.30.0.12", "172.30.0.13")
	lines, _ := c.monitorRoutes(b)
	c.mark(b, lines, "192.0.2.250/32")
	text := "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: probe, annotations: {fairway.dev/advertise: \"%t\"}}\nspec: {cidrBlock: 10.199.0.0/16}\n"
	c.write(b, "probe.yaml", fmt.Sprintf(text, false))
	c.says(b, "n1", "3 Subnets")
	// The lab's own agent makes the nodes' routes when the Subnet appears; what is
	// measured is the annotation.
	var on, off []time.Duration
	for b.Loop() {
		on = append(on, measure(b, c, lines, fmt.Sprintf(text, true), "10.199.0.0/16"))
		c.eventually(b, "10.199.0.0/16", "172.30.0.11", "172.30.0.12", "172.30.0.13")
		drainLines(lines)
		off = append(off, measure(b, c, lines, fmt.Sprintf(text, false), "Deleted 10.199.0.0/16"))
		c.eventually(b, "10.199.0.0/16")
		drainLines(lines)
	}
	slices.Sort(on)
	slices.Sort(off)
	b.ReportMetric(on[len(on)/2].Seconds()*1000, "ms-announce-median")
	b.ReportMetric(on[len(on)-1].Seconds()*1000, "ms-announce-max")
	b.ReportMetric(off[len(off)/2].Seconds()*1000, "ms-withdraw-median")
	b.ReportMetric(off[len(off)-1].Seconds()*1000, "ms-withdraw-max")
}

func drainLines(lines <-chan routeLine) {
	for {
		select {
		case <-lines:
		default:
			return
		}
	}
}

// measure writes the probe's file and gives the time until the monitor tells of
// a route whose line starts so.
func measure(b *testing.B, c *cluster, lines <-chan routeLine, text, start string) time.Duration {
	begin := time.Now()
	c.write(b, "probe.yaml", text)
	for end := time.After(must.Patience); ; {
		select {
		case line := <-lines:
			if strings.HasPrefix(line.text, start) {
				return time.Since(begin)
			}
		case <-end:
			b.Fatalf("no route %s", start)
		}
	}
}

// TestWhatIsReplacedInOneBreathIsNotLost, but only in IPv6: an IPv4 route that goes
// and comes back was lost.
func TestWhatIsReplacedInOneBreathIsNotLost(t *testing.T) {
	at := func(ms int, text string) routeLine {
		return routeLine{time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond), text}
	}
	heard := []routeLine{
		at(0, "Deleted fd00:10:166::/64 via fd00:30::100 dev eth0 proto bgp"), at(1, "fd00:10:166::/64 via fd00:30::100 dev eth0 proto bgp"),
		at(2, "Deleted 10.166.0.0/16 via 172.30.0.100 dev eth0"), at(3, "10.166.0.0/16 via 172.30.0.100 dev eth0"),
		at(4, "Deleted fd00:10:167::/64 via fd00:30::100 dev eth0"), at(2000, "fd00:10:167::/64 via fd00:30::100 dev eth0"),
	}
	if got := lostFor(heard); len(got) != 2 || !strings.Contains(got[0], "10.166") || !strings.Contains(got[1], "10:167") {
		t.Errorf("%q", got)
	}
}
