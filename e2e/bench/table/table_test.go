package main

import (
	"strings"
	"testing"
)

// recordedRun is what a run leaves: package bench's lines, and go test's.
const recordedRun = `date: 2026-01-02 03:04 UTC
revision: abc1234
quick: false
processors: 2
load: 0.10
kernel: 6.18
frr: bgpd version 8.4.4
bird: BIRD version 2.0.12
BenchmarkFloor/one/router=frr/there=10000-2 1 60 ms
BenchmarkFloor/one/router=frr/there=10000-2 1 70 ms
BenchmarkAnnotate/router=frr/subnets=10000-2 1 90 ms
BenchmarkAnnotate/router=frr/subnets=10000-2 1 100 ms
BenchmarkAnnotate/router=frr/subnets=10000-2 1 130 ms
BenchmarkRSS/subnets=10000-2 1 88 MB
goos: linux
pkg: example.com/fairway/policy
cpu: Some Processor
BenchmarkMake10k-2   	      50	  27000000 ns/op	13600000 B/op	   10152 allocs/op
PASS
ok  	example.com/policy	3.1s
`

// TestTablesOfARun has each measure beside its floor, and what was recorded.
func TestTablesOfARun(t *testing.T) {
	var r results
	if err := r.read(strings.NewReader(recordedRun)); err != nil {
		t.Fatal(err)
	}
	want := `Measured on 2026-01-02 03:04 UTC at revision abc1234: Some Processor, 2 processors, Linux 6.18, load 0.10 when it began; bgpd version 8.4.4, BIRD version 2.0.12.

| | median | 99 % | floor | times the floor | kube-ovn-speaker, recorded |
|---|--:|--:|--:|--:|---|
| annotated → route, FRR, 10,000 Subnets there | **100 ms** | 130 ms | 65.0 ms | 1.5 (35.0 ms more) | 3.1 s, most 5.2 s |
| resident memory, 10,000 Subnets | **88.0 MB** |  |  |  | 175 MB |

| | benchmark | time | allocated | allocations |
|---|---|--:|--:|--:|
| decide about 10,000 Subnets from nothing | ` + "`policy.Make10k`" + ` | 27.0 ms | 13.6 MB | 10,152 |
`
	if got := r.tables(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestThePageKeepsWhatIsAroundTheTable, and one without a place for it is left alone.
func TestThePageKeepsWhatIsAroundTheTable(t *testing.T) {
	got, err := replaced("before\n"+begin+"old\n"+end+"after\n", "new\n")
	if err != nil || got != "before\n"+begin+"\nnew\n\n"+end+"after\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := replaced("a page", "new\n"); err == nil {
		t.Error("a page without a place got a table")
	}
}
