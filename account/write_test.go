package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

func TestSpeakerStatusIsBounded(t *testing.T) {
	s := &status.Status{Node: "n1", Ready: true}
	s.Speaker.InSync = true
	for i := range 10000 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
		s.Plan.Adverts = append(s.Plan.Adverts, &policy.Advert{Prefix: p, Subnet: fmt.Sprint("s", i), Role: routes.RoleDistributed})
		s.Plan.Withheld = append(s.Plan.Withheld, policy.Withheld{Prefix: p.String(), Reason: routes.NATOutgoing, Detail: strings.Repeat("ä", 1000)})
		s.Source.Problems = append(s.Source.Problems, status.Problemf("%s", strings.Repeat("p", 100)))
		s.Sessions = append(s.Sessions, status.Session{Peer: fmt.Sprint(i), State: "Idle", LastError: strings.Repeat("e", 1000)})
	}
	out := SpeakerStatus(s)
	if out.Announced.Count != 10000 || len(out.Announced.First) != mostListed || out.Withheld.Reasons["NATOutgoing"] != 10000 || out.Configured != 10000 {
		t.Errorf("announced %d (%d listed), withheld %v, configured %d", out.Announced.Count, len(out.Announced.First), out.Withheld.Reasons, out.Configured)
	}
	text, err := json.Marshal(out)
	if err == nil && len(text) > 64<<10 {
		err = errors.New("too large")
	}
	if err != nil {
		t.Errorf("%d bytes: %v", len(text), err)
	}
}

func TestConditions(t *testing.T) {
	s := &status.Status{Ready: true, Draining: true, DrainCause: "Node n1 has taint a", Sessions: []status.Session{{Peer: "tor", Address: "192.0.2.254", State: "Active"}}}
	s.Source.StaleSince = time.Now()
	s.Source.Problems = []status.Problem{
		status.Stalef("the API server does not answer"),
		status.Problemf("BGPPeer tor-b: spec.peerAddress: is the address of BGPPeer tor too"),
	}
	got := map[string]string{}
	for _, c := range SpeakerStatus(s).Conditions {
		got[c.Type] = string(c.Status) + " " + c.Reason + " " + c.Message
	}
	for kind, want := range map[string]string{
		v1alpha1.ConditionReady:               "True AsPlanned ",
		v1alpha1.ConditionSessionsEstablished: "False SessionDown tor (192.0.2.254): no connection yet",
		v1alpha1.ConditionRoutesInSync:        "False NotAsPlanned ",
		v1alpha1.ConditionHostReady:           "Unknown NotChecked ",
		v1alpha1.ConditionSourceFresh:         "False Stale the API server does not answer",
		v1alpha1.ConditionInputValid:          "False Problems BGPPeer tor-b: spec.peerAddress: is the address of BGPPeer tor too",
		v1alpha1.ConditionDrained:             string(metav1.ConditionFalse) + " Withdrawing Node n1 has taint a: everything is being withdrawn",
	} {
		if got[kind] != want {
			t.Errorf("%s: %q, want %q", kind, got[kind], want)
		}
	}
}

func TestDrainedSaysHowFarItIsAndWhatStays(t *testing.T) {
	adverts := []*policy.Advert{{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Subnet: "blue"}, {Prefix: netip.MustParsePrefix("10.2.0.0/16"), Subnet: "green"}}
	until := time.Date(2026, 1, 2, 3, 4, 35, 500, time.UTC)
	for _, c := range []struct {
		name    string
		adverts []*policy.Advert
		until   time.Time
		want    string
	}{
		{"waits", adverts, until, "False Waiting Node n1 is shutting down: 2 prefixes with GRACEFUL_SHUTDOWN until 03:04:35Z, then withdrawn"},
		{"one stays", adverts[:1], time.Time{}, "False LastAnnouncer Node n1 is shutting down: stays announced, for no other node would announce it: 10.1.0.0/16 of blue"},
		{"is done", nil, time.Time{}, "True NothingAnnounced Node n1 is shutting down: nothing is announced"},
	} {
		s := &status.Status{Draining: true, DrainCause: "Node n1 is shutting down", DrainUntil: c.until, Plan: policy.Plan{Adverts: c.adverts}}
		s.Speaker.InSync, s.Speaker.Originated = true, len(c.adverts)
		out := SpeakerStatus(s)
		got := meta.FindStatusCondition(out.Conditions, v1alpha1.ConditionDrained)
		if got == nil || fmt.Sprintf("%s %s %s", got.Status, got.Reason, got.Message) != c.want {
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
		if told := out.DrainUntil != nil; told == c.until.IsZero() || told && !out.DrainUntil.Equal(&metav1.Time{Time: c.until.Truncate(time.Second)}) {
			t.Errorf("%s: drainUntil %v, want %v", c.name, out.DrainUntil, c.until)
		}
	}
}
