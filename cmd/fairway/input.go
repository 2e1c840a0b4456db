package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/files"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// input are the flags that say where objects come from and how they are read;
// plan, why and run have the same. Without files, a cluster is the source.
type input struct {
	files    []string
	access   kube.Access
	settings routes.Settings
}

// addFlags are those of every command that reads objects.
func (in *input) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVarP(&in.files, "filename", "f", nil, "file or folder of YAML objects, instead of a cluster; may be given more than once")
	addAccessFlags(c, &in.access)
	in.addPlanSettings(c)
	f.DurationVar(&in.settings.DrainWait, "drain-wait", routes.DefaultSettings.DrainWait, "how long a drained node goes on announcing, with GRACEFUL_SHUTDOWN and a path that loses, before it withdraws")
}

// addPlanSettings are the flags that decide who announces what.
func (in *input) addPlanSettings(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&in.settings.AllowWidePrefixes, "allow-wide-prefixes", false, "announce also CIDRs wider than /9 (10.0.0.0/8 always may be), or than /32 in IPv6")
	f.BoolVar(&in.settings.AdoptKubeOVN, "adopt-kube-ovn-annotations", false, "let "+routes.AnnotationKubeOVN+" select a Subnet without "+routes.AnnotationAdvertise)
	f.StringVar(&in.settings.ClusterRouter, "cluster-router", routes.DefaultSettings.ClusterRouter, "name of Kube-OVN's default VPC")
	f.StringVar(&in.settings.NodeSwitch, "node-switch", routes.DefaultSettings.NodeSwitch, "name of Kube-OVN's join Subnet")
	f.StringSliceVar(&in.settings.DrainTaints, "drain-taint", nil, "taint, as KEY or KEY=VALUE, that drains a Node like annotation "+routes.AnnotationDrain+"; may be given more than once")
}

// check refuses settings that mean nothing.
func (in *input) check() error {
	if in.settings.DrainWait < 0 {
		return fmt.Errorf("--drain-wait %s: a time before now; use 0 or more", in.settings.DrainWait)
	}
	for _, taint := range in.settings.DrainTaints {
		if key, _, _ := strings.Cut(taint, "="); key == "" || strings.Contains(taint, ":") {
			return fmt.Errorf("--drain-taint %s: not KEY or KEY=VALUE; a taint drains whatever its effect", taint)
		}
	}
	return nil
}

// checkPaths refuses files and folders that are not there: who follows them would wait
// for ever for a word that was mistyped. Later they may go, and what they said stays.
func (in *input) checkPaths() error {
	var errs []error
	for _, path := range in.files {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && path != files.Stdin {
			errs = append(errs, fmt.Errorf("-f %s: there is no such file or folder; make it, or correct -f", path))
		}
	}
	return errors.Join(errs...)
}

// read reads the objects once. Problems with single objects go to stderr and do
// not stop the others; bad says whether there were any.
func (in *input) read(ctx context.Context, stderr io.Writer) (c objects.Contents, bad bool, err error) {
	if err := in.check(); err != nil {
		return c, false, err
	}
	if len(in.files) > 0 {
		c, err = files.Read(in.files, in.settings)
	} else {
		c, err = in.readCluster(ctx)
	}
	if err != nil {
		return c, false, err
	}
	for _, p := range c.Problems {
		fmt.Fprintf(stderr, "fairway: %s\n", columns.Plain(p.Error()))
		bad = bad || p.Severity.Bad()
	}
	if len(c.Ignored) > 0 {
		fmt.Fprintf(stderr, "fairway: ignored %s\n", columns.Plain(strings.Join(c.Ignored, ", ")))
	}
	return c, bad, nil
}

// readCluster reads a cluster with the rights of the kubeconfig's user. Secrets
// are not read.
func (in *input) readCluster(ctx context.Context) (objects.Contents, error) {
	cluster, err := kube.Connect(in.access)
	if err != nil {
		return objects.Contents{}, fmt.Errorf("no input: give -f FILE or -f FOLDER, or a cluster: %w", err)
	}
	return kube.ReadCluster(ctx, cluster, in.settings)
}

// plannedFor gives a Snapshot for each node to plan for, by name: in a cluster with
// what the node announces now by its Speaker, because that decides too.
func (in *input) plannedFor(ctx context.Context, stderr io.Writer, s policy.Snapshot, nodes []string) map[string]policy.Snapshot {
	out := make(map[string]policy.Snapshot, len(nodes))
	for _, n := range nodes {
		out[n] = s
	}
	if len(in.files) > 0 {
		return out
	}
	s.At = time.Now().UTC()
	speakers, _, _ := in.readSpeakers(ctx, stderr)
	for i := range speakers {
		sp := &speakers[i]
		if _, asked := out[sp.Name]; asked {
			s.History = account.History(sp, s.Subnets)
			out[sp.Name] = s
		}
	}
	return out
}

// readSpeakers reads all Speakers, and which of their daemons live; ok is false where
// nobody can, which is said on stderr.
func (in *input) readSpeakers(ctx context.Context, stderr io.Writer) (list []v1alpha1.Speaker, beats account.Heartbeats, ok bool) {
	cluster, err := kube.Connect(in.access)
	if err == nil {
		list, err = cluster.Speakers(ctx)
	}
	if err != nil {
		fmt.Fprintf(stderr, "fairway: this is by the objects alone, for what the nodes themselves say is not known: %s\n", columns.Plain(err.Error()))
		return nil, account.Heartbeats{}, false
	}
	return list, heartbeats(ctx, stderr, cluster, list), true
}

// addAccessFlags are the flags that say which cluster.
func addAccessFlags(c *cobra.Command, a *kube.Access) {
	f := c.Flags()
	f.StringVar(&a.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, ~/.kube/config, or what a Pod has)")
	f.StringVar(&a.Context, "context", "", "context of the kubeconfig (default: its current one)")
}

// nodes gives the names to plan for: the one asked for, else every Node of the
// input.
func nodes(s policy.Snapshot, asked string) ([]string, error) {
	names := nodeNames(s)
	switch {
	case asked == "" && len(names) == 0:
		return nil, fmt.Errorf("the input has no Node: add Nodes to it, or give --node NAME")
	case asked == "":
		return names, nil
	case !s.HasNode(asked):
		return nil, fmt.Errorf("--node %s: the input has no such Node; %s", asked, offered(asked, names))
	}
	return []string{asked}, nil
}
