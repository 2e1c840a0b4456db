package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// The Speaker is written at most every recordEvery, and again recordRetry after
// the API server did not take it.
const (
	recordEvery = time.Second
	recordRetry = 2 * time.Second
	// recordLook is how often the Speaker is read though nothing changes: somebody
	// may have deleted it, or its CRD, or written into it.
	recordLook = 2 * time.Minute
	// recordSpread for each Node is how long a write may wait, by chance, and mostSpread
	// the most: what changes for all nodes makes all daemons write, and so many at once
	// are not the API server's to bear. A hundred a second it hardly feels.
	recordSpread = time.Second / 100
	mostSpread   = 10 * time.Second
	// farewellBound leaves time for withdrawing, within a Pod's last seconds.
	farewellBound = 2 * time.Second
)

// fieldManager is who Fairway is to server-side apply.
const fieldManager = "fairway"

// Recorder writes the Speaker object of one node, when it changes. It needs the
// verbs get, create and patch on speakers, and patch on speakers/status.
type Recorder struct {
	cluster  *Cluster
	node     string
	farewell Farewell
	log      *logrus.Entry
	wish     atomic.Pointer[Wish]
	news     *bell.Bell
	// look is recordLook but in tests.
	look time.Duration
}

// Wish is what a Speaker shall hold.
type Wish struct {
	// Owner is the Node's UID, so that the Speaker goes with it; "" is nobody's wish.
	Owner types.UID
	// Nodes is how many there are in the cluster: the more, the longer a write may wait.
	Nodes int
	// Status is asked for when it is written. Conditions need no transition time.
	Status func() v1alpha1.SpeakerStatus
}

// spread gives how long a write may wait among so many Nodes.
func spread(nodes int) time.Duration {
	return min(time.Duration(nodes)*recordSpread, mostSpread)
}

// recorded is what a Speaker holds.
type recorded struct {
	owner  types.UID
	status v1alpha1.SpeakerStatus
}

// Farewell gives what a Speaker shall hold once its daemon has ended, from what it
// held last.
type Farewell func(last v1alpha1.SpeakerStatus) v1alpha1.SpeakerStatus

// NewRecorder gives a Recorder that has not begun.
func NewRecorder(c *Cluster, node string, farewell Farewell, log *logrus.Entry) *Recorder {
	return &Recorder{cluster: c, node: node, farewell: farewell, log: log, news: bell.New(), look: recordLook}
}

// Offer hands over what the Speaker shall hold. It never blocks.
func (r *Recorder) Offer(w Wish) {
	if w.Owner == "" {
		return
	}
	r.wish.Store(&w)
	r.news.Ring()
}

// Run writes until ctx ends, and then the farewell.
func (r *Recorder) Run(ctx context.Context) error {
	// last is what was written last, and known what the object holds, as far as that
	// is known.
	var last, known *recorded
	defer func() { r.sayFarewell(ctx, last) }()
	wait := time.Duration(0)
	failing := ""
	for {
		if !pause(ctx, wait) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.news.Rung():
		case <-time.After(r.look - rand.N(r.look/5)):
			known = nil
		}
		wish := r.latest(ctx)
		if wish == nil {
			continue
		}
		next, err := r.write(ctx, known, wish)
		wait = recordEvery
		if err == nil {
			last, known, failing = next, next, ""
			continue
		}
		wait, known = recordRetry, nil
		r.news.Ring() // the next turn tries what this one could not do
		if why := plainly(err); ctx.Err() == nil && why != failing {
			failing = why
			r.log.Warnf("the Speaker is not written: %s", why)
		}
	}
}

// latest gives what is wished once it is this node's turn to write; nil for nothing.
func (r *Recorder) latest(ctx context.Context) *recorded {
	if w := r.wish.Load(); w != nil && w.Nodes > 0 && !pause(ctx, rand.N(spread(w.Nodes))) {
		return nil
	}
	w := r.wish.Load()
	if w == nil {
		return nil
	}
	return &recorded{w.Owner, w.Status()}
}

