// Package routes holds Fairway's vocabulary and its first decision: from a
// Snapshot of Kubernetes and Kube-OVN objects, which prefixes one node
// originates, and for each one that it does not, the first reason why not.
//
// Flow: a source (package kube) makes a Snapshot; the chain of Checks in this
// package and in package policy asks one question after the other of each Case,
// a (Subnet, CIDR) on one node; what passes becomes a path in a RIB, which the
// speaker compares with what GoBGP really holds (Diff).
//
// Values in, values out: no clock, no log, no environment, standard library
// only. A refusal is a value with a Reason from a closed set, never an error.
package routes
