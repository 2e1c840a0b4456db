package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// TestUndoBesideADaemonThatEnforces does nothing, says why, and fails; without
// that daemon it says what it did.
func TestUndoBesideADaemonThatEnforces(t *testing.T) {
	needs.Root(t, "iptables-nft", "ipset")
	state := t.TempDir()
	kept, err := os.Create(filepath.Join(state, "enforcing.lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(kept.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	n := hosttest.NewSpace(t)
	n.Run("ipset", "create", "fairway4", "hash:net")
	for _, want := range []struct {
		code int
		said string
	}{
		{exitWrong, "fairway: the daemon on this node enforces: start it with --host=off, which takes everything back\n"},
		{exitGood, "sets removed: fairway4\n"},
	} {
		var said strings.Builder
		var code int
		n.Do(func() error {
			code = run([]string{"fairway", "check", "--undo", "--host-state", state}, strings.NewReader(""), &said, &said)
			return nil
		})
		if code != want.code || said.String() != want.said {
			t.Errorf("exit %d: %s", code, said.String())
		}
		kept.Close() // as a daemon that ends, however
	}
}
