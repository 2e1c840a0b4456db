package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/enforce"
	"github.com/fairway-bgp/fairway/inet"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/status"
)

// defaultHostState is where the host module keeps what it changed. Sysctls and
// rules do not outlive the machine's run, so neither need this.
const defaultHostState = "/run/fairway"

type checkFlags struct {
	input
	enforcing
	output                     outputFormat
	node, address, overlayLink string
	// overlayGiven is whether the flag was: else the daemon knows.
	overlayGiven          bool
	fix, undo, trace, all bool
	wholeCluster          bool
	probe                 string
	watch                 watching
}

// newCheckCommand is `fairway check`: what host.Check finds, for what is announced here.
func newCheckCommand() *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "Say whether this node would forward what is announced, and what stands in the way",
		Long: `Say whether this node would forward the announced traffic: which rule or sysctl
would drop it, why that matters, and what to do. What is announced it asks the
daemon on this node, or with -f takes from the plan of the given objects; the
host it reads itself, here and now. Without root much of it stays unknown. What is
ok is counted, and listed with --all. With --cluster it says instead what the daemon
of every node has found on its host, as the Speakers have it.

--trace prints the walk of a packet through every rule, as the kernel would
evaluate it. --fix puts right what Fairway owns, once; --undo takes away
everything that Fairway has put on this host, restores sysctls, and says what it
did. Where a daemon of this node enforces it does nothing: start that one with
--host=off.

Exit status: 0 if all is ok, 1 if something is wrong, 2 if something could not be
told.`,
		Example: `  fairway check
  fairway check -f cluster/ --node n1 -o json
  fairway check --trace 198.51.100.2 10.166.0.10
  fairway check --fix
  kubectl fairway check --cluster`,
		Args: func(c *cobra.Command, args []string) error {
			if f.trace {
				return cobra.ExactArgs(2)(c, args)
			}
			return cobra.NoArgs(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	f.addFlags(c)
	flags := c.Flags()
	flags.StringVar(&f.node, "node", "", "with -f: the node whose plan counts")
	flags.StringVar(&f.address, "address", defaultListen, "the daemon's --listen address")
	f.output.addFlag(c)
	flags.StringVar(&f.overlayLink, "overlay-link", "ovn0", "the link by which this node reaches the overlay; where the daemon is asked, its own unless given")
	flags.BoolVar(&f.all, "all", false, "list also what is ok")
	flags.BoolVar(&f.trace, "trace", false, "print the walk of a packet from SRC to DST, two arguments")
	flags.BoolVar(&f.fix, "fix", false, "put right what Fairway owns, then check")
	flags.BoolVar(&f.undo, "undo", false, "take away everything that Fairway has put on this host")
	f.addEnforcingFlags(c)
	flags.StringVar(&f.probe, "probe", "", "ask by real packets whether the network carries Pod addresses to another node, by its name or IPv4 address; fairway must run there")
	flags.BoolVar(&f.wholeCluster, "cluster", false, "what the daemons of all nodes have found on their hosts, from the API server")
	f.watch.addFlag(c)
	c.MarkFlagsMutuallyExclusive("fix", "undo", "trace", "probe", "cluster")
	c.MarkFlagsMutuallyExclusive("filename", "cluster")
	c.MarkFlagsMutuallyExclusive("watch", "fix")
	c.MarkFlagsMutuallyExclusive("watch", "undo")
	f.completeFlags(c, namedInFlags())
	return c
}

// run reads the host itself, here and now, while the plan is the daemon's: a rule that
// was changed a second ago counts, and what is announced is asked of who announces it.
func (f *checkFlags) run(c *cobra.Command, args []string) error {
	if err := f.watch.check(f.files); err != nil {
		return err
	}
	f.overlayGiven = c.Flags().Changed("overlay-link")
	return f.watch.run(c, &f.output, func(ctx context.Context, out, notes io.Writer) error {
		switch {
		case f.undo:
			return undo(ctx, out, f.enforcer())
		case f.trace:
			return f.writeTrace(ctx, out, args)
		case f.wholeCluster:
			return f.showHosts(ctx, out, notes)
		}
		return f.look(ctx, out, notes)
	})
}

// look says how the host, or with --probe the network, is now. A bad object of the input
// must not pass unseen.
func (f *checkFlags) look(ctx context.Context, out, notes io.Writer) error {
	want, bad, err := f.want(ctx, notes)
	if err != nil {
		return err
	}
	if f.fix {
		if _, err := f.enforcer().Enforce(ctx, want); err != nil {
			return err
		}
	}
	var findings []host.Finding
	if f.probe != "" {
		findings, err = f.askNetwork(ctx, notes, want)
	} else {
		// The host is read here and now: a rule that was changed a moment ago counts.
		findings = host.Check(host.Read(ctx, want), want)
	}
	if err == nil {
		err = f.report(out, findings)
	}
	if err == nil && bad {
		return wrong(nil)
	}
	return err
}

// undo takes back, and says what; where a daemon enforces it cannot.
func undo(ctx context.Context, w io.Writer, enforcer *enforce.Enforcer) error {
	undone, err := enforcer.Undo(ctx)
	switch {
	case errors.Is(err, enforce.ErrKept):
		return wrong(err)
	case err != nil && undone.Empty():
		return err // which says more than that nothing is ours
	}
	return errors.Join(undone.WriteText(w), err)
}

// report prints findings and gives the exit status.
func (f *checkFlags) report(w io.Writer, findings []host.Finding) error {
	var err error
	if f.output.json() {
		err = writeJSON(w, host.NewReport(findings))
	} else {
		err = host.WriteText(w, findings, f.all)
	}
	if err != nil {
		return err
	}
	return verdict(host.Worst(findings))
}

// verdict is the exit status that a state of the host ends with.
func verdict(s host.State) error {
	switch s {
	case host.Wrong:
		return wrong(nil)
	case host.Unknown:
		return codedError{code: exitUnknown}
	}
	return nil
}

// want is what the plan of the files, or of the daemon, asks of this node; bad is whether
// an object of the files is.
func (f *checkFlags) want(ctx context.Context, stderr io.Writer) (w host.Want, bad bool, err error) {
	if len(f.files) == 0 {
		s, _, err := askDaemon(f.address)
		if err != nil {
			return host.Want{}, false, err
		}
		settings := f.settings(s.Settings)
		return daemon.WantOf(s.Plan, settings.OverlayLink, settings.BGPPort), false, nil
	}
	contents, bad, err := f.read(ctx, stderr)
	if err != nil {
		return host.Want{}, false, err
	}
	s := contents.Snapshot
	if f.node != "" {
		s = s.AssumeNode(f.node)
	}
	names, err := nodes(s, f.node)
	if err != nil {
		return host.Want{}, false, err
	}
	if len(names) != 1 {
		return host.Want{}, false, fmt.Errorf("the input has several Nodes: give --node with one of %s", columns.First(mostChoices, names))
	}
	settings := f.settings(status.Settings{})
	return daemon.WantOf(policy.Make(s, names[0]), settings.OverlayLink, settings.BGPPort), bad, nil
}

// settings are the daemon's, as far as it told them, and no flag says otherwise.
func (f *checkFlags) settings(daemons status.Settings) status.Settings {
	if f.overlayGiven || daemons.OverlayLink == "" {
		daemons.OverlayLink = f.overlayLink
	}
	if daemons.BGPPort == 0 {
		daemons.BGPPort = inet.BGPPort
	}
	return daemons
}

// writeTrace prints how the packets of a connection fare, also of one that this node
// has not seen begin.
func (f *checkFlags) writeTrace(ctx context.Context, w io.Writer, args []string) error {
	var addresses [2]netip.Addr
	for i, arg := range args {
		var err error
		if addresses[i], err = netip.ParseAddr(arg); err != nil {
			return badUsage(fmt.Errorf("--trace %s: not an IP address", arg))
		}
	}
	src, dst := addresses[0], addresses[1]
	if src.Is4() != dst.Is4() {
		return badUsage(fmt.Errorf("--trace: %s and %s are of different families", src, dst))
	}
	facts := host.Read(ctx, host.Want{Overlay: f.overlayLink})
	return verdict(facts.TraceFlow(w, src, dst))
}

// askNetwork asks the network and not the host: packets with addresses of Pods are sent
// to another node, whose daemon says whether they came.
func (f *checkFlags) askNetwork(ctx context.Context, notes io.Writer, want host.Want) ([]host.Finding, error) {
	target, err := f.probeTarget(ctx, notes)
	if err != nil {
		return nil, err
	}
	return host.Probe(ctx, target, want, probePatience), nil
}

// probeTarget gives the IPv4 address of the node to probe: the flag's, or the
// first InternalIP of the Node of that name.
func (f *checkFlags) probeTarget(ctx context.Context, stderr io.Writer) (netip.Addr, error) {
	if target, err := netip.ParseAddr(f.probe); err == nil {
		return target, nil
	}
	contents, _, err := f.read(ctx, stderr)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("--probe %s: not an address, and no Nodes to look it up among: %w", f.probe, err)
	}
	if _, err := nodes(contents.Snapshot, f.probe); err != nil {
		return netip.Addr{}, fmt.Errorf("--probe %s: not an address, and no such Node; %s", f.probe, offered(f.probe, nodeNames(contents.Snapshot)))
	}
	for _, n := range contents.Snapshot.Nodes {
		for _, a := range n.InternalIPs {
			if n.Name == f.probe && a.Is4() {
				return a, nil
			}
		}
	}
	return netip.Addr{}, fmt.Errorf("--probe %s: Node %s has no IPv4 InternalIP; give its address", f.probe, f.probe)
}

