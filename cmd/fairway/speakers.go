package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/kube"
)

// showSpeakers prints what every node says about itself.
func showSpeakers(ctx context.Context, w io.Writer, access kube.Access, output string) error {
	cluster, err := kube.Connect(access)
	if err != nil {
		return err
	}
	speakers, err := cluster.Speakers(ctx)
	if err != nil {
		return err
	}
	if output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		err = e.Encode(speakers)
	} else {
		err = writeSpeakers(w, speakers)
	}
	if err != nil {
		return err
	}
	for _, s := range speakers {
		if speakerState(s) != "ready" {
			return wrong(nil)
		}
	}
	return nil
}

func writeSpeakers(w io.Writer, speakers []v1alpha1.Speaker) error {
	var b strings.Builder
	if len(speakers) == 0 {
		b.WriteString("No Speakers: fairway has not run on any node of this cluster.\n")
	} else {
		fmt.Fprintf(&b, "%-20s %-9s %9s %9s  %s\n", "Node", "Sessions", "Announced", "Withheld", "State")
	}
	for _, s := range speakers {
		sessions := fmt.Sprintf("%d/%d up", s.Status.Established, s.Status.Configured)
		fmt.Fprintf(&b, "%-20s %-9s %9d %9d  %s\n", s.Name, sessions, s.Status.Announced.Count, s.Status.Withheld.Count, speakerState(s))
		for _, e := range s.Status.Sessions {
			if e.State != "established" {
				columns.Wrap(&b, "  ", "    ", strings.TrimSuffix(fmt.Sprintf("%s (%s) is %s: %s", e.Peer, e.Address, e.State, e.LastError), ": "))
			}
		}
		for _, reason := range slices.Sorted(maps.Keys(s.Status.Withheld.Reasons)) {
			fmt.Fprintf(&b, "  %d withheld: %s\n", s.Status.Withheld.Reasons[reason], reason)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// speakerState is "ready", or which conditions are not as they should be.
func speakerState(s v1alpha1.Speaker) string {
	var bad []string
	for _, c := range s.Status.Conditions {
		if c.Type == daemon.ConditionDrained || c.Status != metav1.ConditionFalse {
			continue
		}
		text := "not " + c.Type
		if c.Message != "" {
			text += " (" + c.Message + ")"
		}
		bad = append(bad, text)
	}
	if len(bad) > 0 {
		return strings.Join(bad, "; ")
	}
	return "ready"
}
