package daemon_test

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// auditor is a Host whose findings the test sets; it keeps what it was asked.
type auditor struct {
	mu       sync.Mutex
	findings []host.Finding
	known    bool
	want     host.Want
}

func (a *auditor) Follow(w host.Want) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.want = w
}

func (a *auditor) Findings() ([]host.Finding, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.findings, a.known
}

func (a *auditor) find(state host.State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known = true
	a.findings = []host.Finding{{Check: "forward-drop", About: host.About{Prefix: netip.MustParsePrefix("10.166.0.0/16")}, State: state, Got: "policy DROP", Evidence: []string{"for a packet"}}}
}

// TestAFindingGatesAndItsSubjectIsStillAskedAbout: what is withheld for a finding
// must not be forgotten, or it would come back at once, and go, and come back.
func TestAFindingGatesAndItsSubjectIsStillAskedAbout(t *testing.T) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	a := &auditor{}
	b := &bench{source: &source{}, speaker: &recorder{}, board: &status.Board{}, bell: bell.New()}
	b.source.set(cluster(subnet("routed", "10.166.0.0/16"), subnet("other", "10.168.0.0/16")))
	d := daemon.New(daemon.Options{
		Version: "test", Node: "n1", Log: logrus.NewEntry(log), Source: b.source, Speaker: b.speaker, Board: b.board, Bell: b.bell,
		Host: a, HostGate: true, Settings: status.Settings{OverlayLink: "ovn0", BGPPort: 179},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	defer func() { cancel(); <-done }()

	s := b.announces(t, "10.166.0.0/16", "10.168.0.0/16") // nothing is known yet, and that refuses nothing
	if s.Audited {
		t.Error("audited before anybody looked")
	}
	a.find(host.Wrong)
	b.bell.Ring()
	s = b.announces(t, "10.168.0.0/16")
	if w := s.Plan.Withheld; len(w) != 1 || w[0].Reason != routes.HostNotReady || w[0].Detail != "forward-drop: policy DROP" {
		t.Errorf("withheld %+v", w)
	}
	if len(s.Findings) != 1 || !s.Audited {
		t.Errorf("the picture has findings %+v", s.Findings)
	}
	for range 3 {
		b.bell.Ring()
		b.announces(t, "10.168.0.0/16")
	}
	a.mu.Lock()
	if len(a.want.Networks) != 2 {
		t.Errorf("asked about %+v", a.want.Networks)
	}
	a.mu.Unlock()
	a.find(host.Unknown)
	b.bell.Ring()
	b.announces(t, "10.166.0.0/16", "10.168.0.0/16")
}
