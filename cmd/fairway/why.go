package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

type whyFlags struct {
	input
	output outputFormat
	node   string
}

func newWhyCommand() *cobra.Command {
	var f whyFlags
	c := &cobra.Command{
		Use:   "why SUBNET [-f FILE|FOLDER]",
		Short: "Explain, node by node, why a Subnet is announced or not, and what to change",
		Long: `Explain the chain of decisions for one Subnet, node by node: every question that
was asked, in order, up to the first that stops it, and what to change. Of a
cluster it reads the Speakers too: what only a node knows, such as a datapath
that is down, is told where it says something else than the objects.

Exit status: 0 if every CIDR is announced by at least one of the nodes, 1 if
one is withheld everywhere, 2 if that could not be told.`,
		Example: `  fairway why routed -f cluster.yaml`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.addFlags(c)
	c.Flags().StringVar(&f.node, "node", "", "explain for this node alone")
	f.output.addFlag(c)
	return c
}

func (f *whyFlags) run(c *cobra.Command, subnet string) error {
	contents, _, err := f.read(c.Context(), c.ErrOrStderr())
	if err != nil {
		return err
	}
	s := contents.Snapshot
	if f.node != "" {
		s = s.AssumeNode(f.node)
	}
	names, err := nodes(s, f.node)
	if err != nil {
		return err
	}
	explanations := []policy.Explanation{}
	planned := f.plannedFor(c.Context(), c.ErrOrStderr(), s, names)
	for _, n := range names {
		explanations = append(explanations, policy.Why(planned[n], n, subnet)...)
	}
	if len(explanations) == 0 {
		return unexplained(s, subnet)
	}
	slices.SortStableFunc(explanations, func(a, b policy.Explanation) int { return strings.Compare(a.Prefix, b.Prefix) })
	told := unheard(explanations)
	if len(f.files) == 0 {
		if speakers, ok := f.readSpeakers(c.Context(), c.ErrOrStderr()); ok {
			told = listen(explanations, speakers)
		}
	}
	if err := f.print(c, told); err != nil {
		return err
	}
	if withheldEverywhere(told) {
		return wrong(nil)
	}
	return nil
}

func (f *whyFlags) print(c *cobra.Command, told []heard) error {
	if f.output.json() {
		return writeJSON(c.OutOrStdout(), told)
	}
	return writeHeard(c.OutOrStdout(), told)
}

// unexplained says why there is nothing to explain: the Subnet does not exist,
// or nobody asked for it.
func unexplained(s policy.Snapshot, subnet string) error {
	var names []string
	for i := range s.Subnets {
		if s.Subnets[i].Name == subnet {
			return wrong(fmt.Errorf("the Subnet %s is not selected: to announce it, kubectl annotate subnet %s %s=true", subnet, subnet, routes.AnnotationAdvertise))
		}
		names = append(names, s.Subnets[i].Name)
	}
	if len(names) == 0 {
		return fmt.Errorf("no Subnet %s: the input has no Subnet at all", subnet)
	}
	return fmt.Errorf("no Subnet %s in the input; it has %s", subnet, strings.Join(names, ", "))
}

// withheldEverywhere reports whether some CIDR is announced by none of the nodes.
func withheldEverywhere(told []heard) bool {
	announced := map[string]bool{}
	for _, h := range told {
		announced[h.Prefix] = announced[h.Prefix] || h.announced()
	}
	for _, yes := range announced {
		if !yes {
			return true
		}
	}
	return false
}
