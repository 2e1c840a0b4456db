package replay

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fairway-bgp/fairway/e2e/rapidseed"
)

func TestMain(m *testing.M) { rapidseed.Main(m) }

// What follows makes up histories in the place of recorded ones: an operator and two
// or three nodes to which things happen, and Kube-OVN's controller, which answers in
// the order of the recordings, late, and out of date where the next change overtakes
// it.

// madeSubnet is a Subnet as the API server has it.
type madeSubnet struct {
	name, cidr, gatewayType, gatewayNode, active string
	ecmp, nat, advertise, deleting, formatted    bool
	conditions                                   map[string]madeCondition
	created                                      time.Duration
	// told is the prefix that the API server told of last.
	told netip.Prefix
}

// refused reports whether the CIDR lies in another Subnet's.
func (s *madeSubnet) refused() bool { return s.cidr == overlapping }

// overlapping is part of Subnet a's CIDR.
const overlapping = "10.1.128.0/17"

type madeCondition struct {
	status, reason string
	at             time.Duration
}

// madeNode is a Node.
type madeNode struct {
	name                      string
	ready, networkUnavailable bool
}

// maker makes one history.
type maker struct {
	*rapid.T
	now     time.Duration
	subnets map[string]*madeSubnet
	nodes   []*madeNode
	events  []Event
	// due are the controller's next steps, in the order of time; free is when it has
	// time for the next.
	due  []step
	free time.Duration
	zero time.Time
	// wishes are the times at which nothing refuses a prefix, ready those at which its
	// Subnet was Ready with it.
	wishes, ready map[netip.Prefix][]stretch
}

type step struct {
	at time.Duration
	do func()
}

const madeNodes = 3

func newMaker(t *rapid.T) *maker {
	m := &maker{T: t, now: -3 * time.Second, subnets: map[string]*madeSubnet{}, zero: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		wishes: map[netip.Prefix][]stretch{}, ready: map[netip.Prefix][]stretch{}}
	for i := range rapid.IntRange(2, madeNodes).Draw(t, "nodes") {
		n := &madeNode{name: fmt.Sprintf("node%d", i+1), ready: true}
		m.nodes = append(m.nodes, n)
		m.tellNode("ADDED", n)
	}
	// A Kube-OVN cluster always has one.
	m.tell("ADDED", "Subnet", "join", map[string]any{
		"apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": map[string]any{"name": "join"}, "spec": map[string]any{"cidrBlock": "100.64.0.0/16"},
	})
	m.now = 0
	return m
}

// later does something after a while; what is due before comes first.
func (m *maker) later(after time.Duration, do func()) {
	m.due = append(m.due, step{m.now + after, do})
}

// wait lets time pass.
func (m *maker) wait(d time.Duration) {
	end := m.now + d
	for {
		slices.SortStableFunc(m.due, func(a, b step) int { return int(a.at - b.at) })
		if len(m.due) == 0 || m.due[0].at > end {
			break
		}
		next := m.due[0]
		m.due = m.due[1:]
		m.now = max(m.now, next.at)
		next.do()
	}
	m.now = end
}

// tell lets the API server tell of an object.
func (m *maker) tell(event, kind, name string, object map[string]any) {
	text, err := json.Marshal(object)
	if err != nil {
		m.Fatal(err)
	}
	m.events = append(m.events, Event{m.now, event, kind, name, text})
}

func (m *maker) tellNode(event string, n *madeNode) {
	status := func(b bool) string { return map[bool]string{true: "True", false: "False"}[b] }
	ready := "True"
	if !n.ready {
		ready = "Unknown"
	}
	m.tell(event, "Node", n.name, map[string]any{
		"apiVersion": "v1", "kind": "Node",
		"metadata": map[string]any{"name": n.name, "uid": n.name, "annotations": map[string]string{"ovn.kubernetes.io/allocated": "true"}},
		"status": map[string]any{
			"addresses":  []map[string]string{{"type": "InternalIP", "address": "192.168.50.1" + strings.TrimPrefix(n.name, "node")}},
			"conditions": []map[string]string{{"type": "Ready", "status": ready}, {"type": "NetworkUnavailable", "status": status(n.networkUnavailable)}},
		},
	})
}

func (m *maker) stamp(at time.Duration) string { return m.zero.Add(at).UTC().Format(time.RFC3339) }

