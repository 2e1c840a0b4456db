package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/status"
)

// startBound is how long a daemon may take to start or to end.
const startBound = 30 * time.Second

// started runs a daemon of files until stop, which waits for its end.
func started(t *testing.T, socket string) (stop func() error) {
	t.Helper()
	return startedWith(t, runFlags{listen: "127.0.0.1:0", grpcSocket: socket, runDir: t.TempDir()})
}

// startedWith runs a daemon with some flags, until its gRPC socket is served.
func startedWith(t *testing.T, f runFlags) (stop func() error) {
	t.Helper()
	f.node, f.overlayLink, f.logLevel, f.logFormat = "n1", "ovn0", "error", "text"
	f.files, f.host.mode, f.onStop = []string{t.TempDir()}, "off", onStopAuto
	socket := f.grpcSocket
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- f.run(ctx, io.Discard) }()
	t.Cleanup(cancel)
	for end := time.Now().Add(startBound); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			break
		}
		select {
		case err := <-over:
			t.Fatalf("it ended: %v", err)
		default:
		}
		if time.Now().After(end) {
			t.Fatal("it does not listen")
		}
	}
	return func() error {
		cancel()
		select {
		case err := <-over:
			return err
		case <-time.After(startBound):
			t.Fatal("it does not end")
			return nil
		}
	}
}

