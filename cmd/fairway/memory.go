package main

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// cgroups is where the kernel shows its control groups, version 2 (cgroups(7)).
const cgroups = "/sys/fs/cgroup"

// spareMemory collects garbage earlier than Go does by itself: a daemon on every
// node rarely works, and always takes room. Where the process has a limit, Go works
// harder the nearer it comes, instead of being killed at a peak; a seventh is left
// for what is not Go's heap. GOGC and GOMEMLIMIT go before.
func spareMemory() {
	const percent = 50
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
	own, _ := os.ReadFile("/proc/self/cgroup") // without one there is no limit to be seen
	if room, limited := memoryRoom(cgroups, string(own)); limited && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(room / 7 * 6)
	}
}

// memoryRoom gives the least memory.max, in octets, of a process's control group and
// of those that it is in; limited is false where none has one. own is the content of
// its /proc/PID/cgroup, and root the mount's folder.
func memoryRoom(root, own string) (room int64, limited bool) {
	room = math.MaxInt64
	for line := range strings.Lines(own) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for ok {
			if n, found := readRoom(filepath.Join(root, group, "memory.max")); found {
				room, limited = min(room, n), true
			}
			ok = len(group) > 1
			group = filepath.Dir(group)
		}
	}
	return room, limited
}

// readRoom reads a memory.max; "max" is no limit.
func readRoom(path string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n > 0
}
