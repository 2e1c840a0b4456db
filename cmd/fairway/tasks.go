package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/discover"
	"github.com/fairway-bgp/fairway/door"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/enforce"
	"github.com/fairway-bgp/fairway/speaker"
	"github.com/fairway-bgp/fairway/status"
	"github.com/fairway-bgp/fairway/web"
)

// task is one part of the daemon. It works until its context ends; an error before
// that ends the others too, and says by the name which part it was.
type task struct {
	name string
	work func(context.Context) error
}

// watch rings until ctx ends or it breaks, and then is begun again.
type watch struct {
	name string
	run  func(ctx context.Context, ring func()) error
}

// parts are what the daemon is made of. keeper is nil where the host module is off.
type parts struct {
	flags   *runFlags
	log     *logrus.Entry
	wake    *bell.Bell
	board   *status.Board
	page    *web.Page
	doors   *door.Doors
	from    origin
	speaker *speaker.Speaker
	keeper  *enforce.Keeper
	watches []watch
	daemon  *daemon.Daemon
}

// parts makes the parts; nothing works yet.
func (f *runFlags) parts(log *logrus.Entry) (*parts, error) {
	p := &parts{flags: f, log: log, wake: bell.New(), board: &status.Board{}, page: web.NewPage(time.Now())}
	p.doors = door.New(log, p.wake.Ring)
	var err error
	p.speaker, err = speaker.New(speaker.Options{
		Log: log.WithField("part", "speaker"), GRPCSocket: f.grpcSocket, GRPCAddress: f.grpcAddress,
		Doors: p.doors, ListenPort: f.bgpPort, LinkAddressOf: host.LinkAddressOf, HasAddress: host.HasAddress, Bell: p.wake.Ring,
	})
	if err != nil {
		return nil, err
	}
	if p.from, err = f.source(p.wake, log); err != nil {
		return nil, err
	}
	if p.keeper, err = f.host.keeper(p.wake.Ring, log); err != nil {
		return nil, err
	}
	neighbours := discover.New(log.WithField("part", "neighbours"))
	gate, watches := f.gate(log.WithField("part", "datapath"))
	p.watches = append(watches, watch{"links and routes", host.WatchDatapath}, watch{"neighbours", neighbours.Watch})
	options := daemon.Options{
		Version: versionText(), Node: f.node, Log: log, Board: p.board, Bell: p.wake, Speaker: p.speaker,
		Source: p.from.source, NotServed: p.doors.Shut, OnStop: p.onStop, Posted: p.from.posted, Gate: gate, Neighbours: neighbours, HostGate: f.host.gate,
		Settings: status.Settings{OverlayLink: f.overlayLink, BGPPort: uint16(f.bgpPort)},
	}
	if p.keeper != nil {
		options.Host = p.keeper
	}
	p.daemon = daemon.New(options)
	return p, nil
}

// work does all tasks until ctx ends, or signalled, a part of it that a signal ends
// too.
func (p *parts) work(ctx, signalled context.Context) error {
	speaking, silence := context.WithCancel(ctx)
	defer silence()
	tasks := append(p.from.tasks, task{"status page", p.servePage}, task{"picture", p.followBoard}, task{"memory", p.spareMemory}, task{"metrics", p.serveMetrics})
	tasks = append(tasks, p.watchTasks()...)
	tasks = append(tasks, p.hostTasks()...)
	// The loop ends before the speaker is stopped, so that nothing is announced
	// anew behind its back.
	tasks = append(tasks, task{"loop", func(running context.Context) error {
		defer silence()
		err := p.daemon.Run(running)
		return errors.Join(err, p.stopSpeaker(running, signalled.Err() != nil))
	}}, task{"speaker", func(context.Context) error { return p.speaker.Run(speaking) }})
	p.log.WithFields(logrus.Fields{"version": versionText(), "node": p.flags.node, "status": "http://" + p.flags.listen}).Info("fairway starts")
	return doAll(signalled, tasks, stopBound, p.log)
}

// Bounds of connections. Scrapes and people come one by one, and so do probes.
const (
	mostPageConns   = 64
	mostProbeConns  = 8
	mostScrapeConns = 16
)

// servePage shows the page to whoever is on this node, and to the daemon's owner by
// a socket that nobody else can keep busy.
func (p *parts) servePage(ctx context.Context) error {
	serve := func(l net.Listener) error { return web.Serve(l, p.board, p.page) }
	for _, closed := range []<-chan struct{}{
		p.doors.Keep(ctx, door.Door{Name: "status page", Network: "tcp", Address: p.flags.listen, Most: mostPageConns,
			Advice: "another fairway on this node? give --listen another port"}, serve),
		p.doors.Keep(ctx, door.Door{Name: "status socket", Network: "unix", Address: statusSocket(p.flags.runDir), Most: mostProbeConns,
			Advice: "give --run-dir another folder"}, serve),
	} {
		<-closed
	}
	return nil
}

