package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/export"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

type planFlags struct {
	input
	output      outputFormat
	node, peer  string
	static, all bool
	without     policy.Absence
	secrets     []string
	router      routerFlags
	diffs       diffFlags
	watch       watching
	// whatIf is whether one of the flags --without is given.
	whatIf bool
}

// newPlanCommand is `fairway plan`, with its two faces: what is announced, and with
// --without what would be if something were gone.
func newPlanCommand() *cobra.Command {
	var f planFlags
	c := &cobra.Command{
		Use:   "plan [-f FILE|FOLDER]",
		Short: "Show what each node would announce, and what not and why",
		Long: `Show what each node would announce to whom, and what it withholds and why, for
the objects of files or folders, or of a cluster. Nothing is sent anywhere.

-o frr-k8s prints objects for the FRR that MetalLB runs on each node, and -o iproute
static routes for a Linux host on the nodes' own network; the router dialects print
the router's side of the peering, or with --static its static routes. The router
then takes what is listed. --allow lets in every prefix of a range besides, and
--listen every node of a network, so that a later Subnet or node needs no change at
the router. --check FILE prints nothing to load: it says what of the plan the
router's file would filter, and which nodes have no neighbor there.

--without shows instead what would change if machines were dead, session and
all, --without-peer if BGPPeers were deleted, and --without-secret while the sessions
are down that a change of a password resets: who announces what then, what
would have no announcer or hang on one node, which sessions end, and how long
the fail-over takes with the timers as they are. With several nodes, plan says
at its end what hangs on one of them.

--diff shows what would change against what runs: which prefixes come, go or leave
with other attributes, and which sessions begin, end or would reset and why. It
asks the daemon on this node, and where none runs, or with --cluster, the Speakers
of the cluster; it takes the objects that those go by, with the ones of -f laid
over them, and with --without-peer without those BGPPeers. Without -f it shows
whether the daemon is in step with its objects.

Exit status: 0 if all is well, 1 if an object is wrong (it is not used, or an API
server would refuse it), if something that is announced would have no announcer
(--without) or if the router's file does not fit (--check), 2 if that could not be
told. With --diff it is that of diff: 0 if nothing changes, 1 if something does, 2
if something could not be told.`,
		Example: `  fairway plan -f cluster.yaml
  fairway plan -f cluster/ --node n1 -o json
  fairway plan -f cluster/ -o frr --peer tor-a
  fairway plan -f cluster/ -o frr --peer tor-a --allow '10.0.0.0/8 le 24' --listen 172.30.0.0/24
  fairway plan -f cluster/ -o frr --peer tor-a --check /etc/frr/frr.conf
  fairway plan -f cluster/ -o iproute | sh -e
  fairway plan -o frr-k8s | kubectl apply -f -
  fairway plan --without n1,n2
  fairway plan --diff -f tor-a.yaml
  kubectl -n fairway-system exec -i ds/fairway -- fairway plan --diff -f - < tor-a.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.addFlags(c)
	c.Flags().StringVar(&f.node, "node", "", "plan for this node alone (default: every Node of the input)")
	f.output.addFlag(c, dialects()...)
	c.Flags().StringVar(&f.peer, "peer", "", "for the router dialects: the BGPPeer whose side to print")
	c.Flags().BoolVar(&f.static, "static", false, "for the router dialects: static routes instead of BGP")
	f.router.addFlags(c)
	f.diffs.addFlags(c)
	f.watch.addFlag(c)
	c.Flags().BoolVar(&f.all, "all", false, "with -o text: also list Subnets that are not selected")
	c.Flags().StringSliceVar(&f.without.Nodes, "without", nil, "show what would change if the machines of these Nodes were dead")
	c.Flags().StringSliceVar(&f.without.Peers, "without-peer", nil, "show what would change if these BGPPeers were deleted")
	c.Flags().StringSliceVar(&f.secrets, "without-secret", nil, "show what would change while the sessions are down whose password these Secrets hold: they all reset when it is changed on the routers")
	f.completeFlags(c, namedInFlags())
	return c
}

func (f *planFlags) run(c *cobra.Command) error {
	f.whatIf = f.asksWhatIf(c)
	if err := f.check(c); err != nil {
		return err
	}
	return f.watch.run(c, &f.output, func(ctx context.Context, out, notes io.Writer) error {
		if f.diffs.asked {
			return f.diff(ctx, c.Flags().Changed("address"), out, notes)
		}
		return f.plan(ctx, c.InOrStdin(), out, notes)
	})
}

// plan ends with 1 where an object is wrong, though the others are planned: one bad
// object never stops the rest, and must not pass unseen in a script.
func (f *planFlags) plan(ctx context.Context, stdin io.Reader, out, notes io.Writer) error {
	contents, bad, err := f.read(ctx, notes)
	if err != nil {
		return err
	}
	s, plans, err := f.plans(ctx, notes, contents.Snapshot)
	if err != nil {
		return err
	}
	ok, err := f.show(s, plans, shown{stdin, out, notes})
	if err != nil {
		return err
	}
	if bad || !ok {
		return wrong(nil)
	}
	return nil
}

// check refuses flags that do not go together.
func (f *planFlags) check(c *cobra.Command) error {
	forPeople := f.output.value == formatText || f.output.json()
	if forPeople {
		for _, name := range append([]string{"peer", "static"}, routerFlagNames()...) {
			if c.Flags().Changed(name) {
				return fmt.Errorf("--%s is for the router dialects: give -o with one of %s", name, strings.Join(dialects(), ", "))
			}
		}
	}
	if err := f.router.parse(); err != nil {
		return err
	}
	if err := f.router.checkFRRK8s(c, export.Format(f.output.value)); err != nil {
		return err
	}
	if err := f.diffs.check(c, forPeople); err != nil {
		return err
	}
	if f.watch.asked && !forPeople {
		return fmt.Errorf("-o %s: --watch shows text or json; leave one of them out", &f.output)
	}
	if err := f.watch.check(f.files); err != nil {
		return err
	}
	if f.diffs.asked || !f.whatIf {
		return nil
	}
	if len(f.without.Nodes)+len(f.without.Peers)+len(f.secrets) == 0 {
		return fmt.Errorf("--without, --without-peer and --without-secret: name at least one Node, BGPPeer or Secret")
	}
	if !forPeople {
		return fmt.Errorf("-o %s: --without, --without-peer and --without-secret are told as text or json: leave -o out, or give one of these", &f.output)
	}
	for _, name := range []string{"node", "all"} {
		if c.Flags().Changed(name) {
			return fmt.Errorf("--%s: --without, --without-peer and --without-secret are about every node: leave it out", name)
		}
	}
	return nil
}

// plans gives a plan for each node that is asked for, and the Snapshot with the time that
// the plans are of.
func (f *planFlags) plans(ctx context.Context, notes io.Writer, s policy.Snapshot) (policy.Snapshot, []policy.Plan, error) {
	if f.node != "" {
		s = s.AssumeNode(f.node)
	}
	if f.static || export.Format(f.output.value) == export.IPRoute {
		s = s.AssumePeer()
	}
	names, err := nodes(s, f.node)
	if err != nil {
		return s, nil, err
	}
	if err := f.checkAbsence(s); err != nil {
		return s, nil, err
	}
	plans := make([]policy.Plan, 0, len(names))
	planned := f.plannedFor(ctx, notes, s, names)
	for _, n := range names {
		plans = append(plans, policy.Make(planned[n], n))
		if at := planned[n].At; at.After(s.At) {
			s.At = at
		}
	}
	return s, plans, nil
}

// shown are the streams of one showing.
type shown struct {
	stdin      io.Reader
	out, notes io.Writer
}

// show prints the plans, or what would change; ok is false where that is bad.
func (f *planFlags) show(s policy.Snapshot, plans []policy.Plan, to shown) (ok bool, err error) {
	if f.whatIf {
		gone, err := f.absence(s, to.notes)
		if err != nil {
			return false, err
		}
		return f.printWhatIf(to.out, policy.WhatIf(s, plans, gone))
	}
	if f.output.value != formatText && !f.output.json() {
		return f.export(s, plans, to)
	}
	return true, f.print(to.out, s, plans)
}

// print gives one plan as an object in JSON where one node was asked for, else a list:
// a script that asks for a node need not search for it.
func (f *planFlags) print(w io.Writer, s policy.Snapshot, plans []policy.Plan) error {
	if f.output.json() {
		if f.node != "" {
			return writeJSON(w, plans[0])
		}
		return writeJSON(w, plans)
	}
	for i, p := range plans {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := p.WriteText(w); err != nil {
			return err
		}
	}
	if f.all {
		writeUnselected(w, s)
	}
	if outlook := policy.OutlookText(s, plans); f.node == "" && outlook != "" {
		fmt.Fprintf(w, "\n%s", outlook)
	}
	return nil
}

// dialects are the values of -o that are not for people.
func dialects() []string {
	var out []string
	for _, f := range export.Formats() {
		out = append(out, string(f))
	}
	return append(out, string(export.FRRK8s))
}

// writeUnselected lists the Subnets that no annotation selects.
func writeUnselected(w io.Writer, s policy.Snapshot) {
	var names []string
	for _, sub := range s.Subnets {
		if !routes.Selected(sub.Annotations, s.Settings) {
			names = append(names, sub.Name)
		}
	}
	slices.Sort(names)
	if len(names) > 0 {
		fmt.Fprintf(w, "\nNot selected (no annotation %s: \"true\"):\n", routes.AnnotationAdvertise)
		for _, n := range names {
			fmt.Fprintf(w, "  %s\n", columns.Plain(n))
		}
	}
}
