package kube

import (
	"context"
	"fmt"
	"io"
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
	ctx, cancel := context.WithTimeout(ctx, readBound)
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	news := bell.New()
	live := NewLive(LiveOptions{Cluster: c, Settings: settings, Log: logrus.NewEntry(silent), Bell: news.Ring})
	var running sync.WaitGroup
	running.Go(func() { _ = live.Run(ctx) })
	defer running.Wait()
	defer cancel()
	for {
		v, ok := live.Latest()
		switch {
		case len(v.Lapses) > 0:
			return objects.Contents{}, fmt.Errorf("read %s of %s: %s", v.Lapses[0].Kind, c.server, v.Lapses[0].Why)
		case ok:
			return v.Contents, nil
		}
		select {
		case <-ctx.Done():
			return objects.Contents{}, fmt.Errorf("read %s: no answer", c.server)
		case <-news.Rung():
		}
	}
}
