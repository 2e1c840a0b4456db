package live

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// What the daemons of TestClusterIsFollowed are started with: the wait of a drain
// has stories of its own.
const noDrainWait = "--drain-wait=0s"

// TestClusterIsFollowed goes through what people do to objects and looks at the
// routers' kernels. Every story finds n1's daemon running, peer a with a session,
// and Subnet blue at router a, and leaves it so: each can be told alone, in any
// order.
func TestClusterIsFollowed(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.run(noDrainWait)
	w.peer("a", "")
	w.subnet("blue", "10.9.0.0/16", "")
	w.asEver()
	for _, story := range []struct {
		name string
		tell func(*testing.T, *world)
	}{
		{"a Subnet is un-annotated, annotated, edited and deleted", subnetChanges},
		{"a typo is not a withdrawal", typoIsMade},
		{"natOutgoing flips", natFlips},
		{"the gateway moves", gatewayMoves},
		{"a BGPPeer is added, changed and removed", peerChanges},
		{"a Secret is rotated", secretIsRotated},
		{"drain and undrain", nodeIsDrained},
		{"drained again right after undrain, the answer is not the old one", nodeIsDrainedAgain},
		{"the Speaker tells", speakerTells},
		{"Events tell", eventsTell},
		{"the CLI asks the cluster", cliAsksTheCluster},
		{"the CLI foretells a change by the Speakers, and on the node by its daemon", cliForetells},
		{"a BGPPeer tells of its sessions", peerTells},
		{"a daemon that was killed looks dead within a minute", daemonIsKilled},
		{"a Node that is not Ready leaves to another, and its Speaker is old news", nodeIsNotReady},
		{"what the API server cannot check is in the Speaker", inputIsWrong},
		{"whoever may only view sees what there is", viewerLooks},
		{"SIGTERM withdraws everything", daemonIsStopped},
		{"a node that has lost its datapath says so itself", datapathIsLost},
	} {
		t.Run(story.name, func(t *testing.T) {
			story.tell(t, w)
			w.asEver()
		})
	}
	t.Run("of more prefixes than a Speaker lists the page of the cluster names all", func(*testing.T) { manyAreShown(w) })
}

// asEver waits until the world is as every story finds it, in the router and in what
// the daemon says of itself.
func (w *world) asEver() {
	w.Helper()
	w.routers["a"].has("10.9.0.0/16")
	w.routers["b"].has("")
	w.until("n1's Speaker says so", func() string {
		s := w.speaker().Status
		return lack(s.Established == 1 && s.Configured == 1 && s.Announced.Count == 1 && s.Withheld.Count == 0 && w.condition("Drained") == "")
	})
}

func subnetChanges(_ *testing.T, w *world) {
	a := w.routers["a"]
	w.advertise("blue", "null")
	a.has("")
	w.advertise("blue", `"true"`)
	a.has("10.9.0.0/16")
	w.patch(subnets(), "blue", `{"spec":{"cidrBlock":"10.1.0.0/16"}}`)
	a.has("10.1.0.0/16")
	w.subnet("green", "10.2.0.0/16", "")
	a.has("10.1.0.0/16 10.2.0.0/16")
	w.delete(subnets(), "green")
	a.has("10.1.0.0/16")
	w.patch(subnets(), "blue", `{"spec":{"cidrBlock":"10.9.0.0/16"}}`)
}

func typoIsMade(t *testing.T, w *world) {
	a := w.routers["a"]
	lost := a.losses()
	w.patch(subnets(), "blue", `{"metadata":{"annotations":{"fairway.dev/med":"cheap"}}}`)
	w.says("/status.json", "is not a number")
	w.patch(subnets(), "blue", `{"metadata":{"annotations":{"fairway.dev/med":null}}}`)
	if got := lost(); len(got) > 0 {
		t.Errorf("the router lost %v", got)
	}
}

func natFlips(_ *testing.T, w *world) {
	a := w.routers["a"]
	w.patch(subnets(), "blue", `{"spec":{"natOutgoing":true}}`)
	a.has("")
	w.patch(subnets(), "blue", `{"spec":{"natOutgoing":false}}`)
	a.has("10.9.0.0/16")
}

func gatewayMoves(_ *testing.T, w *world) {
	a := w.routers["a"]
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
}

func peerChanges(t *testing.T, w *world) {
	a, b := w.routers["a"], w.routers["b"]
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
}

func secretIsRotated(t *testing.T, w *world) {
	a, b := w.routers["a"], w.routers["b"]
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
	w.delete(like("v1", "Secret", namespace), "tor-b")
	b.show("configure terminal", "router bgp 64512", "no neighbor "+b.node+" password")
}

