package host

import (
	"fmt"
	"io"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
)

// State is one of three answers.
type State string

// The answers. Unknown means that a fact could not be read, or that a rule asks
// what cannot be told from here.
const (
	OK      State = "ok"
	Wrong   State = "wrong"
	Unknown State = "unknown"
)

// Finding is one answer about one subject.
type Finding struct {
	Check string `json:"check"`
	// Subject is a prefix, a link or a setting.
	Subject string `json:"subject"`
	State   State  `json:"state"`
	Want    string `json:"want"`
	Got     string `json:"got"`
	// Why it matters, in one sentence.
	Why string `json:"why"`
	// Fix is what to do, as a command where there is one; "" for ok.
	Fix string `json:"fix"`
}

// Worst is the state that counts for several findings: wrong beats unknown,
// unknown beats ok.
func Worst(findings []Finding) State {
	worst := OK
	for _, f := range findings {
		if f.State == Wrong {
			return Wrong
		}
		if f.State == Unknown {
			worst = Unknown
		}
	}
	return worst
}

// Drops reports whether the finding says that traffic is lost.
func (f Finding) Drops() bool {
	if f.State != Wrong {
		return false
	}
	for _, c := range Criteria() {
		if c.ID == f.Check {
			return c.Drops
		}
	}
	return false
}

// Report is what JSON tells of a host: findings, in one object.
type Report struct {
	Findings []Finding `json:"findings"`
}

// NewReport gives the Report of findings; none are an empty list.
func NewReport(findings []Finding) Report {
	return Report{append([]Finding{}, findings...)}
}

// WriteText prints findings for people: what is not ok at length, what is ok in
// one line.
func WriteText(w io.Writer, findings []Finding) error {
	var b strings.Builder
	if len(findings) == 0 {
		columns.Wrap(&b, "", "", "Nothing is asked of this node: it announces nothing, and replies of what others announce do not leave by it. `fairway status` and `fairway why SUBNET` say why.")
	}
	count := map[State]int{}
	t := columns.NewTable(columns.Column{Least: 6}, columns.Column{Least: 13}, columns.Column{})
	for _, f := range findings {
		count[f.State]++
		t.Row(string(f.State), f.Check, f.Subject)
		if f.State == OK {
			continue
		}
		addField(t, "want", f.Want)
		addField(t, "got", f.Got)
		addField(t, "why", f.Why)
		addField(t, "fix", f.Fix)
	}
	t.Write(&b)
	fmt.Fprintf(&b, "%d ok, %d wrong, %d unknown\n", count[OK], count[Wrong], count[Unknown])
	_, err := io.WriteString(w, b.String())
	return err
}

// addField adds one part of a finding, if there is any; its lines stay lines.
func addField(t *columns.Table, name, text string) {
	lead, indent := fmt.Sprintf("        %-6s", name), strings.Repeat(" ", 14)
	for line := range strings.Lines(text) {
		t.Prose(lead, indent+"  ", line)
		lead = indent
	}
}
