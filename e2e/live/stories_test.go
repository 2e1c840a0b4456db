package live

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
)

// TestAPIServerGoesAway: nothing that is announced depends on it, and a change
// made when it is back is announced at once.
func TestAPIServerGoesAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a")
	a := w.routers["a"]
	state := w.dir + "/state"
	w.run("--state-dir=" + state)
	w.peer("a", ", gracefulRestart: {}")
	w.subnet("blue", "10.1.0.0/16", "")
	a.has("10.1.0.0/16")

	t.Run("killed and back", func(t *testing.T) {
		lost := a.losses()
		w.server.API.Kill()
		w.says("/status.json", "not followed since")
		gone := w.away(40) // its back-offs have grown
		if got := lost(); len(got) > 0 {
			t.Errorf("the router lost %v", got)
		}
		w.startAPI()
		w.subnet("green", "10.2.0.0/16", "")
		took := a.has("10.1.0.0/16 10.2.0.0/16")
		t.Logf("after %s without API server, a change was announced %s after it was made", gone.Round(time.Millisecond), took.Round(time.Millisecond))
		w.advertise("green", "null")
		a.has("10.1.0.0/16")
		w.until("the page is clean again", func() string {
			text, _ := w.ask("/status.json")
			return lack(!strings.Contains(text, "not followed since"))
		})
	})
	t.Run("cut off and back", func(t *testing.T) {
		lost := a.losses()
		w.line.Lock()
		w.says("/status.json", "not followed since")
		gone := w.away(2) // it goes on calling, in vain
		if got := lost(); len(got) > 0 {
			t.Errorf("the router lost %v", got)
		}
		w.line.Unlock()
		w.subnet("green", "10.2.0.0/16", "")
		took := a.has("10.1.0.0/16 10.2.0.0/16")
		t.Logf("after %s without a word, a change was announced %s after it was made", gone.Round(time.Millisecond), took.Round(time.Millisecond))
		w.advertise("green", "null")
		a.has("10.1.0.0/16")
	})
	t.Run("the token expires, and another takes its place", func(t *testing.T) {
		lost := a.losses()
		w.kill("fairway-n1") // its token is worth nothing from now on
		w.until("the API server refuses the token", func() string {
			w.hangUp()
			text, _ := w.ask("/status.json")
			return lack(strings.Contains(text, "Unauthorized"))
		})
		token, err := w.server.PodToken(w.ctx(), namespace, "fairway", "n1")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(kubetest.TokenFile(w.kubeconfig), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		w.subnet("green", "10.2.0.0/16", "")
		w.within(3*patience, "a change is announced", func() string { return lack(a.routes() == "10.1.0.0/16 10.2.0.0/16") })
		if got := lost(); len(got) > 0 {
			t.Errorf("the router lost %v", got)
		}
		w.advertise("green", "null")
		a.has("10.1.0.0/16")
	})
	t.Run("restarted meanwhile, with a last-known state", func(t *testing.T) {
		w.savedState(state + "/last-known.json")
		lost := a.losses()
		w.server.API.Kill()
		w.stop(syscall.SIGKILL)
		w.run("--state-dir=" + state)
		w.says("/status.json", "last-known state of")
		w.until("the session is up", func() string { return lack(a.up() > 0) })
		w.until("ready", func() string { text, code := w.ask("/readyz"); return lackCode(text, code, 200) })
		a.has("10.1.0.0/16")
		w.startAPI()
		w.subnet("green", "10.2.0.0/16", "")
		a.has("10.1.0.0/16 10.2.0.0/16")
		w.advertise("green", "null")
		a.has("10.1.0.0/16")
		if got := lost(); len(got) != 1 {
			t.Errorf("the router lost %v, want 10.2.0.0/16 alone", got)
		}
	})
	t.Run("restarted meanwhile, and the state grows too old", func(t *testing.T) {
		age := w.savedState(state + "/last-known.json")
		lost := a.losses()
		w.server.API.Kill()
		w.stop(syscall.SIGKILL)
		w.run("--state-dir="+state, "--state-max-age="+(age+patience).String())
		w.says("/status.json", "last-known state of")
		w.until("the session is up", func() string { return lack(a.up() > 0) })
		w.within(2*patience, "the route goes", func() string { return lack(a.routes() == "") })
		w.until("not ready, with the reason", func() string {
			text, code := w.ask("/readyz")
			return lackCode(text, code, 503) + lack(strings.Contains(text, "is too old since") && strings.Contains(text, "the API server is not followed since"))
		})
		if text, _ := w.ask("/status.json"); strings.Contains(text, "in force, until") {
			t.Errorf("the page still says that the last-known state is in force: %s", text)
		}
		if got := lost(); len(got) != 1 {
			t.Errorf("the router lost %v, want 10.1.0.0/16", got)
		}
		w.startAPI()
		a.has("10.1.0.0/16")
		w.until("ready", func() string { text, code := w.ask("/readyz"); return lackCode(text, code, 200) })
	})
	t.Run("restarted meanwhile, without", func(t *testing.T) {
		lost := a.losses()
		w.server.API.Kill()
		w.stop(syscall.SIGKILL)
		w.until("the router sees it", func() string { return lack(a.up() == 0) })
		w.run()
		w.until("not ready, with the reason", func() string {
			text, code := w.ask("/readyz")
			if code != 503 || !strings.Contains(text, "subnets cannot be read") {
				return "it says: " + text
			}
			return ""
		})
		w.away(20) // it has started, and goes on asking
		if a.up() != 0 {
			t.Error("a session was opened with nothing to announce")
		}
		if got := lost(); len(got) > 0 || a.routes() != "10.1.0.0/16" {
			t.Errorf("the router lost %v and has [%s]: it was to keep what it had", got, a.routes())
		}
		w.startAPI()
		w.until("the session is up", func() string { return lack(a.up() > 0) })
		a.has("10.1.0.0/16")
	})
}

