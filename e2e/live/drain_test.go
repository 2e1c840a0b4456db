package live

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/status"
)

// leaving is a taint that the daemons of these stories are told of.
const leaving = "example.com/leaving"

func node() *unstructured.Unstructured { return like("v1", "Node", "") }

// another makes n2's Speaker say that it announces a prefix too: no daemon runs
// there.
func (w *world) another(subnet, prefix string) {
	w.Helper()
	w.apply("{apiVersion: fairway.dev/v1alpha1, kind: Speaker, metadata: {name: n2}}")
	w.patch(like("fairway.dev/v1alpha1", "Speaker", ""), "n2", fmt.Sprintf(
		`{"status":{"established":1,"configured":1,"announced":{"count":1,"first":[{"prefix":%q,"subnet":%q,"role":"distributed"}]}}}`, prefix, subnet), "status")
}

// gently waits until the router has a prefix with GRACEFUL_SHUTDOWN.
func (r *router) gently(prefix string) {
	r.Helper()
	r.until(prefix+" comes with GRACEFUL_SHUTDOWN", func() string {
		if got := r.show("show bgp ipv4 unicast " + prefix); !strings.Contains(got, "graceful-shutdown") {
			return got
		}
		return ""
	})
}

// plainly waits until the router has a prefix as ever.
func (r *router) plainly(prefix string) {
	r.Helper()
	r.until(prefix+" comes as ever", func() string {
		if got := r.show("show bgp ipv4 unicast " + prefix); !strings.Contains(got, "best") || strings.Contains(got, "graceful-shutdown") {
			return got
		}
		return ""
	})
}

func (w *world) annotateDrain(value string) {
	w.Helper()
	w.patch(node(), "n1", fmt.Sprintf(`{"metadata":{"annotations":{"fairway.dev/drain":%s}}}`, value))
}

// drainReason is that of the Speaker's condition Drained, "" without one.
func (w *world) drainReason() string {
	if c := meta.FindStatusCondition(w.speaker().Status.Conditions, v1alpha1.ConditionDrained); c != nil {
		return c.Reason
	}
	return ""
}

// drainReasonIs waits for it.
func (w *world) drainReasonIs(want status.DrainStage) {
	w.Helper()
	w.until("the Speaker says "+string(want), func() string {
		if got := w.drainReason(); got != string(want) {
			return "it says " + got
		}
		return ""
	})
}

// now is the daemon's own picture.
func (w *world) now() (s status.Status) {
	w.Helper()
	text, _ := w.ask("/status.json")
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		w.Fatalf("%v: %s", err, text)
	}
	return s
}

