package policy_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// begin is the moment 0 of the stories.
var begin = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const (
	routed  = "10.166.0.0/16"
	younger = "10.211.0.0/24"
)

// story is a small cluster in which things change, and what each node's daemon
// remembers. Every decision is made by a daemon that has just been started again.
type story struct {
	t        *testing.T
	s        policy.Snapshot
	now      time.Time
	memory   map[string]policy.Memory
	live     map[string]*routes.Live
	warnings []policy.Warning
}

// tell begins a story with two nodes, one router and a distributed Subnet.
func tell(t *testing.T) *story {
	w := &story{t: t, now: begin, memory: map[string]policy.Memory{}, live: map[string]*routes.Live{"n1": {}, "n2": {}}}
	w.s.Settings = routes.DefaultSettings
	for i, name := range []string{"n1", "n2"} {
		w.s.Nodes = append(w.s.Nodes, routes.Node{Name: name, Ready: true, Allocated: true, Labels: map[string]string{},
			InternalIPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(11 + i)})}, Annotations: map[string]string{}})
	}
	w.s.Subnets = []*routes.Subnet{subnetOf("routed", routed)}
	w.s.Peers = []policy.Peer{{Name: "tor", LocalASN: 65001, SessionSettings: policy.SessionSettings{
		Address: netip.MustParseAddr("172.30.0.1"), PeerASN: 65000, Families: []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast}}}}
	return w
}

// subnetOf gives a Subnet that Kube-OVN has finished.
func subnetOf(name, cidr string) *routes.Subnet {
	return &routes.Subnet{Name: name, CIDRBlock: cidr, VPC: "ovn-cluster", Provider: "ovn", GatewayType: routes.Distributed, Controlled: true,
		Validated: true, Ready: true, ReadyAt: "2026-11-25T11:00:00Z", Annotations: map[string]string{routes.AnnotationAdvertise: "true"}}
}

// centralized gives the first Subnet gateways and an active one.
func (w *story) centralized(gateways, active string) {
	s := w.subnet("routed")
	s.GatewayType, s.GatewayNode, s.ActiveGateway = routes.Centralized, gateways, active
}

func (w *story) subnet(name string) *routes.Subnet {
	i := slices.IndexFunc(w.s.Subnets, func(s *routes.Subnet) bool { return s.Name == name })
	return w.s.Subnets[i]
}

func (w *story) node(name string) *routes.Node {
	i := slices.IndexFunc(w.s.Nodes, func(n routes.Node) bool { return n.Name == name })
	return &w.s.Nodes[i]
}

// at moves to a moment, and holds who announces the prefix then against want:
// names of nodes, each with what its role is after a slash if it is given.
func (w *story) at(seconds float64, prefix, want string) {
	w.t.Helper()
	w.now = begin.Add(time.Duration(seconds * float64(time.Second)))
	var got []string
	w.warnings = nil
	for _, name := range []string{"n1", "n2"} {
		plan := w.decide(name)
		for _, a := range plan.Adverts {
			if a.Prefix.String() != prefix {
				continue
			}
			if entry := name + "/" + string(a.Role); strings.Contains(want, entry) {
				got = append(got, entry)
			} else {
				got = append(got, name)
			}
		}
		w.warnings = append(w.warnings, plan.Warnings...)
	}
	if strings.Join(got, " ") != want {
		w.t.Errorf("at %.2f s %s is announced by %q, want %q", seconds, prefix, strings.Join(got, " "), want)
	}
}

// decide makes a node's plan, in a daemon that reads what the one before left.
func (w *story) decide(name string) policy.Plan {
	w.t.Helper()
	text, err := json.Marshal(w.memory[name])
	if err != nil {
		w.t.Fatal(err)
	}
	var memory policy.Memory
	if err := json.Unmarshal(text, &memory); err != nil {
		w.t.Fatal(err)
	}
	if !memory.Equal(w.memory[name]) {
		w.t.Fatalf("memory reads back as another: %s", text)
	}
	for _, sub := range w.s.Subnets {
		*sub = *sub.Parsed()
	}
	s := memory.Recall(w.s, w.now)
	s.Live = w.live[name]
	plan := policy.Make(s, name)
	w.memory[name] = memory.Remember(s, plan)
	if !plan.Next.IsZero() && !plan.Next.After(w.now) {
		w.t.Errorf("the plan of %s wants to be made again at %s, which is not later than %s", name, plan.Next, w.now)
	}
	return plan
}

