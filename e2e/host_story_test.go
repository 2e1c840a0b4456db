package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/lab"
	"github.com/fairway-bgp/fairway/status"
)

// invalidDrop is what kube-proxy in iptables mode keeps on a node, in one
// transaction that flushes whatever else is there.
const invalidDrop = "*filter\n:FORWARD ACCEPT\n-F FORWARD\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"

// TestHostStory is the asymmetric case: requests come in by any node, replies
// leave by n2, where the Pod runs and where somebody drops INVALID packets.
func TestHostStory(t *testing.T) {
	needs.Root(t, "ip", "nft", "iptables-nft", "iptables-legacy", "ipset")
	s := newHostStory(t)
	if failed := s.visits(12); failed != nil {
		t.Fatalf("before anything: %v", failed)
	}
	t.Run("what the pages say to type", func(t *testing.T) { runPages(t, s.Lab) })
	for _, backend := range []string{"iptables-nft", "iptables-legacy"} {
		t.Run(backend, func(t *testing.T) { s.play(t, backend) })
	}
}

type hostStory struct {
	*lab.Lab
	t         *testing.T
	hostState string
}

func newHostStory(t *testing.T) *hostStory {
	dir := t.TempDir()
	binary := program.Build(t)
	l, err := lab.Start(t.Context(), lab.Options{Prefix: fmt.Sprintf("fwh%d-", os.Getpid()), State: filepath.Join(dir, "state"), Binary: binary, DaemonFlags: []string{"--drain-wait=0s"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := l.WaitUntilReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &hostStory{l, t, filepath.Join(dir, "host")}
}

func (s *hostStory) play(t *testing.T, backend string) {
	drop := func() {
		cmd := s.Command(t.Context(), "n2", backend+"-restore", "--noflush", "-w", "5")
		cmd.Stdin = strings.NewReader(invalidDrop)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	drop()
	if s.visits(20) == nil {
		t.Fatal("INVALID is dropped on n2 and nothing fails")
	}
	await(t, "check names the rule", func() bool {
		code, f := s.check(t, "n2")
		return code == 1 && strings.Contains(f["invalid-drop"].Got, backend+" filter FORWARD rule 1: -A FORWARD -m conntrack --ctstate INVALID -j DROP")
	})

	s.restart(t, "n2", "--host=enforce", "--host-state", s.hostState)
	await(t, "enforce makes the host right", func() bool { code, f := s.check(t, "n2"); return code == 0 && f["invalid-drop"].State == host.OK })
	if err := s.visits(12); err != nil {
		t.Errorf("enforced: %v", err)
	}
	s.whileDrained(t, "n2", func() {
		if code, f := s.check(t, "n2"); code != 0 || f["invalid-drop"].State != host.OK {
			t.Errorf("drained: exit %d, %v", code, f)
		}
		// Requests come in by the others; the replies of n2's Pod leave by n2 as before.
		if err := s.visits(12); err != nil {
			t.Errorf("drained: %v", err)
		}
	})
	s.storm(t, backend, drop)
	s.replaceUnderPings(t, backend)

	ours := func() bool {
		out, _ := s.Command(t.Context(), "n2", backend, "-S").CombinedOutput()
		return strings.Contains(strings.ToLower(string(out)), "fairway")
	}
	s.restart(t, "n2", "--host=off", "--host-state", s.hostState)
	await(t, "a daemon that has nothing to do with the host takes back what was enforced", func() bool { return !ours() })

	s.restart(t, "n2", "--host=enforce", "--host-state", s.hostState)
	await(t, "enforced again", ours)
	s.restart(t, "n2", "--host=audit")
	drop()
	if out, err := s.Command(t.Context(), "n2", s.Binary, "check", "--undo", "--host-state", s.hostState).CombinedOutput(); err != nil {
		t.Fatalf("undo: %v: %s", err, out)
	}
	if ours() {
		t.Error("undo left something of ours")
	}
	if s.visits(20) == nil {
		t.Error("undone, and nothing fails")
	}
	cmd := s.Command(t.Context(), "n2", backend, "-F", "FORWARD")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.restart(t, "n2")
}

// storm flushes the chain and puts the drop back 20 times, while somebody visits. Between
// two flushes our jump is back, and stands for four times as long as that took: how fast
// this machine is decides nothing here (BenchmarkFlushToBack measures it).
func (s *hostStory) storm(t *testing.T, backend string, drop func()) {
	ctx, over := context.WithCancel(t.Context())
	visited := make(chan struct{})
	defer func() { over(); <-visited }()
	good, bad := 0, 0
	go func() {
		defer close(visited)
		for ctx.Err() == nil {
			// A packet lost in the moment without rules is sent again by TCP.
			if _, err := s.Visit(t.Context(), "ext", netip.MustParseAddr("10.166.0.10")); err != nil {
				t.Logf("visit: %v", err)
				bad++
			} else {
				good++
			}
		}
	}()
	var gaps []time.Duration
	for range 20 {
		drop()
		flushed := time.Now()
		await(t, "the jump in front of the drop again", func() bool { return s.jumpsFirst(backend) })
		gap := time.Since(flushed)
		gaps = append(gaps, gap)
		time.Sleep(4 * gap)
	}
	over()
	<-visited
	slices.Sort(gaps)
	t.Logf("%d flushes, back after %v (median) to %v; %d visits answered, %d not", len(gaps), gaps[len(gaps)/2], gaps[len(gaps)-1], good, bad)
	// Who is out of luck three times within two seconds is not answered in time. Without
	// any repair two of three are not.
	if bad*3 > good || good < 10 {
		t.Errorf("%d visits answered, %d not", good, bad)
	}
}

// replaceUnderPings has the enforcing daemon replace its chain again and again, for a CIDR
// that comes and goes, while the policy drops all that it does not let through.
func (s *hostStory) replaceUnderPings(t *testing.T, backend string) {
	run := func(argv ...string) string {
		out, err := s.Command(t.Context(), "n2", argv...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	run(backend, "-P", "FORWARD", "DROP")
	defer run(backend, "-P", "FORWARD", "ACCEPT")
	stream, err := s.StartStream("ext", netip.MustParseAddr("10.166.0.10"), 2*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.WaitForAnswer(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := stream.Stop()
	if stream, err = s.StartStream("ext", netip.MustParseAddr("10.166.0.10"), 2*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	another := "{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: another, annotations: {fairway.dev/advertise: \"true\"}}, spec: {cidrBlock: 10.177.0.0/16, gatewayType: distributed}}\n"
	for range 3 {
		for _, there := range []bool{true, false} {
			if err := s.WriteYAML("another.yaml", map[bool]string{true: another}[there]+"---\n"); err != nil {
				t.Fatal(err)
			}
			await(t, fmt.Sprintf("our chain has the CIDR: %t", there), func() bool {
				return strings.Contains(run(backend, "-S"), "10.177.0.0/16") == there
			})
		}
	}
	loss := stream.Stop()
	t.Logf("the policy taken, %v; then our chain replaced 6 times, %v", before, loss)
	if loss.Lost > 0 {
		t.Errorf("replacing our chain: %v", loss)
	}
}

// jumpsFirst is whether our jump is the first rule of n2's FORWARD. It looks under a lock
// of its own, so that the repair does not wait for it.
func (s *hostStory) jumpsFirst(backend string) bool {
	out, err := s.Command(s.t.Context(), "n2", "env", "XTABLES_LOCKFILE="+filepath.Join(s.State, "xtables.lock"), backend, "-S", "FORWARD").Output()
	lines := strings.Split(string(out), "\n")
	return err == nil && len(lines) > 1 && strings.Contains(lines[1], "-j FAIRWAY-FORWARD")
}

// whileDrained does something while a node is drained, and what was announced by
// it is gone from the router.
func (s *hostStory) whileDrained(t *testing.T, node string, do func()) {
	t.Helper()
	file := filepath.Join(s.State, "cluster", "nodes.yaml")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := "  name: " + node + "\n  annotations:\n"
	if strings.Count(string(before), at) != 1 {
		t.Fatalf("%s has Node %s not once", file, node)
	}
	writeFile(t, file, []byte(strings.Replace(string(before), at, at+"    fairway.dev/drain: \"true\"\n", 1)))
	announcing := func(n int) func() bool {
		return func() bool {
			out, _ := s.Command(t.Context(), node, s.Binary, "status", "-o", "json").Output()
			var st status.Status
			return json.Unmarshal(out, &st) == nil && len(st.Plan.Adverts) == n
		}
	}
	await(t, node+" is drained", announcing(0))
	do()
	writeFile(t, file, before)
	await(t, node+" announces again", announcing(2))
}

// visits asks the Pod n times, each time by a new connection, and gives the
// first failure.
func (s *hostStory) visits(n int) error {
	for range n {
		if _, err := s.Visit(s.t.Context(), "ext", netip.MustParseAddr("10.166.0.10")); err != nil {
			return err
		}
	}
	return nil
}

// restart replaces a node's daemon.
func (s *hostStory) restart(t *testing.T, node string, flags ...string) {
	t.Helper()
	ended := s.Ended(node)
	if err := s.Signal(node, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the daemon does not end")
	}
	if err := s.StartDaemon(node, flags...); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitUntilReady(t.Context()); err != nil && len(flags) > 0 && flags[0] != "--host=off" {
		t.Logf("%v", err) // visits decide
	}
}

// check asks a node's daemon, and gives the exit status and the findings of the
// IPv4 network.
func (s *hostStory) check(t *testing.T, node string) (int, map[string]host.Finding) {
	cmd := s.Command(t.Context(), node, s.Binary, "check", "-o", "json")
	out, _ := cmd.Output()
	var answer struct{ Findings []host.Finding }
	if err := json.Unmarshal(out, &answer); err != nil {
		return -1, nil
	}
	byCheck := map[string]host.Finding{}
	// The errors of the join gateway itself are no CIDR's: Kube-OVN's own rules let them
	// pass, and the lab has none.
	answer.Findings = slices.DeleteFunc(answer.Findings, func(f host.Finding) bool { return f.About.Part == "path MTU" })
	for _, f := range answer.Findings {
		if f.Subject == "10.166.0.0/16" {
			byCheck[f.Check] = f
		}
	}
	return map[host.State]int{host.OK: 0, host.Wrong: 1, host.Unknown: 2}[host.Worst(answer.Findings)], byCheck
}
