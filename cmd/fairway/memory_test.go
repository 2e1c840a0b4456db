package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryRoomIsTheLeastOfAllGroups(t *testing.T) {
	root := t.TempDir()
	for group, content := range map[string]string{
		"kubepods": "1073741824\n", "kubepods/pod1": "536870912\n", "kubepods/pod1/c": "max\n", "system": "max\n", "odd": "much\n",
	} {
		if err := os.MkdirAll(filepath.Join(root, group), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, group, "memory.max"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for own, want := range map[string]int64{
		"0::/kubepods/pod1/c\n":            536870912,
		"4:memory:/x\n0::/kubepods/pod1\n": 536870912,
		"0::/kubepods\n":                   1073741824,
		"0::/system\n":                     0,
		"0::/odd\n":                        0,
		"0::/\n":                           0,
		"":                                 0,
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
