// Package lab plays a Kube-OVN cluster on one machine: three nodes, a router, an
// outside client, a host beside the nodes and Pods, each a network namespace.
//
// Flow: wire.go lays the networks that topology.go describes; the agent follows
// a folder of YAML as kube-ovn-controller and kube-ovn-cni follow the API server
// and makes Pods, node routes and return paths of it; the router learns by BGP
// what the Fairway daemons announce from the same folder and puts it into its
// kernel. Start and Down frame all that; Demo proves six stories on it, and a
// Stream counts what a change costs.
//
// The lab imports no other package of Fairway: it meets the daemon only where
// a user and a router do, in files, on the wire and at the command line.
package lab
