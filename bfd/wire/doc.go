// Package wire runs BFD sessions over UDP: single hop (RFC 5881) and multihop (RFC
// 5883). One loop, on a thread of its own, owns all sessions. It hears everything that
// has come before it looks at the clock, so that a busy machine takes no neighbour for
// dead whose packets only wait to be read.
package wire
