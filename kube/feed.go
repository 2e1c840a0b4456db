package kube

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/fairway-bgp/fairway/objects"
)

// A watch that broke is tried again after firstRetry, then ever later up to
// lastRetry and half of that by chance. client-go's own back-off goes to a
// minute, and as long a change would go unseen after the API server is back.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 1500 * time.Millisecond
	// refusedRetry comes on top while an API server that is there says no (no such
	// CRD, not allowed), and has said nothing else yet: that may last for days.
	refusedRetry = 2 * time.Second
)

// feed follows the objects of one kind, or one of them, and keeps what it knew
// whenever it cannot.
type feed struct {
	resource
	// namespace and field narrow the feed down; empty for everything.
	namespace, field string
	// spec is what the selection says of the spec of all objects, as JSON; then only their
	// metadata is asked for. Empty for whole objects.
	spec   string
	client rest.Interface
	// changed is called after each change, and must not block.
	changed func()
	// refused is the pause after a no, where it is longer than refusedRetry.
	refused time.Duration

	mu   sync.Mutex
	kept map[objects.Key]*stored
	// news are the keys of what came, went or changed since take.
	news  map[objects.Key]bool
	state feedState
	// rewritten is true from when the store turned out to have another history
	// until everything has been read again.
	rewritten bool
	// seen are annotations that Subnets had lately.
	seen []map[string]string
}

// feedState says how well a feed works.
type feedState struct {
	// synced is true once everything has been read. It stays true.
	synced bool
	// why says what keeps the feed from being in step, since when; "" if nothing
	// does. answered is true after a first answer or error.
	why      string
	trouble  Trouble
	since    time.Time
	answered bool
}

// stored is one object as it is kept. It is never changed once others see it: the same
// pointer is the same object.
type stored struct {
	objects.Object
	uid types.UID
	// generation counts the changes of the spec.
	generation int64
	// text is the trimmed object; of a Speaker its checksum.
	text packed
}

// value is the object's, nil for no object.
func (s *stored) value() any {
	if s == nil {
		return nil
	}
	return s.Value
}

// run follows until ctx ends.
func (f *feed) run(ctx context.Context) {
	backoff := wait.Backoff{Duration: firstRetry, Factor: 2, Cap: lastRetry, Steps: 8, Jitter: 0.5}
	source := &cache.ListWatch{ListWithContextFunc: f.list, WatchFuncWithContext: f.watch}
	cache.NewReflectorWithOptions(source, &rawObject{}, f, cache.ReflectorOptions{
		Name: f.String(), Backoff: &backoff,
	}).RunWithContext(ctx)
}

// request makes one try: trying again is the reflector's.
func (f *feed) request(o metav1.ListOptions) *rest.Request {
	o.FieldSelector = f.field
	r := f.client.Get().NamespaceIfScoped(f.namespace, f.namespace != "").Resource(f.plural).VersionedParams(&o, listParameters()).MaxRetries(0)
	switch {
	case f.spec != "" && o.Watch:
		r.SetHeader("Accept", metadataOnly)
	case f.spec != "":
		r.SetHeader("Accept", metadataOnlyList)
	}
	return r
}

// metadataOnlyList asks for a list of the metadata alone (API concepts,
// PartialObjectMetadataList). An API server that cannot do that sends whole objects.
const metadataOnlyList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

// completed gives the text of an object with what the selection says of it.
func (f *feed) completed(text []byte) []byte {
	rest, isObject := bytes.CutPrefix(text, []byte("{"))
	if f.spec == "" || !isObject {
		return text
	}
	return slices.Concat([]byte(`{"spec":`), []byte(f.spec), []byte(","), rest)
}

