package main

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/kube"
)

// advice says what to do about an error that a command ended with; "" where the error says
// so itself.
func advice(c *cobra.Command, err error) string {
	var usage usageError
	var away noDaemon
	if trouble := kube.TroubleOf(err); trouble != "" && !errors.As(err, &away) {
		return adviceOnCluster(trouble)
	}
	switch {
	case errors.As(err, &usage):
		return "`" + c.CommandPath() + " --help` shows what it takes"
	case errors.Is(err, fs.ErrPermission):
		return "run it as root: with sudo, or in the node's Fairway Pod (kubectl exec)"
	case errors.As(err, &away):
		return adviceOnDaemon(c)
	case errors.Is(err, fs.ErrNotExist):
		return "make it, or correct the path"
	}
	return ""
}

// adviceOnDaemon is for who has asked a daemon that does not answer.
func adviceOnDaemon(c *cobra.Command) string {
	const start = "start one with `fairway run`"
	switch {
	case c.Flags().Lookup("cluster") != nil:
		return start + ", or name one with --address; a cluster's are asked with --cluster"
	case c.Flags().Lookup("run-dir") != nil:
		return start + ", or give the --run-dir of the one that runs"
	}
	return start
}

// adviceOnCluster is for who cannot reach a cluster, or may not ask it.
func adviceOnCluster(t kube.Trouble) string {
	switch t {
	case kube.NoConfig:
		return "give --kubeconfig FILE or set KUBECONFIG; `kubectl config get-contexts` lists the contexts for --context"
	case kube.Unreachable:
		return "see whether `kubectl cluster-info` reaches it; --kubeconfig and --context choose another cluster"
	case kube.Untrusted:
		return "the kubeconfig is of another cluster, or older than its certificates: fetch it again"
	case kube.Unknown:
		return "log in again: the kubeconfig's token or certificate is refused or has expired; `kubectl auth whoami` tells"
	case kube.NotAllowed:
		return "have an administrator bind ClusterRole fairway-view, which reads BGPPeers, Speakers and Leases, and the right to read Nodes and Subnets; to drain takes that to patch Nodes"
	case kube.NoSuchKind:
		return "install the CRDs of Fairway (manifests/crds) and Kube-OVN, or choose the right cluster with --context"
	}
	return ""
}