// probePatience is how long an answer to a probe may take.
const probePatience = 3 * time.Second

// enforcing are the flags of everything that changes the host: how, and where.
type enforcing struct {
	noTrack        bool
	state, sysctls string
	accept         accepting
}

// accepting is where accepts go: the flag's values.
type accepting string

// The places of accepts.
const (
	acceptLate  accepting = "late"
	acceptFirst accepting = "first"
)

// String, Set and Type make it a flag.
func (a *accepting) String() string { return string(*a) }

func (a *accepting) Set(s string) error {
	if s != string(acceptLate) && s != string(acceptFirst) {
		return errors.New("use late or first")
	}
	*a = accepting(s)
	return nil
}

func (a *accepting) Type() string { return "string" }

// defaultSysctls is where the kernel's settings are written; in a Pod it is
// read-only, and a mount of the node's takes its place.
const defaultSysctls = "/proc/sys"

func (e *enforcing) addEnforcingFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.BoolVar(&e.noTrack, "host-notrack", false, "with enforce: keep packets from the CIDRs out of conntrack, where a drop of INVALID cannot be got round otherwise; breaks NodePort replies with externalTrafficPolicy Local")
	flags.StringVar(&e.state, "host-state", defaultHostState, "folder of what was changed on the host")
	e.accept = acceptLate
	flags.Var(&e.accept, "accept", "where accepts are put: late, right before what drops the traffic, and nowhere if that overrules what others have decided; or first, at the head of the chain, whatever it overrules")
	flags.StringVar(&e.sysctls, "host-sysctls", defaultSysctls, "where sysctls are written; in a Pod, where the node's are mounted")
}

