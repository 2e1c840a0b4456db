// Package daemon is the loop in which everything meets: a bell rings, a
// Snapshot is taken, policy.Make decides, the speaker is handed the whole wish,
// and a Status is posted.
//
// One goroutine owns all state. Sources, speaker and kernel watchers only ring
// the bell (package bell). No path leads from an error to a withdrawal: without a
// Snapshot there is no new plan.
package daemon
