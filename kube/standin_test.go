package kube

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/fairway-bgp/fairway/routes"
)

// nobody is a cluster whose API server is away.
func nobody(t *testing.T) *Cluster {
	t.Helper()
	// Port 1 (tcpmux) is nobody's: connections are refused at once.
	c, err := connect(&rest.Config{Host: "http://127.0.0.1:1"}, testNamespace)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lonely runs a Live without API server.
func lonely(t *testing.T, o LiveOptions) (live *Live, rings chan struct{}) {
	t.Helper()
	rings = make(chan struct{}, 1)
	o.Cluster, o.Settings, o.Node, o.Log = nobody(t), routes.DefaultSettings, "n1", quietLog()
	o.Bell = func(time.Time) {
		select {
		case rings <- struct{}{}:
		default:
		}
	}
	live = NewLive(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- live.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return live, rings
}

// await waits for a view.
func await(t *testing.T, live *Live, rings <-chan struct{}, want func(LiveView, bool) string) LiveView {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		v, ok := live.Latest()
		lack := want(v, ok)
		if lack == "" {
			return v
		}
		select {
		case <-rings:
		case <-late:
			t.Fatal(lack)
		}
	}
}

func TestLastStateStandsInAndExpires(t *testing.T) {
	folder := t.TempDir()
	now := time.Now()
	objects := append(someState(),
		`{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`,
		`{"apiVersion":"fairway.dev/v1alpha1","kind":"BGPPeer","metadata":{"name":"tor"},"spec":{"peerAddress":"192.0.2.9","peerASN":64512,"localASN":65000,"passwordSecretRef":{"name":"tor"}}}`)
	if err := saveState(folder, "n1", state{at: now, objects: packedState(objects)}); err != nil {
		t.Fatal(err)
	}
	live, rings := lonely(t, LiveOptions{StateDir: folder, StateMaxAge: 12 * time.Second, MassWithdrawDelay: time.Hour})
	v := await(t, live, rings, func(v LiveView, ok bool) string {
		if !ok || v.Saved.IsZero() {
			return fmt.Sprintf("waiting for %q, saved %s", v.Waiting, v.Saved)
		}
		return ""
	})
	if len(v.Snapshot.Subnets) != 1 || len(v.Snapshot.Nodes) != 1 || !v.Snapshot.Nodes[0].Ready || len(v.Snapshot.Peers) != 1 {
		t.Fatalf("%+v", v.Snapshot)
	}
	if got := string(v.Snapshot.Peers[0].Password); got != "secret" {
		t.Errorf("the password has %d characters", len(got))
	}
	if !v.Until.Equal(v.Saved.Add(12*time.Second)) || len(v.Lapses) == 0 || !strings.Contains(v.Lapses[0].Why, "does not answer") {
		t.Errorf("until %s, lapses %+v", v.Until, v.Lapses)
	}
	// Then the Subnets go, and the sessions stay.
	v = await(t, live, rings, func(v LiveView, ok bool) string {
		if !ok || len(v.Snapshot.Subnets) > 0 || !v.Expired {
			return fmt.Sprintf("ready %t, %d Subnets, expired %t", ok, len(v.Snapshot.Subnets), v.Expired)
		}
		return ""
	})
	if time.Now().Before(v.Until) || len(v.Snapshot.Peers) != 1 {
		t.Errorf("before %s; peers %d", v.Until, len(v.Snapshot.Peers))
	}
}

func TestWithoutLastStateNothingIsKnown(t *testing.T) {
	live, rings := lonely(t, LiveOptions{StateDir: t.TempDir(), StateMaxAge: time.Hour})
	await(t, live, rings, func(v LiveView, ok bool) string {
		text := strings.Join(v.Waiting, "; ")
		if ok || !strings.Contains(text, "subnets cannot be read: the API server does not answer: dial") || !strings.Contains(text, errNoState.Error()) {
			return fmt.Sprintf("ready %t, waiting for %s", ok, text)
		}
		return ""
	})
	// Longer than a start is patient.
	deadline := time.After(patience + time.Second)
	for {
		if _, ok := live.Latest(); ok {
			t.Fatal("there is something to plan with")
		}
		select {
		case <-rings:
		case <-deadline:
			return
		}
	}
}
