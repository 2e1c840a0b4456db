package live

import (
	"fmt"
	"os"
	"time"
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
