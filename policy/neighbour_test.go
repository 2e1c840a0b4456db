package policy_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// searching is a node n1 whose BGPPeer "tor" leaves the neighbour's address open.
func searching(settings policy.SessionSettings) policy.Snapshot {
	s := policy.Snapshot{Snapshot: routes.Snapshot{Settings: routes.DefaultSettings}}
	s.Nodes = []routes.Node{{Name: "n1", Ready: true, Allocated: true}}
	if settings.Families == nil {
		settings.Families = []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast}
	}
	s.Peers = []policy.Peer{{Name: "tor", LocalASN: 65001, SessionSettings: settings}}
	return s
}

func addresses(texts ...string) (out []netip.Addr) {
	for _, a := range texts {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// look is what one pass finds, and which sessions are up then.
type look struct {
	found policy.Found
	up    []string
	// want is the neighbour's address after the pass, "" for none.
	want string
}

func TestWhichNeighbourASessionIsWith(t *testing.T) {
	const a, b, own = "fe80::a%eth1", "fe80::b%eth1", "fe80::1%eth1"
	heard := func(routers ...string) policy.Found {
		return policy.Found{Routers: addresses(routers...), Own: netip.MustParseAddr(own)}
	}
	via := func(routers ...string) policy.Found { return policy.Found{Routers: addresses(routers...)} }
	down := policy.Found{Why: "link eth1 is down"}
	link, gateway := policy.SessionSettings{Interface: "eth1"}, policy.SessionSettings{Discovery: policy.DefaultGateway}
	for name, tc := range map[string]struct {
		settings policy.SessionSettings
		looks    []look
	}{
		"nothing heard yet": {link, []look{{policy.Found{}, nil, ""}, {heard(a), nil, a}}},
		"advertisements missing for a moment end no session":     {link, []look{{heard(a), nil, a}, {heard(), []string{a}, a}, {heard(), nil, a}}},
		"a link that is down for a moment ends no session":       {link, []look{{heard(a), nil, a}, {down, []string{a}, a}, {heard(a), nil, a}}},
		"another router takes no session away that is up":        {link, []look{{heard(a), nil, a}, {heard(b), []string{a}, a}}},
		"a replaced router is left when its session is down":     {link, []look{{heard(a), nil, a}, {heard(b), []string{a}, a}, {heard(b), nil, b}}},
		"of two routers the one that was first goes on":          {link, []look{{heard(a), nil, a}, {heard(b, a), nil, a}}},
		"a link that is gone has no neighbour":                   {link, []look{{heard(a), nil, a}, {policy.Found{Impossible: true}, nil, ""}}},
		"the default gateway is another":                         {gateway, []look{{via("192.0.2.1"), nil, "192.0.2.1"}, {via("192.0.2.2"), []string{"192.0.2.1"}, "192.0.2.2"}}},
		"the default route is missing for a moment":              {gateway, []look{{via("192.0.2.1"), nil, "192.0.2.1"}, {via(), nil, "192.0.2.1"}}},
		"the default route has one more next hop":                {gateway, []look{{via("192.0.2.2"), nil, "192.0.2.2"}, {via("192.0.2.1", "192.0.2.2"), nil, "192.0.2.2"}}},
		"the default route has several next hops from the start": {gateway, []look{{via("192.0.2.1", "192.0.2.2"), nil, "192.0.2.1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var memory policy.Memory
			for i, l := range tc.looks {
				s := memory.Recall(searching(tc.settings), time.Time{})
				s.Found, s.Up = map[policy.Search]policy.Found{tc.settings.Search(): l.found}, map[netip.Addr]bool{}
				for _, a := range addresses(l.up...) {
					s.Up[a] = true
				}
				plan := policy.Make(s, "n1")
				memory = throughJSON(t, memory.Remember(s, plan)) // a daemon that is started again knows it too
				got := plan.Sessions[0].Address
				if l.want == "" && got.IsValid() || l.want != "" && got != netip.MustParseAddr(l.want) {
					t.Errorf("after look %d the neighbour is %s, want %q", i, got, l.want)
				}
				if n := len(plan.Wish().Sessions); got.IsValid() != (n == 1) {
					t.Errorf("after look %d the speaker is asked for %d sessions", i, n)
				}
				if source := plan.Sessions[0].SourceAddress; got.IsValid() && tc.settings.Interface != "" && source != netip.MustParseAddr(own) {
					t.Errorf("after look %d the session leaves from %s", i, source)
				}
				if many := len(l.found.Routers) > 1; many != (len(plan.Warnings) > 0) {
					t.Errorf("after look %d: warnings %v", i, plan.Warnings)
				}
			}
		})
	}
}

func throughJSON(t *testing.T, m policy.Memory) (out policy.Memory) {
	t.Helper()
	b, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil || !out.Equal(m) {
		t.Fatalf("memory %s: %v", b, err)
	}
	return out
}

func TestPlanWithoutAKernelShowsWhereTheNeighbourIs(t *testing.T) {
	six := []policy.Family{policy.IPv6Unicast}
	for want, settings := range map[string]policy.SessionSettings{
		"neighbour on eth1":        {Interface: "eth1", DynamicASN: policy.External},
		"the default gateway":      {Discovery: policy.DefaultGateway, PeerASN: 65100},
		"the IPv6 default gateway": {Discovery: policy.DefaultGateway, Families: six, DynamicASN: policy.Internal},
	} {
		settings.Port = 179
		s := searching(settings)
		s.Subnets = []*routes.Subnet{{Name: "six", CIDRs: []netip.Prefix{netip.MustParsePrefix("2001:db8:6::/64")}, GatewayType: routes.Distributed, VPC: "ovn-cluster",
			Validated: true, Ready: true, Annotations: map[string]string{routes.AnnotationAdvertise: "true"}}}
		plan := policy.Make(s, "n1")
		var text strings.Builder
		if err := plan.WriteText(&text); err != nil || !strings.Contains(text.String(), want) {
			t.Errorf("%v, not %q in\n%s", err, want, &text)
		}
		if strings.Contains(text.String(), "invalid") {
			t.Errorf("%s", &text)
		}
	}
}

func TestAnUnknownASOfItsOwnIsAnInternalOne(t *testing.T) {
	plan := policy.Make(searching(policy.SessionSettings{Interface: "eth1", DynamicASN: policy.Internal}), "n1")
	if s := plan.Sessions[0]; s.PeerASN != 65001 || !s.Internal() {
		t.Errorf("%+v", s)
	}
	plan = policy.Make(searching(policy.SessionSettings{Interface: "eth1", DynamicASN: policy.External}), "n1")
	if s := plan.Sessions[0]; s.PeerASN != 0 || s.Internal() {
		t.Errorf("%+v", s)
	}
}

func TestNoSubnetContainsTheDefaultGatewayOfThisNode(t *testing.T) {
	settings := policy.SessionSettings{Discovery: policy.DefaultGateway, PeerASN: 65100}
	s := searching(settings)
	s.Found = map[policy.Search]policy.Found{settings.Search(): {Routers: addresses("10.166.0.254")}}
	s.Subnets = []*routes.Subnet{{Name: "routed", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.166.0.0/16")}, GatewayType: routes.Distributed, VPC: "ovn-cluster",
		Validated: true, Ready: true, Annotations: map[string]string{routes.AnnotationAdvertise: "true"}}}
	plan := policy.Make(s, "n1")
	if len(plan.Withheld) != 1 || plan.Withheld[0].Reason != routes.UnsafePrefix || !strings.Contains(plan.Withheld[0].Detail, "10.166.0.254") {
		t.Errorf("withheld %+v, adverts %+v", plan.Withheld, plan.Adverts)
	}
}

// TestTwoBGPPeersThatFindOneRouter: by its address and as the default gateway.
func TestTwoBGPPeersThatFindOneRouter(t *testing.T) {
	settings := policy.SessionSettings{Discovery: policy.DefaultGateway, PeerASN: 65100}
	s := searching(settings)
	s.Found = map[policy.Search]policy.Found{settings.Search(): {Routers: addresses("192.0.2.1")}}
	s.Peers = append(s.Peers, policy.Peer{Name: "aaa", LocalASN: 65001, SessionSettings: policy.SessionSettings{Address: netip.MustParseAddr("192.0.2.1"), PeerASN: 65100}})
	plan := policy.Make(s, "n1")
	if len(plan.Sessions) != 1 || plan.Sessions[0].Peer != "aaa" {
		t.Errorf("sessions %+v", plan.Sessions)
	}
	if !slices.ContainsFunc(plan.Warnings, func(w policy.Warning) bool {
		return w.Peer == "tor" && w.Reason == routes.InvalidPeer && strings.Contains(w.Detail, "192.0.2.1")
	}) {
		t.Errorf("warnings %+v", plan.Warnings)
	}
}
