package picture_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/picture"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func at() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// node is one that is well; change makes it another.
func node(name string, change ...func(*status.Status)) *status.Status {
	s := &status.Status{
		Version: "v1", Node: name, Started: at().Add(-time.Hour), At: at(), Ready: true, Waiting: []string{},
		Source:  status.Source{Kind: "files", From: []string{"/etc/fairway"}, Subnets: 3, Nodes: 1, Peers: 2},
		Speaker: status.Speaker{RouterID: netip.MustParseAddr("172.30.0.11"), ASN: 65001, InSync: true},
		Sessions: []status.Session{
			{Peer: "tor-a", Address: "172.30.0.1", LocalAddress: "172.30.0.11", PeerASN: 65000, State: "Established", Since: at().Add(-time.Hour), Advertised: 2, Planned: 2},
			{Peer: "tor-b", Address: "172.30.0.2", LocalAddress: "172.30.0.11", PeerASN: 65000, State: "Established", Since: at().Add(-time.Hour), Advertised: 1, Planned: 1, Flaps: 1,
				LastReset: &status.Reset{At: at().Add(-time.Hour), Why: status.Why{Reason: "notification-received", Notification: "6/2"}}},
		},
		Plan: policy.Plan{Node: name,
			Adverts: []*policy.Advert{
				{Prefix: netip.MustParsePrefix("10.166.0.0/16"), Subnet: "routed", Role: routes.RoleDistributed, Peers: []string{"tor-a", "tor-b"}},
				{Prefix: netip.MustParsePrefix("10.168.0.0/16"), Subnet: "central", Role: routes.RoleActive, Peers: []string{"tor-a"}, NextHop: netip.MustParseAddr("172.30.0.100")},
			},
			Withheld: []policy.Withheld{{Prefix: "10.167.0.0/16", Subnet: "nat", Reason: routes.NATOutgoing, Detail: "spec.natOutgoing is true"}},
			Warnings: []policy.Warning{{Subnet: "routed", Reason: routes.Private, Detail: "spec.private is true"}},
		},
		Audited: true, Findings: []host.Finding{{Check: "forwarding", Subject: "net.ipv4.ip_forward", State: host.OK}},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func lost(peer, why string) func(*status.Status) {
	return func(s *status.Status) {
		for i := range s.Sessions {
			if e := &s.Sessions[i]; e.Peer == peer {
				e.State, e.LastError, e.LastErrorAt, e.Since, e.Advertised = "Active", why, at(), at(), 0
			}
		}
	}
}

func drops(networks ...string) func(*status.Status) {
	return func(s *status.Status) {
		for _, n := range networks {
			s.Findings = append(s.Findings, host.Finding{Check: "forward-drop", Subject: n, State: host.Wrong, Got: "filter FORWARD: policy DROP", Fix: "iptables -A FORWARD -d " + n + " -j ACCEPT"})
		}
	}
}

func cluster(nodes ...*status.Status) picture.Picture {
	var s policy.Snapshot
	s.Settings = routes.DefaultSettings
	var speakers []v1alpha1.Speaker
	beats := account.Heartbeats{At: at(), Last: map[string]time.Time{}}
	for _, n := range nodes {
		speaker := v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: n.Node}, Status: account.SpeakerStatus(n)}
		speaker.Status.Heartbeat = "fairway-system/" + n.Node
		beats.Last[speaker.Status.Heartbeat] = n.At
		speakers = append(speakers, speaker)
		s.Nodes = append(s.Nodes, routes.Node{Name: n.Node, Ready: true, Allocated: true})
	}
	return picture.OfCluster(picture.Cluster{
		Server: "https://192.0.2.1:6443", Version: "v1", Started: at().Add(-time.Hour), At: at(), Rows: account.Rows(s, speakers, beats), Peers: 2,
	})
}

