package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryRoomIsTheLeastOfAllGroups(t *testing.T) {
	root := t.TempDir()
	for file, content := range map[string]string{
		"kubepods/memory.max": "1073741824\n", "kubepods/pod1/memory.max": "536870912\n", "kubepods/pod1/c/memory.max": "max\n",
		"system/memory.max": "max\n", "odd/memory.max": "much\n",
		"memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/x/memory.limit_in_bytes": "268435456\n",
	} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for own, want := range map[string]int64{
		"0::/kubepods/pod1/c\n":         536870912,
		"5:cpu:/x\n0::/kubepods/pod1\n": 536870912,
		"5:cpu:/\n4:memory:/x\n0::/\n":  268435456,
		"4:memory:/y\n0::/\n":           0,
		"0::/kubepods\n":                1073741824,
		"0::/system\n":                  0,
		"0::/odd\n":                     0,
		"0::/\n":                        0,
		"":                              0,
	} {
		got, limited := memoryRoom(root, own)
		if limited != (want > 0) || limited && got != want {
			t.Errorf("%q: %d, %v", own, got, limited)
		}
	}
	// In a container's own namespace its group is the root.
	if got, limited := memoryRoom(filepath.Join(root, "kubepods/pod1"), "0::/\n"); got != 536870912 || !limited {
		t.Errorf("in a namespace: %d, %v", got, limited)
	}
}
