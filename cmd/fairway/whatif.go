package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/policy"
)

// asksWhatIf reports whether plan is asked what would change.
func (f *planFlags) asksWhatIf(c *cobra.Command) bool {
	return c.Flags().Changed("without") || c.Flags().Changed("without-peer") || c.Flags().Changed("without-secret")
}

// printWhatIf prints what would change; ok is false where something that is
// announced would have no announcer.
func (f *planFlags) printWhatIf(w io.Writer, impact policy.Impact) (ok bool, err error) {
	if f.output.json() {
		err = writeJSON(w, impact)
	} else {
		err = impact.WriteText(w)
	}
	return len(impact.NoAnnouncer) == 0, err
}

// checkAbsence refuses names that the input does not have.
func (f *planFlags) checkAbsence(s policy.Snapshot) error {
	nodes, peers := nodeNames(s), peerNames(s)
	if err := known("--without", "Node", f.without.Nodes, nodes); err != nil {
		return err
	}
	return known("--without-peer", "BGPPeer", f.without.Peers, peers)
}

// absence is what is gone: what the flags name, and the BGPPeers whose password the Secrets
// hold, as their sessions are while it changes; which those are is noted.
func (f *planFlags) absence(s policy.Snapshot, notes io.Writer) (policy.Absence, error) {
	gone := policy.Absence{Nodes: f.without.Nodes, Peers: slices.Clone(f.without.Peers)}
	bySecret := map[string][]string{}
	for _, p := range s.Peers {
		if p.PasswordSecret != "" {
			bySecret[p.PasswordSecret] = append(bySecret[p.PasswordSecret], p.Name)
		}
	}
	if err := known("--without-secret", "Secret that a BGPPeer names", f.secrets, slices.Collect(maps.Keys(bySecret))); err != nil {
		return gone, err
	}
	for _, secret := range f.secrets {
		peers := bySecret[secret]
		fmt.Fprintf(notes, "fairway: Secret %s is the password of %s: their sessions reset when the routers get another one, each on every node in the same second\n",
			columns.Plain(secret), columns.Plain(columns.First(mostChoices, peers)))
		gone.Peers = append(gone.Peers, peers...)
	}
	return gone, nil
}
