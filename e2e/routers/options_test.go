package routers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

// optionRow is an option of BGPPeer as an operator sets it, the router's side of it, and
// what the router then shows of the row's prefix. docs/peers.md has a line for each row.
type optionRow struct {
	// name is the line's in docs/peers.md.
	name string
	// spec is YAML of spec, beside peerAddress, peerASN and sourceAddress.
	spec string
	// asn is ours, 65001 if 0.
	asn int
	// six is whether the session is between IPv6 addresses.
	six bool
	// addresses of the router's and our end by other links than the usual one; %d is 2 at
	// FRR and 3 at BIRD.
	router, node string
	// frr are lines of the neighbor, and bird of the protocol; NODE is our address.
	frr, bird string
	// subnet is the family of the row's Subnet: 4, 6 or both with 46.
	subnet string
	// frrShows and birdShows are what the router has of the IPv4 prefix, and of the IPv6 one
	// where there is no IPv4; what the row leaves out is the usual.
	frrShows, birdShows route
	// neighbor matches what the router says of the session.
	frrNeighbor, birdNeighbor string
}

// movingRow is the one without sourceAddress.
const movingRow = "an address from the kernel"

// optionRows are in the order of docs/peers.md.
func optionRows() []optionRow {
	const gracefulHelper = "neighbor NODE graceful-restart-helper"
	return []optionRow{
		{name: "eBGP"},
		{name: "iBGP", asn: 65100, spec: "attributes: {localPref: 170}", frrShows: route{localPref: "170"}, birdShows: route{localPref: "170"}},
		{name: "route reflector", asn: 65100, frr: "neighbor NODE route-reflector-client", bird: "rr client;"},
		{name: "multihop", spec: "ebgpMultihop: true", router: "172.32.%d.2", node: "172.32.1.1", frr: "neighbor NODE ebgp-multihop 2", bird: "multihop 2;"},
		{name: "GTSM", spec: "ttlSecurity: true", frr: "neighbor NODE ttl-security hops 1", bird: "ttl security on;"},
		{name: "MD5", spec: "passwordSecretRef: {name: md5}", frr: "neighbor NODE password first", bird: `password "first";`},
		{name: "passive", spec: "passive: true"},
		{name: "timers", spec: "holdTime: 9s\n  keepaliveTime: 2s\n  connectRetryTime: 1s", frrNeighbor: `"bgpTimerHoldTimeMsecs":9000,`, birdNeighbor: `Hold timer: +[0-9.]+/9\n`},
		{name: "local AS per peer", asn: 65077},
		{name: "both families over an IPv4 session", subnet: "46"},
		{name: "IPv6 over a session of its own", spec: "families: [ipv6-unicast]", six: true, subnet: "6"},
		{name: "IPv4 with an IPv6 next hop", spec: "extendedNextHop: true", six: true, frr: "neighbor NODE capability extended-nexthop", bird: ""},
		{name: "attributes per peer", spec: `attributes: {communities: ["65000:1", "65000:1:2", no-export], med: 10, asPathPrepend: 2}`,
			frrShows:  route{asPath: "65001 65001 65001", med: "10", communities: "65000:1 no-export", large: "65000:1:2"},
			birdShows: route{asPath: "65001 65001 65001", med: "10", communities: "(65000,1) (65535,65281)", large: "(65000, 1, 2)"}},
		{name: "graceful restart", spec: "gracefulRestart: {}", frr: gracefulHelper},
		{name: movingRow, spec: "holdTime: 240s", router: "172.33.%d.2"},
	}
}

// Addresses: of a row at one router's end, and at ours.
func (r optionRow) at(router, i int) string {
	switch {
	case r.router != "":
		return fmt.Sprintf(r.router, router)
	case r.six:
		return fmt.Sprintf("fd00:30::%d:%d", router, i)
	}
	return fmt.Sprintf("172.30.%d.%d", router, i)
}

func (r optionRow) ours(router, i int) string {
	switch {
	case r.node != "":
		return r.node
	case r.moves():
		return fmt.Sprintf("172.33.%d.1", router)
	}
	return r.at(1, i)
}

