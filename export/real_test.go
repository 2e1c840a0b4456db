package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// patience bounds every wait for a condition.
const patience = 30 * time.Second

// TestMain lets more tests run side by side than there are processors: they mostly wait
// for routers.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", fmt.Sprint(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// wire is an L2 in network namespaces: a router and three nodes on its bridge, of
// which the third is for what comes later.
type wire struct {
	t        *testing.T
	prefix   string
	dir      string                     // for sockets and configuration, readable by daemons
	unlisted []string                   // prefixes that the first node announces and the router must refuse
	kernels  map[string]*netlink.Handle // of each namespace
}

// newWire builds the namespaces, with names of this test's own, so that tests
// run side by side: they spend their time waiting. The router has the addresses of all routers of
// cluster(), and the nodes a route to the one that is not on their link.
func newWire(t *testing.T) *wire {
	t.Helper()
	needs.Root(t, "ip", "sysctl")
	t.Parallel()
	test := fnv.New32a()
	test.Write([]byte(t.Name()))
	w := &wire{t: t, prefix: fmt.Sprintf("fwx%d-%08x-", os.Getpid(), test.Sum32()), dir: t.TempDir(), unlisted: unlisted(), kernels: map[string]*netlink.Handle{}}
	// FRR's daemons drop root before they write there.
	if err := errors.Join(os.Chmod(filepath.Dir(w.dir), 0o711), os.Chmod(w.dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	w.namespace("tor")
	w.run("tor", "ip", "link", "add", "br0", "type", "bridge")
	w.run("tor", "ip", "link", "set", "br0", "up")
	for i, n := range []string{"n1", "n2", "n3"} {
		w.namespace(n)
		w.run("tor", "ip", "link", "add", n, "type", "veth", "peer", "name", "eth0", "netns", w.prefix+n)
		w.run("tor", "ip", "link", "set", n, "master", "br0", "up")
		// Nodes forward (Kube-OVN's init container), and so take no address from
		// the router advertisements that FRR sends for extended next hops; dialling
		// from such an address, they would be strangers to the router.
		w.run(n, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
		w.run(n, "ip", "link", "set", "eth0", "up")
		w.run(n, "ip", "addr", "add", fmt.Sprintf("172.30.0.1%d/24", i+1), "dev", "eth0")
		w.run(n, "ip", "addr", "add", fmt.Sprintf("fd00:30::1%d/64", i+1), "dev", "eth0", "nodad")
		w.run(n, "ip", "route", "add", "10.255.0.1", "via", "172.30.0.1")
	}
	w.run("tor", "ip", "addr", "add", "10.255.0.1/32", "dev", "lo")
	for _, a := range []string{"172.30.0.1/24", "172.30.0.2/24"} {
		w.run("tor", "ip", "addr", "add", a, "dev", "br0")
	}
	for _, a := range []string{"fd00:30::1/64", "fd00:30::2/64"} {
		w.run("tor", "ip", "addr", "add", a, "dev", "br0", "nodad")
	}
	return w
}

func (w *wire) namespace(name string) {
	w.t.Helper()
	full := w.prefix + name
	if out, err := exec.Command("ip", "netns", "add", full).CombinedOutput(); err != nil {
		w.t.Fatalf("make namespace %s: %v: %s", full, err, out)
	}
	w.t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", full).CombinedOutput(); err != nil {
			w.t.Errorf("remove namespace %s: %v: %s", full, err, out)
		}
	})
	space, err := netns.GetFromName(full)
	if err != nil {
		w.t.Fatal(err)
	}
	defer space.Close()
	if w.kernels[name], err = netlink.NewHandleAt(space, unix.NETLINK_ROUTE); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.kernels[name].Close)
	// Link-local addresses are there at once; FRR turns IPv6 sessions away without.
	w.run(name, "sysctl", "-q", "-w", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
	w.run(name, "ip", "link", "set", "lo", "up")
}

