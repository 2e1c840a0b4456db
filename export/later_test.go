package export

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// laterPeers are routers that take ranges: with a password and nodes in several ASes,
// with TTL security and IPv4 over IPv6, in the nodes' own AS, and some hops away.
func laterPeers() map[string]Input {
	out := map[string]Input{}
	for name, in := range peers() {
		if name == "core.dc1" { // is the multihop one without being dialled
			continue
		}
		for i := range in.Plans {
			for j := range in.Plans[i].Sessions {
				in.Plans[i].Sessions[j].Passive = false
			}
		}
		in.Allow = []Range{{prefix("10.160.0.0/12"), 24}, {prefix("fd00:166::/32"), 64}}
		in.Listen = []netip.Prefix{prefix("172.30.0.0/28")}
		if session(in, in.Plans[0]).Address.Is6() {
			in.Listen = []netip.Prefix{prefix("fd00:30::/120")}
		}
		out[name] = in
	}
	return out
}

// laterPlan is a node that nobody knew when the export was made, with a Subnet that
// was not there either, besides one that was.
func laterPlan(in Input) policy.Plan {
	s := session(in, in.Plans[1])
	if in.Plans[0].Sessions[0].LocalASN != s.LocalASN || s.Peer == "tor-a" {
		s.LocalASN = max(s.LocalASN, 64512) + 7 // nodes of an AS each: a new one
	}
	out := policy.Plan{Node: "n3", Sessions: []policy.Session{s}}
	for p, subnet := range map[string]string{"10.166.0.0/16": "routed", "10.165.7.0/24": "later", "fd00:166::/64": "routed", "fd00:166:0:7::/64": "later"} {
		if slices.Contains(s.Families, policy.FamilyOf(prefix(p))) {
			out.Adverts = append(out.Adverts, advert(p, subnet, routes.RoleDistributed, in.Peer))
		}
	}
	return out
}

// overlook are prefixes that no range of laterPeers allows: another one, one that is too
// long, one that contains a range, and the default route.
func overlook() []string {
	return []string{"10.200.0.0/16", "10.166.4.0/25", "10.128.0.0/9", "0.0.0.0/0", "fd00:200::/64", "fd00:166::/80", "fd00::/16", "::/0"}
}

// proveLater lets the new node come, and checks that its session is up and both of
// its Subnets are in the router's kernel, the old one beside the other nodes.
func (w *wire) proveLater(in Input, later policy.Plan) {
	w.t.Helper()
	w.speak(in, later)
	for _, a := range later.Adverts {
		s := session(in, later)
		hops := []string{"172.30.0.11", "172.30.0.12", "172.30.0.13"}
		if a.Prefix.Addr().Is6() || s.Address.Is6() {
			hops = []string{"fd00:30::11", "fd00:30::12", "fd00:30::13"}
		}
		if a.Subnet == "later" {
			hops = hops[2:]
		}
		w.wantHops("tor", a.Prefix.String(), hops...)
	}
	w.proveRefused()
}

// withLater is the input with the node and the Subnet.
func withLater(in Input, later policy.Plan) Input {
	in.Plans = append(slices.Clone(in.Plans), later)
	in.Nodes = append(slices.Clone(in.Nodes), node("n3", "172.30.0.13", "fd00:30::13"))
	in.Allow, in.Listen = nil, nil
	return in
}

// proveCheck checks that what the router shows of itself fits the plan of today.
func proveCheck(t *testing.T, f Format, in Input, shown string) {
	t.Helper()
	if fit, err := Check(f, in, shown); err != nil || !fit.OK() {
		t.Errorf("%v: %s\n%s", err, fit.Text("it"), shown)
	}
}

