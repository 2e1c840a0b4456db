package routers

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/status"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

// unnumbered is a node between a Pod and two routers, FRR and BIRD, that it knows by
// links alone, and an outside host behind FRR. On a third link is FRR again, as the
// node's default gateway.
//
//	x --- r --- eth1, eth3 --- n --- p
//	      b --- eth2 ---------/
type unnumbered struct {
	prefix, dir, objects, fairway string
	frr                           *frr
	bird                          *bird
}

const (
	unnumberedPod     = "10.166.0.9"
	unnumberedOutside = "198.51.100.9"
)

// TestUnnumbered is docs/recipes/unnumbered, and what may happen after that.
func TestUnnumbered(t *testing.T) {
	t.Parallel()
	whole := t // the daemon outlives the step that starts it
	u := newUnnumbered(t)
	u.startFRR(t)
	u.startBIRD(t)
	stop := u.startFairway(t)
	router, gateway := u.linkLocal(t, "r", "swp1"), "172.31.9.1"

	u.wantSession(t, "tor", router+"%eth1", 65100)
	u.wantSession(t, "bird", u.linkLocal(t, "b", "swp1")+"%eth2", 65200)
	u.wantSession(t, "gateway", gateway, 65100)
	u.wantTraffic(t, router)
	t.Run("the node is nobody's default gateway, and no address is made of its advertisements", func(t *testing.T) {
		// The kernel there takes router advertisements: it does not forward IPv6.
		if got := u.ip(t, "r", "-6 route show default"); strings.TrimSpace(got) != "" {
			t.Errorf("the router's IPv6 default route: %s", got)
		}
		if got := u.ip(t, "r", "-6 addr show dev swp1 scope global"); strings.TrimSpace(got) != "" {
			t.Errorf("addresses of the router: %s", got)
		}
	})
	t.Run("BIRD has the route by the node's link-local address", func(t *testing.T) {
		must.Await(t, "BIRD's kernel has the route", func() bool {
			return strings.Contains(u.ip(t, "b", "route show 10.166.0.0/16"), "via inet6 "+u.linkLocal(t, "n", "eth2"))
		})
	})
	t.Run("the daemon is killed, and started again", func(t *testing.T) {
		lost := u.watch(t)
		stop()
		must.Await(t, "the router keeps the route as a stale one", func() bool { return u.frr.stale(t, "10.166.0.0/16") })
		u.startFairway(whole)
		u.wantSession(t, "tor", router+"%eth1", 65100)
		must.Await(t, "the route is fresh", func() bool { return !u.frr.stale(t, "10.166.0.0/16") })
		if n := lost(); n > 0 {
			t.Errorf("the router lost the route %d times", n)
		}
	})
	t.Run("the link goes down, and is up again", func(t *testing.T) {
		u.ip(t, "r", "link set swp1 down")
		must.Await(t, "the router has lost the route", func() bool { return !u.leads(t) })
		must.Await(t, "the daemon says that the link has no carrier", func() bool {
			return strings.Contains(u.session(t, "tor").Trouble(), "no carrier")
		})
		u.ip(t, "r", "link set swp1 up")
		u.wantSession(t, "tor", router+"%eth1", 65100)
		u.wantTraffic(t, router)
	})
	t.Run("the router is replaced by another one", func(t *testing.T) {
		u.ip(t, "r", "link set swp1 down")
		u.ip(t, "r", "link set swp1 address 02:00:5e:00:53:99")
		u.ip(t, "r", "link set swp1 up")
		other := u.linkLocal(t, "r", "swp1")
		if other == router {
			t.Fatalf("the router still has %s", other)
		}
		u.wantSession(t, "tor", other+"%eth1", 65100)
		u.wantTraffic(t, other)
	})
	t.Run("the default gateway vanishes for a moment", func(t *testing.T) {
		before := u.session(t, "gateway")
		u.ip(t, "n", "route del default")
		must.Await(t, "the daemon knows", func() bool { return strings.Contains(u.plan(t), "has no IPv4 default route") })
		u.ip(t, "n", "route add default via "+gateway)
		if after := u.session(t, "gateway"); after.Flaps != before.Flaps || after.Address != gateway || !after.Established() {
			t.Errorf("the session is not what it was: %+v", after)
		}
	})
	t.Run("the default gateway is another one", func(t *testing.T) {
		u.ip(t, "n", "route replace default via 172.31.8.1")
		u.wantSession(t, "gateway", "172.31.8.1", 65100)
	})
}

