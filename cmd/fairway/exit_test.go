package main

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/status"
	"github.com/fairway-bgp/fairway/web"
)

const exitInput = `apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 192.0.2.11}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: fairway.dev/v1alpha1
kind: BGPPeer
metadata: {name: tor}
spec: {peerAddress: 192.0.2.1, peerASN: 65101, localASN: 65000}
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: routed, annotations: {fairway.dev/advertise: "true"}}
spec: {cidrBlock: 10.166.0.0/16, gatewayType: distributed, vpc: ovn-cluster, provider: ovn, natOutgoing: false}
status: {conditions: [{type: Validated, status: "True"}, {type: Ready, status: "True"}]}
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: nat, annotations: {fairway.dev/advertise: "true"}}
spec: {cidrBlock: 10.167.0.0/16, gatewayType: distributed, vpc: ovn-cluster, provider: ovn, natOutgoing: true}
status: {conditions: [{type: Validated, status: "True"}, {type: Ready, status: "True"}]}
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: quiet}
spec: {cidrBlock: 10.168.0.0/16, gatewayType: distributed, vpc: ovn-cluster, provider: ovn, natOutgoing: false}
`

// daemonThatSays serves a picture as the daemon does, and gives its address.
func daemonThatSays(t *testing.T, change func(*status.Status)) string {
	s := &status.Status{Node: "n1", Ready: true, Waiting: []string{}}
	s.Speaker.InSync = true
	s.Sessions = []status.Session{{Peer: "tor", Address: "192.0.2.1", State: "Established"}}
	change(s)
	board := &status.Board{}
	board.Post(s)
	server := httptest.NewServer(web.Handler(board, web.NewPage(time.Now())))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestExitCodes(t *testing.T) {
	folder := t.TempDir()
	good, bad := filepath.Join(folder, "good.yaml"), filepath.Join(folder, "bad.yaml")
	refused, unread := filepath.Join(folder, "refused.yaml"), filepath.Join(folder, "unread.yaml")
	for path, text := range map[string]string{
		good: exitInput, bad: strings.Replace(exitInput, "65101", "0", 1),
		refused: strings.Replace(exitInput, `advertise: "true"`, "advertise: true", 1), unread: strings.Replace(exitInput, "natOutgoing: false", "natOutGoing: false", 1),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	router := exported(t, good)
	for name, text := range map[string]string{"fits": router, "filters": strings.Replace(router, "10.166.0.0/16", "10.160.0.0/16", 1), "other": strings.ReplaceAll(router, "FAIRWAY-TOR", "FAIRWAY-CORE")} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(file string) string { return "plan -o frr -f " + good + " --check " + filepath.Join(folder, file) }
	says := func(change func(*status.Status)) string { return "status --address " + daemonThatSays(t, change) }
	for name, c := range map[string]struct {
		line string
		want int
		text string
	}{
		"all is well":                      {says(func(*status.Status) {}), exitGood, ""},
		"a session is down":                {says(func(s *status.Status) { s.Sessions[0].State = "Active" }), exitWrong, ""},
		"a family is not offered":          {says(func(s *status.Status) { s.Sessions[0].NotOffered = []string{"ipv6-unicast"} }), exitWrong, ""},
		"a BGPPeer is broken":              {says(func(s *status.Status) { s.Source.Problems = []status.Problem{status.Problemf("BGPPeer tor")} }), exitWrong, ""},
		"the host is wrong":                {says(func(s *status.Status) { s.Findings = []host.Finding{{Check: "forwarding", State: host.Wrong}} }), exitWrong, ""},
		"a Node that does not exist":       {says(func(s *status.Status) { s.Ready, s.Waiting = false, []string{"there is no Node n9"} }), exitWrong, ""},
		"no daemon runs":                   {"status --address 127.0.0.1:1", exitUnknown, "no daemon answers"},
		"nobody answers a probe":           {"probe ready --run-dir " + folder, exitWrong, "no daemon answers"},
		"a probe of what there is not":     {"probe well", exitUsage, ""},
		"a Subnet is announced":            {"why routed -f " + good, exitGood, ""},
		"a Subnet is withheld":             {"why nat -f " + good, exitWrong, ""},
		"nobody asked for the Subnet":      {"why quiet -f " + good, exitWrong, "kubectl annotate subnet quiet"},
		"no such Subnet":                   {"why nowhere -f " + good, exitUnknown, "no Subnet nowhere"},
		"every object is understood":       {"plan -f " + good, exitGood, ""},
		"an object is wrong":               {"plan -f " + bad, exitWrong, "spec.peerASN"},
		"Kubernetes would refuse it":       {"plan -f " + refused, exitWrong, "and Kubernetes would refuse it"},
		"refused, and JSON":                {"plan -o json -f " + refused, exitWrong, "and Kubernetes would refuse it"},
		"refused, and a router's file":     {"plan -o frr -f " + refused, exitWrong, "and Kubernetes would refuse it"},
		"refused, and what if":             {"plan --without-peer tor -o json -f " + refused, exitWrong, "and Kubernetes would refuse it"},
		"a field that is not read":         {"plan -f " + unread, exitWrong, "the field is called natOutgoing"},
		"why, with an object that is not":  {"why routed -f " + bad, exitWrong, "spec.peerASN"},
		"why, of what is refused":          {"why routed -f " + refused, exitWrong, "and Kubernetes would refuse it"},
		"check, of what is refused":        {"check --node n1 -f " + refused, exitWrong, "and Kubernetes would refuse it"},
		"a host that nobody looks at":      {"check --address 127.0.0.1:1", exitUnknown, "no daemon answers"},
		"to watch what can be read once":   {"plan -w -f -", exitUsage, "standard input can be read only once"},
		"to watch a router's file":         {"plan -w -o frr -f " + good, exitUsage, "--watch shows text or json"},
		"to watch a change of the host":    {"check -w --fix", exitUsage, "[watch fix]"},
		"files, and a cluster":             {"check --cluster -f " + good, exitUsage, "[filename cluster]"},
		"no cluster":                       {"check --cluster --kubeconfig " + folder + "/nowhere", exitUnknown, "nowhere"},
		"the version":                      {"version", exitGood, ""},
		"help":                             {"", exitGood, ""},
		"nothing to drain":                 {"drain", exitUsage, ""},
		"no lab to run in":                 {"lab exec --prefix nolab- n1 true", exitUnknown, ""},
		"the last announcer goes":          {"plan --without n1 -f " + good, exitWrong, ""},
		"the input is not there":           {"plan -f " + folder + "/nowhere.yaml", exitUnknown, "nowhere.yaml"},
		"the daemon's folder is not there": {"run --node n1 -f " + folder + "/nowhere", exitUnknown, "there is no such file or folder; make it, or correct -f"},
		"the router's file fits":           {check("fits"), exitGood, ""},
		"the router's file filters":        {check("filters"), exitWrong, ""},
		"another router's file":            {check("other"), exitUnknown, "another router's"},
		"the router's file is not there":   {check("nowhere"), exitUnknown, "no such file"},
		"a language that has no check":     {"plan -o iproute -f " + good + " --check " + filepath.Join(folder, "fits"), exitUnknown, "static routes are not checked"},
		"a flag that there is not":         {"plan --frobnicate", exitUsage, "frobnicate"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, problems bytes.Buffer
			got := run(append([]string{"fairway"}, strings.Fields(c.line)...), strings.NewReader(""), &out, &problems)
			if got != c.want || !strings.Contains(problems.String(), c.text) {
				t.Errorf("exit code %d, want %d and %q\n%s%s", got, c.want, c.text, out.String(), problems.String())
			}
		})
	}
}

// exported prints the router's side of a plan.
func exported(t *testing.T, file string) string {
	t.Helper()
	var out, problems bytes.Buffer
	if code := run([]string{"fairway", "plan", "-o", "frr", "-f", file}, strings.NewReader(""), &out, &problems); code != exitGood {
		t.Fatal(problems.String())
	}
	return out.String()
}

// Every command that the table names is one.
func TestExitCodesAreOfCommands(t *testing.T) {
	root := newRootCommand("fairway")
	for _, e := range exitCodes() {
		for _, line := range strings.Split(e.command, ", ") {
			if c, _, err := root.Find(strings.Fields(line)[:1]); err != nil || !slices.Contains(root.Commands(), c) {
				t.Errorf("%q is no command", line)
			}
		}
	}
}