func (w *story) warned(r routes.Reason, words string) {
	w.t.Helper()
	if !slices.ContainsFunc(w.warnings, func(x policy.Warning) bool { return x.Reason == r && strings.Contains(x.Detail, words) }) {
		w.t.Errorf("no warning %s with %q: %v", r, words, w.warnings)
	}
}

func TestRouteStaysWhileKubeOVNHasNotNamedAGatewayYet(t *testing.T) {
	w := tell(t)
	w.at(0, routed, "n1 n2")
	w.centralized("n1", "")
	w.at(1, routed, "n1/distributed n2/distributed")
	w.warned(routes.KeptAnnounced, "status.activateGateway is empty")
	w.at(100, routed, "n1 n2")
	w.centralized("n1", "n1")
	w.at(100.2, routed, "n1/active n2")
	w.at(101.1, routed, "n1/active n2")
	w.at(101.3, routed, "n1/active")
}

func TestStaleNameOfANodeThatIsNotReadyWithdrawsNothing(t *testing.T) {
	w := tell(t)
	w.centralized("n1,n2", "n1")
	w.subnet("routed").EnableECMP = true
	w.at(0, routed, "n1/ecmp n2/ecmp")
	w.node("n1").Ready = false
	w.at(1, routed, "n1 n2")
	w.at(2.1, routed, "n2")
	w.subnet("routed").EnableECMP = false
	w.at(3, routed, "n2/ecmp")
	w.at(30, routed, "n2/ecmp")
	w.centralized("n1,n2", "n2")
	w.at(31, routed, "n2/active")
}

func TestOnlyGatewayThatIsNotReadyGoesOn(t *testing.T) {
	w := tell(t)
	w.centralized("n1", "n1")
	w.at(0, routed, "n1/active")
	w.node("n1").Ready = false
	w.at(1, routed, "n1")
	w.centralized("n1", "")
	s := w.subnet("routed")
	s.Ready, s.GatewayVerdict = false, "NoActiveGatewayFound"
	w.at(2, routed, "n1")
	w.warned(routes.KeptAnnounced, "NoActiveGatewayFound")
	w.at(60, routed, "n1")
	w.node("n1").Ready = true
	w.centralized("n1", "n1")
	s.Ready, s.GatewayVerdict = true, ""
	w.at(61, routed, "n1/active")
}

func TestSubnetNeverAnnouncedWaitsForAGateway(t *testing.T) {
	w := tell(t)
	w.centralized("n1,n2", "")
	w.subnet("routed").Annotations[routes.AnnotationStandby] = "true"
	w.at(0, routed, "")
	w.centralized("n1,n2", "n2")
	w.at(1, routed, "n1/standby n2/active")
}

func TestOldGatewayWithdrawsAfterTheNewOneHadTime(t *testing.T) {
	w := tell(t)
	w.centralized("n1", "n1")
	w.at(0, routed, "n1")
	w.centralized("n2", "n1")
	w.at(1, routed, "n1/active")
	w.centralized("n2", "n2")
	w.at(2, routed, "n1 n2/active")
	w.at(2.9, routed, "n1 n2")
	w.at(3, routed, "n2")
}

func TestGatewayThatIsNamedAndCannotCarryTakesNothing(t *testing.T) {
	for name, spoil := range map[string]func(*routes.Node){
		"not Ready":             func(n *routes.Node) { n.Ready = false },
		"NetworkUnavailable":    func(n *routes.Node) { n.NetworkUnavailable = true },
		"no join address":       func(n *routes.Node) { n.Allocated = false },
		"excluded":              func(n *routes.Node) { n.Labels[routes.LabelExclude] = "" },
		"drained":               func(n *routes.Node) { n.Annotations[routes.AnnotationDrain] = "true" },
		"no BGPPeer selects it": func(n *routes.Node) { n.Labels["rack"] = "b" },
	} {
		t.Run(name, func(t *testing.T) {
			w := tell(t)
			w.s.Peers[0].Nodes = routes.Selector{MatchExpressions: []routes.Requirement{{Key: "rack", Operator: "DoesNotExist"}}}
			w.centralized("n1", "n1")
			w.at(0, routed, "n1")
			spoil(w.node("n2"))
			w.centralized("n2", "n2")
			w.at(1, routed, "n1")
			w.at(100, routed, "n1")
			w.warned(routes.KeptAnnounced, "n2")
		})
	}
}

