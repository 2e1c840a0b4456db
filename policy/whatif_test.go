package policy_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// A case in testdata/whatif is like a golden case, with these settings:
//
//	without NODE         a machine that is dead
//	without-peer PEER    a BGPPeer that is deleted
//	alone                do not read base.yaml
//
// What Fairway makes of it is whatif.txt, whatif.json, and outlook.txt, the last
// lines of the plan with nothing gone.
func readWhatIf(t *testing.T, path string) (goldenCase, policy.Absence) {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, gone := goldenCase{settings: routes.DefaultSettings, archive: a, archivePath: path}, policy.Absence{}
	for line := range strings.Lines(string(a.Comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "without":
			gone.Nodes = append(gone.Nodes, rest)
		case "without-peer":
			gone.Peers = append(gone.Peers, rest)
		case "alone":
			c.alone = true
		case "", "#":
		default:
			t.Fatalf("%s: unknown setting %q", path, word)
		}
	}
	return c, gone
}

func plansOf(s policy.Snapshot) []policy.Plan {
	var plans []policy.Plan
	for _, n := range s.Nodes {
		plans = append(plans, policy.Make(s, n.Name))
	}
	return plans
}

func TestWhatIf(t *testing.T) {
	paths, err := filepath.Glob("testdata/whatif/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			c, gone := readWhatIf(t, path)
			s := c.snapshot(t)
			impact := policy.WhatIf(s, plansOf(s), gone)
			var text bytes.Buffer
			if err := impact.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			js, err := json.MarshalIndent(impact, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			got := []txtar.File{
				{Name: "outlook.txt", Data: []byte(policy.OutlookText(s, plansOf(s)))},
				{Name: "whatif.txt", Data: text.Bytes()}, {Name: "whatif.json", Data: append(js, '\n')},
			}
			if *update {
				c.archive.Files = slices.DeleteFunc(c.archive.Files, func(f txtar.File) bool { return !strings.HasSuffix(f.Name, ".yaml") })
				c.archive.Files = append(c.archive.Files, got...)
				if err := os.WriteFile(path, txtar.Format(c.archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, f := range got {
				if diff := cmp.Diff(string(c.file(f.Name)), string(f.Data)); diff != "" {
					t.Errorf("%s (-want +got; go test ./policy -update rewrites it):\n%s", f.Name, diff)
				}
			}
			checkWidth(t, "whatif.txt", text.Bytes())
			checkWidth(t, "outlook.txt", got[0].Data)
		})
	}
}

// What changes is what the plans say, whatever the order of the input, and the
// input stays as it was.
func TestWhatIfAgreesWithThePlans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshotGen().Draw(t, "snapshot")
		gone := policy.Absence{Nodes: []string{"n1"}}
		if len(s.Peers) > 1 {
			gone.Peers = []string{s.Peers[0].Name}
		}
		before := jsonOf(t, s)
		impact := policy.WhatIf(s, plansOf(s), gone)
		if diff := cmp.Diff(before, jsonOf(t, s)); diff != "" {
			t.Fatalf("the Snapshot changed (-before +after):\n%s", diff)
		}
		shuffled := s
		shuffled.Nodes, shuffled.Subnets, shuffled.Peers = reversed(s.Nodes), reversed(s.Subnets), reversed(s.Peers)
		if diff := cmp.Diff(jsonOf(t, impact), jsonOf(t, policy.WhatIf(shuffled, plansOf(shuffled), gone))); diff != "" {
			t.Fatalf("the order of the input counts:\n%s", diff)
		}
		now := announcersNow(s)
		for _, c := range impact.Changes {
			if diff := cmp.Diff(now[c.Place], nodesOf(c.Before)); diff != "" {
				t.Fatalf("%v before (-plan +what if):\n%s", c.Place, diff)
			}
			if slices.Contains(nodesOf(c.After), "n1") {
				t.Fatalf("%v: a dead node announces", c.Place)
			}
			delete(now, c.Place)
		}
		for at, nodes := range now {
			if slices.Contains(nodes, "n1") {
				t.Fatalf("%v: n1 announced it and is dead, and nothing changes", at)
			}
		}
	})
}

// What is said to hang on a node is announced by it alone and has no announcer
// without it, and nothing else that is announced by CIDR.
func TestOnOneNodeIsWhatWhatIfLoses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshotGen().Draw(t, "snapshot")
		want, now := map[policy.Hanging]bool{}, announcersNow(s)
		for _, n := range s.Nodes {
			for _, at := range policy.WhatIf(s, plansOf(s), policy.Absence{Nodes: []string{n.Name}}).NoAnnouncer {
				if !byPods(s, at.Subnet) && slices.Equal(now[at], []string{n.Name}) {
					want[policy.Hanging{Place: at, Node: n.Name}] = true
				}
			}
		}
		got := map[policy.Hanging]bool{}
		for _, h := range policy.OnOneNode(s, plansOf(s)) {
			got[h] = true
		}
		if !cmp.Equal(want, got) {
			t.Fatalf("hang on one node %v, want %v", got, want)
		}
	})
}