func (w *wire) command(ns string, args ...string) *exec.Cmd {
	if args[0] == "ip" {
		return exec.Command("ip", append([]string{"-n", w.prefix + ns}, args[1:]...)...)
	}
	return exec.Command("ip", append([]string{"netns", "exec", w.prefix + ns}, args...)...)
}

// try runs a command in a namespace and gives its output, good or bad.
func (w *wire) try(ns string, args ...string) (string, error) {
	out, err := w.command(ns, args...).CombinedOutput()
	return string(out), err
}

func (w *wire) run(ns string, args ...string) string {
	w.t.Helper()
	out, err := w.try(ns, args...)
	if err != nil {
		w.t.Fatalf("%s: %s: %v\n%s", ns, strings.Join(args, " "), err, out)
	}
	return out
}

// start runs a daemon until the test ends, and shows its log if it failed.
func (w *wire) start(ns string, args ...string) {
	w.t.Helper()
	cmd := w.command(ns, args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		w.t.Fatalf("start %s: %v", args[0], err)
	}
	w.t.Cleanup(func() {
		cmd.Process.Kill() // ip netns exec has become the daemon itself
		cmd.Wait()
		if w.t.Failed() {
			w.t.Logf("%s: %s\n%s", ns, strings.Join(args, " "), log.String())
		}
	})
}

// onFailure shows what a command says at the end of a test that failed.
func (w *wire) onFailure(ns string, args ...string) {
	w.t.Cleanup(func() {
		if w.t.Failed() {
			out, err := w.try(ns, args...)
			w.t.Logf("%s: %s: %v\n%s", ns, strings.Join(args, " "), err, out)
		}
	})
}

// eventually waits until ok gives "" and otherwise fails with what it said last.
func (w *wire) eventually(what string, ok func() string) {
	w.t.Helper()
	w.asking(must.Pauses(), what, ok)
}

func (w *wire) asking(pause func(), what string, ok func() string) {
	w.t.Helper()
	problem := ""
	for end := time.Now().Add(patience); time.Now().Before(end); pause() {
		if problem = ok(); problem == "" {
			return
		}
	}
	w.t.Fatalf("%s: %s", what, problem)
}