// TestStartedAgainWithATypoInPlace: an upgrade of the daemon is no reason to
// withdraw what a typo did not.
func TestStartedAgainWithATypoInPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a")
	a := w.routers["a"]
	state := w.dir + "/state"
	w.run("--state-dir=" + state)
	w.peer("a", "")
	w.subnet("blue", "10.1.0.0/16", "")
	w.patch(subnets(), "blue", `{"metadata":{"annotations":{"fairway.dev/med":"50"}}}`)
	w.patch(like("v1", "Node", ""), "n1", `{"metadata":{"annotations":{"fairway.dev/router-id":"192.0.2.77"}}}`)
	asBefore := func() {
		t.Helper()
		a.has("10.1.0.0/16")
		w.until("MED and router ID are as before", func() string {
			return lack(strings.Contains(a.show("show bgp ipv4 unicast 10.1.0.0/16"), "metric 50") &&
				strings.Contains(a.show("show bgp neighbors "+a.node), "remote router ID 192.0.2.77"))
		})
	}
	asBefore()
	w.patch(subnets(), "blue", `{"metadata":{"annotations":{"fairway.dev/med":"cheap"}}}`)
	w.patch(like("v1", "Node", ""), "n1", `{"metadata":{"annotations":{"fairway.dev/router-id":"77"}}}`)
	w.says("/status.json", "is not a number")
	// Not on disk yet, but a stop on purpose writes it.
	for range 2 {
		w.stop(syscall.SIGTERM)
		a.has("")
		w.run("--state-dir=" + state)
		asBefore()
		w.says("/status.json", "the last good annotations stay in force")
	}
	w.patch(subnets(), "blue", `{"metadata":{"annotations":{"fairway.dev/med":"60"}}}`)
	w.until("mended", func() string {
		return lack(strings.Contains(a.show("show bgp ipv4 unicast 10.1.0.0/16"), "metric 60"))
	})
}

