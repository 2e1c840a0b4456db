package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// startBound is how long a daemon may take to start or to end.
const startBound = 30 * time.Second

// started runs a daemon of files until stop, which waits for its end.
func started(t *testing.T, socket string) (stop func() error) {
	t.Helper()
	f := runFlags{node: "n1", listen: "127.0.0.1:0", grpcSocket: socket, overlayLink: "ovn0", logLevel: "error", logFormat: "text"}
	f.files, f.host.mode = []string{t.TempDir()}, "off"
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
