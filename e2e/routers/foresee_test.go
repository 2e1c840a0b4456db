package routers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/policy"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

// foretold is a BGPPeer before and after a change. Each has an address of the router's and
// one of the node's for itself, so that all change at once and none hides another.
type foretold struct {
	name string
	// before and after are its spec besides the addresses and AS numbers, which may stand
	// there too and go before; "" is no such object.
	before, after string
}

// none is a BGPPeer that is not there.
const none = "none"

// foretoldPeers has a case for each field of a session, each alone, and those of a
// BGPPeer that comes, goes, or stays as it is.
func foretoldPeers() []foretold {
	return []foretold{
		{"peer-asn", "", "peerASN: 65101"},
		{"local-asn", "", "localASN: 65002"},
		{"password", "", "passwordSecretRef: {name: word}"},
		{"port", "", "port: 1790"},
		{"source", "", "sourceAddress: 172.31.1.99"},
		{"multihop", "", "ebgpMultihop: true"},
		{"gtsm", "", "ttlSecurity: true"},
		{"passive", "", "passive: true"},
		{"families", "", "families: [ipv4-unicast]"},
		{"restart", "", "gracefulRestart: {restartTime: 60s}"},
		{"address", "", "peerAddress: 172.31.1.199"},
		{"hold-time", "holdTime: 60s", "holdTime: 30s"},
		{"keepalive", "holdTime: 60s", "holdTime: 60s, keepaliveTime: 10s"},
		{"retry", "", "connectRetryTime: 7s"},
		{"extended", "", "extendedNextHop: true"},
		{"attributes", "attributes: {med: 40}", "attributes: {med: 50, asPathPrepend: 1, communities: ['65001:7']}"},
		{"pod-prefixes", "", "maxPodPrefixes: 200"},
		{"same", "", ""},
		{"gone", "", none},
		{"elsewhere", "", "nodeSelector: {matchLabels: {rack: other}}"},
		{"new", none, ""},
	}
}

// TestForetoldIsNotWhatTheRouterSees asks plan --diff what a change of every field does,
// makes it, and looks at the router which sessions were reset and which stayed.
func TestForetoldIsNotWhatTheRouterSees(t *testing.T) {
	t.Parallel()
	w := newForesight(t)
	w.write(func(p foretold) string { return p.before }, "")
	w.start()
	w.each("comes up", func(i int, s seen) bool { return s.up == 1 || w.peers[i].before == none })
	w.await("the first MED is there", func() bool { return w.med("attributes") == "40" })
	if diff, code := w.diff(); code != 0 || !diff.Empty() {
		t.Fatalf("nothing was changed, and exit status %d foretells %+v", code, diff)
	}

	changed := w.file
	w.file = filepath.Join(t.TempDir(), "changed.yaml")
	w.write(func(p foretold) string { return p.after }, `, fairway.dev/communities: "65001:1"`)
	prospect, code := w.diff("-f", w.file, "--prune")
	if code != 1 || len(prospect.Nodes) != 1 || len(prospect.Unknown) > 0 {
		t.Fatalf("exit status %d, %+v", code, prospect)
	}
	text := must.ReadFile(t, w.file)
	w.file = changed
	must.WriteFile(t, w.file, text)

	w.wantAsForetold(prospect.Nodes[0])
	w.await("the daemon is in step", func() bool { diff, code := w.diff(); return code == 0 && diff.Empty() })
}

// foresight is a node with Fairway, and FRR with an address for each BGPPeer.
type foresight struct {
	*testing.T
	prefix, file string
	frr          *frr
	peers        []foretold
	program      string
}

func newForesight(t *testing.T) *foresight {
	t.Helper()
	needs.Root(t, "ip", frrBgpd, frrZebra, "vtysh")
	w := &foresight{T: t, prefix: fmt.Sprintf("fwd%d", os.Getpid()), file: filepath.Join(t.TempDir(), "objects.yaml"), peers: foretoldPeers()}
	w.program = program.Build(t)
	link(t, w.prefix, "172.31.1.1/24", "172.31.1.2/24")
	config := "log stdout\nrouter bgp 65100\n bgp router-id 10.255.0.1\n no bgp ebgp-requires-policy\n"
	for i := range w.peers {
		must.Run(t, "ip", "-n", w.prefix+"r", "addr", "add", w.router(i)+"/24", "dev", "node")
		must.Run(t, "ip", "-n", w.prefix+"n", "addr", "add", w.node(i)+"/24", "dev", "uplink")
		config += fmt.Sprintf(" neighbor %[1]s remote-as 65001\n neighbor %[1]s passive\n", w.node(i))
	}
	w.frr = runFRR(t, w.prefix+"r", config, "")
	return w
}

// router and node are the two ends of a BGPPeer's session.
func (w *foresight) router(i int) string { return fmt.Sprintf("172.31.1.%d", 101+i) }
func (w *foresight) node(i int) string   { return fmt.Sprintf("172.31.1.%d", 11+i) }

