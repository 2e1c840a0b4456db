package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/routes"
)

const (
	// drainPoll is how often the Speaker is looked at, which changes once a second
	// at most.
	drainPoll = 300 * time.Millisecond
	// stoppedFor is how long a Speaker must say that its daemon has stopped before
	// that counts: one that has just begun writes its Speaker a moment after it
	// announces.
	stoppedFor = 3 * time.Second
)

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
			// The Speaker may still hold the answer to an earlier drain.
			request := rand.Text()
			err = cluster.AnnotateNode(c.Context(), args[0], map[string]string{
				routes.AnnotationDrain: "true", routes.AnnotationDrainRequest: request,
			})
			if err != nil {
				return err
			}
			return awaitDrained(c.Context(), c.OutOrStdout(), cluster, args[0], request, timeout)
		},
	}
	addAccessFlags(c, &access)
	addTimeoutFlag(c, &timeout)
	return c
}

func newUndrainCommand() *cobra.Command {
	var access kube.Access
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "undrain NODE",
		Short: "Let a node announce again",
		Long: `Take the annotation ` + routes.AnnotationDrain + ` away from the Node and wait until its Speaker
says that it drains no longer.

Exit status: 0 if it is done, or no daemon runs there; 1 if the Speaker does
not say so in time, 2 if that could not be told.`,
		Args: cobra.ExactArgs(1),
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
			return awaitUndrained(c.Context(), c.OutOrStdout(), cluster, args[0], timeout)
		},
	}
	addAccessFlags(c, &access)
	addTimeoutFlag(c, &timeout)
	return c
}

func addTimeoutFlag(c *cobra.Command, timeout *time.Duration) {
	c.Flags().DurationVar(timeout, "timeout", time.Minute, "how long to wait; 0 for not at all")
	c.PreRunE = func(*cobra.Command, []string) error {
		if *timeout < 0 {
			return fmt.Errorf("--timeout %s: is negative; 0 waits for nothing", *timeout)
		}
		return nil
	}
}

// awaitDrained waits until the Speaker says that this request is carried out.
func awaitDrained(ctx context.Context, w io.Writer, cluster *kube.Cluster, node, request string, timeout time.Duration) error {
	if timeout == 0 {
		_, err := fmt.Fprintf(w, "Node %s is told to drain.\n", node)
		return err
	}
	var stoppedSince time.Time
	s, err := awaitSpeaker(ctx, cluster, node, timeout, func(s *v1alpha1.Speaker, err error) bool {
		switch {
		case err != nil || !stopped(s):
			stoppedSince = time.Time{}
		case stoppedSince.IsZero():
			stoppedSince = time.Now()
		}
		return err == nil && drained(s, request) || !stoppedSince.IsZero() && time.Since(stoppedSince) > stoppedFor
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("node %s is annotated, but what it does cannot be read: %w", node, err)
	case stopped(s):
		_, err = fmt.Fprintf(w, "Node %s announces nothing: fairway has stopped there.\n", node)
	case drained(s, request):
		_, err = fmt.Fprintf(w, "Node %s announces nothing any more.\n", node)
	default:
		err = wrong(fmt.Errorf("node %s still announces %d prefixes after %s: does fairway run there?", node, s.Status.Announced.Count, timeout))
	}
	return err
}

// awaitUndrained waits until the Speaker speaks of no drain.
func awaitUndrained(ctx context.Context, w io.Writer, cluster *kube.Cluster, node string, timeout time.Duration) error {
	if timeout == 0 {
		_, err := fmt.Fprintf(w, "Node %s is told to announce again.\n", node)
		return err
	}
	s, err := awaitSpeaker(ctx, cluster, node, timeout, func(s *v1alpha1.Speaker, err error) bool {
		return apierrors.IsNotFound(err) || err == nil && (stopped(s) || !draining(s))
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case apierrors.IsNotFound(err), err == nil && stopped(s):
		_, err = fmt.Fprintf(w, "Node %s may announce again: fairway does not run there now.\n", node)
	case err != nil:
		return fmt.Errorf("node %s may announce again, but what it does cannot be read: %w", node, err)
	case !draining(s):
		_, err = fmt.Fprintf(w, "Node %s announces again.\n", node)
	default:
		err = wrong(fmt.Errorf("node %s may announce again, but its Speaker does not say so after %s: does fairway run there?", node, timeout))
	}
	return err
}

// awaitSpeaker reads a node's Speaker until it is as it should be, for so long at
// most, and gives what was read last. Whoever may not read it need not wait.
func awaitSpeaker(ctx context.Context, cluster *kube.Cluster, node string, atMost time.Duration, done func(*v1alpha1.Speaker, error) bool) (*v1alpha1.Speaker, error) {
	late := time.After(atMost)
	for {
		s, err := cluster.Speaker(ctx, node)
		if done(s, err) || apierrors.IsForbidden(err) {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-late:
			return s, err
		case <-time.After(drainPoll):
		}
	}
}

// drained reports whether the Speaker says that this request is carried out.
func drained(s *v1alpha1.Speaker, request string) bool {
	return s.Status.DrainRequest == request && meta.IsStatusConditionTrue(s.Status.Conditions, daemon.ConditionDrained)
}

// draining reports whether the Speaker speaks of a drain at all.
func draining(s *v1alpha1.Speaker) bool {
	return meta.FindStatusCondition(s.Status.Conditions, daemon.ConditionDrained) != nil
}

// stopped reports whether the Speaker's daemon has ended, which withdraws
// everything too.
func stopped(s *v1alpha1.Speaker) bool {
	ready := meta.FindStatusCondition(s.Status.Conditions, daemon.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionFalse && ready.Reason == kube.Stopped
}
