// Package account is what a node says of itself in its cluster: its Speaker object,
// and Events about its Node. It has both sides of it, the writing (write.go, news.go)
// and the reading, so that what one side writes the other understands.
//
// Flow: the daemon posts a status.Status; SpeakerStatus makes of it what the node's
// Speaker holds, and Farewell what it holds once the daemon has ended. Package kube
// carries both into the cluster, and the Speakers of all nodes back out of it. There
// they are read: has the daemon stopped, how far is a drain (read.go), what does the
// node announce (history.go), what does it say against the objects (word.go), what is
// not as it should be (complaints.go), who announces something alone (alone.go), does
// its daemon live (standing.go) or is there none (unserved.go), what of a Subnet has been
// sent (sent.go), and what becomes of a BGPPeer on all nodes (peers.go).
//
// A Speaker lists only the first of many (mostListed), and every reader has to say
// what it makes of one that is cut short. Values in, values out: nothing in here asks
// the cluster, or what time it is.
package account
