package routers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

// migration is a router and two nodes, each in a namespace. On the nodes GoBGP's
// own daemon plays kube-ovn-speaker, which is GoBGP inside.
type migration struct {
	prefix, objects, fairway string
	frr                      *frr
}

// migrant is a program that announces from a node.
type migrant struct{ stop func() }

const migratePrefix = "10.166.0.0/16"

// TestMigrateNodeByNode is docs/migrate.md step 3: two nodes change places one
// after the other.
func TestMigrateNodeByNode(t *testing.T) {
	m := newMigration(t)
	old := map[string]migrant{"1": m.incumbent(t, "1", false), "2": m.incumbent(t, "2", false)}
	m.wantVia(t, "1", "2")
	lost := m.watch(t)
	var fairways []migrant
	for _, n := range []string{"1", "2"} {
		old[n].stop()
		fairways = append(fairways, m.newcomer(t, n))
		m.wantVia(t, "1", "2")
		must.Await(t, "the route of node "+n+" is Fairway's", func() bool { return m.announcer(t, n) == "fairway" })
	}
	if got := lost(); got != 0 {
		t.Errorf("the router lost the route %d times", got)
	}
	// The watch is not blind: without anybody the route goes.
	lost = m.watch(t)
	for _, f := range fairways {
		f.stop()
	}
	must.Await(t, "the route is gone with its last node", func() bool { return m.kernelRoute(t) == "" })
	if got := lost(); got != 1 {
		t.Errorf("the watch saw the route go %d times, want 1", got)
	}
}

// TestMigrateByGracefulRestart is the way of a single node: the router keeps the
// route while nobody is there.
func TestMigrateByGracefulRestart(t *testing.T) {
	m := newMigration(t)
	graceful := strings.Replace(migrateObjects(t), "localASN: 65001\n", "localASN: 65001\n  gracefulRestart: {restartTime: 120s}\n", 1)
	must.WriteFile(t, m.objects, []byte(graceful))
	old := m.incumbent(t, "1", true)
	m.wantVia(t, "1")
	lost := m.watch(t)
	old.stop()
	must.Await(t, "the router keeps the route as a stale one", func() bool { return m.frr.stale(t, migratePrefix) })
	m.newcomer(t, "1")
	must.Await(t, "the route is Fairway's, and fresh", func() bool {
		return m.announcer(t, "1") == "fairway" && !m.frr.stale(t, migratePrefix)
	})
	m.wantVia(t, "1")
	if got := lost(); got != 0 {
		t.Errorf("the router lost the route %d times", got)
	}
}

// migrantAt is the address of a node.
func migrantAt(node string) string { return "172.30.0.1" + node }

func newMigration(t *testing.T) *migration {
	t.Helper()
	needs.Root(t, "ip", frrBgpd, frrZebra, "vtysh", "gobgpd", "gobgp")
	dir := t.TempDir()
	m := &migration{prefix: fmt.Sprintf("fwm%d", os.Getpid()), objects: filepath.Join(dir, "objects.yaml"), fairway: program.Build(t)}
	must.WriteFile(t, m.objects, []byte(migrateObjects(t)))
	t.Cleanup(func() {
		for _, n := range []string{"r", "1", "2"} {
			_ = exec.Command("ip", "netns", "del", m.prefix+n).Run() // there may be none yet
		}
	})
	for _, n := range []string{"r", "1", "2"} {
		must.Run(t, "ip", "netns", "add", m.prefix+n)
		must.Run(t, "ip", "-n", m.prefix+n, "link", "set", "lo", "up")
	}
	must.Run(t, "ip", "-n", m.prefix+"r", "link", "add", "nodes", "type", "bridge")
	must.Run(t, "ip", "-n", m.prefix+"r", "addr", "add", "172.30.0.1/24", "dev", "nodes")
	must.Run(t, "ip", "-n", m.prefix+"r", "link", "set", "nodes", "up")
	for _, n := range []string{"1", "2"} {
		link := "node" + n
		must.Run(t, "ip", "-n", m.prefix+"r", "link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", m.prefix+n)
		must.Run(t, "ip", "-n", m.prefix+n, "addr", "add", migrantAt(n)+"/24", "dev", "uplink")
		must.Run(t, "ip", "-n", m.prefix+"r", "link", "set", link, "master", "nodes", "up")
		must.Run(t, "ip", "-n", m.prefix+n, "link", "set", "uplink", "up")
	}
	m.startRouter(t)
	return m
}

func (m *migration) startRouter(t *testing.T) {
	t.Helper()
	config := "log stdout\nrouter bgp 65000\n bgp router-id 10.255.0.1\n no bgp ebgp-requires-policy\n bgp bestpath as-path multipath-relax\n"
	for _, n := range []string{"1", "2"} {
		config += " neighbor " + migrantAt(n) + " remote-as 65001\n neighbor " + migrantAt(n) + " timers connect 1\n"
	}
	m.frr = runFRR(t, m.prefix+"r", config, "")
}

