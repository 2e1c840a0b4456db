package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// Values of --on-stop.
const (
	onStopAuto     = "auto"
	onStopKeep     = "keep"
	onStopWithdraw = "withdraw"
)

// stopFlags say what a SIGTERM means.
type stopFlags struct {
	onStop, daemonSet string
}

func (s *stopFlags) addFlags(c *cobra.Command) {
	c.Flags().StringVar(&s.onStop, "on-stop", onStopAuto, "what SIGTERM means: withdraw, or keep for peers with gracefulRestart, which keep the routes until the next start; auto keeps while the DaemonSet will start this Pod again, and withdraws if it is gone, if the Node is drained, cordoned or not Ready, or if nothing is known")
	c.Flags().StringVar(&s.daemonSet, "daemonset", "fairway", "DaemonSet of this daemon's Pod, in its namespace; empty for none")
}

func (s *stopFlags) check() error {
	if !slices.Contains([]string{onStopAuto, onStopKeep, onStopWithdraw}, s.onStop) {
		return fmt.Errorf("--on-stop %s: give %s, %s or %s", s.onStop, onStopAuto, onStopKeep, onStopWithdraw)
	}
	return nil
}

// prospect is what a cluster tells about the time after this daemon.
type prospect struct {
	// daemonSet names the one that was asked, "" for none.
	daemonSet string
	fate      kube.Fate
	// node is the own Node, nil where it is gone.
	node     *routes.Node
	settings routes.Settings
}

// farewell says whether routers are to keep the routes, as far as they do graceful
// restart, when this daemon is told to stop, and why.
func (s *stopFlags) farewell(p prospect) status.OnStop {
	keep, why := s.decide(p)
	return status.OnStop{Keep: keep, Because: why}
}

func (s *stopFlags) decide(p prospect) (keep bool, why string) {
	switch {
	case s.onStop != onStopAuto:
		return s.onStop == onStopKeep, "--on-stop=" + s.onStop
	case p.daemonSet == "":
		return false, "no DaemonSet is followed that would start it again"
	case p.fate == kube.FateUnknown:
		return false, "nothing is known of " + p.daemonSet
	case p.fate == kube.FateRemoved:
		return false, p.daemonSet + " is gone, or wants no Pod on this node"
	case p.node == nil:
		return false, "its Node is gone"
	}
	if out := takenOut(p.node, p.settings); out != "" {
		return false, out
	}
	return true, p.daemonSet + " starts it again"
}

// cordoned is the taint of a Node with spec.unschedulable (k8s.io/api/core/v1
// TaintNodeUnschedulable).
const cordoned = "node.kubernetes.io/unschedulable"

// takenOut says how a Node is being taken out of work, "" if it is not: then its machine
// may go with the daemon, and no router shall wait for it.
func takenOut(n *routes.Node, s routes.Settings) string {
	drain, _ := routes.DrainOf(n, s, nil)
	switch {
	case drain.On():
		return drain.Cause
	case slices.Contains(n.Taints, cordoned):
		return fmt.Sprintf("Node %s is cordoned", n.Name)
	case !n.Ready:
		return fmt.Sprintf("Node %s is not Ready", n.Name)
	}
	return ""
}