// serveMetrics lets other machines read the metrics, where that is asked for.
func (p *parts) serveMetrics(ctx context.Context) error {
	if p.flags.metricsListen == "" {
		return nil
	}
	<-p.doors.Keep(ctx, door.Door{Name: "metrics", Network: "tcp", Address: p.flags.metricsListen, Most: mostScrapeConns,
		Advice: "give --metrics-listen another port, or an address of this node"}, func(l net.Listener) error { return web.ServeMetrics(l, p.board) })
	return nil
}

// spareMemory gives back what only the start needed.
func (p *parts) spareMemory(ctx context.Context) error {
	giveBackMemory(ctx, p.board)
	return nil
}

// followBoard keeps the page's picture up to date.
func (p *parts) followBoard(ctx context.Context) error {
	p.page.Follow(ctx, p.board, p.log.WithField("part", "page"))
	return nil
}

// watchTasks ring, and have the host looked at again, when the way into the overlay
// changes.
func (p *parts) watchTasks() []task {
	var out []task
	for _, w := range p.watches {
		out = append(out, p.keepWatching(w.name, "datapath", func(ctx context.Context, ring func()) error {
			return w.run(ctx, func() {
				ring()
				if p.keeper != nil {
					p.keeper.Reconsider()
				}
			})
		}))
	}
	return out
}

// hostTasks are the host module's: without one, to take back what an earlier run
// has put on this host.
func (p *parts) hostTasks() []task {
	if p.keeper == nil {
		return []task{{"host", func(ctx context.Context) error {
			p.flags.host.takeBack(ctx, p.log.WithField("part", "host"))
			return nil
		}}}
	}
	return []task{
		{"host", p.keeper.Run},
		p.keepWatching("probes", "probe", func(ctx context.Context, _ func()) error {
			return whereAllowed(ctx, p.log, "probes of other nodes are not answered", host.AnswerProbes(ctx, p.keeper.Want))
		}),
		p.keepWatching("packet filter", "host", func(ctx context.Context, _ func()) error {
			return whereAllowed(ctx, p.log, "changes of the packet filter are seen at the next audit only", p.keeper.WatchFilter(ctx))
		}),
		p.keepWatching("sysctls", "host", func(ctx context.Context, _ func()) error {
			return whereAllowed(ctx, p.log, "changes of sysctls are seen at the next audit only", p.keeper.WatchSettings(ctx))
		}),
	}
}

// keepWatching is a task that begins a watch again whenever it breaks.
func (p *parts) keepWatching(name, part string, run func(ctx context.Context, ring func()) error) task {
	return task{name, func(ctx context.Context) error {
		return daemon.KeepWatching(ctx, p.wake, p.log.WithField("part", part), run)
	}}
}

// doAll does tasks until ctx ends or one of them fails, and gives that one's error
// with its name. From then on it waits no longer than bound.
func doAll(ctx context.Context, tasks []task, bound time.Duration, log *logrus.Entry) error {
	group, running := errgroup.WithContext(ctx)
	for _, t := range tasks {
		group.Go(func() error {
			if err := t.work(running); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			return nil
		})
	}
	return ended(group.Wait, running, bound, log)
}

// ended waits for the end of everything, and from when it has begun no longer
// than bound.
func ended(wait func() error, begun context.Context, bound time.Duration, log *logrus.Entry) error {
	over := make(chan error, 1)
	go func() { over <- wait() }()
	select {
	case err := <-over:
		return err
	case <-begun.Done():
	}
	select {
	case err := <-over:
		return err
	case <-time.After(bound):
		sayLast(log, fmt.Sprintf("something hangs: the process ends anyway, %s after it was to end", bound))
		return wrong(nil)
	}
}

// sayLast logs, and goes on where nobody takes the line: that may be what hangs.
func sayLast(log *logrus.Entry, text string) {
	said := make(chan struct{})
	go func() { log.Error(text); close(said) }()
	select {
	case <-said:
	case <-time.After(100 * time.Millisecond):
	}
}

// whereAllowed makes do with a watch that this process has no right to: it says
// so once and waits for the end, for the right will not come.
func whereAllowed(ctx context.Context, log *logrus.Entry, without string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	log.WithError(err).Warn("not allowed here: " + without)
	<-ctx.Done()
	return nil
}

// stopSpeaker ends the sessions. Whoever is told to stop withdraws everything, unless it
// comes back; a fault leaves what a graceful restart would keep.
func (p *parts) stopSpeaker(ctx context.Context, told bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeBound)
	defer cancel()
	if !told {
		return p.speaker.StopForRestart(ctx)
	}
	p.daemon.MoveAway(ctx)
	after := p.onStop()
	log := p.log.WithField("because", after.Because)
	if after.Keep {
		log.Info("told to stop: peers with graceful restart keep the routes")
		return p.speaker.StopForRestart(ctx)
	}
	log.Info("told to stop: withdrawing everything")
	return p.speaker.Stop(ctx, "fairway was stopped on this node")
}

// onStop is what a SIGTERM means now.
func (p *parts) onStop() status.OnStop {
	var after prospect
	if p.from.prospect != nil {
		after = p.from.prospect()
	}
	return p.flags.farewell(after)
}