// TestAFreshBootHasNoFolderInRun: /run/fairway is not there.
func TestAFreshBootHasNoFolderInRun(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "run", "fairway")
	stop := started(t, filepath.Join(folder, "gobgp.sock"))
	info, err := os.Stat(folder)
	if err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("the folder of the socket: %v, %v", info.Mode(), err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestItEndsWhoeverLooks has connections that say nothing, for which gRPC waits two
// minutes if it is let.
func TestItEndsWhoeverLooks(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "gobgp.sock")
	stop := started(t, socket)
	for range 5 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestAFailureSaysWhichPartFailed, and ends the others.
func TestAFailureSaysWhichPartFailed(t *testing.T) {
	broken := errors.New("no buffer space")
	untilTheEnd := func(ctx context.Context) error { <-ctx.Done(); return nil }
	err := doAll(context.Background(), []task{
		{"status page", untilTheEnd},
		{"packet filter", func(context.Context) error { return broken }},
		{"loop", untilTheEnd},
	}, startBound, logrus.NewEntry(logrus.New()))
	if !errors.Is(err, broken) || err.Error() != "packet filter: no buffer space" {
		t.Errorf("the error is %v", err)
	}
}

// TestTheEndHasABound: something hangs, and takes no line of the log either.
func TestTheEndHasABound(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	logger := logrus.New()
	logger.SetOutput(hangs(hang))
	begun, begin := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() {
		over <- ended(func() error { <-hang; return nil }, begun, time.Millisecond, logrus.NewEntry(logger))
	}()
	select {
	case err := <-over:
		t.Fatalf("it ended before it was told to: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	begin()
	select {
	case err := <-over:
		if err == nil {
			t.Error("it says that all is well")
		}
	case <-time.After(startBound):
		t.Error("it waits for what hangs")
	}
}

// hangs is a writer that hangs until it is closed.
type hangs chan struct{}

func (h hangs) Write(b []byte) (int, error) {
	<-h
	return len(b), nil
}

// TestPortsThatOthersHaveStopNothing: the daemon announces, says what is not served,
// and its own socket answers the probes.
func TestPortsThatOthersHaveStopNothing(t *testing.T) {
	var taken []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		taken = append(taken, l.Addr().String())
	}
	folder := t.TempDir()
	stop := startedWith(t, runFlags{listen: taken[0], grpcAddress: taken[1], metricsListen: taken[2], grpcSocket: filepath.Join(folder, "gobgp.sock"), runDir: folder})
	var got status.Status
	eventually(t, "it is ready, and says what is not served", func() bool {
		text, err := askSocket(t.Context(), statusSocket(folder), "/status.json")
		return err == nil && json.Unmarshal(text, &got) == nil && got.Ready && len(got.NotServed) == 3
	})
	for i, want := range []string{"gRPC address " + taken[1], "metrics " + taken[2], "status page " + taken[0]} {
		if !strings.HasPrefix(got.NotServed[i], want+" is not served: bind: address already in use (") {
			t.Errorf("%q", got.NotServed[i])
		}
	}
	if out, code := try("run", "-f", folder, "--metrics-listen", "node.example:7474"); code != exitUnknown || !strings.Contains(out, "--metrics-listen: ") {
		t.Errorf("a name as the metrics' address: exit %d, %q", code, out)
	}
	for _, what := range []string{"live", "ready"} {
		if out, code := try("probe", what, "--run-dir", folder); code != exitGood || out != "ok\n" {
			t.Errorf("%s: exit %d, %q", what, code, out)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if out, code := try("probe", "live", "--run-dir", folder); code != exitWrong || !strings.Contains(out, "no daemon answers") {
		t.Errorf("after the end: exit %d, %q", code, out)
	}
}

// TestARunFolderThatCannotBeWrittenStopsNothing, such as a read-only /run.
func TestARunFolderThatCannotBeWrittenStopsNothing(t *testing.T) {
	f := runFlags{listen: "127.0.0.1:0", grpcSocket: filepath.Join(t.TempDir(), "gobgp.sock"), runDir: "/proc/fairway"}
	if err := startedWith(t, f)(); err != nil {
		t.Error(err)
	}
}

// TestASuccessorWaitsForItsPredecessor: it begins when that has ended, and not
// before.
func TestASuccessorWaitsForItsPredecessor(t *testing.T) {
	folder := t.TempDir()
	first := startedWith(t, runFlags{listen: "127.0.0.1:0", grpcSocket: filepath.Join(t.TempDir(), "gobgp.sock"), runDir: folder})
	released := make(chan func())
	said := &lines{}
	go func() {
		release, err := takeLock(t.Context(), folder, "n1", said.entry())
		if err != nil {
			t.Error(err)
		}
		released <- release
	}()
	eventually(t, "the successor says whom it waits for", func() bool {
		return strings.Contains(said.String(), fmt.Sprintf("another fairway runs on this node, process %d: this one begins when it has ended", os.Getpid()))
	})
	select {
	case <-released:
		t.Fatal("the successor has not waited")
	default:
	}
	if err := first(); err != nil {
		t.Error(err)
	}
	(<-released)()
	// Another node's daemon, as in a lab, is no predecessor.
	second := startedWith(t, runFlags{listen: "127.0.0.1:0", grpcSocket: filepath.Join(t.TempDir(), "gobgp.sock"), runDir: folder})
	release, err := takeLock(t.Context(), folder, "n2", said.entry())
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := second(); err != nil {
		t.Error(err)
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) entry() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(l)
	return logrus.NewEntry(log)
}

// try runs a command line, and gives what it says and its exit code.
func try(args ...string) (string, int) {
	var out bytes.Buffer
	code := run(append([]string{"fairway"}, args...), strings.NewReader(""), &out, &out)
	return out.String(), code
}

func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(startBound); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestVisitorsWhoFillThePageDoNotReachTheProbes: they take all connections that there
// are, and say nothing.
func TestVisitorsWhoFillThePageDoNotReachTheProbes(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	folder := t.TempDir()
	stop := startedWith(t, runFlags{listen: address, grpcSocket: filepath.Join(folder, "gobgp.sock"), runDir: folder})
	var visitors []net.Conn
	eventually(t, "the page is full", func() bool {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return false // it is not served yet
		}
		visitors = append(visitors, c)
		t.Cleanup(func() { c.Close() })
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err = c.Read(make([]byte, 1))
		return errors.Is(err, io.EOF) // closed as it came
	})
	if n := len(visitors); n <= mostPageConns {
		t.Errorf("full with %d", n)
	}
	for _, what := range []string{"live", "ready"} {
		eventually(t, what, func() bool {
			_, code := try("probe", what, "--run-dir", folder)
			return code == exitGood
		})
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
