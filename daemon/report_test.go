package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/policy/policytest"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/speaker"
	"github.com/fairway-bgp/fairway/status"
)

// looks are those of a reporter of two nodes, one after the other.
type looks struct {
	reported
	at time.Time
}

// after looks again, some time after the last look. Where it says that nothing waits, the
// same is no news an hour later.
func (l *looks) after(d time.Duration, now map[string]verdict) []report {
	l.at = l.at.Add(d)
	news := l.next(now, 2, mostReported, l.at)
	if later := l.reported; !l.waits {
		if missed := later.next(now, 2, mostReported, l.at.Add(time.Hour)); len(missed) > 0 {
			panic(fmt.Sprintf("nothing waits, and an hour later there is %v", missed))
		}
	}
	return news
}

// TestAReporterRestsWhereNothingWaits: ten thousand Subnets are not gone through each
// second for what was told.
func TestAReporterRestsWhereNothingWaits(t *testing.T) {
	var l looks
	now := map[string]verdict{"blue": {why: "no node is a gateway"}}
	if l.after(reportEvery, now); !l.waits {
		t.Error("what is wrong is not looked at again once it has stood long enough")
	}
	if news := l.after(reportAfter, now); len(news) != 1 || l.waits {
		t.Errorf("%v is told, and waits: %t", news, l.waits)
	}
}

// verdicts plans for every node, and asks what it has sent.
func verdicts(s policy.Snapshot, said said) map[string]verdict { return plansOf(s).after(said).subnets }

// carriedOut gives the verdicts where every node has sent all that its plan announces.
func carriedOut(s policy.Snapshot) map[string]verdict { return verdicts(s, sayingAll(s)) }

