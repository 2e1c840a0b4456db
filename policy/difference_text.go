package policy

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
)

// Prospect is what changed objects do to the nodes that run, and what of that could
// not be told.
type Prospect struct {
	// Nodes are those of which it is known what they do, sorted.
	Nodes []Difference `json:"nodes"`
	// Unknown says what could not be told, a sentence each.
	Unknown []string `json:"unknown"`
	// Remarks are what is good to know about the answer.
	Remarks []string `json:"remarks"`
}

// RemarkResets says which nodes have no session left while some reset. now are the
// plans that the nodes have.
func (p *Prospect) RemarkResets(now []Plan) {
	var silent, peers []string
	for i, d := range p.Nodes {
		down := 0
		for _, s := range d.Sessions {
			if s.Fate == Reset {
				peers = append(peers, s.Peer)
			}
			if s.Fate == Reset || s.Fate == Removed {
				down++
			}
		}
		if down > 0 && down == len(now[i].Sessions) && len(now[i].Adverts) > 0 {
			silent = append(silent, d.Node)
		}
	}
	if len(peers) == 0 || len(silent) == 0 {
		return
	}
	p.Remarks = append(p.Remarks, fmt.Sprintf("a reset takes two seconds and more; until %s up again, no router has a route from %s: change one BGPPeer after the other, or drain first",
		columns.First(mostNames, sortedNames(peers))+plural(len(sortedNames(peers)), " is", " are"), columns.First(mostNames, silent)))
}

// Empty reports whether nothing changes on any node, as far as it could be told.
func (p Prospect) Empty() bool {
	return !slices.ContainsFunc(p.Nodes, func(d Difference) bool { return !d.Empty() })
}

// WriteText prints it for people; nodes that fare alike are told together.
func (p Prospect) WriteText(w io.Writer) error {
	var b bytes.Buffer
	type alike struct {
		nodes []string
		text  string
	}
	var groups []alike
	for _, d := range p.Nodes {
		text := d.text()
		i := slices.IndexFunc(groups, func(g alike) bool { return g.text == text })
		if i < 0 {
			i, groups = len(groups), append(groups, alike{text: text})
		}
		groups[i].nodes = append(groups[i].nodes, d.Node)
	}
	for i, g := range groups {
		if i > 0 {
			b.WriteByte('\n')
		}
		head, body, _ := strings.Cut(g.text, "\n")
		columns.Wrap(&b, "", "    ", plural(len(g.nodes), "Node ", "Nodes ")+columns.First(mostNames, g.nodes)+": "+head)
		b.WriteString(body)
	}
	writeSentences(&b, "\nNot known:\n", "  ? ", p.Unknown)
	writeSentences(&b, "\nMind:\n", "  ! ", p.Remarks)
	_, err := w.Write(b.Bytes())
	return err
}

func writeSentences(b *bytes.Buffer, heading, mark string, sentences []string) {
	if len(sentences) > 0 {
		b.WriteString(heading)
	}
	for _, s := range sentences {
		columns.Wrap(b, mark, "    ", s)
	}
}

// text gives the summary, and below it a line for each thing that changes.
func (d Difference) text() string {
	var b bytes.Buffer
	b.WriteString(d.summary() + "\n")
	for _, s := range d.Sessions {
		columns.Wrap(&b, "  "+s.Fate.mark()+" ", "      ", s.Text())
	}
	for _, g := range d.likePrefixes() {
		columns.Wrap(&b, "  "+g.mark+" ", "      ", g.subject()+g.what)
	}
	for _, h := range d.Withheld {
		columns.Wrap(&b, "  . ", "      ", fmt.Sprintf("%s (%s) is withheld: %s: %s", h.Prefix, h.Subnet, h.Reason, h.Detail))
	}
	for _, w := range d.Warnings {
		text := fmt.Sprintf("warning %s: %s", w.Reason, w.Detail)
		if w.Subnet != "" {
			text = fmt.Sprintf("warning %s for Subnet %s: %s", w.Reason, w.Subnet, w.Detail)
		}
		columns.Wrap(&b, "  ! ", "      ", text)
	}
	return b.String()
}

