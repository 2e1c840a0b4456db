package web

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fairway-bgp/fairway/inet"
	"github.com/fairway-bgp/fairway/status"
)

//go:embed page.html
var pageSource string

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

// sameFor is how long a page stays as it is; what is on it says how long ago
// things happened.
const sameFor = time.Second

// Serve answers on l until it is closed.
func Serve(l net.Listener, board *status.Board) error {
	s := &http.Server{Handler: Handler(board), ReadHeaderTimeout: askBound, ReadTimeout: askBound, WriteTimeout: answerBound, IdleTimeout: idleBound}
	return s.Serve(l)
}

// Handler answers the paths of this package from a board.
func Handler(board *status.Board) http.Handler {
	page := template.Must(template.New("page").Funcs(template.FuncMap{
		"ago":  func(t time.Time) string { return status.Ago(t, time.Now()) },
		"join": func(s []string) string { return strings.Join(s, ", ") },
	}).Parse(pageSource))
	asPage := &answer{kind: "text/html; charset=utf-8", make: func(w io.Writer, s *status.Status) error { return page.Execute(w, s) }}
	asJSON := &answer{kind: "application/json", make: writeJSON}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		asPage.serve(w, board.Newest())
	})
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

// answer is one picture as bytes, the same for all who ask: the page of a large
// cluster takes megabytes, and who asks may be many and slow.
type answer struct {
	// kind is the media type.
	kind string
	make func(io.Writer, *status.Status) error

	mu    sync.Mutex
	of    *status.Status
	made  time.Time
	bytes []byte
}

func (a *answer) serve(w http.ResponseWriter, s *status.Status) {
	body, err := a.body(s, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Write(body)
}

// body gives the bytes for a picture, which nobody may change.
func (a *answer) body(s *status.Status, now time.Time) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bytes != nil && a.of == s && now.Sub(a.made) < sameFor {
		return a.bytes, nil
	}
	var b bytes.Buffer
	if err := a.make(&b, s); err != nil {
		return nil, err
	}
	a.of, a.made, a.bytes = s, now, b.Bytes()
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
