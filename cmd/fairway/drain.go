package main

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/routes"
)

// drainFlags are those of `fairway drain`.
type drainFlags struct {
	input
	timeout time.Duration
	force   bool
}

// newDrainCommand is `fairway drain`: look whether the node is the last to announce
// something, annotate it, and wait until its Speaker has done what was asked.
func newDrainCommand() *cobra.Command {
	var f drainFlags
	c := &cobra.Command{
		Use:   "drain NODE",
		Short: "Move the traffic away from a node, then withdraw everything from it",
		Long: `Annotate the Node with ` + routes.AnnotationDrain + `=true and wait until its Speaker says
that nothing is announced any more. First everything goes out with
GRACEFUL_SHUTDOWN (RFC 8326) and a path that loses, for the daemon's
--drain-wait; then it is withdrawn. Sessions stay up, and Pods where they are.
Undrain reverses it at any moment.

What nobody else announces would go off the network: then the Node is not
annotated, and each Subnet is named with what to do first. That is told by what
the Speakers say, and where they are too short or cannot be read by the plan,
for which --adopt-kube-ovn-annotations, --cluster-router, --drain-taint and
--node-switch shall be those of the daemons.

Exit status: 0 if it is done; 1 if the node is the last to announce something,
or if its Speaker does not say in time that it is done; 2 if that could not be
told.`,
		Example: `  kubectl fairway drain n1 && kubectl drain n1 --ignore-daemonsets`,
		Args:    cobra.ExactArgs(1),
	}
	c.RunE = func(_ *cobra.Command, args []string) error { return f.run(c, args[0]) }
	c.ValidArgsFunction = f.complete(nodeNames)
	addAccessFlags(c, &f.access)
	f.addPlanSettings(c)
	c.Flags().BoolVar(&f.force, "force", false, "drain also the last node that announces something")
	addTimeoutFlag(c, &f.timeout, "how long to wait for the node, besides its --drain-wait; 0 for not at all")
	return c
}

// run names its request, because the Speaker is written a moment after what it tells
// of: "nothing is announced" may be the answer to the drain before this one.
func (f *drainFlags) run(c *cobra.Command, node string) error {
	cluster, err := kube.Connect(f.access)
	if err != nil {
		return err
	}
	if err := f.lookFirst(c.Context(), c.ErrOrStderr(), node); err != nil {
		return err
	}
	// The Speaker may still hold the answer to an earlier drain.
	request := rand.Text()
	err = cluster.AnnotateNode(c.Context(), node, map[string]string{
		routes.AnnotationDrain: "true", routes.AnnotationDrainRequest: request,
	})
	if err != nil {
		return err
	}
	w := drainWait{cluster: cluster, node: node, request: request, timeout: f.timeout, out: c.OutOrStdout(), progress: c.ErrOrStderr()}
	return w.untilDrained(c.Context())
}

// newUndrainCommand is `fairway undrain`. It removes what drain has written, also while
// the drain is under way; a taint is somebody else's.
func newUndrainCommand() *cobra.Command {
	var access kube.Access
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "undrain NODE",
		Short: "Let a node announce again",
		Long: `Take the annotation ` + routes.AnnotationDrain + ` away from the Node and wait until its Speaker
says that it drains no longer. It may be done while a drain is under way. A taint
of the daemon's --drain-taint has to be taken away as well.

Exit status: 0 if it is done, or no daemon runs there; 1 if the Speaker does
not say so in time, 2 if that could not be told.`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			in := input{access: access, settings: routes.DefaultSettings}
			return in.complete(nodeNames)(c, args, prefix)
		},
		RunE: func(c *cobra.Command, args []string) error {
			cluster, err := kube.Connect(access)
			if err != nil {
				return err
			}
			err = cluster.AnnotateNode(c.Context(), args[0], map[string]string{
				routes.AnnotationDrain: "", routes.AnnotationDrainRequest: "",
			})
			if err != nil {
				return err
			}
			w := drainWait{cluster: cluster, node: args[0], timeout: timeout, out: c.OutOrStdout(), progress: c.ErrOrStderr()}
			return w.untilUndrained(c.Context())
		},
	}
	addAccessFlags(c, &access)
	addTimeoutFlag(c, &timeout, "how long to wait; 0 for not at all")
	return c
}

// addTimeoutFlag refuses a negative time: it would mean "not at all", which is 0.
func addTimeoutFlag(c *cobra.Command, timeout *time.Duration, usage string) {
	c.Flags().DurationVar(timeout, "timeout", time.Minute, usage)
	c.PreRunE = func(*cobra.Command, []string) error {
		if *timeout < 0 {
			return fmt.Errorf("--timeout %s: is negative; 0 waits for nothing", *timeout)
		}
		return nil
	}
}
