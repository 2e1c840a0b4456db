package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/speaker"
	"github.com/fairway-bgp/fairway/status"
)

// bound is how long a condition may take; nothing is measured by it.
const bound = 30 * time.Second

// source is a Source whose content the test sets, and which keeps what is
// remembered, as JSON.
type source struct {
	mu      sync.Mutex
	text    []byte
	s       policy.Snapshot
	synced  bool
	waiting []string
}

func (f *source) Latest() (policy.Snapshot, status.Source, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.s, status.Source{Kind: "test", Waiting: f.waiting, Problems: []status.Problem{}}, f.synced
}

func (f *source) set(s policy.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.s, f.synced, f.waiting = s, true, nil
}

func (f *source) Remembered() (m policy.Memory) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.text != nil && json.Unmarshal(f.text, &m) != nil {
		panic("the memory cannot be read back")
	}
	return m
}

func (f *source) Remember(m policy.Memory) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text, _ = json.Marshal(m)
}

// recorder is a Speaker that keeps every wish.
type recorder struct {
	mu     sync.Mutex
	wishes []policy.Wish
	fail   error
}

func (r *recorder) Sync(_ context.Context, w policy.Wish) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wishes = append(r.wishes, w)
	return r.fail
}

func (r *recorder) Observe(context.Context) (speaker.Observed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.wishes) == 0 {
		return speaker.Observed{}, nil
	}
	return speaker.Observed{Originated: len(r.wishes[len(r.wishes)-1].RIB)}, nil
}

func (r *recorder) setFail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// rib gives the newest wish's RIB; ok is false before the first wish.
func (r *recorder) rib() (rib routes.RIB, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.wishes) == 0 {
		return nil, false
	}
	return r.wishes[len(r.wishes)-1].RIB, true
}

// everHad reports whether every wish so far had the prefix.
func (r *recorder) everHad(p netip.Prefix) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.wishes {
		if _, there := w.RIB.Of(p); !there {
			return false
		}
	}
	return true
}

type bench struct {
	source  *source
	speaker *recorder
	board   *status.Board
	bell    *bell.Bell
	gate    daemon.Gate
}

// start runs a daemon until the test ends.
func start(t *testing.T, b *bench) {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	b.board, b.bell = &status.Board{}, bell.New()
	d := daemon.New(daemon.Options{Version: "test", Node: "n1", Log: logrus.NewEntry(log), Source: b.source, Speaker: b.speaker, Gate: b.gate, Board: b.board, Bell: b.bell})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// until waits for a condition of the newest picture.
func (b *bench) until(t *testing.T, what string, ok func(*status.Status) bool) *status.Status {
	t.Helper()
	for end := time.Now().Add(bound); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if s := b.board.Newest(); s != nil && ok(s) {
			return s
		}
	}
	t.Fatalf("never: %s; newest picture: %+v", what, b.board.Newest())
	return nil
}

// announces waits for the announced prefixes.
func (b *bench) announces(t *testing.T, want ...string) *status.Status {
	t.Helper()
	return b.until(t, fmt.Sprint("announces ", want), func(s *status.Status) bool {
		var got []string
		for _, a := range s.Plan.Adverts {
			got = append(got, a.Prefix.String())
		}
		return slices.Equal(got, want)
	})
}

func cluster(subnets ...*routes.Subnet) policy.Snapshot {
	return policy.Snapshot{
		Snapshot: routes.Snapshot{
			Settings: routes.DefaultSettings, Subnets: subnets,
			Nodes: []routes.Node{{Name: "n1", Ready: true, Allocated: true, InternalIPs: []netip.Addr{netip.MustParseAddr("172.30.0.11")}}},
		},
		Peers: []policy.Peer{{Name: "tor", LocalASN: 65001, SessionSettings: policy.SessionSettings{
			Address: netip.MustParseAddr("172.30.0.1"), PeerASN: 64512, Families: []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast}}}},
	}
}

func subnet(name, cidr string, annotations ...string) *routes.Subnet {
	a := map[string]string{routes.AnnotationAdvertise: "true"}
	for i := 0; i < len(annotations); i += 2 {
		a[annotations[i]] = annotations[i+1]
	}
	return routes.Subnet{Name: name, CIDRBlock: cidr, VPC: "ovn-cluster", GatewayType: routes.Distributed, Validated: true, Ready: true, Annotations: a}.Parsed()
}

