package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// cluster is a Snapshot with two Nodes and one BGPPeer for both.
func cluster(subnets ...routes.Subnet) policy.Snapshot {
	var s policy.Snapshot
	s.Settings = routes.DefaultSettings
	s.Nodes = []routes.Node{{Name: "n1", Ready: true, Allocated: true}, {Name: "n2", Ready: true, Allocated: true}}
	s.Subnets = subnets
	s.Peers = []policy.Peer{{Name: "tor", LocalASN: 65000, SessionSettings: policy.SessionSettings{
		Address: netip.MustParseAddr("192.0.2.254"), PeerASN: 64512, Families: []policy.Family{policy.IPv4Unicast},
	}}}
	return s
}

func distributed(name, cidr string, annotations ...string) routes.Subnet {
	s := routes.Subnet{
		Name: name, CIDRBlock: cidr, VPC: "ovn-cluster", Provider: "ovn", GatewayType: routes.Distributed, Validated: true, Ready: true,
		Annotations: map[string]string{routes.AnnotationAdvertise: "true"},
	}
	for i := 0; i+1 < len(annotations); i += 2 {
		s.Annotations[annotations[i]] = annotations[i+1]
	}
	return s.Parsed()
}

// looks are those of a reporter of two nodes, one after the other.
type looks struct {
	ledger
	at time.Time
}

// after looks again, some time after the last look.
func (l *looks) after(d time.Duration, now map[string]verdict) []report {
	l.at = l.at.Add(d)
	return l.next(now, 2, mostReported, l.at)
}

// settled looks twice, so that what is wrong has stood long enough.
func (l *looks) settled(now map[string]verdict) []report {
	return slices.Concat(l.after(reportEvery, now), l.after(toldAfter, now))
}

// TestWhatIsSecondsOldIsNoNews: Kube-OVN formats and validates a new Subnet within
// moments.
func TestWhatIsSecondsOldIsNoNews(t *testing.T) {
	good := distributed("blue", "10.1.0.0/16")
	good.GatewayType = routes.Distributed
	change := func(f func(*routes.Subnet)) *routes.Subnet {
		s := good
		f(&s)
		return &s
	}
	bare := change(func(s *routes.Subnet) { s.VPC, s.GatewayType = "", "" })
	halfway := change(func(s *routes.Subnet) { s.GatewayType = "" })
	refused := change(func(s *routes.Subnet) { s.Validated = false })
	nat := change(func(s *routes.Subnet) { s.NATOutgoing = true })
	private := change(func(s *routes.Subnet) { s.Private = true })
	const notFormatted, notValidated = "Withheld NotFormatted: ", "Withheld NotValidated: "
	for _, c := range []struct {
		name string
		// looks are 10 s apart; nil where there is no such Subnet.
		looks []*routes.Subnet
		want  []string
	}{
		{"made", []*routes.Subnet{nil, bare, refused, &good, &good}, []string{"", "", "", "Announced", ""}},
		{"made, and never formatted", []*routes.Subnet{nil, bare, bare, bare, bare, bare}, []string{"", "", "", "", notFormatted, ""}},
		{"made, and stuck on the way", []*routes.Subnet{nil, bare, bare, halfway, halfway, halfway, halfway}, []string{"", "", "", "", notFormatted, "", ""}},
		{"withheld, and for another reason", []*routes.Subnet{bare, bare, bare, bare, refused, refused, refused, refused}, []string{"", "", "", notFormatted, "", "", "", notValidated}},
		{"a passing withdrawal", []*routes.Subnet{&good, &good, nat, nat, &good, nat, nat, &good}, []string{"", "", "", "", "", "", "", ""}},
		{"a passing warning", []*routes.Subnet{&good, private, private, &good, private, private, private, private, private}, []string{"", "", "", "", "", "", "", "Private", ""}},
		{"deleted and made anew", []*routes.Subnet{bare, bare, nil, bare, bare}, []string{"", "", "", "", ""}},
	} {
		var told looks
		for i, s := range c.looks {
			var subnets []routes.Subnet
			if s != nil {
				subnets = append(subnets, *s)
			}
			var got string
			for _, r := range told.after(10*time.Second, verdicts(cluster(subnets...))) {
				got += r.reason
				if r.reason == "Withheld" {
					_, why, _ := strings.Cut(r.message, "no node announces it: ")
					reason, _, _ := strings.Cut(why, ":")
					got += " " + reason + ": "
				}
			}
			if got != c.want[i] {
				t.Errorf("%s: look %d tells %q, want %q", c.name, i, got, c.want[i])
			}
		}
	}
}

