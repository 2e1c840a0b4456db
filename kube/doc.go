// Package kube turns Kubernetes objects into the core's values: Subnets, Nodes,
// Pods, BGPPeers and Secrets become a policy.Snapshot.
//
// Flow: bytes of files (files.go) -> documents (stream.go) -> typed objects
// (document.go) -> values and Problems (subnet.go, node.go, pod.go, secret.go,
// peer.go) -> Contents (assemble.go). The conversions know nothing of where an
// object comes from, so that objects of an API server take the same way. Only
// files have no controller behind them: what it would have filled in is filled
// in by fill.go. Files watches (watch.go, places.go) and keeps what stood where
// something cannot be read any more (hold.go).
//
// What is wrong with the input is a Problem, a value; one bad object never takes
// another with it.
package kube
