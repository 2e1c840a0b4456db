package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/speaker"
	"github.com/fairway-bgp/fairway/status"
	"github.com/fairway-bgp/fairway/web"
)

// Bounds of the end. goodbyeBound is how long the sessions may take to end, and
// stopBound how long everything may: what hangs then ends with the process.
const (
	goodbyeBound = 4 * time.Second
	stopBound    = 5 * time.Second
)

type runFlags struct {
	input
	live
	node, listen            string
	grpcSocket, grpcAddress string
	bgpPort                 int32
	overlayLink             string
	datapathGate            bool
	host                    hostFlags
	logLevel, logFormat     string
}

func newRunCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon of this node",
		Long: `Run the daemon of this node: follow the objects, announce what the plan says, and
show it on loopback. SIGTERM and SIGINT withdraw everything and end the sessions
with a text that says so.

The objects are a cluster's, or with -f those of files. An API server that goes
away, or a file that no longer parses, withdraws nothing.`,
		Example: `  fairway run --node n1 --state-dir /var/lib/fairway
  fairway run -f /etc/fairway --node n1
  gobgp --target unix:///run/fairway/gobgp.sock neighbor`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.ErrOrStderr()) },
	}
	f.input.addFlags(c)
	f.live.addFlags(c)
	hostname, _ := os.Hostname()
	c.Flags().StringVar(&f.node, "node", hostname, "name of this node's Node object")
	c.Flags().StringVar(&f.listen, "listen", defaultListen, "loopback address of the status page")
	c.Flags().StringVar(&f.grpcSocket, "grpc-socket", "/run/fairway/gobgp.sock", "unix socket for the gobgp CLI, read-only; empty for none")
	c.Flags().StringVar(&f.grpcAddress, "grpc-address", "127.0.0.1:50051", "loopback address for the gobgp CLI, read-only; empty for none")
	c.Flags().Int32Var(&f.bgpPort, "bgp-port", 179, "TCP port to wait on for passive peers; unused without one")
	c.Flags().StringVar(&f.overlayLink, "overlay-link", "ovn0", "the link by which this node reaches the overlay")
	c.Flags().BoolVar(&f.datapathGate, "datapath-gate", true, "withhold a CIDR while this node has no working way to it by the overlay link: link, route, join gateway")
	f.host.addRunFlags(c)
	c.Flags().StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	c.Flags().StringVar(&f.logFormat, "log-format", "text", "text or json")
	return c
}