// tellSubnet also notes what is wished and what is Ready from now on.
func (m *maker) tellSubnet(event string, s *madeSubnet) {
	var conditions []map[string]string
	for _, kind := range []string{"Validated", "Ready"} {
		if c, ok := s.conditions[kind]; ok {
			conditions = append(conditions, map[string]string{"type": kind, "status": c.status, "reason": c.reason, "lastUpdateTime": m.stamp(c.at)})
		}
	}
	vpc := ""
	if s.formatted {
		vpc = "ovn-cluster"
	}
	metadata := map[string]any{"name": s.name, "uid": s.name + m.stamp(s.created), "creationTimestamp": m.stamp(s.created),
		"annotations": map[string]string{"fairway.dev/advertise": fmt.Sprint(s.advertise)}}
	if s.deleting {
		metadata["deletionTimestamp"] = m.stamp(m.now)
	}
	m.tell(event, "Subnet", s.name, map[string]any{
		"apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": metadata,
		"spec": map[string]any{"cidrBlock": s.cidr, "vpc": vpc, "provider": "ovn", "gatewayType": s.gatewayType,
			"gatewayNode": s.gatewayNode, "enableEcmp": s.ecmp, "natOutgoing": s.nat},
		"status": map[string]any{"activateGateway": s.active, "conditions": conditions},
	})
	cidr := netip.MustParsePrefix(s.cidr)
	if s.told.IsValid() && s.told != cidr {
		m.mark(m.wishes, s.told, false)
		m.mark(m.ready, s.told, false)
	}
	s.told = cidr
	there := event != "DELETED"
	m.mark(m.wishes, cidr, there && s.advertise && !s.nat && !s.refused())
	m.mark(m.ready, cidr, there && s.conditions["Ready"].status == "True" && !s.refused())
}

// mark begins or ends a stretch of a prefix, now. One that is open ends at end.
func (m *maker) mark(of map[netip.Prefix][]stretch, p netip.Prefix, on bool) {
	all := of[p]
	open := len(all) > 0 && all[len(all)-1].to == end
	switch {
	case on && !open:
		of[p] = append(all, stretch{m.now, end})
	case !on && open:
		all[len(all)-1].to = m.now
	}
}

// The operator.

func (m *maker) draw(of ...string) string { return rapid.SampledFrom(of).Draw(m.T, "of") }

// gatewayNodes draws one or two names in any order.
func (m *maker) gatewayNodes() string {
	var names []string
	for _, n := range m.nodes {
		names = append(names, n.name)
	}
	names = rapid.Permutation(names).Draw(m.T, "gateways")
	return strings.Join(names[:rapid.IntRange(1, 2).Draw(m.T, "how many")], ",")
}

func (m *maker) create(name, cidr string) {
	s := &madeSubnet{name: name, cidr: cidr, advertise: true, created: m.now, conditions: map[string]madeCondition{}}
	m.shape(s)
	m.subnets[name] = s
	m.tellSubnet("ADDED", s)
	m.enqueue(s)
}

// shape draws a gateway type.
func (m *maker) shape(s *madeSubnet) {
	s.gatewayType, s.gatewayNode, s.ecmp = "distributed", "", false
	if kind := m.draw("distributed", "single", "ecmp"); kind != "distributed" {
		s.gatewayType, s.gatewayNode, s.ecmp = "centralized", m.gatewayNodes(), kind == "ecmp"
	}
}

// operate changes one thing.
func (m *maker) operate() {
	name := m.draw("a", "b")
	s := m.subnets[name]
	if s == nil {
		m.create(name, map[string]string{"a": "10.1.0.0/16", "b": "10.2.0.0/16"}[name])
		return
	}
	if s.deleting || s.refused() {
		return
	}
	switch m.draw("shape", "shape", "gateways", "ecmp", "advertise", "nat", "delete", "refuse") {
	case "shape":
		m.shape(s)
	case "gateways":
		if s.gatewayType == "centralized" {
			s.gatewayNode = m.gatewayNodes()
		}
	case "ecmp":
		s.ecmp = s.gatewayType == "centralized" && !s.ecmp
	case "advertise":
		s.advertise = !s.advertise
	case "nat":
		s.nat = !s.nat
	case "delete":
		s.deleting = true
	case "refuse":
		if name == "b" && m.subnets["a"] != nil && s.formatted {
			s.cidr = overlapping
			m.tellSubnet("MODIFIED", s)
			m.refuse(s, 4)
			return
		}
	}
	m.tellSubnet("MODIFIED", s)
	m.enqueue(s)
}

// befall lets something happen to a node.
func (m *maker) befall() {
	n := rapid.SampledFrom(m.nodes).Draw(m.T, "node")
	if rapid.Bool().Draw(m.T, "kubelet") {
		n.ready = !n.ready
	} else {
		n.networkUnavailable = !n.networkUnavailable
	}
	m.tellNode("MODIFIED", n)
	for _, name := range []string{"a", "b"} {
		if s := m.subnets[name]; s != nil && s.gatewayType == "centralized" {
			m.enqueue(s)
		}
	}
}

