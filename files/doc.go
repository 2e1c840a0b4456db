// Package files is the source that reads files and folders: once (Read), or again
// whenever one changes (Source).
//
// Flow: paths -> the places to watch (places.go, watch.go) -> texts (files.go) ->
// objects (package objects) -> what earlier versions keep (keep.go) -> Contents. Files
// have no controller behind them, so fill.go fills in what it would have written.
//
// # What happened to the file, and what stays
//
// Unknown is not empty: until something says that an object is gone on purpose, it
// stays, and a Problem says so.
//
//	what happened                                   what stays
//	an object is taken out of a whole file          nothing of it: that is a deletion
//	the file cannot be read, is empty or UTF-16     the objects it gave last (kept)
//	a document of it does not parse                 those of its last objects that are missing now (kept)
//	it ends inside a line, and did not before       the same, and its last object's last value
//	it does not answer, or is over 16 MiB           the same as where it cannot be read (kept)
//	an object does not convert                      its last value (good)
//	an object's apiVersion or kind has a typo       the object it was before (kept)
//	the path is gone, or its folder is new, empty   everything it gave last (kept)
//	a file is gone from its folder for a second     nothing of it: that is a deletion
//	the last Node is gone                           all Nodes as they were last
//	a file ends after a line, cut off               what it still has: it cannot be told from a shorter file
package files
