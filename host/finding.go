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
		addField(t, "got", f.Text())
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
