package daemon_test

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/bfd"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// A router that watches by BFD takes a planned end for a dead node, unless nothing leads
// to the node any more.
func TestAPlannedEndLosesNoTrafficToARouterWithBFD(t *testing.T) {
	for name, on := range map[string]bool{"with BFD": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			s := cluster(subnet("routed", "10.1.0.0/16"))
			s.DrainWait = 0
			if on {
				s.Peers[0].BFD = bfd.Settings{Transmit: time.Second, Receive: time.Second, Multiplier: 3}
			}
			src, r := &source{}, &recorder{}
			src.set(s)
			log := logrus.New()
			log.SetOutput(io.Discard)
			b := &bench{board: &status.Board{}, bell: bell.New()}
			d := daemon.New(daemon.Options{Node: "n1", Log: logrus.NewEntry(log), Source: src, Speaker: r, Board: b.board, Bell: b.bell})
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- d.Run(ctx) }()
			b.announces(t, "10.1.0.0/16")
			cancel()
			<-done
			before := len(r.wishes)
			d.MoveAway(context.Background())
			if !on {
				if len(r.wishes) != before {
					t.Error("something changes")
				}
				return
			}
			last := r.wishes[len(r.wishes)-1]
			gently := func(e policy.Export) bool {
				return slices.Contains(e.Attributes.Communities, routes.GracefulShutdown)
			}
			if len(r.wishes) != before+1 || len(last.RIB) != 1 || !slices.ContainsFunc(last.Exports, gently) {
				t.Errorf("the last wish is %+v", last)
			}
		})
	}
}