func (w *wire) file(name, content string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// kernelHops gives the next hops that a namespace's kernel has for a prefix.
func (w *wire) kernelHops(ns, prefix string) []string {
	w.t.Helper()
	family := netlink.FAMILY_V4
	if strings.Contains(prefix, ":") {
		family = netlink.FAMILY_V6
	}
	found, err := w.kernels[ns].RouteList(nil, family)
	if err != nil {
		w.t.Fatalf("%s: the kernel's routes: %v", ns, err)
	}
	hops := []string{}
	for _, r := range found {
		if r.Dst.String() != prefix { // of a default route too: 0.0.0.0/0
			continue
		}
		for _, h := range append(r.MultiPath, &netlink.NexthopInfo{Gw: r.Gw, Via: r.Via}) {
			if via, ok := h.Via.(*netlink.Via); ok {
				hops = append(hops, via.Addr.String())
			} else if h.Gw != nil {
				hops = append(hops, h.Gw.String())
			}
		}
	}
	slices.Sort(hops)
	return hops
}

// wantHops waits for the kernel to have exactly these next hops.
func (w *wire) wantHops(ns, prefix string, want ...string) {
	w.t.Helper()
	w.eventually(ns+": route to "+prefix, func() string {
		if got := w.kernelHops(ns, prefix); !slices.Equal(got, want) {
			return fmt.Sprintf("next hops are %v, want %v\n%s", got, want, w.run(ns, "ip", "route"))
		}
		return ""
	})
}

// speak starts a BGP speaker that plays Fairway on a node: it announces what the
// plan says, and prefixes that the router must refuse. The password is the
// placeholder, as nobody has changed it in the router either.
func (w *wire) speak(in Input, plan policy.Plan) {
	w.t.Helper()
	s := session(in, plan)
	var c strings.Builder
	port := -1 // Fairway does not listen unless the peer dials
	if s.Passive {
		port = 179
	}
	fmt.Fprintf(&c, "[global.config]\nas = %d\nrouter-id = \"10.99.0.%s\"\nport = %d\n", s.LocalASN, plan.Node[1:], port)
	fmt.Fprintf(&c, "[[neighbors]]\n[neighbors.config]\nneighbor-address = %q\npeer-as = %d\n", s.Address, s.PeerASN)
	if s.Password != "" {
		fmt.Fprintf(&c, "auth-password = %q\n", placeholder)
	}
	fmt.Fprintf(&c, "[neighbors.transport.config]\npassive-mode = %t\nremote-port = %d\n", s.Passive, s.Port)
	fmt.Fprintf(&c, "[neighbors.timers.config]\nconnect-retry = 1\nidle-hold-time-after-reset = 1\nhold-time = %d\nkeepalive-interval = %d\n",
		seconds(s.HoldTime), seconds(s.KeepaliveTime))
	if s.TTLSecurity {
		fmt.Fprintf(&c, "[neighbors.ttl-security.config]\nenabled = true\nttl-min = 255\n")
	}
	if s.EBGPMultihop && !s.Internal() {
		fmt.Fprintf(&c, "[neighbors.ebgp-multihop.config]\nenabled = true\nmultihop-ttl = 255\n")
	}
	for _, f := range s.Families {
		fmt.Fprintf(&c, "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = %q\n", f)
	}
	conf := w.file("gobgpd-"+plan.Node+".toml", c.String())
	w.start(plan.Node, "gobgpd", "-f", conf, "--api-hosts", "127.0.0.1:50051", "--pprof-disable")
	w.onFailure(plan.Node, "gobgp", "neighbor", s.Address.String())
	w.eventually(plan.Node+": gobgpd answers", func() string {
		if out, err := w.try(plan.Node, "gobgp", "global"); err != nil {
			return out
		}
		return ""
	})
	for _, p := range w.unlisted {
		if plan.Node != in.Plans[0].Node {
			break
		}
		w.announce(plan.Node, s, advert(p, "unlisted", routes.RoleActive))
	}
	for _, a := range plan.Adverts {
		if slices.Contains(a.Peers, in.Peer) {
			w.announce(plan.Node, s, a)
		}
	}
}

// unlisted are prefixes that no export allows: another one, a part of one that is
// allowed, one that contains it, and the default route.
func unlisted() []string {
	return []string{"10.200.0.0/16", "10.166.4.0/24", "10.166.0.0/15", "0.0.0.0/0", "fd00:200::/64", "fd00:166::/80", "::/0"}
}

// announce originates one advert with the next hop that Fairway would send.
func (w *wire) announce(node string, s policy.Session, a *policy.Advert) {
	w.t.Helper()
	family := "ipv4"
	if a.Prefix.Addr().Is6() {
		family = "ipv6"
	}
	args := []string{"gobgp", "global", "rib", "-a", family, "add", a.Prefix.String()}
	hop := a.NextHop
	if !hop.IsValid() {
		v6 := a.Prefix.Addr().Is6() || s.ExtendedNextHop && s.Address.Is6()
		hop = addr("172.30.0.1" + node[1:])
		if v6 {
			hop = addr("fd00:30::1" + node[1:])
		}
	}
	args = append(args, "nexthop", hop.String())
	if a.Role == routes.RoleStandby {
		args = append(args, "aspath", fmt.Sprintf("%d %d %d", s.LocalASN, s.LocalASN, s.LocalASN))
	}
	if slices.Contains(a.Communities, routes.GracefulShutdown) {
		args = append(args, "community", "65535:0")
	}
	w.run(node, args...)
}

// twoNodes is cluster() without its third node, for one router.
func twoNodes(peer string) Input {
	in := cluster()
	in.Plans, in.Nodes, in.Peer = in.Plans[:2], in.Nodes[:2], peer
	return in
}

// peers are the routers that the real ones are told to be: those of cluster(),
// tor-b once more as "ibgp", in the nodes' own AS and with IPv6 alone, and
// core.dc1 as "multihop", where the nodes are in two ASes, neither the router's.
func peers() map[string]Input {
	ibgp := twoNodes("tor-b")
	for i := range ibgp.Plans {
		s := &ibgp.Plans[i].Sessions[2]
		s.PeerASN, s.ExtendedNextHop, s.Families = s.LocalASN, false, []policy.Family{policy.IPv6Unicast}
		ibgp.Plans[i].Adverts = slices.DeleteFunc(ibgp.Plans[i].Adverts, func(a *policy.Advert) bool { return a.Prefix.Addr().Is4() })
	}
	multihop := twoNodes("core.dc1")
	multihop.Plans[0].Sessions[0].LocalASN, multihop.Plans[1].Sessions[0].LocalASN = 64521, 64522
	return map[string]Input{"multihop": multihop, "tor-a": twoNodes("tor-a"), "tor-b": twoNodes("tor-b"), "core.dc1": twoNodes("core.dc1"), "ibgp": ibgp}
}

// session is the one that a plan has with the router of the input.
func session(in Input, plan policy.Plan) policy.Session {
	i := slices.IndexFunc(plan.Sessions, func(s policy.Session) bool { return s.Peer == in.Peer })
	return plan.Sessions[i]
}

// frr starts zebra, bgpd, bfdd and staticd in the router's namespace.
func (w *wire) frr(bgpPort string) {
	w.t.Helper()
	needs.Root(w.t, "vtysh", "/usr/lib/frr/zebra", "/usr/lib/frr/bgpd", "/usr/lib/frr/bfdd", "/usr/lib/frr/staticd")
	common := func(daemon string) []string {
		return []string{"/usr/lib/frr/" + daemon, "-u", "frr", "-g", "frr", "--vty_socket", w.dir, "-z", w.dir + "/zserv",
			"-i", w.dir + "/" + daemon + ".pid", "-f", w.file(daemon+".conf", ""), "-P", "0", "--log", "stdout", "--log-level", "debug"}
	}
	w.start("tor", common("zebra")...)
	w.eventually("zebra listens", func() string {
		if _, err := os.Stat(w.dir + "/zserv"); err != nil {
			return err.Error()
		}
		return ""
	})
	w.start("tor", append(common("bgpd"), "-p", bgpPort)...)
	w.start("tor", common("staticd")...)
	w.start("tor", append(common("bfdd"), "--bfdctl", w.dir+"/bfdd.sock")...)
	w.onFailure("tor", "vtysh", "--vty_socket", w.dir, "-c", "show bgp neighbors")
	w.eventually("FRR answers", func() string {
		out, err := w.try("tor", "vtysh", "--vty_socket", w.dir, "-c", "show daemons")
		for _, d := range []string{"zebra", "bgpd", "bfdd", "staticd"} {
			if err != nil || !strings.Contains(out, d) {
				return fmt.Sprintf("no %s: %v %s", d, err, out)
			}
		}
		return ""
	})
	w.vtysh("debug bgp neighbor-events") // shown by a test that fails
}

// frrLoad loads a configuration as the header says, and fails on any line that
// FRR does not take.
func (w *wire) frrLoad(config string) {
	w.t.Helper()
	path := w.file("export.conf", config)
	if out, err := w.try("tor", "vtysh", "-C", "-f", path); err != nil || strings.TrimSpace(out) != "" {
		w.t.Fatalf("vtysh -C: %v\n%s", err, out)
	}
	out, err := w.try("tor", "vtysh", "--vty_socket", w.dir, "-f", path)
	for _, l := range strings.Split(out, "\n") {
		if err != nil || strings.Contains(l, "%") || strings.Contains(strings.ToLower(l), "unknown") || strings.Contains(l, "rror") {
			w.t.Fatalf("vtysh -f: %v\n%s\n%s", err, out, config)
		}
	}
}

func (w *wire) vtysh(command string) string {
	w.t.Helper()
	return w.run("tor", "vtysh", "--vty_socket", w.dir, "-c", command)
}

// mustHold checks that every line of a configuration that begins with one of the
// words is in what the router says it runs.
func mustHold(t *testing.T, running, config string, words ...string) {
	t.Helper()
	lines := map[string]bool{}
	for _, l := range strings.Split(running, "\n") {
		l = strings.TrimSpace(l)
		if f := strings.Fields(l); len(f) > 4 {
			if i := slices.Index(f, "seq"); i == 3 && f[1] == "prefix-list" || i == 4 && f[1] == "community-list" {
				l = strings.Join(slices.Delete(f, i, i+2), " ") // the router numbers entries
			}
		}
		lines[l] = true
	}
	for _, l := range strings.Split(config, "\n") {
		l = strings.TrimSpace(l)
		for _, word := range words {
			// IPv4 is active by default, and FRR does not print defaults.
			if strings.HasPrefix(l, word) && !lines[l] && !strings.HasSuffix(l, " activate") {
				t.Errorf("the router does not have %q:\n%s", l, running)
			}
		}
	}
}

// proveRoutes checks in the router's kernel what the export promises: ECMP over
// both nodes, the gateway that is active, and nothing that was not listed.
func (w *wire) proveRoutes(name string) {
	w.t.Helper()
	v4 := []string{"172.30.0.11", "172.30.0.12"}
	if name == "tor-b" { // IPv4 with IPv6 next hops (RFC 8950)
		v4 = []string{"fd00:30::11", "fd00:30::12"}
	}
	if name != "ibgp" {
		w.wantHops("tor", "10.166.0.0/16", v4...)
		w.wantHops("tor", "10.168.0.0/16", v4[0])
	}
	if name != "core.dc1" && name != "multihop" {
		w.wantHops("tor", "fd00:166::/64", "fd00:30::11", "fd00:30::12")
	}
	if name == "tor-a" {
		w.wantHops("tor", "10.169.3.4/32", "172.30.0.11")
		w.wantHops("tor", "10.169.8.0/30", "172.30.0.11")
		w.wantHops("tor", "10.170.0.0/16", "172.30.0.100")
	}
	// These were announced before the others, which have arrived.
	w.proveRefused()
}

// proveRefused checks that nothing arrived that was announced and is not listed.
func (w *wire) proveRefused() {
	w.t.Helper()
	for _, p := range w.unlisted {
		if hops := w.kernelHops("tor", p); len(hops) > 0 {
			w.t.Errorf("%s is not listed and arrived by %v", p, hops)
		}
	}
}

// proveGracefulShutdown announces from the first node as if it was about to
// withdraw: the other one, whose path is no shorter, gets all of the traffic, and
// it is shared again when the node has thought better of it.
func (w *wire) proveGracefulShutdown(name string, in Input) {
	w.t.Helper()
	first, prefix, other := in.Plans[0], "10.168.0.0/16", "172.30.0.12" // n2 only stands by for it
	if name == "tor-b" || name == "ibgp" {
		other = "fd00:30::12"
	}
	switch name {
	case "ibgp":
		prefix = "fd00:166::/64"
	case "core.dc1": // in the nodes' AS, which takes no path with that in it
		prefix = "10.166.0.0/16"
	}
	i := slices.IndexFunc(first.Adverts, func(a *policy.Advert) bool { return a.Prefix.String() == prefix })
	leaving := *first.Adverts[i]
	leaving.Communities = []routes.Community{routes.GracefulShutdown}
	w.announce(first.Node, session(in, first), &leaving)
	w.wantHops("tor", prefix, other)
	w.announce(first.Node, session(in, first), first.Adverts[i])
	w.proveRoutes(name)
}

// own is a route of the router that it would send if it were not told otherwise.
const own = "10.77.0.0/16"

// proveNothingSent checks that the nodes learn nothing from the router. A router
// may take its time with a first UPDATE, and what it never sends cannot be waited
// for: so it waits for keepalives that come later on the same connection. tor-a's
// are too far apart.
func (w *wire) proveNothingSent(in Input) {
	w.t.Helper()
	for _, plan := range in.Plans {
		s := session(in, plan)
		if s.KeepaliveTime > 3*time.Second {
			return
		}
		seldom := func() { time.Sleep(s.KeepaliveTime / 2) }
		w.asking(seldom, plan.Node+": keepalives", func() string {
			out := w.run(plan.Node, "gobgp", "neighbor", s.Address.String())
			for _, l := range strings.Split(out, "\n") {
				// "Keepalives: SENT RECEIVED"; the first opens the session, two are 6 s.
				if f := strings.Fields(l); len(f) == 3 && f[0] == "Keepalives:" {
					if n, err := strconv.Atoi(f[2]); err == nil && n >= 3 {
						return ""
					}
				}
			}
			return out
		})
		if out := w.run(plan.Node, "gobgp", "global", "rib"); strings.Contains(out, own) {
			w.t.Errorf("%s learned the router's own route:\n%s", plan.Node, out)
		}
	}
}

func TestRealFRR(t *testing.T) {
	for name, in := range peers() {
		t.Run(name, func(t *testing.T) {
			needs.Root(t, "gobgpd", "gobgp")
			w := newWire(t)
			s := session(in, in.Plans[0])
			w.frr(fmt.Sprint(s.Port))
			config := write(t, FRR, in)
			w.frrLoad(config)
			mustHold(t, w.vtysh("show running-config"), config, "neighbor ", "no neighbor ", "ip prefix-list", "ipv6 prefix-list", "maximum-paths", "bgp ", "route-map", "match", "set local", "profile ")
			w.run("tor", "vtysh", "--vty_socket", w.dir, "-c", "configure", "-c", fmt.Sprintf("router bgp %d", s.PeerASN),
				"-c", "no bgp network import-check", "-c", "address-family ipv4 unicast", "-c", "network "+own)
			for _, plan := range in.Plans {
				w.speak(in, plan)
			}
			w.proveRoutes(name)
			w.proveGracefulShutdown(name, in)
			w.proveNothingSent(in)
			w.proveReload(name, config)
		})
	}
}

// proveReload loads the same again: nothing changes and no session is reset.
func (w *wire) proveReload(name, config string) {
	w.t.Helper()
	type neighbour struct {
		BGPState               string `json:"bgpState"`
		ConnectionsEstablished int    `json:"connectionsEstablished"`
	}
	sessions := func() string {
		var found map[string]neighbour
		if err := json.Unmarshal([]byte(w.vtysh("show bgp neighbors json")), &found); err != nil {
			w.t.Fatal(err)
		}
		return fmt.Sprint(found)
	}
	before, up := w.vtysh("show running-config"), sessions()
	if n := strings.Count(up, "{Established 1}"); n != 2 {
		w.t.Errorf("%d sessions came up at once, want 2: %s", n, up)
	}
	w.frrLoad(config)
	if after := w.vtysh("show running-config"); after != before {
		w.t.Errorf("loading again changed the configuration:\n%s\nbefore:\n%s", after, before)
	}
	if again := sessions(); again != up {
		w.t.Errorf("loading again touched the sessions: %s, before: %s", again, up)
	}
	w.proveRoutes(name)
}

func TestRealFRRStatic(t *testing.T) {
	w := newWire(t)
	in := twoNodes("")
	in.Static = true
	config := write(t, FRR, in)
	w.frr("0")
	for range 2 {
		w.frrLoad(config)
		mustHold(t, w.vtysh("show running-config"), config, "ip route", "ipv6 route")
		w.proveStatic("tor")
	}
}

// proveStatic checks in a kernel the static routes of twoNodes.
func (w *wire) proveStatic(ns string) {
	w.t.Helper()
	w.wantHops(ns, "10.166.0.0/16", "172.30.0.11", "172.30.0.12")
	w.wantHops(ns, "10.168.0.0/16", "172.30.0.11")
	w.wantHops(ns, "10.169.3.4/32", "172.30.0.11")
	w.wantHops(ns, "10.170.0.0/16", "172.30.0.100")
	w.wantHops(ns, "fd00:166::/64", "fd00:30::11", "fd00:30::12")
}

// bird checks a configuration with BIRD's own parser and runs it.
func (w *wire) bird(config string) {
	w.t.Helper()
	needs.Root(w.t, "bird", "birdc")
	path := w.file("bird.conf", config)
	if out, err := w.try("tor", "bird", "-p", "-c", path); err != nil || strings.TrimSpace(out) != "" {
		w.t.Fatalf("bird -p: %v\n%s\n%s", err, out, config)
	}
	w.start("tor", "bird", "-f", "-c", path, "-s", w.dir+"/bird.ctl", "-P", w.dir+"/bird.pid")
	w.eventually("BIRD answers", func() string {
		if out, err := w.try("tor", "birdc", "-s", w.dir+"/bird.ctl", "show", "status"); err != nil {
			return out
		}
		return ""
	})
}

func TestRealBIRD(t *testing.T) {
	for name, in := range peers() {
		t.Run(name, func(t *testing.T) {
			needs.Root(t, "gobgpd", "gobgp")
			w := newWire(t)
			w.bird(write(t, BIRD, in) + "\nprotocol static { ipv4; route " + own + " unreachable; }\n")
			for _, plan := range in.Plans {
				w.speak(in, plan)
			}
			w.proveRoutes(name)
			w.proveGracefulShutdown(name, in)
			w.proveNothingSent(in)
			shown := w.run("tor", "birdc", "-s", w.dir+"/bird.ctl", "show", "protocols", "all")
			for _, plan := range in.Plans {
				if !strings.Contains(shown, "fairway-"+plan.Node) || !strings.Contains(shown, "fairway "+plan.Node) {
					t.Errorf("BIRD does not show %s:\n%s", plan.Node, shown)
				}
			}
		})
	}
}

func TestRealBIRDStatic(t *testing.T) {
	w := newWire(t)
	in := twoNodes("")
	in.Static = true
	w.bird(write(t, BIRD, in))
	w.proveStatic("tor")
}

func TestRealIPRoute(t *testing.T) {
	w := newWire(t)
	in := twoNodes("")
	script := w.file("routes.sh", write(t, IPRoute, in))
	state := func() string { return w.run("tor", "ip", "route") + w.run("tor", "ip", "-6", "route") }
	clean := state()
	w.run("tor", "sh", script)
	w.proveStatic("tor")
	once := state()
	w.run("tor", "sh", script)
	if twice := state(); twice != once {
		t.Errorf("running it twice is not the same as once:\n%s\nonce:\n%s", twice, once)
	}

	// One node fewer, and back: what was there is replaced, not added to.
	fewer := in
	fewer.Plans = in.Plans[:1]
	w.run("tor", "sh", w.file("fewer.sh", write(t, IPRoute, fewer)))
	w.wantHops("tor", "10.166.0.0/16", "172.30.0.11")
	w.wantHops("tor", "fd00:166::/64", "fd00:30::11")
	w.run("tor", "sh", script)
	w.proveStatic("tor")

	for _, l := range strings.Split(write(t, IPRoute, in), "\n") {
		if undo, ok := strings.CutPrefix(l, "#   "); ok {
			w.run("tor", "sh", "-ec", undo)
		}
	}
	if got := state(); got != clean {
		t.Errorf("the undo lines leave\n%s\nbefore the script:\n%s", got, clean)
	}
}

// The script stops at the first route that the kernel does not take.
func TestRealIPRouteStops(t *testing.T) {
	w := newWire(t)
	in := twoNodes("")
	in.Nodes[0].InternalIPs = []netip.Addr{addr("192.0.2.1"), addr("fd00:30::11")}
	if out, err := w.try("tor", "sh", w.file("routes.sh", write(t, IPRoute, in))); err == nil {
		t.Errorf("a next hop that is not on the link was taken:\n%s", out)
	}
}
