// Package policy holds Fairway's second decision: which route goes to which
// peer, with which attributes, and what must not leave at all (leak guard).
//
// Make takes a Snapshot and the name of a node and gives the Plan: what that
// node announces, what it withholds and why, what it warns about. Daemon,
// `fairway plan`, `fairway why`, status page and golden tests all call Make.
// Plan.Wish turns a Plan into what the speaker is to have.
//
// Values in, values out, standard library only, like package routes.
package policy
