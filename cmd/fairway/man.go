package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// writeManPages writes the manual page of each command into a folder: fairway.1,
// fairway-plan.1. Their date is SOURCE_DATE_EPOCH, where that is set.
func writeManPages(folder string) error {
	root := newRootCommand("fairway")
	root.Long += "\n\n" + exitText()
	asMarkdown(root)
	header := &doc.GenManHeader{Section: "1", Source: "Fairway " + versionText(), Manual: "Fairway"}
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, header, folder); err != nil {
		return fmt.Errorf("write manual pages: %w", err)
	}
	return nil
}

// exitText lists what the exit codes of the commands mean.
func exitText() string {
	var b strings.Builder
	b.WriteString("Exit status of the commands: 0 good, 1 something is wrong, 2 could not tell or bad usage.")
	for _, e := range exitCodes() {
		fmt.Fprintf(&b, "\n\n%s: 0 %s; 1 %s; 2 %s.", e.command, e.good, e.wrong, e.unknown)
	}
	return b.String()
}

// asMarkdown makes the plain text of commands and flags one that says the same as Markdown,
// which pages are made of.
func asMarkdown(c *cobra.Command) {
	plain := strings.NewReplacer("*", `\*`, "_", `\_`, "<", `\<`, "[", `\[`, "`", "")
	c.Long, c.Short = plain.Replace(c.Long), plain.Replace(c.Short)
	for _, flags := range []*pflag.FlagSet{c.LocalNonPersistentFlags(), c.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			f.Usage, f.DefValue = plain.Replace(f.Usage), documentedDefault(f)
		})
	}
	for _, sub := range c.Commands() {
		asMarkdown(sub)
	}
}
