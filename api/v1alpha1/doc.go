// Package v1alpha1 holds the objects of API group fairway.dev: BGPPeer, which a
// user writes, and Speaker, which each node writes about itself.
//
// Flow: package kube reads BGPPeers, from the API server or from files, and
// turns them into policy.Peer; the daemon writes Speakers from its published
// status. Their CRDs are generated from the markers here. Nothing in this
// package decides anything: limits that a schema can state are markers, the rest
// is checked in package kube.
//
// +kubebuilder:object:generate=true
// +groupName=fairway.dev
package v1alpha1
