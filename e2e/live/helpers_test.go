package live

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/status"
)

// away is how long the API server stays away: long enough for back-offs to grow,
// or as long as FAIRWAY_AWAY says ("1m").
func away() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("FAIRWAY_AWAY")); err == nil {
		return d
	}
	return 12 * time.Second
}

// startAPI brings the API server back and waits until it answers.
func (w *world) startAPI() {
	w.Helper()
	if err := w.server.API.Start(w.ctx()); err != nil {
		w.Fatal(err)
	}
}

func lackCode(text string, got, want int) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%d: %s", got, text)
}

// drain drains a node, though no daemon runs on another, and sees that its daemon has nothing in its table when the
// command says so. The router needs a moment more for its own.
func (w *world) drain(node string) {
	w.Helper()
	out, code := w.fairway("drain", "--force", node)
	text, _ := w.ask("/status.json")
	var now status.Status
	if err := json.Unmarshal([]byte(text), &now); err != nil {
		w.Fatalf("%v: %s", err, text)
	}
	if code != 0 || !now.Draining || len(now.Plan.Adverts)+now.Speaker.Originated > 0 {
		w.Errorf("drain: exit %d, %s; the daemon: draining %t, %d announced, %d in its table", code, out, now.Draining, len(now.Plan.Adverts), now.Speaker.Originated)
	}
}

// savedState waits until the state on disk is that of now, with one Subnet that
// is announced, and gives its age.
func (w *world) savedState(file string) time.Duration {
	w.Helper()
	w.until("the state on disk is that of now", func() string {
		text, err := os.ReadFile(file)
		return lack(err == nil && strings.Count(string(text), `"fairway.dev/advertise":"true"`) == 2) // the Subnet, and its last good annotations
	})
	info, err := os.Stat(file)
	if err != nil {
		w.Fatal(err)
	}
	return time.Since(info.ModTime())
}
