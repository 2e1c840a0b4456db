package kube

import (
	"context"
	"maps"
	"slices"

	"github.com/sirupsen/logrus"
	"k8s.io/klog/v2"

	"github.com/fairway-bgp/fairway/routes"
)

// Nodes follows all Nodes of a cluster. Only the one elected reporter does that:
// what every daemon watches must not grow with the cluster.
type Nodes struct {
	feed *feed
	log  *logrus.Entry
}

// NewNodes gives a Nodes that has not begun.
func NewNodes(c *Cluster, log *logrus.Entry) *Nodes {
	r := nodeResource()
	return &Nodes{&feed{resource: r, client: c.clients[r.version], changed: func() {}}, log}
}

// Run follows until ctx ends.
func (n *Nodes) Run(ctx context.Context) error {
	n.feed.run(klog.NewContext(ctx, logger(n.log)))
	return nil
}

// Latest gives the Nodes by name; ok is false while they are not followed.
func (n *Nodes) Latest() (list []routes.Node, ok bool) {
	kept := n.feed.objects()
	for _, k := range slices.SortedFunc(maps.Keys(kept), key.compare) {
		if d, ok := kept[k].value.(nodeDraft); ok {
			list = append(list, d.Node)
		}
	}
	s := n.feed.condition()
	return list, s.synced && s.why == ""
}
