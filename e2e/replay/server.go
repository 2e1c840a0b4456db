package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// apiServer tells daemons what a recording says: lists and watches as
// kube-apiserver gives them (Kubernetes API concepts, "Efficient detection of
// changes"), and it takes whatever is written, which it keeps only of Speakers. It
// knows no users and no rules.
type apiServer struct {
	mu      sync.Mutex
	version int
	// kinds are by the path of their list.
	kinds map[string]*apiKind
	// told is closed, and made anew, at each change.
	told chan struct{}
}

// apiKind is all there is of a kind, and all that happened to it.
type apiKind struct {
	version, kind string
	objects       map[string]map[string]any
	log           []apiEvent
}

type apiEvent struct {
	version int
	kind    string
	object  map[string]any
}

func newAPIServer() *apiServer {
	s := &apiServer{version: 1000, told: make(chan struct{}), kinds: map[string]*apiKind{}}
	for list, k := range map[string]apiKind{
		"/apis/kubeovn.io/v1/subnets":              {version: "kubeovn.io/v1", kind: "Subnet"},
		"/apis/kubeovn.io/v1/vlans":                {version: "kubeovn.io/v1", kind: "Vlan"},
		"/apis/fairway.dev/v1alpha1/bgppeers":      {version: "fairway.dev/v1alpha1", kind: "BGPPeer"},
		"/apis/fairway.dev/v1alpha1/speakers":      {version: "fairway.dev/v1alpha1", kind: "Speaker"},
		"/api/v1/nodes":                            {version: "v1", kind: "Node"},
		"/api/v1/pods":                             {version: "v1", kind: "Pod"},
		"/api/v1/namespaces/" + space + "/secrets": {version: "v1", kind: "Secret"},
	} {
		k.objects = map[string]map[string]any{}
		s.kinds[list] = &k
	}
	return s
}

// space is the namespace of the daemons.
const space = "fairway-system"

// tell takes an event of a recording.
func (s *apiServer) tell(event, kind string, text []byte) error {
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	for _, k := range s.kinds {
		if k.kind == kind {
			s.put(k, event, object)
			return nil
		}
	}
	return fmt.Errorf("no kind %s", kind)
}

// put changes an object and wakes the watches.
func (s *apiServer) put(k *apiKind, event string, object map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	metadata := metadataOf(object)
	metadata["resourceVersion"] = strconv.Itoa(s.version)
	name := fmt.Sprint(metadata["namespace"], "/", metadata["name"])
	switch _, there := k.objects[name]; {
	case event == "DELETED":
		delete(k.objects, name)
	case there:
		event, k.objects[name] = "MODIFIED", object
	default:
		event, k.objects[name] = "ADDED", object
	}
	k.log = append(k.log, apiEvent{s.version, event, object})
	close(s.told)
	s.told = make(chan struct{})
}

func metadataOf(object map[string]any) map[string]any {
	if m, ok := object["metadata"].(map[string]any); ok {
		return m
	}
	m := map[string]any{}
	object["metadata"] = m
	return m
}

// ServeHTTP implements http.Handler.
func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := strings.TrimSuffix(r.URL.Path, "/status")
	if r.Method != http.MethodGet {
		s.write(w, r, at)
		return
	}
	if k := s.kinds[at]; k != nil {
		s.list(w, r, k)
		return
	}
	if k := s.kinds[path.Dir(at)]; k != nil {
		if object := s.get(k, path.Base(at)); object != nil {
			answer(w, http.StatusOK, object)
			return
		}
	}
	refuse(w, "NotFound", http.StatusNotFound)
}

func (s *apiServer) get(k *apiKind, name string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range k.objects {
		if metadataOf(o)["name"] == name {
			return o
		}
	}
	return nil
}

func answer(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object) // whoever asked may be gone
}