func TestReportsTellWhatIsNew(t *testing.T) {
	nat := distributed("blue", "10.1.0.0/16")
	nat.NATOutgoing = true
	central := distributed("blue", "10.1.0.0/16")
	central.GatewayType, central.GatewayNode, central.ActiveGateway = routes.Centralized, "n1,n2", "n2"
	nowhere := central
	nowhere.ActiveGateway = ""
	good := distributed("blue", "10.1.0.0/16")
	private := good
	private.Private = true
	for _, c := range []struct {
		name   string
		before *routes.Subnet
		now    routes.Subnet
		want   string
	}{
		{"first look, announced", nil, good, ""},
		{"first look, withheld", nil, nat, "Withheld: by the plan no node announces it: NATOutgoing: spec.natOutgoing is true"},
		{"withheld from now on", &good, nat, "Withheld: by the plan no node announces it: NATOutgoing: spec.natOutgoing is true"},
		{"still withheld", &nat, nat, ""},
		{"withheld for another reason", &nat, nowhere, "Withheld: by the plan no node announces it: NoActiveGateway: status.activateGateway is empty: Kube-OVN has none of n1, n2 active"},
		{"announced again", &nat, good, "Announced: by the plan 2 of 2 nodes announce it"},
		{"announced by the one gateway", &good, central, ""},
		{"a new warning", &good, private, "Private: spec.private is true: ACLs drop every source outside the Subnet (spec.allowSubnets is empty)"},
		{"the same warning", &private, private, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told looks
			if c.before != nil {
				told.settled(verdicts(cluster(*c.before)))
			}
			var got []string
			for _, r := range told.settled(verdicts(cluster(c.now))) {
				got = append(got, r.reason+": "+r.message)
			}
			if strings.Join(got, "; ") != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestReportsSayNothingOfPodsElsewhere(t *testing.T) {
	pods := func() policy.Snapshot {
		return cluster(distributed("blue", "10.1.0.0/16", routes.AnnotationMode, "pods"))
	}
	oneDrained := pods()
	oneDrained.Nodes[1].Annotations = map[string]string{routes.AnnotationDrain: "true"}
	withAPod := pods()
	withAPod.Nodes[1].Annotations = oneDrained.Nodes[1].Annotations
	withAPod.Pods = []routes.Pod{{Name: "web", Node: "n1", Subnet: "blue", Addresses: []netip.Addr{netip.MustParseAddr("10.1.0.5")}}}
	allDrained := pods()
	for i := range allDrained.Nodes {
		allDrained.Nodes[i].Annotations = oneDrained.Nodes[1].Annotations
	}
	for _, c := range []struct {
		name string
		s    policy.Snapshot
		want int
	}{
		{"no Pod is known", pods(), 0},
		{"the other node is drained", oneDrained, 0},
		{"the other node is drained, and a Pod is here", withAPod, 0},
		{"all nodes are drained", allDrained, 1},
	} {
		var told looks
		if got := told.settled(verdicts(c.s)); len(got) != c.want {
			t.Errorf("%s: %+v, want %d", c.name, got, c.want)
		}
	}
}

// TestReportsOfManySubnetsAllComeInTheEnd: thirty Subnets lose their way at once.
func TestReportsOfManySubnetsAllComeInTheEnd(t *testing.T) {
	var subnets []routes.Subnet
	for i := range 30 {
		subnets = append(subnets, distributed(fmt.Sprintf("s%02d", i), fmt.Sprintf("10.%d.0.0/16", i)))
	}
	good := verdicts(cluster(subnets...))
	for i := range subnets {
		subnets[i].NATOutgoing = true
	}
	bad := verdicts(cluster(subnets...))
	for _, c := range []struct {
		name  string
		looks []map[string]verdict
		want  []int
	}{
		{"at the first look", []map[string]verdict{bad, bad, bad}, []int{20, 10, 0}},
		{"from one look to the next", []map[string]verdict{good, bad, bad, bad}, []int{0, 20, 10, 0}},
		{"mended before all was told", []map[string]verdict{good, bad, good, good}, []int{0, 20, 20, 0}},
	} {
		var told looks
		var got []int
		said := map[report]int{}
		for _, now := range c.looks {
			news := told.settled(now)
			got = append(got, len(news))
			for _, r := range news {
				said[r]++
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		for r, n := range said {
			if n > 1 {
				t.Errorf("%s: told %d times: %+v", c.name, n, r)
			}
		}
	}
}

func TestNewsOfANode(t *testing.T) {
	up := status.Session{Peer: "tor", Address: "192.0.2.254", State: "Established", Advertised: 1}
	down := status.Session{Peer: "tor", Address: "192.0.2.254", State: "Idle", LastError: "hold timer expired"}
	picture := func(draining bool, sessions ...status.Session) *status.Status {
		s := &status.Status{Node: "n1", Draining: draining, Sessions: sessions}
		s.Speaker.InSync = true
		if !draining {
			s.Plan.Adverts = []policy.Advert{{}}
			s.Speaker.Originated = 1
		}
		return s
	}
	quiet := up
	quiet.Advertised = 0
	waiting := picture(false, up)
	waiting.Draining, waiting.DrainUntil = true, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	last := picture(false, up)
	last.Draining = true
	stale := picture(false, up)
	stale.Source.StaleSince = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var n News
	for i, c := range []struct {
		now  *status.Status
		want []string
	}{
		{picture(false, down), nil},
		{picture(false, up), []string{"BGPSessionUp"}},
		{picture(false, up), nil},
		{picture(false, down), []string{"BGPSessionDown"}},
		{picture(false, up), []string{"BGPSessionUp"}},
		{picture(true, up), nil}, // still sent to the peer
		{picture(true, quiet), []string{"Drained"}},
		{picture(false, up), []string{"Undrained"}},
		{waiting, []string{"Draining"}},
		{waiting, nil},
		{picture(false, up), []string{"Undrained"}},
		{waiting, []string{"Draining"}},
		{last, []string{"LastAnnouncer"}},
		{picture(true, quiet), []string{"Drained"}},
		{picture(false, up), []string{"Undrained"}},
		{stale, nil},
		{picture(false, up), []string{"SourceWasStale"}},
	} {
		var got []string
		for _, e := range n.Of(c.now, "uid") {
			got = append(got, e.Reason)
			if e.Kind != "Node" || e.Name != "n1" || e.UID != "uid" {
				t.Errorf("step %d: about %+v", i, e)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("step %d: %v, want %v", i, got, c.want)
		}
	}
}

func TestSpeakerStatusIsBounded(t *testing.T) {
	s := &status.Status{Node: "n1", Ready: true}
	s.Speaker.InSync = true
	for i := range 10000 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
		s.Plan.Adverts = append(s.Plan.Adverts, policy.Advert{Prefix: p, Subnet: fmt.Sprint("s", i), Role: routes.RoleDistributed})
		s.Plan.Withheld = append(s.Plan.Withheld, policy.Withheld{Prefix: p.String(), Reason: routes.NATOutgoing, Detail: strings.Repeat("ä", 1000)})
		s.Source.Problems = append(s.Source.Problems, strings.Repeat("p", 100))
		s.Sessions = append(s.Sessions, status.Session{Peer: fmt.Sprint(i), State: "Idle", LastError: strings.Repeat("e", 1000)})
	}
	out := SpeakerStatus(s)
	if out.Announced.Count != 10000 || len(out.Announced.First) != mostListed || out.Withheld.Reasons["NATOutgoing"] != 10000 || out.Configured != 10000 {
		t.Errorf("announced %d (%d listed), withheld %v, configured %d", out.Announced.Count, len(out.Announced.First), out.Withheld.Reasons, out.Configured)
	}
	text, err := json.Marshal(out)
	if err == nil && len(text) > 64<<10 {
		err = errors.New("too large")
	}
	if err != nil {
		t.Errorf("%d bytes: %v", len(text), err)
	}
}

func TestConditions(t *testing.T) {
	s := &status.Status{Ready: true, Draining: true, DrainCause: "Node n1 has taint a", Sessions: []status.Session{{Peer: "tor", Address: "192.0.2.254", State: "Active"}}}
	s.Source.StaleSince = time.Now()
	s.Source.Stale = []string{"the API server does not answer"}
	s.Source.Problems = []string{"the API server does not answer", "BGPPeer tor-b: spec.peerAddress: is the address of BGPPeer tor too"}
	got := map[string]string{}
	for _, c := range SpeakerStatus(s).Conditions {
		got[c.Type] = string(c.Status) + " " + c.Reason + " " + c.Message
	}
	for kind, want := range map[string]string{
		ConditionReady:       "True AsPlanned ",
		ConditionSessions:    "False SessionDown tor (192.0.2.254): active",
		ConditionRoutes:      "False NotAsPlanned ",
		ConditionHost:        "Unknown NotChecked ",
		ConditionSourceFresh: "False Stale the API server does not answer",
		ConditionInputValid:  "False Problems BGPPeer tor-b: spec.peerAddress: is the address of BGPPeer tor too",
		ConditionDrained:     string(metav1.ConditionFalse) + " Withdrawing Node n1 has taint a: everything is being withdrawn",
	} {
		if got[kind] != want {
			t.Errorf("%s: %q, want %q", kind, got[kind], want)
		}
	}
}

func TestDrainedSaysHowFarItIsAndWhatStays(t *testing.T) {
	adverts := []policy.Advert{{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Subnet: "blue"}, {Prefix: netip.MustParsePrefix("10.2.0.0/16"), Subnet: "green"}}
	until := time.Date(2026, 1, 2, 3, 4, 35, 500, time.UTC)
	for _, c := range []struct {
		name    string
		adverts []policy.Advert
		until   time.Time
		want    string
	}{
		{"waits", adverts, until, "False Waiting Node n1 is shutting down: 2 prefixes with GRACEFUL_SHUTDOWN until 03:04:35Z, then withdrawn"},
		{"one stays", adverts[:1], time.Time{}, "False LastAnnouncer Node n1 is shutting down: stays announced, for no other node would announce it: 10.1.0.0/16 of blue"},
		{"is done", nil, time.Time{}, "True NothingAnnounced Node n1 is shutting down: nothing is announced"},
	} {
		s := &status.Status{Draining: true, DrainCause: "Node n1 is shutting down", DrainUntil: c.until, Plan: policy.Plan{Adverts: c.adverts}}
		s.Speaker.InSync, s.Speaker.Originated = true, len(c.adverts)
		out := SpeakerStatus(s)
		got := meta.FindStatusCondition(out.Conditions, ConditionDrained)
		if got == nil || fmt.Sprintf("%s %s %s", got.Status, got.Reason, got.Message) != c.want {
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
		if told := out.DrainUntil != nil; told == c.until.IsZero() || told && !out.DrainUntil.Equal(&metav1.Time{Time: c.until.Truncate(time.Second)}) {
			t.Errorf("%s: drainUntil %v, want %v", c.name, out.DrainUntil, c.until)
		}
	}
}
