package main

import (
	"bytes"
	"io"
	"os"
	"regexp"

	"golang.org/x/term"
)

// Colours of a terminal (ECMA-48 section 8.3.117), in the sixteen that every theme has
// legible. The text says everything without them.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint is a part of a line, its first group, and the colour that it gets.
type paint struct {
	part   *regexp.Regexp
	colour string
}

// paints are what stands out in the text of status, why, check and plan.
func paints() []paint {
	of := func(colour, part string) paint { return paint{regexp.MustCompile(part), colour} }
	return []paint{
		of(red, `^\s*(! .*)$`),
		of(green, `^\s*(>) `),
		of(yellow, `^\s*(-) \S`),
		of(red, `^(wrong) `), of(yellow, `^(unknown) `), of(green, `^(ok) `),
		of(red, `^  (STOP)  `),
		of(green, `^Subnet .*: (announced)$`), of(yellow, `^Subnet .*: (withheld, \w+)$`),
		of(red, `^Host (wrong): `), of(yellow, `^Host (unknown): `),
		of(red, `(DEGRADED: .*)$`), of(red, `(NOT as planned)`),
		of(green, `(?i) (established) `), of(yellow, `(?i) (idle|active|opensent|openconfirm) +\S+`),
		of(green, `\d/\d+ up .* (ready)$`), of(red, ` (degraded|dead|no daemon|not ready|stopped)$`),
	}
}

// isTerminal reports whether somebody looks at what is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// wantsColour reports whether the text for a writer is to have colours: on a terminal,
// unless nobody wants them (https://no-color.org, TERM=dumb).
func wantsColour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// newPainter gives a painter that writes to w.
func newPainter(w io.Writer) *painter { return &painter{w: w, paints: paints()} }

// painter colours the lines that go through it.
type painter struct {
	w      io.Writer
	paints []paint
}

// Write takes whole lines.
func (p *painter) Write(text []byte) (int, error) {
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		out.Write(p.line(line))
	}
	if _, err := p.w.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// line gives a line with the first paint that fits.
func (p *painter) line(line []byte) []byte {
	bare := bytes.TrimRight(line, "\n")
	for _, c := range p.paints {
		at := c.part.FindSubmatchIndex(bare)
		if at == nil {
			continue
		}
		var out []byte
		out = append(out, bare[:at[2]]...)
		out = append(out, "\x1b["+c.colour+"m"...)
		out = append(out, bare[at[2]:at[3]]...)
		out = append(out, "\x1b[0m"...)
		out = append(out, bare[at[3]:]...)
		return append(out, line[len(bare):]...)
	}
	return line
}