// moves is whether the kernel gives our address, which is replaced later.
func (r optionRow) moves() bool { return r.router != "" && r.node == "" }

func (r optionRow) as() int {
	if r.asn != 0 {
		return r.asn
	}
	return 65001
}

// prefix is the row's at a router.
func (r optionRow) prefix(router, i int) string {
	if r.subnet == "6" {
		return sixOf(router, i)
	}
	return fmt.Sprintf("10.%d.0.0/16", router*50+i)
}

func sixOf(router, i int) string { return fmt.Sprintf("fd00:%d::/64", router*50+i) }

// peerName is the row's BGPPeer with a router.
func peerName(router, i int) string { return fmt.Sprintf("peer-%d-%d", router, i) }

// objects are the row's BGPPeer and Subnet for a router.
func (r optionRow) objects(router, i int) string {
	source := "\n  sourceAddress: " + r.ours(router, i)
	if r.moves() {
		source = ""
	}
	cidr := r.prefix(router, i)
	if r.subnet == "46" {
		cidr += "," + sixOf(router, i)
	}
	spec := r.spec
	if spec != "" {
		spec = "\n  " + spec
	}
	return fmt.Sprintf(`
---
apiVersion: fairway.dev/v1alpha1
kind: BGPPeer
metadata: {name: %[1]s}
spec:
  nodeSelector: {matchLabels: {rack: a}}
  peerAddress: "%[2]s"
  peerASN: 65100
  localASN: %[3]d%[4]s%[5]s
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: subnet-%[1]s, annotations: {fairway.dev/advertise: "true", fairway.dev/peers: %[1]s}}
spec: {cidrBlock: "%[6]s", natOutgoing: false, gatewayType: distributed}
`, peerName(router, i), r.at(router, i), r.as(), source, spec, cidr)
}

// rackObjects are the nodes, and the BGPPeers of n2's rack, with an AS and a router ID of
// n2's own.
const rackObjects = `
---
apiVersion: v1
kind: Secret
metadata: {name: md5}
stringData: {password: first}
---
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {rack: a}}
status: {addresses: [{type: InternalIP, address: 172.30.1.1}, {type: InternalIP, address: "fd00:30::1:1"}]}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {rack: b}, annotations: {fairway.dev/local-asn: "65042", fairway.dev/router-id: 10.42.0.1}}
status: {addresses: [{type: InternalIP, address: 172.30.1.200}]}
---
apiVersion: fairway.dev/v1alpha1
kind: BGPPeer
metadata: {name: rack-b-frr}
spec: {nodeSelector: {matchLabels: {rack: b}}, peerAddress: 172.30.2.200, peerASN: 65100}
---
apiVersion: fairway.dev/v1alpha1
kind: BGPPeer
metadata: {name: rack-b-bird}
spec: {nodeSelector: {matchLabels: {rack: b}}, peerAddress: 172.30.3.200, peerASN: 65100}
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: rack-b, annotations: {fairway.dev/advertise: "true", fairway.dev/peers: "rack-b-frr,rack-b-bird"}}
spec: {cidrBlock: 10.42.0.0/16, natOutgoing: false, gatewayType: distributed}
`

