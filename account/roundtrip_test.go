package account

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/policy/policytest"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// TestWhatIsReadIsWhatWasWritten makes up clusters, has every node plan and write its
// Speaker, and reads from the Speakers what the nodes' own pictures say.
func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	cut, completed := 0, 0
	for seed := range uint64(100) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := madeUp(rand.New(rand.NewPCG(seed, 8)))
			var speakers []v1alpha1.Speaker
			for _, p := range m.pictures {
				s := throughTheAPIServer(t, p.Node, SpeakerStatus(p))
				if !listsAllAnnounced(s) || !listsAllWithheld(s) {
					cut++
					completed += completedIsWhole(t, m, p, s)
				}
				speakers = append(speakers, *s)
				countsAreWhole(t, p, s)
				historyIsTheDaemonsOwn(t, m, p, s)
				drainIsAsFar(t, p, s)
				complaintsAreOfWhatIsWrong(t, p, s)
				nothingIsLeftAfterTheFarewell(t, p)
			}
			nodesSayWhatTheyDo(t, m, speakers)
			aloneIsWhatNoOtherPlanHas(t, m, speakers)
		})
	}
	if cut < 20 {
		t.Errorf("%d Speakers were cut short: too few to tell", cut)
	}
	if completed < 10 {
		t.Errorf("%d lists of %d Speakers that were cut short could be completed: too few to tell", completed, cut)
	}
}

// completedIsWhole counts the lists of a Speaker that the plan completes: they are what the
// node would have written with room for all, and the others are as it wrote them.
func completedIsWhole(t *testing.T, m made, p *status.Status, s *v1alpha1.Speaker) (completed int) {
	t.Helper()
	got := Complete(s, m.snapshot).Status
	want := s.DeepCopy().Status
	if len(got.Announced.First) > len(want.Announced.First) {
		want.Announced = announcedUpTo(p, len(p.Plan.Adverts))
		completed++
	}
	if len(got.Withheld.First) > len(want.Withheld.First) {
		want.Withheld = withheldUpTo(p.Plan.Withheld, len(p.Plan.Withheld))
		completed++
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: completed %+v\nwant %+v", p.Node, got, want)
	}
	return completed
}

// throughTheAPIServer gives a Speaker as it comes back from an API server, with its
// conditions dated.
func throughTheAPIServer(t *testing.T, node string, s v1alpha1.SpeakerStatus) *v1alpha1.Speaker {
	t.Helper()
	for i := range s.Conditions {
		s.Conditions[i].LastTransitionTime = metav1.NewTime(drainBegan())
	}
	text, err := json.Marshal(v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: node}, Status: s})
	if err != nil {
		t.Fatal(err)
	}
	var out v1alpha1.Speaker
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s.Sessions, out.Status.Sessions) {
		t.Errorf("sessions changed on the way, so that they would be written again:\n%+v\n%+v", s.Sessions, out.Status.Sessions)
	}
	return &out
}

func drainBegan() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func countsAreWhole(t *testing.T, p *status.Status, s *v1alpha1.Speaker) {
	t.Helper()
	up := 0
	for _, e := range p.Sessions {
		if e.Established() {
			up++
		}
	}
	got := []int{int(s.Status.Established), int(s.Status.Configured), int(s.Status.Announced.Count), int(s.Status.Withheld.Count)}
	if want := []int{up, len(p.Sessions), len(p.Plan.Adverts), len(p.Plan.Withheld)}; !slices.Equal(got, want) {
		t.Errorf("%s: up, sessions, announced, withheld: %v, want %v", p.Node, got, want)
	}
}

// historyIsTheDaemonsOwn compares the roles with what the daemon itself remembers.
func historyIsTheDaemonsOwn(t *testing.T, m made, p *status.Status, s *v1alpha1.Speaker) {
	t.Helper()
	got, own := History(s, m.snapshot.Subnets), policy.Memory{}.Remember(m.seenBy(p.Node), p.Plan).History()
	if whole := len(p.Plan.Adverts) <= mostListed; got.Known != whole {
		t.Errorf("%s announces %d: the history is known: %t", p.Node, len(p.Plan.Adverts), got.Known)
	}
	for _, sub := range m.snapshot.Subnets {
		for _, cidr := range sub.CIDRs {
			is, want := got.Prefix(sub.Name, cidr), own.Prefix(sub.Name, cidr)
			if (is.Role != want.Role || is.Whole != want.Whole) && (got.Known || is.Role != "") {
				t.Errorf("%s: %s of %s: role %q, whole to %q, want %q and %q", p.Node, cidr, sub.Name, is.Role, is.Whole, want.Role, want.Whole)
			}
		}
	}
}

