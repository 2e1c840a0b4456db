package web

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/picture"
	"github.com/fairway-bgp/fairway/status"
)

// numbered is a picture like no other.
func numbered(n int) *picture.Picture {
	p := picture.OfNode(interesting())
	p.Version = fmt.Sprint(n)
	return &p
}

// served serves a page, with bounds so short that a stream outlives them all.
func served(t *testing.T, page *Page) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	page.addTo(mux)
	server := httptest.NewUnstartedServer(guardHost(mux))
	server.Config.ReadTimeout, server.Config.WriteTimeout, server.Config.IdleTimeout = 300*time.Millisecond, 300*time.Millisecond, time.Minute
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// stream is one reader of /events.
type stream struct {
	t     *testing.T
	lines *bufio.Reader
	leave context.CancelFunc
}

func listen(t *testing.T, server *httptest.Server) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s, %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	return &stream{t, bufio.NewReader(answer.Body), cancel}
}

// next reads one beat.
func (s *stream) next() beat {
	s.t.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			s.t.Fatalf("the stream ended: %v", err)
		}
		if text, ok := strings.CutPrefix(line, "data: "); ok {
			var b beat
			if err := json.Unmarshal([]byte(text), &b); err != nil {
				s.t.Fatal(err)
			}
			return b
		}
	}
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestAStreamTellsOfChangesAndOutlivesTheBoundsOfARequest(t *testing.T) {
	page := NewPage(time.Now())
	server := served(t, page)
	s := listen(t, server)
	if b := s.next(); b.Tag != "" || b.Now.IsZero() {
		t.Errorf("before the first picture: %+v", b)
	}
	last := ""
	for n := range 3 {
		page.Post(numbered(n))
		b := s.next()
		for b.Tag == last { // a beat of before
			b = s.next()
		}
		answer, err := server.Client().Get(server.URL + "/picture.json")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if want := answer.Header.Get("ETag"); `"`+b.Tag+`"` != want || b.At.IsZero() {
			t.Errorf("change %d: the stream says %+v, the picture is %s", n, b, want)
		}
		last = b.Tag
	}
}

func TestThePageIsSentOnce(t *testing.T) {
	page := NewPage(time.Now())
	server := served(t, page)
	page.Post(numbered(1))
	tag := page.tag()
	older := numbered(1)
	older.At = older.At.Add(time.Minute)
	if page.Post(older); page.tag() != tag {
		t.Errorf("what says the same is another version: %s", page.tag())
	}
	ask := func(header, value string) *http.Response {
		r, _ := http.NewRequest(http.MethodGet, server.URL+"/picture.json", nil)
		r.Header.Set(header, value)
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	if a := ask("If-None-Match", `"`+tag+`"`); a.StatusCode != http.StatusNotModified {
		t.Errorf("who has it is sent it again: %s", a.Status)
	}
	packed := ask("Accept-Encoding", "gzip")
	unzipped, err := gzip.NewReader(packed.Body)
	if err != nil || packed.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("not packed: %v", err)
	}
	var shown shownText
	if err := json.NewDecoder(unzipped).Decode(&shown); err != nil || shown.Picture == nil || shown.Timeline == nil {
		t.Errorf("%+v: %v", shown, err)
	}
}

// TestWhoDoesNotReadHoldsNothingUp: the daemon posts at its own pace, there are so many
// streams and no more, and one that ends makes room.
func TestWhoDoesNotReadHoldsNothingUp(t *testing.T) {
	page := NewPage(time.Now())
	server := served(t, page)
	var all []*stream
	for range mostStreams {
		all = append(all, listen(t, server))
	}
	for n := range 500 {
		page.Post(numbered(n))
	}
	answer, err := server.Client().Get(server.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("one stream too many: %s %s", answer.Status, text)
	}
	b := all[0].next()
	for b.Tag != page.tag() { // the newest, not all 500
		b = all[0].next()
	}
	for _, s := range all {
		s.leave()
	}
	eventually(t, "streams of readers who have gone take room", func() bool {
		page.mu.Lock()
		defer page.mu.Unlock()
		return page.streams == 0
	})
	listen(t, server).next()
}

// TestThePageFollowsTheBoard has also a timeline, which a reload does not lose.
func TestThePageFollowsTheBoard(t *testing.T) {
	board, page := &status.Board{}, NewPage(time.Now())
	log := logrus.New()
	log.SetOutput(io.Discard)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); page.Follow(ctx, board, logrus.NewEntry(log)) }()
	shows := func(text string) func() bool {
		return func() bool {
			body, err := page.body()
			return err == nil && body != nil && strings.Contains(string(body.json), text)
		}
	}
	board.Post(interesting())
	eventually(t, "nothing is shown", shows(`"name":"n1"`))
	lost := interesting()
	lost.Sessions[0].State, lost.Sessions[0].LastError = "Idle", "the hold timer expired"
	board.Post(lost)
	eventually(t, "nothing has happened", shows(`session tor-a is down: the hold timer expired`))
	end()
	<-ended
}

func TestPageLetsABrowserLoadNothingElse(t *testing.T) {
	for _, path := range []string{"/", "/page.js", "/page.css", "/icon.svg"} {
		r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
		w := httptest.NewRecorder()
		Handler(&status.Board{}, NewPage(time.Now())).ServeHTTP(w, r)
		if csp := w.Header().Get("Content-Security-Policy"); w.Code != 200 || !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %d, %q", path, w.Code, csp)
		}
		if body := w.Body.String(); path == "/" && (strings.Contains(body, "<style") || strings.Contains(body, "http:") || strings.Contains(body, "https:")) {
			t.Errorf("the page has a style of its own or loads something from elsewhere:\n%s", body)
		}
	}
}
