// Package objects turns the bytes of Kubernetes objects into the core's values:
// Subnets, Vlans, Nodes, Pods, BGPPeers and Secrets into what a policy.Snapshot is
// made of. It knows neither time nor machine, nor where the bytes come from: that is
// files and kube.
//
// Flow: text -> documents (stream.go) -> one Object each (document.go, decode.go),
// its Value converted by kind (subnet.go, vlan.go, node.go, pod.go, secret.go,
// peer.go, selector.go) -> Contents (assemble.go). trim.go cuts a text down to what
// these conversions read.
//
// What is wrong with the input is a Problem, a value; one bad object never takes
// another with it.
//
// # An older version that still counts
//
// Something that cannot be read is no withdrawal. Four words say which older version
// counts in its place; each layer stands on the one above it.
//
//	word      when                                       what counts                              where
//	kept      a file, or a kind of an API server,        the objects that were read of it last    files, kube/feed.go
//	          cannot be read
//	in force  objects are gone, and it may be a mishap   the objects until time or a person       kube/guard.go
//	                                                     confirms it
//	good      an object, or its annotations,             its last good value                      Good; annotations: policy.Memory
//	          cannot be used
//	saved     the daemon starts, and nothing answers     all of these, as the run before wrote    kube/saved.go
//	                                                     them to disk
//
// # Not taken
//
// A YAML stream is cut into documents here: apimachinery's YAMLReader ends at text
// behind "---", knows no "..." and not at which line a document begins, and a decoder
// of streams ends at the first document that does not parse.
package objects