// sayingAll are nodes whose Speakers say that they have done as their plans want.
func sayingAll(s policy.Snapshot) said {
	out := said{speakers: map[string]*v1alpha1.Speaker{}}
	for _, n := range s.Nodes {
		st := &status.Status{Node: n.Name, Ready: true, Plan: policy.Make(s, n.Name)}
		for _, e := range st.Plan.Sessions {
			st.Sessions = append(st.Sessions, status.Session{Peer: e.Peer, Address: e.Address.String(), State: "Established"})
		}
		out.speakers[n.Name] = &v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: n.Name}, Status: account.SpeakerStatus(st)}
	}
	return out
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
		s := *good
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
		{"made", []*routes.Subnet{nil, bare, refused, good, good}, []string{"", "", "", "Announced", ""}},
		{"made, and never formatted", []*routes.Subnet{nil, bare, bare, bare, bare, bare}, []string{"", "", "", "", notFormatted, ""}},
		{"made, and stuck on the way", []*routes.Subnet{nil, bare, bare, halfway, halfway, halfway, halfway}, []string{"", "", "", "", notFormatted, "", ""}},
		{"withheld, and for another reason", []*routes.Subnet{bare, bare, bare, bare, refused, refused, refused, refused}, []string{"", "", "", notFormatted, "", "", "", notValidated}},
		{"a passing withdrawal", []*routes.Subnet{good, good, nat, nat, good, nat, nat, good}, []string{"", "", "", "", "", "", "", ""}},
		{"a passing warning", []*routes.Subnet{good, private, private, good, private, private, private, private, private}, []string{"", "", "", "", "", "", "", "Private", ""}},
		{"deleted and made anew", []*routes.Subnet{bare, bare, nil, bare, bare}, []string{"", "", "", "", ""}},
	} {
		var l looks
		for i, s := range c.looks {
			var subnets []*routes.Subnet
			if s != nil {
				subnets = append(subnets, s)
			}
			var got string
			for _, r := range l.after(10*time.Second, carriedOut(policytest.Cluster(subnets...))) {
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
	nowhere := *central
	nowhere.ActiveGateway = ""
	good := policytest.Distributed("blue", "10.1.0.0/16")
	private := *good
	private.Private = true
	for _, c := range []struct {
		name   string
		before *routes.Subnet
		now    *routes.Subnet
		want   string
	}{
		{"first look, announced", nil, good, ""},
		{"first look, withheld", nil, nat, "Withheld: by the plan no node announces it: NATOutgoing: spec.natOutgoing is true"},
		{"withheld from now on", good, nat, "Withheld: by the plan no node announces it: NATOutgoing: spec.natOutgoing is true"},
		{"still withheld", nat, nat, ""},
		{"withheld for another reason", nat, &nowhere, "Withheld: by the plan no node announces it: NoActiveGateway: status.activateGateway is empty: Kube-OVN has none of n1, n2 active"},
		{"announced again", nat, good, "Announced: sent to a router by 2 of 2 nodes that are to announce it"},
		{"announced by the one gateway", good, central, ""},
		{"a new warning", good, &private, "Private: spec.private is true: ACLs drop every source outside the Subnet (spec.allowSubnets is empty)"},
		{"the same warning", &private, &private, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l looks
			if c.before != nil {
				l.settled(carriedOut(policytest.Cluster(c.before)))
			}
			var got []string
			for _, r := range l.settled(carriedOut(policytest.Cluster(c.now))) {
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
	withAPod.Pods = routes.PodsOf(routes.Pod{Name: "web", Node: "n1", Subnet: "blue", Addresses: []netip.Addr{netip.MustParseAddr("10.1.0.5")}})
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
		if got := l.settled(verdicts(c.s, said{})); len(got) != c.want {
			t.Errorf("%s: %+v, want %d", c.name, got, c.want)
		}
	}
}

// TestReportsOfManySubnetsAllComeInTheEnd: thirty Subnets lose their way at once.
func TestReportsOfManySubnetsAllComeInTheEnd(t *testing.T) {
	var subnets []*routes.Subnet
	for i := range 30 {
		subnets = append(subnets, policytest.Distributed(fmt.Sprintf("s%02d", i), fmt.Sprintf("10.%d.0.0/16", i)))
	}
	good := carriedOut(policytest.Cluster(subnets...))
	for i := range subnets {
		subnets[i].NATOutgoing = true
	}
	bad := carriedOut(policytest.Cluster(subnets...))
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

// TestAnnouncedIsWhatARouterHas: with no session up nothing is announced, whatever the
// plan says.
func TestAnnouncedIsWhatARouterHas(t *testing.T) {
	cluster := policytest.Cluster(policytest.Distributed("blue", "10.1.0.0/16"))
	planned := plansOf(cluster) // once: what nodes say changes no plan
	all := func(change func(said)) map[string]verdict {
		s := sayingAll(cluster)
		change(s)
		return planned.after(s).subnets
	}
	down := func(s said, node string) {
		status := &s.speakers[node].Status
		status.Sessions[0].State, status.Sessions[0].Trouble, status.Established = "active", "connection refused", 0
		status.Announced.Sent, status.Announced.First[0].Sent, status.Announced.First[0].NotSentTo = 0, false, []string{"tor"}
	}
	up, oneDown := all(func(said) {}), all(func(s said) { down(s, "n1") })
	allDown := all(func(s said) { down(s, "n1"); down(s, "n2") })
	oneAlone := all(func(s said) { down(s, "n1"); delete(s.speakers, "n2") })
	unreadable := verdicts(cluster, said{unreadable: "no right"})
	none := verdicts(policytest.Cluster(), said{})
	const refused = "tor: the session is active: connection refused"
	for _, c := range []struct {
		name string
		// looks are 20 s apart.
		looks []map[string]verdict
		want  []string
	}{
		{"annotated, and no session", []map[string]verdict{none, allDown, allDown, allDown, allDown},
			[]string{"", "", "", "NotSent: 2 nodes are to announce it, and no router has been sent it: n1: " + refused + "; n2: " + refused, ""}},
		{"annotated, and sent", []map[string]verdict{none, allDown, up, up}, []string{"", "", "Announced: sent to a router by 2 of 2 nodes that are to announce it", ""}},
		{"on the way when the reporter begins", []map[string]verdict{allDown, up, up, allDown, allDown, allDown, up},
			[]string{"", "", "", "", "", "NotSent: 2 nodes are to announce it, and no router has been sent it: n1: " + refused + "; n2: " + refused, "Announced: sent to a router by 2 of 2 nodes that are to announce it"}},
		{"one node is enough", []map[string]verdict{none, oneDown}, []string{"", "Announced: sent to a router by 1 of 2 nodes that are to announce it"}},
		{"a moment without sessions", []map[string]verdict{up, allDown, up, allDown, up}, []string{"", "", "", "", ""}},
		{"all sessions lost, and back", []map[string]verdict{up, allDown, allDown, allDown, up},
			[]string{"", "", "", "NotSent: 2 nodes are to announce it, and no router has been sent it: n1: " + refused + "; n2: " + refused, "Announced: sent to a router by 2 of 2 nodes that are to announce it"}},
		{"one node has no daemon", []map[string]verdict{oneAlone, oneAlone, oneAlone},
			[]string{"", "", "NotSent: 2 nodes are to announce it, and no router has been sent it: n1: " + refused + "; n2: no daemon: fairway does not run there"}},
		{"Speakers cannot be read", []map[string]verdict{none, unreadable}, []string{"", "Announced: by the plan 2 of 2 nodes announce it"}},
	} {
		var l looks
		for i, now := range c.looks {
			var got []string
			for _, r := range l.after(20*time.Second, now) {
				got = append(got, r.reason+": "+r.message)
			}
			if strings.Join(got, "; ") != c.want[i] {
				t.Errorf("%s: look %d tells %q\nwant %q", c.name, i, got, c.want[i])
			}
		}
	}
}

// A BGPPeer asks for both families unless told otherwise, and many routers have one.
func TestFamilyWithoutPrefixesIsNobodysTrouble(t *testing.T) {
	plan := policy.Plan{Sessions: []policy.Session{{Peer: "tor"}}, Adverts: []*policy.Advert{{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Peers: []string{"tor"}}}}
	observed := speaker.Observed{Sessions: []speaker.Session{{Peer: "tor", State: speaker.Established, NotOffered: []policy.Family{policy.IPv6Unicast}}}}
	if got := sessionStatus(observed, plan, plannedFor(plan))[0]; len(got.NotOffered) != 0 || got.Trouble() != "" {
		t.Errorf("not offered %v: %s", got.NotOffered, got.Trouble())
	}
	plan.Adverts = append(plan.Adverts, &policy.Advert{Prefix: netip.MustParsePrefix("fd00::/64"), Peers: []string{"tor"}})
	if got := sessionStatus(observed, plan, plannedFor(plan))[0]; len(got.NotOffered) != 1 || got.Trouble() == "" {
		t.Errorf("with an IPv6 prefix: not offered %v: %s", got.NotOffered, got.Trouble())
	}
}
