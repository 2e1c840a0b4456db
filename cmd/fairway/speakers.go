package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/routes"
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
		fmt.Fprintf(stderr, "fairway: which Nodes are Ready is not known, so a Speaker below may be of a node that is gone: %v\n", err)
	}
	complaints := make([][]string, len(speakers))
	for i, s := range speakers {
		complaints[i] = complaintsAbout(s, nodesReady)
	}
	if asJSON {
		err = writeJSON(w, speakers)
	} else {
		err = writeSpeakers(w, speakers, complaints)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(complaints, func(c []string) bool { return len(c) > 0 }) {
		return wrong(nil)
	}
	return nil
}

func writeSpeakers(w io.Writer, speakers []v1alpha1.Speaker, complaints [][]string) error {
	if len(speakers) == 0 {
		_, err := io.WriteString(w, "No Speakers: fairway runs on no node of this cluster (a Speaker that was deleted is back within minutes).\n")
		return err
	}
	t := columns.NewTable(columns.Column{Heading: "Node", Least: 19}, columns.Column{Heading: "Sessions"},
		columns.Column{Heading: "Announced", Right: true}, columns.Column{Heading: "Withheld", Right: true}, columns.Column{Heading: "State"})
	for i, s := range speakers {
		addSpeaker(t, s, complaints[i])
	}
	var b strings.Builder
	t.Write(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// addSpeaker adds what one Speaker says, and below it what is not as it should be.
func addSpeaker(t *columns.Table, s v1alpha1.Speaker, complaints []string) {
	state := "ready"
	if len(complaints) > 0 {
		state = "not ready"
	}
	t.Row(s.Name, fmt.Sprintf("%d/%d up", s.Status.Established, s.Status.Configured),
		fmt.Sprint(s.Status.Announced.Count), fmt.Sprint(s.Status.Withheld.Count), state)
	for _, c := range complaints {
		t.Prose("  ", "    ", c)
	}
	if c := meta.FindStatusCondition(s.Status.Conditions, daemon.ConditionDrained); c != nil && c.Message != "" && !daemon.HasStopped(&s) {
		t.Prose("  draining: ", "    ", c.Message)
	}
	for _, e := range s.Status.Sessions {
		if e.State != "established" {
			t.Prose("  ", "    ", strings.TrimSuffix(fmt.Sprintf("%s (%s) is %s: %s", e.Peer, e.Address, e.State, e.LastError), ": "))
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Status.Withheld.Reasons)) {
		t.Prose("  ", "    ", fmt.Sprintf("%d withheld: %s", s.Status.Withheld.Reasons[reason], reason))
	}
}

// complaintsAbout says what is not as it should be: the Node, or conditions.
// Without Nodes, nil, it goes by the conditions alone.
func complaintsAbout(s v1alpha1.Speaker, nodesReady map[string]bool) []string {
	if nodesReady != nil && !nodesReady[s.Name] {
		return []string{"Node " + s.Name + " is not Ready: this is what its daemon said last"}
	}
	var out []string
	for _, c := range s.Status.Conditions {
		if c.Type == daemon.ConditionDrained || c.Status != metav1.ConditionFalse {
			continue
		}
		out = append(out, strings.TrimSuffix("not "+c.Type+": "+c.Message, ": "))
	}
	if why := barred(s); s.Status.Announced.Count == 0 && why != "" {
		out = append(out, "announces nothing: "+why)
	}
	return out
}

// barred gives the first reason of the node's own why it withholds something: a
// node may carry out its plan to the letter, and announce nothing.
func barred(s v1alpha1.Speaker) string {
	for _, w := range s.Status.Withheld.First {
		if slices.Contains(nodesOwn(), routes.Reason(w.Reason)) {
			return fmt.Sprintf("%s is withheld, %s: %s", w.Prefix, w.Reason, w.Detail)
		}
	}
	for _, reason := range nodesOwn() {
		if n := s.Status.Withheld.Reasons[string(reason)]; n > 0 {
			return fmt.Sprintf("%d withheld, %s", n, reason)
		}
	}
	return ""
}
