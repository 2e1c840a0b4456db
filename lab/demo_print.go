package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	for _, line := range strings.Split(text, "\n") {
		fmt.Fprintln(d.out, fit("       "+line))
	}
}

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

// fit makes a line fit the terminal: tabs and wide gaps shrink first, and what
// is still too long ends in an ellipsis.
func fit(line string) string {
	line = strings.TrimRight(strings.ReplaceAll(line, "\t", "    "), " ")
	if len(line) <= width {
		return line
	}
	body := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(body)]
	for strings.Contains(body, "   ") {
		body = strings.ReplaceAll(body, "   ", "  ")
	}
	line = indent + body
	if runes := []rune(line); len(runes) > width {
		line = string(runes[:width-1]) + "…"
	}
	return line
}

// rootCause is the innermost error, which says it in the fewest words.
func rootCause(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}
