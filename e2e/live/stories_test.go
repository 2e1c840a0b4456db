package live

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestClusterIsFollowed goes through what people do to objects, one after the
// other, and looks at the routers' kernels.
func TestClusterIsFollowed(t *testing.T) {
	w := newWorld(t, "a", "b")
	a, b := w.routers["a"], w.routers["b"]
	w.run("--drain-wait=0s") // the wait has a story of its own
	w.peer("a", "")
	w.subnet("blue", "10.1.0.0/16", "")
	a.has("10.1.0.0/16")

	t.Run("un-annotate, annotate, edit, delete", func(t *testing.T) {
		w.advertise("blue", "null")
		a.has("")
		w.advertise("blue", `"true"`)
		a.has("10.1.0.0/16")
		w.patch(subnets(), "blue", `{"spec":{"cidrBlock":"10.9.0.0/16"}}`)
		a.has("10.9.0.0/16")
		w.subnet("green", "10.2.0.0/16", "")
		a.has("10.2.0.0/16 10.9.0.0/16")
		w.delete(subnets(), "green")
		a.has("10.9.0.0/16")
	})
	t.Run("a typo is not a withdrawal", func(t *testing.T) {
		lost := a.losses()
		w.patch(subnets(), "blue", `{"metadata":{"annotations":{"fairway.dev/med":"cheap"}}}`)
		w.says("/status.json", "is not a number")
		w.patch(subnets(), "blue", `{"metadata":{"annotations":{"fairway.dev/med":null}}}`)
		if got := lost(); len(got) > 0 {
			t.Errorf("the router lost %v", got)
		}
	})
	t.Run("natOutgoing flips", func(t *testing.T) {
		w.patch(subnets(), "blue", `{"spec":{"natOutgoing":true}}`)
		a.has("")
		w.patch(subnets(), "blue", `{"spec":{"natOutgoing":false}}`)
		a.has("10.9.0.0/16")
	})
	t.Run("the gateway moves", func(t *testing.T) {
		w.subnet("central", "10.3.0.0/16", "")
		w.patch(subnets(), "central", `{"spec":{"gatewayType":"centralized","gatewayNode":"n1,n2"}}`)
		a.has("10.9.0.0/16")
		w.patch(subnets(), "central", `{"status":{"activateGateway":"n1"}}`, "status")
		a.has("10.3.0.0/16 10.9.0.0/16")
		w.patch(subnets(), "central", `{"status":{"activateGateway":"n2"}}`, "status")
		a.has("10.9.0.0/16")
		w.patch(subnets(), "central", `{"spec":{"enableEcmp":true}}`)
		a.has("10.3.0.0/16 10.9.0.0/16")
		w.delete(subnets(), "central")
		a.has("10.9.0.0/16")
	})
	t.Run("a BGPPeer is added, changed and removed", func(t *testing.T) {
		w.until("session a is up", func() string { return lack(a.up() > 0) })
		since := a.up()
		w.peer("b", "")
		b.has("10.9.0.0/16")
		w.peer("b", ", families: [ipv4-unicast]")
		w.until("session b has IPv4 alone", func() string {
			return lack(b.up() > 0 && !strings.Contains(b.show("show bgp neighbors "+b.node+" json"), `"ipv6Unicast"`))
		})
		b.has("10.9.0.0/16")
		w.delete(bgpPeers(), "b")
		b.has("")
		if now := a.up(); now != since {
			t.Errorf("session a was established %d times, and then %d times", since, now)
		}
	})
	t.Run("a Secret is rotated", func(t *testing.T) {
		since := a.up()
		w.peer("b", ", passwordSecretRef: {name: tor-b}")
		w.says("/status.json", "Secret tor-b is not in namespace")
		b.show("configure terminal", "router bgp 64512", "neighbor "+b.node+" password first-one")
		w.apply("{apiVersion: v1, kind: Secret, metadata: {name: tor-b, namespace: fairway-system}, stringData: {password: first-one}}")
		b.has("10.9.0.0/16")
		b.show("configure terminal", "router bgp 64512", "neighbor "+b.node+" password second-one")
		b.has("")
		w.apply("{apiVersion: v1, kind: Secret, metadata: {name: tor-b, namespace: fairway-system}, stringData: {password: second-one}}")
		b.has("10.9.0.0/16")
		if now := a.up(); now != since {
			t.Errorf("session a was established %d times, and then %d times", since, now)
		}
		if text, _ := w.ask("/status.json"); strings.Contains(text, "second-one") {
			t.Error("the password is on the status page")
		}
		w.delete(bgpPeers(), "b")
	})
	t.Run("drain and undrain", func(t *testing.T) {
		w.drain("n1")
		a.has("")
		if out, code := w.fairway("undrain", "n1"); code != 0 {
			t.Errorf("undrain: exit %d, %s", code, out)
		}
		a.has("10.9.0.0/16")
		out, code := w.fairway("drain", "n2", "--timeout=1s")
		if code != 2 || !strings.Contains(out, "cannot be read") {
			t.Errorf("drain of a node without a daemon: exit %d, %s", code, out)
		}
		w.patch(like("v1", "Node", ""), "n2", `{"metadata":{"annotations":{"fairway.dev/drain":null}}}`)
	})
	t.Run("drained again right after undrain, the answer is not the old one", func(t *testing.T) {
		for range 2 {
			if out, code := w.fairway("undrain", "n1"); code != 0 {
				t.Errorf("undrain: exit %d, %s", code, out)
			}
			a.has("10.9.0.0/16")
			w.drain("n1")
			a.has("")
			// Others do not wait, as undrain does.
			w.patch(like("v1", "Node", ""), "n1", `{"metadata":{"annotations":{"fairway.dev/drain":null}}}`)
			a.has("10.9.0.0/16")
			w.drain("n1")
			a.has("")
		}
		out, code := w.fairway("undrain", "n1")
		if code != 0 || !strings.Contains(out, "Node n1 announces again") || w.condition("Drained") != "" {
			t.Errorf("undrain: exit %d, %s; the Speaker's Drained: %s", code, out, w.condition("Drained"))
		}
		a.has("10.9.0.0/16")
		if out, code := w.fairway("drain", "n9"); code != 2 || !strings.Contains(out, "no Node n9") {
			t.Errorf("drain of no Node: exit %d, %s", code, out)
		}
	})
	t.Run("the Speaker tells", func(t *testing.T) {
		w.subnet("nat", "10.4.0.0/16", ", natOutgoing: true")
		w.until("the Speaker has it all", func() string {
			s := w.speaker().Status
			return lack(s.Established == 1 && s.Configured == 1 && s.Announced.Count == 1 && s.Withheld.Reasons["NATOutgoing"] == 1)
		})
		s := w.speaker()
		if len(s.OwnerReferences) != 1 || s.OwnerReferences[0].Name != "n1" || s.OwnerReferences[0].UID == "" {
			t.Errorf("owners: %+v", s.OwnerReferences)
		}
	})
	t.Run("Events tell", func(t *testing.T) {
		for _, e := range []struct{ kind, name, want string }{
			{"Subnet", "nat", "Withheld: by the plan no node announces it: NATOutgoing"},
			{"Node", "n1", "BGPSessionUp: session with a"},
			{"Node", "n1", "Drained: "},
		} {
			// What is wrong is told once it has lasted.
			w.within(2*patience, "an Event about "+e.kind+" "+e.name, func() string {
				if got := w.events(e.kind, e.name); !strings.Contains(got, e.want) {
					return "there is: " + got
				}
				return ""
			})
		}
		w.patch(subnets(), "nat", `{"spec":{"natOutgoing":false}}`)
		w.until("an Event that it is announced", func() string {
			if got := w.events("Subnet", "nat"); !strings.Contains(got, "Announced: by the plan 2 of 2 nodes announce it") {
				return "there is: " + got
			}
			return ""
		})
		w.delete(subnets(), "nat")
		a.has("10.9.0.0/16")
	})
	t.Run("the CLI asks the cluster", func(t *testing.T) {
		if out, code := w.fairway("plan", "--node=n1"); code != 0 || !strings.Contains(out, "10.9.0.0/16") {
			t.Errorf("plan: exit %d, %s", code, out)
		}
		if out, code := w.fairway("why", "blue"); code != 0 || !strings.Contains(out, "n2") {
			t.Errorf("why: exit %d, %s", code, out)
		}
		w.until("status says ready", func() string {
			out, code := w.fairway("status", "--cluster")
			if code != 0 || !strings.Contains(out, "1/1 up") {
				return "it says: " + out
			}
			return ""
		})
	})
	t.Run("a Node that is not Ready leaves to another, and its Speaker is old news", func(t *testing.T) {
		node := like("v1", "Node", "")
		w.patch(node, "n1", `{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}`, "status")
		a.has("")
		if out, code := w.fairway("status", "--cluster"); code != 1 || !strings.Contains(out, "Node n1 is not Ready: this is what its daemon said last") {
			t.Errorf("status: exit %d, %s", code, out)
		}
		w.patch(node, "n1", `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`, "status")
		a.has("10.9.0.0/16")
	})
	t.Run("what the API server cannot check is in the Speaker", func(t *testing.T) {
		w.apply(fmt.Sprintf("{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: twin}, spec: {peerAddress: %s, peerASN: 64512, localASN: 65000}}", a.address))
		w.until("InputValid is False", func() string {
			return lack(w.condition("InputValid") == "False BGPPeer twin: spec.peerAddress: "+a.address+
				": is the address of BGPPeer a too, for the same nodes, and one session is all there can be: remove one, or tell them apart by nodeSelector")
		})
		w.delete(bgpPeers(), "twin")
		w.until("InputValid is True", func() string { return lack(w.condition("InputValid") == "True ") })
	})
	t.Run("whoever may only view sees what there is", func(t *testing.T) {
		viewer := w.viewer()
		out, code := w.fairwayAs(viewer, "status", "--cluster")
		if code != 0 || !strings.Contains(out, "1/1 up") || !strings.Contains(out, `which Nodes are Ready is not known`) {
			t.Errorf("status: exit %d, %s", code, out)
		}
		out, code = w.fairwayAs(viewer, "drain", "n1")
		if code != 2 || !strings.Contains(out, `is not known, so it is not drained`) || !strings.Contains(out, `cannot list resource "nodes"`) {
			t.Errorf("drain: exit %d, %s", code, out)
		}
		out, code = w.fairwayAs(viewer, "drain", "--force", "n1")
		if code != 2 || !strings.Contains(out, `cannot patch resource "nodes"`) {
			t.Errorf("drain: exit %d, %s", code, out)
		}
	})
	t.Run("SIGTERM withdraws everything", func(t *testing.T) {
		w.stop(syscall.SIGTERM)
		a.has("")
		w.until("the Speaker says so", func() string { return lack(w.condition("Ready") == "False fairway has stopped on this node") })
		if out, code := w.fairway("undrain", "n2"); code != 0 || !strings.Contains(out, "does not run there now") {
			t.Errorf("undrain of a node without a daemon: exit %d, %s", code, out)
		}
		out, code := w.fairway("why", "blue")
		if code != 1 || !strings.Contains(out, "node n1 itself says: fairway has stopped on this node") || !strings.Contains(out, "node n2 itself says: nothing") {
			t.Errorf("why: exit %d, %s", code, out)
		}
		if out, code := w.fairway("drain", "n1"); code != 0 || !strings.Contains(out, "fairway has stopped there") {
			t.Errorf("drain: exit %d, %s", code, out)
		}
		if out, code := w.fairway("undrain", "n1"); code != 0 || !strings.Contains(out, "does not run there now") {
			t.Errorf("undrain: exit %d, %s", code, out)
		}
	})
	t.Run("a node that has lost its datapath says so itself", func(t *testing.T) {
		w.run("--datapath-gate=true") // there is no ovn0
		w.until("the Speaker has the reason", func() string { return lack(w.speaker().Status.Withheld.Reasons["DatapathDown"] == 1) })
		out, code := w.fairway("why", "blue")
		if code != 1 || !strings.Contains(out, "node n1 itself says: 10.9.0.0/16 is withheld, DatapathDown: ") {
			t.Errorf("why: exit %d, %s", code, out)
		}
		out, code = w.fairway("status", "--cluster")
		if code != 1 || !strings.Contains(out, "announces nothing: 10.9.0.0/16 is withheld, DatapathDown") {
			t.Errorf("status: exit %d, %s", code, out)
		}
	})
}

// TestAPIServerGoesAway: nothing that is announced depends on it, and a change
// made when it is back is announced at once.
func TestAPIServerGoesAway(t *testing.T) {
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
		time.Sleep(away())
		if got := lost(); len(got) > 0 {
			t.Errorf("the router lost %v", got)
		}
		w.startAPI()
		w.subnet("green", "10.2.0.0/16", "")
		took := a.has("10.1.0.0/16 10.2.0.0/16")
		t.Logf("after %s without API server, a change was announced %s after it was made", away(), took.Round(time.Millisecond))
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
		time.Sleep(away())
		if got := lost(); len(got) > 0 {
			t.Errorf("the router lost %v", got)
		}
		w.line.Unlock()
		w.subnet("green", "10.2.0.0/16", "")
		took := a.has("10.1.0.0/16 10.2.0.0/16")
		t.Logf("after %s without a word, a change was announced %s after it was made", away(), took.Round(time.Millisecond))
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
		// Longer than the router's and our own connect timers.
		time.Sleep(4 * time.Second)
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
		time.Sleep(3 * time.Second)
		if got := a.routes(); got != "10.1.0.0/16 10.2.0.0/16" {
			t.Errorf("the router has [%s]", got)
		}
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
