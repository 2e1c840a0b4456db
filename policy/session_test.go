package policy_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// twinPeers gives BGPPeers of one address, which meet on n1 though their
// nodeSelectors differ.
func twinPeers(created map[string]int) policy.Snapshot {
	s := policy.Snapshot{Snapshot: routes.Snapshot{Settings: routes.DefaultSettings}}
	s.Nodes = []routes.Node{{Name: "n1", Ready: true, Allocated: true, Labels: map[string]string{"rack": "a"}}}
	for name, day := range created {
		p := policy.Peer{Name: name, LocalASN: 65001}
		p.Address, p.PeerASN = netip.MustParseAddr("172.30.0.1"), 64512
		if name != "tor" {
			p.Nodes.MatchLabels = map[string]string{"rack": "a"}
		}
		if day > 0 {
			p.Created = time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)
		}
		s.Peers = append(s.Peers, p)
	}
	return s
}

func TestOfTwoPeersWithOneAddressTheOneInForceStays(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after map[string]int
		want          string
	}{
		{"a newcomer whose name sorts first", map[string]int{"tor": 0}, map[string]int{"tor": 0, "aaa": 0}, "tor"},
		{"a newer one", map[string]int{"tor": 1}, map[string]int{"tor": 1, "aaa": 2}, "tor"},
		{"an older one that moved to the address", map[string]int{"tor": 2}, map[string]int{"tor": 2, "aaa": 1}, "tor"},
		{"both new, the older", nil, map[string]int{"tor": 1, "aaa": 2}, "tor"},
		{"both new and of one age, the name", nil, map[string]int{"tor": 1, "aaa": 1}, "aaa"},
		{"the one in force is gone", map[string]int{"tor": 1}, map[string]int{"aaa": 2}, "aaa"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var memory policy.Memory
			before := twinPeers(tt.before)
			memory = memory.Remember(before, policy.Make(before, "n1"))
			plan := policy.Make(memory.Recall(twinPeers(tt.after), time.Time{}), "n1")
			if len(plan.Sessions) != 1 || plan.Sessions[0].Peer != tt.want {
				t.Errorf("sessions %+v, want that of %s", plan.Sessions, tt.want)
			}
			if len(plan.Warnings) != len(tt.after)-1 || len(plan.Warnings) > 0 && plan.Warnings[0].Reason != routes.InvalidPeer {
				t.Errorf("warnings %+v, want one of each loser", plan.Warnings)
			}
		})
	}
}

// TestRouterIDMadeOfANameIsOneThatRoutersTake: Junos and older routers refuse
// multicast, reserved and loopback ones.
func TestRouterIDMadeOfANameIsOneThatRoutersTake(t *testing.T) {
	ids := map[netip.Addr]string{}
	for i := range 5000 {
		name := fmt.Sprint("node-", i)
		s := policy.Snapshot{Snapshot: routes.Snapshot{Settings: routes.DefaultSettings, Nodes: []routes.Node{
			{Name: name, Ready: true, InternalIPs: []netip.Addr{netip.MustParseAddr("2001:db8::1")}},
		}}}
		id := policy.Make(s, name).RouterID
		if !routes.GoodRouterID(id) {
			t.Fatalf("%s: %s", name, id)
		}
		if other, taken := ids[id]; taken {
			t.Errorf("%s and %s: %s", name, other, id)
		}
		ids[id] = name
	}
}

// TestBadRouterIDThatRunsIsReplaced: an earlier version may have begun with it.
func TestBadRouterIDThatRunsIsReplaced(t *testing.T) {
	s := policy.Snapshot{Snapshot: routes.Snapshot{Settings: routes.DefaultSettings, Nodes: []routes.Node{{Name: "n1", Ready: true}},
		History: routes.History{Known: true, RouterID: netip.MustParseAddr("239.1.2.3")}}}
	if id := policy.Make(s, "n1").RouterID; !routes.GoodRouterID(id) {
		t.Errorf("%s goes on", id)
	}
}