// sayFarewell writes the farewell, if anything was written before. It takes no longer
// than the API server needs, nor than farewellBound.
func (r *Recorder) sayFarewell(ctx context.Context, last *recorded) {
	if last == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellBound)
	defer cancel()
	wish := &recorded{last.owner, r.farewell(last.status)}
	if _, err := r.write(ctx, last, wish); err != nil {
		r.log.WithError(err).Debug("the Speaker keeps what it had")
	}
}

// write brings the object from last, nil if that is not known, to wish.
func (r *Recorder) write(ctx context.Context, last, wish *recorded) (*recorded, error) {
	if last == nil {
		there, err := r.read(ctx)
		if err != nil {
			return nil, err
		}
		last = there
	}
	next := &recorded{wish.owner, *wish.status.DeepCopy()}
	next.status.Conditions = transitions(last.status.Conditions, next.status.Conditions)
	if reflect.DeepEqual(next, last) {
		return last, nil
	}
	if next.owner != last.owner {
		if err := r.applyObject(ctx, next.owner); err != nil {
			return nil, err
		}
	}
	err := r.applyStatus(ctx, next.status)
	if apierrors.IsNotFound(err) {
		// Somebody deleted it; it is made anew.
		if err = r.applyObject(ctx, next.owner); err == nil {
			err = r.applyStatus(ctx, next.status)
		}
	}
	if err != nil {
		return nil, err
	}
	return next, nil
}

// read gives what an earlier run left, so that conditions keep their times.
func (r *Recorder) read(ctx context.Context) (*recorded, error) {
	s, err := r.cluster.Speaker(ctx, r.node)
	if apierrors.IsNotFound(err) {
		return &recorded{}, nil
	}
	if err != nil {
		return nil, err
	}
	out := &recorded{status: s.Status}
	if len(s.OwnerReferences) == 1 {
		out.owner = s.OwnerReferences[0].UID
	}
	return out, nil
}

func (r *Recorder) applyObject(ctx context.Context, owner types.UID) error {
	owners := []metav1.OwnerReference{{APIVersion: "v1", Kind: objects.KindNode, Name: r.node, UID: owner}}
	return r.cluster.apply(ctx, speakerResource(), r.node, "", map[string]any{"metadata": map[string]any{"name": r.node, "ownerReferences": owners}})
}

func (r *Recorder) applyStatus(ctx context.Context, status v1alpha1.SpeakerStatus) error {
	return r.cluster.applyStatus(ctx, speakerResource(), r.node, status)
}

// transitions dates conditions: one whose status stays keeps its time.
func transitions(last, next []metav1.Condition) []metav1.Condition {
	now := metav1.Now().Rfc3339Copy()
	for i := range next {
		next[i].LastTransitionTime = now
		if old := meta.FindStatusCondition(last, next[i].Type); old != nil && old.Status == next[i].Status {
			next[i].LastTransitionTime = old.LastTransitionTime
		}
	}
	return next
}

// applyStatus writes an object's status, whole.
func (c *Cluster) applyStatus(ctx context.Context, r resource, name string, status any) error {
	return c.apply(ctx, r, name, "status", map[string]any{"metadata": map[string]any{"name": name}, "status": status})
}

// metadataOnly asks for the metadata of an object alone (API concepts,
// PartialObjectMetadata): in answer to a write, because a Speaker has as much as 16 kB,
// and whoever wrote it knows it; and of a watch, where nothing else counts.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

// apply is server-side apply of what Fairway owns of an object.
func (c *Cluster) apply(ctx context.Context, r resource, name, subresource string, body map[string]any) error {
	body["apiVersion"], body["kind"] = r.version.String(), r.kind
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("write %s %s: %w", r.kind, name, err)
	}
	if _, err := ask(ctx, c.patchTo(r, name, subresource, text)); err != nil {
		return fmt.Errorf("write %s %s: %w", r.kind, name, err)
	}
	return nil
}