// TestEverythingVanishes: a store that was emptied, and a CRD that was deleted,
// withdraw nothing before somebody has had time to look.
func TestEverythingVanishes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b")
	a, b := w.routers["a"], w.routers["b"]
	// The token of a ServiceAccount goes with the store; this story is about the
	// objects.
	w.kubeconfig = w.admin
	w.run("--mass-withdraw-delay=1h")
	w.peer("a", "")
	w.peer("b", "")
	w.subnet("blue", "10.1.0.0/16", "")
	w.subnet("green", "10.2.0.0/16", "")
	a.has("10.1.0.0/16 10.2.0.0/16")
	b.has("10.1.0.0/16 10.2.0.0/16")
	lost, lostByB := a.losses(), b.losses()
	crd := like("apiextensions.k8s.io/v1", "CustomResourceDefinition", "")
	heldNoMore := func() {
		t.Helper()
		w.until("nothing is held any more", func() string {
			text, _ := w.ask("/status.json")
			return lack(!strings.Contains(text, "vanished together") && !strings.Contains(text, "its CRD is not installed"))
		})
	}

	t.Run("CRD of BGPPeers deleted", func(t *testing.T) {
		sinceA, sinceB := a.up(), b.up()
		w.delete(crd, "bgppeers.fairway.dev")
		w.says("/status.json", "2 of kind BGPPeer vanished together")
		w.says("/status.json", "its CRD is not installed")
		if err := w.server.InstallCRDs(w.ctx()); err != nil {
			t.Fatal(err)
		}
		// Somebody brings them back one after the other.
		w.peer("a", "")
		w.says("/status.json", "1 of kind BGPPeer vanished together (b)")
		w.peer("b", "")
		heldNoMore()
		if nowA, nowB := a.up(), b.up(); nowA != sinceA || nowB != sinceB {
			t.Errorf("the sessions were established %d and %d times, and then %d and %d times", sinceA, sinceB, nowA, nowB)
		}
	})

	t.Run("CRD of Subnets deleted", func(t *testing.T) {
		w.delete(crd, "subnets.kubeovn.io")
		w.says("/status.json", "2 of kind Subnet vanished together")
		w.says("/status.json", "its CRD is not installed")
		if err := w.server.InstallCRDs(w.ctx()); err != nil {
			t.Fatal(err)
		}
		w.subnet("blue", "10.1.0.0/16", "")
		w.subnet("green", "10.2.0.0/16", "")
		heldNoMore()
	})
	t.Run("etcd emptied", func(t *testing.T) {
		if err := w.server.EmptyEtcd(w.ctx()); err != nil {
			t.Fatal(err)
		}
		w.says("/status.json", "its CRD is not installed")
		w.says("/status.json", "2 of kind Node vanished together")
		w.says("/status.json", "stop fairway on this node")
		// What goes from here on is seen by losses, below: Subnet red comes after it.
		// What is made anew has lower resource versions than what is known.
		w.install()
		w.kubeconfig = w.admin
		w.peer("a", "")
		w.peer("b", "")
		w.subnet("blue", "10.1.0.0/16", "")
		w.subnet("green", "10.2.0.0/16", "")
		w.subnet("red", "10.3.0.0/16", "")
		a.has("10.1.0.0/16 10.2.0.0/16 10.3.0.0/16")
	})
	for name, lost := range map[string]func() []string{"a": lost, "b": lostByB} {
		if got := lost(); len(got) > 0 {
			t.Errorf("router %s lost %v", name, got)
		}
	}
	t.Run("confirmed by a person", func(t *testing.T) {
		w.delete(subnets(), "blue")
		w.delete(subnets(), "green")
		w.delete(subnets(), "red")
		w.says("/status.json", "3 of kind Subnet vanished together")
		w.patch(like("v1", "Node", ""), "n1", `{"metadata":{"annotations":{"fairway.dev/confirm-mass-withdraw":"true"}}}`)
		a.has("")
	})
}
