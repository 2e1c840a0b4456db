package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/enforce"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/speaker"
	"github.com/fairway-bgp/fairway/web"
)

// generated is the reference documentation that is made from the program
// itself, by file name in the folder docs, whose example it reads.
func generated(docs string) map[string]func(io.Writer) {
	return map[string]func(io.Writer){
		"reasons.md":     writeReasons,
		"annotations.md": writeAnnotations,
		"commands.md":    writeCommands,
		"checks.md":      writeChecks,
		"metrics.md":     writeMetrics,

		"for-the-network-team.md": func(w io.Writer) { writeNetworkTeam(w, docs) },
	}
}

// newDocsCommand writes the generated documentation; `make golden` and `make install` call
// it.
func newDocsCommand() *cobra.Command {
	var man bool
	c := &cobra.Command{
		Use: "docs FOLDER", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "Write the generated reference documentation",
		RunE: func(_ *cobra.Command, args []string) error {
			if man {
				return writeManPages(args[0])
			}
			for name, write := range generated(args[0]) {
				var b bytes.Buffer
				write(&b)
				if err := os.WriteFile(filepath.Join(args[0], name), b.Bytes(), 0o644); err != nil {
					return fmt.Errorf("write documentation: %w", err)
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&man, "man", false, "write manual pages instead, one for each command")
	return c
}

const generatedNote = "<!-- Made by `make golden` from the program itself; do not edit. -->\n\n"

func writeReasons(w io.Writer) {
	fmt.Fprint(w, "# Reasons\n\n", generatedNote,
		"Every prefix of a selected Subnet is either announced by a node or withheld with one of these\n"+
			"reasons. They are tried in this order, and the first that applies is given. `fairway why SUBNET` shows\n"+
			"the whole chain.\n")
	for _, c := range policy.Chain() {
		fmt.Fprintf(w, "\n## %s\n\n%s\n\nWhat to do: %s.\n", c.Reason, c.When, policy.Remedy(string(c.Reason)))
	}
	fmt.Fprint(w, "\n# Warnings\n\nGiven about what is announced all the same.\n")
	for _, x := range policy.WarningReasons() {
		fmt.Fprintf(w, "\n### %s\n\n%s\n", x.Reason, x.When)
	}
}

func writeChecks(w io.Writer) {
	fmt.Fprint(w, "# Checks of the host\n\n", generatedNote)
	host.WriteReference(w)
	enforce.WriteReference(w)
}

func writeAnnotations(w io.Writer) {
	fmt.Fprint(w, "# Annotations and labels\n\n", generatedNote,
		"| on | name | value | meaning |\n|---|---|---|---|\n")
	for _, a := range routes.Annotations() {
		fmt.Fprintf(w, "| %s | `%s` | %s | %s |\n", a.On, a.Name, a.Value, a.Meaning)
	}
	fmt.Fprint(w, "\nA value that does not parse withholds the Subnet (`InvalidAnnotation`). In a running daemon a Subnet that\n"+
		"was announced keeps its last good annotations until the mistake is mended. Taking `advertise` away, or\n"+
		"setting it to `false`, always withdraws.\n")
}

func writeMetrics(w io.Writer) {
	fmt.Fprint(w, "# Metrics\n\n", generatedNote,
		"At `/metrics` of the status page, and with `--metrics-listen` at an address that a Prometheus on another machine\n"+
			"reaches ([operate.md](operate.md#metrics-for-prometheus)), in Prometheus' text format. Every value is read from the\n"+
			"same picture as `fairway status`. The chart has a dashboard, and alert rules ([alerts.md](alerts.md)).\n\n"+
			"| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range web.Metrics() {
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, strings.Join(m.Labels, ", "), m.Help)
	}
	fmt.Fprint(w, "\nBesides these there are the `go_` and `process_` metrics of Prometheus' own Go client: memory, CPU, goroutines,\n"+
		"open files of the daemon.\n\n## Reasons of a session that is down\n\n"+
		"In `reason` of `fairway_session_down` and `fairway_session_last_reset_timestamp_seconds`, in `down` and `lastReset` of\n"+
		"`fairway status -o json`, and in `lastResetReason` of a Speaker. `notification` is the code and subcode of the\n"+
		"NOTIFICATION, as `6/2` for an administrative shutdown (RFC 4271 section 4.5, RFC 4486), empty where there was none.\n\n"+
		"| reason | when |\n|---|---|\n")
	for _, r := range speaker.Reasons() {
		fmt.Fprintf(w, "| `%s` | %s |\n", r.Reason, r.When)
	}
}

func writeCommands(w io.Writer) {
	fmt.Fprint(w, "# Commands and flags\n\n", generatedNote,
		"Exit status: 0 good, 1 something is wrong, 2 could not tell or bad usage. In particular:\n\n"+
			"| command | 0 | 1 | 2 |\n|---|---|---|---|\n")
	for _, e := range exitCodes() {
		fmt.Fprintf(w, "| `fairway %s` | %s | %s | %s |\n", e.command, e.good, e.wrong, e.unknown)
	}
	writeCommand(w, newRootCommand("fairway"))
}

func writeCommand(w io.Writer, c *cobra.Command) {
	if c.Hidden {
		return
	}
	if c.HasParent() {
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		fmt.Fprintf(w, "\n## %s\n\n%s\n", strings.TrimSpace(c.UseLine()), text)
		if c.Example != "" {
			fmt.Fprintf(w, "\n```sh not-run: examples\n%s\n```\n", c.Example)
		}
		writeFlags(w, c.NonInheritedFlags())
	}
	for _, sub := range c.Commands() {
		writeCommand(w, sub)
	}
}

func writeFlags(w io.Writer, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprint(w, "\n| flag | default | meaning |\n|---|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", name, documentedDefault(f), f.Usage)
	})
}

// documentedDefault is a flag's default in words that are the same on every machine.
func documentedDefault(f *pflag.Flag) string {
	if f.Name == "node" && f.DefValue != "" {
		return "the host's name"
	}
	return strings.Trim(f.DefValue, "[]")
}