func nodeIsDrained(t *testing.T, w *world) {
	a := w.routers["a"]
	w.drain("n1")
	a.has("")
	w.undrain("n1")
	a.has("10.9.0.0/16")
	out, code := w.fairway("drain", "n2", "--timeout=1s")
	if code != 2 || !strings.Contains(out, "cannot be read") {
		t.Errorf("drain of a node without a daemon: exit %d, %s", code, out)
	}
	w.patch(like("v1", "Node", ""), "n2", `{"metadata":{"annotations":{"fairway.dev/drain":null}}}`)
}

func nodeIsDrainedAgain(t *testing.T, w *world) {
	a := w.routers["a"]
	for range 2 {
		w.undrain("n1")
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
}

func speakerTells(t *testing.T, w *world) {
	w.subnet("nat", "10.4.0.0/16", ", natOutgoing: true")
	w.until("the Speaker has it all", func() string {
		s := w.speaker().Status
		return lack(s.Established == 1 && s.Configured == 1 && s.Announced.Count == 1 && s.Withheld.Reasons["NATOutgoing"] == 1)
	})
	s := w.speaker()
	if len(s.OwnerReferences) != 1 || s.OwnerReferences[0].Name != "n1" || s.OwnerReferences[0].UID == "" {
		t.Errorf("owners: %+v", s.OwnerReferences)
	}
	w.delete(subnets(), "nat")
}

func eventsTell(_ *testing.T, w *world) {
	a := w.routers["a"]
	w.subnet("quiet", "10.5.0.0/16", ", natOutgoing: true")
	w.drain("n1")
	w.tells("Subnet", "quiet", "Withheld: by the plan no node announces it: NATOutgoing")
	w.tells("Node", "n1", "BGPSessionUp: session with a")
	w.tells("Node", "n1", "Drained: ")
	w.undrain("n1")
	w.patch(subnets(), "quiet", `{"spec":{"natOutgoing":false}}`)
	w.tells("Subnet", "quiet", "Announced: sent to a router by 1 of 2 nodes that are to announce it")
	w.delete(subnets(), "quiet")
	a.has("10.9.0.0/16")
}

// tells waits for an Event. What is wrong is told once it has lasted.
func (w *world) tells(kind, name, want string) {
	w.Helper()
	w.within(2*patience, "an Event about "+kind+" "+name+": "+want, func() string {
		if got := w.events(kind, name); !strings.Contains(got, want) {
			return "there is: " + got
		}
		return ""
	})
}

func cliAsksTheCluster(t *testing.T, w *world) {
	if out, code := w.fairway("plan", "--node=n1"); code != 0 || !strings.Contains(out, "10.9.0.0/16") {
		t.Errorf("plan: exit %d, %s", code, out)
	}
	if out, code := w.fairway("why", "blue"); code != 0 || !strings.Contains(out, "n2") {
		t.Errorf("why: exit %d, %s", code, out)
	}
	w.clusterSays(1, "1/1 up", "ready", "n2 ", "no daemon: fairway does not run there, and BGPPeer a selects this Node")
	w.onN1Alone("a")
	w.clusterSays(0, "1/1 up", "ready")
	w.onEveryNode("a")
}

func cliForetells(t *testing.T, w *world) {
	change := filepath.Join(w.dir, "change.yaml")
	must.WriteFile(t, change, []byte(`
{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: a}, spec: {peerAddress: `+w.routers["a"].address+`, peerASN: 64513, localASN: 65000, connectRetryTime: 1s}}
---
{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: blue, annotations: {fairway.dev/advertise: "true", fairway.dev/med: "7"}}, spec: {cidrBlock: 10.9.0.0/16}}
---
{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: green, annotations: {fairway.dev/advertise: "true"}}, spec: {cidrBlock: 10.2.0.0/16}}
`))
	onNode := func(args ...string) (string, int) {
		c := exec.Command("ip", append([]string{"netns", "exec", w.node, w.binary}, args...)...)
		c.Env = append(os.Environ(), "KUBECONFIG="+w.kubeconfig)
		out, _ := c.CombinedOutput() // the exit status says it
		return string(out), c.ProcessState.ExitCode()
	}
	for name, ask := range map[string]func(...string) (string, int){
		"by the Speakers":                    func(args ...string) (string, int) { return w.fairway(append(args, "--cluster")...) },
		"by the daemon, with its own rights": onNode,
	} {
		w.until("nothing changes "+name, func() string {
			out, code := ask("plan", "--diff")
			if flat := strings.Join(strings.Fields(out), " "); code != 0 || flat != "Node n1: nothing changes" {
				return fmt.Sprintf("it exits %d and says: %s", code, out)
			}
			return ""
		})
		out, code := ask("plan", "--diff", "-f", change)
		flat := strings.Join(strings.Fields(out), " ")
		for _, text := range []string{
			"session a (" + w.routers["a"].address + ") would reset: peerASN 64512 -> 64513 is in the router's OPEN",
			"10.9.0.0/16 (blue) to a: MED none -> 7", "+ 10.2.0.0/16 (green) to a",
		} {
			if code != 1 || !strings.Contains(flat, text) {
				t.Errorf("%s: exit %d, no %q in %s", name, code, text, out)
			}
		}
		if out, code := ask("plan", "--diff", "--without-peer", "a"); code != 1 || !strings.Contains(out, "ends") {
			t.Errorf("%s: without a, exit %d, %s", name, code, out)
		}
	}
}

// clusterSays waits until `status --cluster` says all of this, and ends so.
func (w *world) clusterSays(code int, words ...string) {
	w.Helper()
	w.within(2*patience, fmt.Sprintf("status --cluster says %q and exits %d", words, code), func() string {
		out, got := w.fairway("status", "--cluster")
		flat := strings.Join(strings.Fields(out), " ")
		for _, text := range words {
			if got != code || !strings.Contains(flat, strings.TrimSpace(text)) {
				return fmt.Sprintf("it exits %d and says: %s", got, out)
			}
		}
		return ""
	})
}

// onN1Alone narrows a BGPPeer to the node that has a daemon.
func (w *world) onN1Alone(peer string) {
	w.Helper()
	w.patch(bgpPeers(), peer, `{"spec":{"nodeSelector":{"matchLabels":{"kubernetes.io/hostname":"n1"}}}}`)
}

func (w *world) onEveryNode(peer string) {
	w.Helper()
	w.patch(bgpPeers(), peer, `{"spec":{"nodeSelector":null}}`)
}

// peerTells reads what the reporter writes of BGPPeers.
func peerTells(t *testing.T, w *world) {
	w.peerSays("a", "1/2 False SessionDown 1 of 2 sessions are up; n2: no daemon: fairway does not run there")
	w.onN1Alone("a")
	w.peerSays("a", "1/1 True AllUp 1 of 1 session is up")
	w.tells("BGPPeer", "a", "AllUp: 1 of 1 session is up")
	w.peer("b", ", passwordSecretRef: {name: tor-b}, nodeSelector: {matchLabels: {kubernetes.io/hostname: n1}}")
	w.peerSays("b", "0/0 False Invalid spec.passwordSecretRef: Secret tor-b is not in namespace fairway-system: create it there, or take passwordSecretRef away")
	w.apply("{apiVersion: v1, kind: Secret, metadata: {name: tor-b, namespace: fairway-system}, stringData: {password: not-the-routers}}")
	w.peerSays("b", "0/1 False SessionDown 0 of 1 session is up; n1: ")
	w.tells("BGPPeer", "b", "SessionDown: 0 of 1 session is up; n1: ")
	if out, code := w.ask("/status.json"); code != 200 || strings.Contains(out, "there is no such field") {
		t.Errorf("the status of a BGPPeer is a problem to its daemon: %s", out)
	}
	w.delete(bgpPeers(), "b")
	w.delete(like("v1", "Secret", namespace), "tor-b")
	w.onEveryNode("a")
	w.peerSays("a", "1/2 False SessionDown ")
}

// peerSays waits for the status of a BGPPeer: "UP STATUS REASON MESSAGE" of Ready, and
// that it is about the spec as it stands.
func (w *world) peerSays(name, want string) {
	w.Helper()
	w.until("BGPPeer "+name+" says "+want, func() string {
		p := w.readPeer(name)
		got := p.Status.Up
		for _, c := range p.Status.Conditions {
			got += fmt.Sprintf(" %s %s %s", c.Status, c.Reason, c.Message)
		}
		if !strings.HasPrefix(got, want) || p.Status.ObservedGeneration != p.Generation {
			return fmt.Sprintf("it says %q of generation %d, and is %d", got, p.Status.ObservedGeneration, p.Generation)
		}
		return ""
	})
}

// daemonIsKilled leaves a Speaker that looks well, and a Lease that nobody renews.
func daemonIsKilled(_ *testing.T, w *world) {
	w.onN1Alone("a")
	w.clusterSays(0, "1/1 up", "ready")
	w.stop(syscall.SIGKILL)
	w.clusterSays(1, "?/1 up", "dead", "no heartbeat for ", "its daemon was killed, or does not reach the API server; this is what it said last")
	if out, code := w.fairway("why", "blue"); code != 1 || !strings.Contains(out, "node n1 itself says: nothing any more, no heartbeat for ") {
		w.Errorf("why: exit %d, %s", code, out)
	}
	if out, code := w.fairway("drain", "n1", "--force", "--timeout=1s"); code != 1 || !strings.Contains(out, "nobody carries it out: no heartbeat for ") {
		w.Errorf("drain: exit %d, %s", code, out)
	}
	w.patch(like("v1", "Node", ""), "n1", `{"metadata":{"annotations":{"fairway.dev/drain":null}}}`)
	w.run(noDrainWait)
	w.clusterSays(0, "1/1 up", "ready")
	w.onEveryNode("a")
}

func nodeIsNotReady(t *testing.T, w *world) {
	a := w.routers["a"]
	node := like("v1", "Node", "")
	w.patch(node, "n1", `{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}`, "status")
	a.has("")
	if out, code := w.fairway("status", "--cluster"); code != 1 || !strings.Contains(out, "Node n1 is not Ready\n") {
		t.Errorf("status: exit %d, %s", code, out)
	}
	w.patch(node, "n1", `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`, "status")
	a.has("10.9.0.0/16")
}

func inputIsWrong(_ *testing.T, w *world) {
	a := w.routers["a"]
	w.apply(fmt.Sprintf("{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: twin}, spec: {peerAddress: %s, peerASN: 64512, localASN: 65000}}", a.address))
	w.until("InputValid is False", func() string {
		return lack(w.condition("InputValid") == "False BGPPeer twin: spec.peerAddress: "+a.address+
			": is the address of BGPPeer a too, for the same nodes, and one session is all there can be: remove one, or tell them apart by nodeSelector")
	})
	w.delete(bgpPeers(), "twin")
	w.until("InputValid is True", func() string { return lack(w.condition("InputValid") == "True ") })
}

// manyAreShown leaves the Subnets: to delete so many at once is held up.
func manyAreShown(w *world) {
	for i := range 60 {
		w.subnet(fmt.Sprintf("many-%02d", i), fmt.Sprintf("10.40.%d.0/24", i), "")
	}
	w.until("the Speaker counts them", func() string {
		return lack(w.speaker().Status.Announced.Sent == 61)
	})
	w.uiShows(w.admin, `"prefix":"10.40.0.0/24"`, `"prefix":"10.40.59.0/24"`)
	w.uiShows(w.viewer(), `"prefix":"10.40.0.0/24"`, "of many prefixes only the first are named")
}

func viewerLooks(t *testing.T, w *world) {
	viewer := w.viewer()
	out, code := w.fairwayAs(viewer, "status", "--cluster")
	if code != 0 || !strings.Contains(out, "1/1 up") || !strings.Contains(out, `which of them are Ready, is not known`) || strings.Contains(out, "which daemons live") {
		t.Errorf("status: exit %d, %s", code, out)
	}
	w.uiShows(viewer, `"text":"1 node, 1 session up"`, `"prefix":"10.9.0.0/16"`, "which Nodes there are is not known")
	out, code = w.fairwayAs(viewer, "drain", "n1")
	// Which of the kinds that it may not read is refused first is chance.
	if code != 2 || !strings.Contains(out, `is not known, so it is not drained`) || !strings.Contains(out, `cannot list resource "`) {
		t.Errorf("drain: exit %d, %s", code, out)
	}
	out, code = w.fairwayAs(viewer, "drain", "--force", "n1")
	if code != 2 || !strings.Contains(out, `cannot patch resource "nodes"`) {
		t.Errorf("drain: exit %d, %s", code, out)
	}
}

func daemonIsStopped(t *testing.T, w *world) {
	a := w.routers["a"]
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
	w.run(noDrainWait)
}

func datapathIsLost(t *testing.T, w *world) {
	w.stop(syscall.SIGTERM)
	w.run(noDrainWait, "--datapath-gate=true") // there is no ovn0
	w.until("the Speaker has the reason", func() string { return lack(w.speaker().Status.Withheld.Reasons["DatapathDown"] == 1) })
	out, code := w.fairway("why", "blue")
	if code != 1 || !strings.Contains(out, "node n1 itself says: 10.9.0.0/16 is withheld, DatapathDown: ") {
		t.Errorf("why: exit %d, %s", code, out)
	}
	out, code = w.fairway("status", "--cluster")
	if code != 1 || !strings.Contains(out, "announces nothing: 10.9.0.0/16 is withheld, DatapathDown") {
		t.Errorf("status: exit %d, %s", code, out)
	}
	w.stop(syscall.SIGTERM)
	w.run(noDrainWait)
}