func newUnnumbered(t *testing.T) *unnumbered {
	t.Helper()
	needs.Root(t, "ip", "ping", frrBgpd, frrZebra, "vtysh", "bird", "birdc")
	dir := t.TempDir()
	u := &unnumbered{prefix: fmt.Sprintf("fwu%d", os.Getpid()), dir: dir, objects: filepath.Join(dir, "objects.yaml")}
	u.fairway = program.Build(t)
	must.WriteFile(t, u.objects, []byte(unnumberedObjects(t)))
	spaces := []string{"x", "r", "b", "n", "p"}
	t.Cleanup(func() {
		for _, n := range spaces {
			_ = exec.Command("ip", "netns", "del", u.prefix+n).Run() // there may be none yet
		}
	})
	for _, n := range spaces {
		must.Run(t, "ip", "netns", "add", u.prefix+n)
		u.ip(t, n, "link set lo up")
		// Nobody else is on these links, so addresses need not be asked for.
		must.Run(t, "ip", "netns", "exec", u.prefix+n, "sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 1 >/proc/sys/net/ipv4/ip_forward")
	}
	// What BIRD advertises is learnt also where the kernel takes no notice of it.
	must.Run(t, "ip", "netns", "exec", u.prefix+"n", "sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/default/accept_ra")
	for _, l := range [][4]string{{"n", "eth1", "r", "swp1"}, {"n", "eth2", "b", "swp1"}, {"n", "eth3", "r", "swp3"}, {"x", "eth0", "r", "swp2"}, {"p", "eth0", "n", "pod"}} {
		u.ip(t, l[0], "link add "+l[1]+" type veth peer name "+l[3]+" netns "+u.prefix+l[2])
		u.ip(t, l[0], "link set "+l[1]+" up")
		u.ip(t, l[2], "link set "+l[3]+" up")
	}
	for space, addresses := range map[string][]string{
		"x": {unnumberedOutside + "/24 dev eth0"}, "r": {"198.51.100.1/24 dev swp2", "172.31.9.1/24 dev swp3", "172.31.8.1/24 dev swp3"},
		"n": {"10.166.0.1/16 dev pod", "172.31.9.2/24 dev eth3", "172.31.8.2/24 dev eth3"}, "p": {unnumberedPod + "/16 dev eth0"},
	} {
		for _, a := range addresses {
			u.ip(t, space, "addr add "+a)
		}
	}
	u.ip(t, "x", "route add default via 198.51.100.1")
	u.ip(t, "p", "route add default via 10.166.0.1")
	u.ip(t, "n", "route add default via 172.31.9.1")
	return u
}

// unnumberedObjects are those of docs/recipes/unnumbered, with timers that suit a test, and
// two more BGPPeers.
func unnumberedObjects(t *testing.T) string {
	t.Helper()
	tor := recipeFiles(t, "unnumbered", "peers.yaml") + "  holdTime: 3s\n  gracefulRestart: {}\n"
	subnet := strings.Replace(recipeFiles(t, "unnumbered", "subnet.yaml"), "  annotations:\n", "  annotations:\n    fairway.dev/peers: tor,bird\n", 1)
	return strings.Join([]string{tor, subnet, recipeFiles(t, "unnumbered", "cluster/nodes.yaml"), `
apiVersion: fairway.dev/v1alpha1
kind: BGPPeer
metadata: {name: bird}
spec: {interface: eth2, dynamicASN: external, localASN: 65001, holdTime: 9s}
`, `
apiVersion: fairway.dev/v1alpha1
kind: BGPPeer
metadata: {name: gateway}
spec: {peerDiscovery: defaultGateway, dynamicASN: external, localASN: 65001, holdTime: 9s}
`}, "\n---\n")
}

func (u *unnumbered) startFRR(t *testing.T) {
	t.Helper()
	u.frr = runFRR(t, u.prefix+"r", u.export(t, "frr", "tor", 65100)+`
log stdout
router bgp 65100
 bgp router-id 10.255.0.1
 neighbor 172.31.9.2 remote-as 65001
 neighbor 172.31.8.2 remote-as 65001
`, "")
}

