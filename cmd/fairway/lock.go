package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/flock"
)

// lockAgain is the time from one try to get the lock to the next.
const lockAgain = 100 * time.Millisecond

// takeLock waits until no other daemon of this node runs in this network namespace,
// or ctx ends: a router takes one session from an address, and a successor may be
// started before its predecessor has said goodbye. The kernel frees the lock with the
// process. A lock that cannot be had at all is no reason not to announce.
func takeLock(ctx context.Context, folder, node string, log *logrus.Entry) (release func(), err error) {
	name, err := lockName(node)
	if err != nil {
		return unlocked(log, err), nil
	}
	for told := false; ; told = true {
		f, err := flock.Lock(folder, name, unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			noteOwner(f)
			return func() { f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return unlocked(log, err), nil
		case !told:
			log.Warnf("another fairway runs on this node, %s: this one begins when it has ended", owner(filepath.Join(folder, name)))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockAgain):
		}
	}
}

// unlocked goes on without the lock.
func unlocked(log *logrus.Entry, err error) (release func()) {
	log.Warnf("a second fairway on this node would not be noticed: %v", err)
	return func() {}
}

// lockName is the file of a node's lock. In another network namespace there are other
// sessions, and so another lock.
func lockName(node string) (string, error) {
	space, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s.%d.lock", filepath.Base(node), space.Sys().(*syscall.Stat_t).Ino), nil
}

// noteOwner writes who has the lock, for people.
func noteOwner(f *os.File) {
	_ = f.Truncate(0)
	_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0) // the lock holds without it
}

func owner(path string) string {
	text, _ := os.ReadFile(path)
	if pid := strings.TrimSpace(string(text)); pid != "" {
		return "process " + pid
	}
	return "a process that has not said which"
}
