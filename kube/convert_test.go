package kube

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// The two Subnets of Kube-OVN's page on routes in overlay mode: as a user
// applies them, without anything that a controller adds.
const seed = `apiVersion: kubeovn.io/v1
kind: Subnet
metadata:
  name: routed
spec:
  protocol: IPv4
  cidrBlock: 10.166.0.0/16
  default: false
  excludeIps:
  - 10.166.0.1
  gateway: 10.166.0.1
  gatewayType: distributed
  natOutgoing: false
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata:
  name: routed-centralized
spec:
  protocol: IPv4
  cidrBlock: 10.167.0.0/16
  default: false
  gatewayType: centralized
  gatewayNode: n1
  natOutgoing: false
`

func TestSeedSubnets(t *testing.T) {
	c := read(t, seed)
	want := []routes.Subnet{{
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

func TestSubnetFields(t *testing.T) {
	c := read(t, `apiVersion: kubeovn.io/v1
kind: Subnet
metadata:
  name: s
  creationTimestamp: "2026-01-02T03:04:05Z"
  deletionTimestamp: "2026-01-03T03:04:05Z"
  annotations:
    fairway.dev/advertise: "true"
    ovn.kubernetes.io/bgp: local
    example.org/other: x
  managedFields: [{manager: x}]
spec:
  cidrBlock: 10.0.0.0/16,fd00::/112
  vpc: v
  provider: net.default.ovn
  vlan: vlan5
  logicalGateway: true
  natOutgoing: true
  natOutgoingPolicyRules: [{action: nat}, {action: forward, match: {srcIPs: 10.0.0.1}}]
  gatewayType: centralized
  gatewayNodeSelectors:
  - matchLabels: {gw: "1"}
  - matchExpressions: [{key: rack, operator: In, values: [a, b]}]
  enableEcmp: true
  externalEgressGateway: 192.0.2.1
  private: true
  allowSubnets: [192.0.2.0/24]
  u2oFeatures: {overlayOnlyRouting: true}
  mtu: "wrong, and nothing to us"
status:
  activateGateway: n2
  v4availableIPs: 5
  conditions:
  - {type: Ready, status: "False", reason: NoActiveGatewayFound, lastUpdateTime: "2026-01-02T03:04:06Z"}
  - {type: Validated, status: "True", lastTransitionTime: never}
`)
	want := routes.Subnet{
		Name:        "s",
		Created:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Annotations: map[string]string{"fairway.dev/advertise": "true", "ovn.kubernetes.io/bgp": "local"},
		CIDRBlock:   "10.0.0.0/16,fd00::/112", VPC: "v", Provider: "net.default.ovn", VLAN: "vlan5", LogicalGateway: true,
		NATOutgoing: true, NATPolicyForwards: true, GatewayType: "centralized",
		GatewayNodeSelectors: []routes.Selector{
			{MatchLabels: map[string]string{"gw": "1"}},
			{MatchExpressions: []routes.Requirement{{Key: "rack", Operator: "In", Values: []string{"a", "b"}}}},
		},
		EnableECMP: true, ExternalEgressGateway: "192.0.2.1", Private: true, AllowSubnets: []string{"192.0.2.0/24"},
		Deleting: true, Controlled: true, Validated: true, ReadyAt: "2026-01-02T03:04:06Z", GatewayVerdict: "NoActiveGatewayFound", ActiveGateway: "n2",
	}.Parsed()
	if len(c.Problems) > 0 {
		t.Fatal(c.Problems)
	}
	if got := c.Snapshot.Subnets[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("\n%+v\nwant\n%+v", got, want)
	}
}

// What Kube-OVN's controller would have filled in, and what not.
func TestFillIn(t *testing.T) {
	selector := []routes.Selector{{MatchLabels: map[string]string{"gw": "1"}}}
	node := func(name string, ready bool, labels ...string) nodeDraft {
		n := nodeDraft{reported: true}
		n.Name, n.Ready, n.Labels = name, ready, map[string]string{}
		for _, l := range labels {
			n.Labels[l] = "1"
		}
		return n
	}
	nodes := []nodeDraft{node("n1", false, "gw"), node("n2", true), node("n3", true, "gw"), node("n4", true, "gw")}
	unreported := node("n5", false)
	unreported.reported = false
	offline := node("n6", true)
	offline.NetworkUnavailable = true
	for name, tc := range map[string]struct {
		draft subnetDraft
		nodes []nodeDraft
		want  string // vpc provider gatewayType validated activeGateway
	}{
		"empty":                      {subnetDraft{Subnet: routes.Subnet{}}, nodes, "ovn-cluster ovn distributed true -"},
		"given":                      {subnetDraft{Subnet: routes.Subnet{VPC: "v", Provider: "p", GatewayType: "centralized", GatewayNode: "n2"}}, nodes, "v p centralized true n2"},
		"with a status":              {subnetDraft{routes.Subnet{GatewayType: "centralized", GatewayNode: "n2"}, true}, nodes, "- - centralized false -"},
		"join":                       {subnetDraft{Subnet: routes.Subnet{Name: "join"}}, nodes, "- - - false -"},
		"first ready name":           {subnetDraft{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n9,n1, n3:10.0.0.1,n2"}}, nodes, "ovn-cluster ovn centralized true n3"},
		"name with IPv6":             {subnetDraft{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n1:fd00::1,n2:fd00::2"}}, nodes, "ovn-cluster ovn centralized true n2"},
		"none ready":                 {subnetDraft{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n1"}}, nodes, "ovn-cluster ovn centralized true -"},
		"by selector":                {subnetDraft{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNodeSelectors: selector}}, nodes, "ovn-cluster ovn centralized true n3"},
		"no nodes, names":            {subnetDraft{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n7,n8"}}, nil, "ovn-cluster ovn centralized true n7"},
		"no nodes, selector":         {subnetDraft{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNodeSelectors: selector}}, nil, "ovn-cluster ovn centralized true -"},
		"active given":               {subnetDraft{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n2,n3", ActiveGateway: "n3"}}, nodes, "ovn-cluster ovn centralized true n3"},
		"ecmp":                       {subnetDraft{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n2", EnableECMP: true}}, nodes, "ovn-cluster ovn centralized true -"},
		"left over on distributed":   {subnetDraft{Subnet: routes.Subnet{GatewayNode: "n2"}}, nodes, "ovn-cluster ovn distributed true -"},
		"node without conditions":    {subnetDraft{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n5"}}, []nodeDraft{unreported}, "ovn-cluster ovn centralized true n5"},
		"node's network unavailable": {subnetDraft{Subnet: routes.Subnet{GatewayType: "centralized", GatewayNode: "n6"}}, []nodeDraft{offline}, "ovn-cluster ovn centralized true -"},
	} {
		t.Run(name, func(t *testing.T) {
			subnets, _ := fillIn([]subnetDraft{tc.draft}, tc.nodes, routes.DefaultSettings)
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

func TestNode(t *testing.T) {
	c := read(t, `kind: NodeList
apiVersion: v1
items:
- metadata:
    name: n2
    labels: {rack: a}
    annotations: {fairway.dev/drain: "true", ovn.kubernetes.io/allocated: "true", volumes.kubernetes.io/x: "1"}
  spec:
    unschedulable: true
    taints: [{key: b, effect: NoSchedule}, {key: a, value: x, effect: NoSchedule}, {key: b, effect: NoExecute}]
  status:
    capacity: {cpu: nonsense!}
    addresses: [{type: Hostname, address: n2}, {type: InternalIP, address: 10.0.0.2}, {type: InternalIP, address: "fd00::2"}]
    conditions: [{type: Ready, status: "True", lastHeartbeatTime: whenever}, {type: NetworkUnavailable, status: "True"}]
- metadata: {name: n1, annotations: {ovn.kubernetes.io/allocated: "false"}}
  status: {conditions: [{type: Ready, status: "False", reason: KubeletNotReady, message: "[x, node is shutting down]"}]}
- metadata: {name: n0}
`)
	want := []routes.Node{
		{Name: "n0", Ready: true, Allocated: true},
		{Name: "n1", ShuttingDown: true},
		{
			Name: "n2", Ready: true, NetworkUnavailable: true, Labels: map[string]string{"rack": "a"},
			Annotations: map[string]string{"fairway.dev/drain": "true"}, Allocated: true, Taints: []string{"a=x", "b"},
			InternalIPs: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")},
		},
	}
	if len(c.Problems) > 0 || !reflect.DeepEqual(c.Snapshot.Nodes, want) {
		t.Errorf("%v\n%+v\nwant\n%+v", c.Problems, c.Snapshot.Nodes, want)
	}
}

func TestConditionsOfASubnet(t *testing.T) {
	for _, tc := range []struct{ conditions, want string }{
		{``, "false false  "},
		{`{"type":"Validated","status":"True"}`, "true false  "},
		{`{"type":"Ready","status":"True","lastUpdateTime":"T","reason":"ResetLogicalSwitchAclSuccess"}`, "false true T "},
		{`{"type":"Ready","status":"True","lastUpdateTime":"T","reason":"NoReadyGateway"}`, "false true T "},
		{`{"type":"Ready","status":"False","lastUpdateTime":"T","reason":"NoReadyGateway"},{"type":"Validated","status":"True"}`, "true false T NoReadyGateway"},
		{`{"type":"Ready","status":"False","lastUpdateTime":null,"reason":"ValidateLogicalSwitchFailed"}`, "false false  "},
	} {
		text := `{"apiVersion":"kubeovn.io/v1","kind":"Subnet","metadata":{"name":"s"},"spec":{},"status":{"conditions":[` + tc.conditions + `]}}`
		for _, text := range [][]byte{[]byte(text), trim(subnetResource(), []byte(text))} {
			d, ok := readPiece(text).value.(subnetDraft)
			if got := fmt.Sprint(d.Validated, d.Ready, " ", d.ReadyAt, " ", d.GatewayVerdict); !ok || got != tc.want {
				t.Errorf("%s: %q, want %q", text, got, tc.want)
			}
		}
	}
}

func TestVlans(t *testing.T) {
	if c := read(t, seed); c.Snapshot.Vlans != nil {
		t.Errorf("without any Vlan %v is known", c.Snapshot.Vlans)
	}
	c := read(t, `apiVersion: kubeovn.io/v1
kind: Vlan
metadata: {name: v7}
spec: {id: 7, provider: net1}
---
apiVersion: kubeovn.io/v1
kind: Vlan
metadata: {name: v8}
spec: {id: 8}
`)
	if want := map[string]string{"v7": "net1", "v8": ""}; len(c.Problems) > 0 || !maps.Equal(c.Snapshot.Vlans, want) {
		t.Errorf("%v, problems %v", c.Snapshot.Vlans, c.Problems)
	}
}

func TestPods(t *testing.T) {
	pod := func(annotations, spec, phase string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: d, annotations: {" + annotations + "}}\n" +
			"spec: {" + spec + "}\nstatus: {podIP: 203.0.113.1, podIPs: [{ip: 203.0.113.1}], phase: " + phase + "}\n"
	}
	const primary = "ovn.kubernetes.io/ip_address: '10.0.0.5,fd00::5', ovn.kubernetes.io/logical_switch: s"
	const secondary = "net1.d.ovn.kubernetes.io/ip_address: 10.1.0.5, net1.d.ovn.kubernetes.io/logical_switch: a"
	on := "nodeName: n1"
	for name, tc := range map[string]struct{ text, want string }{
		"primary":            {pod(primary, on, "Running"), "d/p n1 s [10.0.0.5 fd00::5]"},
		"both":               {pod(primary+", "+secondary, on, "Running"), "d/p n1 a [10.1.0.5], d/p n1 s [10.0.0.5 fd00::5]"},
		"no annotation":      {pod("", on, "Running"), ""},
		"another IPAM":       {pod("net1.d.kubernetes.io/ip_address: 10.1.0.5, net1.d.kubernetes.io/logical_switch: a", on, "Running"), ""},
		"without switch":     {pod("ovn.kubernetes.io/ip_address: 10.0.0.5", on, "Running"), ""},
		"pending, scheduled": {pod(primary, on, "Pending"), "d/p n1 s [10.0.0.5 fd00::5]"},
		"not scheduled":      {pod(primary, "", "Pending"), ""},
		"succeeded":          {pod(primary, on, "Succeeded"), ""},
		"failed":             {pod(primary, on, "Failed"), ""},
		"host network":       {pod(primary, on+", hostNetwork: true", "Running"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := read(t, tc.text)
			var got []string
			for _, p := range c.Snapshot.Pods {
				var addresses []string
				for _, a := range p.Addresses {
					addresses = append(addresses, a.String())
				}
				got = append(got, p.Namespace+"/"+p.Name+" "+p.Node+" "+p.Subnet+" ["+strings.Join(addresses, " ")+"]")
			}
			if s := strings.Join(got, ", "); s != tc.want || len(c.Problems) > 0 {
				t.Errorf("%s, want %s; problems %v", s, tc.want, c.Problems)
			}
		})
	}
}

func TestPeerDefaults(t *testing.T) {
	c := read(t, peerText("tor-a", peerAddr, peerAS))
	want := policy.Peer{Name: "tor-a", SessionSettings: policy.SessionSettings{
		Address: netip.MustParseAddr("10.0.0.1"), Port: 179, PeerASN: 65000,
		HoldTime: 90 * time.Second, KeepaliveTime: 30 * time.Second, ConnectRetryTime: 5 * time.Second,
		Families: []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast},
	}}
	if len(c.Problems) > 0 || !reflect.DeepEqual(c.Snapshot.Peers, []policy.Peer{want}) {
		t.Errorf("%v\n%+v\nwant\n%+v", c.Problems, c.Snapshot.Peers, want)
	}
}

func TestPeerFields(t *testing.T) {
	med, pref, prepend := uint32(50), uint32(4294967295), uint8(16)
	c := read(t, peerText("tor-a", "peerAddress: '2001:db8::1'", "peerASN: 4200000000", "localASN: 65001",
		"nodeSelector: {matchLabels: {rack: a}, matchExpressions: [{key: gpu, operator: DoesNotExist}]}",
		"port: 1179", "sourceAddress: '2001:db8::2'", "passwordSecretRef: {name: md5, key: tor}", "ebgpMultihop: true", "passive: true",
		"holdTime: 10s", "connectRetryTime: 1m", "families: [ipv6-unicast, ipv4-unicast]", "extendedNextHop: true",
		"gracefulRestart: {}", "attributes: {communities: ['65000:2', no-export, '65000:1:2', '65000:2'], med: 50, localPref: 4294967295, asPathPrepend: 16}",
	)+secretPre+"stringData: {tor: hunter2}\n")
	want := policy.Peer{
		Name: "tor-a", LocalASN: 65001,
		Nodes: routes.Selector{MatchLabels: map[string]string{"rack": "a"}, MatchExpressions: []routes.Requirement{{Key: "gpu", Operator: "DoesNotExist"}}},
		SessionSettings: policy.SessionSettings{
			Address: netip.MustParseAddr("2001:db8::1"), Port: 1179, PeerASN: 4200000000,
			SourceAddress: netip.MustParseAddr("2001:db8::2"), Password: "hunter2", EBGPMultihop: true, Passive: true,
			HoldTime: 10 * time.Second, KeepaliveTime: 3 * time.Second, ConnectRetryTime: time.Minute,
			Families: []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast}, ExtendedNextHop: true,
			GracefulRestartTime: 120 * time.Second,
			Defaults: policy.Defaults{
				Communities: []routes.Community{65000<<16 | 2, 0xFFFFFF01}, LargeCommunities: []routes.LargeCommunity{{GlobalAdmin: 65000, Data1: 1, Data2: 2}},
				MED: &med, LocalPref: &pref, ASPathPrepend: &prepend,
			},
		},
	}
	if len(c.Problems) > 0 || !reflect.DeepEqual(c.Snapshot.Peers, []policy.Peer{want}) {
		t.Errorf("%v\n%#v\nwant\n%#v", c.Problems, c.Snapshot.Peers, want)
	}
}

func TestGracefulRestartOff(t *testing.T) {
	c := read(t, peerText("tor-a", peerAddr, peerAS, "gracefulRestart: {enabled: false, restartTime: 60s}"))
	if got := c.Snapshot.Peers[0].GracefulRestartTime; got != 0 || len(c.Problems) > 0 {
		t.Errorf("%s, %v", got, c.Problems)
	}
}

// Of two BGPPeers with one address, the older counts; the name decides only
// where there is no age.
func TestOlderPeerKeepsTheAddress(t *testing.T) {
	dated := func(name, created string) string {
		return strings.Replace(peerText(name, peerAddr, peerAS), "name: "+name, "name: "+name+"\n  creationTimestamp: "+created, 1)
	}
	c := read(t, dated("a", "2026-02-01T00:00:00Z")+dated("b", "2026-01-01T00:00:00Z"))
	if len(c.Snapshot.Peers) != 1 || c.Snapshot.Peers[0].Name != "b" {
		t.Errorf("peers %v", c.Snapshot.Peers)
	}
}

func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	node := func(name string) string { return "apiVersion: v1\nkind: Node\nmetadata: {name: " + name + "}\n" }
	write("in/..2026/n1.yaml", node("n1"))
	write("in/b.yml", node("n2"))
	write("in/c.json", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n3"}}`)
	write("in/.hidden.yaml", node("hidden"))
	write("in/.b.yml.swp", node("swp"))
	write("in/b.yml~", node("tilde"))
	write("in/README", "no object")
	write("in/sub/d.yaml", node("sub"))
	write("in/d.yaml/e.yaml", node("folder-like-a-file"))
	outside := write("extra", "\xef\xbb\xbf%YAML 1.1\r\n---\r\n"+strings.ReplaceAll(node("n4"), "\n", "\r\n")+
		"...\n--- {apiVersion: v1, kind: Node, metadata: {name: n5}}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n"+
		"---\napiVersion: metallb.io/v1beta2\nkind: BGPPeer\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\n")
	for link, target := range map[string]string{"in/..data": "..2026", "in/a.yaml": "..data/n1.yaml"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := ReadFiles([]string{outside, filepath.Join(dir, "in"), filepath.Join(dir, "in", "b.yml")}, routes.DefaultSettings)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range c.Snapshot.Nodes {
		names = append(names, n.Name)
	}
	if want := []string{"n1", "n2", "n3", "n4", "n5"}; !slices.Equal(names, want) || len(c.Problems) > 0 {
		t.Errorf("nodes %v, want %v; problems %v", names, want, c.Problems)
	}
	if want := []string{"BGPPeer (metallb.io/v1beta2): 1", "Deployment (apps/v1): 2"}; !slices.Equal(c.Ignored, want) {
		t.Errorf("ignored %q, want %q", c.Ignored, want)
	}
	_, err = ReadFiles([]string{filepath.Join(dir, "gone")}, routes.DefaultSettings)
	if err == nil || !strings.Contains(err.Error(), "read objects: stat "+dir+"/gone: no such file") {
		t.Errorf("error %v", err)
	}
}

// The order of documents changes nothing but which of two same ones counts.
func TestOrderDoesNotMatter(t *testing.T) {
	docs := strings.Split(seed+peerText("tor-b", "peerAddress: 10.0.0.2", peerAS)+peerText("tor-a", peerAddr, peerAS, "passwordSecretRef: {name: md5}")+
		secretPre+"stringData: {password: x}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\n", "---\n")
	want := read(t, strings.Join(docs, "---\n")).Snapshot
	slices.Reverse(docs)
	if got := read(t, strings.Join(docs, "---\n")).Snapshot; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
}
