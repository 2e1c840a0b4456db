package web

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/inet"
	"github.com/fairway-bgp/fairway/status"
)

//go:embed page.html
var pageSource string

// staleAfter is when a picture is too old for the daemon to be well: its loop
// makes a pass every 30 s at least.
const staleAfter = 2 * time.Minute

// Listen opens the address, which must be a loopback one: the page has no
// authentication.
func Listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen address %q is not HOST:PORT", address)
	}
	if !inet.IsLoopback(host) {
		return nil, fmt.Errorf("listen address %q is not a loopback address: the status page has no authentication; give 127.0.0.1:PORT", address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("status page: %w (another fairway on this node? give --listen another port)", err)
	}
	return l, nil
}

// Bounds of one request, so that who asks and does not read, or says nothing, is
// not waited for.
const (
	askBound    = 5 * time.Second
	answerBound = 30 * time.Second
	idleBound   = time.Minute
)

// Serve answers on l until ctx ends.
func Serve(ctx context.Context, l net.Listener, board *status.Board) error {
	s := &http.Server{Handler: Handler(board), ReadHeaderTimeout: askBound, ReadTimeout: askBound, WriteTimeout: answerBound, IdleTimeout: idleBound}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Handler answers the paths of this package from a board.
func Handler(board *status.Board) http.Handler {
	page := template.Must(template.New("page").Funcs(template.FuncMap{
		"ago":  func(t time.Time) string { return status.Ago(t, time.Now()) },
		"join": func(s []string) string { return strings.Join(s, ", ") },
	}).Parse(pageSource))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { servePage(w, page, board.Newest()) })
	mux.HandleFunc("GET /status.json", func(w http.ResponseWriter, _ *http.Request) { serveJSON(w, board.Newest()) })
	mux.Handle("GET /metrics", metricsHandler(board))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { serveProbe(w, unhealthy(board.Newest(), time.Now())) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { serveProbe(w, unready(board.Newest())) })
	return guardHost(mux)
}

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

func servePage(w http.ResponseWriter, page *template.Template, s *status.Status) {
	var b bytes.Buffer
	if err := page.Execute(&b, s); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Write(b.Bytes())
}

func serveJSON(w http.ResponseWriter, s *status.Status) {
	if s == nil {
		http.Error(w, "starting: nothing has been read yet", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(s)
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
		return "starting: nothing has been read yet"
	case !s.Ready:
		return strings.Join(s.Waiting, "; ")
	}
	return ""
}