// frrOptions is FRR's side of all rows.
func frrOptions() string {
	head := "log stdout\nrouter bgp 65100\n bgp router-id 10.255.0.2\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n"
	four, six := "", ""
	neighbor := func(node, lines string) {
		head += strings.ReplaceAll(lines, "NODE", node)
		four += " neighbor " + node + " activate\n"
		six += " neighbor " + node + " activate\n"
	}
	for i, r := range optionRows() {
		node := r.ours(2, i+1)
		switch {
		case r.moves():
			head += " neighbor any peer-group\n neighbor any remote-as 65001\n bgp listen range 172.33.2.0/24 peer-group any\n"
			four += " neighbor any activate\n"
			continue
		case strings.Contains(r.frr, "route-reflector-client"):
			four += strings.ReplaceAll(" "+r.frr+"\n", "NODE", node)
			r.frr = ""
		}
		lines := fmt.Sprintf(" neighbor NODE remote-as %d\n neighbor NODE update-source %s\n neighbor NODE timers connect 1\n", r.as(), r.at(2, i+1))
		if r.frr != "" {
			lines += " " + r.frr + "\n"
		}
		neighbor(node, lines)
	}
	neighbor("172.30.1.200", " neighbor NODE remote-as 65042\n neighbor NODE update-source 172.30.2.200\n")
	neighbor("172.30.3.250", " neighbor NODE remote-as 65100\n neighbor NODE update-source 172.30.2.250\n neighbor NODE timers connect 1\n") // the other router
	return head + " address-family ipv4 unicast\n" + four + " exit-address-family\n address-family ipv6 unicast\n" + six + " exit-address-family\n"
}

// birdOptions is BIRD's side of all rows.
func birdOptions() string {
	out := `
router id 10.255.0.3;
protocol device {}
protocol direct { ipv4; ipv6; }
protocol kernel { ipv4 { export where source = RTS_BGP; }; }
protocol kernel { ipv6 { export where source = RTS_BGP; }; }
`
	protocol := func(name, local, node string, as int, lines string) {
		out += fmt.Sprintf("protocol bgp %s {\n local %s as 65100;\n neighbor %s as %d;\n connect delay time 1;\n connect retry time 1;\n error wait time 1, 2;\n %s\n ipv4 { import all; export none; extended next hop on; };\n ipv6 { import all; export none; };\n}\n",
			name, local, node, as, lines)
	}
	for i, r := range optionRows() {
		if r.moves() {
			out += "protocol bgp moving {\n local 172.33.3.2 as 65100;\n neighbor range 172.33.3.0/24 as 65001;\n dynamic name \"moved\";\n ipv4 { import all; export none; };\n}\n"
			continue
		}
		protocol(fmt.Sprintf("row%d", i+1), r.at(3, i+1), r.ours(3, i+1), r.as(), r.bird)
	}
	protocol("rackb", "172.30.3.200", "172.30.1.200", 65042, "")
	return out + "protocol bgp frr {\n local 172.30.3.250 as 65100;\n neighbor 172.30.2.250 as 65100;\n rr client;\n ipv4 { import all; export where proto = \"row3\"; };\n ipv6 { import none; export none; };\n}\n"
}

// optionsWorld is n1, n2, FRR and BIRD on one link, and a hop (x) for what is further away.
type optionsWorld struct {
	t                        *testing.T
	prefix, fairway, objects string
	frr                      *frr
	bird                     *bird
	// moved is whether the row whose address the kernel gives has another one by now; the
	// routers keep the path by the old one until their hold time is over.
	moved bool
}

