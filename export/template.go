package export

import (
	"embed"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/template"
)

// templates holds one file per Format, FORMAT.tmpl, with the templates "static"
// and, except in iproute.tmpl, "peering"; and shared.tmpl.
//
//go:embed *.tmpl
var templates embed.FS

// sheet is the template of a format. Lines of a sheet are printed as they stand;
// one that holds nothing but a block's begin or end, an assignment or a comment
// is not printed at all, as with Jinja's trim_blocks and lstrip_blocks.
func sheet(f Format) (*template.Template, error) {
	t := template.New(string(f)).Option("missingkey=error").Funcs(template.FuncMap{
		"comment": comment, "symbol": symbol, "entry": entry,
	})
	for _, file := range []string{"shared.tmpl", string(f) + ".tmpl"} {
		b, err := templates.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if t, err = t.Parse(withoutBlockLines(string(b))); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// unprinted are those lines. A "}" does not belong to what they hold, so that a
// line with two actions is printed.
var unprinted = regexp.MustCompile(`(?m)^[ \t]*\{\{((?:if|else|end|with|range|define|template)\b[^}\n]*|\$\w+ :?=[^}\n]*|/\*(?s:.*?))(\*/)?\}\}\n`)

// withoutBlockLines draws the end of such a line into the braces, where it counts
// as a blank: nothing is printed, and errors still name the right line.
func withoutBlockLines(s string) string {
	return unprinted.ReplaceAllString(s, "{{$1\n$2}}")
}

// execute prints data with one of the templates of f.
func execute(w io.Writer, f Format, name string, data any) error {
	t, err := sheet(f)
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(w, name, data)
}

// comment prints sentences as lines that the reader's parser skips.
func comment(mark string, sentences []string) string {
	return mark + " " + strings.Join(sentences, "\n"+mark+" ")
}

// entry is the number of the i-th entry of a list, in tens, as people do it.
func entry(i int) string { return fmt.Sprint(10 * (i + 1)) }
