package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/door"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/inet"
)

// Bounds of the end. goodbyeBound is how long the sessions may take to end, a second of
// it for traffic to move away (daemon.MoveAway), and stopBound how long everything may: what hangs then ends with the process.
const (
	goodbyeBound = 5 * time.Second
	stopBound    = 6 * time.Second
)

type runFlags struct {
	input
	live
	stopFlags
	node, listen, runDir    string
	metricsListen           string
	grpcSocket, grpcAddress string
	bgpPort                 int32
	overlayLink             string
	datapathGate            bool
	host                    hostFlags
	logLevel, logFormat     string
}

// newRunCommand is `fairway run`, the daemon. tasks.go has what it is made of.
func newRunCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon of this node",
		Long: `Run the daemon of this node: follow the objects, announce what the plan says, and
show it on loopback. SIGTERM and SIGINT withdraw everything and end the sessions
with a text that says so, but where the DaemonSet will start this Pod again: then
peers with gracefulRestart keep the routes (--on-stop).

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
	f.stopFlags.addFlags(c)
	hostname, _ := os.Hostname()
	c.Flags().StringVar(&f.node, "node", hostname, "name of this node's Node object")
	c.Flags().StringVar(&f.listen, "listen", defaultListen, "loopback address of the status page")
	c.Flags().StringVar(&f.metricsListen, "metrics-listen", "", "address of /metrics alone, such as :7474, for a Prometheus on another machine: whoever reaches it reads the metrics; empty for none, they are on the status page")
	c.Flags().StringVar(&f.runDir, "run-dir", defaultRunDir, "folder of the lock that keeps a second daemon of this node waiting, and of the socket for fairway probe")
	c.Flags().StringVar(&f.grpcSocket, "grpc-socket", "/run/fairway/gobgp.sock", "unix socket for the gobgp CLI, read-only; empty for none")
	c.Flags().StringVar(&f.grpcAddress, "grpc-address", "127.0.0.1:50051", "loopback address for the gobgp CLI, read-only; empty for none")
	c.Flags().Int32Var(&f.bgpPort, "bgp-port", inet.BGPPort, "TCP port to wait on for passive peers; unused without one")
	c.Flags().StringVar(&f.overlayLink, "overlay-link", "ovn0", "the link by which this node reaches the overlay")
	c.Flags().BoolVar(&f.datapathGate, "datapath-gate", true, "withhold a CIDR while this node has no working way to it by the overlay link: link, route, join gateway")
	f.host.addRunFlags(c)
	c.Flags().StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	c.Flags().StringVar(&f.logFormat, "log-format", "text", "text or json")
	return c
}

// run checks the flags, makes the parts, and works until ctx or a signal ends it.
func (f *runFlags) run(ctx context.Context, stderr io.Writer) error {
	log, err := newLog(stderr, f.logLevel, f.logFormat)
	if err != nil {
		return err
	}
	if f.node == "" {
		return fmt.Errorf("no node: give --node NAME")
	}
	if err := errors.Join(f.live.check(), f.stopFlags.check(), f.input.check(), f.input.checkPaths()); err != nil {
		return err
	}
	if err := door.CheckLoopback(f.listen); err != nil {
		return fmt.Errorf("--listen: %w: the status page has no authentication", err)
	}
	if err := door.CheckReachable(f.metricsListen); f.metricsListen != "" && err != nil {
		return fmt.Errorf("--metrics-listen: %w", err)
	}
	boundMemory()
	p, err := f.parts(log)
	if err != nil {
		return err
	}
	signalled, ignore := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer ignore()
	release, err := takeLock(signalled, f.runDir, f.node, log)
	if err != nil {
		return nil // told to end before it began
	}
	defer release()
	return p.work(ctx, signalled)
}

// gate looks at the kernel's way into the overlay; nil where nobody asked for it.
// What is to be run with it rings when the way changes.
func (f *runFlags) gate(log *logrus.Entry) (daemon.Gate, []watch) {
	if !f.datapathGate {
		return nil, nil
	}
	gateways, masqueraded := host.NewGateways(f.overlayLink, log), host.NewMasqueraded()
	gate := &daemon.DatapathGate{
		Read: func(w host.Want) host.Datapath {
			w.Overlay = f.overlayLink
			return host.AskWhereRulesLead(w)
		},
		Gateways: gateways.Follow, Masqueraded: masqueraded.Among,
	}
	return gate, []watch{{"join gateways", gateways.Watch}, {"masqueraded networks", masqueraded.Watch}}
}

// newLog refuses a level or format that does not exist: a daemon that logs too little
// is noticed only when it is needed.
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
