package files

import (
	"reflect"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/objects/objectstest"
	"github.com/fairway-bgp/fairway/routes"
)

func TestSeedSubnets(t *testing.T) {
	c := read(t, objectstest.Subnets)
	want := []*routes.Subnet{{
		Name: "routed", CIDRBlock: "10.166.0.0/16", VPC: "ovn-cluster", Provider: "ovn",
		GatewayType: "distributed", Validated: true, Ready: true,
	}, {
		Name: "routed-centralized", CIDRBlock: "10.167.0.0/16", VPC: "ovn-cluster", Provider: "ovn",
		GatewayType: "centralized", GatewayNode: "n1", Validated: true, Ready: true, ActiveGateway: "n1",
	}}
	for i := range want {
		want[i] = want[i].Parsed()
	}
	if !reflect.DeepEqual(c.Snapshot.Subnets, want) {
		t.Errorf("subnets\n%+v\nwant\n%+v", c.Snapshot.Subnets, want)
	}
	if len(c.Problems)+len(c.Ignored)+len(c.Unread) > 0 {
		t.Errorf("problems %v, ignored %v, unread %v", c.Problems, c.Ignored, c.Unread)
	}
}

// What Kube-OVN's controller would have filled in, and what not.
func TestFillIn(t *testing.T) {
	selector := []routes.Selector{{MatchLabels: map[string]string{"gw": "1"}}}
	node := func(name string, ready bool, labels ...string) objects.Node {
		n := objects.Node{Reported: true}
		n.Name, n.Ready, n.Labels = name, ready, map[string]string{}
		for _, l := range labels {
			n.Labels[l] = "1"
		}
		return n
	}
	nodes := []objects.Node{node("n1", false, "gw"), node("n2", true), node("n3", true, "gw"), node("n4", true, "gw")}
	unreported := node("n5", false)
	unreported.Reported = false
	offline := node("n6", true)
	offline.NetworkUnavailable = true
	for name, tc := range map[string]struct {
		draft objects.Subnet
		nodes []objects.Node
		want  string // vpc provider gatewayType validated activeGateway
	}{
		"empty":                      {objects.Subnet{Subnet: routes.Subnet{}}, nodes, "ovn-cluster ovn distributed true -"},
		"given":                      {objects.Subnet{Subnet: routes.Subnet{VPC: "v", Provider: "p", GatewayType: "centralized", GatewayNode: "n2"}}, nodes, "v p centralized true n2"},
		"with a status":              {objects.Subnet{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n2"}, Formatted: true}, nodes, "- - centralized false -"},
		"join":                       {objects.Subnet{Subnet: routes.Subnet{Name: "join"}}, nodes, "- - - false -"},
		"first ready name":           {objects.Subnet{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n9,n1, n3:10.0.0.1,n2"}}, nodes, "ovn-cluster ovn centralized true n3"},
		"name with IPv6":             {objects.Subnet{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n1:fd00::1,n2:fd00::2"}}, nodes, "ovn-cluster ovn centralized true n2"},
		"none ready":                 {objects.Subnet{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n1"}}, nodes, "ovn-cluster ovn centralized true -"},
		"by selector":                {objects.Subnet{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNodeSelectors: selector}}, nodes, "ovn-cluster ovn centralized true n3"},
		"no nodes, names":            {objects.Subnet{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n7,n8"}}, nil, "ovn-cluster ovn centralized true n7"},
		"no nodes, selector":         {objects.Subnet{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNodeSelectors: selector}}, nil, "ovn-cluster ovn centralized true -"},
		"active given":               {objects.Subnet{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n2,n3", ActiveGateway: "n3"}}, nodes, "ovn-cluster ovn centralized true n3"},
		"ecmp":                       {objects.Subnet{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n2", EnableECMP: true}}, nodes, "ovn-cluster ovn centralized true -"},
		"left over on distributed":   {objects.Subnet{Subnet: routes.Subnet{GatewayNode: "n2"}}, nodes, "ovn-cluster ovn distributed true -"},
		"node without conditions":    {objects.Subnet{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n5"}}, []objects.Node{unreported}, "ovn-cluster ovn centralized true n5"},
		"node's network unavailable": {objects.Subnet{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n6"}}, []objects.Node{offline}, "ovn-cluster ovn centralized true -"},
	} {
		t.Run(name, func(t *testing.T) {
			subnets, _ := fillIn([]*objects.Subnet{&tc.draft}, tc.nodes, routes.DefaultSettings)
			s := subnets[0]
			var got []string
			for _, v := range []string{s.VPC, s.Provider, s.GatewayType, map[bool]string{true: "true", false: "false"}[s.Validated], s.ActiveGateway} {
				if v == "" {
					v = "-"
				}
				got = append(got, v)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("%v, want %s", got, tc.want)
			}
		})
	}
}

// Nobody watches a Node that is written by hand.
func TestNodesWithoutAStatusAreReady(t *testing.T) {
	c := read(t, "apiVersion: v1\nkind: Node\nmetadata: {name: n0}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n1, annotations: {ovn.kubernetes.io/allocated: \"false\"}}\n"+
		"status: {conditions: [{type: Ready, status: \"False\"}]}\n")
	want := []routes.Node{{Name: "n0", Ready: true, Allocated: true}, {Name: "n1"}}
	if len(c.Problems) > 0 || !reflect.DeepEqual(c.Snapshot.Nodes, want) {
		t.Errorf("%v\n%+v\nwant\n%+v", c.Problems, c.Snapshot.Nodes, want)
	}
}
