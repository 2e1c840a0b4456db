package enforce_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/enforce"
)

// TestWhoMayNotWriteIsToldWhatToDo: on a read-only /run, and without root.
func TestWhoMayNotWriteIsToldWhatToDo(t *testing.T) {
	n, readOnly, others := node(t), t.TempDir(), t.TempDir()
	fix := func(state string) (err error) {
		_ = n.Do(func() error {
			e := enforce.Enforcer{State: state}
			_, err = e.Enforce(context.Background(), dual())
			return nil
		})
		return err
	}
	err := n.Do(func() error { // the thread ends with the test, and its mounts with it
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("leave the mount namespace: %w", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("keep mounts to oneself: %w", err)
		}
		return unix.Mount("none", readOnly, "tmpfs", unix.MS_RDONLY, "")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := fix(readOnly); err == nil || !strings.Contains(err.Error(), "name a folder that can be written, and stays, with --host-state") {
		t.Errorf("read-only: %v", err)
	}
	err = n.Do(func() error {
		const nobody = 65534
		if _, _, failed := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); failed != 0 {
			return failed
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := fix(others); err == nil || !strings.HasSuffix(err.Error(), "; run it as root") {
		t.Errorf("without root: %v", err)
	}
	found := find(t, host.Check(read(n), dual()), "forward-drop")
	if found.State != host.Unknown || found.Got != "only root may read the packet filter" || !strings.Contains(found.Fix, "run as root") {
		t.Errorf("without root: %s: %s; %s", found.State, found.Got, found.Fix)
	}
}
