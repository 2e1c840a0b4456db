// Package discover finds neighbours that no BGPPeer gives the address of: by the router
// advertisements that they send on a link (RFC 4861 section 6), or as the next hop of
// this node's default route. On such a link it sends router advertisements too, for the
// router learns the node's address in the same way: with lifetime 0 and no prefix, so
// that nobody takes the node for a default gateway or makes itself an address.
//
// It tells what is there now. Which of it a session is with is decided in policy, by
// what was settled on before.
package discover
