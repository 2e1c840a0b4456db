package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bound is generous: a loaded machine must not fail what is right.
const bound = 30 * time.Second

func TestDemoProvesItsStories(t *testing.T) {
	opts := testOptions(t)
	opts.Gobgp = buildGobgp(t)
	var out bytes.Buffer
	if err := Demo(t.Context(), opts, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if n := strings.Count(out.String(), "   ok: "); n != 7 {
		t.Errorf("%d proofs, want 7:\n%s", n, out.String())
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if len([]rune(line)) > width {
			t.Errorf("wider than %d: %q", width, line)
		}
	}
	expectNothingLeft(t, opts)
}

// buildGobgp builds the CLI of go.mod's GoBGP, which the daemons speak.
func buildGobgp(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gobgp")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/osrg/gobgp/v4/cmd/gobgp").CombinedOutput(); err != nil {
		t.Fatalf("build gobgp: %v: %s", err, out)
	}
	return path
}

func expectNothingLeft(t *testing.T, opts Options) {
	t.Helper()
	opts, err := opts.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	left, err := opts.leftovers()
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	processes, err := opts.marked()
	if err != nil || len(processes) > 0 {
		t.Errorf("processes left over: %v %v", processes, err)
	}
}

// A proof that does not hold must not pass: the demo is told that NAT Subnets
// are announced, by a gobgp that shows nothing.
func TestDemoFailsWhereAProofDoesNotHold(t *testing.T) {
	opts := testOptions(t)
	opts.Gobgp = "true" // exits with 0 and prints nothing
	var out bytes.Buffer
	err := Demo(t.Context(), opts, &out)
	if !errors.Is(err, ErrNotProved) || !strings.Contains(err.Error(), "step 5") {
		t.Errorf("error %v, want that step 5 is not proved", err)
	}
	logs := regexp.MustCompile(`logs: +(\S+)`).FindStringSubmatch(out.String())
	if !strings.Contains(out.String(), "expected: Establ") || logs == nil {
		t.Fatalf("no word of what was expected and where the logs are:\n%s", out.String())
	}
	t.Cleanup(func() { _ = os.RemoveAll(logs[1]) })
	if _, err := os.Stat(filepath.Join(logs[1], "router.log")); err != nil {
		t.Errorf("the logs are gone: %v", err)
	}
	expectNothingLeft(t, opts)
}

func TestDemoInterruptedLeavesNothing(t *testing.T) {
	opts := testOptions(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	interrupt := &after{text: "1. ", then: cancel}
	if err := Demo(ctx, opts, interrupt); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want an interruption", err)
	}
	expectNothingLeft(t, opts)
}

// after calls then when text has been written.
type after struct {
	bytes.Buffer
	text string
	then func()
}

func (a *after) Write(p []byte) (int, error) {
	if strings.Contains(string(p), a.text) {
		a.then()
	}
	return a.Buffer.Write(p)
}

// Without any BGP: a static route in by n1 reaches the Pod on n2, whose replies
// leave by n2.
func TestAsymmetricPathCarriesHTTP(t *testing.T) {
	l := startLab(t, testOptions(t))
	for i, pod := range []string{webPod4, webPod6} {
		addr := netip.MustParseAddr(pod)
		r := route{to: netip.PrefixFrom(addr, addr.BitLen()), via: NodeAddresses(i == 1, "n1")}
		if err := l.wiring.spaces[routerSpace].replaceRoute(r, routeProtocolStart); err != nil {
			t.Fatal(err)
		}
		v, err := l.Visit(t.Context(), "ext", addr)
		if err != nil {
			t.Fatal(err)
		}
		ends := prefixes(ext4, ext6)
		want := Visit{Status: 200, Pod: "web", Node: "n2", From: ends[i].Addr(), Seen: ends[i].Addr(), In: "n1", Out: "n2"}
		if v != want {
			t.Errorf("visit\n%+v, want\n%+v", v, want)
		}
	}
}

// A node that drops INVALID breaks the asymmetric case: what the taps see is the
// path that packets really take.
func TestInvalidDropOnTheWayBackBreaksIt(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Fatal("nft is needed: apt-get install nftables")
	}
	l := startLab(t, testOptions(t))
	web := netip.MustParseAddr(webPod4)
	r := route{to: netip.PrefixFrom(web, 32), via: NodeAddresses(false, "n1")}
	if err := l.wiring.spaces[routerSpace].replaceRoute(r, routeProtocolStart); err != nil {
		t.Fatal(err)
	}
	nft := l.command(t.Context(), "n2", "nft", "-f", "-")
	nft.Stdin = strings.NewReader("table ip t {\n chain f {\n type filter hook forward priority 0;\n ct state invalid drop\n }\n}\n")
	if _, err := output(nft); err != nil {
		t.Fatal(err)
	}
	if v, err := l.Visit(t.Context(), "ext", web); err == nil {
		t.Errorf("answered: %+v", v)
	}
}

