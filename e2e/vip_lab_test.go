package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/lab"
	"github.com/fairway-bgp/fairway/status"
)

// The recipe whose files the nodes get as they stand there, and the folder that they
// have them in.
const (
	vipRecipe       = "../docs/recipes/vip-keepalived"
	vipRecipeFolder = "/etc/keepalived/"
)

// The addresses are the recipe's; they suit the lab. The Pod runs on n2, which
// has no part in the VIP: a Pod on a node that dies would be lost whoever has it.
const (
	vip4, vip6       = "172.30.0.100", "fd00:30::100"
	vipWeb4, vipWeb6 = "10.166.0.10", "fd00:10:166::10"
)

func vipNodes() []string { return []string{"n1", "n3"} }

// vipLab is a lab in which two nodes share an address by keepalived.
type vipLab struct {
	*lab.Lab
	router *cluster
	// script is what keepalived asks whether a node carries the Subnet, and notify
	// gives the program that it tells of a node's part, or "".
	script     string
	notify     func(node string) string
	keepalived map[string]*exec.Cmd
}

// startVIPLab starts a lab with a second session of each node, over IPv6.
// keepalived does not run yet.
func startVIPLab(t *testing.T, router lab.Router) *vipLab {
	t.Helper()
	needs.Root(t, "ip", "keepalived", "curl", "jq")
	binary := program.Build(t)
	// The usual state folder: FRR's daemons are not root and must reach theirs.
	l, err := lab.Start(t.Context(), lab.Options{Prefix: fmt.Sprintf("fwv%d-", os.Getpid()), Binary: binary, Router: router})
	if err != nil {
		t.Fatal(err)
	}
	v := &vipLab{Lab: l, router: &cluster{binary: binary, prefix: l.Prefix, state: l.State}, keepalived: map[string]*exec.Cmd{}}
	t.Cleanup(func() {
		if t.Failed() {
			v.showLogs(t)
		}
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	v.script, v.notify = v.recipe(t, "fairway-carries"), func(string) string { return "" }
	v.addPeer6(t)
	if err := l.WaitUntilReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return v
}

// share starts keepalived on two nodes and makes its address the Subnet's next
// hop: in this order, for a route to nobody leads nowhere.
func (v *vipLab) share(t *testing.T) {
	t.Helper()
	v.program(t, "fairway-carries", v.script)
	for _, n := range vipNodes() {
		v.startKeepalived(t, n)
	}
	v.holder(t)
	const at = "    fairway.dev/advertise: \"true\"\n"
	v.edit(t, "subnet-routed.yaml", at, at+"    fairway.dev/next-hop: "+vip4+","+vip6+"\n")
	v.router.eventually(t, routed, vip4)
	v.router.eventually(t, routed6, vip6)
}

// addStaticRoutes tells the host beside the nodes what `plan -o iproute` prints.
func (v *vipLab) addStaticRoutes(t *testing.T) {
	t.Helper()
	plan := v.Command(t.Context(), "", v.Binary, "plan", "-f", v.ClusterDir(), "-o", "iproute")
	commands, err := plan.Output()
	if code := plan.ProcessState.ExitCode(); code != 0 && code != 1 { // 1: something is withheld
		t.Fatalf("%v: %s", err, commands)
	}
	apply := v.Command(t.Context(), "host", "sh", "-e")
	apply.Stdin = bytes.NewReader(commands)
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, commands)
	}
}

func (v *vipLab) showLogs(t *testing.T) {
	logs, _ := filepath.Glob(filepath.Join(v.State, "log", "*.log")) // a fixed pattern
	for _, file := range logs {
		text, err := os.ReadFile(file)
		t.Logf("%s: %v\n%s", filepath.Base(file), err, text)
	}
}