func (f *runFlags) run(ctx context.Context, stderr io.Writer) error {
	log, err := newLog(stderr, f.logLevel, f.logFormat)
	if err != nil {
		return err
	}
	if f.node == "" {
		return fmt.Errorf("no node: give --node NAME")
	}
	if err := errors.Join(f.live.check(), f.input.check()); err != nil {
		return err
	}
	listener, err := web.Listen(f.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	spareMemory()
	bell := daemon.NewBell()
	sp, err := speaker.New(speaker.Options{
		Log: log.WithField("part", "speaker"), GRPCSocket: f.grpcSocket, GRPCAddress: f.grpcAddress,
		ListenPort: f.bgpPort, Bell: bell.Ring,
	})
	if err != nil {
		return err
	}
	from, err := f.source(bell.Ring, log)
	if err != nil {
		return err
	}
	keeper, err := f.host.keeper(bell.Ring, log)
	if err != nil {
		return err
	}
	gate, watches := f.gate(log.WithField("part", "datapath"))
	board := &status.Board{}
	options := daemon.Options{
		Version: versionText(), Node: f.node, Log: log, Board: board, Bell: bell, Speaker: sp,
		Source: from.source, Posted: from.posted, Gate: gate, HostGate: f.host.gate,
		Settings: status.Settings{OverlayLink: f.overlayLink, BGPPort: uint16(f.bgpPort)},
	}
	if keeper != nil {
		options.Host = keeper
	}
	d := daemon.New(options)

	signalled, release := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer release()
	group, running := errgroup.WithContext(signalled)
	speaking, silence := context.WithCancel(ctx)
	defer silence()
	for _, run := range from.run {
		group.Go(func() error { return run(running) })
	}
	group.Go(func() error { return web.Serve(running, listener, board) })
	for _, watch := range append(watches, host.WatchDatapath) {
		group.Go(func() error {
			return bell.KeepWatching(running, log.WithField("part", "datapath"), func(ctx context.Context, ring func()) error {
				return watch(ctx, func() {
					ring()
					if keeper != nil {
						keeper.Reconsider()
					}
				})
			})
		})
	}
	if keeper == nil {
		group.Go(func() error { f.host.takeBack(running, log.WithField("part", "host")); return nil })
	} else {
		group.Go(func() error { return keeper.Run(running) })
		group.Go(func() error {
			return bell.KeepWatching(running, log.WithField("part", "probe"), func(ctx context.Context, _ func()) error {
				return whereAllowed(ctx, log, "probes of other nodes are not answered", host.AnswerProbes(ctx, keeper.Want))
			})
		})
		group.Go(func() error {
			return bell.KeepWatching(running, log.WithField("part", "host"), func(ctx context.Context, _ func()) error {
				return whereAllowed(ctx, log, "changes of the packet filter are seen at the next audit only", host.WatchFilter(ctx, keeper.Ring))
			})
		})
	}
	// The loop ends before the speaker is stopped, so that nothing is announced
	// anew behind its back.
	group.Go(func() error {
		defer silence()
		err := d.Run(running)
		return errors.Join(err, stopSpeaker(ctx, sp, signalled.Err() != nil, log))
	})
	group.Go(func() error { return sp.Run(speaking) })
	log.WithFields(logrus.Fields{"version": versionText(), "node": f.node, "status": "http://" + f.listen}).Info("fairway starts")
	return ended(group.Wait, running, stopBound, log)
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

// spareMemory collects garbage earlier than Go does by itself: a daemon on every
// node rarely works, and always takes room. GOGC goes before.
func spareMemory() {
	const percent = 50
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
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

// stopSpeaker ends the sessions. A deliberate end withdraws everything; a
// fault leaves what a graceful restart would keep.
func stopSpeaker(ctx context.Context, sp *speaker.Speaker, deliberate bool, log *logrus.Entry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeBound)
	defer cancel()
	if !deliberate {
		return sp.StopForRestart(ctx)
	}
	log.Info("told to stop: withdrawing everything")
	return sp.Stop(ctx, "fairway was stopped on this node")
}

// gate looks at the kernel's way into the overlay; nil where nobody asked for it.
// What is to be run with it rings the bell when the way changes.
func (f *runFlags) gate(log *logrus.Entry) (daemon.Gate, []watch) {
	if !f.datapathGate {
		return nil, nil
	}
	gateways, masqueraded := host.NewGateways(f.overlayLink, log), host.NewMasqueraded()
	gate := &daemon.DatapathGate{
		Read:     func() host.Datapath { return host.ReadDatapath(f.overlayLink) },
		Gateways: gateways.Follow, Masqueraded: masqueraded.Among,
	}
	return gate, []watch{gateways.Watch, masqueraded.Watch}
}

// watch rings a bell until ctx ends or it breaks.
type watch func(ctx context.Context, bell func()) error

func newLog(w io.Writer, level, format string) (*logrus.Entry, error) {
	log := logrus.New()
	log.SetOutput(w)
	l, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("--log-level %s: not a level; use debug, info, warn or error", level)
	}
	log.SetLevel(l)
	switch format {
	case "text":
		log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true})
	case "json":
		log.SetFormatter(&logrus.JSONFormatter{})
	default:
		return nil, fmt.Errorf("--log-format %s: not a format; use text or json", format)
	}
	return logrus.NewEntry(log), nil
}
