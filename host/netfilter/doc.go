// Package netfilter answers what the kernel's packet filter would do with a
// packet, rule by rule and in the kernel's order, from what iptables-save,
// nft -j list and ipset save print.
//
// ParseIptables, ParseNft and ParseIPSets read those texts into tables of one
// form; Ruleset.Walk follows a Packet through every base chain of the hooks
// that a forwarded packet passes, through jumps and policies. Nothing here does
// I/O, so the same code judges this machine and a text in a test.
//
// The files, by the question that they answer:
//
//	iptables.go, nft.go, sets.go         what do the programs print?
//	part.go                              what are rules made of?
//	iptables_match.go, iptables_conntrack.go, iptables_addrtype.go, nft_match.go
//	                                     does a rule match?
//	nft_field.go, nft_set.go, nft_expression.go
//	                                     what is compared there, and with what?
//	iptables_target.go, nft_statement.go what does a rule do?
//	nft_rewrite.go                       what does it write into the packet?
//	order.go, walk.go                    what becomes of a packet after all of them?
//	names.go, mention.go                 which packets are worth a walk?
//	reconcile.go                         which program's word counts?
//
// The tests compare it with the kernel: random rules, random packets, and whether
// each came through (kernel_test.go).
//
// Truth has three values. What a rule asks and this package does not know is
// Maybe, and a verdict that hangs on a Maybe is Unknown with that rule's name:
// never a guess.
package netfilter
