package daemon

import (
	"github.com/fairway-bgp/fairway/files"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/status"
)

// FileSource is a Source of files and folders for one node.
type FileSource struct {
	*files.Source
	Paths []string
	Node  string
}

// Latest gives the objects read last.
func (f FileSource) Latest() (policy.Snapshot, status.Source, bool) {
	about := status.Source{Kind: "files", From: f.Paths, Waiting: []string{}, Problems: []status.Problem{}}
	c, ok := f.Source.Latest()
	if !ok {
		about.Waiting = append(about.Waiting, "the files have not been read yet")
		return policy.Snapshot{}, about, false
	}
	s := c.Snapshot.AssumeNode(f.Node)
	// That the own Node is gone from files says nothing about this node. The other
	// nodes go without it, as they should where it has been taken down.
	if own, gone := c.GoneNodes[f.Node]; gone {
		s = s.WithNode(own)
		about.Problems = append(about.Problems, status.Problemf(
			"Node %s is not in the input any more: what it said last stays in force; put it back, or stop Fairway here to withdraw", f.Node))
	}
	about.Subnets, about.Nodes, about.Peers = len(s.Subnets), len(s.Nodes), len(s.Peers)
	about.Ignored = c.Ignored
	for _, p := range c.Problems {
		about.Problems = append(about.Problems, status.Problem{Problem: p})
	}
	for _, path := range c.Unread {
		about.Waiting = append(about.Waiting, path+" cannot be read")
	}
	return s, about, true
}
