// Package bfd is one end of a BFD session (RFC 5880) in asynchronous mode, as values:
// packets and the time go in, packets to send, changes of state and the next time to
// look at the clock come out. It knows neither sockets (bfd/wire) nor what the path
// that it watches is used for.
//
// Authentication, demand mode of our own and the echo function are not used.
package bfd
