package account

import (
	"slices"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/status"
)

func TestNewsOfANode(t *testing.T) {
	up := status.Session{Peer: "tor", Address: "192.0.2.254", State: "Established", Advertised: 1}
	down := status.Session{Peer: "tor", Address: "192.0.2.254", State: "Idle", LastError: "hold timer expired"}
	picture := func(draining bool, sessions ...status.Session) *status.Status {
		s := &status.Status{Node: "n1", Draining: draining, Sessions: sessions}
		s.Speaker.InSync = true
		if !draining {
			s.Plan.Adverts = []*policy.Advert{{}}
			s.Speaker.Originated = 1
		}
		return s
	}
	refused, limited := down, up
	refused.LastError, limited.NotOffered = "port 179 refuses connections", []string{"ipv6-unicast"}
	quiet := up
	quiet.Advertised = 0
	waiting := picture(false, up)
	waiting.Draining, waiting.DrainUntil = true, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	last := picture(false, up)
	last.Draining = true
	stale := picture(false, up)
	stale.Source.StaleSince = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var n News
	for i, c := range []struct {
		now  *status.Status
		want []string
	}{
		{picture(false, down), nil},
		{picture(false, up), []string{"BGPSessionUp"}},
		{picture(false, up), nil},
		{picture(false, down), []string{"BGPSessionDown"}},
		{picture(false, refused), []string{"BGPSessionFailed"}},
		{picture(false, refused), nil},
		{picture(false, limited), []string{"BGPSessionUp", "BGPSessionLimited"}},
		{picture(false, limited), nil},
		{picture(false, up), nil},
		{picture(true, up), nil}, // still sent to the peer
		{picture(true, quiet), []string{"Drained"}},
		{picture(false, up), []string{"Undrained"}},
		{waiting, []string{"Draining"}},
		{waiting, nil},
		{picture(false, up), []string{"Undrained"}},
		{waiting, []string{"Draining"}},
		{last, []string{"LastAnnouncer"}},
		{picture(true, quiet), []string{"Drained"}},
		{picture(false, up), []string{"Undrained"}},
		{stale, nil},
		{picture(false, up), []string{"SourceWasStale"}},
	} {
		var got []string
		for _, e := range n.Of(c.now) {
			got = append(got, e.Reason)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("step %d: %v, want %v", i, got, c.want)
		}
	}
}
