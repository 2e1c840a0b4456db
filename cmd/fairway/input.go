package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// input are the flags that say where objects come from and how they are read;
// plan, why and run have the same.
type input struct {
	files    []string
	settings routes.Settings
}

func (in *input) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVarP(&in.files, "filename", "f", nil, "file or folder of YAML objects; may be given more than once")
	f.BoolVar(&in.settings.AdoptKubeOVN, "adopt-kube-ovn-annotations", false, "let "+routes.AnnotationKubeOVN+" select a Subnet without "+routes.AnnotationAdvertise)
	f.StringVar(&in.settings.ClusterRouter, "cluster-router", routes.DefaultSettings.ClusterRouter, "name of Kube-OVN's default VPC")
	f.StringVar(&in.settings.NodeSwitch, "node-switch", routes.DefaultSettings.NodeSwitch, "name of Kube-OVN's join Subnet")
}

// read reads the objects once. Problems with single objects go to stderr and do
// not stop the others; bad says whether there were any.
func (in *input) read(stderr io.Writer) (c kube.Contents, bad bool, err error) {
	if len(in.files) == 0 {
		return c, false, fmt.Errorf("no input: give -f FILE or -f FOLDER with Subnets, Nodes and BGPPeers")
	}
	c, err = kube.ReadFiles(in.files, in.settings)
	if err != nil {
		return c, false, err
	}
	for _, p := range c.Problems {
		fmt.Fprintf(stderr, "fairway: %v\n", p)
		bad = bad || p.Severity == kube.Wrong
	}
	if len(c.Ignored) > 0 {
		fmt.Fprintf(stderr, "fairway: ignored %s\n", strings.Join(c.Ignored, ", "))
	}
	return c, bad, nil
}

// nodes gives the names to plan for: the one asked for, else every Node of the
// input.
func nodes(s policy.Snapshot, asked string) ([]string, error) {
	var names []string
	for i := range s.Nodes {
		names = append(names, s.Nodes[i].Name)
	}
	switch {
	case asked == "" && len(names) == 0:
		return nil, fmt.Errorf("the input has no Node: add Nodes to it, or give --node NAME")
	case asked == "":
		return names, nil
	case !s.HasNode(asked):
		return nil, fmt.Errorf("--node %s: the input has no such Node; it has %s", asked, strings.Join(names, ", "))
	}
	return []string{asked}, nil
}

// completeFormats offers the values of -o.
func completeFormats(formats []string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return formats, cobra.ShellCompDirectiveNoFileComp
	}
}
