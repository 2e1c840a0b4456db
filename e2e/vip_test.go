package e2e

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/fairway-bgp/fairway/lab"
	"github.com/fairway-bgp/fairway/routes"
)

// TestVIPByKeepalived kills what can be killed of the node that has the VIP. All
// nodes announce the prefix with the VIP as the next hop; so what moves is the
// VIP, and no router hears of it.
func TestVIPByKeepalived(t *testing.T) {
	for _, router := range []lab.Router{lab.FRR, lab.BIRD} {
		t.Run(string(router), func(t *testing.T) {
			v := startVIPLab(t, router)
			v.share(t)
			v.addStaticRoutes(t)
			for _, n := range vipNodes() {
				v.expectOwnAddresses(t, n)
			}
			t.Run("keepalived is killed", v.keepalivedKilled)
			t.Run("the node is dead", v.nodeDead)
			t.Run("the holder's daemon starts anew", v.holderRestarts)
			if router == lab.BIRD {
				return // the rest is about the nodes alone
			}
			t.Run("keepalived is stopped", v.keepalivedStopped)
			t.Run("the daemon is killed", v.daemonKilled)
			t.Run("the node is excluded", v.nodeExcluded)
			t.Run("the way into the overlay is gone", v.overlayLost)
			t.Run("the Subnet is centralized", v.centralized)
		})
	}
}

// expectNothingLost does something that costs nothing. A single ping that was under way
// while the address moved, once in some thousands, is no interruption.
func (v *vipLab) expectNothingLost(t *testing.T, what string, do func()) {
	t.Helper()
	if loss, routeLost := v.cost(t, what, do); loss.Lost > 1 || routeLost {
		t.Errorf("%s: %v; the router lost the route: %t", what, loss, routeLost)
	}
}

// expectRouteStays does something that cuts off who has the VIP: what is sent
// there until another has it is lost, but no route is.
func (v *vipLab) expectRouteStays(t *testing.T, what string, do func()) {
	t.Helper()
	if _, routeLost := v.cost(t, what, do); routeLost {
		t.Errorf("%s: the router lost the route", what)
	}
}

// keepalivedKilled leaves the VIP on two nodes: both carry, and the one that
// takes over tells the neighbours.
func (v *vipLab) keepalivedKilled(t *testing.T) {
	was := v.holder(t)
	v.expectNothingLost(t, "keepalived killed", func() { v.killKeepalived(t, was); v.carriedBy(t, other(was)) })
	v.expectNothingLost(t, "keepalived started again", func() { v.startKeepalived(t, was); v.carriedBy(t, v.holder(t)) })
}

func (v *vipLab) keepalivedStopped(t *testing.T) {
	was := v.holder(t)
	v.expectNothingLost(t, "keepalived stopped", func() { v.stopKeepalived(t, was); v.carriedBy(t, other(was)) })
	v.expectNothingLost(t, "keepalived started again", func() { v.startKeepalived(t, was); v.carriedBy(t, v.holder(t)) })
}

func (v *vipLab) nodeDead(t *testing.T) {
	was := v.holder(t)
	v.expectRouteStays(t, "node dead", func() { v.uplink(t, was, "down"); v.carriedBy(t, other(was)) })
	v.expectNothingLost(t, "node back", func() { v.uplink(t, was, "up"); v.carriedBy(t, v.holder(t)) })
	v.expectOwnAddresses(t, was)
}

// uplink takes a node's cable out, or puts it in again.
func (v *vipLab) uplink(t *testing.T, node, state string) {
	t.Helper()
	mustRun(t, "ip", "-n", v.Prefix+"lan", "link", "set", "dev", node, state)
}

func (v *vipLab) daemonKilled(t *testing.T) {
	was := v.holder(t)
	v.expectNothingLost(t, "daemon killed", func() { v.signal(t, was, syscall.SIGKILL); v.carriedBy(t, other(was)) })
	v.expectNothingLost(t, "daemon started again", func() { v.startDaemon(t, was) })
}

