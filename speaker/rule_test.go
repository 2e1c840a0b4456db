package speaker

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/osrg/gobgp/v4/api"
	"pgregory.net/rapid"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// attributesGen gives attributes of every kind.
func attributesGen() *rapid.Generator[policy.Attributes] {
	number := rapid.OneOf(rapid.Just[*uint32](nil), rapid.Ptr(rapid.Uint32(), false))
	return rapid.Custom(func(t *rapid.T) policy.Attributes {
		a := policy.Attributes{
			MED: number.Draw(t, "med"), LocalPref: number.Draw(t, "localPref"), ASPathPrepend: rapid.Uint8().Draw(t, "prepend"),
			NextHop: rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}).Draw(t, "nextHop"),
		}
		for _, c := range rapid.SliceOfN(rapid.Uint32(), 0, 4).Draw(t, "communities") {
			a.Communities = append(a.Communities, routes.Community(c))
		}
		for _, c := range rapid.SliceOfN(rapid.Uint32Range(1, 1<<32-2), 0, 4).Draw(t, "large") {
			a.LargeCommunities = append(a.LargeCommunities, routes.LargeCommunity{GlobalAdmin: c, Data1: c + 1, Data2: c + 2})
		}
		return a
	})
}

// What GoBGP has is told by reading it back, so it must come back as it went in,
// whatever it is: else every Sync would load the rules anew.
func TestRulesComeBackFromGoBGP(t *testing.T) {
	s := running(t, Options{})
	w := wishFor(policy.Session{Peer: "x", LocalASN: ours, SessionSettings: policy.SessionSettings{
		Address: loopback(), PeerASN: 65100, Port: 1, Families: []policy.Family{policy.IPv4Unicast},
	}})
	mustSync(t, s, w)
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		want := map[ruleKey]rule{}
		for range rapid.IntRange(0, 4).Draw(t, "rules") {
			k := ruleKey{class: routes.Class(rapid.Uint64().Draw(t, "class")), peer: rapid.SampledFrom([]netip.Addr{
				netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fe80::1"),
			}).Draw(t, "peer")}
			session := policy.Session{LocalASN: ours}
			session.PeerASN = rapid.SampledFrom([]uint32{ours, 65100}).Draw(t, "peerASN")
			want[k] = ruleOf(attributesGen().Draw(t, "attributes"), session)
		}
		if err := s.active.setRules(ctx, map[ruleKey]rule{{class: 1}: {}}, want, nil); err != nil {
			t.Fatal(err)
		}
		have, err := s.active.rulesNow(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(have, want) {
			t.Fatalf("read back %+v\nloaded %+v", have, want)
		}
	})
	// Loading rules keeps what all peers share: nothing passes by default.
	for _, direction := range []api.PolicyDirection{api.PolicyDirection_POLICY_DIRECTION_IMPORT, api.PolicyDirection_POLICY_DIRECTION_EXPORT} {
		n := 0
		err := s.active.ListPolicyAssignment(ctx, &api.ListPolicyAssignmentRequest{Name: "global", Direction: direction}, func(a *api.PolicyAssignment) {
			n++
			if a.DefaultAction != api.RouteAction_ROUTE_ACTION_REJECT || len(a.Policies) != 1 {
				t.Errorf("%v: %v", direction, a)
			}
		})
		if err != nil || n != 1 {
			t.Errorf("%v: %d assignments, %v", direction, n, err)
		}
	}
}

func TestStalePeers(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	one, two := rule{med: 1}, rule{med: 2}
	rib := routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}})
	moved := routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 2}})
	for name, c := range map[string]struct {
		have, want    map[ruleKey]rule
		before, after routes.RIB
		stale         []netip.Addr
	}{
		"nothing changes":             {map[ruleKey]rule{{1, a}: one}, map[ruleKey]rule{{1, a}: one}, rib, rib, nil},
		"a rule changes":              {map[ruleKey]rule{{1, a}: one, {1, b}: one}, map[ruleKey]rule{{1, a}: two, {1, b}: one}, rib, rib, []netip.Addr{a}},
		"a rule comes":                {map[ruleKey]rule{{1, a}: one}, map[ruleKey]rule{{1, a}: one, {1, b}: one}, rib, rib, []netip.Addr{b}},
		"a rule goes":                 {map[ruleKey]rule{{1, a}: one, {1, b}: one}, map[ruleKey]rule{{1, a}: one}, rib, rib, []netip.Addr{b}},
		"a path changes class":        {map[ruleKey]rule{{1, a}: one}, map[ruleKey]rule{{2, a}: two}, rib, moved, nil},
		"a path comes as a rule goes": {map[ruleKey]rule{{1, a}: one, {2, a}: one}, map[ruleKey]rule{{2, a}: one}, moved, rib, []netip.Addr{a}},
		"a path goes with rules":      {map[ruleKey]rule{{1, a}: one}, nil, rib, nil, nil},
		"a path comes with rules":     {nil, map[ruleKey]rule{{1, a}: one}, nil, rib, nil},
		"a rule of no path change":    {map[ruleKey]rule{{3, a}: one}, map[ruleKey]rule{{3, a}: two}, rib, rib, nil},
	} {
		k, changes := newKnown(c.want, c.before), routes.Diff(c.before, c.after)
		k.note(c.after, changes)
		got := k.stalePeers(c.have, changes)
		if len(got) != len(c.stale) || len(got) == 1 && got[0] != c.stale[0] {
			t.Errorf("%s: %v, want %v", name, got, c.stale)
		}
	}
}

func TestParseStatementRefusesForeignNames(t *testing.T) {
	for _, name := range []string{"", "local", "0:1:2", "0:1:2>", "1:1:2>192.0.2.1", "0:1>192.0.2.1", "0:1:2>tor-a"} {
		if k, _, err := parseStatement(&api.Statement{Name: name, Actions: &api.Actions{}}); err == nil {
			t.Errorf("%q gives %+v", name, k)
		}
	}
}

func TestMarkOfAClass(t *testing.T) {
	for _, c := range []routes.Class{0, 1, 7 << 32, 1<<64 - 1} {
		if got, err := parseClass(c.String()); err != nil || got != c {
			t.Errorf("%s: %d, %v, want %d", c, got, err, c)
		}
	}
	for _, bad := range []string{"", "0", "0:", "0:1", "1:2:3", "0:1:2:3", "0:-1:2", "0:1:x", "0:4294967296:1"} {
		if c, err := parseClass(bad); err == nil {
			t.Errorf("%q is taken for class %d", bad, c)
		}
	}
}

// TestRulesOfManyPathsComeFirst: GoBGP tries one after the other.
func TestRulesOfManyPathsComeFirst(t *testing.T) {
	peer := netip.MustParseAddr("192.0.2.1")
	rules := map[ruleKey]rule{{1, peer}: {}, {2, peer}: {}, {3, peer}: {}}
	rib := routes.RIBOf(map[netip.Prefix]routes.Path{pfx("10.1.0.0/16"): {Class: 1}, pfx("10.2.0.0/16"): {Class: 3}, pfx("10.3.0.0/16"): {Class: 3}})
	var order []string
	for _, st := range policiesOf(rules, rib).Policies[1].Statements {
		order = append(order, st.Name)
	}
	if want := []string{"0:0:3>192.0.2.1", "0:0:1>192.0.2.1", "0:0:2>192.0.2.1"}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
}
