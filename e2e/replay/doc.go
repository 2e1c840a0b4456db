// Package replay plays what Kube-OVN's API showed in the moments of change. The
// recordings lie in testdata, beside each what a node must do (testdata/README.md).
//
// Fast, in `make test`: a recording goes through the source (kube.Playback) into the
// decision (policy.Make) of each node, on a clock of its own, and what is announced
// is compared with the want. In their own time, in `make replay`: the same recordings
// are an API server to the program as it is shipped, one daemon for each node in a
// network namespace, with FRR as their router.
//
// Flow: trace.go and want.go read, play.go gives a Timeline, check.go compares;
// stage.go, server.go and observe.go are the other half.
package replay