func TestNothingIsSentBeforeTheSourceIsRead(t *testing.T) {
	b := &bench{source: &source{waiting: []string{"the files have not been read yet"}}, speaker: &recorder{}}
	start(t, b)
	s := b.until(t, "a first picture", func(*status.Status) bool { return true })
	if s.Ready || len(s.Waiting) != 1 {
		t.Errorf("ready %t, waiting %q", s.Ready, s.Waiting)
	}
	b.bell.Ring()
	b.until(t, "a second picture", func(n *status.Status) bool { return n.At.After(s.At) })
	if rib, ok := b.speaker.rib(); ok {
		t.Errorf("the speaker was handed %v", rib)
	}
	b.source.set(cluster(subnet("routed", "10.166.0.0/16")))
	b.bell.Ring()
	if s := b.announces(t, "10.166.0.0/16"); !s.Ready {
		t.Errorf("not ready: %q", s.Waiting)
	}
}

func TestATypoWithdrawsNothingAndAnOptOutDoes(t *testing.T) {
	b := &bench{source: &source{}, speaker: &recorder{}}
	b.source.set(cluster(subnet("routed", "10.166.0.0/16")))
	start(t, b)
	b.announces(t, "10.166.0.0/16")

	b.source.set(cluster(subnet("routed", "10.166.0.0/16", routes.AnnotationMED, "fifty")))
	b.bell.Ring()
	s := b.until(t, "the typo is shown", func(s *status.Status) bool { return len(s.Plan.Warnings) == 1 })
	if w := s.Plan.Warnings[0]; w.Reason != routes.InvalidAnnotation {
		t.Errorf("warning %+v", w)
	}
	if !b.speaker.everHad(netip.MustParsePrefix("10.166.0.0/16")) {
		t.Error("the prefix was withdrawn because of a typo")
	}

	b.source.set(cluster(subnet("routed", "10.166.0.0/16", routes.AnnotationAdvertise, "false")))
	b.bell.Ring()
	b.announces(t)
	b.source.set(cluster(subnet("routed", "10.166.0.0/16", routes.AnnotationMED, "fifty")))
	b.bell.Ring()
	b.until(t, "withheld, for what was taken back is not remembered", func(s *status.Status) bool {
		return len(s.Plan.Withheld) == 1 && s.Plan.Withheld[0].Reason == routes.InvalidAnnotation
	})
}

func TestATypoWithdrawsNothingWhenTheDaemonIsStartedAgain(t *testing.T) {
	from := &source{}
	from.set(cluster(subnet("routed", "10.166.0.0/16", routes.AnnotationMED, "50")))
	for _, run := range []string{"first", "second", "third"} {
		t.Run(run, func(t *testing.T) {
			b := &bench{source: from, speaker: &recorder{}}
			start(t, b)
			s := b.announces(t, "10.166.0.0/16")
			if med := s.Plan.Adverts[0].MED; med == nil || *med != 50 {
				t.Errorf("MED %v, want 50", med)
			}
			if run == "first" {
				from.set(cluster(subnet("routed", "10.166.0.0/16", routes.AnnotationMED, "fifty")))
				b.bell.Ring()
			}
			b.until(t, "the typo is shown", func(s *status.Status) bool {
				return len(s.Plan.Warnings) == 1 && s.Plan.Warnings[0].Reason == routes.InvalidAnnotation
			})
		})
	}
}

func TestATypoInDrainDoesNotBringANodeBack(t *testing.T) {
	b := &bench{source: &source{}, speaker: &recorder{}}
	s := cluster(subnet("routed", "10.166.0.0/16"))
	s.Nodes[0].Annotations = map[string]string{routes.AnnotationDrain: "true"}
	b.source.set(s)
	start(t, b)
	withheld := func(detail string) func(*status.Status) bool {
		return func(st *status.Status) bool {
			return st.Draining && len(st.Plan.Withheld) == 1 && strings.Contains(st.Plan.Withheld[0].Detail, detail)
		}
	}
	b.until(t, "drained", withheld("true"))
	s.Nodes = slices.Clone(s.Nodes)
	s.Nodes[0].Annotations = map[string]string{routes.AnnotationDrain: "yes"}
	b.source.set(s)
	b.bell.Ring()
	b.until(t, "the typo is told", withheld(`"yes" is neither true nor false`))
}

