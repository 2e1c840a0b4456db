package kube

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// played gives a Playback of node n1 that has seen some objects.
func played(t *testing.T, objects ...string) *Playback {
	t.Helper()
	p := NewPlayback(LiveOptions{Settings: routes.DefaultSettings, Node: "n1", MassWithdrawDelay: time.Hour, StateMaxAge: time.Hour})
	for _, o := range objects {
		play(t, p, "ADDED", o)
	}
	return p
}

func play(t *testing.T, p *Playback, event, object string) {
	t.Helper()
	if err := p.Play(event, []byte(object)); err != nil {
		t.Fatal(err)
	}
}

const (
	playedNode   = `{"apiVersion":"v1","kind":"Node","metadata":{"name":"%s"}}`
	playedSubnet = `{"apiVersion":"kubeovn.io/v1","kind":"Subnet","metadata":{"name":"blue","annotations":{"fairway.dev/advertise":"true","fairway.dev/mode":"%s"}},"spec":{"cidrBlock":"10.1.0.0/16"},"status":{"conditions":[{"type":"Validated","status":"True"}]}}`
	playedPod    = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"d","annotations":{"ovn.kubernetes.io/ip_address":"10.1.0.5","ovn.kubernetes.io/logical_switch":"blue","ovn.kubernetes.io/allocated":"true"}},"spec":{"nodeName":"%s"}}`
)

// podPrefixes are those of the Pods on n1 and n2 in blue.
func podPrefixes(v LiveView) []netip.Prefix {
	var out []netip.Prefix
	for _, node := range []string{"n1", "n2"} {
		out = append(out, v.Snapshot.Pods.On(node)["blue"].In(netip.MustParsePrefix("10.1.0.0/16"))...)
	}
	return out
}

// picture gives the names of what a view has, and the prefixes of Pods.
func picture(v LiveView) string {
	var out []string
	for _, n := range v.Snapshot.Nodes {
		out = append(out, n.Name)
	}
	for _, s := range v.Snapshot.Subnets {
		out = append(out, s.Name)
	}
	for _, p := range podPrefixes(v) {
		out = append(out, p.String())
	}
	return strings.Join(out, " ")
}

func TestPlaybackFollowsAsLiveDoes(t *testing.T) {
	p := played(t, fmt.Sprintf(playedNode, "n1"), fmt.Sprintf(playedNode, "n2"), fmt.Sprintf(playedSubnet, "cidr"), fmt.Sprintf(playedPod, "n1"))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := func(after time.Duration, want string) {
		t.Helper()
		now = now.Add(after)
		if v, _, ok := p.Look(now); !ok || picture(v) != want {
			t.Errorf("ready %t, %s; want %s", ok, picture(v), want)
		}
	}
	want(0, "n1 n2 blue")
	// Pods come when a Subnet needs them, and those of the own node alone.
	play(t, p, "MODIFIED", fmt.Sprintf(playedSubnet, "pods"))
	want(0, "n1 n2 blue 10.1.0.5/32")
	play(t, p, "MODIFIED", fmt.Sprintf(playedPod, "n2"))
	want(0, "n1 n2 blue")
	// Deletions are judged as they are there.
	play(t, p, "DELETED", fmt.Sprintf(playedNode, "n2"))
	want(0, "n1 n2 blue")
	want(settleNode, "n1 blue")
	play(t, p, "DELETED", fmt.Sprintf(playedSubnet, "pods"))
	want(time.Minute, "n1 blue")
	want(time.Hour, "n1")
}

// A Pod that is being deleted counts until its containers have ended, or until Kube-OVN
// gives its address to others, were the object there for ever. The API server's clock may be any.
func TestPodBeingDeletedCountsUntilOthersGetItsAddress(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	deleted := strings.Replace(fmt.Sprintf(playedPod, "n1"), `"namespace":"d",`, `"namespace":"d","deletionTimestamp":"2020-01-02T03:04:35Z","deletionGracePeriodSeconds":30,`, 1)
	p := played(t, fmt.Sprintf(playedNode, "n1"), fmt.Sprintf(playedSubnet, "pods"), fmt.Sprintf(playedPod, "n1"))
	looked := func(after time.Duration, want string) {
		t.Helper()
		v, again, ok := p.Look(now.Add(after))
		if !ok || picture(v) != want {
			t.Errorf("after %s: ready %t, %s; want %s", after, ok, picture(v), want)
		}
		if due := now.Add(62 * time.Second); after < time.Minute && strings.Contains(want, "/32") && again.After(due) {
			t.Errorf("after %s it looks again at %s, not at %s", after, again, due)
		}
	}
	const there, gone = "n1 blue 10.1.0.5/32", "n1 blue"
	looked(0, there)
	play(t, p, "MODIFIED", deleted)
	looked(time.Second, there)
	looked(61*time.Second, there)
	play(t, p, "MODIFIED", strings.Replace(deleted, `"spec"`, `"status":{"phase":"Running"},"spec"`, 1))
	looked(62*time.Second, gone)
	play(t, p, "MODIFIED", deleted)
	looked(63*time.Second, gone)
	// Another one takes its name, as that of a StatefulSet does.
	play(t, p, "DELETED", deleted)
	play(t, p, "ADDED", fmt.Sprintf(playedPod, "n1"))
	looked(64*time.Second, there)
	play(t, p, "MODIFIED", strings.Replace(deleted, `"spec"`, `"status":{"phase":"Failed"},"spec"`, 1))
	looked(65*time.Second, gone)
}

func TestPlaybackIsStartedAgain(t *testing.T) {
	p := played(t, fmt.Sprintf(playedNode, "n1"), fmt.Sprintf(playedSubnet, "cidr"))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	v, _, _ := p.Look(now)
	p.Remember(policy.Memory{}.Remember(v.Snapshot, policy.Make(v.Snapshot, "n1")))
	state, err := p.State(now)
	if err != nil {
		t.Fatal(err)
	}
	before := p.Remembered()
	play(t, p, "ADDED", fmt.Sprintf(playedNode, "n2"))
	if err := p.Restart(state, now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if v, _, ok := p.Look(now.Add(time.Second)); !ok || picture(v) != "n1 n2 blue" || !p.Remembered().Equal(before) {
		t.Errorf("ready %t, %s, remembered %+v; want what was before and n2", ok, picture(v), p.Remembered())
	}
	if err := p.Restart(state, now.Add(2*time.Hour)); err == nil {
		t.Error("a state that is too old counts")
	}
}

func TestPlaybackRefusesWhatADaemonDoesNotRead(t *testing.T) {
	for _, c := range [][2]string{
		{"ADDED", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"}}`},
		{"ADDED", `{"apiVersion":"v1","kind":"Node","metadata":{}}`},
		{"BOOKMARK", fmt.Sprintf(playedNode, "n1")},
		{"ADDED", `{`},
	} {
		if err := played(t).Play(c[0], []byte(c[1])); err == nil {
			t.Errorf("%s of %s is played", c[0], c[1])
		}
	}
}
