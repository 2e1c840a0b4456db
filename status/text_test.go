package status_test

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// longName is how nodes are called at a cloud.
const longName = "ip-10-0-123-45.eu-central-1.compute.internal"

func TestTextGolden(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	settings := policy.SessionSettings{Address: netip.MustParseAddr("172.30.0.1"), Port: 179, PeerASN: 65000}
	plan := policy.Plan{
		Node:     "n1",
		Adverts:  []*policy.Advert{{Prefix: netip.MustParsePrefix("10.166.0.0/16"), Subnet: "routed", Role: routes.RoleDistributed, Peers: []string{"tor-a"}}},
		Withheld: []policy.Withheld{{Prefix: "10.167.0.0/16", Subnet: "nat", Reason: routes.NATOutgoing, Detail: "spec.natOutgoing is true"}},
		Sessions: []policy.Session{{Peer: "tor-a", LocalASN: 65001, SessionSettings: settings}},
	}
	leaving := plan
	advert := *plan.Adverts[0]
	advert.Draining = true
	leaving.Adverts = []*policy.Advert{&advert}
	for name, s := range map[string]*status.Status{
		"starting": {Version: "v1", Node: "n1", Started: now, Waiting: []string{"the files have not been read yet"},
			Source: status.Source{Kind: "files", From: []string{"/etc/fairway"}, Waiting: []string{"the files have not been read yet"}}, Plan: policy.Plan{Node: "n1"}},
		"starting-without-api-server": {Version: "v1", Node: "n1", Started: now.Add(-time.Minute), Waiting: []string{"subnets cannot be read: the API server does not answer"},
			Source: status.Source{Kind: "api", From: []string{"https://192.0.2.1:6443"}, StaleSince: now.Add(-50 * time.Second),
				Waiting: []string{"subnets cannot be read: the API server does not answer"}}, Plan: policy.Plan{Node: "n1"}},
		"well": {Version: "v1", Node: "n1", Started: now.Add(-26 * time.Hour), Ready: true, Plan: plan,
			Source:   status.Source{Kind: "files", From: []string{"/etc/fairway"}, Subnets: 2, Nodes: 1, Peers: 1},
			Speaker:  status.Speaker{ASN: 65001, RouterID: netip.MustParseAddr("172.30.0.11"), Originated: 1, InSync: true},
			Sessions: []status.Session{{Peer: "tor-a", Address: "172.30.0.1", State: "Established", Since: now.Add(-90 * time.Minute), Advertised: 1}}},
		"unwell": {Version: "v1", Node: "n1", Started: now.Add(-72 * time.Hour), Waiting: []string{"the speaker does not have everything that the plan wants"}, Plan: plan,
			Source: status.Source{Kind: "files", From: []string{"/etc/fairway"}, Subnets: 2, Nodes: 1, Peers: 1, StaleSince: now.Add(-5 * time.Minute),
				Ignored:  []string{"Deployment (apps/v1): 2", "Subnets (kubeovn.io/v1): 1"},
				Problems: []status.Problem{status.Problemf("/etc/fairway/peers.yaml document 2: BGPPeer tor-b: spec.peerASN: 0: an AS number is 1 to 4294967294; its last good version stays in force")}},
			Speaker:  status.Speaker{ASN: 65001, RouterID: netip.MustParseAddr("172.30.0.11"), Originated: 1, Errors: []string{"session tor-a: listen on port 179: address already in use"}},
			Sessions: []status.Session{{Peer: "tor-a", Address: "172.30.0.1", State: "Active", LastError: "the peer said: Cease, administrative shutdown (maintenance until noon)"}}},
		"draining": {Version: "v1", Node: "n1", Started: now.Add(-26 * time.Hour), Ready: true, Plan: leaving,
			Draining: true, DrainCause: `Node n1 has annotation fairway.dev/drain: "true"`, DrainUntil: now.Add(24 * time.Second),
			Source:   status.Source{Kind: "files", From: []string{"/etc/fairway"}, Subnets: 2, Nodes: 1, Peers: 1},
			Speaker:  status.Speaker{ASN: 65001, RouterID: netip.MustParseAddr("172.30.0.11"), Originated: 1, InSync: true},
			Sessions: []status.Session{{Peer: "tor-a", Address: "172.30.0.1", State: "Established", Since: now.Add(-90 * time.Minute), Advertised: 1}}},
		"long-names": {Version: "v1", Node: longName, Started: now.Add(-26 * time.Hour), Ready: true, Plan: policy.Plan{Node: longName},
			Source:  status.Source{Kind: "files", From: []string{"/etc/fairway"}, Nodes: 1, Peers: 3},
			Speaker: status.Speaker{ASN: 65001, RouterID: netip.MustParseAddr("172.30.0.11"), InSync: true},
			Sessions: []status.Session{
				{Peer: "tor-a", Address: "172.30.0.1", State: "Established", Since: now.Add(-90 * time.Minute), Received: 37},
				{Peer: "router-" + longName, Address: "172.30.0.2", State: "Established", Since: now.Add(-90 * time.Minute), Advertised: 1200},
				{Peer: "tor-b", Address: "2001:db8:1234:5678:9abc:def0:1234:5678", State: "Active", LastError: "connection refused"},
			}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := s.WriteText(&b, now); err != nil {
				t.Fatal(err)
			}
			path := "testdata/" + name + ".golden"
			if *update {
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("-want +got (go test ./status -update rewrites it):\n%s", diff)
			}
			for line := range strings.Lines(b.String()) {
				if len(line) > 81 {
					t.Errorf("%d columns: %s", len(line)-1, line)
				}
			}
		})
	}
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 119 * time.Minute: "119m", 3*time.Hour + 10*time.Minute: "3h10m", 52 * time.Hour: "2d4h",
	} {
		if got := status.Ago(now.Add(-d), now); got != want {
			t.Errorf("Ago(%s) = %s, want %s", d, got, want)
		}
	}
}
