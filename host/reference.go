package host

import (
	"fmt"
	"io"
)

// WriteReference prints the documentation of all checks, in Markdown, from what
// they say of themselves.
func WriteReference(w io.Writer) error {
	_, err := fmt.Fprint(w, `A check is about what this node must be like to forward the announced traffic. It follows from the
plan: without an announcement nothing is asked, and IPv6 matters only with an IPv6 prefix. Each answer is
`+"`ok`, `wrong` or `unknown`"+`; what cannot be read, or what a rule asks that cannot be told, is unknown and never ok.
`)
	for _, c := range Criteria() {
		if err != nil {
			return err
		}
		gate := ""
		if c.Drops {
			gate = "\n\nWith `--host-gate`, `wrong` withholds what it concerns (`HostNotReady`)."
		}
		_, err = fmt.Fprintf(w, "\n## %s\n\n%s\n\nWhy: %s\n\nWhat to do: %s%s\n", c.ID, c.Asks, c.Why, c.Mend, gate)
	}
	return err
}
