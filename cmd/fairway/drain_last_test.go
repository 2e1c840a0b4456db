package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

func TestTheLastAnnouncerIsToldWhatToDoFirst(t *testing.T) {
	prefixes := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/64")}
	for _, c := range []struct {
		name string
		sub  routes.Subnet
		want string
	}{
		{"distributed", routes.Subnet{GatewayType: routes.Distributed, GatewayNode: "n1,n2"},
			"! Subnet blue (10.1.0.0/16, fd00:1::/64): no other node announces it; `fairway why blue` says why"},
		{"one gateway", routes.Subnet{GatewayType: routes.Centralized, GatewayNode: "n1:192.0.2.1"},
			"! Subnet blue (10.1.0.0/16, fd00:1::/64): the only gateway is n1: make another node one (spec.gatewayNode)"},
		{"others could stand by", routes.Subnet{GatewayType: routes.Centralized, GatewayNode: "n1,n2,n3"},
			"! Subnet blue (10.1.0.0/16, fd00:1::/64): let its other gateways, n2, n3, announce it too: kubectl annotate subnet blue fairway.dev/standby=true; or make another node the active one (spec.gatewayNode)"},
		{"others stand by and say nothing", routes.Subnet{GatewayType: routes.Centralized, GatewayNode: "n1,n2", Annotations: map[string]string{routes.AnnotationStandby: "true"}},
			"! Subnet blue (10.1.0.0/16, fd00:1::/64): the other gateways, n2, do not announce it; `fairway why blue` says why"},
		{"ECMP", routes.Subnet{GatewayType: routes.Centralized, GatewayNode: "n1,n2", EnableECMP: true},
			"! Subnet blue (10.1.0.0/16, fd00:1::/64): the other gateways, n2, do not announce it; `fairway why blue` says why"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s policy.Snapshot
			c.sub.Name = "blue"
			s.Subnets = []*routes.Subnet{c.sub.Parsed()}
			var b bytes.Buffer
			writeLast(&b, s, "n1", []account.Alone{{Subnet: "blue", Prefixes: prefixes}}, nil)
			if got := strings.Join(strings.Fields(b.String()), " "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestDrainNamesTheSubnetsWhoseRepliesStay(t *testing.T) {
	selected := map[string]string{routes.AnnotationAdvertise: "true"}
	var s policy.Snapshot
	s.Subnets = []*routes.Subnet{
		{Name: "red", Annotations: selected, GatewayType: routes.Centralized, GatewayNode: "n1,n2", EnableECMP: true, ActiveGateway: "n2"},
		{Name: "blue", Annotations: selected, GatewayType: routes.Centralized, GatewayNode: "n1,n2", ActiveGateway: "n1"},
		{Name: "elsewhere", Annotations: selected, GatewayType: routes.Centralized, GatewayNode: "n1,n2", ActiveGateway: "n2"},
		{Name: "distributed", Annotations: selected, GatewayType: routes.Distributed, ActiveGateway: "n1"},
		{Name: "unasked", GatewayType: routes.Centralized, ActiveGateway: "n1"},
	}
	var b bytes.Buffer
	writeReplies(&b, s, "n1")
	want := "! replies of blue, red leave by the gateway n1 until Kube-OVN moves them: take n1 out of spec.gatewayNode before its machine goes down"
	if got := strings.Join(strings.Fields(b.String()), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b.Reset()
	writeReplies(&b, s, "n3")
	if b.Len() > 0 {
		t.Errorf("of a node that is no gateway: %s", b.String())
	}
}

func TestTheLastAnnouncerOfManySubnetsGetsAShortList(t *testing.T) {
	var last, pods []account.Alone
	for i := range 200 {
		last = append(last, account.Alone{Subnet: fmt.Sprint("s", i)})
		pods = append(pods, account.Alone{Subnet: fmt.Sprint("p", i), Role: routes.RolePod})
	}
	var b bytes.Buffer
	writeLast(&b, policy.Snapshot{}, "n1", last, pods)
	text := strings.Join(strings.Fields(b.String()), " ")
	if n := strings.Count(text, "! Subnet"); n != mostSubnets || !strings.Contains(text, "and 180 Subnets more") ||
		!strings.Contains(text, "Pods of p0, p1, p2, p3, p4 and 195 more on n1 are announced by n1 alone, and not reached after the withdrawal until they have moved: kubectl drain n1 first") {
		t.Errorf("%d Subnets: %s", n, text)
	}
}

func TestAWaitIsToldByTheNodesOwnClock(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	until := metav1.NewTime(began.Add(30 * time.Second))
	s := &v1alpha1.Speaker{}
	s.Status.Announced.Count, s.Status.DrainUntil = 3, &until
	s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionDrained, Status: metav1.ConditionFalse, LastTransitionTime: metav1.NewTime(began)}}
	var b bytes.Buffer
	w := drainWait{node: "n1", progress: &b}
	for _, at := range []time.Duration{-time.Hour, 6 * time.Second, 7 * time.Second, 25 * time.Second, time.Hour} {
		if whole := w.tellWait(s, began.Add(at)); whole != 30*time.Second {
			t.Errorf("%s after its begin it is said to take %s", at, whole)
		}
	}
	line := "fairway: n1 announces 3 prefixes with GRACEFUL_SHUTDOWN; withdraws in "
	if want := line + "30s\n" + line + "24s\n" + line + "5s\n" + line + "0s\n"; b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
	s.Status.DrainUntil = nil
	if whole := w.tellWait(s, began); whole != 0 {
		t.Errorf("it waits for nothing, and is said to take %s", whole)
	}
}
