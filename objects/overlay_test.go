package objects_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/routes"
)

func batch(text string) []objects.Batch {
	return []objects.Batch{{Objects: objects.Parse("objects.yaml", []byte(text))}}
}

// laid gives the values once a change has been laid over what is there.
func laid(t *testing.T, base, change string, prune bool) (objects.Lists, []string) {
	t.Helper()
	batches, remarks := objects.Overlay(batch(base), batch(change), prune, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	_, values := objects.Assemble(batches, nil, func(string) error { return nil })
	return values.Lists(), remarks
}

const runningSubnet = `
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: blue, creationTimestamp: "2026-01-01T00:00:00Z", annotations: {fairway.dev/advertise: "true", fairway.dev/med: "5"}}
spec: {cidrBlock: 10.1.0.0/16, vpc: ovn-cluster, provider: ovn, gatewayType: centralized, gatewayNode: "n1,n2"}
status: {activateGateway: n2, conditions: [{type: Validated, status: "True"}, {type: Ready, status: "True"}]}
`

// TestChangedObjectLosesWhatOthersWroteIntoIt: a manifest has neither a status nor what a
// controller fills in.
func TestChangedObjectLosesWhatOthersWroteIntoIt(t *testing.T) {
	const head = "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: blue, annotations: {fairway.dev/advertise: \"true\"}}\n"
	d, remarks := laid(t, runningSubnet, head+`spec: {cidrBlock: 10.1.0.0/16, gatewayType: centralized, gatewayNode: "n1,n2"}`, false)
	s := d.Subnets[0]
	if s.VPC != "ovn-cluster" || s.Provider != "ovn" || !s.Validated || !s.Ready || s.ActiveGateway != "n2" || s.Created.Year() != 2026 || s.Created.Month() != 1 {
		t.Errorf("%+v", s.Subnet)
	}
	if len(remarks) != 1 || !strings.Contains(remarks[0], "Subnet blue: the new one lacks fairway.dev/med") {
		t.Errorf("what is left out: %q", remarks)
	}
	d, _ = laid(t, runningSubnet, head+`spec: {cidrBlock: 10.1.0.0/16, gatewayType: centralized, gatewayNode: "n1,n3"}`, false)
	if s := d.Subnets[0]; s.ActiveGateway != "" || s.Formatted {
		t.Errorf("the active gateway is no gateway any more, and stays: %+v", s)
	}
}

func TestChangedNodeLosesItsLabels(t *testing.T) {
	d, _ := laid(t, `
{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {rack: a}, annotations: {ovn.kubernetes.io/allocated: "true"}}, spec: {taints: [{key: k, effect: NoSchedule}]},
 status: {addresses: [{type: InternalIP, address: 192.0.2.1}], conditions: [{type: Ready, status: "True"}]}}`,
		`{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {zone: b}, annotations: {fairway.dev/drain: "true"}}}`, false)
	n := d.Nodes[0]
	if n.Labels["rack"] != "a" || n.Labels["zone"] != "b" || !n.Ready || !n.Allocated || len(n.InternalIPs) != 1 || len(n.Taints) != 1 || n.Annotations[routes.AnnotationDrain] != "true" {
		t.Errorf("%+v", n)
	}
}

func TestPruneDeletesOfOtherKinds(t *testing.T) {
	const base = runningSubnet + `
---
{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: tor-a}, spec: {peerAddress: 192.0.2.1, peerASN: 65000}}
---
{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: tor-b}, spec: {peerAddress: 192.0.2.2, peerASN: 65000}}
`
	const change = `{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: tor-b}, spec: {peerAddress: 192.0.2.2, peerASN: 65001}}`
	for prune, want := range map[bool]int{false: 2, true: 1} {
		d, _ := laid(t, base, change, prune)
		if len(d.Subnets) != 1 || len(d.Peers) != want || d.Peers[want-1].PeerASN != 65001 {
			t.Errorf("prune %t: %d Subnets, BGPPeers %+v", prune, len(d.Subnets), d.Peers)
		}
	}
}

// TestNewObjectCountsAsOlderThanWhatIsThere: of two that overlap, or have one address, the
// older goes first.
func TestNewObjectCountsAsOlderThanWhatIsThere(t *testing.T) {
	d, _ := laid(t, runningSubnet, "{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: a-new-one}, spec: {cidrBlock: 10.1.0.0/24}}", false)
	if a, b := d.Subnets[0], d.Subnets[1]; !a.Created.After(b.Created) {
		t.Errorf("%s is of %s, and %s of %s", a.Name, a.Created, b.Name, b.Created)
	}
}