func TestNodeThatIsNotReadyNeverBegins(t *testing.T) {
	w := tell(t)
	w.node("n1").Ready, w.node("n2").Ready = false, false
	w.at(0, routed, "")
	w.node("n2").Ready = true
	w.at(1, routed, "n2")
	w.node("n2").Ready = false
	w.at(2, routed, "n2")
	w.at(100, routed, "n2")
	w.warned(routes.KeptAnnounced, "n2 is not Ready")
	w.node("n1").Ready = true
	w.at(101, routed, "n1 n2")
	w.at(102.1, routed, "n1")
}

func TestNetworkUnavailableWithdrawsOnceAnotherNodeHadTimeToAnnounce(t *testing.T) {
	w := tell(t)
	w.at(0, routed, "n1 n2")
	w.node("n2").NetworkUnavailable = true
	w.at(1, routed, "n1 n2")
	w.at(2, routed, "n1")
	w.node("n1").NetworkUnavailable = true
	w.at(3, routed, "n1")
	w.at(100, routed, "n1")
	w.warned(routes.KeptAnnounced, "NetworkUnavailable")
}

func TestActiveGatewayWithoutNetworkGoesOnWhileNoOtherIsNamed(t *testing.T) {
	w := tell(t)
	w.centralized("n1,n2", "n2")
	w.at(0, routed, "n2")
	w.node("n2").NetworkUnavailable = true
	w.at(1, routed, "n2")
	w.at(60, routed, "n2")
	w.centralized("n1,n2", "n1")
	w.at(61, routed, "n1/active n2")
	w.at(62, routed, "n1/active")
}

// TestNobodyLeavesToANodeThatMayNotBegin: while a Subnet is not Ready no other node
// begins to announce it, however fit.
func TestNobodyLeavesToANodeThatMayNotBegin(t *testing.T) {
	w := tell(t)
	w.centralized("n1", "n1")
	w.at(0, routed, "n1/active")
	w.node("n1").NetworkUnavailable = true
	w.centralized("n1", "")
	w.subnet("routed").Ready, w.subnet("routed").GatewayVerdict = false, "NoActiveGatewayFound"
	w.at(1, routed, "n1/active")
	w.subnet("routed").GatewayType = routes.Distributed
	w.at(2, routed, "n1/distributed")
	w.at(100, routed, "n1/distributed")
	w.subnet("routed").Ready = true
	w.at(101, routed, "n1/distributed n2/distributed")
	w.at(102, routed, "n2/distributed")
}

func TestNobodyLeavesASubnetThatIsBeingDeleted(t *testing.T) {
	w := tell(t)
	w.centralized("n1,n2", "n1")
	w.at(0, routed, "n1/active")
	w.subnet("routed").Deleting = true
	w.node("n1").Ready = false
	w.centralized("n1,n2", "n2")
	w.at(1, routed, "n1/active")
	w.at(100, routed, "n1/active")
}

// TestAStandbyIsNothingToWarnOf, also where the active gateway cannot carry.
func TestAStandbyIsNothingToWarnOf(t *testing.T) {
	w := tell(t)
	w.centralized("n1,n2", "n1")
	w.subnet("routed").Annotations[routes.AnnotationStandby] = "true"
	w.node("n1").Ready = false
	w.at(0, routed, "n2/standby")
	w.at(1, routed, "n2/standby")
	if len(w.warnings) > 0 {
		t.Errorf("%+v", w.warnings)
	}
}