// TestDrainHasTwoStages takes n1 out in every way there is. Its daemon announces
// with GRACEFUL_SHUTDOWN first, and withdraws seconds later.
func TestDrainHasTwoStages(t *testing.T) {
	w := newWorld(t, "a")
	a := w.routers["a"]
	w.run("--drain-wait=4s", "--drain-taint="+leaving)
	w.peer("a", "")
	w.subnet("blue", "10.1.0.0/16", "")
	a.plainly("10.1.0.0/16")
	since := a.up()

	t.Run("the last announcer is not drained", func(t *testing.T) {
		lost := a.losses()
		w.until("the Speaker tells of the prefix", func() string { return lack(w.speaker().Status.Announced.Count == 1) })
		out, code := w.fairway("drain", "n1")
		if code != 1 || !strings.Contains(out, "! Subnet blue (10.1.0.0/16): no other node announces it; `fairway why blue` says") ||
			!strings.Contains(out, "node n1 is not drained: nobody else announces 1 Subnet; --force takes it off the network") {
			t.Errorf("drain: exit %d, %s", code, out)
		}
		if s := w.now(); s.Draining {
			t.Error("it drains all the same")
		}
		if got := lost(); len(got) > 0 {
			t.Errorf("the router lost %v", got)
		}
	})
	w.another("blue", "10.1.0.0/16")
	t.Run("fairway drain waits for both stages", func(t *testing.T) {
		over := make(chan struct{})
		var out string
		var code int
		go func() { defer close(over); out, code = w.fairway("drain", "n1") }()
		a.gently("10.1.0.0/16")
		w.drainReasonIs(status.Waiting)
		if told, _ := w.fairway("status", "--cluster"); !strings.Contains(told, `draining: Node n1 has annotation fairway.dev/drain: "true": 1 prefix with`) {
			t.Errorf("status: %s", told)
		}
		a.has("")
		<-over
		if code != 0 || !strings.Contains(out, "fairway: n1 announces 1 prefix with GRACEFUL_SHUTDOWN; withdraws in ") || !strings.HasSuffix(out, "Node n1 announces nothing any more.\n") {
			t.Errorf("drain: exit %d, %s", code, out)
		}
		if out, code := w.fairway("drain", "n1"); code != 0 {
			t.Errorf("drain of a drained node: exit %d, %s", code, out)
		}
		if out, code := w.fairway("undrain", "n1"); code != 0 {
			t.Errorf("undrain: exit %d, %s", code, out)
		}
		a.plainly("10.1.0.0/16")
	})
	t.Run("undrain inside the wait loses nothing", func(t *testing.T) {
		lost := a.losses()
		if out, code := w.fairway("drain", "n1", "--timeout=0"); code != 0 || !strings.Contains(out, "is told to drain") {
			t.Errorf("drain: exit %d, %s", code, out)
		}
		a.gently("10.1.0.0/16")
		if out, code := w.fairway("undrain", "n1"); code != 0 || !strings.Contains(out, "announces again") {
			t.Errorf("undrain: exit %d, %s", code, out)
		}
		a.plainly("10.1.0.0/16")
		if got := lost(); len(got) > 0 {
			t.Errorf("the router lost %v", got)
		}
	})
	t.Run("the annotation by hand", func(t *testing.T) {
		w.annotateDrain(`"true"`)
		a.gently("10.1.0.0/16")
		a.has("")
		w.drainReasonIs(status.NothingAnnounced)
		w.annotateDrain("null")
		a.plainly("10.1.0.0/16")
	})
	taint := func(list string) { w.patch(node(), "n1", `{"spec":{"taints":`+list+`}}`) }
	t.Run("a taint of the flag", func(t *testing.T) {
		taint(`[{"key":"example.com/other","effect":"NoSchedule"},{"key":"` + leaving + `","value":"soon","effect":"NoSchedule"}]`)
		a.gently("10.1.0.0/16")
		a.has("")
		if out, code := w.fairway("undrain", "n1", "--timeout=1s"); code != 1 || !strings.Contains(out, "Node n1 has taint "+leaving) {
			t.Errorf("undrain: exit %d, %s", code, out)
		}
		taint("null")
		a.plainly("10.1.0.0/16")
		w.until("an Event tells of the drain", func() string {
			if got := w.events("Node", "n1"); !strings.Contains(got, "Draining: Node n1 has taint "+leaving+": 1 prefix with GRACEFUL_SHUTDOWN") {
				return got
			}
			return ""
		})
	})
	condition := func(ready, message string) {
		w.patch(node(), "n1", fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":%q,"message":%q}]}}`, ready, message), "status")
	}
	t.Run("the kubelet's shutdown keeps the last announcer", func(t *testing.T) {
		w.subnet("central", "10.3.0.0/16", "")
		w.patch(subnets(), "central", `{"spec":{"gatewayType":"centralized","gatewayNode":"n1"}}`)
		w.patch(subnets(), "central", `{"status":{"activateGateway":"n1"}}`, "status")
		a.has("10.1.0.0/16 10.3.0.0/16")
		condition("False", "node is shutting down")
		a.gently("10.1.0.0/16")
		a.gently("10.3.0.0/16")
		a.has("10.3.0.0/16")
		w.drainReasonIs(status.LastAnnouncer)
		if got := w.condition("Drained"); got != "False Node n1 is shutting down: stays announced, for no other node would announce it: 10.3.0.0/16 of central" {
			t.Errorf("the Speaker says %s", got)
		}
		condition("True", "")
		a.has("10.1.0.0/16 10.3.0.0/16")
		a.plainly("10.3.0.0/16")
	})
	t.Run("forced, the last announcer goes", func(t *testing.T) {
		out, code := w.fairway("drain", "n1", "--force")
		if code != 0 || !strings.Contains(out, "! Subnet central (10.3.0.0/16): the only gateway is n1") {
			t.Errorf("drain: exit %d, %s", code, out)
		}
		a.has("")
		if out, code := w.fairway("undrain", "n1"); code != 0 {
			t.Errorf("undrain: exit %d, %s", code, out)
		}
		a.has("10.1.0.0/16 10.3.0.0/16")
	})
	if now := a.up(); now != since {
		t.Errorf("the session was established %d times, and then %d times", since, now)
	}
}

// TestDrainGoesOnAfterARestart kills and stops the daemon inside a wait of an hour.
func TestDrainGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a")
	a := w.routers["a"]
	flags := []string{"--drain-wait=1h", "--state-dir=" + w.dir + "/state"}
	w.run(flags...)
	w.peer("a", ", gracefulRestart: {}")
	w.subnet("blue", "10.1.0.0/16", "")
	a.plainly("10.1.0.0/16")
	w.annotateDrain(`"true"`)
	a.gently("10.1.0.0/16")
	until := w.now().DrainUntil
	if until.IsZero() {
		t.Fatal("it does not wait")
	}
	w.until("that is on disk", func() string {
		text, err := os.ReadFile(w.dir + "/state/last-known.json")
		return lack(err == nil && strings.Contains(string(text), `"drainSince"`))
	})
	w.stop(syscall.SIGKILL)
	w.run(flags...)
	w.until("the daemon goes on where it was", func() string {
		text, _ := w.ask("/status.json")
		var s status.Status
		if json.Unmarshal([]byte(text), &s) != nil || !s.DrainUntil.Equal(until) || len(s.Plan.Adverts) != 1 || !s.Plan.Adverts[0].Draining {
			return text
		}
		return ""
	})
	w.until("the session is up", func() string { return lack(a.up() > 0) })
	a.gently("10.1.0.0/16")
	w.stop(syscall.SIGTERM)
	a.has("")
}
