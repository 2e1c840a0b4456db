package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/lab"
	"github.com/fairway-bgp/fairway/progress"
)

// newLabCommand is `fairway lab`: a cluster, a router and a client played on
// this machine.
func newLabCommand() *cobra.Command {
	var opts lab.Options
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Play a Kube-OVN cluster with a router on this machine",
		Long: `The lab plays a Kube-OVN cluster on this machine, in network namespaces: three
nodes with a Fairway daemon each, a router, an outside client, a host beside the
nodes, and Pods. It needs Linux, root and iproute2, and touches nothing else.`,
		Args: cobra.NoArgs,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&opts.Prefix, "prefix", "fw-", "beginning of the namespaces' names: one word and a dash")
	flags.StringVar(&opts.State, "state", "", "folder for YAML, sockets and logs (default /run/fairway-lab/PREFIX)")
	cmd.AddCommand(newLabUpCommand(&opts), newLabDemoCommand(&opts), newLabExecCommand(&opts), newLabDownCommand(&opts), newLabPlayCommand())
	return cmd
}

// newLabUpCommand leaves a lab running; it belongs to nobody until `lab down`.
func newLabUpCommand(opts *lab.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Build the lab and leave it running",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			return labResult(lab.Up(ctx, *opts, showSteps(cmd, opts)))
		},
	}
	addRouterFlag(cmd, opts)
	cmd.Flags().StringArrayVar(&opts.DaemonFlags, "daemon-flag", nil, "flag of fairway run for every node's daemon, such as --daemon-flag=--drain-wait=5s; may be given more than once")
	return cmd
}

// newLabDemoCommand plays the main job and proves each step; its lab goes with it.
func newLabDemoCommand(opts *lab.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show in six proven steps what Fairway does (under 30 s)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			return labResult(lab.Demo(ctx, *opts, showSteps(cmd, opts)))
		},
	}
	addRouterFlag(cmd, opts)
	cmd.Flags().StringVar(&opts.Gobgp, "gobgp", "gobgp", "the gobgp CLI for the last step")
	return cmd
}

// showSteps shows how far the lab is on standard error, and gives standard output, for
// which that line makes room.
func showSteps(cmd *cobra.Command, opts *lab.Options) io.Writer {
	steps := progress.New(cmd.ErrOrStderr())
	opts.Progress = steps
	return after{cmd.OutOrStdout(), steps}
}

// after writes when what shows the progress is taken away.
type after struct {
	io.Writer
	steps *progress.Line
}

func (a after) Write(text []byte) (int, error) {
	a.steps.End()
	return a.Writer.Write(text)
}

// untilInterrupted ends with the signals that ask a program to end, so that what
// the lab made is taken away before this program goes. SIGPIPE is among them: it
// is what `| head` ends a program with.
func untilInterrupted(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
}

// labResult gives exit status 1 to a lab that works otherwise than it should, 2
// to one that could not be played.
func labResult(err error) error {
	if errors.Is(err, lab.ErrNotProved) {
		return wrong(err)
	}
	return err
}

// addRouterFlag chooses who plays the router: GoBGP inside the program, which needs no
// package, or a real one.
func addRouterFlag(cmd *cobra.Command, opts *lab.Options) {
	opts.Router = lab.Embedded
	cmd.Flags().StringVar((*string)(&opts.Router), "router", string(lab.Embedded), "who plays the router: embedded, frr or bird")
}

func newLabExecCommand(opts *lab.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec NAME COMMAND...",
		Short: "Run a command in a station: n1, n2, n3, tor, ext, host, ovn, lan or a Pod",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return lab.Exec(*opts, args[0], args[1:])
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows NAME belongs to COMMAND
	return cmd
}

func newLabDownCommand(opts *lab.Options) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Remove the lab, or what is left of one",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := lab.Down(cmd.Context(), *opts); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The lab is gone.")
			return nil
		},
	}
}

// newLabPlayCommand is how the lab starts its own processes; see lab.Play.
func newLabPlayCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "play PART [ARGS]",
		Hidden: true,
		Args:   cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			return lab.Play(ctx, args, logrus.NewEntry(logrus.New()))
		},
	}
}