func drainIsAsFar(t *testing.T, p *status.Status, s *v1alpha1.Speaker) {
	t.Helper()
	got, ok := DrainOf(s)
	if ok != p.Draining || got.Stage != p.DrainStage() || got.Request != p.DrainRequest || got.Done != (p.DrainStage() == status.NothingAnnounced) {
		t.Errorf("%s: %+v, want draining %t, stage %q, request %q", p.Node, got, p.Draining, p.DrainStage(), p.DrainRequest)
	}
	if want := columns.Cut(p.DrainText(), mostMessage); got.Text != want {
		t.Errorf("%s: %q, want %q", p.Node, got.Text, want)
	}
	wait := time.Duration(0)
	if !p.DrainUntil.IsZero() {
		wait = p.DrainUntil.Truncate(time.Second).Sub(drainBegan())
	}
	if got.Wait() != wait {
		t.Errorf("%s waits %s, want %s", p.Node, got.Wait(), wait)
	}
}

func complaintsAreOfWhatIsWrong(t *testing.T, p *status.Status, s *v1alpha1.Speaker) {
	t.Helper()
	well := len(p.Degraded()) == 0
	stuck := len(p.Plan.Adverts) == 0 && slices.ContainsFunc(p.Plan.Withheld, func(w policy.Withheld) bool { return slices.Contains(KnownToNodeAlone(), w.Reason) })
	if got := (Heartbeats{}).Complaints(s, nil); (len(got) == 0) != (well && !stuck) {
		t.Errorf("%s is well: %t, and is stuck: %t; complaints: %q", p.Node, well, stuck, got)
	}
}

func nothingIsLeftAfterTheFarewell(t *testing.T, p *status.Status) {
	t.Helper()
	before := SpeakerStatus(p)
	s := throughTheAPIServer(t, p.Node, Farewell(before))
	_, drains := DrainOf(s)
	if !Stopped(s) || drains || s.Status.Announced.Count != 0 || s.Status.Established != 0 || s.Status.RouterID != before.RouterID {
		t.Errorf("%s after the farewell: %+v", p.Node, s.Status)
	}
	if Stopped(throughTheAPIServer(t, p.Node, before)) {
		t.Errorf("%s has stopped before the farewell", p.Node)
	}
	for i, c := range s.Status.Conditions {
		if c.Type != before.Conditions[i].Type || c.Reason != v1alpha1.ReasonStopped || (c.Status == metav1.ConditionFalse) != (c.Type == v1alpha1.ConditionReady) {
			t.Errorf("%s after the farewell: %+v", p.Node, c)
		}
	}
	if got := (Heartbeats{}).Complaints(s, nil); len(got) != 1 || !strings.Contains(got[0], "has stopped") {
		t.Errorf("%s after the farewell: complaints %q", p.Node, got)
	}
}

// nodesSayWhatTheyDo explains everything by the objects alone, and compares what is
// left after the nodes' own words with the plans that they carry out.
func nodesSayWhatTheyDo(t *testing.T, m made, speakers []v1alpha1.Speaker) {
	t.Helper()
	for i, p := range m.pictures {
		objects := m.seenBy(p.Node)
		objects.Live = nil
		whole := listsAllAnnounced(&speakers[i]) && listsAllWithheld(&speakers[i])
		for j := i; j < len(m.snapshot.Subnets); j += 5 { // to explain all of them takes long
			for _, e := range Compare(policy.Why(objects, p.Node, m.snapshot.Subnets[j].Name), speakers, Heartbeats{}) {
				does := announces(p, e.Subnet, netip.MustParsePrefix(e.Prefix))
				switch {
				case whole && e.Announced() != does:
					t.Errorf("%s of %s on %s: announced %t, want %t (%+v)", e.Prefix, e.Subnet, e.Node, e.Announced(), does, e.Says)
				case !e.Announced() && does:
					t.Errorf("%s of %s on %s is announced, and not by a list that is cut short (%+v)", e.Prefix, e.Subnet, e.Node, e.Says)
				}
			}
		}
	}
}