// err is a passing error in a step of the controller that has nothing to do with
// forwarding: Ready is False until the next turn.
func (m *maker) err() {
	if s := m.subnets[m.draw("a", "b")]; s != nil && s.conditions["Ready"].status == "True" {
		m.condition(s, "Ready", "False", "SetPrivateLogicalSwitchFailed")
		m.tellSubnet("MODIFIED", s)
		if rapid.Bool().Draw(m.T, "mended soon") {
			m.enqueue(s)
		}
	}
}

// The controller.

// restart is of the controller: it does nothing for a while and looks at everything
// then.
func (m *maker) restart() {
	m.due = nil
	m.free = m.now + drawTime(m.T, "away", 300, 2000, 8000)
	for _, name := range []string{"a", "b"} {
		if s := m.subnets[name]; s != nil {
			m.enqueue(s)
		}
	}
}

func (m *maker) usable(name string) bool {
	return slices.ContainsFunc(m.nodes, func(n *madeNode) bool { return n.name == name && n.ready && !n.networkUnavailable })
}

func drawTime(t *rapid.T, label string, milliseconds ...int) time.Duration {
	return time.Duration(rapid.SampledFrom(milliseconds).Draw(t, label)) * time.Millisecond
}

func (m *maker) condition(s *madeSubnet, kind, status, reason string) {
	s.conditions[kind] = madeCondition{status, reason, m.now}
}

// enqueue lets the controller handle a Subnet when it gets to it. It reads the object
// then, and writes what it made of it in later steps.
func (m *maker) enqueue(s *madeSubnet) {
	if s.refused() && !s.deleting {
		m.refuse(s, 2)
		return
	}
	wait := max(m.free-m.now, 0) + drawTime(m.T, "queue", 10, 100, 3000)
	m.later(wait, func() {
		if m.subnets[s.name] != s {
			return
		}
		if s.deleting {
			delete(m.subnets, s.name)
			m.tellSubnet("DELETED", s)
			return
		}
		if !s.formatted {
			s.formatted = true
			m.tellSubnet("MODIFIED", s)
		}
		if s.refused() {
			return
		}
		read := *s
		m.later(20*time.Millisecond, func() { m.validate(s) })
		m.later(drawTime(m.T, "reconcile", 60, 300, 1200), func() { m.reconcile(s, read) })
	})
}

// refuse writes what Kube-OVN writes of a CIDR that overlaps another's: Validated first,
// the conflict afterwards, and that again at each retry (recording 09). It gets to it
// within a second: a verdict that has stood for longer counts (routes, judgeVerdict).
func (m *maker) refuse(s *madeSubnet, times int) {
	if times == 0 {
		return
	}
	m.later(drawTime(m.T, "refusal", 20, 200, 800), func() {
		if m.subnets[s.name] != s {
			return
		}
		m.validate(s)
		m.later(drawTime(m.T, "conflict", 1, 60, 120), func() {
			if m.subnets[s.name] != s {
				return
			}
			m.condition(s, "Validated", "False", "ValidateLogicalSwitchFailed")
			m.condition(s, "Ready", "False", "ValidateLogicalSwitchFailed")
			m.tellSubnet("MODIFIED", s)
			m.refuse(s, times-1)
		})
	})
}

func (m *maker) validate(s *madeSubnet) {
	if m.subnets[s.name] == s {
		m.condition(s, "Validated", "True", "ValidateLogicalSwitchSuccess")
		m.tellSubnet("MODIFIED", s)
	}
}

// reconcile is pkg/controller/subnet.go, reconcileOvnDefaultVpcRoute, as far as the
// status shows it; the spec is as the controller read it.
func (m *maker) reconcile(s *madeSubnet, read madeSubnet) {
	if m.subnets[s.name] != s || s.refused() {
		return
	}
	ready, reason := "True", "ResetLogicalSwitchAclSuccess"
	switch {
	case read.gatewayType == "distributed":
		s.active = ""
	case read.ecmp:
		// status.activateGateway is left as it is.
	default:
		gateways := strings.Split(read.gatewayNode, ",")
		if !slices.Contains(gateways, s.active) || !m.usable(s.active) {
			had := s.active
			s.active = ""
			for _, g := range gateways {
				if s.active == "" && m.usable(g) {
					s.active = g
				}
			}
			reason = "ReconcileCentralizedGatewaySuccess"
			if s.active == "" {
				ready, reason = "False", "NoActiveGatewayFound"
				if had == "" && s.conditions["Ready"].status == "" {
					reason = "NoReadyGateway"
				}
			}
		}
	}
	m.condition(s, "Ready", ready, reason)
	m.tellSubnet("MODIFIED", s)
}