func newOptionsWorld(t *testing.T) *optionsWorld {
	t.Helper()
	needs.Root(t, "ip", frrBgpd, frrZebra, "vtysh", "bird", "birdc", "ping", "sysctl")
	dir := t.TempDir()
	w := &optionsWorld{t: t, prefix: fmt.Sprintf("fwo%d", os.Getpid()), objects: filepath.Join(dir, "objects.yaml")}
	w.fairway = program.Build(t)
	all := []string{"s", "n", "f", "b", "x"}
	t.Cleanup(func() {
		for _, n := range all {
			_ = exec.Command("ip", "netns", "del", w.prefix+n).Run() // there may be none yet
		}
	})
	for _, n := range all {
		must.Run(t, "ip", "netns", "add", w.prefix+n)
		w.in(n, "ip link set lo up; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0")
	}
	w.in("s", "ip link add br0 type bridge; ip link set br0 up")
	for i, n := range []string{"n", "f", "b"} {
		w.in("s", fmt.Sprintf("ip link add to-%[1]s type veth peer name eth0 netns %[2]s%[1]s; ip link set to-%[1]s master br0 up", n, w.prefix))
		w.in(n, "ip link set eth0 up")
		if n == "n" {
			w.in(n, "ip addr add 172.30.1.200/16 dev eth0")
			continue
		}
		router := i + 1
		w.in(n, fmt.Sprintf("ip addr add 172.30.%[1]d.200/16 dev eth0; ip addr add 172.30.%[1]d.250/16 dev eth0; ip addr add 172.33.%[1]d.2/24 dev eth0", router))
		// One hop more: s, x and the router.
		w.in("x", fmt.Sprintf("ip link add to-%[1]s type veth peer name far netns %[2]s%[1]s; ip link set to-%[1]s up; ip addr add 172.32.%[3]d.254/24 dev to-%[1]s", n, w.prefix, router))
		w.in(n, fmt.Sprintf("ip link set far up; ip addr add 172.32.%[1]d.2/24 dev far; ip route add 172.32.1.0/24 via 172.32.%[1]d.254", router))
		w.in("s", fmt.Sprintf("ip addr add 172.33.%d.1/24 dev br0", router))
	}
	w.in("x", "ip link add to-s type veth peer name far netns "+w.prefix+"s; ip link set to-s up; ip addr add 172.32.1.254/24 dev to-s")
	w.in("s", "ip link set far up; ip addr add 172.32.1.1/24 dev far; ip route add 172.32.0.0/16 via 172.32.1.254")
	for i, r := range optionRows() {
		for router, n := range map[int]string{2: "f", 3: "b"} {
			if r.router == "" {
				w.in(n, "ip addr add "+r.at(router, i+1)+map[bool]string{true: "/64 nodad", false: "/16"}[r.six]+" dev eth0")
			}
			w.in("s", fmt.Sprintf("ip addr add 10.%d.0.1/32 dev lo", router*50+i+1))
		}
		if r.router == "" {
			w.in("s", "ip addr add "+r.ours(2, i+1)+map[bool]string{true: "/64 nodad", false: "/16"}[r.six]+" dev br0")
		}
	}
	w.in("s", "ip addr add fd00:30::1:1/64 nodad dev br0")
	w.frr = runFRR(t, w.prefix+"f", frrOptions(), "")
	w.bird = runBIRD(t, w.prefix+"b", birdOptions())
	w.writeObjects("first")
	return w
}

// in runs shell commands in a namespace.
func (w *optionsWorld) in(namespace, commands string) string {
	w.t.Helper()
	return must.Run(w.t, "ip", "netns", "exec", w.prefix+namespace, "sh", "-ec", commands)
}

// writeObjects gives both daemons their objects, with the MD5 row's password.
func (w *optionsWorld) writeObjects(password string) {
	w.t.Helper()
	text := strings.Replace(rackObjects, "password: first", "password: "+password, 1)
	for i, r := range optionRows() {
		text += r.objects(2, i+1) + r.objects(3, i+1)
	}
	must.WriteFile(w.t, w.objects, []byte(text))
}

// run starts the daemon of n1 or n2.
func (w *optionsWorld) run(node, namespace string) (stop func()) {
	return daemon(w.t, w.prefix+namespace, w.fairway, "run", "-f", w.objects, "--node", node, "--datapath-gate=false", "--host=off", "--grpc-socket=", "--run-dir="+w.t.TempDir(), "--host-state="+w.t.TempDir())
}

// wanted is what both routers are to show, by prefix.
func (w *optionsWorld) wanted(router int) map[string]route {
	out := map[string]route{}
	for i, r := range optionRows() {
		if r.moves() && w.moved {
			continue
		}
		want := map[int]route{2: r.frrShows, 3: r.birdShows}[router]
		if want.nextHop == "" {
			want.nextHop = r.ours(router, i+1)
		}
		switch {
		case r.as() == 65100 && want.localPref == "":
			want.localPref = "100"
		case r.as() != 65100 && want.asPath == "":
			want.asPath = fmt.Sprint(r.as())
		}
		if router == 3 && want.localPref == "" {
			want.localPref = "100" // BIRD gives every path one
		}
		out[r.prefix(router, i+1)] = want
		if r.subnet == "46" {
			want.nextHop = "fd00:30::1:1" // n1's InternalIP
			out[sixOf(router, i+1)] = want
		}
	}
	rack := route{asPath: "65042", nextHop: "172.30.1.200"}
	if router == 3 {
		rack.localPref = "100"
	}
	out["10.42.0.0/16"] = rack
	return out
}

