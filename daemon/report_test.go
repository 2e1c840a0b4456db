package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/policy/policytest"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/speaker"
)

// looks are those of a reporter of two nodes, one after the other.
type looks struct {
	reported
	at time.Time
}

// after looks again, some time after the last look.
func (l *looks) after(d time.Duration, now map[string]verdict) []report {
	l.at = l.at.Add(d)
	return l.next(now, 2, mostReported, l.at)
}

// settled looks twice, so that what is wrong has stood long enough.
func (l *looks) settled(now map[string]verdict) []report {
	return slices.Concat(l.after(reportEvery, now), l.after(reportAfter, now))
}

// TestWhatIsSecondsOldIsNoNews: Kube-OVN formats and validates a new Subnet within
// moments.
func TestWhatIsSecondsOldIsNoNews(t *testing.T) {
	good := policytest.Distributed("blue", "10.1.0.0/16")
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
		var l looks
		for i, s := range c.looks {
			var subnets []routes.Subnet
			if s != nil {
				subnets = append(subnets, *s)
			}
			var got string
			for _, r := range l.after(10*time.Second, verdicts(policytest.Cluster(subnets...))) {
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
	nat := policytest.Distributed("blue", "10.1.0.0/16")
	nat.NATOutgoing = true
	central := policytest.Distributed("blue", "10.1.0.0/16")
	central.GatewayType, central.GatewayNode, central.ActiveGateway = routes.Centralized, "n1,n2", "n2"
	nowhere := central
	nowhere.ActiveGateway = ""
	good := policytest.Distributed("blue", "10.1.0.0/16")
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
			var l looks
			if c.before != nil {
				l.settled(verdicts(policytest.Cluster(*c.before)))
			}
			var got []string
			for _, r := range l.settled(verdicts(policytest.Cluster(c.now))) {
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
		return policytest.Cluster(policytest.Distributed("blue", "10.1.0.0/16", routes.AnnotationMode, "pods"))
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
		var l looks
		if got := l.settled(verdicts(c.s)); len(got) != c.want {
			t.Errorf("%s: %+v, want %d", c.name, got, c.want)
		}
	}
}

// TestReportsOfManySubnetsAllComeInTheEnd: thirty Subnets lose their way at once.
func TestReportsOfManySubnetsAllComeInTheEnd(t *testing.T) {
	var subnets []routes.Subnet
	for i := range 30 {
		subnets = append(subnets, policytest.Distributed(fmt.Sprintf("s%02d", i), fmt.Sprintf("10.%d.0.0/16", i)))
	}
	good := verdicts(policytest.Cluster(subnets...))
	for i := range subnets {
		subnets[i].NATOutgoing = true
	}
	bad := verdicts(policytest.Cluster(subnets...))
	for _, c := range []struct {
		name  string
		looks []map[string]verdict
		want  []int
	}{
		{"at the first look", []map[string]verdict{bad, bad, bad}, []int{20, 10, 0}},
		{"from one look to the next", []map[string]verdict{good, bad, bad, bad}, []int{0, 20, 10, 0}},
		{"mended before all was told", []map[string]verdict{good, bad, good, good}, []int{0, 20, 20, 0}},
	} {
		var l looks
		var got []int
		said := map[report]int{}
		for _, now := range c.looks {
			news := l.settled(now)
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

// A BGPPeer asks for both families unless told otherwise, and many routers have one.
func TestFamilyWithoutPrefixesIsNobodysTrouble(t *testing.T) {
	plan := policy.Plan{Sessions: []policy.Session{{Peer: "tor"}}, Adverts: []policy.Advert{{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Peers: []string{"tor"}}}}
	observed := speaker.Observed{Sessions: []speaker.Session{{Peer: "tor", State: speaker.Established, NotOffered: []policy.Family{policy.IPv6Unicast}}}}
	if got := sessionStatus(observed, plan)[0]; len(got.NotOffered) != 0 || got.Trouble() != "" {
		t.Errorf("not offered %v: %s", got.NotOffered, got.Trouble())
	}
	plan.Adverts = append(plan.Adverts, policy.Advert{Prefix: netip.MustParsePrefix("fd00::/64"), Peers: []string{"tor"}})
	if got := sessionStatus(observed, plan)[0]; len(got.NotOffered) != 1 || got.Trouble() == "" {
		t.Errorf("with an IPv6 prefix: not offered %v: %s", got.NotOffered, got.Trouble())
	}
}
