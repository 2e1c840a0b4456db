// Package objectstest has the texts of objects that the tests of more than one room
// read.
package objectstest

import (
	"strings"
	"testing"
)

// Subnets are the two of Kube-OVN's page on routes in overlay mode: as a user
// applies them, without anything that a controller adds.
const Subnets = `apiVersion: kubeovn.io/v1
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

// BGPPeer is a BGPPeer with the given lines of spec.
func BGPPeer(name string, spec ...string) string {
	return "---\napiVersion: fairway.dev/v1alpha1\nkind: BGPPeer\nmetadata:\n  name: " + name +
		"\nspec:\n  " + strings.Join(spec, "\n  ") + "\n"
}

// A BGPPeer needs an address and an AS; the head of a Secret lacks its data.
const (
	PeerAddress = "peerAddress: 10.0.0.1"
	PeerASN     = "peerASN: 65000"
	SecretHead  = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: md5}\n"
)

// AddSeeds gives a fuzzer inputs from which it finds its way.
func AddSeeds(f *testing.F) {
	for _, s := range []string{
		Subnets,
		BGPPeer("tor-a", PeerAddress, PeerASN, "families: [ipv4-unicast]", "holdTime: 9s", "passwordSecretRef: {name: md5}", "attributes: {communities: ['1:2'], med: 5}"),
		SecretHead + "data: {password: eA==}\n",
		"kind: SubnetList\napiVersion: kubeovn.io/v1\nitems: [{metadata: {name: a}, spec: {gatewayNodeSelectors: [{matchLabels: {a: b}}]}}]\n",
		"kind: List\nitems: [null, 5, {kind: List, items: []}]\n",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {ovn.kubernetes.io/ip_address: 10.0.0.1, ovn.kubernetes.io/logical_switch: s}}\nspec: {nodeName: n}\n",
		"apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {a: 5}}\nstatus: {addresses: [{type: InternalIP, address: 1.2.3.4}]}\n",
		"a: &a [*a]\n", "? {a: b}\n: c\n", "--- |\n x\n...\n", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"é"}}`, "a: b\n...\n%YAML 1.1\n--- !!binary x\n",
	} {
		f.Add([]byte(s))
	}
}