func TestRouters(t *testing.T) {
	for _, router := range []Router{Embedded, FRR, BIRD} {
		t.Run(string(router), func(t *testing.T) {
			opts := testOptions(t)
			opts.Router = router
			needRouter(t, router)
			l := startLab(t, opts) // ECMP by three nodes, in both families
			expectPaths(t, l, "n1", "n2", "n3")
			setGateway(t, l, "centralized", "n2")
			expectPaths(t, l, "n2")
			setGateway(t, l, "distributed", "")
			expectPaths(t, l, "n1", "n2", "n3")
			if err := l.Signal("n3", unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			expectPaths(t, l, "n1", "n2")
			if err := l.StartDaemon("n3"); err != nil {
				t.Fatal(err)
			}
			expectPaths(t, l, "n1", "n2", "n3")
		})
	}
}

// setGateway rewrites the Subnet "routed".
func setGateway(t *testing.T, l *Lab, gatewayType, gatewayNode string) {
	t.Helper()
	text, err := l.ReadYAML("subnet-routed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^  gateway(Type|Node):.*\n`).ReplaceAllString(text, "")
	text += fmt.Sprintf("  gatewayType: %s\n  gatewayNode: %q\n", gatewayType, gatewayNode)
	if err := l.WriteYAML("subnet-routed.yaml", text); err != nil {
		t.Fatal(err)
	}
}

// expectPaths wants the router to reach "routed" by these nodes in both
// families, and a Pod to answer on that way.
func expectPaths(t *testing.T, l *Lab, by ...string) {
	t.Helper()
	for _, p := range prefixes(routed4, routed6) {
		want := NodeAddresses(p.Addr().Is6(), by...)
		err := until(t.Context(), bound, func() error {
			have, err := l.NextHops(routerSpace, p)
			if err == nil && !slices.Equal(have, want) {
				err = &disproof{routeText(routerSpace, p, want), routeText(routerSpace, p, have)}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, pod := range []string{webPod4, webPod6} {
		_, err := l.WaitForVisit(t.Context(), "ext", netip.MustParseAddr(pod), func(v Visit) string {
			if !slices.Contains(by, v.In) {
				return "in by one of " + strings.Join(by, ", ")
			}
			return ""
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The embedded router owns its kernel routes: it puts back what somebody
// deletes and takes away what nobody announces.
func TestEmbeddedRouterKeepsTheKernelInStep(t *testing.T) {
	l := startLab(t, testOptions(t))
	tor := l.wiring.spaces[routerSpace]
	if err := uninstall(tor.Handle, netip.MustParsePrefix(routed6)); err != nil {
		t.Fatal(err)
	}
	foreign := netip.MustParsePrefix("192.0.2.0/24")
	if err := install(tor.Handle, foreign, NodeAddresses(false, "n1")); err != nil {
		t.Fatal(err)
	}
	expectPaths(t, l, "n1", "n2", "n3")
	if err := l.WaitForRoute(t.Context(), routerSpace, foreign); err != nil {
		t.Error(err)
	}
}

// The agent follows the folder: return paths, CIDRs and Pods.
func TestAgentFollowsAFolderThatWasMovedAwayAndBack(t *testing.T) {
	l := startLab(t, testOptions(t))
	away := l.ClusterDir() + ".away"
	if err := errors.Join(os.Rename(l.ClusterDir(), away), os.Rename(away, l.ClusterDir())); err != nil {
		t.Fatal(err)
	}
	// Once it is seen that the agent has looked at the folder that is back, what it
	// reads later must come from a watch.
	for _, cidr := range []string{"10.168.0.0/16", "10.169.0.0/16"} {
		name := "more-" + cidr[3:6]
		text := "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: " + name + "}\nspec: {cidrBlock: " + cidr + "}\n"
		if err := l.WriteYAML(name+".yaml", text); err != nil {
			t.Fatal(err)
		}
		if err := l.WaitForRoute(t.Context(), "n1", netip.MustParsePrefix(cidr), joinGateway(false)); err != nil {
			t.Error(err)
		}
	}
}

func TestAgentFollowsTheFolder(t *testing.T) {
	l := startLab(t, testOptions(t))
	web := netip.MustParseAddr(webPod4)
	outBy := func(node string) func(Visit) string {
		return func(v Visit) string {
			if v.Out != node {
				return "out by " + node
			}
			return ""
		}
	}
	setGateway(t, l, "centralized", "nowhere,n3:10.0.0.1")
	if _, err := l.WaitForVisit(t.Context(), "ext", web, outBy("n3")); err != nil {
		t.Error(err)
	}
	if err := l.WriteYAML("more.yaml", moreObjects); err != nil {
		t.Fatal(err)
	}
	cidr := netip.MustParsePrefix("10.168.0.0/16")
	for _, n := range nodes() {
		if err := l.WaitForRoute(t.Context(), n.name, cidr, joinGateway(false)); err != nil {
			t.Error(err)
		}
	}
	v, err := l.WaitForVisit(t.Context(), "n2", netip.MustParseAddr("10.168.0.7"), func(Visit) string { return "" })
	if err != nil || v.Pod != "a-pod-with-a-long-name" {
		t.Errorf("%+v %v", v, err)
	}
	if err := os.WriteFile(filepath.Join(l.ClusterDir(), "more.yaml"), []byte("kind: Sub\n  x: ["), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.WriteYAML("third.yaml", strings.NewReplacer("168", "169", "more", "third", "long", "longer").Replace(moreObjects)); err != nil {
		t.Fatal(err)
	}
	if err := l.WaitForRoute(t.Context(), "n1", netip.MustParsePrefix("10.169.0.0/16"), joinGateway(false)); err != nil {
		t.Error(err)
	}
	if hops, err := l.NextHops("n1", cidr); err != nil || len(hops) != 1 {
		t.Errorf("a broken file took its Subnet away: %v %v", hops, err)
	}
	if err := os.Remove(filepath.Join(l.ClusterDir(), "more.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes() {
		if err := l.WaitForRoute(t.Context(), n.name, cidr); err != nil {
			t.Error(err)
		}
	}
	err = until(t.Context(), bound, func() error {
		spaces, err := l.spaces()
		if err == nil && slices.Contains(spaces, l.Prefix+"pod-a-pod-with-a-long-name") {
			err = errors.New("the Pod's namespace is still there")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

const moreObjects = `
apiVersion: v1
kind: List
items:
- apiVersion: kubeovn.io/v1
  kind: Subnet
  metadata: {name: more-than-fifteen-letters}
  spec: {cidrBlock: 10.168.0.0/16, gatewayType: distributed}
- apiVersion: v1
  kind: Pod
  metadata:
    name: a-pod-with-a-long-name
    annotations:
      ovn.kubernetes.io/logical_switch: more-than-fifteen-letters
      ovn.kubernetes.io/ip_address: 10.168.0.7
  spec: {nodeName: n1}
`

func TestStartRefusesALabThatIsThere(t *testing.T) {
	opts := testOptions(t)
	startLab(t, opts)
	_, err := Start(t.Context(), opts)
	if !errors.Is(err, ErrLeftover) || !strings.Contains(err.Error(), "--prefix "+opts.Prefix) {
		t.Errorf("error %v, want that a lab is there and how to remove it", err)
	}
	other := opts
	other.State = filepath.Join(t.TempDir(), "other")
	if _, err := Start(t.Context(), other); !errors.Is(err, ErrLeftover) {
		t.Errorf("error %v, want that the namespaces are there", err)
	}
}

// Of several that start at once, one gets the lab and the others leave it alone.
func TestStartAtOnce(t *testing.T) {
	opts := testOptions(t)
	const starters = 4
	labs := make(chan *Lab, starters)
	for range starters {
		go func() {
			l, err := Start(t.Context(), opts)
			if err != nil && !errors.Is(err, ErrLeftover) {
				t.Error(err)
			}
			labs <- l
		}()
	}
	var winners []*Lab
	for range starters {
		if l := <-labs; l != nil {
			winners = append(winners, l)
		}
	}
	if len(winners) != 1 {
		t.Fatalf("%d labs started, want 1", len(winners))
	}
	if err := winners[0].WaitUntilReady(t.Context()); err != nil {
		t.Error(err)
	}
}

// A failure in the middle takes away what was made.
func TestStartThatFailsLeavesNothing(t *testing.T) {
	opts := testOptions(t)
	opts.Binary = "/nowhere/fairway"
	var out bytes.Buffer
	if err := Up(t.Context(), opts, &out); err == nil {
		t.Error("a lab without a binary came up")
	}
	expectNothingLeft(t, opts)
}

// A daemon that ends at once is reported at once, with its last words.
func TestUpSaysWhoEnded(t *testing.T) {
	opts := testOptions(t)
	opts.Binary = filepath.Join(t.TempDir(), "fairway")
	script := "#!/bin/sh\n[ $1 = run ] || exec " + os.Args[0] + " \"$@\"\necho no such flag; exit 2\n"
	if err := os.WriteFile(opts.Binary, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	begin := time.Now()
	err := Up(t.Context(), opts, &out)
	if !errors.Is(err, ErrNotProved) || !strings.Contains(err.Error(), "no such flag") || time.Since(begin) > proofBound {
		t.Errorf("after %v: %v\n%s", time.Since(begin), err, out.String())
	}
	expectNothingLeft(t, opts)
	if logs := regexp.MustCompile(`logs: +(\S+)`).FindStringSubmatch(out.String()); logs != nil {
		_ = os.RemoveAll(logs[1])
	}
}

// kill -9 in the middle: whatever was made until then, Down finds it.
func TestDownAfterKill(t *testing.T) {
	opts := testOptions(t)
	for _, when := range []time.Duration{5 * time.Millisecond, 60 * time.Millisecond, 150 * time.Millisecond, 400 * time.Millisecond, 1500 * time.Millisecond} {
		up := exec.Command(os.Args[0])
		up.Env = append(os.Environ(), upEnv+"="+opts.Prefix+":"+opts.State)
		if err := up.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(when) // a moment of its life, not a synchronisation
		if err := up.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = up.Wait() // killed
		for range 2 {
			if err := Down(t.Context(), opts); err != nil {
				t.Fatalf("killed after %v: %v", when, err)
			}
		}
		expectNothingLeft(t, opts)
	}
}

// A folder that is not a lab's is never emptied, whatever the command line says.
func TestDownLeavesStrangeFoldersAlone(t *testing.T) {
	opts := testOptions(t)
	strange := opts
	strange.State = t.TempDir()
	file := filepath.Join(strange.State, "thesis.tex")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), strange); !errors.Is(err, ErrLeftover) {
		t.Errorf("error %v, want that the folder is there", err)
	}
	for _, owner := range []string{"", opts.Prefix + "other-"} {
		if owner != "" {
			if err := os.WriteFile(filepath.Join(strange.State, stateMark), []byte(owner), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := Down(t.Context(), strange); err == nil || !strings.Contains(err.Error(), "it stays") {
			t.Errorf("error %v, want that the folder stays", err)
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// An interrupted `ip netns add` leaves a file without a namespace on it.
func TestDownRemovesHalfANamespace(t *testing.T) {
	opts := testOptions(t)
	if err := os.WriteFile(filepath.Join(netnsFolder, opts.Prefix+"n1"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), opts); !errors.Is(err, ErrLeftover) {
		t.Errorf("error %v, want that something is left over", err)
	}
	if err := Down(t.Context(), opts); err != nil {
		t.Error(err)
	}
	expectNothingLeft(t, opts)
}

// Names that only begin like the lab's belong to somebody else, and so do
// processes inside them.
func TestDownLeavesOthersAlone(t *testing.T) {
	opts := testOptions(t)
	strangers := []string{opts.Prefix + "mgmt", opts.Prefix + "n11", strings.TrimSuffix(opts.Prefix, "-") + "x-n1"}
	for _, name := range strangers {
		if err := addSpace(name); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := removeSpace(name); err != nil {
				t.Error(err)
			}
		})
	}
	bystander := exec.Command("ip", "netns", "exec", strangers[0], "sleep", "60")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = bystander.Process.Kill()
		_ = bystander.Wait()
	})
	l, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range strangers {
		s, err := openSpace(name)
		if err != nil {
			t.Error(err)
			continue
		}
		s.close()
	}
	if err := bystander.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("the bystander: %v", err)
	}
}

func TestExecFindsStationsAndPods(t *testing.T) {
	l := startLab(t, testOptions(t))
	for name, want := range map[string]string{"n1": "172.30.0.11", "web": webPod4} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), execEnv+"="+l.Prefix+" "+name+" ip -br addr show eth0")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("exec %s: %v %s", name, err, out)
		}
	}
	err := Exec(l.Options, "n4", []string{"true"})
	if err == nil || !strings.Contains(err.Error(), `no "n4"; it has`) {
		t.Errorf("error %v, want the names that there are", err)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	for name, opts := range map[string]Options{
		"prefix without a dash": {Prefix: "fw"},
		"prefix of two words":   {Prefix: "fw-pod-"},
		"prefix with a slash":   {Prefix: "../-"},
		"relative state folder": {State: "here"},
		"unknown router":        {Router: "cisco"},
	} {
		if _, err := opts.withDefaults(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
