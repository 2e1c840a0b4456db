package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/files"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
	"github.com/fairway-bgp/fairway/web"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// diffObjects are what the daemon of these tests reads.
const diffObjects = `
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.30.0.11}]}}
---
{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: tor}, spec: {peerAddress: 172.30.0.1, peerASN: 65000, localASN: 65001, passwordSecretRef: {name: word}}}
---
{apiVersion: v1, kind: Secret, metadata: {name: word}, stringData: {password: first-word}}
---
{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: blue, annotations: {fairway.dev/advertise: "true"}}, spec: {cidrBlock: 10.1.0.0/16}}
---
{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: green, annotations: {fairway.dev/advertise: "true"}}, spec: {cidrBlock: 10.2.0.0/16}}
`

// servedDaemon is the status page of a daemon of n1 that reads a file; change may adapt what
// it says.
func servedDaemon(t *testing.T, change func(*status.Status)) (address, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "objects.yaml")
	must.WriteFile(t, file, []byte(diffObjects))
	contents, err := files.Read([]string{file}, routes.DefaultSettings)
	if err != nil {
		t.Fatal(err)
	}
	var memory policy.Memory
	s := memory.Recall(contents.Snapshot, time.Now().UTC())
	s.Live = &routes.Live{}
	plan := policy.Make(s, "n1")
	st := &status.Status{Node: "n1", At: time.Now(), Ready: true, Plan: plan, Source: status.Source{Kind: "files", From: []string{file}}}
	st.Basis = status.Basis{Settings: s.Settings, Memory: memory.Remember(s, plan)}
	if change != nil {
		change(st)
	}
	var board status.Board
	board.Post(st)
	server := httptest.NewServer(web.Handler(&board, web.NewPage(time.Now())))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), file
}

// diffOf runs plan --diff with objects laid over those of the daemon, "" for none.
func diffOf(t *testing.T, address, change string, args ...string) (text string, code int) {
	t.Helper()
	args = append([]string{"fairway", "plan", "--diff", "--address", address}, args...)
	if change != "" {
		file := filepath.Join(t.TempDir(), "change.yaml")
		must.WriteFile(t, file, []byte(change))
		args = append(args, "-f", file)
	}
	var out, problems bytes.Buffer
	code = run(args, strings.NewReader(""), &out, &problems)
	return strings.Join(strings.Fields(out.String()+problems.String()), " "), code
}

