package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Formats that several commands print.
const (
	formatText = "text"
	formatJSON = "json"
)

// outputFormat is the value of -o: one of those that its command prints. It is a
// flag's value (pflag.Value), so that another is refused before anything is read.
type outputFormat struct {
	value   string
	printed []string
}

// String gives the value.
func (o *outputFormat) String() string { return o.value }

// Type is what help shows as the kind of value.
func (o *outputFormat) Type() string { return "string" }

// Set takes one of the formats that the command prints.
func (o *outputFormat) Set(value string) error {
	if !slices.Contains(o.printed, value) {
		return unknownFormat{value, o.printed}
	}
	o.value = value
	return nil
}

// json reports whether JSON is asked for.
func (o *outputFormat) json() bool { return o.value == formatJSON }

// out is where a command prints: with colours where that is text for a person.
func (o *outputFormat) out(c *cobra.Command) io.Writer {
	w := c.OutOrStdout()
	if o.value == formatText && wantsColour(w) {
		return newPainter(w)
	}
	return w
}

// addFlag adds -o, with completion: text, which is the default, JSON, and what
// else the command prints.
func (o *outputFormat) addFlag(c *cobra.Command, others ...string) {
	o.value, o.printed = formatText, append([]string{formatText, formatJSON}, others...)
	c.Flags().VarP(o, "output", "o", choices(o.printed))
	c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(o.printed, cobra.ShellCompDirectiveNoFileComp))
}

// choices names values: "text or json", or "one of a, b, c".
func choices(values []string) string {
	if len(values) == 2 {
		return values[0] + " or " + values[1]
	}
	return "one of " + strings.Join(values, ", ")
}

// unknownFormat is the error of a value that -o does not take.
type unknownFormat struct {
	value   string
	printed []string
}

func (u unknownFormat) Error() string {
	return fmt.Sprintf("-o %s: not a format; use %s", u.value, choices(u.printed))
}

// writeJSON prints a value as every command does: indented, on lines of its own,
// and with < and > as they are.
func writeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(value)
}