func TestAFailedSyncIsTriedAgainAndShown(t *testing.T) {
	b := &bench{source: &source{}, speaker: &recorder{}}
	b.speaker.setFail(errors.Join(errors.New("session tor: no"), errors.New("announce 10.166.0.0/16: no")))
	b.source.set(cluster(subnet("routed", "10.166.0.0/16")))
	start(t, b)
	s := b.until(t, "the errors are shown", func(s *status.Status) bool { return len(s.Speaker.Errors) == 2 })
	if s.Ready || s.Speaker.InSync {
		t.Errorf("ready %t, in sync %t", s.Ready, s.Speaker.InSync)
	}
	b.speaker.setFail(nil) // and nobody rings
	b.until(t, "in sync after a retry", func(s *status.Status) bool { return s.Ready && s.Speaker.InSync })
}

// gate is a Gate whose answers the test sets; it keeps what it was asked.
type gate struct {
	mu       sync.Mutex
	down     map[netip.Prefix]string
	asked    []netip.Prefix
	nodeGone bool
}

func (g *gate) Down(p []netip.Prefix, nodeGone bool) map[netip.Prefix]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked, g.nodeGone = p, nodeGone
	return maps.Clone(g.down)
}

func (g *gate) Translated([]netip.Prefix) map[netip.Prefix]bool { return nil }

func (g *gate) Astray(routers []netip.Addr) []string {
	return []string{fmt.Sprint("astray: ", routers)}
}

func (g *gate) set(down map[netip.Prefix]string) (asked []netip.Prefix, nodeGone bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
	return g.asked, g.nodeGone
}

func TestTheGateWithholdsAndLetsGo(t *testing.T) {
	g := &gate{}
	b := &bench{source: &source{}, speaker: &recorder{}, gate: g}
	b.source.set(cluster(subnet("routed", "10.166.0.0/16"), subnet("other", "10.168.0.0/16")))
	start(t, b)
	b.announces(t, "10.166.0.0/16", "10.168.0.0/16")
	asked, nodeGone := g.set(map[netip.Prefix]string{netip.MustParsePrefix("10.166.0.0/16"): "link ovn0 is down"})
	if len(asked) != 2 || nodeGone {
		t.Errorf("the gate was asked about %v, the Node gone: %t", asked, nodeGone)
	}
	b.bell.Ring()
	s := b.announces(t, "10.168.0.0/16")
	if w := s.Plan.Withheld; len(w) != 1 || w[0].Reason != routes.DatapathDown || w[0].Detail != "link ovn0 is down" {
		t.Errorf("withheld %+v", w)
	}
	g.set(nil)
	b.bell.Ring()
	b.announces(t, "10.166.0.0/16", "10.168.0.0/16")
}

func TestTheGateIsToldThatTheNodeIsGone(t *testing.T) {
	g := &gate{}
	b := &bench{source: &source{}, speaker: &recorder{}, gate: g}
	s := cluster(subnet("routed", "10.166.0.0/16"))
	b.source.set(s)
	start(t, b)
	b.announces(t, "10.166.0.0/16")
	s.Nodes = nil
	b.source.set(s)
	b.bell.Ring()
	b.until(t, "the Node is gone", func(*status.Status) bool { _, gone := g.set(nil); return gone })
}

func TestARouterInTheOverlayIsAProblemWhereNobodyAudits(t *testing.T) {
	b := &bench{source: &source{}, speaker: &recorder{}, gate: &gate{}}
	b.source.set(cluster(subnet("routed", "10.166.0.0/16")))
	start(t, b)
	b.until(t, "the problem", func(s *status.Status) bool {
		return slices.Contains(s.Source.Texts(false), "astray: [172.30.0.1]")
	})
}

func TestAThousandRingsAreFewPasses(t *testing.T) {
	b := &bench{source: &source{}, speaker: &recorder{}}
	b.source.set(cluster(subnet("routed", "10.166.0.0/16")))
	start(t, b)
	b.announces(t, "10.166.0.0/16")
	for range 1000 {
		b.bell.Ring()
	}
	b.source.set(cluster(subnet("routed", "10.169.0.0/16")))
	b.bell.Ring()
	b.announces(t, "10.169.0.0/16")
	b.speaker.mu.Lock()
	defer b.speaker.mu.Unlock()
	if n := len(b.speaker.wishes); n > 100 {
		t.Errorf("%d passes for a thousand rings", n)
	}
}

func TestAWatchThatBreaksIsRunAgain(t *testing.T) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	var runs int
	err := daemon.KeepWatching(ctx, bell.New(), logrus.NewEntry(log), func(context.Context, func()) error {
		if runs++; runs == 2 {
			cancel()
		}
		return errors.New("no buffer space available")
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v; want 2 and no error", runs, err)
	}
}