func TestDiffSaysMoreThanWhatChanges(t *testing.T) {
	const otherWord = `{apiVersion: v1, kind: Secret, metadata: {name: word}, stringData: {password: second-word}}`
	for name, c := range map[string]struct {
		daemon func(*status.Status)
		change string
		args   []string
		code   int
		want   string
	}{
		"nothing is changed":               {nil, "", nil, 0, "Node n1: nothing changes"},
		"the same objects again":           {nil, diffObjects, nil, 0, "Node n1: nothing changes"},
		"the same objects again and whole": {nil, diffObjects, []string{"--prune"}, 0, "Node n1: nothing changes"},
		"a password":                       {nil, otherWord, nil, 1, "session tor (172.30.0.1) stays: password is the key of the next TCP connection"},
		"no session is left meanwhile":     {nil, strings.Replace(diffObjects, "peerASN: 65000", "peerASN: 65100", 1), nil, 1, "until tor is up again, no router has a route from n1"},
		"an object that is wrong": {nil, `{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: tor}, spec: {peerAddress: nowhere, peerASN: 65000}}`,
			nil, 1, "spec.peerAddress"},
		"a BGPPeer is deleted":   {nil, "", []string{"--without-peer", "tor"}, 1, "- session tor (172.30.0.1) ends"},
		"one that is not there":  {nil, "", []string{"--without-peer", "tar"}, 2, "did you mean tor?"},
		"another node":           {nil, "", []string{"--node", "n2"}, 2, "the daemon here is of node n1; add --cluster"},
		"what cannot be pruned":  {nil, "", []string{"--prune"}, 2, "give -f too"},
		"two questions at once":  {nil, "", []string{"--all"}, 2, "--all does not go with --diff"},
		"a router's language":    {nil, "", []string{"-o", "frr"}, 2, "--diff is told as text or json"},
		"what only it withholds": {func(s *status.Status) { withhold(s, routes.DatapathDown) }, "", nil, 0, "withholds 10.2.0.0/16 (green) for DatapathDown, and is taken to go on"},
		"what it should not withhold": {func(s *status.Status) { withhold(s, routes.NoPeer) }, "", nil, 2,
			"node n1 does not announce 10.2.0.0/16 (green), which it would by the objects as they are"},
		"what it should not announce": {func(s *status.Status) { s.Plan.Adverts[0].Subnet = "gone" }, "", nil, 2, "node n1 announces 10.1.0.0/16 (gone), which it would not"},
		"files that cannot be read":   {func(s *status.Status) { s.Source.From = []string{"gone.yaml"} }, "", nil, 2, "the daemon's own files"},
		"standard input":              {func(s *status.Status) { s.Source.From = []string{"-"} }, "", nil, 2, "standard input"},
		"a daemon that begins":        {func(s *status.Status) { s.Source.Waiting = []string{"Subnets"} }, "", nil, 2, "does not know everything yet: Subnets"},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := servedDaemon(t, c.daemon)
			text, code := diffOf(t, address, c.change, c.args...)
			if code != c.code || !strings.Contains(text, c.want) {
				t.Errorf("exit status %d, want %d; no %q in: %s", code, c.code, c.want, text)
			}
			if strings.Contains(text, "-word") {
				t.Errorf("a password is printed: %s", text)
			}
		})
	}
}

// withhold lets the daemon not announce green, for a reason.
func withhold(s *status.Status, why routes.Reason) {
	s.Plan.Adverts = s.Plan.Adverts[:1]
	s.Plan.Withheld = []policy.Withheld{{Prefix: "10.2.0.0/16", Subnet: "green", Reason: why, Detail: "for a test"}}
}

// TestDiffAsksADaemonOfAnEarlierVersion: that one has no basis.
func TestDiffAsksADaemonOfAnEarlierVersion(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status.json" {
			http.NotFound(w, r)
			return
		}
		json.NewEncoder(w).Encode(&status.Status{Node: "n1", Source: status.Source{Kind: "files"}})
	}))
	defer server.Close()
	text, code := diffOf(t, strings.TrimPrefix(server.URL, "http://"), "")
	if code != exitUnknown || !strings.Contains(text, "another version of fairway?") {
		t.Errorf("exit status %d: %s", code, text)
	}
}

// TestSpeakerThatIsTooShortMakesFalseDifferences: what it does not list is not known.
func TestSpeakerThatIsTooShortMakesFalseDifferences(t *testing.T) {
	var sp v1alpha1.Speaker
	sp.Name = "n1"
	sp.Status.Announced = v1alpha1.AnnouncedPrefixes{Count: 2, First: []v1alpha1.AnnouncedPrefix{{Prefix: "10.1.0.0/16", Subnet: "blue", Role: "distributed"}}}
	sp.Status.Withheld = v1alpha1.WithheldPrefixes{Count: 3, Reasons: map[string]int64{"DatapathDown": 3}, First: []v1alpha1.WithheldPrefix{{Prefix: "10.3.0.0/16", Subnet: "red", Reason: "DatapathDown"}}}
	n := runningBy(&sp, nil)
	if n.whole || !n.Forgetful || len(n.announced) != 1 || len(n.Withheld) != 1 {
		t.Errorf("%+v", n)
	}
	if lines := n.outOfStep(policy.Plan{Adverts: []*policy.Advert{{Subnet: "blue", Prefix: n.announced[0].Prefix}, {Subnet: "green"}}}); len(lines) > 0 {
		t.Errorf("it does not list green, and is said not to announce it: %q", lines)
	}
}
