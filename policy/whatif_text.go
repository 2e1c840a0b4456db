package policy

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/routes"
)

const (
	// mostRows is how many prefixes that fare alike have a row each; of more the
	// first stands for all.
	mostRows = 3
	// mostNodes is how many nodes a cell names; more are counted.
	mostNodes = 4
	// mostNames bounds a list of names in a sentence.
	mostNames = 12
)

// WriteText prints the impact for people; prefixes that fare alike are told
// together.
func (i Impact) WriteText(w io.Writer) error {
	var b bytes.Buffer
	columns.Wrap(&b, "Without ", "    ", i.Without.text()+": "+i.summary())
	i.writeChanges(&b)
	i.writeOneNode(&b)
	i.writeSessions(&b)
	i.writeFailovers(&b)
	_, err := w.Write(b.Bytes())
	return err
}

func (a Absence) text() string {
	var parts []string
	if len(a.Nodes) > 0 {
		parts = append(parts, plural(len(a.Nodes), "node ", "nodes ")+columns.First(mostNames, a.Nodes))
	}
	if len(a.Peers) > 0 {
		parts = append(parts, plural(len(a.Peers), "BGPPeer ", "BGPPeers ")+columns.First(mostNames, a.Peers))
	}
	return strings.Join(parts, " and ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func (i Impact) summary() string {
	if len(i.Changes)+len(i.SessionsEnded)+len(i.SessionsBegun) == 0 {
		return "nothing changes"
	}
	text := fmt.Sprintf("%s, %s", columns.Count(len(i.SessionsEnded), "session ends", "sessions end"),
		columns.Count(len(i.Changes), "prefix changes", "prefixes change"))
	if n := len(subnetsOf(i.NoAnnouncer)); n > 0 {
		return text + fmt.Sprintf(", %s no announcer left", columns.Count(n, "Subnet has", "Subnets have"))
	}
	return text + ", all stay announced"
}

func subnetsOf(places []Place) []string {
	var names []string
	for _, at := range places {
		names = append(names, at.Subnet)
	}
	return sortedNames(names)
}

// fate is what the table says of a prefix besides its name.
type fate struct {
	mark            string
	role, now, then string
	notes           []string
}

func (f fate) equal(g fate) bool {
	return f.mark == g.mark && f.role == g.role && f.now == g.now && f.then == g.then && slices.Equal(f.notes, g.notes)
}

// alikes are prefixes with one fate.
type alikes struct {
	fate
	places []Place
}

func (i Impact) writeChanges(b *bytes.Buffer) {
	t := columns.Headed("  Network", "Subnet", "Role", "Now", "Then")
	for _, g := range i.groups() {
		shown := g.places
		if len(shown) > mostRows {
			shown = shown[:1]
		}
		for _, at := range shown {
			t.Row(g.mark+" "+at.Prefix.String(), at.Subnet, g.role, g.now, g.then)
		}
		if more := g.places[len(shown):]; len(more) > 0 {
			remark(t, fmt.Sprintf("and %d more: %s", len(more), columns.First(mostNames, morePlaces(more))))
		}
		for _, n := range g.notes {
			remark(t, n)
		}
	}
	writeTable(b, t)
}

// morePlaces names Subnets, or prefixes where there is only one Subnet.
func morePlaces(places []Place) []string {
	if names := subnetsOf(places); len(names) > 1 {
		return names
	}
	var prefixes []string
	for _, at := range places {
		prefixes = append(prefixes, at.Prefix.String())
	}
	return prefixes
}

// groups puts together what fares alike, the worst first.
func (i Impact) groups() []alikes {
	var out []alikes
	for _, c := range i.Changes {
		f := i.fateOf(c)
		at := slices.IndexFunc(out, func(g alikes) bool { return g.equal(f) })
		if at < 0 {
			at, out = len(out), append(out, alikes{fate: f})
		}
		out[at].places = append(out[at].places, c.Place)
	}
	slices.SortStableFunc(out, func(a, b alikes) int { return cmp.Compare(strings.Index("-!>", a.mark), strings.Index("-!>", b.mark)) })
	return out
}

func (i Impact) fateOf(c Change) fate {
	f := fate{mark: ">", now: announcers(c.Before), then: announcers(c.After), notes: i.notes(c)}
	for _, a := range slices.Concat(c.Before, c.After) {
		if f.role == "" || a.carries() && f.role == string(routes.RoleStandby) {
			f.role = string(a.Role)
		}
	}
	switch {
	case slices.ContainsFunc(i.NoAnnouncer, c.partOf):
		f.mark = "-"
	case slices.ContainsFunc(i.OneNode, func(h StillHanging) bool { return h.Place == c.Place && !h.Already }):
		f.mark = "!"
	}
	return f
}

// partOf reports whether the prefix is a CIDR, or lies in it as that of a Pod does.
func (p Place) partOf(cidr Place) bool {
	return p.Subnet == cidr.Subnet && cidr.Prefix.Overlaps(p.Prefix)
}

// announcers names who announces a prefix, or counts them where they are many.
func announcers(list []Announcement) string {
	var carry, wait []string
	for _, a := range list {
		if a.carries() {
			carry = append(carry, a.Node)
		} else {
			wait = append(wait, a.Node)
		}
	}
	switch {
	case len(wait) == 0:
		return nodesText(carry)
	case len(carry) == 0:
		return "standby " + nodesText(wait)
	}
	return nodesText(carry) + " (standby " + nodesText(wait) + ")"
}

func nodesText(names []string) string {
	switch {
	case len(names) == 0:
		return "nobody"
	case len(names) > mostNodes:
		return fmt.Sprintf("%d nodes", len(names))
	}
	return strings.Join(names, ", ")
}

// notes are the sentences below a row.
func (i Impact) notes(c Change) []string {
	if len(c.After) > 0 {
		return i.notesOnKept(c)
	}
	if c.Gateway != nil && c.Gateway.To == "" {
		return []string{c.Gateway.text()}
	}
	return c.whyText()
}

// notesOnKept are about a prefix that somebody still announces.
func (i Impact) notesOnKept(c Change) []string {
	var out []string
	if c.Gateway != nil {
		out = append(out, c.Gateway.text())
	}
	if c.onlyStandbyGone(i.Without.Nodes) {
		out = append(out, "what is gone only stood by: traffic goes on")
	}
	for _, a := range c.Before {
		if a.NextHop.IsValid() {
			out = append(out, fmt.Sprintf("the next hop %s must move to a node that is alive; no plan shows whether it does", a.NextHop))
			break
		}
	}
	if len(c.LeftOut) > 0 {
		out = append(out, columns.First(mostNames, c.LeftOut)+plural(len(c.LeftOut), " gets", " get")+" it from nobody any more")
	}
	if lost := i.deletedPeersOf(c); len(lost) > 0 {
		out = append(out, fmt.Sprintf("no longer to %s, still to %s", columns.First(mostNames, lost), columns.First(mostNames, peersOf(c.After))))
	}
	return out
}

func (m GatewayMove) text() string {
	switch {
	case m.To == "":
		return fmt.Sprintf("Kube-OVN finds no gateway besides %s that is Ready, and replies are lost: give the Subnet another one", m.From)
	case len(m.Others) > 0:
		return fmt.Sprintf("Kube-OVN makes one of %s the active gateway: by selectors it may take any", columns.First(mostNames, append([]string{m.To}, m.Others...)))
	}
	return fmt.Sprintf("Kube-OVN makes %s the active gateway once it sees that %s is gone", m.To, m.From)
}

// onlyStandbyGone reports whether dead machines announced the prefix, and none of
// them carried it.
func (c Change) onlyStandbyGone(dead []string) bool {
	stood := false
	for _, a := range c.Before {
		if slices.Contains(dead, a.Node) {
			if a.carries() {
				return false
			}
			stood = true
		}
	}
	return stood
}

// deletedPeersOf gives the deleted BGPPeers that had the prefix.
func (i Impact) deletedPeersOf(c Change) []string {
	return slices.DeleteFunc(peersOf(c.Before), func(p string) bool { return !slices.Contains(i.Without.Peers, p) })
}

// whyText says why nobody is left: each reason once, in the words of its first
// node.
func (c Change) whyText() []string {
	if len(c.Before) > 0 && c.Before[0].Role == routes.RolePod {
		return []string{"these routes end with their Pods, and come back where those are started again"}
	}
	if len(c.Why) == 0 {
		return []string{"no node is left"}
	}
	var reasons []routes.Reason
	first, nodes := map[routes.Reason]string{}, map[routes.Reason][]string{}
	for _, o := range c.Why {
		if nodes[o.Reason] == nil {
			reasons, first[o.Reason] = append(reasons, o.Reason), o.Detail
		}
		nodes[o.Reason] = append(nodes[o.Reason], o.Nodes...)
	}
	var out []string
	for _, r := range reasons {
		out = append(out, fmt.Sprintf("%s on %s: %s", r, nodesText(nodes[r]), first[r]))
	}
	return out
}

func (i Impact) writeOneNode(b *bytes.Buffer) {
	var list []Hanging
	already := map[string]bool{}
	for _, h := range i.OneNode {
		if h.Already {
			already[h.Subnet] = true
		} else {
			list = append(list, h.Hanging)
		}
	}
	text := ""
	switch {
	case len(list) > 0 && len(already) > 0:
		text = hangingText(list, fmt.Sprintf("would hang on one node besides %d that %s already", len(already), plural(len(already), "does", "do")))
	case len(list) > 0:
		text = hangingText(list, "would hang on one node")
	case len(already) > 0:
		text = columns.Count(len(already), "Subnet hangs", "Subnets hang") + " on one node, as now"
	default:
		return
	}
	b.WriteByte('\n')
	columns.Wrap(b, "", "    ", text)
}

func oncePerSubnet(list []Hanging) []Hanging {
	return slices.CompactFunc(slices.Clone(list), func(a, b Hanging) bool { return a.Subnet == b.Subnet && a.Node == b.Node })
}

// hangingText names Subnets and, once for several in a row, their node:
// "3 Subnets hang on one node: a, b (n1), c (n2)".
func hangingText(list []Hanging, hang string) string {
	list = oncePerSubnet(list)
	var names []string
	for i, h := range list {
		name := h.Subnet
		if last := i == len(list)-1 || i == mostNames-1; last || list[i+1].Node != h.Node {
			name += " (" + h.Node + ")"
		}
		names = append(names, name)
	}
	return fmt.Sprintf("%s %s: %s", columns.Count(len(list), "Subnet", "Subnets"), hang, columns.First(mostNames, names))
}

func (i Impact) writeSessions(b *bytes.Buffer) {
	writeSessionLines(b, "Sessions that end", i.SessionsEnded)
	if i.endsWithCease() {
		columns.Wrap(b, "    ", "      ", "A router whose BGPPeer is deleted drops the routes at once.")
	}
	writeSessionLines(b, "Sessions that begin", i.SessionsBegun)
	if len(i.PeersWithoutSession) > 0 {
		columns.Wrap(b, "  ! ", "    ", columns.First(mostNames, i.PeersWithoutSession)+plural(len(i.PeersWithoutSession), " has", " have")+" no session with any node then")
	}
}

// writeSessionLines puts nodes together whose sessions are with the same peers.
func writeSessionLines(b *bytes.Buffer, title string, sessions []NodeSession) {
	peers := map[string][]string{}
	var nodes []string
	for _, e := range sessions {
		if peers[e.Node] == nil {
			nodes = append(nodes, e.Node)
		}
		peers[e.Node] = append(peers[e.Node], e.Peer)
	}
	var alike toldAlike
	for _, n := range nodes {
		alike.add(n, columns.First(mostNames, peers[n]))
	}
	alike.write(b, title, "    ", "      ")
}

// endsWithCease reports whether some node that is alive ends a session, which it
// does with a NOTIFICATION.
func (i Impact) endsWithCease() bool {
	return slices.ContainsFunc(i.SessionsEnded, func(e NodeSession) bool { return !slices.Contains(i.Without.Nodes, e.Node) })
}

func (i Impact) writeFailovers(b *bytes.Buffer) {
	var alike toldAlike
	for _, c := range i.Changes {
		if c.Failover != nil && c.Failover.UpTo > 0 {
			alike.add(c.Subnet, c.Failover.text())
		}
	}
	alike.write(b, "How long it takes, from the moment a machine dies without a word", "  ", "    ")
}

// toldAlike collects the names that a text is told of.
type toldAlike struct {
	order []string
	names map[string][]string
}

func (a *toldAlike) add(name, text string) {
	if a.names == nil {
		a.names = map[string][]string{}
	}
	if a.names[text] == nil {
		a.order = append(a.order, text)
	}
	if !slices.Contains(a.names[text], name) {
		a.names[text] = append(a.names[text], name)
	}
}

// write prints each text once, behind its names; nothing at all without a text.
func (a *toldAlike) write(b *bytes.Buffer, title, lead, indent string) {
	if len(a.order) == 0 {
		return
	}
	fmt.Fprintf(b, "\n  %s\n", title)
	for _, text := range a.order {
		columns.Wrap(b, lead, indent, columns.First(mostNames, a.names[text])+": "+text)
	}
}