// incumbent starts the stand-in of kube-ovn-speaker on a node. stop kills it, as
// a Pod ends whose peers are to keep its routes: without a word.
func (m *migration) incumbent(t *testing.T, node string, graceful bool) migrant {
	t.Helper()
	config := fmt.Sprintf(`
[global.config]
as = 65001
router-id = "%[1]s"
port = -1
[[neighbors]]
[neighbors.config]
neighbor-address = "172.30.0.1"
peer-as = 65000
[neighbors.timers.config]
connect-retry = 1
[neighbors.graceful-restart.config]
enabled = %[2]t
restart-time = 120
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv4-unicast"
[neighbors.afi-safis.mp-graceful-restart.config]
enabled = %[2]t
`, migrantAt(node), graceful)
	file := filepath.Join(t.TempDir(), "gobgpd.toml")
	must.WriteFile(t, file, []byte(config))
	stop := daemon(t, m.prefix+node, "gobgpd", "-f", file, "--api-hosts", "127.0.0.1:50051", "--pprof-disable")
	add := []string{"netns", "exec", m.prefix + node, "gobgp", "global", "rib", "add", migratePrefix, "community", "65001:1"}
	must.Await(t, "gobgpd on node "+node+" takes the route", func() bool { return exec.Command("ip", add...).Run() == nil })
	return migrant{stop}
}

// newcomer starts Fairway on a node, with the annotations that are there.
func (m *migration) newcomer(t *testing.T, node string) migrant {
	t.Helper()
	return migrant{daemon(t, m.prefix+node, m.fairway, "run", "-f", m.objects, "--node", "n"+node, "--adopt-kube-ovn-annotations",
		"--datapath-gate=false", "--grpc-socket=", "--run-dir="+t.TempDir())}
}

// migrateObjects are those of docs/recipes/from-kube-ovn-speaker, with a community that
// tells Fairway's routes.
func migrateObjects(t *testing.T) string {
	t.Helper()
	return recipeFiles(t, "from-kube-ovn-speaker", "peers.yaml") + "  attributes: {communities: [\"65001:2\"]}\n---\n" +
		recipeFiles(t, "from-kube-ovn-speaker", "cluster/subnet.yaml", "cluster/nodes.yaml")
}

// kernelRoute is the router's route, "" without one.
func (m *migration) kernelRoute(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(must.Run(t, "ip", "-n", m.prefix+"r", "route", "show", migratePrefix))
}

// wantVia waits until the router's kernel forwards by way of exactly these nodes.
func (m *migration) wantVia(t *testing.T, nodes ...string) {
	t.Helper()
	must.Await(t, fmt.Sprintf("the router's route leads by way of nodes %v", nodes), func() bool {
		route := m.kernelRoute(t)
		for _, n := range nodes {
			if !strings.Contains(route, "via "+migrantAt(n)+" ") {
				return false
			}
		}
		return strings.Count(route, "via ") == len(nodes)
	})
}

// announcer says whose the route of a node is, by its community.
func (m *migration) announcer(t *testing.T, node string) string {
	t.Helper()
	for _, p := range m.frr.paths(t, migratePrefix) {
		if len(p.NextHops) == 1 && p.NextHops[0].IP == migrantAt(node) {
			return map[string]string{"65001:1": "incumbent", "65001:2": "fairway"}[p.Community.String]
		}
	}
	return ""
}

// watch writes down every change of the router's routes, as the kernel tells them.
// lost ends it and counts how often the prefix was deleted.
func (m *migration) watch(t *testing.T) (lost func() int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "routes")
	log, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("ip", "-n", m.prefix+"r", "monitor", "route")
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait(); log.Close() })
	// It listens once it tells of a change that is made for it.
	const sign = "203.0.113.0/24"
	must.Await(t, "the watch begins", func() bool {
		_ = exec.Command("ip", "-n", m.prefix+"r", "route", "replace", "blackhole", sign).Run()
		_ = exec.Command("ip", "-n", m.prefix+"r", "route", "del", "blackhole", sign).Run()
		return strings.Contains(string(must.ReadFile(t, file)), sign)
	})
	return func() int {
		t.Helper()
		const end = "203.0.114.0/24"
		must.Run(t, "ip", "-n", m.prefix+"r", "route", "replace", "blackhole", end)
		must.Await(t, "the watch has seen everything", func() bool { return strings.Contains(string(must.ReadFile(t, file)), end) })
		must.Run(t, "ip", "-n", m.prefix+"r", "route", "del", "blackhole", end)
		return strings.Count(string(must.ReadFile(t, file)), "Deleted "+migratePrefix)
	}
}
