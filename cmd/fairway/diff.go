package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
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
	"github.com/fairway-bgp/fairway/status"
)

// diffFlags are the flags of plan that are about --diff alone.
type diffFlags struct {
	asked, prune, wholeCluster bool
	address                    string
}

func (f *diffFlags) addFlags(c *cobra.Command) {
	c.Flags().BoolVar(&f.asked, "diff", false, "show what would change against what the daemon on this node does, or where none runs those of the cluster: -f is laid over their objects")
	c.Flags().BoolVar(&f.prune, "prune", false, "with --diff: objects of a kind that -f has, and that -f lacks, are deleted")
	c.Flags().BoolVar(&f.wholeCluster, "cluster", false, "with --diff: compare for the nodes of the cluster, though a daemon runs here")
	c.Flags().StringVar(&f.address, "address", defaultListen, "with --diff: the daemon's --listen address")
}

// check refuses what means nothing beside --diff, or without it.
func (f *diffFlags) check(c *cobra.Command, forPeople bool) error {
	refused, why := []string{"prune", "cluster", "address"}, "is for --diff: give that too"
	if f.asked {
		refused, why = []string{"without", "without-secret", "all", "peer", "static"}, "does not go with --diff"
		if !forPeople {
			return errors.New("--diff is told as text or json: leave -o out, or give one of these")
		}
		if f.prune && !c.Flags().Changed("filename") {
			return errors.New("--prune: give -f too; what it lacks is deleted")
		}
	}
	for _, name := range refused {
		if c.Flags().Changed(name) {
			return fmt.Errorf("--%s %s", name, why)
		}
	}
	return nil
}

// current is what runs: the objects that are in force, and what the nodes do by them.
type current struct {
	objects []objects.Batch
	// secretsRead is whether passwords are among the objects.
	secretsRead bool
	nodes       []runningNode
	settings    routes.Settings
	unknown     []string
}

// runningNode is a daemon, and what it says that it announces.
type runningNode struct {
	policy.Running
	announced []policy.Place
	// whole is whether that is all.
	whole bool
}

// diff prints what would change. The exit status is as diff's: 0 for no difference, 1
// for some, 2 where something could not be told.
// given is whether --address is: then it is that daemon or none.
func (f *planFlags) diff(ctx context.Context, given bool, out, notes io.Writer) error {
	if err := f.input.check(); err != nil {
		return err
	}
	at := time.Now().UTC().Round(0)
	now, err := f.current(ctx, given, notes)
	if err != nil {
		return err
	}
	if len(now.nodes) == 0 {
		return errors.New("--diff: no daemon runs that could be compared with; `fairway status --cluster` says of each why")
	}
	prospect, bad, err := f.prospect(now, at, notes)
	if err != nil {
		return err
	}
	if f.output.json() {
		err = writeJSON(out, prospect)
	} else {
		err = prospect.WriteText(out)
	}
	switch {
	case err != nil:
		return err
	case len(prospect.Unknown) > 0:
		return codedError{code: exitUnknown}
	case bad || !prospect.Empty():
		return wrong(nil)
	}
	return nil
}

// prospect lays the new objects over those that run, and asks for each node.
func (f *planFlags) prospect(now current, at time.Time, stderr io.Writer) (p policy.Prospect, bad bool, err error) {
	p = policy.Prospect{Nodes: []policy.Difference{}, Unknown: now.unknown, Remarks: []string{}}
	var changes []objects.Batch
	if len(f.files) > 0 {
		if changes, err = files.ReadBatches(f.files); err != nil {
			return p, false, err
		}
	}
	if !now.secretsRead {
		changes = now.withoutSecrets(changes, &p)
	}
	before, good := files.Assemble(now.objects, nil, now.settings)
	laid, remarks := objects.Overlay(now.objects, changes, f.diffs.prune, at)
	if !now.secretsRead {
		laid = append(laid, objects.Batch{Objects: kube.StandIns(allObjects(laid))})
	}
	after, _ := files.Assemble(laid, good, now.settings)
	bad = newProblems(before.Problems, after.Problems, stderr)
	if err := known("--without-peer", "BGPPeer", f.without.Peers, peerNames(after.Snapshot)); err != nil {
		return p, false, err
	}
	after.Snapshot.Peers = slices.DeleteFunc(slices.Clone(after.Snapshot.Peers), func(x policy.Peer) bool { return slices.Contains(f.without.Peers, x.Name) })
	p.Remarks = append(p.Remarks, remarks...)
	if !now.secretsRead {
		p.Unknown = append(p.Unknown, otherSecrets(before.Snapshot, after.Snapshot)...)
	}
	var plans []policy.Plan
	for _, n := range now.nodes {
		seen := policy.Foresee(n.Running, before.Snapshot, after.Snapshot, at)
		p.Nodes, plans = append(p.Nodes, seen.Difference), append(plans, seen.Now)
		p.Unknown = append(p.Unknown, n.outOfStep(seen.Now)...)
		p.Unknown = append(p.Unknown, undecided(n.Node, seen)...)
		p.Remarks = append(p.Remarks, n.liveRemarks()...)
	}
	p.RemarkResets(plans)
	return p, bad, nil
}