func (d Difference) summary() string {
	if d.Empty() {
		return "nothing changes"
	}
	count := func(fate Fate, one, many string) string {
		n := 0
		for _, s := range d.Sessions {
			if s.Fate == fate {
				n++
			}
		}
		if n == 0 {
			return ""
		}
		return columns.Count(n, one, many)
	}
	prefixes := map[Fate]map[string]bool{Added: {}, Removed: {}, Changed: {}}
	for _, p := range d.Prefixes {
		prefixes[p.Fate][p.Prefix.String()] = true
	}
	countPrefixes := func(fate Fate, one, many string) string {
		if len(prefixes[fate]) == 0 {
			return ""
		}
		return columns.Count(len(prefixes[fate]), "prefix "+one, "prefixes "+many)
	}
	parts := []string{
		count(Reset, "session would reset", "sessions would reset"), count(Removed, "session ends", "sessions end"),
		count(Added, "session begins", "sessions begin"), count(Changed, "session changes and stays", "sessions change and stay"),
		countPrefixes(Removed, "goes", "go"), countPrefixes(Added, "comes", "come"), countPrefixes(Changed, "changes", "change"),
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	if len(parts) == 0 {
		return "no session and no prefix changes"
	}
	return strings.Join(parts, ", ")
}

// mark is what a line about it begins with.
func (f Fate) mark() string {
	switch f {
	case Added:
		return "+"
	case Removed:
		return "-"
	case Reset:
		return "!"
	}
	return "~"
}

// Text says what becomes of the session, and why.
func (s SessionDifference) Text() string {
	subject := fmt.Sprintf("session %s (%s) ", s.Peer, s.Where)
	switch s.Fate {
	case Added:
		return subject + "begins"
	case Removed:
		return subject + "ends"
	}
	var resets, later, inPlace []string
	for _, c := range s.Changes {
		switch {
		case c.When.Resets():
			resets = append(resets, c.Text()+" "+c.Why)
		case c.When == NextSession:
			later = append(later, c.Text()+" "+c.Why)
		default:
			inPlace = append(inPlace, c.Text())
		}
	}
	if len(resets) > 0 {
		text := subject + "would reset: " + strings.Join(resets, ", ")
		if len(later) > 0 {
			text += "; from then on also " + strings.Join(later, ", ")
		}
		return text
	}
	var parts []string
	if len(later) > 0 {
		parts = append(parts, strings.Join(later, ", ")+": from the next session on")
	}
	if len(inPlace) > 0 {
		parts = append(parts, strings.Join(inPlace, ", ")+" changed in place")
	}
	return subject + "stays: " + strings.Join(parts, "; ")
}

// likePrefixes are prefixes of which the same is said.
type likePrefixes struct {
	mark, what string
	places     []Place
}

// subject names the prefixes, the first of many.
func (g likePrefixes) subject() string {
	names := make([]string, 0, len(g.places))
	for _, at := range g.places {
		names = append(names, fmt.Sprintf("%s (%s)", at.Prefix, at.Subnet))
	}
	return columns.First(mostRows, names)
}

// likePrefixes puts together what is the same for several peers of a prefix, and then
// for several prefixes.
func (d Difference) likePrefixes() []likePrefixes {
	type said struct{ mark, what string }
	peers := map[Place]map[said][]string{}
	var order []Place
	says := map[Place][]said{}
	for _, p := range d.Prefixes {
		at := Place{p.Subnet, p.Prefix}
		if peers[at] == nil {
			peers[at], order = map[said][]string{}, append(order, at)
		}
		s := said{p.Fate.mark(), p.what()}
		if peers[at][s] == nil {
			says[at] = append(says[at], s)
		}
		peers[at][s] = append(peers[at][s], p.Peer)
	}
	var out []likePrefixes
	for _, at := range order {
		for _, s := range says[at] {
			what := strings.ReplaceAll(s.what, "\x00", columns.First(mostNames, peers[at][s]))
			i := slices.IndexFunc(out, func(g likePrefixes) bool { return g.mark == s.mark && g.what == what })
			if i < 0 {
				i, out = len(out), append(out, likePrefixes{mark: s.mark, what: what})
			}
			out[i].places = append(out[i].places, at)
		}
	}
	return out
}

// what says what becomes of the prefix; \x00 stands for the peers.
func (p PrefixDifference) what() string {
	switch {
	case p.Fate == Added:
		return " to \x00"
	case p.Fate == Removed && p.Reason != "":
		return fmt.Sprintf(" no longer to \x00: %s: %s", p.Reason, p.Detail)
	case p.Fate == Removed:
		return " no longer to \x00"
	}
	var parts []string
	for _, c := range p.Changes {
		parts = append(parts, fmt.Sprintf("%s %s -> %s", c.Attribute, c.From, c.To))
	}
	return " to \x00: " + strings.Join(parts, ", ")
}