// shown is what a router has by BGP, and not from the other router.
func (w *optionsWorld) shown(router int) map[string]route {
	all := w.bird.routes()
	if router == 2 {
		all = w.frr.routes(w.t)
	}
	out := map[string]route{}
	for prefix, r := range all {
		if _, ok := w.wanted(router)[prefix]; ok {
			out[prefix] = r
		}
	}
	return out
}

// wantAll waits until both routers show all rows.
func (w *optionsWorld) wantAll(t *testing.T) {
	t.Helper()
	for _, router := range []int{2, 3} {
		wantRoutes(t, w.wanted(router), func() map[string]route { return w.shown(router) })
	}
}

// row gives the number of a row.
func row(name string) int {
	return 1 + slices.IndexFunc(optionRows(), func(r optionRow) bool { return r.name == name })
}

// TestEachOptionOfAPeerAgainstFRRAndBIRD is docs/peers.md: every option in a session of its
// own, all at once from one daemon, and what happens to them afterwards.
func TestEachOptionOfAPeerAgainstFRRAndBIRD(t *testing.T) {
	t.Parallel()
	w := newOptionsWorld(t)
	stop := w.run("n1", "s")
	w.run("n2", "n")
	w.wantAll(t)

	t.Run("the routers say the same of the sessions", func(t *testing.T) {
		for i, r := range optionRows() {
			if r.frrNeighbor != "" {
				wantMatch(t, r.name+" at FRR", r.frrNeighbor, func() string {
					return strings.Join(strings.Fields(w.frr.try("show bgp neighbors "+r.ours(2, i+1)+" json")), "")
				})
			}
			if r.birdNeighbor != "" {
				wantMatch(t, r.name+" at BIRD", r.birdNeighbor, func() string { return w.bird.ask(fmt.Sprintf("show protocols all row%d", i+1)) })
			}
		}
		wantMatch(t, "router ID of n2 at FRR", `"remoteRouterId":"10\.42\.0\.1"`, func() string {
			return strings.Join(strings.Fields(w.frr.try("show bgp neighbors 172.30.1.200 json")), "")
		})
		wantMatch(t, "router ID of n2 at BIRD", `Neighbor ID: +10\.42\.0\.1`, func() string { return w.bird.ask("show protocols all rackb") })
	})
	t.Run("an IPv6 path has one next hop, a global one", func(t *testing.T) {
		for _, p := range w.frr.paths(t, sixOf(2, row("both families over an IPv4 session"))) {
			if len(p.NextHops) != 1 || p.NextHops[0].Scope != "global" {
				t.Errorf("%+v", p.NextHops)
			}
		}
	})
	t.Run("a reflected route has n1 as next hop", func(t *testing.T) {
		i := row("route reflector")
		must.Await(t, "BIRD has FRR's", func() bool {
			return w.bird.routes()[fmt.Sprintf("10.%d.0.0/16", 100+i)].nextHop == fmt.Sprintf("172.30.1.%d", i)
		})
		must.Await(t, "FRR has BIRD's", func() bool {
			paths := w.frr.paths(t, fmt.Sprintf("10.%d.0.0/16", 150+i))
			return len(paths) == 1 && len(paths[0].NextHops) > 0 && paths[0].NextHops[0].IP == fmt.Sprintf("172.30.1.%d", i)
		})
	})
	t.Run("traffic follows an IPv6 next hop to an IPv4 Subnet", func(t *testing.T) {
		i := row("IPv4 with an IPv6 next hop")
		w.in("f", fmt.Sprintf("ip route show 10.%d.0.0/16 | grep -q inet6; ping -c1 -W5 -I 172.30.2.200 10.%[1]d.0.1", 100+i))
		w.in("b", fmt.Sprintf("ip route show 10.%d.0.0/16 | grep -q inet6; ping -c1 -W5 -I 172.30.3.200 10.%[1]d.0.1", 150+i))
	})
	t.Run("an uplink's address is replaced", func(t *testing.T) {
		i := row(movingRow)
		w.moved = true
		w.in("s", "for r in 2 3; do ip addr del 172.33.$r.1/24 dev br0; ip addr add 172.33.$r.9/24 dev br0; done")
		must.Await(t, "FRR has the new next hop", func() bool {
			return slices.ContainsFunc(w.frr.paths(t, fmt.Sprintf("10.%d.0.0/16", 100+i)), func(p frrPath) bool { return p.NextHops[0].IP == "172.33.2.9" })
		})
		must.Await(t, "BIRD has the new next hop", func() bool {
			return strings.Contains(w.bird.ask(fmt.Sprintf("show route all for 10.%d.0.0/16", 150+i)), "172.33.3.9")
		})
	})
	t.Run("a changed Secret waits for the router", func(t *testing.T) {
		i := row("MD5")
		node := fmt.Sprintf("172.30.1.%d", i)
		w.writeObjects("second")
		for _, router := range []int{2, 3} {
			wantMatch(t, "status", `"peer":"`+peerName(router, i)+`"[^}]*"state":"Established"[^}]*"oldPassword":true`, func() string {
				out, _ := exec.Command("ip", "netns", "exec", w.prefix+"s", w.fairway, "status", "-o", "json").Output() // 1 is its exit status
				return strings.Join(strings.Fields(string(out)), "")
			})
		}
		must.Run(t, "vtysh", "--vty_socket", w.frr.dir, "-d", "bgpd", "-c", "configure", "-c", "router bgp 65100", "-c", "neighbor "+node+" password second")
		must.WriteFile(t, w.bird.config, []byte(strings.Replace(birdOptions(), `password "first"`, `password "second"`, 1)))
		w.bird.ask("configure")
		w.wantAll(t)
	})
	t.Run("FRR restarts and gets everything again", func(t *testing.T) {
		must.WriteFile(t, filepath.Join(w.frr.dir, "bgpd.conf"), []byte(strings.Replace(frrOptions(), "password first", "password second", 1)))
		w.frr.restart(t)
		w.wantAll(t)
	})
	t.Run("the daemon dies: only graceful restart keeps its routes", func(t *testing.T) {
		stop()
		i := row("graceful restart")
		keeps := func(router int) bool {
			got := w.shown(router)
			_, kept := got[fmt.Sprintf("10.%d.0.0/16", router*50+i)]
			return kept && len(got) == 2 // and n2's
		}
		must.Await(t, "FRR keeps the one", func() bool { return keeps(2) })
		must.Await(t, "BIRD keeps the one", func() bool { return keeps(3) })
		w.run("n1", "s")
		w.wantAll(t)
	})
}

// wantMatch waits until a text matches.
func wantMatch(t *testing.T, what, pattern string, text func() string) {
	t.Helper()
	is := regexp.MustCompile(pattern)
	if !must.Eventually(func() bool { return is.MatchString(text()) }) {
		t.Errorf("%s: no %s in\n%s", what, pattern, text())
	}
}

// TestDocsListEachOptionThatWasTried: docs/peers.md has a line for each row, in their order.
func TestDocsListEachOptionThatWasTried(t *testing.T) {
	text := string(must.ReadFile(t, filepath.Join("..", "..", "docs", "peers.md")))
	var tried, listed []string
	for _, r := range optionRows() {
		tried = append(tried, r.name)
	}
	_, table, _ := strings.Cut(text, "\n|---|")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, m := range regexp.MustCompile(`(?m)^\| ([^|]+) \| `).FindAllStringSubmatch(table, -1) {
		listed = append(listed, m[1])
	}
	if !slices.Equal(listed, tried) {
		t.Errorf("docs/peers.md lists\n\t%q\nand tried are\n\t%q", listed, tried)
	}
}
