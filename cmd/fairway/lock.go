package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// lockAgain is the time from one try to get the lock to the next.
const lockAgain = 100 * time.Millisecond

// takeLock waits until no other daemon of this node runs in this network namespace,
// or ctx ends: a router takes one session from an address, and a successor may be
// started before its predecessor has said goodbye. The kernel frees the lock with the
// process. A lock that cannot be had at all is no reason not to announce.
func takeLock(ctx context.Context, folder, node string, log *logrus.Entry) (release func(), err error) {
	f, err := openLock(folder, node)
	if err != nil {
		log.Warnf("a second fairway on this node would not be noticed: %v", err)
		return func() {}, nil
	}
	told := false
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			noteOwner(f)
			return func() { f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			log.Warnf("a second fairway on this node would not be noticed: lock %s: %v", f.Name(), err)
			return func() { f.Close() }, nil
		case !told:
			log.Warnf("another fairway runs on this node, %s: this one begins when it has ended", owner(f))
			told = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(lockAgain):
		}
	}
}

// openLock opens the file of the lock; its folder is made where there is none. In
// another network namespace there are other sessions, and so another lock.
func openLock(folder, node string) (*os.File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	space, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s.%d.lock", filepath.Base(node), space.Sys().(*syscall.Stat_t).Ino)
	return os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_RDWR, 0o600)
}

// noteOwner writes who has the lock, for people.
func noteOwner(f *os.File) {
	_ = f.Truncate(0)
	_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0) // the lock holds without it
}

func owner(f *os.File) string {
	text, _ := io.ReadAll(io.NewSectionReader(f, 0, 20))
	if pid := strings.TrimSpace(string(text)); pid != "" {
		return "process " + pid
	}
	return "a process that has not said which"
}
