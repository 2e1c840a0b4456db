package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/picture"
	"github.com/fairway-bgp/fairway/status"
)

// Page is the page with the picture, and what happened since it began to look. Its files
// are built from ui/ and are the same for a node and a cluster; what they show is told
// at /picture.json, and at /events that there is something newer. It is safe for any
// number of readers, and none of them is waited for.
type Page struct {
	begun time.Time

	mu sync.Mutex
	// shown is what was posted last, nil before; of is what it was made of, nil for a
	// cluster's. packed is it as JSON, plain and by gzip, nil until somebody asks.
	shown    *picture.Picture
	of       *status.Status
	timeline picture.Timeline
	serial   int
	packed   *packed
	// changed is closed when there is something newer.
	changed chan struct{}
	streams int
}

// packed is one version of the picture as it is sent.
type packed struct {
	tag          string
	json, zipped []byte
}

// NewPage gives a Page that shows nothing yet. now names this run of it: what a browser
// kept of another one is not taken for the same.
func NewPage(now time.Time) *Page { return &Page{begun: now, changed: make(chan struct{})} }

// shownText is the body of /picture.json.
type shownText struct {
	Picture  *picture.Picture `json:"picture"`
	Timeline picture.Timeline `json:"timeline"`
}

// Post shows a Picture, which must not be changed afterwards. One that says the same as
// the last is only newer.
func (p *Page) Post(s *picture.Picture) { p.post(s, nil) }

func (p *Page) post(s *picture.Picture, of *status.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of = of
	if p.shown != nil && saysTheSame(p.shown, s) {
		p.shown = s
		return
	}
	if p.shown != nil {
		p.timeline = p.timeline.With(picture.Compare(p.shown, s))
	}
	p.shown, p.packed = s, nil
	p.serial++
	close(p.changed)
	p.changed = make(chan struct{})
}

// saysTheSame compares all but the time. Lists that are one cost nothing.
func saysTheSame(a, b *picture.Picture) bool {
	older := *a
	older.At = b.At
	return reflect.DeepEqual(&older, b)
}

// Follow posts what a board has, until ctx ends. What comes sooner than arrangeEvery is
// passed over for what comes after it, and what cannot be is logged: the loop that posts on the board
// neither waits for the page nor ends with it.
func (p *Page) Follow(ctx context.Context, board *status.Board, log *logrus.Entry) {
	for {
		changed := board.Changed()
		if s := board.Newest(); s != nil {
			if err := p.postStatus(s); err != nil {
				log.WithError(err).Error("the page shows what was before")
			}
		}
		if !pause(ctx, arrangeEvery) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// arrangeEvery bounds what a node on which much changes spends on its page.
const arrangeEvery = 500 * time.Millisecond

// postStatus posts a node's picture. A mistake in arranging it is an error.
func (p *Page) postStatus(s *status.Status) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("make the picture: %v", r)
		}
	}()
	shown := p.arrange(s)
	p.post(&shown, s)
	return nil
}

func (p *Page) arrange(s *status.Status) picture.Picture {
	p.mu.Lock()
	before, shown := p.of, p.shown
	p.mu.Unlock()
	if before == nil {
		return picture.OfNode(s)
	}
	return picture.OfNodeAfter(before, shown, s)
}

// tag names the version that is shown; "" before the first.
func (p *Page) tag() string {
	if p.shown == nil {
		return ""
	}
	return fmt.Sprintf("%x.%d", p.begun.UnixNano(), p.serial)
}

// body gives what is shown; nil before the first. It is made once for all who ask.
func (p *Page) body() (*packed, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown == nil || p.packed != nil {
		return p.packed, nil
	}
	text, err := json.Marshal(shownText{p.shown, append(picture.Timeline{}, p.timeline...)})
	if err != nil {
		return nil, fmt.Errorf("picture as JSON: %w", err)
	}
	p.packed = &packed{p.tag(), text, zip(text)}
	return p.packed, nil
}

func zip(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(text)
	w.Close()
	return b.Bytes()
}

// mayLoad lets a browser load what is served here, and nothing else.
const mayLoad = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// addTo adds the page's paths.
func (p *Page) addTo(mux *http.ServeMux) {
	for path, f := range files() {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { f().serve(w, r) })
	}
	mux.HandleFunc("GET /picture.json", p.servePicture)
	mux.HandleFunc("GET /events", p.serveEvents)
}

func (p *Page) servePicture(w http.ResponseWriter, r *http.Request) {
	body, err := p.body()
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case body == nil:
		http.Error(w, notYet, http.StatusServiceUnavailable)
	default:
		file{"application/json", body.tag, body.json, body.zipped}.serve(w, r)
	}
}

// file is bytes with a name for this version of them.
type file struct {
	kind, tag    string
	text, zipped []byte
}

// serve sends the file, unless the browser has it.
func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", mayLoad)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // always ask, which costs nothing where nothing changed
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", `"`+f.tag+`"`)
	if r.Header.Get("If-None-Match") == `"`+f.tag+`"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.kind)
	text := f.text
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		text = f.zipped
	}
	w.Write(text)
}

// files are the page's own, by path, made ready when they are asked for first.
func files() map[string]func() file {
	out := map[string]func() file{}
	for path, f := range map[string]struct{ kind, text string }{
		"/{$}":      {"text/html; charset=utf-8", pageHTML},
		"/page.js":  {"text/javascript; charset=utf-8", pageJS},
		"/page.css": {"text/css; charset=utf-8", pageCSS},
		"/icon.svg": {"image/svg+xml", pageIcon},
	} {
		out[path] = sync.OnceValue(func() file {
			text := []byte(f.text)
			return file{f.kind, fmt.Sprintf("%x", sha256.Sum256(text))[:16], text, zip(text)}
		})
	}
	return out
}
