package main

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// TestNodesOwnWordCounts puts what the objects say beside what the Speaker says.
func TestNodesOwnWordCounts(t *testing.T) {
	speaker := func(change func(*v1alpha1.SpeakerStatus)) *v1alpha1.Speaker {
		s := &v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
		s.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "AsPlanned"}}
		change(&s.Status)
		return s
	}
	announces := func(prefix, subnet string) *v1alpha1.Speaker {
		return speaker(func(s *v1alpha1.SpeakerStatus) {
			s.Announced = v1alpha1.AnnouncedPrefixes{Count: 1, First: []v1alpha1.AnnouncedPrefix{{Prefix: prefix, Subnet: subnet}}}
		})
	}
	down := speaker(func(s *v1alpha1.SpeakerStatus) {
		s.Withheld = v1alpha1.WithheldPrefixes{Count: 1, Reasons: map[string]int64{"DatapathDown": 1}, First: []v1alpha1.WithheldPrefix{
			{Prefix: "10.1.0.0/16", Subnet: "blue", Reason: "DatapathDown", Detail: "no route by ovn0"},
		}}
	})
	many := speaker(func(s *v1alpha1.SpeakerStatus) { s.Announced.Count = 100 })
	manyDown := speaker(func(s *v1alpha1.SpeakerStatus) {
		s.Withheld = v1alpha1.WithheldPrefixes{Count: 70, Reasons: map[string]int64{"HostNotReady": 70}}
	})
	gone := speaker(func(s *v1alpha1.SpeakerStatus) {
		s.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: kube.Stopped}}
	})
	waiting := speaker(func(s *v1alpha1.SpeakerStatus) {
		s.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: "NotReady", Message: "subnets have not been read yet"}}
	})
	for _, c := range []struct {
		name      string
		planned   routes.Reason
		s         *v1alpha1.Speaker
		announced bool
		says      string
	}{
		{"both announce", "", announces("10.1.0.0/16", "blue"), true, ""},
		{"some of its Pods", "", announces("10.1.4.0/30", "blue"), true, ""},
		{"the datapath is down", "", down, false, "10.1.0.0/16 is withheld, DatapathDown: no route by ovn0"},
		{"no daemon", "", nil, false, "nothing, for it has no Speaker: fairway does not run there"},
		{"stopped", "", gone, false, "fairway has stopped on this node"},
		{"announced for another Subnet", "", announces("10.1.0.0/16", "red"), false, "10.1.0.0/16 is not announced"},
		{"nothing read yet", "", waiting, false, "10.1.0.0/16 is not announced: subnets have not been read yet"},
		{"too many to list", "", many, true, ""},
		{"too many to list, and some withheld", "", manyDown, true, "70 prefixes are withheld, HostNotReady; 10.1.0.0/16 may be among them, its list is too short to tell"},
		{"both withhold", routes.NATOutgoing, down, false, ""},
		{"a typo is no withdrawal", routes.InvalidAnnotation, announces("10.1.0.0/16", "blue"), true, "10.1.0.0/16 is announced"},
		{"old news of a node that is gone", routes.NodeNotReady, announces("10.1.0.0/16", "blue"), false, ""},
		{"withheld where no daemon is", routes.NotGateway, nil, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var speakers []v1alpha1.Speaker
			if c.s != nil {
				speakers = append(speakers, *c.s)
			}
			h := listen([]policy.Explanation{{Node: "n1", Subnet: "blue", Prefix: "10.1.0.0/16", Reason: c.planned}}, speakers)
			got := ""
			if h[0].Says != nil {
				got = h[0].Says.Text
			}
			if h[0].announced() != c.announced || got != c.says {
				t.Errorf("announced %t, says %q\nwant %t, %q", h[0].announced(), got, c.announced, c.says)
			}
			if withheldEverywhere(h) == c.announced {
				t.Errorf("withheld everywhere: %t", !c.announced)
			}
		})
	}
	var b strings.Builder
	if err := writeHeard(&b, listen([]policy.Explanation{{Node: "n1", Subnet: "blue", Prefix: "10.1.0.0/16"}}, []v1alpha1.Speaker{*down})); err != nil {
		t.Fatal(err)
	}
	if want := "\n! node n1 itself says: 10.1.0.0/16 is withheld, DatapathDown: no route by ovn0\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("%q does not end with %q", b.String(), want)
	}
	for name, c := range map[string]struct {
		s    *v1alpha1.Speaker
		want string
	}{
		"the datapath is down":     {down, "announces nothing: 10.1.0.0/16 is withheld, DatapathDown: no route by ovn0"},
		"the host, of many":        {manyDown, "announces nothing: 70 withheld, HostNotReady"},
		"announces":                {announces("10.1.0.0/16", "blue"), ""},
		"nothing to announce here": {speaker(func(*v1alpha1.SpeakerStatus) {}), ""},
	} {
		if got := strings.Join(complaintsAbout(*c.s, nil), "; "); got != c.want {
			t.Errorf("status of a node, %s: %q, want %q", name, got, c.want)
		}
	}
}
