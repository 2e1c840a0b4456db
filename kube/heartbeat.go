package kube

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/objects"
)

// Times of a heartbeat: one request each beatEvery, four within v1alpha1.HeartbeatTerm.
const (
	beatEvery = 10 * time.Second
	beatRetry = 2 * time.Second
	// beatWait is how long the own Node is waited for at a time.
	beatWait = time.Second
)

// heartbeatPrefix begins the names of the nodes' Leases. That of the reporter's Lease,
// fairway-reporter, is no node's by it.
const heartbeatPrefix = "fairway-node-"

// longestName of a Lease, and of a Node, is that of a DNS subdomain (RFC 1123).
const longestName = 253

// HeartbeatName gives the name of a node's Lease. Where the node's own is too long for
// that, a digest stands for what does not fit, which admission.yaml knows.
func HeartbeatName(node string) string {
	const digest = 16
	if len(heartbeatPrefix)+len(node) <= longestName {
		return heartbeatPrefix + node
	}
	sum := sha256.Sum256([]byte(node))
	return fmt.Sprintf("%s%s%x", heartbeatPrefix, node[:longestName-len(heartbeatPrefix)-digest], sum[:digest/2])
}

// Heartbeat renews the Lease of one node for as long as its daemon runs. It needs the
// verbs get, create and update on leases in Fairway's own namespace.
type Heartbeat struct {
	cluster *Cluster
	node    string
	// owner gives the Node's UID, so that the Lease goes with it; "" while it is not known.
	owner func() types.UID
	// changed is called when Lease gives something else.
	changed func()
	log     *logrus.Entry
	beating atomic.Bool
	// every is beatEvery but in tests.
	every time.Duration
}

// NewHeartbeat gives a Heartbeat that has not begun.
func NewHeartbeat(c *Cluster, node string, owner func() types.UID, changed func(), log *logrus.Entry) *Heartbeat {
	return &Heartbeat{cluster: c, node: node, owner: owner, changed: changed, log: log, every: beatEvery}
}

// Lease gives the Lease as NAMESPACE/NAME; "" as long as there is none, or the API server
// refuses it: then its silence means nothing.
func (h *Heartbeat) Lease() string {
	if !h.beating.Load() {
		return ""
	}
	return h.cluster.namespace + "/" + HeartbeatName(h.node)
}

// Run renews the Lease until ctx ends. What the API server does not take is tried again,
// and logged once.
func (h *Heartbeat) Run(ctx context.Context) error {
	var last lease
	failing := ""
	for wait := time.Duration(0); ; {
		if !pause(ctx, wait) {
			return nil
		}
		owner := h.owner()
		if owner == "" {
			wait = beatWait
			continue
		}
		next, err := h.beat(ctx, last, owner)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			last, failing, wait = next, "", h.every-rand.N(h.every/10)
			h.note(true)
			continue
		case apierrors.IsForbidden(err):
			// It may stay so until somebody changes a role.
			h.note(false)
			wait = h.every
		default:
			wait = beatRetry
		}
		last = lease{}
		if why := plainly(err); why != failing {
			failing = why
			h.log.Warnf("no heartbeat is written, so nobody sees it if this daemon is killed: %s", why)
		}
	}
}

func (h *Heartbeat) note(beating bool) {
	if h.beating.Swap(beating) != beating {
		h.changed()
	}
}

// beat renews the Lease as it was last; with the zero one it looks what there is.
func (h *Heartbeat) beat(ctx context.Context, l lease, owner types.UID) (lease, error) {
	if l.ResourceVersion == "" {
		there, err := h.cluster.readLease(ctx, HeartbeatName(h.node))
		if err != nil && !apierrors.IsNotFound(err) {
			return lease{}, err
		}
		l = there
	}
	now := metav1.NowMicro()
	l.Name, l.ManagedFields = HeartbeatName(h.node), nil
	l.Labels = map[string]string{"app.kubernetes.io/name": "fairway"}
	l.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: objects.KindNode, Name: h.node, UID: owner}}
	l.Spec = leaseSpec{HolderIdentity: h.node, LeaseDurationSeconds: int32(v1alpha1.HeartbeatTerm / time.Second), RenewTime: &now}
	return h.cluster.writeLease(ctx, l)
}

// Heartbeats reads when the Leases of a namespace were renewed last, as NAMESPACE/NAME, and
// what time it is, both by the API server's clock. It needs the verb list on leases there.
func (c *Cluster) Heartbeats(ctx context.Context, namespace string) (last map[string]time.Time, at time.Time, err error) {
	// Version 0 is what the API server has in memory: nobody asks etcd.
	text, err := ask(ctx, c.at(c.clients[leaseVersion()].Get(), leaseResource(), namespace, "").Param("resourceVersion", "0"))
	var list struct {
		Items []lease `json:"items"`
	}
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read Leases of namespace %s: %w", namespace, err)
	}
	last = make(map[string]time.Time, len(list.Items))
	for i := range list.Items {
		last[namespace+"/"+list.Items[i].Name] = list.Items[i].renewed()
	}
	return last, c.clock.now(), nil
}

// renewed gives when a Lease was written last: as the API server has noted it, and by the
// holder's clock where it has not.
func (l *lease) renewed() time.Time {
	var at time.Time
	for _, m := range l.ManagedFields {
		if m.Manager == fieldManager && m.Time != nil && m.Time.After(at) {
			at = m.Time.Time
		}
	}
	if at.IsZero() && l.Spec.RenewTime != nil {
		at = l.Spec.RenewTime.Time
	}
	return at
}