func byPods(s policy.Snapshot, subnet string) bool {
	return slices.ContainsFunc(s.Subnets, func(sub *routes.Subnet) bool {
		return sub.Name == subnet && sub.Annotations[routes.AnnotationMode] == string(routes.ModePods)
	})
}

func announcersNow(s policy.Snapshot) map[policy.Place][]string {
	out := map[policy.Place][]string{}
	for _, p := range plansOf(s) {
		for _, a := range p.Adverts {
			at := policy.Place{Subnet: a.Subnet, Prefix: a.Prefix}
			out[at] = append(out[at], p.Node)
			slices.Sort(out[at])
		}
	}
	return out
}

func nodesOf(list []policy.Announcement) []string {
	var names []string
	for _, a := range list {
		names = append(names, a.Node)
	}
	return names
}

func reversed[T any](list []T) []T {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}

func jsonOf(t *rapid.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFailoverOf(t *testing.T) {
	session := func(peer string, hold, restart int) policy.Session {
		s := policy.Session{Peer: peer}
		s.HoldTime, s.KeepaliveTime = time.Duration(hold)*time.Second, time.Duration(hold/3)*time.Second
		s.GracefulRestartTime = time.Duration(restart) * time.Second
		return s
	}
	for _, tt := range []struct {
		name              string
		loss              policy.Loss
		requests, replies string
		upTo              int
		dominant          policy.Term
	}{
		{"distributed waits for the hold time alone",
			policy.Loss{Role: routes.RoleDistributed, Sessions: []policy.Session{session("a", 90, 0)}}, "60 to 90 s", "0 s", 90, policy.TermHoldTime},
		{"the slowest router counts",
			policy.Loss{Role: routes.RoleDistributed, Sessions: []policy.Session{session("a", 9, 0), session("b", 30, 0)}}, "20 to 30 s", "0 s", 30, policy.TermHoldTime},
		{"graceful restart does not lengthen a hold time",
			policy.Loss{Role: routes.RoleDistributed, Sessions: []policy.Session{session("a", 90, 120)}}, "60 to 90 s", "0 s", 90, policy.TermHoldTime},
		{"centralized with a long hold time",
			policy.Loss{Role: routes.RoleActive, Replies: true, Sessions: []policy.Session{session("a", 90, 0)}}, "60 to 90 s", "40 to 50 s", 90, policy.TermHoldTime},
		{"centralized with a short one: the new gateway is not told before",
			policy.Loss{Role: routes.RoleActive, Replies: true, Sessions: []policy.Session{session("a", 9, 0)}}, "40 to 50 s", "40 to 50 s", 50, policy.TermNodeGrace},
		{"a standby's path is there, replies are not",
			policy.Loss{Role: routes.RoleActive, Standby: true, Replies: true, Sessions: []policy.Session{session("a", 9, 0)}}, "6 to 9 s", "40 to 50 s", 50, policy.TermNodeGrace},
		{"ECMP may be sooner by a ping",
			policy.Loss{Role: routes.RoleECMP, Replies: true, Sessions: []policy.Session{session("a", 9, 0)}}, "6 to 9 s", "up to 50 s", 50, policy.TermNodeGrace},
		{"a next hop that moves by itself leaves the replies",
			policy.Loss{Role: routes.RoleActive, Standby: true, Replies: true, NextHop: netip.MustParseAddr("172.30.0.100"), Sessions: []policy.Session{session("a", 90, 0)}}, "0 s", "40 to 50 s", 50, policy.TermNodeGrace},
		{"a next hop that moves by itself, and a gap between the hold time and the new gateway",
			policy.Loss{Role: routes.RoleActive, Replies: true, NextHop: netip.MustParseAddr("172.30.0.100"), Sessions: []policy.Session{session("a", 9, 0)}}, "40 to 50 s", "40 to 50 s", 50, policy.TermNodeGrace},
		{"Pods whose gateway alone is gone",
			policy.Loss{Role: routes.RolePod, Replies: true}, "0 s", "40 to 50 s", 50, policy.TermNodeGrace},
		{"nothing is in question", policy.Loss{Role: routes.RolePod}, "0 s", "0 s", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := policy.FailoverOf(tt.loss)
			if f.Requests.String() != tt.requests || f.Replies.String() != tt.replies {
				t.Errorf("requests %s, replies %s, want %s and %s", f.Requests, f.Replies, tt.requests, tt.replies)
			}
			if f.UpTo != time.Duration(tt.upTo)*time.Second || f.Dominant != tt.dominant {
				t.Errorf("up to %s by %q, want %d s by %q", f.UpTo, f.Dominant, tt.upTo, tt.dominant)
			}
		})
	}
}

