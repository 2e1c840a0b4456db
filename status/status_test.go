package status_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/status"
)

// TestProblemsAreTextInJSON: whoever reads it from another version or language.
func TestProblemsAreTextInJSON(t *testing.T) {
	s := status.Source{Kind: "api", From: []string{"x"}, Waiting: []string{}, Problems: []status.Problem{
		status.Stalef("Node not followed"),
		{Problem: objects.Problem{Severity: objects.Wrong, Object: "BGPPeer tor", Field: "spec.port", Value: "0", Message: "a TCP port is 1 to 65535"}},
	}}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"kind":"api","from":["x"],"waiting":[],"subnets":0,"nodes":0,"peers":0,` +
		`"problems":["Node not followed","BGPPeer tor: spec.port: 0: a TCP port is 1 to 65535"],"stale":["Node not followed"]}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	var back status.Source
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if got := back.Texts(false); !slices.Equal(got, []string{"Node not followed", "BGPPeer tor: spec.port: 0: a TCP port is 1 to 65535"}) {
		t.Errorf("read back: %q", got)
	}
}

func TestWhereANeighbourIs(t *testing.T) {
	for want, e := range map[string]status.Session{
		"192.0.2.1":           {Address: "192.0.2.1"},
		"fe80::1%eth1":        {Address: "fe80::1%eth1", Interface: "eth1"},
		"on eth1":             {Interface: "eth1"},
		"192.0.2.1 (gateway)": {Address: "192.0.2.1", PeerDiscovery: "defaultGateway"},
		"default gateway":     {PeerDiscovery: "defaultGateway"},
	} {
		if got := e.Neighbour(); got != want {
			t.Errorf("%+v: %q, want %q", e, got, want)
		}
	}
}
