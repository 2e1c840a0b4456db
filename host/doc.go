// Package host knows what this node must be like to forward the announced
// traffic. Reading facts (I/O, never failing as a whole), judging them (pure)
// and repairing are separate: files named *_read.go do the first, and nothing
// else does I/O.
//
// Three answers, never two: a fact that cannot be read is unknown, and unknown
// is neither ok nor wrong.
package host
