// Package status is the one published picture of a running daemon: what it
// reads, decides, announces and sees, at one moment.
//
// The daemon makes a Status at the end of each pass and posts it on a Board;
// everyone else (page, JSON, `fairway status`, package account) reads the newest from
// there. A posted Status is never changed.
package status
