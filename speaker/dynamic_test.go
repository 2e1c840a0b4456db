package speaker

import (
	"context"
	"strings"
	"testing"

	"github.com/osrg/gobgp/v4/api"

	"github.com/fairway-bgp/fairway/policy"
)

// TestANeighbourOfAnyOtherAS: its AS is taken from its OPEN.
func TestANeighbourOfAnyOtherAS(t *testing.T) {
	t.Parallel()
	r := newRouter(t, "tor-a", 65100, ours, loopback())
	s := running(t, Options{})
	session := r.session(ours)
	session.PeerASN, session.DynamicASN = 0, policy.External
	w := wishFor(session)
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-a")
	mustSync(t, s, w)
	if got := sessionOf(t, s, "tor-a"); got.PeerASN != 65100 || got.Flaps != 0 || got.State != Established {
		t.Errorf("%+v", got)
	}
}

// TestAnyOtherASIsNotOurOwn: what is for the outside does not stay with a neighbour of
// our own AS, and one that gets another AS is taken.
func TestAnyOtherASIsNotOurOwn(t *testing.T) {
	t.Parallel()
	r := newRouter(t, "tor-a", ours, ours, loopback())
	s := running(t, Options{})
	session := r.session(ours)
	session.PeerASN, session.DynamicASN = 0, policy.External
	w := wishFor(session)
	refused := func() bool {
		mustSync(t, s, w)
		got := sessionOf(t, s, "tor-a")
		return got.State != Established && strings.Contains(got.LastError, "is in AS 65001 as this node is, and spec.dynamicASN is external")
	}
	if !within(patience, refused) {
		t.Fatalf("the session is not refused: %+v", sessionOf(t, s, "tor-a"))
	}
	moved := &api.Peer{
		Conf:      &api.PeerConf{NeighborAddress: r.neighbour.String(), PeerAsn: ours, LocalAsn: 65100},
		Transport: &api.Transport{PassiveMode: true},
	}
	if _, err := r.UpdatePeer(context.Background(), &api.UpdatePeerRequest{Peer: moved}); err != nil {
		t.Fatal(err)
	}
	taken := func() bool {
		mustSync(t, s, w)
		got := sessionOf(t, s, "tor-a")
		return got.State == Established && got.PeerASN == 65100
	}
	if !within(patience, taken) {
		t.Errorf("the neighbour is in another AS now, and not taken: %+v", sessionOf(t, s, "tor-a"))
	}
}
