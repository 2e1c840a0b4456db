package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/routes"
)

// drainPoll is how often `drain` looks at the Speaker, which changes once a
// second at most.
const drainPoll = 300 * time.Millisecond

func newDrainCommand() *cobra.Command {
	var access kube.Access
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "drain NODE",
		Short: "Withdraw everything from a node, and wait until it is done",
		Long: `Annotate the Node with ` + routes.AnnotationDrain + `=true and wait until its Speaker says
that nothing is announced any more. Pods stay where they are.

Exit status: 0 if it is done, 1 if the Speaker does not say so in time, 2 if
that could not be told.`,
		Example: `  kubectl fairway drain n1 && kubectl drain n1`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cluster, err := kube.Connect(access)
			if err != nil {
				return err
			}
			if err := cluster.AnnotateNode(c.Context(), args[0], routes.AnnotationDrain, "true"); err != nil {
				return err
			}
			return awaitDrained(c.Context(), c.OutOrStdout(), cluster, args[0], timeout)
		},
	}
	addAccessFlags(c, &access)
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait; 0 for not at all")
	return c
}

func newUndrainCommand() *cobra.Command {
	var access kube.Access
	c := &cobra.Command{
		Use:   "undrain NODE",
		Short: "Let a node announce again",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cluster, err := kube.Connect(access)
			if err != nil {
				return err
			}
			if err := cluster.AnnotateNode(c.Context(), args[0], routes.AnnotationDrain, ""); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "Node %s announces again.\n", args[0])
			return err
		},
	}
	addAccessFlags(c, &access)
	return c
}

// awaitDrained waits for the Speaker's condition Drained.
func awaitDrained(ctx context.Context, w io.Writer, cluster *kube.Cluster, node string, timeout time.Duration) error {
	if timeout == 0 {
		_, err := fmt.Fprintf(w, "Node %s is told to drain.\n", node)
		return err
	}
	late := time.After(timeout)
	for {
		s, err := cluster.Speaker(ctx, node)
		if err == nil && drained(s) {
			_, err := fmt.Fprintf(w, "Node %s announces nothing any more.\n", node)
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			if err != nil {
				return fmt.Errorf("node %s is annotated, but what it does cannot be read: %w", node, err)
			}
			return wrong(fmt.Errorf("node %s still announces %d prefixes after %s: does fairway run there?", node, s.Status.Announced.Count, timeout))
		case <-time.After(drainPoll):
		}
	}
}

// drained reports whether the Speaker says so, or that its daemon has stopped,
// which withdraws everything too.
func drained(s *v1alpha1.Speaker) bool {
	for _, c := range s.Status.Conditions {
		if c.Type == daemon.ConditionDrained && c.Status == metav1.ConditionTrue || c.Type == daemon.ConditionReady && c.Reason == kube.Stopped {
			return true
		}
	}
	return false
}