func (v *vipLab) nodeExcluded(t *testing.T) {
	was := v.holder(t)
	at := "  name: " + was + "\n"
	label := "  labels: {" + routes.LabelExclude + ": \"\"}\n"
	v.expectNothingLost(t, "node excluded", func() { v.edit(t, "nodes.yaml", at, at+label); v.carriedBy(t, other(was)) })
	v.expectNothingLost(t, "node included again", func() { v.edit(t, "nodes.yaml", at+label, at); v.announces(t, was, 2) })
}

// overlayLost takes the way into the overlay away, of both families or of IPv6
// alone: the script notices either.
func (v *vipLab) overlayLost(t *testing.T) {
	ways := []struct{ what, gone, back string }{
		{"overlay lost", "link set dev ovn0 down", "link set dev ovn0 up"},
		{"overlay lost for IPv6", "-6 route delete " + routed6, "link show dev ovn0"},
	}
	for _, way := range ways {
		was := v.holder(t)
		ip := func(args string) { mustRun(t, strings.Fields("ip -n "+v.Prefix+was+" "+args)...) }
		v.expectRouteStays(t, way.what, func() { ip(way.gone); v.carriedBy(t, other(was)) })
		v.expectNothingLost(t, "overlay back", func() { ip(way.back); v.wakeAgent(t); v.announces(t, was, 2) })
		for _, pod := range []string{vipWeb4, vipWeb6} {
			if _, err := v.WaitForVisit(t.Context(), was, netip.MustParseAddr(pod), func(lab.Visit) string { return "" }); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// wakeAgent lets the lab's agent look at the cluster's folder, and make the nodes'
// routes again.
func (v *vipLab) wakeAgent(t *testing.T) {
	t.Helper()
	text, err := v.ReadYAML("nodes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	v.write(t, "nodes.yaml", "# Looked at again.\n"+text)
}

// holderRestarts shows that the VIP, which now is an address of the uplink, is
// not taken for the node's own where sessions begin.
func (v *vipLab) holderRestarts(t *testing.T) {
	holder := v.holder(t)
	v.stopKeepalived(t, other(holder)) // the VIP has nowhere to go
	v.signal(t, holder, syscall.SIGTERM)
	v.startDaemon(t, holder)
	v.announces(t, holder, 2)
	if out, err := v.Command(t.Context(), holder, v.Binary, "check").CombinedOutput(); err != nil {
		t.Errorf("check where the VIP is: %v\n%s", err, out)
	}
	if got := v.holder(t); got != holder {
		t.Errorf("the VIP went to %s", got)
	}
	v.startKeepalived(t, other(holder))
}

// centralized is about a Subnet with one active gateway: by the recipe's script
// the VIP is where the Subnet is announced, so requests come in by the node that
// the replies leave by.
func (v *vipLab) centralized(t *testing.T) {
	was := v.holder(t)
	v.edit(t, "subnet-routed.yaml", "gatewayType: distributed", "gatewayType: centralized\n  gatewayNode: "+other(was)+","+was)
	active := other(was)
	v.symmetric(t, active)

	v.cost(t, "gateway changed", func() {
		v.edit(t, "subnet-routed.yaml", "gatewayNode: "+active+","+other(active), "gatewayNode: "+other(active)+","+active)
		v.carriedBy(t, other(active))
	})
	active = other(active)
	v.symmetric(t, active)

	// Replies go to the dead gateway until Kube-OVN has moved it, here as soon as
	// the VIP has moved; the route stays all the while.
	v.expectRouteStays(t, "gateway dead", func() {
		v.uplink(t, active, "down")
		v.carriedBy(t, other(active))
		v.notReady(t, active)
	})
	v.symmetric(t, other(active))
}

// symmetric waits until requests come in and replies leave by one node.
func (v *vipLab) symmetric(t *testing.T, node string) {
	t.Helper()
	for _, pod := range []string{vipWeb4, vipWeb6} {
		_, err := v.WaitForVisit(t.Context(), "ext", netip.MustParseAddr(pod), func(visit lab.Visit) string {
			if visit.In != node || visit.Out != node {
				return "in and out by " + node
			}
			return ""
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// notReady says of a Node what the node controller would.
func (v *vipLab) notReady(t *testing.T, node string) {
	t.Helper()
	text, err := v.ReadYAML("nodes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	at := "  name: " + node + "\n"
	before, rest, ok := strings.Cut(text, at)
	if !ok {
		t.Fatalf("no Node %s in nodes.yaml", node)
	}
	v.write(t, "nodes.yaml", before+at+strings.Replace(rest, `status: "True"`, `status: "False"`, 1))
}

// signal ends a node's daemon, in one way or another.
func (v *vipLab) signal(t *testing.T, node string, s syscall.Signal) {
	t.Helper()
	ended := v.Ended(node)
	if err := v.Signal(node, s); err != nil {
		t.Fatal(err)
	}
	<-ended
}

func (v *vipLab) startDaemon(t *testing.T, node string) {
	t.Helper()
	if err := v.StartDaemon(node); err != nil {
		t.Fatal(err)
	}
	v.expectOwnAddresses(t, node)
}

// TestVIPAnnouncedByItsHolderAlone is the other way to have it: a node without
// the VIP announces nothing. keepalived tells the cluster, by a label, as it
// could with kubectl. Where the VIP moves the route has to move too, and where
// the daemon of the holder ends there is no route, though the node would forward.
func TestVIPAnnouncedByItsHolderAlone(t *testing.T) {
	v := startVIPLab(t, lab.FRR)
	v.announceWhereTheVIPIs(t)
	v.share(t)
	v.addStaticRoutes(t)
	moved := func(from string) { v.carriedBy(t, other(from)); v.announces(t, other(from), 2) }
	was := v.holder(t)
	v.cost(t, "keepalived stopped", func() { v.stopKeepalived(t, was); moved(was) })
	v.startKeepalived(t, was)
	was = v.holder(t)
	v.cost(t, "keepalived killed", func() { v.killKeepalived(t, was); moved(was) })
	v.startKeepalived(t, was)
	was = v.holder(t)
	v.cost(t, "node dead", func() { v.uplink(t, was, "down"); moved(was) })
	v.uplink(t, was, "up")
	was = v.holder(t)
	loss, routeLost := v.cost(t, "daemon killed", func() { v.signal(t, was, syscall.SIGKILL); v.carriedBy(t, other(was)) })
	if loss.Lost == 0 || !routeLost {
		t.Errorf("%v; the router lost the route: %t. Then the holder alone might as well announce, which the recipe denies", loss, routeLost)
	}
}

// announceWhereTheVIPIs lets keepalived exclude every node that has not the VIP.
func (v *vipLab) announceWhereTheVIPIs(t *testing.T) {
	t.Helper()
	const excluded = "{" + routes.LabelExclude + ": \"\"}"
	for _, node := range []string{"n1", "n2", "n3"} {
		at := "  name: " + node + "\n"
		v.edit(t, "nodes.yaml", at, at+"  labels: "+excluded+"\n")
	}
	program := v.program(t, "notify", `#!/bin/sh
# $1 is the node; keepalived adds INSTANCE, the instance's name and its state.
labels='`+excluded+`'
[ "$4" = MASTER ] && labels={}
exec flock `+v.State+`/notify sed -i "/^  name: $1\$/{n;s|^  labels: .*|  labels: $labels|}" `+v.ClusterDir()+`/nodes.yaml
`)
	v.notify = func(node string) string { return program + " " + node }
	// Whether a node announces tells nothing here.
	v.script = "#!/bin/sh\nexec curl -fsS -m 5 -o /dev/null http://" + lab.StatusAddress + "/readyz\n"
}
