package replay

import (
	"path/filepath"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

// TestARecordingInItsOwnTime plays two daemons and a router the shortest of the changes
// that took a route away once. `make replay` plays all of them.
func TestARecordingInItsOwnTime(t *testing.T) {
	needs.Root(t, "ip", "vtysh", frrFolder+"bgpd", frrFolder+"zebra")
	binary := filepath.Join(t.TempDir(), "fairway")
	must.BuildFairway(t, binary)
	trace, err := Read("testdata/02-distributed-to-centralized.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	stage, err := NewStage(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stage.Close(); err != nil {
			t.Error(err)
		}
	}()
	result, err := stage.Play(t.Context(), trace)
	if err != nil {
		t.Fatal(err)
	}
	tolls := result.Tolls()
	if len(tolls) != 1 || tolls[0].Without != 0 || tolls[0].Changes != 1 || len(result.Seen) != 2 || len(result.Seen[1].To) != 1 || result.Seen[1].To[0] != nodeAddress(0) {
		t.Errorf("want one change, from both nodes to node1:\n%s", result)
	}
}