func TestDeletedNodeWithdrawsAtOnce(t *testing.T) {
	w := tell(t)
	w.centralized("n1,n2", "n2")
	w.at(0, routed, "n2")
	gone := *w.node("n2")
	w.s.Nodes = w.s.Nodes[:1]
	w.at(1, routed, "")
	w.centralized("n1,n2", "n1")
	w.at(1.1, routed, "n1")
	gone.Allocated, gone.Ready = false, false
	w.s.Nodes = append(w.s.Nodes, gone)
	w.subnet("routed").GatewayType = routes.Distributed
	w.at(15, routed, "n1")
	w.node("n2").Ready = true
	w.at(16, routed, "n1")
	w.node("n2").Allocated = true
	w.at(17, routed, "n1 n2")
}

func TestFirstAnnouncementWaitsForReadyAndNothingElseDoes(t *testing.T) {
	w := tell(t)
	s := w.subnet("routed")
	s.Ready, s.ReadyAt = false, ""
	w.at(0, routed, "")
	s.Ready, s.ReadyAt = true, "2026-11-25T12:00:01Z"
	w.at(1, routed, "n1 n2")
	s.Ready, s.ReadyAt = false, "2026-11-25T12:00:02Z"
	w.at(2, routed, "n1 n2")
	s.Validated = false
	w.at(3, routed, "")
}

// TestRefusedSubnetTakesNothingFromAValidOne plays a Subnet whose CIDR is changed
// to one that another has, and that Kube-OVN refuses again and again.
func TestRefusedSubnetTakesNothingFromAValidOne(t *testing.T) {
	const before, half = "10.210.0.0/24", "10.211.0.0/25"
	w := tell(t)
	w.s.Subnets = []*routes.Subnet{subnetOf("older", before), subnetOf("younger", younger)}
	w.subnet("older").Created, w.subnet("younger").Created = begin.Add(-time.Hour), begin.Add(-time.Minute)
	w.at(0, before, "n1 n2")
	w.at(0, younger, "n1 n2")
	older := w.subnet("older")
	older.CIDRBlock = half
	for i := range 40 {
		at := 1 + float64(i)/10
		if i == 2 {
			older.Ready, older.ReadyAt = false, "2026-11-25T12:00:01Z"
		}
		older.Validated = i < 2 || i%3 == 0
		w.at(at, half, "")
		w.at(at, before, "")
		w.at(at, younger, "n1 n2")
	}
	older.Validated, older.Ready, older.ReadyAt = true, true, "2026-11-25T12:00:09Z"
	w.at(10, half, "n1 n2")
	w.at(10, younger, "")
}

func TestChangedCIDRWaitsForAVerdictOfItsOwn(t *testing.T) {
	const next = "10.167.0.0/16"
	w := tell(t)
	w.at(0, routed, "n1 n2")
	s := w.subnet("routed")
	s.CIDRBlock = next
	w.at(1, next, "")
	w.at(1, routed, "")
	w.at(1.9, next, "")
	w.at(2, next, "n1 n2") // it stood for a second
	s.CIDRBlock = routed
	w.at(10, routed, "")
	s.ReadyAt = "2026-11-25T12:00:10Z"
	w.at(10.1, routed, "n1 n2")
}

func TestAnnouncedSubnetKeepsItsPrefixUntilBothAreReady(t *testing.T) {
	w := tell(t)
	w.s.Subnets = []*routes.Subnet{subnetOf("younger", younger)}
	w.subnet("younger").Created = begin.Add(-time.Minute)
	w.at(0, younger, "n1 n2")
	w.subnet("younger").Ready = false
	w.s.Subnets = append(w.s.Subnets, subnetOf("older", "10.211.0.0/25"))
	w.subnet("older").Created = begin.Add(-time.Hour)
	w.at(1, younger, "n1 n2")
	w.at(1, "10.211.0.0/25", "")
	w.subnet("younger").Ready = true
	w.at(2, younger, "")
	w.at(2, "10.211.0.0/25", "n1 n2")
}

func TestSubnetBeingDeletedIsReachedUntilItIsGone(t *testing.T) {
	w := tell(t)
	w.at(0, routed, "n1 n2")
	w.subnet("routed").Deleting = true
	w.at(100, routed, "n1 n2")
	w.warned(routes.KeptAnnounced, "Deleting")
	w.s.Subnets = nil
	w.at(101, routed, "")
	w.s.Subnets = []*routes.Subnet{subnetOf("routed", routed)}
	w.subnet("routed").Deleting = true
	w.at(102, routed, "")
}

