package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// lookFirst refuses to drain the last node that announces something, unless it is
// forced, and says on stderr what that is.
func (f *drainFlags) lookFirst(ctx context.Context, stderr io.Writer, node string) error {
	contents, err := f.readCluster(ctx)
	switch {
	case err != nil && !f.force:
		return fmt.Errorf("whether other nodes announce what %s does is not known, so it is not drained (--force drains it all the same): %w", node, err)
	case err != nil:
		fmt.Fprintf(stderr, "fairway: whether other nodes announce what %s does is not known: %s\n", node, columns.Plain(err.Error()))
		return nil
	case !contents.Snapshot.HasNode(node):
		return fmt.Errorf("no Node %s in the cluster; %s", node, offered(node, nodeNames(contents.Snapshot)))
	}
	s := contents.Snapshot
	s.At = time.Now().UTC()
	if drainedByHand(s, node) {
		return nil // it goes on what has been decided
	}
	speakers, beats, ok := f.readSpeakers(ctx, stderr)
	last, pods := divide(account.Cluster{Snapshot: s, Speakers: speakers, Heartbeats: beats, Unreadable: !ok}.AnnouncedAloneBy(node))
	writeLast(stderr, s, node, last, pods)
	if len(last) == 0 || f.force {
		writeReplies(stderr, s, node)
		return nil
	}
	return wrong(fmt.Errorf("node %s is not drained: nobody else announces %s; --force takes %s off the network",
		node, columns.Count(len(last), "Subnet", "Subnets"), them(len(last))))
}

// drainedByHand reports whether a person has the node drained already.
func drainedByHand(s policy.Snapshot, node string) bool {
	i := slices.IndexFunc(s.Nodes, func(n routes.Node) bool { return n.Name == node })
	drain, _ := routes.DrainOf(&s.Nodes[i], s.Settings, nil)
	return drain.Asked
}

// divide tells Subnets that others could announce from those whose Pods are
// announced one by one.
func divide(all []account.Alone) (last, pods []account.Alone) {
	for _, a := range all {
		if a.Role == routes.RolePod {
			pods = append(pods, a)
		} else {
			last = append(last, a)
		}
	}
	return last, pods
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

const (
	// mostSubnets is how many Subnets are told of one by one.
	mostSubnets = 20
	// mostNames is how many names stand in a sentence.
	mostNames = 5
)

// writeLast says what goes off the network with the node, and how to prevent that.
func writeLast(w io.Writer, s policy.Snapshot, node string, last, pods []account.Alone) {
	var b bytes.Buffer
	for _, a := range last[:min(len(last), mostSubnets)] {
		columns.Wrap(&b, "! ", "    ", fmt.Sprintf("Subnet %s (%s): %s", a.Subnet, prefixList(a), whatToDo(s, node, a)))
	}
	if more := len(last) - mostSubnets; more > 0 {
		fmt.Fprintf(&b, "! and %s more\n", columns.Count(more, "Subnet", "Subnets"))
	}
	if len(pods) > 0 {
		var names []string
		for _, a := range pods {
			names = append(names, a.Subnet)
		}
		columns.Wrap(&b, "! ", "    ", fmt.Sprintf("Pods of %s on %s are announced by %s alone, and not reached after the withdrawal until they have moved: kubectl drain %s first",
			columns.First(mostNames, names), node, node, columns.Quote(node)))
	}
	_, _ = w.Write(b.Bytes()) // nothing can be said where stderr is gone
}

// writeReplies names the Subnets whose replies go on leaving by a drained node,
// which it can carry until its machine goes down.
func writeReplies(w io.Writer, s policy.Snapshot, node string) {
	var names []string
	for _, sub := range s.Subnets {
		gateway := sub.ActiveGateway == node || sub.EnableECMP && slices.Contains(routes.Gateways(sub, s.Nodes), node)
		if sub.GatewayType == routes.Centralized && gateway && routes.Selected(sub.Annotations, s.Settings) {
			names = append(names, sub.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	columns.Wrap(w, "! ", "    ", fmt.Sprintf("replies of %s leave by the gateway %s until Kube-OVN moves them: take %s out of spec.gatewayNode before its machine goes down",
		columns.First(mostNames, names), node, node))
}

func prefixList(a account.Alone) string {
	var out []string
	for _, p := range a.Prefixes {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}

// whatToDo says how another node comes to announce a Subnet.
func whatToDo(s policy.Snapshot, node string, a account.Alone) string {
	i := slices.IndexFunc(s.Subnets, func(sub *routes.Subnet) bool { return sub.Name == a.Subnet })
	if i < 0 {
		return "its object is gone; nobody else announces it"
	}
	sub := s.Subnets[i]
	others := slices.DeleteFunc(slices.Clone(routes.Gateways(sub, s.Nodes)), func(name string) bool { return name == node })
	explain := fmt.Sprintf("`fairway why %s` says why", columns.Quote(a.Subnet))
	switch {
	case sub.GatewayType != routes.Centralized:
		return "no other node announces it; " + explain
	case len(others) == 0:
		return "the only gateway is " + node + ": make another node one (spec.gatewayNode)"
	case sub.EnableECMP || sub.Tuning.Standby:
		return fmt.Sprintf("the other gateways, %s, do not announce it; %s", columns.First(mostNames, others), explain)
	default:
		return fmt.Sprintf("let its other gateways, %s, announce it too: kubectl annotate subnet %s %s=true; or make another node the active one (spec.gatewayNode)",
			columns.First(mostNames, others), columns.Quote(a.Subnet), routes.AnnotationStandby)
	}
}