// list is half of what the reflector asks for.
func (f *feed) list(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	f.pause(ctx)
	if f.isRewritten() {
		o.ResourceVersion, o.ResourceVersionMatch = "", ""
	}
	list, err := f.readList(ctx, o)
	f.note(ctx, err)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// watch is the other half.
func (f *feed) watch(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
	f.pause(ctx)
	if err := f.probe(ctx, o.ResourceVersion); err != nil {
		f.note(ctx, err)
		return nil, err
	}
	if f.isRewritten() && o.SendInitialEvents != nil {
		o.ResourceVersion = ""
	}
	o.Watch = true
	request := f.request(o)
	if o.TimeoutSeconds != nil {
		request = request.Timeout(time.Duration(*o.TimeoutSeconds) * time.Second)
	}
	w, err := request.Watch(ctx)
	if err != nil || o.SendInitialEvents == nil {
		f.note(ctx, err)
	}
	return w, err
}

// probe asks for one object before a watch begins, and so finds out two things.
// Whether the API server answers: a watch that meets an end of file or a timeout
// is not an error to client-go, but one that ends at once. And whether a watch can
// be taken up at the version where it ended: after etcd was emptied or restored
// from a backup versions begin lower, and a watch from a higher one would be
// silent until they come by again. The error then makes the reflector list anew.
func (f *feed) probe(ctx context.Context, version string) error {
	var newest rawList
	if err := f.request(metav1.ListOptions{Limit: 1}).Timeout(requestBound).Do(ctx).Into(&newest); err != nil {
		return err
	}
	if version == "" || version == "0" || f.isRewritten() {
		return nil
	}
	if order, err := resourceversion.CompareResourceVersion(newest.ResourceVersion, version); err == nil && order < 0 {
		f.mu.Lock()
		f.rewritten = true
		f.mu.Unlock()
		return apierrors.NewResourceExpired(fmt.Sprintf("the API server is at resource version %s, before %s", newest.ResourceVersion, version))
	}
	return nil
}

func (f *feed) isRewritten() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rewritten
}

// pause waits where the API server has said nothing but no.
func (f *feed) pause(ctx context.Context) {
	s := f.condition()
	if s.synced || s.why == "" {
		return
	}
	pause(ctx, max(f.refused, refusedRetry)+rand.N(refusedRetry/4))
}

// note remembers how a request went, and tells of a change.
func (f *feed) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	f.mu.Lock()
	before := f.state
	f.state.answered = f.state.answered || err != nil
	switch {
	case err == nil:
		f.state.why, f.state.trouble, f.state.since = "", "", time.Time{}
	default:
		f.state.why, f.state.trouble = f.explain(err), TroubleOf(err)
		if f.state.since.IsZero() {
			f.state.since = time.Now().UTC()
		}
	}
	changed := before != f.state
	f.mu.Unlock()
	if changed {
		f.changed()
	}
}

// explain gives an API server's refusal in words that say what to do.
func (f *feed) explain(err error) string {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("the API server does not know %s: its CRD is not installed", f.resource)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return "the API server refuses: " + err.Error()
	}
	return plainly(err)
}

// plainly says why a request found no answer, without URL and ports, which differ
// from try to try.
func plainly(err error) string {
	var request *url.Error
	var network *net.OpError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "the API server hung up"
	case errors.As(err, &network):
		return "the API server does not answer: " + network.Op + ": " + network.Err.Error()
	case errors.As(err, &request):
		return "the API server does not answer: " + request.Err.Error()
	}
	return err.Error()
}

// condition gives the state as it is.
func (f *feed) condition() feedState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// objects gives what is kept; nobody changes it afterwards.
func (f *feed) objects() map[objects.Key]*stored {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.kept)
}

// take gives what came, went or changed since the last take, as it is now: nil for what
// is gone.
func (f *feed) take() map[objects.Key]*stored {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.news) == 0 {
		return nil
	}
	out := make(map[objects.Key]*stored, len(f.news))
	for k := range f.news {
		out[k] = f.kept[k]
	}
	f.news = nil
	return out
}

// Transformer converts objects as soon as they come, so that their texts need not wait
// for the last of them.
func (f *feed) Transformer() cache.TransformFunc {
	return func(o any) (any, error) {
		if p, ok := o.(*rawObject); ok && p.Annotations[metav1.InitialEventsAnnotationKey] == "" {
			return f.converted(p), nil
		}
		return o, nil
	}
}

// converted gives an object without its text.
func (f *feed) converted(p *rawObject) *rawObject {
	q := *p
	q.stored, q.text, q.Annotations = f.convert(p), nil, nil
	return &q
}

// convert gives an object as it is kept.
func (f *feed) convert(p *rawObject) *stored {
	if p.stored != nil {
		return p.stored
	}
	if f.kind == kindSpeaker {
		// Many, and large: what they say is kept once.
		text := trimSpeaker(p.text)
		return &stored{Object: readSpeaker(text), uid: p.UID, text: packed(fmt.Sprintf("%x", sha256.Sum256(text)))}
	}
	return newStored(objects.Take(f.version.String(), f.kind, f.completed(p.text)))
}