// plans gives the plan of every node, and the Snapshot of the moment.
func (w *story) plans() (policy.Snapshot, []policy.Plan) {
	s := w.s
	s.At = w.now
	return s, []policy.Plan{w.decide("n1"), w.decide("n2")}
}

func TestNodeThatIsBeingDrainedIsNoneToCountOn(t *testing.T) {
	w := tell(t)
	w.at(0, routed, "n1 n2")
	w.node("n1").Annotations[routes.AnnotationDrain] = "true"
	w.at(10, routed, "n1 n2")
	s, plans := w.plans()
	at := policy.Place{Subnet: "routed", Prefix: netip.MustParsePrefix(routed)}
	if got := policy.OnOneNode(s, plans); !slices.Equal(got, []policy.Hanging{{Place: at, Node: "n2"}}) {
		t.Errorf("hangs on one node: %v, want on n2", got)
	}
	if got := policy.WhatIf(s, plans, policy.Absence{Nodes: []string{"n2"}}).NoAnnouncer; !slices.Equal(got, []policy.Place{at}) {
		t.Errorf("without n2 no announcer of %v, want of %v", got, at)
	}
}

func TestGatewayThatHandsOverTakesItBack(t *testing.T) {
	w := tell(t)
	w.centralized("n1,n2", "n1")
	w.at(0, routed, "n1")
	w.centralized("n1,n2", "n2")
	w.at(1, routed, "n1 n2")
	s, plans := w.plans()
	if got := policy.OnOneNode(s, plans); len(got) > 0 {
		t.Errorf("hangs on one node: %v", got)
	}
	changes := policy.WhatIf(s, plans, policy.Absence{Nodes: []string{"n2"}}).Changes
	if len(changes) != 1 || !slices.Equal(nodesOf(changes[0].Before), []string{"n2"}) || !slices.Equal(nodesOf(changes[0].After), []string{"n1"}) {
		t.Errorf("without n2: %+v, want n2 and then n1", changes)
	}
}

// The loss of n1 takes away the one Subnet that keeps a third one from the prefix.
func TestSubnetHangsOnANodeWhoseLossLetsAnotherSubnetWin(t *testing.T) {
	w := tell(t)
	w.centralized("n1,n2", "n1")
	wide, older := subnetOf("wide", "10.166.0.0/15"), subnetOf("older", "10.167.0.0/16")
	older.GatewayType, older.GatewayNode, older.ActiveGateway = routes.Centralized, "n1", "n1"
	older.Annotations[routes.AnnotationPeers] = "n2only"
	w.subnet("routed").Created, wide.Created = begin, begin.Add(-time.Minute)
	w.s.Subnets = append(w.s.Subnets, wide, older)
	n2only := w.s.Peers[0]
	n2only.Name, n2only.Address = "n2only", netip.MustParseAddr("172.30.0.2")
	n2only.Nodes = routes.Selector{MatchLabels: map[string]string{"kubernetes.io/hostname": "n2"}}
	w.node("n2").Labels["kubernetes.io/hostname"] = "n2"
	w.s.Peers = append(w.s.Peers, n2only)
	w.at(0, routed, "n1")
	s, plans := w.plans()
	at := policy.Place{Subnet: "routed", Prefix: netip.MustParsePrefix(routed)}
	if got := policy.WhatIf(s, plans, policy.Absence{Nodes: []string{"n1"}}).NoAnnouncer; !slices.Equal(got, []policy.Place{at}) {
		t.Fatalf("without n1 no announcer of %v, want of %v", got, at)
	}
	if got := policy.OnOneNode(s, plans); !slices.Equal(got, []policy.Hanging{{Place: at, Node: "n1"}}) {
		t.Errorf("hangs on one node: %v, want the Subnet on n1", got)
	}
}

func TestGatewayThatIsNotReadyDoesNotTakeOver(t *testing.T) {
	w := tell(t)
	w.centralized("n1,n2", "n1")
	w.subnet("routed").Annotations[routes.AnnotationStandby] = "true"
	w.at(0, routed, "n1 n2/standby")
	w.node("n2").Ready = false
	w.at(1, routed, "n1 n2/standby")
	w.at(3, routed, "n1")
	s, plans := w.plans()
	if got := policy.WhatIf(s, plans, policy.Absence{Nodes: []string{"n1"}}).NoAnnouncer; len(got) != 1 {
		t.Errorf("without n1 no announcer of %v, want of the Subnet: n2 had stopped", got)
	}
}