func (e *enforcing) enforcer() *enforce.Enforcer {
	return &enforce.Enforcer{State: e.state, Sysctls: e.sysctls, Means: host.Means{NoTrack: e.noTrack, First: e.accept == acceptFirst}}
}

// hostFlags are the daemon's flags for the host module.
type hostFlags struct {
	enforcing
	mode string
	gate bool
}

func (h *hostFlags) addRunFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&h.mode, "host", "audit", "off (and take back what an earlier enforce has put on this host), audit (look at this node and say what is wrong) or enforce (and keep rules and sysctls of ours as they must be)")
	flags.BoolVar(&h.gate, "host-gate", false, "withhold a prefix while a finding says that this node would drop its traffic")
	h.addEnforcingFlags(c)
	c.RegisterFlagCompletionFunc("host", cobra.FixedCompletions([]string{"off", "audit", "enforce"}, cobra.ShellCompDirectiveNoFileComp))
}

// keeper gives the host module's loop; nil where it is off.
func (h *hostFlags) keeper(tell func(), log *logrus.Entry) (*enforce.Keeper, error) {
	o := enforce.KeeperOptions{Log: log.WithField("part", "host"), Tell: tell}
	switch h.mode {
	case "off":
		return nil, nil
	case "audit":
	case "enforce":
		o.Enforcer = h.enforcer()
	default:
		return nil, fmt.Errorf("--host %s: not a mode; use off, audit or enforce", h.mode)
	}
	return enforce.NewKeeper(o), nil
}

// takeBack leaves the host as it was before an earlier run with --host=enforce.
// A host that cannot be put back is no reason not to announce.
func (h *hostFlags) takeBack(ctx context.Context, log *logrus.Entry) {
	if _, err := h.enforcer().Undo(ctx); err != nil && ctx.Err() == nil {
		log.WithError(err).Warn("not everything that Fairway may have put on this host is taken back")
	}
}
