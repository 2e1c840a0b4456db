package host

import (
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
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
	Check string
	// About is what the answer holds for, and Subject the same in words.
	About   About
	Subject string
	State   State
	Want    string
	// Got is what is there, in one line. Where a rule or a route is to blame it names
	// that: findings with the same Got have one cause.
	Got string
	// Evidence are lines that show it: the packet that is lost, what a rule asks.
	Evidence []string
	// Why it matters, in one sentence.
	Why string
	// Fix is what to do, as a command where there is one; "" for ok.
	Fix string
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

// Drops reports whether the finding says that traffic is lost. A part of the traffic
// is not all of it: losing that withholds nothing.
func (f Finding) Drops() bool {
	return f.State == Wrong && f.About.Part == "" && slices.ContainsFunc(Criteria(), func(c Criterion) bool { return c.ID == f.Check && c.Drops })
}

// Loses reports whether the finding says that the traffic of a network is lost.
func (f Finding) Loses(p netip.Prefix) bool { return f.Drops() && f.About.concerns(p) }

// Equal reports whether two findings say the same.
func (f Finding) Equal(g Finding) bool { return reflect.DeepEqual(f, g) }

// Text is Got with its evidence, in lines.
func (f Finding) Text() string { return strings.Join(append([]string{f.Got}, f.Evidence...), "\n") }

// mostFixes bounds what is listed of a cause with many networks.
const mostFixes = 5

// WriteText prints findings for people: what is not ok at length, causes with many networks
// once; what is ok in one line each with all, and else counted.
func WriteText(w io.Writer, findings []Finding, all bool) error {
	var b strings.Builder
	if len(findings) == 0 {
		columns.Wrap(&b, "", "", "Nothing is asked of this node: it announces nothing, and replies of what others announce do not leave by it. `fairway status` and `fairway why SUBNET` say why.")
	}
	count := map[State]int{}
	for _, f := range findings {
		count[f.State]++
	}
	t := columns.NewTable(columns.Column{Least: 6}, columns.Column{Least: 13}, columns.Column{})
	for _, g := range Group(findings) {
		if g.State == OK {
			for _, subject := range g.Subjects {
				if all {
					t.Row(string(g.State), g.Check, subject)
				}
			}
			continue
		}
		t.Row(string(g.State), g.Check, g.Subject())
		addField(t, "want", g.Want)
		addField(t, "got", g.Text())
		addField(t, "why", g.Why)
		addField(t, "fix", strings.Join(g.Fixes[:min(len(g.Fixes), mostFixes)], "\n"))
		if more := len(g.Fixes) - mostFixes; more > 0 {
			addField(t, "", fmt.Sprintf("and %d more, for each network: -o json has them", more))
		}
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