// make draws a history.
func (m *maker) make() Trace {
	m.create("a", "10.1.0.0/16")
	for range rapid.IntRange(1, 14).Draw(m.T, "changes") {
		m.wait(drawTime(m.T, "pause", 5, 150, 900, 1500, 6000))
		switch m.draw("operate", "operate", "operate", "befall", "befall", "befall", "restart", "err") {
		case "operate":
			m.operate()
		case "befall":
			m.befall()
		case "restart":
			m.restart()
		case "err":
			m.err()
		}
	}
	m.wait(12 * time.Second)
	return Trace{Name: "made up", Events: m.events, Zero: m.zero}
}

// way draws what happens to a node's daemon.
func (m *maker) way(label string) Way {
	w := Way{Lag: drawTime(m.T, label+" lag", 0, 0, 30, 400)}
	for range rapid.IntRange(0, 2).Draw(m.T, label+" restarts") {
		at := time.Duration(rapid.IntRange(0, int(m.now/time.Millisecond)).Draw(m.T, label+" at")) * time.Millisecond
		w.Restarts = append(w.Restarts, Restart{At: at, Old: drawTime(m.T, label+" old", 0, 60)})
	}
	slices.SortFunc(w.Restarts, func(a, b Restart) int { return int(a.At - b.At) })
	return w
}

// TestMadeUpHistories: a prefix that was announced, and that neither the Subnet's
// nor the operator's wish refuses, always has an announcer; and none has one that was
// never Ready.
func TestMadeUpHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMaker(t)
		trace := m.make()
		var changes []Change
		for _, n := range m.nodes {
			mine, err := Play(trace, Want{}, n.name, m.way(n.name))
			if err != nil {
				t.Fatal(err)
			}
			changes = append(changes, mine...)
		}
		if wrong := m.judge(changes); len(wrong) > 0 {
			t.Fatalf("%s\n%s\n%s", strings.Join(wrong, "\n"), m.story(), Timeline(changes))
		}
	})
}

// settled is after how long the slowest node has heard of a change, and believes it.
const settled = 2 * time.Second

// judge gives what is wrong with the announcements.
func (m *maker) judge(changes []Change) []string {
	by := map[netip.Prefix][]stretch{}
	for at, there := range announcedBy(changes) {
		by[at.prefix] = append(by[at.prefix], there...)
	}
	var out []string
	for p, announced := range by {
		for i, wish := range m.wishes[p] {
			if i > 0 {
				// Until then what was before may still be withdrawn.
				wish.from += settled
			}
			first := end
			for _, a := range announced {
				if a.to > wish.from {
					first = min(first, max(a.from, wish.from))
				}
			}
			if left := subtract(stretch{first, wish.to}, announced); len(left) > 0 {
				out = append(out, fmt.Sprintf("nobody announces %s %s", p, shown(left)))
			}
		}
		first := slices.MinFunc(announced, func(a, b stretch) int { return int(a.from - b.from) }).from
		if !slices.ContainsFunc(m.ready[p], func(s stretch) bool { return s.from <= first }) {
			out = append(out, fmt.Sprintf("%s is announced at %s, and was never Ready before", p, word(first)))
		}
	}
	slices.Sort(out)
	return out
}

// story prints the events for people.
func (m *maker) story() string {
	var b strings.Builder
	for _, e := range m.events {
		var o struct {
			Metadata struct {
				Annotations       map[string]string
				DeletionTimestamp string
			}
			Spec struct {
				VPC, GatewayType, GatewayNode string
				EnableECMP                    bool `json:"enableEcmp"`
				NATOutgoing                   bool
			}
			Status struct {
				ActivateGateway string
				Conditions      []struct{ Type, Status, Reason string }
			}
		}
		if err := json.Unmarshal(e.Object, &o); err != nil {
			m.Fatal(err)
		}
		fmt.Fprintf(&b, "  %9s  %s %s", word(e.At), e.Type, e.Name)
		if e.Kind == "Subnet" {
			fmt.Fprintf(&b, " %s %s ecmp=%t nat=%t vpc=%s advertise=%s deleted=%s active=%q", o.Spec.GatewayType, o.Spec.GatewayNode, o.Spec.EnableECMP,
				o.Spec.NATOutgoing, o.Spec.VPC, o.Metadata.Annotations["fairway.dev/advertise"], o.Metadata.DeletionTimestamp, o.Status.ActivateGateway)
		}
		for _, c := range o.Status.Conditions {
			fmt.Fprintf(&b, " %s=%s %s", c.Type, c.Status, c.Reason)
		}
		b.WriteString("\n")
	}
	return b.String()
}
