package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// wholly makes the Contents of what is in force as if nothing were kept from the pass
// before but the last good values.
type wholly struct {
	good     objects.Good
	problems []objects.Problem
}

// look is Playback's, with the Contents as they would be.
func (w *wholly) look(p *Playback, now time.Time) (v LiveView, c objects.Contents) {
	if p.state == nil {
		p.begin(now, nil)
	}
	for {
		p.state.pass(context.Background(), now)
		c = w.assemble(p.state, now)
		select {
		case <-p.live.news.Rung():
		default:
			v, _ = p.live.Latest()
			return v, c
		}
	}
}

func (w *wholly) assemble(f *following, now time.Time) (c objects.Contents) {
	for range mostRounds {
		before := w.good
		if c = w.once(f); reflect.DeepEqual(before, w.good) {
			break
		}
	}
	objects.StampSince(c.Problems, w.problems, now)
	w.problems = c.Problems
	return c
}

func (w *wholly) once(f *following) objects.Contents {
	one := objects.Batch{}
	for _, k := range slices.SortedFunc(maps.Keys(f.guard.force), objects.Key.Compare) {
		one.Objects = append(one.Objects, f.guard.force[k].Object)
	}
	standIns := standInSecrets(one.Objects, f.reads)
	one.Objects = append(one.Objects, standIns...)
	c, good := objects.Assemble([]objects.Batch{one}, w.good, f.absent)
	w.good = withoutPeersOf(standIns, one.Objects, good)
	c.Snapshot = good.Lists().Snapshot(f.options.Settings)
	if c.Snapshot.Vlans == nil && f.vlans != nil {
		c.Snapshot.Vlans = map[string]string{}
	}
	return c
}

