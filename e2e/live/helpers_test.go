package live

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
	"github.com/fairway-bgp/fairway/status"
)

// away waits until the daemon has called the API server so many more times, in vain,
// and for as long as FAIRWAY_AWAY says ("1m"). It gives the time that this took.
func (w *world) away(calls int64) time.Duration {
	w.Helper()
	before := w.calls.Load()
	least, _ := time.ParseDuration(os.Getenv("FAIRWAY_AWAY")) // unset: 0
	began := time.Now()
	return w.within(patience+least, fmt.Sprintf("the daemon has called the API server %d times", calls), func() string {
		if n := w.calls.Load() - before; n < calls {
			return fmt.Sprintf("%d times so far", n)
		}
		return lack(time.Since(began) >= least)
	})
}

// kill takes a Pod away at once: no kubelet is there to end it.
func (w *world) kill(pod string) {
	w.Helper()
	resource, err := kubetest.Resource(w.server.Config(), like("v1", "Pod", namespace))
	if err == nil {
		now := int64(0)
		err = resource.Delete(w.ctx(), pod, metav1.DeleteOptions{GracePeriodSeconds: &now})
	}
	if err != nil {
		w.Fatal(err)
	}
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

func (w *world) undrain(node string) {
	w.Helper()
	if out, code := w.fairway("undrain", node); code != 0 {
		w.Errorf("undrain: exit %d, %s", code, out)
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