func (u *unnumbered) startBIRD(t *testing.T) {
	t.Helper()
	u.bird = runBIRD(t, u.prefix+"b", "router id 10.255.0.2;\n"+u.export(t, "bird", "bird", 65200))
}

func (u *unnumbered) startFairway(t *testing.T) (stop func()) {
	t.Helper()
	return daemon(t, u.prefix+"n", u.fairway, "run", "-f", u.objects, "--node", "n1", "--datapath-gate=false", "--host=off", "--grpc-socket=", "--grpc-address=", "--run-dir="+u.dir)
}

// watch follows the changes of FRR's kernel. lost ends it, and counts how often the route
// was deleted.
func (u *unnumbered) watch(t *testing.T) (lost func() int) {
	t.Helper()
	return (&migration{prefix: u.prefix}).watch(t)
}

// export is the router's side of a BGPPeer, with the node at the port swp1.
func (u *unnumbered) export(t *testing.T, language, peer string, asn int) string {
	t.Helper()
	return must.Run(t, u.fairway, "plan", "-f", u.objects, "-o", language, "--peer", peer, "--router-asn", fmt.Sprint(asn), "--router-port", "n1=swp1")
}

// ip runs ip(8) in one of the namespaces.
func (u *unnumbered) ip(t *testing.T, space, args string) string {
	t.Helper()
	return must.Run(t, append([]string{"ip", "-n", u.prefix + space}, strings.Fields(args)...)...)
}

// linkLocal is the link-local address of a link, once it has one.
func (u *unnumbered) linkLocal(t *testing.T, space, link string) (address string) {
	t.Helper()
	must.Await(t, link+" of "+space+" has a link-local address", func() bool {
		for _, word := range strings.Fields(u.ip(t, space, "-6 -o addr show dev "+link+" scope link")) {
			if p, err := netip.ParsePrefix(word); err == nil {
				address = p.Addr().String()
			}
		}
		return address != ""
	})
	return address
}

// session is what the daemon says of the session with a BGPPeer.
func (u *unnumbered) session(t *testing.T, peer string) status.Session {
	t.Helper()
	var s status.Status
	// The exit code says that something is not well, which it may be.
	out, _ := exec.Command("ip", "netns", "exec", u.prefix+"n", u.fairway, "status", "-o", "json").Output()
	if err := json.Unmarshal(out, &s); err != nil {
		return status.Session{}
	}
	for _, e := range s.Sessions {
		if e.Peer == peer {
			return e
		}
	}
	return status.Session{}
}

func (u *unnumbered) plan(t *testing.T) string {
	t.Helper()
	out, _ := exec.Command("ip", "netns", "exec", u.prefix+"n", u.fairway, "status", "-o", "json").Output()
	return string(out)
}

func (u *unnumbered) wantSession(t *testing.T, peer, address string, asn uint32) {
	t.Helper()
	must.Await(t, fmt.Sprintf("the session of %s is with %s, AS %d", peer, address, asn), func() bool {
		e := u.session(t, peer)
		return e.Established() && e.Address == address && e.PeerASN == asn
	})
}

// leads is whether the router's kernel has the route, by the node's link-local address.
func (u *unnumbered) leads(t *testing.T) bool {
	t.Helper()
	return strings.Contains(u.ip(t, "r", "route show 10.166.0.0/16"), "via inet6 "+u.linkLocal(t, "n", "eth1"))
}

// wantTraffic waits until the outside host reaches the Pod and gets an answer, IPv4 by
// IPv6 next hops both ways. The way back is the node's own affair, not Fairway's.
func (u *unnumbered) wantTraffic(t *testing.T, router string) {
	t.Helper()
	u.ip(t, "n", "route replace 198.51.100.0/24 via inet6 "+router+" dev eth1")
	must.Await(t, "the router has the route", func() bool { return u.leads(t) })
	must.Await(t, "the outside host reaches the Pod", func() bool {
		return exec.Command("ip", "netns", "exec", u.prefix+"x", "ping", "-c", "1", "-W", "1", unnumberedPod).Run() == nil
	})
}