// misfortune plays one random event: objects come, change, break, are mended and go.
func misfortune(t *testing.T, p *Playback, r *rand.Rand) {
	t.Helper()
	event := []string{"ADDED", "MODIFIED", "MODIFIED", "DELETED"}[r.IntN(4)]
	i := r.IntN(4)
	switch r.IntN(8) {
	case 0:
		play(t, p, event, fmt.Sprintf(`{"apiVersion":"v1","kind":"Node","metadata":{"name":"n%d","labels":{"rack":"%d"}},"status":{"addresses":[{"type":"InternalIP","address":"%s"}]}}`,
			i, r.IntN(2), []string{"192.0.2.1", "typo"}[r.IntN(2)]))
	case 1:
		play(t, p, event, fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p%d","namespace":"d","annotations":{"ovn.kubernetes.io/ip_address":"10.1.0.%d","ovn.kubernetes.io/logical_switch":"s%d"}},"spec":{"nodeName":"n1"}}`,
			i, r.IntN(4), r.IntN(4)))
	case 2:
		play(t, p, event, fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"k%d","namespace":"%s"},"data":{"password":"%s"}}`,
			i, p.options.Cluster.namespace, []string{"YQ==", "Yg==", "typo", "t!po"}[r.IntN(4)]))
	case 3, 4:
		play(t, p, event, fmt.Sprintf(`{"apiVersion":"fairway.dev/v1alpha1","kind":"BGPPeer","metadata":{"name":"t%d","uid":"u%d","generation":%d},"spec":{"peerAddress":"192.0.2.%d","peerASN":%d%s%s}}`,
			i, r.IntN(2), r.IntN(3), 1+r.IntN(3), r.IntN(2)*64512,
			[]string{"", fmt.Sprintf(`,"passwordSecretRef":{"name":"k%d"}`, r.IntN(4))}[r.IntN(2)],
			[]string{"", `,"nodeSelector":{"matchLabels":{"rack":"1"}}`}[r.IntN(2)]))
	case 5:
		play(t, p, event, fmt.Sprintf(`{"apiVersion":"kubeovn.io/v1","kind":"Vlan","metadata":{"name":"v%d"},"spec":{"provider":"net%d"}}`, i, r.IntN(2)))
	default:
		play(t, p, event, fmt.Sprintf(`{"apiVersion":"kubeovn.io/v1","kind":"Subnet","metadata":{"name":"s%d","uid":"u%d","annotations":{"fairway.dev/advertise":"true","fairway.dev/mode":"%s"}},"spec":{"cidrBlock":%s,"vlan":"%s","logicalGateway":true}}`,
			i, r.IntN(2), []string{"pods", "cidr", "typo"}[r.IntN(3)], []string{`"10.1.0.0/16"`, `"10.2.0.0/16"`, `7`}[r.IntN(3)], []string{"", "v1"}[r.IntN(2)]))
	}
}

// TestWhatIsKeptFromPassToPassEqualsAllMadeAnew plays random histories: after each event
// the lists that were kept are those that would come of all objects anew.
func TestWhatIsKeptFromPassToPassEqualsAllMadeAnew(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 14))
		p, w, now := played(t), wholly{}, noon
		for range 3 {
			misfortune(t, p, r)
		}
		var last LiveView
		for step := range 60 {
			v, want := w.look(p, now)
			if same := v.sameAs(last); same != (v.Serial == last.Serial) {
				t.Fatalf("seed %d, step %d: the same %t, views %d and %d", seed, step, same, last.Serial, v.Serial)
			}
			got := v.Contents
			if !sameContents(got, want) {
				a, _ := json.Marshal(got)
				b, _ := json.Marshal(want)
				t.Fatalf("seed %d, step %d: kept\n%s\nanew\n%s", seed, step, a, b)
			}
			for _, s := range v.Snapshot.Subnets {
				if uid := p.state.guard.force[objects.Key{Kind: objects.KindSubnet, Name: s.Name}].uid; v.SubnetUID(s.Name) != uid {
					t.Fatalf("seed %d, step %d: UID of %s is %q, want %q", seed, step, s.Name, v.SubnetUID(s.Name), uid)
				}
			}
			last = v
			if r.IntN(20) == 0 { // a daemon that is started again knows what this one did
				state, err := p.State(now)
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Restart(state, now); err != nil {
					t.Fatal(err)
				}
				last, w.problems = LiveView{}, nil
			}
			misfortune(t, p, r)
			now = now.Add(time.Duration(r.IntN(1500)) * time.Millisecond)
		}
	}
}

// podsIn are the prefixes of the Pods on n1, by Subnet.
func podsIn(pods routes.Pods) map[string][]netip.Prefix {
	out := map[string][]netip.Prefix{}
	for subnet, addresses := range pods.On("n1") {
		out[subnet] = addresses.In(netip.MustParsePrefix("10.1.0.0/16"))
	}
	return out
}

// sameContents compares what a view holds; Subnets and Pods are compared by what they say.
func sameContents(a, b objects.Contents) bool {
	equal := slices.EqualFunc(a.Snapshot.Subnets, b.Snapshot.Subnets, func(s, t *routes.Subnet) bool { return reflect.DeepEqual(s, t) }) &&
		reflect.DeepEqual(podsIn(a.Snapshot.Pods), podsIn(b.Snapshot.Pods)) && slices.EqualFunc(a.Snapshot.Peers, b.Snapshot.Peers, func(p, q policy.Peer) bool { return reflect.DeepEqual(p, q) })
	a.Snapshot.Subnets, b.Snapshot.Subnets, a.Snapshot.Pods, b.Snapshot.Pods, a.Snapshot.Peers, b.Snapshot.Peers = nil, nil, routes.Pods{}, routes.Pods{}, nil, nil
	return equal && reflect.DeepEqual(a, b)
}

// TestWhatDoesNotChangeStaysTheSamePointer: the plan tells by that what to decide anew.
func TestWhatDoesNotChangeStaysTheSamePointer(t *testing.T) {
	p := played(t, fmt.Sprintf(playedNode, "n1"), string(largeSubnet(1, false)), string(largeSubnet(2, false)))
	before, _, _ := p.Look(noon)
	play(t, p, "MODIFIED", string(largeSubnet(2, true)))
	after, _, _ := p.Look(noon)
	a, b := before.Snapshot.Subnets, after.Snapshot.Subnets
	if a[0] != b[0] || a[1] == b[1] || a[1].NATOutgoing || !b[1].NATOutgoing {
		t.Errorf("%p %p became %p %p", a[0], a[1], b[0], b[1])
	}
	// A list that is read anew is no change.
	for _, f := range p.state.base {
		p.list(f)
	}
	if again, _, _ := p.Look(noon); again.Serial != after.Serial || again.Snapshot.Subnets[1] != b[1] {
		t.Errorf("view %d became %d", after.Serial, again.Serial)
	}
}

// TestEqualAnnotationsAreKeptOnce: each map takes 300 octets, and ten thousand Subnets
// have a handful of different ones.
func TestEqualAnnotationsAreKeptOnce(t *testing.T) {
	p := played(t, string(largeSubnet(1, false)), string(largeSubnet(2, false)))
	p.Look(noon)
	for i := range 2 * mostSeen {
		play(t, p, "ADDED", fmt.Sprintf(`{"apiVersion":"kubeovn.io/v1","kind":"Subnet","metadata":{"name":"t%02d","annotations":{"fairway.dev/advertise":"true","fairway.dev/med":"%d"}},"spec":{"cidrBlock":"10.200.%d.0/24"}}`, i, i, i))
	}
	v, _, _ := p.Look(noon)
	s := v.Snapshot.Subnets
	if reflect.ValueOf(s[0].Annotations).Pointer() != reflect.ValueOf(s[1].Annotations).Pointer() {
		t.Error("two maps for annotations that are the same")
	}
	for i, s := range s[2:] {
		if got := s.Annotations["fairway.dev/med"]; got != fmt.Sprint(i) {
			t.Errorf("Subnet %s: MED %s, want %d", s.Name, got, i)
		}
	}
}
