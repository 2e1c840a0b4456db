package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/needs"
)

// The whole program, as a user runs it, with each router.
func TestDemoOfTheRealProgram(t *testing.T) {
	binary := buildFairway(t)
	for _, router := range []Router{Embedded, FRR, BIRD} {
		t.Run(string(router), func(t *testing.T) {
			opts := testOptions(t)
			needRouter(t, router)
			cmd := exec.Command(binary, "lab", "demo", "--prefix", opts.Prefix, "--router", string(router), "--gobgp", buildGobgp(t))
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil || !onlyProgress(stderr.String()) {
				t.Fatalf("%v\n%s\n%s", err, stderr.String(), stdout.String())
			}
			if n := strings.Count(stdout.String(), "   ok: "); n != 7 {
				t.Errorf("%d proofs, want 7:\n%s", n, stdout.String())
			}
			expectNothingLeft(t, opts)
		})
	}
}

// onlyProgress is whether nothing else was said than which step is at work.
func onlyProgress(said string) bool {
	for line := range strings.Lines(said) {
		if !strings.HasPrefix(line, "lab: ") || !strings.HasSuffix(line, " ...\n") {
			return false
		}
	}
	return true
}

// Whatever ends the demo, nothing is left of its lab.
func TestInterruptedProgramLeavesNothing(t *testing.T) {
	binary := buildFairway(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			opts := testOptions(t)
			cmd, stdout := startDemo(t, binary, opts)
			readUntil(t, stdout, "1. ")
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, stdout) // to its end, so that Wait may close it
			if err := cmd.Wait(); exitCode(err) < 1 {
				t.Errorf("%v, want an exit status that is not 0", err)
			}
			expectNothingLeft(t, opts)
		})
	}
	t.Run("closed pipe", func(t *testing.T) {
		opts := testOptions(t)
		cmd, stdout := startDemo(t, binary, opts)
		readUntil(t, stdout, "1. ")
		if err := stdout.Close(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); exitCode(err) < 1 {
			t.Errorf("%v, want an exit status that is not 0", err)
		}
		expectNothingLeft(t, opts)
	})
	t.Run("killed", func(t *testing.T) {
		opts := testOptions(t)
		cmd, stdout := startDemo(t, binary, opts)
		readUntil(t, stdout, "1. ")
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		again, err := exec.Command(binary, "lab", "demo", "--prefix", opts.Prefix).CombinedOutput()
		if exitCode(err) != 2 || !strings.Contains(string(again), "fairway lab down") {
			t.Errorf("%v, want exit status 2 and a word about fairway lab down: %s", err, again)
		}
		if out, err := exec.Command(binary, "lab", "down", "--prefix", opts.Prefix).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		expectNothingLeft(t, opts)
	})
}

func startDemo(t *testing.T, binary string, opts Options) (*exec.Cmd, io.ReadCloser) {
	t.Helper()
	cmd := exec.Command(binary, "lab", "demo", "--prefix", opts.Prefix)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout
}

func readUntil(t *testing.T, from io.Reader, text string) {
	t.Helper()
	var seen []byte
	buf := make([]byte, 256)
	for !strings.Contains(string(seen), text) {
		n, err := from.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, seen)
		}
		seen = append(seen, buf[:n]...)
	}
}

// A daemon that ends without a word keeps its routes in the router for the
// restart time, where the BGPPeer asks for graceful restart.
func TestEmbeddedRouterHelpsAGracefulRestart(t *testing.T) {
	opts := testOptions(t)
	opts.Binary = buildFairway(t)
	l := startLab(t, opts)
	text, err := l.ReadYAML("bgppeer-tor.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.WriteYAML("bgppeer-tor.yaml", text+"  gracefulRestart: {enabled: true, restartTime: 60s}\n"); err != nil {
		t.Fatal(err)
	}
	waitForSession(t, l, func(s session) bool { return s.Flaps == 1 })
	expectPaths(t, l, "n1", "n2", "n3")
	prefix, want := netip.MustParsePrefix(routed4), NodeAddresses(false)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			case <-time.After(2 * time.Millisecond):
			}
			if have, err := l.NextHops(routerSpace, prefix); err != nil || !slices.Equal(have, want) {
				stopped <- fmt.Errorf("%v, %w", have, err)
				return
			}
		}
	}()
	if err := l.Signal("n1", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-l.Ended("n1")
	if err := l.StartDaemon("n1"); err != nil {
		t.Fatal(err)
	}
	waitForSession(t, l, func(s session) bool { return s.Flaps == 0 && s.Advertised == 2 })
	close(stop)
	if err := <-stopped; err != nil {
		t.Errorf("the route did not stay as it was: %v", err)
	}
	// And it goes at once where the daemon says that it ends.
	if err := l.Signal("n1", syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expectPaths(t, l, "n2", "n3")
}

// session is what the test reads of /status.json.
type session struct {
	State             string
	Flaps, Advertised int
}

// waitForSession waits until n1's session is established and as wanted.
func waitForSession(t *testing.T, l *Lab, as func(session) bool) {
	t.Helper()
	err := until(t.Context(), bound, func() error {
		text, _ := output(l.Command(t.Context(), "n1", l.Binary, "status", "-o", "json")) // not yet up: no JSON
		var status struct{ Sessions []session }
		if err := json.Unmarshal([]byte(text), &status); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		if len(status.Sessions) != 1 || status.Sessions[0].State != "Established" || !as(status.Sessions[0]) {
			return fmt.Errorf("sessions %+v", status.Sessions)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func buildFairway(t *testing.T) string {
	t.Helper()
	needs.Root(t)
	path := filepath.Join(t.TempDir(), "fairway")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/fairway-bgp/fairway/cmd/fairway").CombinedOutput(); err != nil {
		t.Fatalf("build fairway: %v: %s", err, out)
	}
	return path
}

// needRouter asks for the router's programs.
func needRouter(t *testing.T, router Router) {
	t.Helper()
	if err := router.check(); err != nil {
		needs.Without(t, err)
	}
}