// announces reports whether a router has been sent a CIDR, or Pods of it.
func announces(p *status.Status, subnet string, cidr netip.Prefix) bool {
	return slices.ContainsFunc(p.Plan.Adverts, func(a *policy.Advert) bool { return a.Subnet == subnet && cidr.Overlaps(a.Prefix) && p.Sent(a) })
}

// aloneIsWhatNoOtherPlanHas holds where everything is listed, or the objects tell the
// rest: nobody knows what a node's datapath holds back beyond the end of its list.
func aloneIsWhatNoOtherPlanHas(t *testing.T, m made, speakers []v1alpha1.Speaker) {
	t.Helper()
	if m.datapathDown && slices.ContainsFunc(speakers, func(s v1alpha1.Speaker) bool { return !listsAllAnnounced(&s) }) {
		return
	}
	want := map[string]bool{}
	first, others := m.pictures[0], m.pictures[1:]
	for _, a := range first.Plan.Adverts {
		elsewhere := slices.ContainsFunc(others, func(p *status.Status) bool {
			return !p.Draining && p.Sessions[0].Established() && slices.ContainsFunc(p.Plan.Adverts, func(b *policy.Advert) bool {
				return a.Subnet == b.Subnet && a.Prefix == b.Prefix
			})
		})
		if a.Role == routes.RolePod || !elsewhere {
			want[fmt.Sprint(a.Subnet, " ", a.Prefix)] = true
		}
	}
	got := map[string]bool{}
	for _, alone := range (Cluster{Snapshot: m.snapshot, Speakers: speakers}).AnnouncedAloneBy(first.Node) {
		for _, p := range alone.Prefixes {
			got[fmt.Sprint(alone.Subnet, " ", p)] = true
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s announces alone %v, want %v", first.Node, got, want)
	}
}

// made is a made-up cluster, and the picture of each of its nodes.
type made struct {
	snapshot     policy.Snapshot
	live         map[string]*routes.Live
	datapathDown bool
	pictures     []*status.Status
}

// madeUp draws a cluster of few or many Subnets of every kind, and what goes wrong.
func madeUp(r *rand.Rand) made {
	var subnets []*routes.Subnet
	for i := range []int{3, 20, 49, 50, 51, 80}[r.IntN(6)] {
		subnets = append(subnets, madeUpSubnet(r, i))
	}
	m := made{snapshot: policytest.Cluster(subnets...), live: map[string]*routes.Live{}, datapathDown: r.IntN(3) == 0}
	m.snapshot.At = drainBegan()
	m.snapshot.Peers[0].Families = []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast}
	m.snapshot.Peers[0].MaxPodPrefixes = uint32(r.IntN(3))
	var pods []routes.Pod
	for i := range m.snapshot.Nodes {
		n := &m.snapshot.Nodes[i]
		n.InternalIPs = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i+1))}
		if r.IntN(4) == 0 {
			n.Annotations = map[string]string{routes.AnnotationDrain: "true", routes.AnnotationDrainRequest: fmt.Sprint("request ", r.Uint32())}
		}
		for j := range subnets {
			pods = append(pods, routes.Pod{Namespace: "default", Name: fmt.Sprint("p", i, j), Node: n.Name, Subnet: subnets[j].Name,
				Addresses: []netip.Addr{
					netip.AddrFrom4([4]byte{10, byte(j), byte(r.IntN(256)), byte(10 * (i + 1))}), netip.AddrFrom4([4]byte{10, byte(j), byte(r.IntN(256)), byte(10*(i+1) + 2)}),
				}})
		}
		m.live[n.Name] = &routes.Live{DatapathDown: map[netip.Prefix]string{}}
		for j := range subnets {
			if m.datapathDown && r.IntN(5) == 0 {
				m.live[n.Name].DatapathDown[subnets[j].CIDRs[0]] = "no route by ovn0"
			}
		}
	}
	m.snapshot.Pods = routes.PodsOf(pods...)
	for _, n := range m.snapshot.Nodes {
		m.pictures = append(m.pictures, m.picture(r, n))
	}
	return m
}

