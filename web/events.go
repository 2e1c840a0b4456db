package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Bounds of the streams. One carries a line about each change, never the picture itself:
// who reads slowly gets the newest, and holds nothing up.
const (
	// mostStreams leaves connections of the door to those who ask once.
	mostStreams = 24
	// beatEvery is how often a stream says that it lives.
	beatEvery = 5 * time.Second
	// sendBound is how long a reader may take for a line.
	sendBound = 10 * time.Second
	// changesAtMost is the time between two lines about changes.
	changesAtMost = 500 * time.Millisecond
)

// beat is a line of a stream.
type beat struct {
	// Tag names the version of the picture, as its ETag does; "" before the first.
	Tag string `json:"tag"`
	// At is when it was last seen to be so, and Now what time it is here.
	At  time.Time `json:"at,omitzero"`
	Now time.Time `json:"now"`
}

// serveEvents streams beats (https://html.spec.whatwg.org/multipage/server-sent-events.html):
// one at once, one when there is something newer, and one every few seconds.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	if !p.enter() {
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d pages are being kept up to date already; ask /picture.json", mostStreams), http.StatusServiceUnavailable)
		return
	}
	defer p.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	// The server's bound for a request would end the stream.
	if http.NewResponseController(w).SetReadDeadline(time.Time{}) != nil {
		return
	}
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		b, changed := p.beat()
		if send(w, b) != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		case <-changed:
			if !pause(r.Context(), changesAtMost) {
				return
			}
		}
	}
}

// pause waits; false once ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// send writes one line, to a reader who takes it in time.
func send(w http.ResponseWriter, b beat) error {
	c := http.NewResponseController(w)
	if err := c.SetWriteDeadline(time.Now().Add(sendBound)); err != nil {
		return err
	}
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "data: %s\n\n", text); err != nil {
		return err
	}
	return c.Flush()
}

// beat gives what there is now, and a channel that is closed when there is more.
func (p *Page) beat() (beat, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := beat{Tag: p.tag(), Now: time.Now().UTC()}
	if p.shown != nil {
		b.At = p.shown.At.UTC()
	}
	return b, p.changed
}

// enter admits one more stream, if there is room.
func (p *Page) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams >= mostStreams {
		return false
	}
	p.streams++
	return true
}

func (p *Page) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams--
}
