package status_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/status"
)

// dual is a node that announces a prefix of each family to two routers, and all is
// well.
func dual() *status.Status {
	s := &status.Status{Node: "n1", Ready: true, Waiting: []string{}}
	s.Speaker.InSync = true
	for _, p := range []string{"10.166.0.0/16", "fd00:10:166::/64"} {
		s.Plan.Adverts = append(s.Plan.Adverts, &policy.Advert{Prefix: netip.MustParsePrefix(p), Subnet: "routed", Peers: []string{"tor1", "tor2"}})
	}
	for _, peer := range []string{"tor1", "tor2"} {
		s.Sessions = append(s.Sessions, status.Session{Peer: peer, Address: "192.0.2.1", State: "Established", Families: []string{"ipv4-unicast", "ipv6-unicast"}})
	}
	return s
}

func TestPlannedIsNotAnnounced(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*status.Status)
		announced int
		notSent   string
		degraded  string
	}{
		"all is well": {func(*status.Status) {}, 2, "", ""},
		"no session is up": {func(s *status.Status) {
			s.Sessions[0].State, s.Sessions[1].State, s.Sessions[1].LastError = "Active", "Idle", "connection refused"
		}, 0, "10.166.0.0/16: tor1 tor2; fd00:10:166::/64: tor1 tor2",
			"session tor1 (192.0.2.1) is Active: no connection yet; session tor2 (192.0.2.1) is Idle: connection refused"},
		"one session is up": {func(s *status.Status) { s.Sessions[0].State = "Active" }, 2, "10.166.0.0/16: tor1; fd00:10:166::/64: tor1",
			"session tor1 (192.0.2.1) is Active: no connection yet"},
		"no router offers IPv6": {func(s *status.Status) {
			s.Sessions[0].NotOffered, s.Sessions[1].NotOffered = []string{"ipv6-unicast"}, []string{"ipv6-unicast"}
		}, 1, "fd00:10:166::/64: tor1 tor2", "does not offer ipv6-unicast"},
		"a session that is planned is not there": {func(s *status.Status) { s.Sessions = s.Sessions[:1] }, 2, "10.166.0.0/16: tor2; fd00:10:166::/64: tor2", ""},
		"a BGPPeer is broken": {func(s *status.Status) {
			s.Source.Problems = []status.Problem{status.Problemf("BGPPeer tor3: spec.peerASN: 0")}
		}, 2, "", "BGPPeer tor3: spec.peerASN: 0"},
		"the host drops": {func(s *status.Status) {
			s.Findings = []host.Finding{{Check: "forwarding", Subject: "net.ipv4.ip_forward", State: host.Wrong, Got: "0"}, {Check: "conntrack", State: host.Unknown}}
		}, 2, "", "host: forwarding net.ipv4.ip_forward: 0"},
		"nobody asks this node": {func(s *status.Status) { s.Sessions, s.Plan.Adverts = nil, nil }, 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := dual()
			c.change(s)
			var notSent []string
			for _, a := range s.Plan.Adverts {
				if to := s.NotSentTo(a); len(to) > 0 {
					notSent = append(notSent, a.Prefix.String()+": "+strings.Join(to, " "))
				}
			}
			if got := strings.Join(notSent, "; "); s.Announced() != c.announced || got != c.notSent {
				t.Errorf("announced %d, not sent %q\nwant %d, %q", s.Announced(), got, c.announced, c.notSent)
			}
			degraded := strings.Join(s.Degraded(), "; ")
			if !strings.Contains(degraded, c.degraded) || (degraded == "") != (c.degraded == "") {
				t.Errorf("degraded %q, want %q", degraded, c.degraded)
			}
			jsonSaysTheSame(t, s)
		})
	}
}

// jsonSaysTheSame reads the JSON as a script does, and as `fairway status` does.
func jsonSaysTheSame(t *testing.T, s *status.Status) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var script struct {
		Degraded  []string
		Announced int
		NotSent   []status.NotSent
	}
	var read status.Status
	if err := json.Unmarshal(text, &script); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(script.Degraded, s.Degraded()) || script.Announced != s.Announced() || script.NotSent == nil {
		t.Errorf("JSON: %+v", script)
	}
	if !slices.Equal(read.Degraded(), s.Degraded()) || read.Announced() != s.Announced() {
		t.Errorf("read again: degraded %q, announced %d", read.Degraded(), read.Announced())
	}
}
