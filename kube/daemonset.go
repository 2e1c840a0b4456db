package kube

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// DaemonSet follows the one that this daemon's Pod is of. What becomes of it tells what a
// SIGTERM means: a Pod whose DaemonSet stays is started again. It needs the verbs list and
// watch on that one object. An uninstall takes the right away together with the object;
// the watch is open then, and tells of the deletion.
type DaemonSet struct {
	name string
	feed *feed
	log  *logrus.Entry
	bell func()
	// seen is whether the API server has ever shown it.
	seen atomic.Bool
}

// Fate is what becomes of this node's Pod once it has ended.
type Fate uint8

const (
	// FateUnknown is of a daemon that has never seen its DaemonSet.
	FateUnknown Fate = iota
	// FateStartedAgain is of one whose DaemonSet is there, and wants a Pod on the node.
	FateStartedAgain
	// FateRemoved is of one whose DaemonSet is gone or going, or wants none there.
	FateRemoved
)

// daemonSetRetry is the pause after the API server has refused to show it: an older
// release's Role has not the right.
const daemonSetRetry = time.Minute

// NewDaemonSet gives one that has not begun, of that name in Fairway's own namespace. The
// bell is called after each change and must not block.
func NewDaemonSet(c *Cluster, name string, bell func(), log *logrus.Entry) *DaemonSet {
	r := daemonSetResource()
	d := &DaemonSet{name: name, log: log, bell: bell}
	d.feed = &feed{
		resource: r, namespace: c.namespace, field: byField("metadata.name", name), client: c.clients[r.version],
		changed: d.look, refused: daemonSetRetry,
	}
	return d
}

// String names it as people do.
func (d *DaemonSet) String() string { return "DaemonSet " + d.feed.namespace + "/" + d.name }

// Run follows it until ctx ends. No error of the API server ends it.
func (d *DaemonSet) Run(ctx context.Context) error {
	d.feed.run(klog.NewContext(ctx, logger(d.log)))
	return nil
}

// Fate says what becomes of the Pod on a node with these labels. What was known last
// counts while the API server is away.
func (d *DaemonSet) Fate(labels map[string]string) Fate {
	if !d.seen.Load() {
		return FateUnknown
	}
	for _, kept := range d.feed.objects() {
		var set daemonSet
		if err := json.Unmarshal([]byte(kept.text.String()), &set); err != nil || set.Metadata.DeletionTimestamp != nil {
			return FateRemoved
		}
		for k, v := range set.Spec.Template.Spec.NodeSelector {
			if got, ok := labels[k]; !ok || got != v {
				return FateRemoved
			}
		}
		return FateStartedAgain
	}
	return FateRemoved
}

// look notes that there is such an object.
func (d *DaemonSet) look() {
	if len(d.feed.objects()) > 0 {
		d.seen.Store(true)
	}
	d.bell()
}

// daemonSet is the part of an apps/v1 DaemonSet that is read.
type daemonSet struct {
	Metadata struct {
		DeletionTimestamp *metav1.Time `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		Template struct {
			Spec struct {
				NodeSelector map[string]string `json:"nodeSelector"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}
