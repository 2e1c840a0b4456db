// Package speaker owns the embedded GoBGP server and is its only importer. It
// is handed the whole wish (policy.Wish), finds out what GoBGP really has, and
// brings the one to the other: export rules, paths, sessions, in an order that
// never sends a peer what it should not have and never withdraws by accident.
//
// Flow: daemon -> Sync(wish) -> GoBGP -> peers; and back, Observe() -> status.
// A state change of a session rings the bell that the daemon handed in. The
// gRPC API of GoBGP is served read-only, in both the v4 and the v3 dialect.
//
// A path carries no attributes of its own but the mark of its class; what a
// peer gets is made by one export rule for each (class, peer). So a Subnet's
// change re-sends that Subnet's prefixes, and a peer's change reaches no other
// peer.
package speaker
