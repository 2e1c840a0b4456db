// Package columns sets text for people in lines of a terminal's width. It is
// the vocabulary of every text form (plan, why, status, check) and knows nothing
// of what they say.
package columns

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Width is how many columns a terminal has.
const Width = 80

// Wrap writes text in lines of at most Width columns, broken between words: lead
// before the first line, indent before the others. A word that is longer than a
// line stays whole. A write error is the writer's to remember: w is a buffer.
func Wrap(w io.Writer, lead, indent, text string) {
	line, empty := lead, true
	for _, word := range strings.Fields(text) {
		word = Plain(word)
		if !empty && len(line)+1+len(word) > Width {
			fmt.Fprintln(w, line)
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	fmt.Fprintln(w, line)
}

// Plain gives text on one line with whatever is not to be printed, such as the
// characters that steer a terminal, written as Go does: \x1b. Names and values come
// from files that anybody may have written.
func Plain(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) < 0 {
		return text
	}
	quoted := strconv.Quote(text)
	// What Quote does for its own marks is not needed.
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(quoted[1 : len(quoted)-1])
}

// PlainLines gives text with each of its lines as Plain gives it.
func PlainLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = Plain(line)
	}
	return strings.Join(lines, "\n")
}

// Quote gives a name as an argument that a POSIX shell takes for itself, for commands
// that are copied: nothing in an object's name may become a command.
func Quote(name string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-"
	if name != "" && strings.Trim(name, harmless) == "" {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// Count says how many there are of something: "1 prefix", "2 prefixes".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Cut shortens a text to so many bytes, on a rune's border.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}
