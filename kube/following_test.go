package kube

import (
	"context"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/routes"
)

// TestAViewIsNotReadyWithoutAListThatCameDuringTheLook: a daemon that took it for complete
// would begin its sessions without the routes of what it has not seen.
func TestAViewIsNotReadyWithoutAListThatCameDuringTheLook(t *testing.T) {
	p := NewPlayback(LiveOptions{Settings: routes.DefaultSettings, Node: "n1"})
	play(t, p, "ADDED", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}`)
	play(t, p, "ADDED", `{"apiVersion":"kubeovn.io/v1","kind":"Subnet","metadata":{"name":"blue","annotations":{"fairway.dev/advertise":"true","fairway.dev/mode":"pods"}},"spec":{"cidrBlock":"10.1.0.0/16"}}`)
	now := time.Now()
	p.live = NewLive(p.options)
	p.state = newFollowing(p.live, now)
	nodes := p.state.base[0]
	p.state.follow = func(_ context.Context, f *feed) {
		switch {
		case f.kind == objects.KindPod:
			// The Subnets have been looked at, and Pods are followed because of them.
			p.list(nodes)
			p.list(f)
		case f != nodes:
			p.list(f)
		}
	}
	p.state.begin(t.Context())
	p.state.pass(t.Context(), now)
	if v, ok := p.live.Latest(); ok {
		t.Errorf("ready with %d Nodes and %d Subnets", len(v.Snapshot.Nodes), len(v.Snapshot.Subnets))
	}
	if v, _, ok := p.Look(now); !ok || len(v.Snapshot.Nodes) != 1 || len(v.Snapshot.Subnets) != 1 {
		t.Errorf("ready %t, waiting %q, %d Nodes", ok, v.Waiting, len(v.Snapshot.Nodes))
	}
}