func allObjects(batches []objects.Batch) []objects.Object {
	var all []objects.Object
	for _, b := range batches {
		all = append(all, b.Objects...)
	}
	return all
}

// newProblems prints those that the objects that run do not have; bad says whether an
// object is wrong.
func newProblems(before, after []objects.Problem, stderr io.Writer) (bad bool) {
	had := map[string]bool{}
	for _, p := range before {
		had[p.Error()] = true
	}
	for _, p := range after {
		if !had[p.Error()] {
			fmt.Fprintf(stderr, "fairway: %s\n", columns.Plain(p.Error()))
			bad = bad || p.Severity.Bad()
		}
	}
	return bad
}

// withoutSecrets takes the Secrets from the changes, where what they are compared with
// is not read.
func (now current) withoutSecrets(changes []objects.Batch, p *policy.Prospect) []objects.Batch {
	var out []objects.Batch
	for _, b := range changes {
		b.Objects = slices.DeleteFunc(slices.Clone(b.Objects), func(o objects.Object) bool {
			if o.Kind == objects.KindSecret {
				p.Unknown = append(p.Unknown, fmt.Sprintf("%s: what the cluster has of it is not read; if the password is another, the sessions that use it have it when they are made anew, which the router does with its own (plan --without-secret %s)", o.Key, o.Name))
			}
			return o.Kind == objects.KindSecret
		})
		out = append(out, b)
	}
	return out
}

// otherSecrets says of which BGPPeers the password is in another Secret, where none is
// read.
func otherSecrets(before, after policy.Snapshot) []string {
	secret := map[string]string{}
	for i := range before.Peers {
		secret[before.Peers[i].Name] = before.Peers[i].PasswordSecret
	}
	var out []string
	for i := range after.Peers {
		p := &after.Peers[i]
		if was := secret[p.Name]; was != "" && p.PasswordSecret != "" && was != p.PasswordSecret {
			out = append(out, fmt.Sprintf("BGPPeer %s: passwordSecretRef %s -> %s: Secrets are not read; if the password is another, its sessions have it when they are made anew", p.Name, was, p.PasswordSecret))
		}
	}
	return out
}

// undecided says which prefixes depend on what nobody has told.
func undecided(node string, seen policy.Foresight) []string {
	var out []string
	for _, h := range seen.Undecided {
		out = append(out, fmt.Sprintf("node %s: whether %s (%s) goes on depends on whether it is announced now, which its Speaker is too short to say", node, h.Prefix, h.Subnet))
	}
	return out
}

// outOfStep says in what a daemon does not do what the objects say: it has not seen
// them yet, or runs with other flags.
func (n runningNode) outOfStep(plan policy.Plan) []string {
	planned := map[policy.Place]bool{}
	for _, a := range plan.Adverts {
		planned[policy.Place{Subnet: a.Subnet, Prefix: a.Prefix}] = true
	}
	var out, missing []string
	for _, at := range n.announced {
		if !planned[at] {
			out = append(out, fmt.Sprintf("%s (%s)", at.Prefix, at.Subnet))
		}
		delete(planned, at)
	}
	if n.whole {
		for at := range planned {
			missing = append(missing, fmt.Sprintf("%s (%s)", at.Prefix, at.Subnet))
		}
		slices.Sort(missing)
	}
	var lines []string
	const because = ": it is not in step with them yet, or has other flags than are given here"
	if len(out) > 0 {
		lines = append(lines, fmt.Sprintf("node %s announces %s, which it would not by the objects as they are%s", n.Node, columns.First(mostChoices, out), because))
	}
	if len(missing) > 0 {
		lines = append(lines, fmt.Sprintf("node %s does not announce %s, which it would by the objects as they are%s", n.Node, columns.First(mostChoices, missing), because))
	}
	return lines
}

// liveRemarks say what the daemon withholds for what only it sees.
func (n runningNode) liveRemarks() []string {
	byReason := map[routes.Reason][]string{}
	for _, h := range n.Withheld {
		byReason[h.Reason] = append(byReason[h.Reason], fmt.Sprintf("%s (%s)", h.Prefix, h.Subnet))
	}
	var out []string
	for _, r := range []routes.Reason{routes.DatapathDown, routes.HostNotReady} {
		if len(byReason[r]) > 0 {
			out = append(out, fmt.Sprintf("the daemon on node %s withholds %s for %s, and is taken to go on with that", n.Node, columns.First(mostChoices, byReason[r]), r))
		}
	}
	return out
}

