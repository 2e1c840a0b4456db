// Package netfilter answers what the kernel's packet filter would do with a
// packet, rule by rule and in the kernel's order, from what iptables-save,
// nft -j list and ipset save print.
//
// ParseIptables, ParseNft and ParseIPSets read those texts into tables of one
// form; Ruleset.Walk follows a Packet through every base chain of the hooks
// that a forwarded packet passes, through jumps and policies. Nothing here does
// I/O, so the same code judges this machine and a text in a test.
//
// Truth has three values. What a rule asks and this package does not know is
// Maybe, and a verdict that hangs on a Maybe is Unknown with that rule's name:
// never a guess.
package netfilter
