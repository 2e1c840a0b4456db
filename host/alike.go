package host

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
)

// Alike are findings that say the same of several networks: with a thousand Subnets one
// cause is one thing to read.
type Alike struct {
	// Finding is the first of them, its texts about "it" where there are more.
	Finding
	// Subjects are all of them; Fixes is what to do, each once.
	Subjects, Fixes []string
}

// Group puts together the findings that differ in the network that they are about and in
// nothing else. Others stand alone. The order is that of the first ones.
func Group(findings []Finding) []Alike {
	var out []Alike
	at := map[[5]string]int{}
	for _, f := range findings {
		key := f.but()
		i, known := at[key]
		if !known || !f.ofNetwork() {
			at[key] = len(out)
			out = append(out, Alike{f, []string{f.Subject}, f.fixes()})
			continue
		}
		g := &out[i]
		g.Subjects = append(g.Subjects, f.Subject)
		for _, fix := range f.fixes() {
			if !slices.Contains(g.Fixes, fix) {
				g.Fixes = append(g.Fixes, fix)
			}
		}
		g.Want, g.Got, g.Why = key[2], key[3], key[4]
	}
	return out
}

// Subject names the networks, the first of many.
func (a Alike) Subject() string {
	if len(a.Subjects) == 1 {
		return a.Subjects[0]
	}
	return fmt.Sprintf("%d networks: %s", len(a.Subjects), columns.First(3, a.Subjects))
}

// ofNetwork is whether the finding is about a network, and not about the node or a link.
func (f Finding) ofNetwork() bool {
	_, err := netip.ParsePrefix(f.network())
	return err == nil
}

// network is the first word of the subject.
func (f Finding) network() string {
	first, _, _ := strings.Cut(f.Subject, " ")
	return first
}

// but is what the finding says besides the network.
func (f Finding) but() [5]string {
	of := f.network()
	if of == "" {
		of = f.Subject + "\x00" // nothing to leave out
	}
	it := func(text string) string { return strings.ReplaceAll(text, of, "it") }
	return [5]string{f.Check, string(f.State) + strings.TrimPrefix(f.Subject, of), it(f.Want), it(f.Got), it(f.Why)}
}

func (f Finding) fixes() []string {
	if f.Fix == "" {
		return nil
	}
	return []string{f.Fix}
}
