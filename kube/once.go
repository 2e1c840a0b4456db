package kube

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/routes"
)

// readBound is how long ReadCluster waits for an API server that does not
// refuse, but does not answer either.
const readBound = 20 * time.Second

// ReadCluster reads the whole cluster once, without Secrets.
func ReadCluster(ctx context.Context, c *Cluster, settings routes.Settings) (objects.Contents, error) {
	v, err := readView(ctx, c, settings)
	return v.Contents, err
}

// ReadObjects is ReadCluster for who does something with the objects before they count:
// they are marked as seen by the controllers of the cluster. A BGPPeer's Secret has a
// stand-in, the same for all.
func ReadObjects(ctx context.Context, c *Cluster, settings routes.Settings) ([]objects.Object, error) {
	v, err := readView(ctx, c, settings)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(v.Objects)
	for i := range out {
		switch o := out[i].Value.(type) {
		case *objects.Subnet:
			seen := *o
			seen.Formatted, seen.Controlled = true, true
			out[i].Value = &seen
		case objects.Node:
			o.Reported, o.Judged = true, true
			out[i].Value = o
		}
	}
	return out, nil
}

// StandIns give the Secrets that BGPPeers name, and that are not among the objects, the
// value that those have which ReadObjects gives.
func StandIns(all []objects.Object) []objects.Object {
	there := map[string]bool{}
	for _, o := range all {
		there[o.Name] = there[o.Name] || o.Kind == objects.KindSecret
	}
	return standInSecrets(all, func(secret string) bool { return there[secret] })
}

func readView(ctx context.Context, c *Cluster, settings routes.Settings) (LiveView, error) {
	ctx, cancel := context.WithTimeout(ctx, readBound)
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	news := bell.New()
	live := NewLive(LiveOptions{Cluster: c, Settings: settings, Log: logrus.NewEntry(silent), Bell: news.RingSince})
	var running sync.WaitGroup
	running.Go(func() { _ = live.Run(ctx) })
	defer running.Wait()
	defer cancel()
	for {
		v, ok := live.Latest()
		switch {
		case len(v.Lapses) > 0:
			lapse := v.Lapses[0]
			return LiveView{}, troubled{fmt.Errorf("read %s of %s: %s", lapse.Kind, c.server, lapse.Why), lapse.Trouble}
		case ok:
			return v, nil
		}
		select {
		case <-ctx.Done():
			return LiveView{}, troubled{fmt.Errorf("read %s: no answer", c.server), Unreachable}
		case <-news.Rung():
		}
	}
}
