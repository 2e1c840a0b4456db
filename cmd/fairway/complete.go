package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/policy"
)

// completeBound is how long somebody who has pressed the tab key waits.
const completeBound = 2 * time.Second

// completeFlags has the shell offer names of the input for those of these flags that the
// command has.
func (in *input) completeFlags(c *cobra.Command, flags map[string]func(policy.Snapshot) []string) {
	for flag, names := range flags {
		if c.Flags().Lookup(flag) != nil {
			c.RegisterFlagCompletionFunc(flag, in.complete(names))
		}
	}
}

// namedInFlags are the flags that name objects of the input.
func namedInFlags() map[string]func(policy.Snapshot) []string {
	return map[string]func(policy.Snapshot) []string{
		"node": nodeNames, "without": nodeNames, "peer": peerNames, "without-peer": peerNames,
	}
}

// complete gives a completion by what the input has. Where it cannot be read in time
// nothing is offered.
func (in *input) complete(names func(policy.Snapshot) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && c.Args != nil && c.Args(c, append(args, "")) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp // there is a first argument, and no second
		}
		ctx, cancel := context.WithTimeout(context.Background(), completeBound)
		defer cancel()
		contents, _, err := in.read(ctx, io.Discard)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names(contents.Snapshot), cobra.ShellCompDirectiveNoFileComp
	}
}

func nodeNames(s policy.Snapshot) []string {
	var out []string
	for i := range s.Nodes {
		out = append(out, s.Nodes[i].Name)
	}
	return out
}

func peerNames(s policy.Snapshot) []string {
	var out []string
	for i := range s.Peers {
		out = append(out, s.Peers[i].Name)
	}
	return out
}

func subnetNames(s policy.Snapshot) []string {
	var out []string
	for _, sub := range s.Subnets {
		out = append(out, sub.Name)
	}
	return out
}
