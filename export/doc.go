// Package export prints what the other side has to be told: the router's side
// of a BGP peering in the router's own language, or static routes where there
// is no BGP.
//
// Flow: `fairway plan -o FORMAT` makes one policy.Plan per node and hands all of
// them to Write, because a router needs the neighbours and next hops of every
// node at once. First a judging step (peering.go, static.go) turns the plans into
// a peering or a list of routes, then one template per format prints it: FORMAT.tmpl
// reads as the router's configuration does, and facts.go holds what it asks for.
//
// The other way round, Check reads a router's configuration back (running*.go) and
// says what of the plans it would filter, and which nodes have no neighbour there.
//
// Values in, text out: nothing is read or sent, and no secret is ever printed.
package export