// patchTo is a request of server-side apply; subresource is "" for the object itself.
func (c *Cluster) patchTo(r resource, name, subresource string, text []byte) *rest.Request {
	request := c.at(c.clients[r.version].Patch(types.ApplyPatchType), r, "", name).
		Param("fieldManager", fieldManager).Param("force", "true").SetHeader("Accept", metadataOnly).Body(text)
	if subresource != "" {
		request = request.SubResource(subresource)
	}
	return request
}

// Speaker reads the Speaker of a node.
func (c *Cluster) Speaker(ctx context.Context, node string) (*v1alpha1.Speaker, error) {
	var s v1alpha1.Speaker
	if err := c.read(ctx, speakerResource(), node, &s); err != nil {
		return nil, fmt.Errorf("read Speaker %s: %w", node, err)
	}
	return &s, nil
}

// Speakers reads all Speakers, sorted by name as the API server has them.
func (c *Cluster) Speakers(ctx context.Context) ([]v1alpha1.Speaker, error) {
	var list v1alpha1.SpeakerList
	if err := c.read(ctx, speakerResource(), "", &list); err != nil {
		return nil, fmt.Errorf("read Speakers: %w", err)
	}
	return list.Items, nil
}

// NodesAndPeers reads all Nodes and BGPPeers, without Secrets: what tells which node
// shall have a session with whom.
func (c *Cluster) NodesAndPeers(ctx context.Context, settings routes.Settings) (policy.Snapshot, error) {
	return c.readAll(ctx, settings, nodeResource(), peerResource())
}

// SubnetsNodesAndPeers reads those, and all Subnets: what tells which node shall announce
// what to whom.
func (c *Cluster) SubnetsNodesAndPeers(ctx context.Context, settings routes.Settings) (policy.Snapshot, error) {
	return c.readAll(ctx, settings, subnetResource(), nodeResource(), peerResource())
}

func (c *Cluster) readAll(ctx context.Context, settings routes.Settings, resources ...resource) (policy.Snapshot, error) {
	var all objects.Batch
	for _, r := range resources {
		var list json.RawMessage
		if err := c.read(ctx, r, "", &list); err != nil {
			return policy.Snapshot{}, fmt.Errorf("read %ss: %w", r.kind, err)
		}
		all.Objects = append(all.Objects, objects.Parse("", list)...)
	}
	for _, o := range all.Objects {
		if s, ok := o.Value.(*objects.Subnet); ok {
			s.Controlled = true
		}
	}
	all.Objects = append(all.Objects, standInSecrets(all.Objects, func(string) bool { return false })...)
	_, good := objects.Assemble([]objects.Batch{all}, nil, func(string) error { return nil })
	return good.Lists().Snapshot(settings), nil
}

// read gets one object of the cluster, or the list of all without a name.
func (c *Cluster) read(ctx context.Context, r resource, name string, into any) error {
	text, err := ask(ctx, c.at(c.clients[r.version].Get(), r, "", name))
	if apierrors.IsNotFound(err) && name == "" {
		return troubled{fmt.Errorf("the API server does not know %s: its CRD is not installed", r), NoSuchKind}
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// AnnotateNode sets annotations of a Node at once; one with value "" is removed.
func (c *Cluster) AnnotateNode(ctx context.Context, node string, annotations map[string]string) error {
	to := make(map[string]any, len(annotations))
	for name, value := range annotations {
		to[name] = value
		if value == "" {
			to[name] = nil
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": to}})
	if err != nil {
		return fmt.Errorf("annotate Node %s: %w", node, err)
	}
	resource := nodeResource()
	_, err = ask(ctx, c.at(c.clients[resource.version].Patch(types.MergePatchType), resource, "", node).Body(patch))
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("no Node %s", node)
	}
	if err != nil {
		return fmt.Errorf("annotate Node %s: %w", node, err)
	}
	return nil
}
