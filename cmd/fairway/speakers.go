package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/kube"
)

// showSpeakers prints what every node says about itself. A Speaker is written
// by its own node alone, so that of a node that is gone is no news.
func showSpeakers(ctx context.Context, w, stderr io.Writer, access kube.Access, asJSON bool) error {
	cluster, err := kube.Connect(access)
	if err != nil {
		return err
	}
	speakers, err := cluster.Speakers(ctx)
	if err != nil {
		return err
	}
	nodesReady, err := cluster.NodesReady(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "fairway: which Nodes are Ready is not known, so a Speaker below may be of a node that is gone: %s\n", columns.Plain(err.Error()))
	}
	complaints := make([][]string, len(speakers))
	for i := range speakers {
		complaints[i] = account.Complaints(&speakers[i], nodesReady)
	}
	if asJSON {
		err = writeJSON(w, speakers)
	} else {
		err = writeSpeakers(w, speakers, complaints)
	}
	if err != nil {
		return err
	}
	if len(speakers) == 0 || slices.ContainsFunc(complaints, func(c []string) bool { return len(c) > 0 }) {
		return wrong(nil)
	}
	return nil
}

// writeSpeakers prints a row for each node, and below it what is not as it should be:
// what is well needs no line.
func writeSpeakers(w io.Writer, speakers []v1alpha1.Speaker, complaints [][]string) error {
	if len(speakers) == 0 {
		_, err := io.WriteString(w, "No Speakers: fairway runs on no node of this cluster (a Speaker that was deleted is back within minutes).\n")
		return err
	}
	t := columns.NewTable(columns.Column{Heading: "Node", Least: 19}, columns.Column{Heading: "Sessions"},
		columns.Column{Heading: "Announced", Right: true}, columns.Column{Heading: "Withheld", Right: true}, columns.Column{Heading: "State"})
	for i := range speakers {
		addSpeaker(t, &speakers[i], complaints[i])
	}
	var b strings.Builder
	t.Write(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// announcedText is how many prefixes some router has been sent, and of how many where
// that is not all.
func announcedText(a v1alpha1.AnnouncedPrefixes) string {
	if a.Sent < a.Count {
		return fmt.Sprintf("%d of %d", a.Sent, a.Count)
	}
	return fmt.Sprint(a.Sent)
}

// addSpeaker adds what one Speaker says, and below it what is not as it should be.
func addSpeaker(t *columns.Table, s *v1alpha1.Speaker, complaints []string) {
	state := "ready"
	switch {
	case len(complaints) > 0 && !meta.IsStatusConditionFalse(s.Status.Conditions, v1alpha1.ConditionReady):
		state = "degraded"
	case len(complaints) > 0:
		state = "not ready"
	}
	t.Row(s.Name, fmt.Sprintf("%d/%d up", s.Status.Established, s.Status.Configured),
		announcedText(s.Status.Announced), fmt.Sprint(s.Status.Withheld.Count), state)
	for _, c := range complaints {
		t.Prose("  ", "    ", c)
	}
	if drain, ok := account.DrainOf(s); ok && drain.Text != "" {
		t.Prose("  draining: ", "    ", drain.Text)
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Status.Withheld.Reasons)) {
		t.Prose("  ", "    ", fmt.Sprintf("%d withheld: %s", s.Status.Withheld.Reasons[reason], reason))
	}
}