// newStored gives an object of a cluster: its Subnets have a controller.
func newStored(t objects.Taken) *stored {
	if s, ok := t.Value.(*objects.Subnet); ok {
		s.Controlled = true
	}
	return &stored{Object: t.Object, uid: types.UID(t.UID), generation: t.Generation, text: pack(string(t.Text))}
}

// same reports whether two versions of an object mean the same.
func (s *stored) same(t *stored) bool {
	return s.text == t.text && s.uid == t.uid && (s.generation == t.generation || s.Kind != objects.KindBGPPeer)
}

// put keeps an object in a map, and reports whether it is news. What is the same stays
// the same pointer, of the whole or of its value. The feed is locked.
func (f *feed) put(kept map[objects.Key]*stored, k objects.Key, s *stored) bool {
	old := f.kept[k]
	switch {
	case old == nil:
	case old.same(s):
		kept[k] = old
		return false
	case reflect.DeepEqual(old.Value, s.Value):
		s.Value = old.Value
	}
	if sub, ok := s.Value.(*objects.Subnet); ok && (old == nil || s.Value != old.Value) {
		sub.Annotations = f.shared(sub.Annotations)
	}
	kept[k] = s
	f.isNews(k)
	return true
}

// mostSeen bounds the annotations that are compared with those of each new Subnet.
const mostSeen = 16

// shared gives the same map for annotations that are the same: those of a thousand
// Subnets differ little, and a map takes 300 octets. The feed is locked.
func (f *feed) shared(annotations map[string]string) map[string]string {
	if len(annotations) == 0 {
		return annotations
	}
	for _, other := range f.seen {
		if maps.Equal(annotations, other) {
			return other
		}
	}
	if len(f.seen) == mostSeen {
		f.seen = slices.Delete(f.seen, 0, 1)
	}
	f.seen = append(f.seen, annotations)
	return annotations
}

// Add keeps a new object, for the reflector.
func (f *feed) Add(o any) error { return f.Update(o) }

// Update keeps a changed object, for the reflector.
func (f *feed) Update(o any) error {
	p, ok := o.(*rawObject)
	if !ok {
		return fmt.Errorf("follow %s: unexpected %T", f.resource, o)
	}
	s := f.convert(p)
	f.mu.Lock()
	if f.kept == nil {
		f.kept = map[objects.Key]*stored{}
	}
	changed := f.put(f.kept, f.keyOf(p), s)
	f.mu.Unlock()
	if changed {
		f.changed()
	}
	return nil
}

// Delete forgets an object, for the reflector.
func (f *feed) Delete(o any) error {
	p, ok := o.(*rawObject)
	if !ok {
		return fmt.Errorf("follow %s: unexpected %T", f.resource, o)
	}
	f.mu.Lock()
	delete(f.kept, f.keyOf(p))
	f.isNews(f.keyOf(p))
	f.mu.Unlock()
	f.changed()
	return nil
}

// Replace takes a whole list, for the reflector.
func (f *feed) Replace(list []any, _ string) error {
	for i, o := range list {
		p, ok := o.(*rawObject)
		if !ok {
			return fmt.Errorf("follow %s: unexpected %T", f.resource, o)
		}
		list[i] = f.converted(p)
	}
	f.mu.Lock()
	kept := make(map[objects.Key]*stored, len(list))
	for _, o := range list {
		p, _ := o.(*rawObject)
		f.put(kept, f.keyOf(p), p.stored)
	}
	for k := range f.kept {
		if kept[k] == nil {
			f.isNews(k)
		}
	}
	f.kept = kept
	f.state = feedState{synced: true, answered: true}
	f.rewritten = false
	f.mu.Unlock()
	f.changed()
	return nil
}

// isNews remembers that an object came, went or changed. The feed is locked.
func (f *feed) isNews(k objects.Key) {
	if f.news == nil {
		f.news = map[objects.Key]bool{}
	}
	f.news[k] = true
}

// Resync is nothing: whoever reads, reads everything.
func (f *feed) Resync() error { return nil }

func (f *feed) keyOf(p *rawObject) objects.Key {
	return objects.Key{Kind: f.kind, Namespace: p.Namespace, Name: p.Name}
}