func TestRealFRRTakesASubnetAndANodeThatComeLater(t *testing.T) {
	for name, in := range among(laterPeers(), "tor-b", "ibgp") {
		t.Run(name, func(t *testing.T) {
			needs.Root(t, "gobgpd", "gobgp")
			w := newWire(t)
			w.unlisted = overlook()
			w.frr(fmt.Sprint(session(in, in.Plans[0]).Port))
			config := write(t, FRR, in)
			if name == "tor-b" { // had an export without ranges before
				exact := in
				exact.Allow, exact.Listen = nil, nil
				w.frrLoad(write(t, FRR, exact))
			}
			w.frrLoad(config)
			before := w.vtysh("show running-config")
			mustHold(t, before, config, "neighbor ", "bgp listen", "ip prefix-list", "ipv6 prefix-list", "maximum-paths")
			for _, plan := range in.Plans {
				w.speak(in, plan)
			}
			w.proveRoutes(name)
			later := laterPlan(in)
			w.proveLater(in, later)
			if after := w.vtysh("show running-config"); after != before {
				t.Errorf("the router's configuration changed by itself:\n%s\nbefore:\n%s", after, before)
			}
			proveCheck(t, FRR, withLater(in, later), before)
			w.frrLoad(config)
			if after := w.vtysh("show running-config"); after != before {
				t.Errorf("loading again changed the configuration:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

func TestRealBIRDTakesASubnetAndANodeThatComeLater(t *testing.T) {
	for name, in := range among(laterPeers(), "tor-a", "multihop") {
		t.Run(name, func(t *testing.T) {
			needs.Root(t, "gobgpd", "gobgp")
			w := newWire(t)
			w.unlisted = overlook()
			config := write(t, BIRD, in)
			w.bird(config)
			for _, plan := range in.Plans {
				w.speak(in, plan)
			}
			w.proveRoutes(name)
			later := laterPlan(in)
			w.proveLater(in, later)
			proveCheck(t, BIRD, withLater(in, later), config)
		})
	}
}

// Without ranges FRR refuses the new node and filters the new Subnet, and Check says
// both beforehand, of the file and of what the router shows.
func TestRealFRRFiltersWhatCheckNames(t *testing.T) {
	needs.Root(t, "gobgpd", "gobgp")
	w := newWire(t)
	in := twoNodes("tor-a")
	w.frr("179")
	config := write(t, FRR, in)
	w.frrLoad(config)
	later := laterPlan(in)
	now := withLater(in, later)
	now.Plans[0].Adverts = append(slices.Clone(in.Plans[0].Adverts), advert("10.165.7.0/24", "later", routes.RoleDistributed, "tor-a"))
	for name, text := range map[string]string{"the file": config, "what FRR shows": w.vtysh("show running-config")} {
		proveCheck(t, FRR, in, text)
		fit, err := Check(FRR, now, text)
		said := fit.Text("it")
		for _, want := range []string{
			"10.165.7.0/24 of Subnet later is filtered: FAIRWAY-TOR-A-V4 does not permit it (n1, n2)",
			"no neighbor and no listen range for 172.30.0.13, AS 64520 (n3)",
		} {
			if err != nil || !strings.Contains(said, want) {
				t.Errorf("%s: %v lacks %q:\n%s", name, err, want, said)
			}
		}
	}
	for _, plan := range now.Plans {
		w.speak(in, plan)
	}
	w.wantHops("tor", "10.166.0.0/16", "172.30.0.11", "172.30.0.12")
	if hops := w.kernelHops("tor", "10.165.7.0/24"); len(hops) > 0 {
		t.Errorf("what Check calls filtered arrived by %v", hops)
	}
}

// among leaves out the others: each is played with one of the routers at least.
func among(peers map[string]Input, names ...string) map[string]Input {
	maps.DeleteFunc(peers, func(name string, _ Input) bool { return !slices.Contains(names, name) })
	return peers
}

// A range for some nodes and a neighbor for another, in one group: both come up, and
// the file can be loaded again.
func TestRealRoutersTakeRangesBesideNeighbors(t *testing.T) {
	for name, in := range among(laterPeers(), "tor-a", "tor-b") { // several ASes, and one
		in.Listen = []netip.Prefix{prefix("172.30.0.11/32")}
		if name == "tor-b" {
			in.Listen = []netip.Prefix{prefix("fd00:30::11/128")}
		}
		for _, f := range []Format{FRR, BIRD} {
			t.Run(name+"/"+string(f), func(t *testing.T) {
				needs.Root(t, "gobgpd", "gobgp")
				w := newWire(t)
				w.unlisted = overlook()
				config := write(t, f, in)
				if f == BIRD {
					w.bird(config)
				} else {
					w.frr(fmt.Sprint(session(in, in.Plans[0]).Port))
					w.frrLoad(config)
					w.frrLoad(config)
				}
				for _, plan := range in.Plans {
					w.speak(in, plan)
				}
				w.proveRoutes(name)
				if f == FRR {
					w.frrLoad(config)
					proveCheck(t, FRR, in, w.vtysh("show running-config"))
				}
			})
		}
	}
}
