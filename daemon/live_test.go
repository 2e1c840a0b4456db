package daemon

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/status"
)

func TestAboutLive(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	away := []kube.Lapse{{Kind: "Node", Why: "away", Since: at.Add(time.Minute)}, {Kind: "Subnet", Why: "away", Since: at.Add(time.Second)}}
	for _, c := range []struct {
		name           string
		view           kube.LiveView
		waiting, stale []string
		since          time.Time
	}{
		{name: "in step"},
		{
			name: "a last-known state stands in", view: kube.LiveView{Saved: at, Until: at.Add(time.Hour), Lapses: away}, since: at,
			stale: []string{"Node not followed since 2026-01-02T03:05:05Z: away", "Subnet not followed since 2026-01-02T03:04:06Z: away",
				"last-known state of 2026-01-02T03:04:05Z in force, until 2026-01-02T04:04:05Z or the API server is back"},
		},
		{
			name: "the last-known state is too old", view: kube.LiveView{Saved: at, Until: at.Add(time.Hour), Expired: true, Lapses: away}, since: at,
			waiting: []string{"last-known state of 2026-01-02T03:04:05Z is too old since 2026-01-02T04:04:05Z, and Subnets that cannot be read are withdrawn; the API server is not followed since 2026-01-02T03:04:06Z"},
			stale:   []string{"Node not followed since 2026-01-02T03:05:05Z: away", "Subnet not followed since 2026-01-02T03:04:06Z: away"},
		},
		{
			name: "the state cannot be written", view: kube.LiveView{Unsaved: "save last-known state: no space left on device"},
			stale: []string{"save last-known state: no space left on device"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := aboutLive(c.view)
			if !slices.Equal(got.Waiting, c.waiting) || !slices.Equal(got.Texts(true), c.stale) || len(got.Texts(false)) > 0 || !got.StaleSince.Equal(c.since) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestSpeakerSaysThatTheStateCannotBeWritten(t *testing.T) {
	for _, c := range account.SpeakerStatus(&status.Status{Source: aboutLive(kube.LiveView{Unsaved: "save last-known state: no"})}).Conditions {
		if got := strings.Contains(c.Message, "save last-known state: no"); got != (c.Type == v1alpha1.ConditionSourceFresh) {
			t.Errorf("%s: %s %q", c.Type, c.Status, c.Message)
		}
	}
}

func TestSpeakerSaysOnlyWhatIsKnownOfPeers(t *testing.T) {
	for want, waiting := range map[string][]string{
		"no BGPPeer selects this node":                 nil,
		"which BGPPeers select this node is not known": {"bgppeers have not been read yet"},
	} {
		for _, c := range account.SpeakerStatus(&status.Status{Source: status.Source{Waiting: waiting}}).Conditions {
			if c.Type == v1alpha1.ConditionSessionsEstablished && c.Message != want {
				t.Errorf("%q, want %q", c.Message, want)
			}
		}
	}
}

func TestEventSaysThatNothingStayedWhereTheStateWasTooOld(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for expired, want := range map[bool]string{
		false: "objects were not followed since 03:04:05Z; what was announced then stayed",
		true:  "objects were not followed since 03:04:05Z",
	} {
		var news account.News
		news.Of(&status.Status{Source: aboutLive(kube.LiveView{Saved: at, Until: at.Add(time.Hour), Expired: expired})})
		events := news.Of(&status.Status{Source: aboutLive(kube.LiveView{})})
		if len(events) != 1 || events[0].Message != want {
			t.Errorf("expired %t: %+v, want %q", expired, events, want)
		}
	}
}