func TestPictureGolden(t *testing.T) {
	for name, p := range map[string]picture.Picture{
		"node":    picture.OfNode(node("n1", lost("tor-b", "the hold timer expired"), drops("10.166.0.0/16", "10.168.0.0/16"))),
		"cluster": cluster(node("n1"), node("n2"), node("n3", lost("tor-b", "connection refused")), node("n4", func(s *status.Status) { s.At = at().Add(-time.Hour) })),
	} {
		t.Run(name, func(t *testing.T) {
			text, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got := string(text) + "\n"
			path := "testdata/" + name + ".json"
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got (go test ./picture -update rewrites it):\n%s", diff)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	starting := func(s *status.Status) { s.Ready, s.Waiting = false, []string{"subnets have not been read yet"} }
	alone := func(s *status.Status) { s.Sessions, s.Plan.Adverts = nil, nil }
	unsure := func(s *status.Status) { s.Findings = []host.Finding{{Check: "conntrack", State: host.Unknown}} }
	stale := func(s *status.Status) {
		s.Source.StaleSince = at()
		s.Source.Problems = []status.Problem{status.Stalef("subnets are not followed")}
	}
	dead := node("n2")
	dead.At = at().Add(-time.Hour)
	for name, tt := range map[string]struct {
		p     picture.Picture
		level picture.Level
		text  string
	}{
		"well":                 {picture.OfNode(node("n1")), picture.OK, "2 sessions up, 2 prefixes announced, 1 withheld"},
		"a session is down":    {picture.OfNode(node("n1", lost("tor-b", "x"))), picture.Bad, "1 of 2 sessions down, 2 prefixes announced, 1 withheld"},
		"nothing gets out":     {picture.OfNode(node("n1", lost("tor-a", "x"), lost("tor-b", "x"))), picture.Bad, "2 of 2 sessions down, 2 of 2 prefixes sent to no router, 0 prefixes announced, 1 withheld"},
		"the host drops":       {picture.OfNode(node("n1", drops("10.166.0.0/16"))), picture.Bad, "1 host check wrong, 2 prefixes announced, 1 withheld"},
		"a check is unknown":   {picture.OfNode(node("n1", unsure)), picture.Unknown, "1 host check could not tell, 2 prefixes announced, 1 withheld"},
		"it starts":            {picture.OfNode(node("n1", starting)), picture.Bad, "not ready, 2 prefixes announced, 1 withheld"},
		"nobody selects it":    {picture.OfNode(node("n1", alone)), picture.OK, "no BGPPeer selects this node, 0 prefixes announced, 1 withheld"},
		"the source is away":   {picture.OfNode(node("n1", stale)), picture.Warn, "the source is not in step, 1 problem with the objects, 2 prefixes announced, 1 withheld"},
		"a cluster that is OK": {cluster(node("n1"), node("n2")), picture.OK, "2 nodes, 4 sessions up"},
		"a daemon is dead":     {cluster(node("n1"), dead), picture.Bad, "1 node dead, 2 nodes"},
		"a router is down":     {cluster(node("n1", lost("tor-b", "x")), node("n2", lost("tor-b", "x"))), picture.Bad, "2 of 4 sessions down, 2 nodes"},
	} {
		if v := tt.p.Verdict; v.Level != tt.level || v.Text != tt.text {
			t.Errorf("%s: %s %q, want %s %q", name, v.Level, v.Text, tt.level, tt.text)
		}
	}
}

// told is a timeline as text.
func told(events []picture.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s %s %s: %s\n", e.Level, e.Kind, e.Node, e.Text)
	}
	return b.String()
}

func TestWhatHappened(t *testing.T) {
	withheld := func(s *status.Status) {
		s.Plan.Withheld = append(s.Plan.Withheld, policy.Withheld{Prefix: "10.168.0.0/16", Subnet: "central", Reason: routes.DatapathDown, Detail: "no route by ovn0"})
		s.Plan.Adverts = s.Plan.Adverts[:1]
	}
	drain := func(s *status.Status) { s.Draining, s.DrainCause = true, "Node n1 has annotation fairway.dev/drain" }
	flap := func(s *status.Status) { s.Sessions[0].Flaps++ }
	for name, tt := range map[string]struct {
		before, after picture.Picture
		want          string
	}{
		"nothing": {picture.OfNode(node("n1")), picture.OfNode(node("n1")), ""},
		"a session goes down": {picture.OfNode(node("n1")), picture.OfNode(node("n1", lost("tor-b", "the hold timer expired"))),
			"bad session n1: session tor-b is down: the hold timer expired\nwarn prefix n1: 10.166.0.0/16 of routed not sent to tor-b\n"},
		"and comes back": {picture.OfNode(node("n1", lost("tor-b", "x"))), picture.OfNode(node("n1")),
			"ok session n1: session tor-b is up\nok prefix n1: 10.166.0.0/16 of routed announced\n"},
		"a session flaps unseen":     {picture.OfNode(node("n1")), picture.OfNode(node("n1", flap)), "warn session n1: session tor-a was down and is up again\n"},
		"a prefix is withheld":       {picture.OfNode(node("n1")), picture.OfNode(node("n1", withheld)), "warn prefix n1: 10.168.0.0/16 of central withheld, DatapathDown: no route by ovn0\n"},
		"the host drops":             {picture.OfNode(node("n1")), picture.OfNode(node("n1", drops("10.166.0.0/16"))), "bad host n1: forward-drop 10.166.0.0/16 wrong: filter FORWARD: policy DROP\n"},
		"the host drops no more":     {picture.OfNode(node("n1", drops("10.166.0.0/16"))), picture.OfNode(node("n1")), "ok host n1: forward-drop 10.166.0.0/16 no longer wrong\n"},
		"a drain begins":             {picture.OfNode(node("n1")), picture.OfNode(node("n1", drain)), "warn drain n1: node n1 drains: Node n1 has annotation fairway.dev/drain: stays announced, for no other node would announce it: 10.166.0.0/16 of routed, 10.168.0.0/16 of central\n"},
		"a node comes":               {cluster(node("n1")), cluster(node("n1"), node("n2")), "ok node n2: node n2 is there: ready\n"},
		"a router dies for 6 nodes":  {cluster(many(6)...), cluster(many(6, lost("tor-a", "connection refused"))...), "bad session : 6 times: n0 session tor-a, n1 session tor-a, n2 session tor-a, n3 session tor-a, n4 session tor-a and 1 more is down: connection refused\n"},
		"a list that is cut is mute": {cluster(wide(80)), cluster(wide(90)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := told(picture.Compare(&tt.before, &tt.after))
			if strings.HasPrefix(name, "a router dies") {
				got, _, _ = strings.Cut(got, "bad prefix") // what follows from it
				got, _, _ = strings.Cut(got, "warn prefix")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func many(n int, change ...func(*status.Status)) []*status.Status {
	var out []*status.Status
	for i := range n {
		out = append(out, node(fmt.Sprintf("n%d", i), change...))
	}
	return out
}

// wide is a node with many prefixes.
func wide(prefixes int) *status.Status {
	return node("n1", func(s *status.Status) {
		s.Plan.Adverts = nil
		for i := range prefixes {
			s.Plan.Adverts = append(s.Plan.Adverts, &policy.Advert{
				Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24), Subnet: fmt.Sprintf("s%05d", i), Role: routes.RoleDistributed, Peers: []string{"tor-a"},
			})
		}
	})
}

// TestTenThousandChangesAreFew: what happens to all at once is one line, and the timeline
// stays short whatever happens.
func TestTenThousandChangesAreFew(t *testing.T) {
	none, all := picture.OfNode(wide(0)), picture.OfNode(wide(10_000))
	events := picture.Compare(&none, &all)
	if len(events) != 1 || !strings.Contains(events[0].Text, "10000 times: 10.0.0.0/24 of s00000") || !strings.Contains(events[0].Text, "9995 more announced") {
		t.Errorf("%d events, the first: %q", len(events), told(events[:1]))
	}
	var line picture.Timeline
	for i := range 1000 {
		line = line.With([]picture.Event{{Text: fmt.Sprint(i)}})
	}
	if len(line) != 200 || line[0].Text != "999" {
		t.Errorf("%d events, the newest %q", len(line), line[0].Text)
	}
}

// TestEqualNodesShareAList keeps the page small: five hundred nodes that announce the
// same tell it once.
func TestEqualNodesShareAList(t *testing.T) {
	p := cluster(many(500)...)
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Lists) != 1 || len(text) > 270_000 {
		t.Errorf("%d lists, %d bytes", len(p.Lists), len(text))
	}
}