func refuse(w http.ResponseWriter, reason string, code int) {
	answer(w, code, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": reason})
}

// write gives back what was sent, with what an API server would have added.
func (s *apiServer) write(w http.ResponseWriter, r *http.Request, at string) {
	object := map[string]any{}
	if err := json.NewDecoder(r.Body).Decode(&object); err != nil && r.Method != http.MethodDelete {
		refuse(w, "BadRequest", http.StatusBadRequest)
		return
	}
	metadata := metadataOf(object)
	if metadata["name"] == nil {
		metadata["name"] = path.Base(at)
	}
	metadata["uid"] = fmt.Sprint("uid-of-", metadata["name"])
	if k := s.kinds[path.Dir(at)]; k != nil && k.kind == "Speaker" {
		s.put(k, "MODIFIED", object)
	} else {
		metadata["resourceVersion"] = "1"
	}
	code := http.StatusOK
	if r.Method == http.MethodPost {
		code = http.StatusCreated
	}
	answer(w, code, object)
}

// list answers a list or a watch.
func (s *apiServer) list(w http.ResponseWriter, r *http.Request, k *apiKind) {
	q := r.URL.Query()
	wanted := func(object map[string]any) bool { return selects(q.Get("fieldSelector"), object) }
	if watch := q.Get("watch"); watch == "1" || watch == "true" {
		since, _ := strconv.Atoi(q.Get("resourceVersion")) // none is from the start
		s.watch(r.Context(), w, k, wanted, since, q.Get("sendInitialEvents") == "true")
		return
	}
	items, version := s.all(k, wanted)
	answer(w, http.StatusOK, map[string]any{
		"kind": k.kind + "List", "apiVersion": k.version, "metadata": map[string]any{"resourceVersion": strconv.Itoa(version)}, "items": items,
	})
}

// all gives what is there now.
func (s *apiServer) all(k *apiKind, wanted func(map[string]any) bool) (items []map[string]any, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items = []map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(k.objects)) {
		if wanted(k.objects[name]) {
			items = append(items, k.objects[name])
		}
	}
	return items, s.version
}

// selects follows a field selector ("spec.nodeName=n1").
func selects(selector string, object map[string]any) bool {
	for term := range strings.SplitSeq(selector, ",") {
		field, value, given := strings.Cut(strings.Replace(term, "==", "=", 1), "=")
		if !given {
			continue
		}
		var at any = object
		for step := range strings.SplitSeq(field, ".") {
			m, _ := at.(map[string]any)
			at = m[step]
		}
		if at != value {
			return false
		}
	}
	return true
}

// watch streams events until the daemon hangs up.
func (s *apiServer) watch(ctx context.Context, w http.ResponseWriter, k *apiKind, wanted func(map[string]any) bool, since int, initial bool) {
	w.Header().Set("Content-Type", "application/json")
	stream, flush := json.NewEncoder(w), http.NewResponseController(w)
	send := func(event string, object any) error {
		return stream.Encode(map[string]any{"type": event, "object": object})
	}
	if initial {
		items, version := s.all(k, wanted)
		for _, o := range items {
			if send("ADDED", o) != nil {
				return
			}
		}
		since = version
		_ = send("BOOKMARK", map[string]any{"kind": k.kind, "apiVersion": k.version, "metadata": map[string]any{
			"resourceVersion": strconv.Itoa(version), "annotations": map[string]string{"k8s.io/initial-events-end": "true"},
		}})
	}
	for {
		news, more := s.since(k, since)
		for _, e := range news {
			since = e.version
			if wanted(e.object) && send(e.kind, e.object) != nil {
				return
			}
		}
		if flush.Flush() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
		case <-time.After(time.Minute): // a connection that is gone is found out by writing
		}
	}
}

// since gives what happened after a version, and a channel that is closed when there
// is more.
func (s *apiServer) since(k *apiKind, version int) ([]apiEvent, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(k.log, func(e apiEvent) bool { return e.version > version })
	if i < 0 {
		return nil, s.told
	}
	return slices.Clone(k.log[i:]), s.told
}
