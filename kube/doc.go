// Package kube turns Kubernetes objects into the core's values, Subnets, Nodes,
// Pods, BGPPeers and Secrets into a policy.Snapshot, and writes into a cluster
// what a node does. It is the only importer of client-go.
//
// Flow: bytes of files (files.go, watch.go) or of an API server (cluster.go,
// piece.go, trim.go, feed.go) -> typed objects (document.go) -> values and Problems
// (subnet.go, node.go, pod.go, secret.go, peer.go) -> Contents (assemble.go). Files
// have no controller behind them, so fill.go fills in what it would have. Both
// sources keep what stood where something cannot be read any more: hold.go for
// files, guard.go and laststate.go for Live (live.go). Back into the cluster go the
// Speaker (record.go), Events (events.go) and the reporter's Lease (lease.go).
//
// What is wrong with the input is a Problem, a value; one bad object never takes
// another with it.
package kube