// addPeer6 gives each node a session over IPv6 too.
func (v *vipLab) addPeer6(t *testing.T) {
	t.Helper()
	text, err := v.ReadYAML("bgppeer-tor.yaml")
	if err != nil {
		t.Fatal(err)
	}
	v.write(t, "bgppeer-tor6.yaml", strings.NewReplacer("name: tor", "name: tor6", "172.30.0.1", "fd00:30::1").Replace(text))
}

func (v *vipLab) write(t *testing.T, file, text string) {
	t.Helper()
	if err := v.WriteYAML(file, text); err != nil {
		t.Fatal(err)
	}
}

// edit replaces text in a file of the cluster's folder, which must be there once.
func (v *vipLab) edit(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := v.ReadYAML(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(text, from) != 1 {
		t.Fatalf("%s has not once %q:\n%s", file, from, text)
	}
	v.write(t, file, strings.Replace(text, from, to, 1))
}

// recipe gives a file of the recipe, with the lab's folder in the place of the node's.
func (v *vipLab) recipe(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vipRecipe, file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), vipRecipeFolder, v.State+"/")
}

// program writes a program into the state folder, which nobody but root can write
// to, as keepalived wants it, and gives its path.
func (v *vipLab) program(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(v.State, name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// keepalivedFile is one of a node's files: its configuration, pid or log.
func (v *vipLab) keepalivedFile(node, kind string) string {
	return filepath.Join(v.State, "log", "keepalived-"+node+"."+kind)
}

// startKeepalived starts it for as long as the lab is there.
func (v *vipLab) startKeepalived(t *testing.T, node string) {
	t.Helper()
	conf := v.recipe(t, "keepalived.conf")
	if program := v.notify(node); program != "" {
		const at = "    virtual_ipaddress {"
		conf = strings.Replace(conf, at, "    notify \""+program+"\"\n"+at, 1)
	}
	if err := os.WriteFile(v.keepalivedFile(node, "conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(v.keepalivedFile(node, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the child has its own
	cmd := v.Command(context.WithoutCancel(t.Context()), node, "keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp", "--use-file", v.keepalivedFile(node, "conf"),
		"--pid", v.keepalivedFile(node, "parent"), "--vrrp_pid", v.keepalivedFile(node, "child"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.keepalived[node] = cmd
	until(t, "keepalived runs on "+node, func() (string, bool) {
		_, err := os.ReadFile(v.keepalivedFile(node, "child"))
		return fmt.Sprint(err), err == nil
	})
}

// killKeepalived kills both its processes in one moment: alone, the parent would
// start the child anew, and the child would end in good order.
func (v *vipLab) killKeepalived(t *testing.T, node string) {
	t.Helper()
	text, err := os.ReadFile(v.keepalivedFile(node, "child"))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	parent := v.keepalived[node]
	signal(t, child, syscall.SIGSTOP)
	signal(t, parent.Process.Pid, syscall.SIGKILL)
	signal(t, child, syscall.SIGKILL)
	_ = parent.Wait() // killed
	v.forgetKeepalived(t, node)
}

// stopKeepalived ends it in good order.
func (v *vipLab) stopKeepalived(t *testing.T, node string) {
	t.Helper()
	signal(t, v.keepalived[node].Process.Pid, syscall.SIGTERM)
	if err := v.keepalived[node].Wait(); err != nil {
		t.Fatal(err)
	}
	v.forgetKeepalived(t, node)
}

// forgetKeepalived removes what would tell that it runs.
func (v *vipLab) forgetKeepalived(t *testing.T, node string) {
	t.Helper()
	for _, kind := range []string{"parent", "child"} {
		if err := os.Remove(v.keepalivedFile(node, kind)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// holders are the nodes that have an address.
func (v *vipLab) holders(t *testing.T, address string) []string {
	return slices.DeleteFunc(vipNodes(), func(node string) bool {
		out, _ := v.Command(t.Context(), node, "ip", "-o", "address", "show", "to", address).Output() // no answer: not there
		return len(out) == 0
	})
}

// holder waits until one node has the addresses of both families, and gives it.
func (v *vipLab) holder(t *testing.T) string {
	t.Helper()
	var with4 []string
	until(t, "one node has the VIP", func() (string, bool) {
		with4 = v.holders(t, vip4)
		with6 := v.holders(t, vip6)
		return fmt.Sprint(with4, with6), len(with4) == 1 && slices.Equal(with4, with6)
	})
	return with4[0]
}

// carrier is the node that a station sends to where the VIP is the next hop.
func (v *vipLab) carrier(t *testing.T, station, address string) string {
	neighbour, _ := v.Command(t.Context(), station, "ip", "neighbor", "show", address).Output()
	for _, node := range vipNodes() {
		mac, _ := v.Command(t.Context(), node, "cat", "/sys/class/net/eth0/address").Output()
		if m := strings.TrimSpace(string(mac)); m != "" && strings.Contains(string(neighbour), " lladdr "+m+" ") {
			return node
		}
	}
	return "nobody: " + string(neighbour)
}

// carriedBy waits until router and host send to a node.
func (v *vipLab) carriedBy(t *testing.T, node string) {
	t.Helper()
	for _, station := range []string{"tor", "host"} {
		for _, address := range []string{vip4, vip6} {
			until(t, station+" sends to "+node, func() (string, bool) { c := v.carrier(t, station, address); return c, c == node })
		}
	}
}

// other is the second of the nodes that share the VIP.
func other(node string) string {
	nodes := vipNodes()
	return nodes[1-slices.Index(nodes, node)]
}

// cost sends pings from outside and from the host, of both families, while do
// does something; it gives the worst of the four losses and whether the router
// lost a route meanwhile.
func (v *vipLab) cost(t *testing.T, what string, do func()) (worst lab.Loss, routeLost bool) {
	t.Helper()
	var streams []*lab.Stream
	for _, station := range []string{"ext", "host"} {
		for _, pod := range []string{vipWeb4, vipWeb6} {
			s, err := v.StartStream(station, netip.MustParseAddr(pod), 2*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
	}
	answers := func() {
		for _, s := range streams {
			if err := s.WaitForAnswer(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	losses := v.router.routerLosses(t)
	answers()
	do()
	answers()
	for _, s := range streams {
		if loss := s.Stop(); loss.Lost > worst.Lost || worst.Sent == 0 {
			worst = loss
		}
	}
	for _, line := range losses() {
		routeLost = routeLost || strings.Contains(line, routed) || strings.Contains(line, routed6)
	}
	t.Logf("%s: %v; the router lost the route: %t", what, worst, routeLost)
	return worst, routeLost
}

// status is what a node's daemon publishes.
func (v *vipLab) status(t *testing.T, node string) status.Status {
	out, _ := v.Command(t.Context(), node, v.Binary, "status", "-o", "json").Output() // not yet up: no JSON
	var s status.Status
	_ = json.Unmarshal(out, &s)
	return s
}

// announces waits until a node's daemon announces so many prefixes.
func (v *vipLab) announces(t *testing.T, node string, prefixes int) {
	t.Helper()
	until(t, fmt.Sprintf("%s announces %d prefixes", node, prefixes), func() (string, bool) {
		n := len(v.status(t, node).Plan.Adverts)
		return fmt.Sprint(n), n == prefixes
	})
}

// expectOwnAddresses waits until both sessions of a node are up, and wants them to
// come from the node's own addresses.
func (v *vipLab) expectOwnAddresses(t *testing.T, node string) {
	t.Helper()
	own := []string{lab.NodeAddresses(false, node)[0].String(), lab.NodeAddresses(true, node)[0].String()}
	until(t, "the sessions of "+node+" come from "+strings.Join(own, " and "), func() (string, bool) {
		s := v.status(t, node)
		var from []string
		for _, session := range s.Sessions {
			if session.Established() {
				from = append(from, session.LocalAddress)
			}
		}
		return fmt.Sprint(from, s.Speaker.RouterID), slices.Equal(from, own) && s.Speaker.RouterID.String() == own[0]
	})
}
