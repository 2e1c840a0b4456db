package kube

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/objects"
)

// Event is something worth telling whoever looks at an object.
type Event struct {
	// Kind is Subnet, BGPPeer or Node.
	Kind, Name string
	UID        types.UID
	// Warning is false for good news.
	Warning bool
	// Reason is one word, Message a sentence.
	Reason, Message string
}

// eventsQueued is how many events may wait for the API server; more are dropped
// and logged.
const eventsQueued = 100

// Herald writes Events. The same event again only raises a count; more than a
// few about one object are dropped until some minutes later (client-go's
// record.EventCorrelator). What another Herald said of a Subnet or a BGPPeer is
// not said again, but refreshed. It needs the verbs create and patch on events in the
// namespace default, where events about objects without a namespace belong.
type Herald struct {
	cluster *Cluster
	node    string
	log     *logrus.Entry
	queue   chan Event
}

// NewHerald gives a Herald that has not begun. Its events are reported by node.
func NewHerald(c *Cluster, node string, log *logrus.Entry) *Herald {
	return &Herald{cluster: c, node: node, log: log, queue: make(chan Event, eventsQueued)}
}

// Tell hands over an event. It never blocks.
func (h *Herald) Tell(e Event) {
	select {
	case h.queue <- e:
	default:
		h.log.WithFields(logrus.Fields{"kind": e.Kind, "name": e.Name, "reason": e.Reason}).Warn("event dropped, too many wait: " + e.Message)
	}
}

// Run writes until ctx ends.
func (h *Herald) Run(ctx context.Context) error {
	ctx = klog.NewContext(ctx, logger(h.log))
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(eventSink{ctx, h.cluster.clients[coreVersion()]})
	recorder := broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: "fairway", Host: h.node})
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-h.queue:
			recorder.Event(e.about(), e.severity(), e.Reason, e.Message)
		}
	}
}

// about is the object that `kubectl describe` finds the event by.
func (e Event) about() *corev1.ObjectReference {
	version := coreVersion()
	switch e.Kind {
	case objects.KindSubnet:
		version = kubeOVNVersion()
	case objects.KindBGPPeer:
		version = v1alpha1.GroupVersion()
	}
	return &corev1.ObjectReference{APIVersion: version.String(), Kind: e.Kind, Name: e.Name, UID: e.UID}
}

func (e Event) severity() string {
	if e.Warning {
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}

// eventSink takes events to the API server.
type eventSink struct {
	ctx    context.Context
	client rest.Interface
}

// Create writes a new event. One of the reporter's has a name that says what it says,
// so that a reporter that begins anew, or takes over, finds what was told already:
// it refreshes that, and the count goes on from there.
func (s eventSink) Create(e *corev1.Event) (*corev1.Event, error) {
	if e.InvolvedObject.Kind != objects.KindNode {
		e = e.DeepCopy()
		e.Name = eventName(e)
	}
	out, err := s.send(s.client.Post(), "", e.Namespace, e)
	if !apierrors.IsAlreadyExists(err) {
		return out, err
	}
	return s.send(s.client.Patch(types.StrategicMergePatchType), e.Name, e.Namespace, map[string]any{
		"lastTimestamp": e.LastTimestamp, "source": e.Source, "reportingInstance": e.ReportingInstance,
	})
}

// eventName gives the same name for the same words about the same object.
func eventName(e *corev1.Event) string {
	const most = 200 // of the 253 of a name
	words := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s", e.InvolvedObject.UID, e.Reason, e.Message))
	about := e.InvolvedObject.Name
	return fmt.Sprintf("%s.%x", strings.TrimRight(about[:min(most, len(about))], "-."), words[:8])
}

// Update replaces an event.
func (s eventSink) Update(e *corev1.Event) (*corev1.Event, error) {
	return s.send(s.client.Put(), e.Name, e.Namespace, e)
}

// Patch raises an event's count.
func (s eventSink) Patch(e *corev1.Event, patch []byte) (*corev1.Event, error) {
	return s.send(s.client.Patch(types.StrategicMergePatchType), e.Name, e.Namespace, json.RawMessage(patch))
}

func (s eventSink) send(request *rest.Request, name, namespace string, body any) (*corev1.Event, error) {
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	if e, ok := body.(*corev1.Event); ok {
		e = e.DeepCopy()
		e.APIVersion, e.Kind = "v1", "Event"
		body = e
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write event: %w", err)
	}
	request = request.Namespace(namespace).Resource("events").Timeout(requestBound)
	if name != "" {
		request = request.Name(name)
	}
	answer, err := ask(s.ctx, request.Body(text))
	if err != nil {
		// Unwrapped: the recorder tells a refusal from an API server that is away.
		return nil, err
	}
	var out corev1.Event
	if err := json.Unmarshal(answer, &out); err != nil {
		return nil, fmt.Errorf("write event: %w", err)
	}
	return &out, nil
}