func TestEndOfNATIsAnnouncedWhenTheNodeNoLongerTranslates(t *testing.T) {
	w := tell(t)
	w.at(0, routed, "n1 n2")
	s := w.subnet("routed")
	s.NATOutgoing = true
	w.at(1, routed, "")
	s.NATOutgoing = false
	w.live["n1"].Translated = map[netip.Prefix]bool{netip.MustParsePrefix(routed): true}
	w.live["n2"].Translated = map[netip.Prefix]bool{}
	w.at(10, routed, "")
	w.live["n1"].Translated = map[netip.Prefix]bool{netip.MustParsePrefix(routed): false}
	w.at(11, routed, "n1")
	w.at(12.9, routed, "n1")
	w.at(13, routed, "n1 n2")
}

func TestNewSubnetIsNotHeldBackByTheEndOfNAT(t *testing.T) {
	w := tell(t)
	w.live["n1"].Translated = map[netip.Prefix]bool{netip.MustParsePrefix(routed): true}
	w.at(0, routed, "n1 n2")
}

func TestFlappingDatapathIsAnnouncedAfterQuietThatGrows(t *testing.T) {
	w := tell(t)
	p := netip.MustParsePrefix(routed)
	down := func(yes bool) {
		w.live["n1"].DatapathDown = map[netip.Prefix]string{}
		if yes {
			w.live["n1"].DatapathDown[p] = "no route"
		}
	}
	w.at(0, routed, "n1 n2")
	down(true)
	w.at(1, routed, "n2")
	down(false)
	w.at(2, routed, "n1 n2") // once is no flapping
	for i := range 10 {
		down(true)
		w.at(float64(5+3*i), routed, "n2")
		down(false)
		w.at(float64(6+3*i), routed, "n2")
	}
	w.at(37.9, routed, "n2")
	w.at(38, routed, "n1 n2") // five seconds of quiet
	down(true)
	w.at(40, routed, "n2")
	down(false)
	w.at(41, routed, "n2")
	w.at(50.9, routed, "n2")
	w.at(51, routed, "n1 n2") // ten
	w.at(200, routed, "n1 n2")
	down(true)
	w.at(300, routed, "n2")
	down(false)
	w.at(301, routed, "n1 n2") // forgiven
}

func TestVlanWithLogicalGatewayNeedsItsProviderNetwork(t *testing.T) {
	w := tell(t)
	s := w.subnet("routed")
	s.VLAN, s.LogicalGateway = "vlan10", true
	w.at(0, routed, "n1 n2") // Vlans are not known
	w.s.Vlans = map[string]string{"vlan10": "net1"}
	w.node("n1").Labels["net1.provider-network.ovn.kubernetes.io/ready"] = "true"
	w.at(1, routed, "n1")
}

func TestRouterIDStaysWhileAddressesAreReorderedOrGone(t *testing.T) {
	w := tell(t)
	first, second := netip.MustParseAddr("172.30.0.11"), netip.MustParseAddr("172.30.0.99")
	want := func(id netip.Addr) {
		t.Helper()
		if got := w.decide("n1").RouterID; got != id {
			t.Errorf("router ID %s, want %s", got, id)
		}
	}
	want(first)
	w.node("n1").InternalIPs = []netip.Addr{second, first}
	want(first)
	w.node("n1").InternalIPs = nil
	want(first)
	w.node("n1").InternalIPs = []netip.Addr{second}
	want(second)
}

func TestWithheldSaysWhereItDependsOnWhatWasAnnounced(t *testing.T) {
	w := tell(t)
	w.centralized("n1", "")
	for _, c := range []struct {
		node  string
		known bool
		want  bool
	}{{"n1", false, true}, {"n2", false, true}, {"n1", true, false}} {
		s := w.s
		s.Subnets = []*routes.Subnet{s.Subnets[0].Parsed()}
		s.History.Known = c.known
		plan := policy.Make(s, c.node)
		if len(plan.Withheld) != 1 || plan.Withheld[0].Undecided != c.want {
			t.Errorf("%s, history known %t: %+v", c.node, c.known, plan.Withheld)
		}
	}
	w.centralized("n1", "n1")
	w.s.Subnets[0] = w.s.Subnets[0].Parsed()
	if got := policy.Make(w.s, "n2").Withheld; fmt.Sprint(got[0].Undecided) != "false" {
		t.Errorf("decided, and said not to be: %+v", got)
	}
}

