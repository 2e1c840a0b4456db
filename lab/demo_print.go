package lab

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// width is that of the terminal that the demo is written for.
const width = 80

func (d *demo) title(text string) {
	fmt.Fprintf(d.out, "\n%d. %s\n", d.num, text)
}

// say prints a sentence.
func (d *demo) say(text string) { fmt.Fprintf(d.out, "   %s\n", text) }

// print prints what a program or a file says, indented, made to fit.
func (d *demo) print(text string) {
	for _, line := range fit(strings.Split(text, "\n"), width-len(indent)) {
		fmt.Fprintln(d.out, strings.TrimRight(indent+line, " "))
	}
}

const indent = "       "

func (d *demo) proved(text string) { fmt.Fprintf(d.out, "   ok: %s\n", text) }

// show runs a command in a station and prints it with its output.
func (d *demo) show(ctx context.Context, station string, argv ...string) error {
	text, err := output(d.command(ctx, station, argv...))
	if err != nil {
		return err
	}
	d.print(station + "$ " + strings.Join(argv, " ") + "\n" + text)
	return nil
}

// showYAML prints a file of the cluster without its comments and without what
// every object of its kind has.
func (d *demo) showYAML(name string) error {
	text, err := d.ReadYAML(name)
	if err != nil {
		return err
	}
	var lines []string
	for _, line := range strings.Split(withoutComments(text), "\n") {
		if !strings.HasPrefix(line, "apiVersion:") && !strings.Contains(line, "protocol:") && !strings.Contains(line, "gateway:") {
			lines = append(lines, line)
		}
	}
	d.say(name + ":")
	d.print(strings.Join(lines, "\n"))
	return nil
}

// withoutComments drops comment lines and blank lines.
func withoutComments(text string) string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed != "" && !strings.HasPrefix(trimmed, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// withoutPassed drops the questions that `fairway why` lists as passed.
func withoutPassed(text string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool {
		return strings.HasPrefix(strings.TrimSpace(line), "pass ")
	})
	return strings.Join(lines, "\n")
}

// fit makes lines fit into max columns. Where one is too long, the columns of
// tables move together; what is still too long goes on in the next line.
func fit(lines []string, max int) []string {
	var out []string
	long := false
	for _, line := range lines {
		line = strings.ReplaceAll(line, "\t", "    ")
		long = long || utf8.RuneCountInString(line) > max
		out = append(out, line)
	}
	if long {
		out = narrowed(out)
	}
	var fitting []string
	for _, line := range out {
		fitting = append(fitting, wrapped([]rune(line), max)...)
	}
	return fitting
}

// wrapped breaks a line at blanks, or anywhere in a word that is too long by
// itself.
func wrapped(line []rune, max int) []string {
	var out []string
	for len(line) > max {
		cut := max
		for cut > max/2 && line[cut] != ' ' {
			cut--
		}
		if line[cut] != ' ' {
			cut = max
		}
		out = append(out, string(line[:cut]))
		line = append([]rune("    "), []rune(strings.TrimLeft(string(line[cut:]), " "))...)
	}
	return append(out, string(line))
}

// narrowed sets columns, which two blanks or more separate, as narrow as their
// widest cell. A row that starts with blanks has an empty first cell.
func narrowed(lines []string) []string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	gap := regexp.MustCompile(` {2,}`)
	for _, line := range lines {
		_, _ = fmt.Fprintln(table, gap.ReplaceAllString(line, "\t")) // into memory
	}
	_ = table.Flush() // likewise
	return strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
}

// rootCause is the innermost error, which says it in the fewest words.
func rootCause(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}
