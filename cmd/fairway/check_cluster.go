package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/kube"
)

// mostNodes is how many nodes of a finding are named.
const mostNodes = 10

// showHosts prints what every node says of its host, by the Speakers: what is not ok once
// for all nodes that have it.
func (f *checkFlags) showHosts(ctx context.Context, out, notes io.Writer) error {
	cluster, err := kube.Connect(f.access)
	if err != nil {
		return err
	}
	speakers, err := cluster.Speakers(ctx)
	if err != nil {
		return err
	}
	if len(speakers) == 0 {
		return errors.New("no Speakers: fairway runs on no node of this cluster, so nobody has looked at one; `fairway status --cluster` lists the Nodes")
	}
	words := account.Hosts(speakers, heartbeats(ctx, notes, cluster, speakers))
	if f.output.json() {
		err = writeJSON(out, map[string]any{"nodes": words})
	} else {
		err = writeHosts(out, words, f.all)
	}
	if err != nil {
		return err
	}
	return verdict(worstHost(words))
}

// worstHost is the state that counts for all nodes.
func worstHost(words []account.HostWord) host.State {
	all := make([]host.Finding, len(words))
	for i, w := range words {
		all[i].State = w.State
	}
	return host.Worst(all)
}

// writeHosts prints the findings with their nodes, then the nodes of which nothing is
// known, and how many are well; with all, these by name.
func writeHosts(w io.Writer, words []account.HostWord, all bool) error {
	var b strings.Builder
	t := columns.NewTable(columns.Column{Least: 6}, columns.Column{Least: 13}, columns.Column{})
	for _, f := range account.Alike(words) {
		t.Row(f.State, f.Check, f.Subject)
		for _, field := range [][2]string{{"on", columns.First(mostNodes, f.Nodes)}, {"why", f.Why}, {"fix", f.Fix}} {
			if field[1] != "" {
				t.Prose(fmt.Sprintf("        %-6s", field[0]), strings.Repeat(" ", 16), field[1])
			}
		}
	}
	count := map[host.State]int{}
	for _, word := range words {
		count[word.State]++
		switch {
		case word.Why != "":
			t.Row(string(word.State), "node "+word.Node)
			t.Prose("        why   ", strings.Repeat(" ", 16), word.Why)
		case all && word.State == host.OK:
			t.Row(string(word.State), "node "+word.Node)
		}
	}
	t.Write(&b)
	fmt.Fprintf(&b, "%s: %d ok, %d wrong, %d unknown\n", columns.Count(len(words), "node", "nodes"), count[host.OK], count[host.Wrong], count[host.Unknown])
	_, err := io.WriteString(w, b.String())
	return err
}
