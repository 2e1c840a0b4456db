package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fairway-bgp/fairway/inet"
	"github.com/fairway-bgp/fairway/status"
)

// staleAfter is when a picture is too old for the daemon to be well: its loop
// makes a pass every 30 s at least.
const staleAfter = 2 * time.Minute

// Bounds of one request, so that who asks and does not read, or says nothing, is
// not waited for.
const (
	askBound    = 5 * time.Second
	answerBound = 15 * time.Second
	idleBound   = time.Minute
)

// Serve answers on l until it is closed.
func Serve(l net.Listener, board *status.Board, page *Page) error {
	return serve(l, Handler(board, page))
}

// ServePage answers on l with the page alone, until l is closed.
func ServePage(l net.Listener, page *Page) error {
	mux := http.NewServeMux()
	page.addTo(mux)
	return serve(l, guardHost(mux))
}

func serve(l net.Listener, h http.Handler) error { return bounded(h).Serve(l) }

// bounded is a server that waits for nobody longer than the bounds.
func bounded(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: askBound, ReadTimeout: askBound, WriteTimeout: answerBound, IdleTimeout: idleBound}
}

// Handler answers the paths of this package from a board, and from a page that follows it.
func Handler(board *status.Board, page *Page) http.Handler {
	asJSON := &answer{make: writeJSON}
	mux := http.NewServeMux()
	page.addTo(mux)
	mux.HandleFunc("GET /status.json", func(w http.ResponseWriter, _ *http.Request) {
		if s := board.Newest(); s == nil {
			http.Error(w, notYet, http.StatusServiceUnavailable)
		} else {
			asJSON.serve(w, s)
		}
	})
	// Asked for once in a while, by fairway plan --diff.
	mux.HandleFunc("GET /basis.json", func(w http.ResponseWriter, _ *http.Request) {
		if s := board.Newest(); s == nil {
			http.Error(w, notYet, http.StatusServiceUnavailable)
		} else {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(s.Basis)
		}
	})
	mux.Handle("GET /metrics", metricsHandler(board))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { serveProbe(w, unhealthy(board.Newest(), time.Now())) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { serveProbe(w, unready(board.Newest())) })
	return guardHost(mux)
}

// notYet is said before the first picture.
const notYet = "starting: nothing has been read yet"

// guardHost refuses requests by a name that is not local, so that a web page of
// somebody else's cannot read this one through a DNS name (DNS rebinding).
func guardHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if !inet.IsLoopback(strings.Trim(host, "[]")) {
			http.Error(w, "only localhost is served", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// answer is a Status as bytes, the same for all who ask: that of a large cluster takes
// megabytes, and who asks may be many and slow.
type answer struct {
	make func(io.Writer, *status.Status) error

	mu    sync.Mutex
	of    *status.Status
	bytes []byte
}

func (a *answer) serve(w http.ResponseWriter, s *status.Status) {
	body, err := a.body(s)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}

// body gives the bytes for a Status, which nobody may change.
func (a *answer) body(s *status.Status) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bytes != nil && a.of == s {
		return a.bytes, nil
	}
	var b bytes.Buffer
	if err := a.make(&b, s); err != nil {
		return nil, err
	}
	a.of, a.bytes = s, b.Bytes()
	return a.bytes, nil
}

func writeJSON(w io.Writer, s *status.Status) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

func serveProbe(w http.ResponseWriter, problem string) {
	if problem != "" {
		http.Error(w, problem, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// unhealthy says why the process should be restarted, or "". Only a loop that
// no longer turns is a reason: a session that is down, or a source that is away,
// is not mended by a restart.
func unhealthy(s *status.Status, now time.Time) string {
	if s != nil && now.Sub(s.At) > staleAfter {
		return fmt.Sprintf("the last pass ended %s ago", status.Ago(s.At, now))
	}
	return ""
}

// unready says why the node does not do its work yet, or "".
func unready(s *status.Status) string {
	switch {
	case s == nil:
		return notYet
	case !s.Ready:
		return strings.Join(s.Waiting, "; ")
	}
	return ""
}