// madeUpSubnet draws what the objects can say of the i-th Subnet.
func madeUpSubnet(r *rand.Rand, i int) *routes.Subnet {
	cidr := fmt.Sprintf("10.%d.0.0/16", i)
	if r.IntN(3) == 0 {
		cidr += fmt.Sprintf(",fd00:%x::/64", i+1)
	}
	s := policytest.Distributed(fmt.Sprintf("s%03d", i), cidr)
	if r.IntN(2) == 0 {
		s.GatewayType, s.GatewayNode, s.ActiveGateway = routes.Centralized, "n1,n2", []string{"n1", "n2"}[r.IntN(2)]
		s.EnableECMP = r.IntN(3) == 0
		if r.IntN(3) == 0 {
			s.Annotations[routes.AnnotationStandby] = "true"
		}
	}
	if r.IntN(4) == 0 {
		s.Annotations[routes.AnnotationMode] = "pods"
	}
	s.NATOutgoing = r.IntN(8) == 0
	return s.Parsed()
}

// seenBy gives what a node plans with.
func (m made) seenBy(node string) policy.Snapshot {
	s := m.snapshot
	s.Live = m.live[node]
	return s
}

// picture draws what became of a node's plan.
func (m made) picture(r *rand.Rand, n routes.Node) *status.Status {
	s := m.seenBy(n.Name)
	p := &status.Status{Node: n.Name, Plan: policy.Make(s, n.Name), Ready: true, Audited: r.IntN(2) == 0}
	p.Speaker = status.Speaker{RouterID: n.InternalIPs[0], Originated: len(p.Plan.Adverts), InSync: r.IntN(8) > 0}
	if !p.Speaker.InSync {
		p.Speaker.Errors = []string{"add peer tor (192.0.2.254): no"}
	}
	if d, _ := routes.DrainOf(&n, s.Settings, nil); d.On() {
		p.Draining, p.DrainCause, p.DrainRequest = true, d.Cause, n.Annotations[routes.AnnotationDrainRequest]
		m.moveOn(r, p)
	}
	for _, e := range p.Plan.Sessions {
		state := []string{"Established", "Established", "Established", "Active"}[r.IntN(4)]
		p.Sessions = append(p.Sessions, status.Session{Peer: e.Peer, Address: e.Address.String(), State: state, Since: drainBegan().Add(-time.Hour - 5e8),
			Flaps: 1, LastReset: &status.Reset{At: drainBegan().Add(-time.Hour - 5e8), Why: status.Why{Reason: "bfd-down"}}})
	}
	if r.IntN(8) == 0 {
		p.Ready, p.Waiting = false, []string{"the speaker does not have everything that the plan wants"}
	}
	if r.IntN(8) == 0 {
		p.Source.StaleSince, p.Source.Problems = drainBegan(), []status.Problem{status.Stalef("Node not followed since 03:04:05Z: away")}
	}
	if r.IntN(8) == 0 {
		p.Source.Problems = []status.Problem{status.Problemf("BGPPeer tor-b: spec.peerAddress: is the address of BGPPeer tor too")}
	}
	if p.Audited {
		p.Findings = []host.Finding{{Check: "forwarding", Subject: "ipv4", State: []host.State{host.OK, host.Unknown, host.Wrong}[r.IntN(3)]}}
	}
	return p
}

// moveOn takes a drain to where it waits, or withdraws, or has withdrawn everything.
func (m made) moveOn(r *rand.Rand, p *status.Status) {
	if r.IntN(2) == 0 && len(p.Plan.Adverts) > 0 {
		p.DrainUntil = drainBegan().Add(30*time.Second + 7e8)
		return
	}
	s := m.seenBy(p.Node)
	s.DrainWait = 0
	p.Plan = policy.Make(s, p.Node)
	p.Speaker.Originated = r.IntN(2)
}
