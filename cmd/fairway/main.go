// Command fairway announces Kube-OVN Subnets over BGP: daemon and CLI in one
// binary, one file per subcommand. Files here hold flags, wiring, printing and
// exit codes; decisions are made in the packages they call.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/columns"
)

// Exit codes. What could not be told ends as bad usage does: nothing is known.
const (
	exitGood    = 0
	exitWrong   = 1 // something is wrong: a finding, a bad object, a withheld Subnet
	exitUnknown = 2 // could not tell: something cannot be read, or asked
	exitUsage   = 2 // bad usage
)

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

// run executes one command line and gives the exit code. args[0] is the name of
// the program: kubectl-fairway shows itself as "kubectl fairway".
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand(args[0])
	root.SetArgs(args[1:])
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteC()
	if err == nil {
		return exitGood
	}
	var code codedError
	if !errors.As(err, &code) {
		code = codedError{exitUnknown, err}
	}
	if code.err != nil {
		sayError(stderr, code.err, advice(c, code.err))
	}
	return code.code
}

// sayError prints an error and what to do next. Names and values come from objects and
// arguments that anybody may have written.
func sayError(w io.Writer, err error, advice string) {
	fmt.Fprintf(w, "fairway: %s\n", columns.PlainLines(err.Error()))
	if advice != "" {
		fmt.Fprintf(w, "  to do: %s\n", columns.PlainLines(advice))
	}
}

// codedError carries an exit code; err is nil where everything has been said.
type codedError struct {
	code int
	err  error
}

func (e codedError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e codedError) Unwrap() error { return e.err }

// wrong is an error for exit status 1; nil says no more.
func wrong(err error) error { return codedError{exitWrong, err} }

func newRootCommand(program string) *cobra.Command {
	root := &cobra.Command{
		Use:   "fairway",
		Short: "Announces Kube-OVN Subnets over BGP, with the next hop that their gatewayType asks for",
		Long: `Fairway connects a Kube-OVN cluster's overlay to the network outside: each node
announces the CIDRs of annotated, non-NAT Subnets to its BGP peers, and every
prefix that is not announced has a reason that 'fairway why' explains.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	if filepath.Base(program) == "kubectl-fairway" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl fairway"}
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newPlanCommand(), newWhyCommand(), newRunCommand(), newCheckCommand(), newStatusCommand(), newUICommand(), newProbeCommand(), newDrainCommand(), newUndrainCommand(), newLabCommand(), newVersionCommand(), newDocsCommand())
	for _, c := range root.Commands() {
		markUsage(c)
	}
	return root
}
