// Package kube is the source that follows an API server, and writes into a cluster
// what a node does. It is the only importer of client-go.
//
// Flow: an API server (cluster.go) -> texts (raw.go) -> objects, kept as they were
// read last (feed.go) -> those in force (guard.go) -> Contents (inforce.go). live.go is
// the source's face, following.go decides what is followed, once.go reads once,
// saved.go is what the next run starts with, and playback.go follows a recording. The
// words for "an older version that still counts" (kept, in force, good, saved) are
// in package objects. Back into the cluster go the Speaker (record.go), the daemon's
// heartbeat (heartbeat.go), Events (events.go) and the reporter's Lease (lease.go); and
// from the reporter, which follows all Speakers (speakers.go), the status of BGPPeers
// (peerstatus.go). What a Speaker means is for package
// account to say.
//
// # What is client-go's, and what is not
//
// Feeds are client-go's Reflector with a store of their own in the place of an
// informer's: it converts each object once, as it comes, rings for nothing but changes
// that matter, and says since when and why it is behind. Leader election is not
// client-go's: that brings 17 MB of API packages, and does not wait for the led
// function to end, so that two nodes could report at once. Events go through
// client-go's recorder, which counts and bounds them, but into a sink of our own:
// client-go's needs the typed clientset.
package kube