// write makes the objects, with the specs that spec gives, and the Subnet's annotations
// besides the first.
func (w *foresight) write(spec func(foretold) string, annotations string) {
	w.Helper()
	text := `{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.31.1.2}]}}
---
{apiVersion: v1, kind: Secret, metadata: {name: word}, stringData: {password: word}}
---
{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: blue, annotations: {fairway.dev/advertise: "true"` + annotations + `}}, spec: {cidrBlock: 10.166.0.0/16}}
`
	for i, p := range w.peers {
		own := spec(p)
		if own == none {
			continue
		}
		fields := []string{"peerAddress: " + w.router(i), "sourceAddress: " + w.node(i), "peerASN: 65100", "localASN: 65001", "connectRetryTime: 1s"}
		fields = slices.DeleteFunc(fields, func(f string) bool {
			name, _, _ := strings.Cut(f, ":")
			return strings.Contains(own, name+":")
		})
		text += fmt.Sprintf("---\n{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: %s}, spec: {%s}}\n", p.name, strings.Trim(strings.Join(append(fields, own), ", "), ", "))
	}
	must.WriteFile(w, w.file, []byte(text))
}

func (w *foresight) start() {
	w.Helper()
	daemon(w.T, w.prefix+"n", w.program, "run", "-f", w.file, "--node", "n1", "--datapath-gate=false", "--host=off",
		"--grpc-socket=", "--grpc-address=", "--bgp-port=17900", "--run-dir="+w.TempDir())
	w.await("the daemon answers", func() bool { _, code := w.diff(); return code != 2 })
}

// diff asks plan --diff.
func (w *foresight) diff(args ...string) (p policy.Prospect, code int) {
	w.Helper()
	c := exec.Command("ip", append([]string{"netns", "exec", w.prefix + "n", w.program, "plan", "--diff", "-o", "json", "--address", "127.0.0.1:7473"}, args...)...)
	out, err := c.Output()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		w.Fatal(err)
	}
	code = c.ProcessState.ExitCode()
	if code != 2 {
		if err := json.Unmarshal(out, &p); err != nil {
			w.Fatalf("%v: %s", err, out)
		}
	}
	return p, code
}

func (w *foresight) await(what string, yes func() bool) { w.Helper(); must.Await(w, what, yes) }

// seen is what FRR counts of a session.
type seen struct{ up, dropped int }

func (w *foresight) seen() []seen {
	w.Helper()
	all := map[string]struct{ ConnectionsEstablished, ConnectionsDropped int }{}
	w.frr.show(w.T, "show bgp neighbors json", &all)
	var out []seen
	for i := range w.peers {
		n := all[w.node(i)]
		out = append(out, seen{n.ConnectionsEstablished, n.ConnectionsDropped})
	}
	return out
}

// each waits until something is so of each BGPPeer's session.
func (w *foresight) each(what string, yes func(i int, s seen) bool) {
	w.Helper()
	var not []string
	so := func() bool {
		not = nil
		for i, s := range w.seen() {
			if !yes(i, s) {
				not = append(not, w.peers[i].name)
			}
		}
		return len(not) == 0
	}
	if !must.Eventually(so) {
		w.Fatalf("of %s it is not so that it %s", strings.Join(not, ", "), what)
	}
}

// med is what FRR has as that of a BGPPeer.
func (w *foresight) med(name string) string {
	w.Helper()
	i := slices.IndexFunc(w.peers, func(p foretold) bool { return p.name == name })
	for _, p := range w.frr.paths(w.T, "10.166.0.0/16") {
		if p.Metric != nil && len(p.NextHops) == 1 && p.NextHops[0].IP == w.node(i) {
			return fmt.Sprint(*p.Metric)
		}
	}
	return ""
}

// wantAsForetold waits for what is said to happen, and only then looks at what is said to
// stay.
func (w *foresight) wantAsForetold(d policy.Difference) {
	w.Helper()
	fates := map[string]policy.Fate{}
	for _, s := range d.Sessions {
		fates[s.Peer] = s.Fate
	}
	w.each("is reset, ends or begins as foretold", func(i int, s seen) bool {
		switch fates[w.peers[i].name] {
		case policy.Reset, policy.Removed:
			return s.dropped == 1
		case policy.Added:
			return s.up == 1
		}
		return true
	})
	w.await("the attributes change in place", func() bool { return w.med("attributes") == "50" })
	for i, s := range w.seen() {
		name := w.peers[i].name
		if fate := fates[name]; fate != policy.Reset && fate != policy.Removed && s != (seen{up: 1}) {
			w.Errorf("%s: foretold is %q, and the router has seen %+v", name, fate, s)
		}
	}
	for _, name := range []string{"hold-time", "keepalive", "retry", "extended", "attributes", "same", "new"} {
		if fates[name] == policy.Reset {
			w.Errorf("%s would reset the session", name)
		}
	}
}
