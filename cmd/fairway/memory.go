package main

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/status"
)

// cgroups is where the kernel shows its control groups (cgroups(7)).
const cgroups = "/sys/fs/cgroup"

// boundMemory has Go, where the process has a limit, work harder the nearer it comes,
// instead of being killed at a peak; a seventh is left for what is not Go's heap.
// GOMEMLIMIT goes before.
func boundMemory() {
	own, _ := os.ReadFile("/proc/self/cgroup") // without one there is no limit to be seen
	if room, limited := memoryRoom(cgroups, string(own)); limited && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(room / 7 * 6)
	}
}

// settled is how long after it was ready a daemon has done what a start takes: the first
// routes are with the routers, and the state is on disk.
const settled = 10 * time.Second

// giveBackMemory returns to the system, once, what only the start needed. Go would keep
// it for the next peak, and there is none: afterwards one object changes at a time. From
// then on garbage is collected when there is a quarter of what is in use, for a daemon on
// every node rarely works and always takes room. Before, Go's own bound holds: half of it
// costs a start an eighth of its processor time. GOGC goes before.
func giveBackMemory(ctx context.Context, board *status.Board) {
	for {
		wait := board.Changed()
		var later <-chan time.Time
		if st := board.Newest(); st != nil && st.Ready {
			wait, later = nil, time.After(settled)
		}
		select {
		case <-ctx.Done():
			return
		case <-wait:
		case <-later:
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(25)
			}
			debug.FreeOSMemory()
			return
		}
	}
}

// memoryRoom gives the least limit, in octets, of a process's control group and of
// those that it is in; limited is false where none has one. own is the content of
// its /proc/PID/cgroup, and root the mounts' folder.
func memoryRoom(root, own string) (room int64, limited bool) {
	room = math.MaxInt64
	for line := range strings.Lines(own) {
		hierarchy, group, ok := memoryGroup(strings.TrimSpace(line))
		for ok {
			if n, found := readRoom(filepath.Join(root, hierarchy, group)); found {
				room, limited = min(room, n), true
			}
			ok = len(group) > 1
			group = filepath.Dir(group)
		}
	}
	return room, limited
}

// memoryGroup reads a line of /proc/PID/cgroup: version 2 has one hierarchy, and
// version 1 one of its own for memory.
func memoryGroup(line string) (hierarchy, group string, ok bool) {
	if group, ok = strings.CutPrefix(line, "0::"); ok {
		return "", group, true
	}
	_, group, ok = strings.Cut(line, ":memory:")
	return "memory", group, ok
}

// readRoom reads the limit of a group, in the file of either version. No limit is
// "max" in version 2, and more than any machine has in version 1.
func readRoom(folder string) (int64, bool) {
	const most = 1 << 60
	for _, file := range []string{"memory.max", "memory.limit_in_bytes"} {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return n, err == nil && n > 0 && n < most
	}
	return 0, false
}