// current asks the daemon on this node, and where there is none the cluster.
func (f *planFlags) current(ctx context.Context, given bool, notes io.Writer) (current, error) {
	if f.diffs.wholeCluster {
		return f.currentOfCluster(ctx, notes)
	}
	now, err := f.currentOfDaemon(ctx)
	var away noDaemon
	if !errors.As(err, &away) || given {
		return now, err
	}
	if _, none := kube.Connect(f.access); none != nil {
		return current{}, err
	}
	fmt.Fprintln(notes, "fairway: no daemon answers on this machine; this is by the cluster's Speakers")
	return f.currentOfCluster(ctx, notes)
}

// currentOfDaemon is the daemon on this node, with the objects that it reads.
func (f *planFlags) currentOfDaemon(ctx context.Context) (current, error) {
	s, _, err := askDaemon(f.diffs.address)
	if err != nil {
		return current{}, err
	}
	if f.node != "" && f.node != s.Node {
		return current{}, fmt.Errorf("--node %s: the daemon here is of node %s; add --cluster to ask the Speakers", f.node, s.Node)
	}
	if !s.Source.Known() {
		return current{}, fmt.Errorf("--diff: the daemon does not know everything yet: %s", strings.Join(s.Source.Waiting, "; ")+"; try again when it does")
	}
	body, err := askPage(f.diffs.address, "/basis.json")
	var basis status.Basis
	if err == nil {
		err = json.Unmarshal(body, &basis)
	}
	if err != nil {
		return current{}, fmt.Errorf("what the daemon at %s goes by: %w (another version of fairway?)", f.diffs.address, err)
	}
	now := current{settings: basis.Settings}
	node := runningNode{Running: policy.Running{Node: s.Node, Memory: basis.Memory, Withheld: liveOnly(s.Plan.Withheld)}, whole: true}
	for _, a := range s.Plan.Adverts {
		node.announced = append(node.announced, policy.Place{Subnet: a.Subnet, Prefix: a.Prefix})
	}
	now.nodes = []runningNode{node}
	if s.Source.Kind == "files" {
		now.secretsRead = true
		if slices.Contains(s.Source.From, files.Stdin) {
			return current{}, errors.New("--diff: the daemon read its objects from standard input, which nobody can read again; start it with -f FILE")
		}
		if now.objects, err = files.ReadBatches(s.Source.From); err != nil {
			return current{}, fmt.Errorf("the daemon's own files, as it names them (from another folder, change to its): %w", err)
		}
		return now, nil
	}
	return now, now.readCluster(ctx, f.access)
}

func (now *current) readCluster(ctx context.Context, access kube.Access) error {
	cluster, err := kube.Connect(access)
	if err != nil {
		return err
	}
	all, err := kube.ReadObjects(ctx, cluster, now.settings)
	now.objects = []objects.Batch{{Objects: all}}
	return err
}

// currentOfCluster is every node whose daemon lives, by its Speaker.
func (f *planFlags) currentOfCluster(ctx context.Context, notes io.Writer) (current, error) {
	now := current{settings: f.settings}
	if err := now.readCluster(ctx, f.access); err != nil {
		return current{}, err
	}
	speakers, beats, ok := f.readSpeakers(ctx, notes)
	if !ok {
		return current{}, errors.New("--diff: what the nodes do is not known without their Speakers; without --diff the objects alone are planned for")
	}
	contents, _ := files.Assemble(now.objects, nil, now.settings)
	for i := range speakers {
		sp := &speakers[i]
		if f.node != "" && sp.Name != f.node {
			continue
		}
		if standing := beats.Of(sp); !standing.Speaks() {
			now.unknown = append(now.unknown, fmt.Sprintf("node %s: %s", sp.Name, beats.Why(sp)))
			continue
		}
		now.nodes = append(now.nodes, runningBy(sp, contents.Snapshot.Subnets))
		now.unknown = append(now.unknown, account.Unlisted(sp)...)
	}
	return now, nil
}

// runningBy gives what a node does as far as its Speaker says.
func runningBy(sp *v1alpha1.Speaker, subnets []*routes.Subnet) runningNode {
	h := account.History(sp, subnets)
	n := runningNode{Running: policy.Running{Node: sp.Name, Memory: policy.MemoryOf(h), Forgetful: !h.Known}, whole: h.Known}
	n.announced, n.Withheld = account.Listed(sp)
	n.Withheld = liveOnly(n.Withheld)
	return n
}

// liveOnly gives what is withheld for a reason that only the daemon sees.
func liveOnly(list []policy.Withheld) []policy.Withheld {
	var out []policy.Withheld
	for _, h := range list {
		if h.Reason == routes.DatapathDown || h.Reason == routes.HostNotReady {
			out = append(out, h)
		}
	}
	return out
}
