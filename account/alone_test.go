package account

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/policy/policytest"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// announcer is a node's Speaker with one session up that lists "PREFIX SUBNET ROLE".
func announcer(node string, listed ...string) v1alpha1.Speaker {
	s := v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: node}}
	s.Status.Established, s.Status.Configured = 1, 1
	for _, text := range listed {
		f := strings.Fields(text)
		s.Status.Announced.First = append(s.Status.Announced.First, v1alpha1.AnnouncedPrefix{Prefix: f[0], Subnet: f[1], Role: f[2]})
	}
	s.Status.Announced.Count = int64(len(listed))
	return s
}

// aloneText is what goes with n1, as "SUBNET ROLE PREFIX...; ...".
func aloneText(a Cluster) string {
	var out []string
	for _, x := range a.AnnouncedAloneBy("n1") {
		out = append(out, strings.Trim(fmt.Sprint(x.Subnet, " ", x.Role, " ", x.Prefixes), "[]"))
	}
	return strings.ReplaceAll(strings.Join(out, "; "), "[", "")
}

func TestWhatOneNodeAnnouncesAlone(t *testing.T) {
	const blue = "10.1.0.0/16 blue distributed"
	condition := func(s v1alpha1.Speaker, kind, reason string) v1alpha1.Speaker {
		s.Status.Conditions = []metav1.Condition{{Type: kind, Status: metav1.ConditionFalse, Reason: reason}}
		return s
	}
	noSession := announcer("n2", blue)
	noSession.Status.Established = 0
	for _, c := range []struct {
		name   string
		change func(*Cluster)
		want   string
	}{
		{"two nodes", func(*Cluster) {}, ""},
		{"the other announces another prefix", func(a *Cluster) { a.Speakers[1] = announcer("n2", "10.2.0.0/16 blue distributed") }, "blue distributed 10.1.0.0/16"},
		{"the other stands by", func(a *Cluster) {
			a.Speakers[0], a.Speakers[1] = announcer("n1", "10.1.0.0/16 blue active"), announcer("n2", "10.1.0.0/16 blue standby")
		}, ""},
		{"the other has no Speaker", func(a *Cluster) { a.Speakers = a.Speakers[:1] }, "blue distributed 10.1.0.0/16"},
		{"the other has stopped", func(a *Cluster) {
			a.Speakers[1] = condition(a.Speakers[1], v1alpha1.ConditionReady, v1alpha1.ReasonStopped)
		}, "blue distributed 10.1.0.0/16"},
		{"the other was killed", func(a *Cluster) {
			a.Speakers[1].Status.Heartbeat = "ns/n2"
			a.Heartbeats = Heartbeats{At: time.Unix(1000, 0), Last: map[string]time.Time{"ns/n2": time.Unix(900, 0)}}
		}, "blue distributed 10.1.0.0/16"},
		{"the other has no session", func(a *Cluster) { a.Speakers[1] = noSession }, "blue distributed 10.1.0.0/16"},
		{"the other is draining, as it says", func(a *Cluster) {
			a.Speakers[1] = condition(a.Speakers[1], v1alpha1.ConditionDrained, v1alpha1.ReasonWaiting)
		}, "blue distributed 10.1.0.0/16"},
		{"the other is to drain", func(a *Cluster) {
			a.Snapshot.Nodes[1].Annotations = map[string]string{routes.AnnotationDrain: "true"}
		}, "blue distributed 10.1.0.0/16"},
		{"the other is tainted", func(a *Cluster) {
			a.Snapshot.DrainTaints, a.Snapshot.Nodes[1].Taints = []string{"leaving"}, []string{"leaving=soon"}
		}, "blue distributed 10.1.0.0/16"},
		{"the other's Node is not Ready", func(a *Cluster) { a.Snapshot.Nodes[1].Ready = false }, "blue distributed 10.1.0.0/16"},
		{"the other's Node is gone", func(a *Cluster) { a.Snapshot.Nodes = a.Snapshot.Nodes[:1] }, "blue distributed 10.1.0.0/16"},
		{"no daemon runs here", func(a *Cluster) { a.Speakers = a.Speakers[1:] }, ""},
		{"announces nothing", func(a *Cluster) { a.Speakers[0] = announcer("n1") }, ""},
		{"both families of two Subnets", func(a *Cluster) {
			a.Speakers[0] = announcer("n1", "fd00::/64 blue distributed", "10.1.0.0/16 blue distributed", "10.9.0.0/16 azure ecmp")
			a.Speakers[1] = announcer("n2")
		}, "azure ecmp 10.9.0.0/16; blue distributed 10.1.0.0/16 fd00::/64"},
		{"Pods are nobody else's", func(a *Cluster) {
			a.Speakers[0], a.Speakers[1] = announcer("n1", "10.1.0.4/32 blue pod"), announcer("n2", "10.1.0.4/32 blue pod")
		}, "blue pod 10.1.0.4/32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Cluster{Snapshot: policytest.Cluster(policytest.Distributed("blue", "10.1.0.0/16")), Speakers: []v1alpha1.Speaker{announcer("n1", blue), announcer("n2", blue)}}
			c.change(&a)
			if got := aloneText(a); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// What a Speaker is too short for, or nobody may read, is told by the plans.
func TestPlansTellWhatSpeakersDoNot(t *testing.T) {
	var subnets []*routes.Subnet
	for i := range 60 {
		subnets = append(subnets, policytest.Distributed(fmt.Sprintf("s%02d", i), fmt.Sprintf("10.%d.0.0/16", i)))
	}
	subnets[59].GatewayType, subnets[59].GatewayNode, subnets[59].ActiveGateway = routes.Centralized, "n1", "n1"
	s := policytest.Cluster(subnets...)
	s.At = time.Now()
	short := func(node string, count int64) v1alpha1.Speaker {
		out := SpeakerStatus(picture(policy.Make(s, node)))
		out.Announced.Count, out.Established = count, 1
		return v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: node}, Status: out}
	}
	if n := len(short("n1", 60).Status.Announced.First); n != mostListed {
		t.Fatalf("%d are listed", n)
	}
	const want = "s59 active 10.59.0.0/16"
	if got := aloneText(Cluster{Snapshot: s, Speakers: []v1alpha1.Speaker{short("n1", 60), short("n2", 59)}}); got != want {
		t.Errorf("with lists that are cut short: %q, want %q", got, want)
	}
	if got := aloneText(Cluster{Snapshot: s, Unreadable: true}); got != want {
		t.Errorf("without Speakers: %q, want %q", got, want)
	}
	s.Nodes[1].Ready = false
	if got := (Cluster{Snapshot: s, Unreadable: true}).AnnouncedAloneBy("n1"); len(got) != 60 {
		t.Errorf("%d Subnets hang on n1 without the other, want all", len(got))
	}
}

func picture(p policy.Plan) *status.Status {
	s := &status.Status{Node: p.Node, Plan: p}
	for _, e := range p.Sessions {
		s.Sessions = append(s.Sessions, status.Session{Peer: e.Peer, State: "Established", Address: "192.0.2.254"})
	}
	return s
}
