package flock_test

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/flock"
)

func TestLockIsAnothersUntilItIsClosed(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "made")
	first, err := flock.Lock(folder, "x.lock", unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flock.Lock(folder, "x.lock", unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("while another has it: %v", err)
	}
	first.Close()
	second, err := flock.Lock(folder, "x.lock", unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		t.Fatalf("after that: %v", err)
	}
	second.Close()
	if _, err := flock.Lock("/proc/fairway", "x.lock", unix.LOCK_EX); err == nil {
		t.Error("its folder cannot be made, and no error")
	}
}
