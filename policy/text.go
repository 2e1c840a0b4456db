package policy

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/inet"
	"github.com/fairway-bgp/fairway/routes"
)

// WriteText prints the plan like a router's table, for people.
func (p Plan) WriteText(w io.Writer) error {
	return p.WriteOutcome(w, func(*Advert) []string { return nil })
}

// WriteOutcome is WriteText with what has become of the plan: unsent gives the peers
// that a prefix is for and that have not been sent it.
func (p Plan) WriteOutcome(w io.Writer, unsent func(*Advert) []string) error {
	var b bytes.Buffer
	columns.Wrap(&b, "", "    ", fmt.Sprintf("Node %s: %s announced, %d withheld, %s, %s", p.Node, p.announcedText(unsent),
		len(p.Withheld), columns.Count(len(p.Warnings), "warning", "warnings"), columns.Count(len(p.Sessions), "session", "sessions")))
	p.writeSessions(&b)
	p.writeAdverts(&b, unsent)
	p.writeWithheld(&b)
	p.writeWarnings(&b)
	_, err := w.Write(b.Bytes())
	return err
}

func (p Plan) writeSessions(b *bytes.Buffer) {
	t := columns.Headed("  Peer", "Neighbour", "AS", "Local AS", "Notes")
	for _, s := range p.Sessions {
		t.Row("  "+s.Peer, neighbour(s), peerAS(s), fmt.Sprint(s.LocalASN), sessionNotes(s))
		if !s.Address.IsValid() && s.Missing != "" {
			remark(t, s.Missing)
		}
	}
	writeTable(b, t)
}

func neighbour(s Session) string {
	if s.Port == inet.BGPPort {
		return s.Where()
	}
	return fmt.Sprintf("%s port %d", s.Where(), s.Port)
}

// peerAS is the neighbour's AS, or what is known of it.
func peerAS(s Session) string {
	if s.PeerASN == 0 {
		return string(s.DynamicASN)
	}
	return fmt.Sprint(s.PeerASN)
}

func sessionNotes(s Session) string {
	notes := []string{"eBGP"}
	if s.Internal() {
		notes[0] = "iBGP"
	}
	for _, n := range []struct {
		on   bool
		text string
	}{{s.Password != "", "MD5"}, {s.TTLSecurity, "TTL security"}, {s.EBGPMultihop, "multihop"}, {s.Passive, "passive"}, {s.GracefulRestartTime > 0, "GR"}, {s.BFD.On(), "BFD"}} {
		if n.on {
			notes = append(notes, n.text)
		}
	}
	return strings.Join(notes, ", ")
}

// announcedText counts what some peer has been sent, and says so where it is not all.
func (p Plan) announcedText(unsent func(*Advert) []string) string {
	sent := 0
	for _, a := range p.Adverts {
		if len(a.Peers) == 0 || len(unsent(a)) < len(a.Peers) {
			sent++
		}
	}
	if sent < len(p.Adverts) {
		return fmt.Sprintf("%d of %s", sent, columns.Count(len(p.Adverts), "prefix", "prefixes"))
	}
	return columns.Count(sent, "prefix", "prefixes")
}

func (p Plan) writeAdverts(b *bytes.Buffer, unsent func(*Advert) []string) {
	t := columns.Headed("  Network", "Next hop", "Role", "Subnet", "To")
	for _, a := range p.Adverts {
		hop := "self"
		if a.NextHop.IsValid() {
			hop = a.NextHop.String()
		}
		mark, not := "> ", unsent(a)
		if len(not) > 0 {
			mark = "! "
		}
		t.Row(mark+a.Prefix.String(), hop, string(a.Role), a.Subnet, strings.Join(a.Peers, ","))
		if len(not) > 0 {
			remark(t, "not sent to "+strings.Join(not, ", "))
		}
		if attrs := a.attributeText(); attrs != "" {
			remark(t, attrs)
		}
	}
	writeTable(b, t)
}

// attributeText gives the attributes that the Subnet's annotations ask for, or
// "".
func (a Advert) attributeText() string {
	var parts []string
	for _, c := range a.Communities {
		parts = append(parts, c.String())
	}
	for _, c := range a.LargeCommunities {
		parts = append(parts, c.String())
	}
	if len(parts) > 0 {
		parts = []string{"communities " + strings.Join(parts, " ")}
	}
	if a.MED != nil {
		parts = append(parts, fmt.Sprintf("med %d", *a.MED))
	}
	if a.LocalPref != nil {
		parts = append(parts, fmt.Sprintf("local-pref %d", *a.LocalPref))
	}
	if a.ASPathPrepend > 0 {
		parts = append(parts, fmt.Sprintf("prepend %d", a.ASPathPrepend))
	}
	if a.Draining {
		parts = append(parts, "draining: with GRACEFUL_SHUTDOWN and a path that loses")
	}
	return strings.Join(parts, ", ")
}

