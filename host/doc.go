// Package host knows what this node must be like to forward the announced
// traffic, in three steps that do not mix: Read gathers facts (files named
// *_read.go do the only I/O, and what cannot be read is unknown), Check judges
// them against a Want, and PlanRepair says what is missing of what we own (both
// pure). Package enforce writes that, and can undo it.
//
// The daemon derives a Want from its plan and keeps an enforce.Keeper running; `fairway
// check` does the same once. How a packet fares in the packet filter is package
// netfilter's business.
//
// For the daemon's datapath gate Gateways asks the next hops into the overlay
// whether they are there (gateways_ask.go sends), and Reach judges what is heard
// (pure). Masqueraded looks into Kube-OVN's sets while somebody waits for them.
//
// Three answers, never two: a fact that cannot be read is unknown, and unknown
// is neither ok nor wrong.
package host
