// Package v1alpha1 holds the objects of API group fairway.dev: BGPPeer, which a
// user writes, and Speaker, which each node writes about itself.
//
// Flow: package objects turns BGPPeers, of the API server or of files, into
// policy.Peer; package account makes Speakers of the daemon's published status, and
// reads them. Their CRDs are generated from the markers here. Nothing in this package
// decides anything: limits that a schema can state are markers, the rest is checked in
// package objects.
//
// +kubebuilder:object:generate=true
// +groupName=fairway.dev
package v1alpha1
