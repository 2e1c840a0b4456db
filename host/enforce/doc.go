// Package enforce writes what package host asks for on this node, and takes it back.
// An Enforcer carries out a Repair: chains and jumps of iptables, ipsets, sysctls. Its
// ledger has what was there before, and Undo works from that. A Keeper audits while the
// daemon runs, and where asked keeps everything in place, woken by WatchFilter.
//
// What is wrong, and what would mend it, package host decides; nothing here judges.
package enforce
