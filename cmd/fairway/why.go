package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

type whyFlags struct {
	input
	output outputFormat
	node   string
	all    bool
	watch  watching
}

// newWhyCommand is `fairway why`. The chain of questions is policy.Chain; here is only
// which nodes are asked about, and how it is printed.
func newWhyCommand() *cobra.Command {
	var f whyFlags
	c := &cobra.Command{
		Use:   "why SUBNET [-f FILE|FOLDER]",
		Short: "Explain, node by node, why a Subnet is announced or not, and what to change",
		Long: `Explain the decision for one Subnet, node by node: what is announced to whom, or
the question that stops it and what to change; with --all also those that were
passed before. Without -f it is about the cluster. There it reads the Speakers too:
what only a node knows, such as a datapath that is down, is told where it says
something else than the objects.

Exit status: 0 if every CIDR is announced by at least one of the nodes, 1 if
one is withheld everywhere or an object of the input is wrong, 2 if that could not
be told.`,
		Example: `  fairway why routed -f cluster.yaml`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.addFlags(c)
	c.Flags().StringVar(&f.node, "node", "", "explain for this node alone")
	c.Flags().BoolVar(&f.all, "all", false, "list also the questions that were passed")
	f.watch.addFlag(c)
	f.output.addFlag(c)
	c.ValidArgsFunction = f.complete(subnetNames)
	f.completeFlags(c, namedInFlags())
	return c
}

func (f *whyFlags) run(c *cobra.Command, subnet string) error {
	if err := f.watch.check(f.files); err != nil {
		return err
	}
	return f.watch.run(c, &f.output, func(ctx context.Context, out, notes io.Writer) error {
		return f.explain(ctx, out, notes, subnet)
	})
}

// explain explains by the objects first. In a cluster the nodes' own words go before
// (account.Compare): an object cannot tell that a datapath is down.
func (f *whyFlags) explain(ctx context.Context, out, notes io.Writer, subnet string) error {
	contents, bad, err := f.read(ctx, notes)
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
	planned := f.plannedFor(ctx, notes, s, names)
	for _, n := range names {
		explanations = append(explanations, policy.Why(planned[n], n, subnet)...)
	}
	if len(explanations) == 0 {
		return unexplained(s, subnet)
	}
	slices.SortStableFunc(explanations, func(a, b policy.Explanation) int {
		// Who announces it comes first: the reason is "" there.
		return cmp.Or(strings.Compare(a.Prefix, b.Prefix), strings.Compare(string(a.Reason), string(b.Reason)))
	})
	explained := account.ByObjectsAlone(explanations)
	if len(f.files) == 0 {
		if speakers, beats, ok := f.readSpeakers(ctx, notes); ok {
			explained = account.Compare(explanations, speakers, beats)
		}
	}
	if err := f.print(out, explained); err != nil {
		return err
	}
	if bad || withheldEverywhere(explained) {
		return wrong(nil)
	}
	return nil
}

func (f *whyFlags) print(w io.Writer, explained []account.Explained) error {
	if f.output.json() {
		return writeJSON(w, explained)
	}
	return writeExplained(w, explained, f.all)
}

// writeExplained prints explanations, and below them what nodes say against them.
func writeExplained(w io.Writer, explained []account.Explained, all bool) error {
	explanations := make([]policy.Explanation, len(explained))
	for i, e := range explained {
		explanations[i] = e.Explanation
	}
	if err := policy.WriteWhy(w, explanations, all); err != nil {
		return err
	}
	words := wordsOfNodes(explained)
	if words == "" {
		return nil
	}
	_, err := io.WriteString(w, "\n"+words)
	return err
}

// wordsOfNodes gives what nodes say against the objects, each text once.
func wordsOfNodes(explained []account.Explained) string {
	var texts []string
	nodes := map[string][]string{}
	for _, e := range explained {
		if e.Says == nil {
			continue
		}
		if nodes[e.Says.Text] == nil {
			texts = append(texts, e.Says.Text)
		}
		if !slices.Contains(nodes[e.Says.Text], e.Node) {
			nodes[e.Says.Text] = append(nodes[e.Says.Text], e.Node)
		}
	}
	var b strings.Builder
	for _, text := range texts {
		who := "node " + nodes[text][0] + " itself says: "
		if len(nodes[text]) > 1 {
			who = "nodes " + strings.Join(nodes[text], ", ") + " themselves say: "
		}
		columns.Wrap(&b, "! ", "    ", who+text)
	}
	return b.String()
}

// unexplained says why there is nothing to explain: the Subnet does not exist,
// or nobody asked for it.
func unexplained(s policy.Snapshot, subnet string) error {
	names := subnetNames(s)
	if slices.Contains(names, subnet) {
		return wrong(fmt.Errorf("the Subnet %s is not selected: to announce it, kubectl annotate subnet %s %s=true", subnet, columns.Quote(subnet), routes.AnnotationAdvertise))
	}
	if len(names) == 0 {
		return fmt.Errorf("no Subnet %s: the input has no Subnet at all; is it the right one?", subnet)
	}
	return fmt.Errorf("no Subnet %s in the input; %s", subnet, offered(subnet, names))
}

// withheldEverywhere reports whether some CIDR is announced by none of the nodes.
func withheldEverywhere(explained []account.Explained) bool {
	announced := map[string]bool{}
	for _, e := range explained {
		announced[e.Prefix] = announced[e.Prefix] || e.Announced()
	}
	for _, yes := range announced {
		if !yes {
			return true
		}
	}
	return false
}
