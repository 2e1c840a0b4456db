package objects

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/bfd"
	"github.com/fairway-bgp/fairway/objects/objectstest"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

func TestSubnetFields(t *testing.T) {
	c := convert(t, `apiVersion: kubeovn.io/v1
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

func TestNode(t *testing.T) {
	c := convert(t, `kind: NodeList
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
		{Name: "n0"},
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
		for _, text := range [][]byte{[]byte(text), Trim("kubeovn.io/v1", KindSubnet, []byte(text))} {
			d, ok := Read(text).Value.(*Subnet)
			if got := fmt.Sprint(d.Validated, d.Ready, " ", d.ReadyAt, " ", d.GatewayVerdict); !ok || got != tc.want {
				t.Errorf("%s: %q, want %q", text, got, tc.want)
			}
		}
	}
}

func TestVlans(t *testing.T) {
	if c := convert(t, objectstest.Subnets); c.Snapshot.Vlans != nil {
		t.Errorf("without any Vlan %v is known", c.Snapshot.Vlans)
	}
	c := convert(t, `apiVersion: kubeovn.io/v1
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
			c := convert(t, tc.text)
			var got []string
			for _, p := range Parse("pod.yaml", []byte(tc.text))[0].Value.([]routes.Pod) {
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
	c := convert(t, objectstest.BGPPeer("tor-a", objectstest.PeerAddress, objectstest.PeerASN))
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
	c := convert(t, objectstest.BGPPeer("tor-a", "peerAddress: '2001:db8::1'", "peerASN: 4200000000", "localASN: 65001",
		"nodeSelector: {matchLabels: {rack: a}, matchExpressions: [{key: gpu, operator: DoesNotExist}]}",
		"port: 1179", "sourceAddress: '2001:db8::2'", "passwordSecretRef: {name: md5, key: tor}", "ebgpMultihop: true", "passive: true",
		"holdTime: 10s", "connectRetryTime: 1m", "families: [ipv6-unicast, ipv4-unicast]", "extendedNextHop: true",
		"gracefulRestart: {}", "maxPodPrefixes: 200", "bfd: {transmitInterval: 50ms, receiveInterval: 1s}", "attributes: {communities: ['65000:2', no-export, '65000:1:2', '65000:2'], med: 50, localPref: 4294967295, asPathPrepend: 16}",
	)+objectstest.SecretHead+"stringData: {tor: hunter2}\n")
	want := policy.Peer{
		Name: "tor-a", LocalASN: 65001, PasswordSecret: "md5",
		Nodes: routes.Selector{MatchLabels: map[string]string{"rack": "a"}, MatchExpressions: []routes.Requirement{{Key: "gpu", Operator: "DoesNotExist"}}},
		SessionSettings: policy.SessionSettings{
			Address: netip.MustParseAddr("2001:db8::1"), Port: 1179, PeerASN: 4200000000,
			SourceAddress: netip.MustParseAddr("2001:db8::2"), Password: "hunter2", EBGPMultihop: true, Passive: true,
			HoldTime: 10 * time.Second, KeepaliveTime: 3 * time.Second, ConnectRetryTime: time.Minute,
			Families: []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast}, ExtendedNextHop: true,
			GracefulRestartTime: 120 * time.Second, MaxPodPrefixes: 200,
			BFD: bfd.Settings{Transmit: 50 * time.Millisecond, Receive: time.Second, Multiplier: 3},
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
	c := convert(t, objectstest.BGPPeer("tor-a", objectstest.PeerAddress, objectstest.PeerASN, "gracefulRestart: {enabled: false, restartTime: 60s}"))
	if got := c.Snapshot.Peers[0].GracefulRestartTime; got != 0 || len(c.Problems) > 0 {
		t.Errorf("%s, %v", got, c.Problems)
	}
}

// Of two BGPPeers with one address, the older counts; the name decides only
// where there is no age.
func TestOlderPeerKeepsTheAddress(t *testing.T) {
	dated := func(name, created string) string {
		return strings.Replace(objectstest.BGPPeer(name, objectstest.PeerAddress, objectstest.PeerASN), "name: "+name, "name: "+name+"\n  creationTimestamp: "+created, 1)
	}
	c := convert(t, dated("a", "2026-02-01T00:00:00Z")+dated("b", "2026-01-01T00:00:00Z"))
	if len(c.Snapshot.Peers) != 1 || c.Snapshot.Peers[0].Name != "b" {
		t.Errorf("peers %v", c.Snapshot.Peers)
	}
}

// The order of documents changes nothing but which of two same ones counts.
func TestOrderDoesNotMatter(t *testing.T) {
	docs := strings.Split(objectstest.Subnets+objectstest.BGPPeer("tor-b", "peerAddress: 10.0.0.2", objectstest.PeerASN)+objectstest.BGPPeer("tor-a", objectstest.PeerAddress, objectstest.PeerASN, "passwordSecretRef: {name: md5}")+
		objectstest.SecretHead+"stringData: {password: x}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\n", "---\n")
	want := convert(t, strings.Join(docs, "---\n")).Snapshot
	slices.Reverse(docs)
	if got := convert(t, strings.Join(docs, "---\n")).Snapshot; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
}