// TestNodeLetsRepliesThroughThatItMayNotAnnounce: what may not be announced for the
// first time may be announced by others, and then replies leave by this node too.
func TestNodeLetsRepliesThroughThatItMayNotAnnounce(t *testing.T) {
	w := tell(t)
	w.subnet("routed").Ready = false
	plan := w.decide("n1")
	if len(plan.Adverts) != 0 || len(plan.Forwards) != 1 || plan.Forwards[0].Prefix.String() != routed {
		t.Errorf("announced %v, let through %v", plan.Adverts, plan.Forwards)
	}
}

// TestSubnetThatIsMadeAnewStaysWhileNobodyHasJudgedIt plays an etcd that is restored,
// or a Subnet that somebody deletes and creates again.
func TestSubnetThatIsMadeAnewStaysWhileNobodyHasJudgedIt(t *testing.T) {
	w := tell(t)
	w.at(0, routed, "n1 n2")
	made := routes.Subnet{Name: "routed", CIDRBlock: routed, Controlled: true, Unjudged: true,
		Annotations: map[string]string{routes.AnnotationAdvertise: "true"}}
	first := made
	w.s.Subnets = []*routes.Subnet{&first}
	w.at(1, routed, "n1 n2")
	w.s.Subnets[0].VPC = "other"
	w.at(2, routed, "")
	w.s.Subnets = []*routes.Subnet{&made}
	w.at(3, routed, "")
	w.s.Subnets = []*routes.Subnet{subnetOf("routed", routed)}
	w.at(4, routed, "n1 n2")
	w.s.Subnets[0].Validated = false
	w.at(5, routed, "")
}

// TestTypoInTheCIDRWithdrawsNothing, nor does a file that is cut off before it; what
// else the Subnet says counts at once.
func TestTypoInTheCIDRWithdrawsNothing(t *testing.T) {
	for name, typo := range map[string]string{"a typo": "10.166.0.0/166", "missing": ""} {
		t.Run(name, func(t *testing.T) {
			w := tell(t)
			w.at(0, routed, "n1 n2")
			w.subnet("routed").CIDRBlock = typo
			w.at(1, routed, "n1 n2")
			w.warned(routes.InvalidCIDR, "its last good CIDRs stay in force until it is mended")
			w.at(1000, routed, "n1 n2") // it does not run out
			w.subnet("routed").NATOutgoing = true
			w.at(1001, routed, "")
			w.subnet("routed").NATOutgoing = false
			w.at(1010, routed, "")
			w.at(1014, routed, "n1 n2") // as after any end of NAT
			w.live["n1"].DatapathDown = map[netip.Prefix]string{netip.MustParsePrefix(routed): "link ovn0 is down"}
			w.at(1020, routed, "n2")
			delete(w.subnet("routed").Annotations, routes.AnnotationAdvertise)
			w.at(1030, routed, "")
			w.subnet("routed").Annotations[routes.AnnotationAdvertise] = "true"
			w.at(1040, routed, "") // what was not selected is forgotten
		})
	}
}

// TestAValidClaimantTakesTheCIDRThatATypoKept, though it is younger.
func TestAValidClaimantTakesTheCIDRThatATypoKept(t *testing.T) {
	w := tell(t)
	w.at(0, routed, "n1 n2")
	w.subnet("routed").CIDRBlock = "10.166.0.0/166"
	w.s.Subnets = append(w.s.Subnets, subnetOf("younger", "10.166.0.0/17"))
	w.subnet("younger").Created = begin
	w.at(1, "10.166.0.0/17", "n1 n2")
	w.at(1, routed, "")
	w.subnet("routed").CIDRBlock = routed
	w.at(10, routed, "n1 n2")
}