func (p Plan) writeWithheld(b *bytes.Buffer) {
	t := columns.Headed("  Withheld", "Subnet", "Reason")
	for _, h := range p.Withheld {
		t.Row("- "+cmp.Or(h.Prefix, "(none)"), h.Subnet, string(h.Reason))
		remark(t, h.Detail)
		if h.Undecided {
			remark(t, undecidedText)
		}
	}
	writeTable(b, t)
}

func (p Plan) writeWarnings(b *bytes.Buffer) {
	if len(p.Warnings) == 0 {
		return
	}
	fmt.Fprintf(b, "\n  Warnings\n")
	for _, w := range p.Warnings {
		about := string(w.Reason)
		if w.Subnet != "" {
			about = w.Subnet + ": " + about
		}
		columns.Wrap(b, "! ", "    ", about+": "+w.Detail)
	}
}

// undecidedText is for what depends on the past, where that is not known.
const undecidedText = "a node that announces it already goes on; what this one announces is not known here"

// writeTable prints a table after an empty line, and nothing where there is only
// the heading.
func writeTable(b *bytes.Buffer, t *columns.Table) {
	if t.Empty() {
		return
	}
	b.WriteByte('\n')
	t.Write(b)
}

// remark is prose about the row above.
func remark(t *columns.Table, text string) { t.Prose("    ", "    ", text) }

// WriteWhy prints explanations of one Subnet, node by node; nodes of which the same is
// said are told together. The questions that were passed are listed with all.
func WriteWhy(w io.Writer, explanations []Explanation, all bool) error {
	var b bytes.Buffer
	for _, group := range groupAlike(explanations, all) {
		writeExplanation(&b, group, all)
	}
	if !all && len(explanations) > 0 {
		b.WriteString("\n--all lists the questions that were passed, too\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// alike are explanations that differ in the node's name alone.
type alike struct {
	nodes []string
	Explanation
}

func groupAlike(explanations []Explanation, all bool) []alike {
	var groups []alike
	for _, e := range explanations {
		i := slices.IndexFunc(groups, func(g alike) bool {
			return g.Subnet == e.Subnet && g.Prefix == e.Prefix && g.Reason == e.Reason && chainText(g.Explanation, all) == chainText(e, all)
		})
		if i < 0 {
			groups = append(groups, alike{nil, e})
			i = len(groups) - 1
		}
		groups[i].nodes = append(groups[i].nodes, e.Node)
	}
	return groups
}

func writeExplanation(b *bytes.Buffer, g alike, all bool) {
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	verdict := "announced"
	if g.Reason != "" {
		verdict = "withheld, " + string(g.Reason)
	}
	columns.Wrap(b, "", "    ", fmt.Sprintf("Subnet %s, %s, on %s: %s", g.Subnet, cmp.Or(g.Prefix, "no CIDR"), strings.Join(g.nodes, ", "), verdict))
	b.WriteString(chainText(g.Explanation, all))
}

// chainText gives the explanation without the node's name.
func chainText(e Explanation, all bool) string {
	var b bytes.Buffer
	for _, s := range e.Steps {
		mark := "pass"
		if !s.Passed {
			mark = "STOP"
		} else if !all {
			continue
		}
		columns.Wrap(&b, fmt.Sprintf("  %s  %-22s", mark, s.Reason), strings.Repeat(" ", 30), s.Answer)
	}
	for _, a := range e.Adverts {
		fmt.Fprintf(&b, "  > %s, role %s\n", a.Prefix, a.Role)
		for _, x := range a.Exports {
			columns.Wrap(&b, "    to "+columns.Plain(x.Peer)+": ", "      ", exportText(a.Advert, x))
		}
	}
	for _, w := range e.Warnings {
		columns.Wrap(&b, "  ! ", "    ", string(w.Reason)+": "+w.Detail)
	}
	if e.Undecided {
		columns.Wrap(&b, "  ! ", "    ", undecidedText)
	}
	if e.Mend != "" {
		columns.Wrap(&b, "  To change it: ", "    ", e.Mend)
	}
	return b.String()
}

func exportText(a Advert, x Export) string {
	hop := "this session's own address"
	switch {
	case a.NextHop.IsValid():
		hop = a.NextHop.String()
	case x.Attributes.NextHop.IsValid():
		hop = x.Attributes.NextHop.String()
	}
	out := Advert{Communities: x.Attributes.Communities, LargeCommunities: x.Attributes.LargeCommunities,
		MED: x.Attributes.MED, LocalPref: x.Attributes.LocalPref, ASPathPrepend: x.Attributes.ASPathPrepend}
	text := "next hop " + hop
	if attrs := out.attributeText(); attrs != "" {
		text += ", " + attrs
	}
	return text
}

// ReasonNames gives every reason of the chain, in order.
func ReasonNames() []routes.Reason {
	var out []routes.Reason
	for _, c := range Chain() {
		out = append(out, c.Reason)
	}
	return out
}
