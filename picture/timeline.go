package picture

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/routes"
)

// Event is one thing that happened.
type Event struct {
	At    time.Time `json:"at"`
	Level Level     `json:"level"`
	// Node is "" for several.
	Node string `json:"node,omitempty"`
	// Kind is session, prefix, host, drain, node or source.
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// mostEvents bounds a Timeline.
const mostEvents = 200

// Timeline is what happened, the newest first.
type Timeline []Event

// With gives the Timeline with newer events before its own, without the oldest.
func (t Timeline) With(newer []Event) Timeline {
	if len(newer) == 0 {
		return t
	}
	out := slices.Concat(newer, t)
	return out[:min(len(out), mostEvents)]
}

// mostOfAKind is how many events of one kind are told one by one.
const mostOfAKind = 5

// change is one thing that is other than it was.
type change struct {
	at    time.Time
	level Level
	node  string
	kind  string
	// what it is about, what became of it, and why, "" for no reason.
	what, became, why string
}

func (c change) text() string {
	if c.why == "" {
		return c.what + " " + c.became
	}
	return c.what + " " + c.became + ": " + c.why
}

// Compare tells what happened from one Picture to a newer one of the same node or
// cluster. What happened alike to many is one event.
func Compare(before, after *Picture) []Event {
	c := comparison{before, after, nil}
	was := byName(before.Nodes)
	for i := range after.Nodes {
		n := &after.Nodes[i]
		old, known := was[n.Name]
		delete(was, n.Name)
		if !known {
			c.add(n.Level, n.Name, "node", "node "+n.Name, "is there", n.State)
			continue
		}
		c.node(old, n)
	}
	for i := range before.Nodes {
		if n := &before.Nodes[i]; was[n.Name] != nil {
			c.add(Warn, n.Name, "node", "node "+n.Name, "is gone", "")
		}
	}
	c.source()
	return summed(c.changes)
}

// byName finds nodes.
func byName(nodes []Node) map[string]*Node {
	out := make(map[string]*Node, len(nodes))
	for i := range nodes {
		out[nodes[i].Name] = &nodes[i]
	}
	return out
}

// comparison gathers changes.
type comparison struct {
	before, after *Picture
	changes       []change
}

func (c *comparison) add(level Level, node, kind, what, became, why string) {
	c.addAt(c.after.At, level, node, kind, what, became, why)
}

func (c *comparison) addAt(at time.Time, level Level, node, kind, what, became, why string) {
	c.changes = append(c.changes, change{at, level, node, kind, what, became, why})
}

func (c *comparison) node(old, now *Node) {
	if old.State != now.State && (old.Silent || now.Silent || now.State == stateNotReady || old.State == stateNotReady) {
		c.add(now.Level, now.Name, "node", "node "+now.Name, "is "+now.State, "")
	}
	if now.Silent {
		return // what it said last is no news
	}
	if old.Drain != now.Drain && (old.Drain == "" || now.Drain == "") {
		if now.Drain == "" {
			c.add(OK, now.Name, "drain", "node "+now.Name, "drains no more", "")
		} else {
			c.add(Warn, now.Name, "drain", "node "+now.Name, "drains", now.Drain)
		}
	}
	c.sessions(old, now)
	c.prefixes(now.Name, &c.before.Lists[old.List], &c.after.Lists[now.List])
	c.findings(old, now)
}

func (c *comparison) sessions(old, now *Node) {
	was := map[string]Session{}
	for _, s := range old.Sessions {
		was[s.Peer] = s
	}
	for _, s := range now.Sessions {
		before, known := was[s.Peer]
		delete(was, s.Peer)
		c.session(now.Name, before, s, known)
	}
	for _, s := range old.Sessions {
		if _, gone := was[s.Peer]; gone {
			c.add(Warn, now.Name, "session", "session "+s.Peer, "is no more", "")
		}
	}
}

// session tells of one session. Its own time counts, as far as it is known.
func (c *comparison) session(node string, before, s Session, known bool) {
	what := "session " + s.Peer
	switch {
	case s.Up && !before.Up:
		c.addAt(c.at(s.Since), OK, node, "session", what, "is up", "")
	case before.Up && !s.Up:
		c.addAt(c.at(s.TroubleAt), Bad, node, "session", what, "is down", s.Trouble)
	case !known:
		c.add(s.Level, node, "session", what, "is wanted", s.Trouble)
	case s.Up && s.Flaps > before.Flaps, s.Up && s.Since.After(before.Since):
		c.addAt(c.at(s.Since), Warn, node, "session", what, "was down and is up again", "")
	case s.Trouble != before.Trouble && s.Trouble != "":
		c.add(s.Level, node, "session", what, "has trouble", s.Trouble)
	case s.Trouble != before.Trouble:
		c.add(OK, node, "session", what, "has no trouble any more", "")
	}
}

// at is a time of a session's own, unless it is not of this change.
func (c *comparison) at(own time.Time) time.Time {
	if own.Before(c.before.At.Add(-time.Minute)) || own.After(c.after.At) {
		return c.after.At
	}
	return own
}

// prefix is what a node does about one prefix of a Subnet.
type prefix struct{ prefix, subnet string }

// fate is what became of a prefix.
type fate struct {
	level       Level
	became, why string
}

func fates(announced []Announced, withheld []Withheld) map[prefix]fate {
	out := make(map[prefix]fate, len(announced)+len(withheld))
	for _, a := range announced {
		f := fate{OK, "announced", ""}
		switch {
		case !a.Sent:
			f = fate{Bad, "sent to no router", ""}
		case len(a.NotSentTo) > 0:
			f = fate{Warn, "not sent to " + columns.First(mostOfAKind, a.NotSentTo), ""}
		}
		out[prefix{a.Prefix, a.Subnet}] = f
	}
	for _, w := range withheld {
		out[prefix{w.Prefix, w.Subnet}] = fate{Warn, "withheld, " + w.Reason, w.Detail}
	}
	return out
}

// prefixes compares lists. Those of a Speaker may be cut short: what is not in one of
// them is not known to have come or gone.
func (c *comparison) prefixes(node string, old, now *List) {
	announcedBefore, announcedAfter := withoutEnds(old.Announced, now.Announced, Announced.same)
	withheldBefore, withheldAfter := withoutEnds(old.Withheld, now.Withheld, func(a, b Withheld) bool { return a == b })
	before, after := fates(announcedBefore, withheldBefore), fates(announcedAfter, withheldAfter)
	whole := old.whole() && now.whole()
	c.changes = slices.Grow(c.changes, len(after))
	for _, p := range sortedPrefixes(after) {
		f := after[p]
		was, known := before[p]
		if was.became == f.became || !known && !whole {
			continue
		}
		c.add(f.level, node, "prefix", p.prefix+" of "+p.subnet, f.became, f.why)
	}
	for _, p := range sortedPrefixes(before) {
		if _, there := after[p]; !there && whole {
			c.add(Warn, node, "prefix", p.prefix+" of "+p.subnet, "no longer selected", "")
		}
	}
}

// same reports whether two entries have the same fate.
func (a Announced) same(b Announced) bool {
	return a.Prefix == b.Prefix && a.Subnet == b.Subnet && a.Sent == b.Sent && slices.Equal(a.NotSentTo, b.NotSentTo)
}

// withoutEnds leaves out with what two lists begin and end alike: of long ones little has
// changed.
func withoutEnds[T any](a, b []T, same func(a, b T) bool) (x, y []T) {
	if routes.SameList(a, b) {
		return nil, nil
	}
	for len(a) > 0 && len(b) > 0 && same(a[0], b[0]) {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && same(a[len(a)-1], b[len(b)-1]) {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}

// whole is whether a list names all that it counts.
func (l *List) whole() bool {
	return l.Planned == int64(len(l.Announced)) && l.Withhold == int64(len(l.Withheld))
}

func sortedPrefixes(m map[prefix]fate) []prefix {
	out := make([]prefix, 0, len(m))
	for p := range m {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b prefix) int {
		return cmp.Or(cmp.Compare(a.subnet, b.subnet), cmp.Compare(a.prefix, b.prefix))
	})
	return out
}

func (c *comparison) findings(old, now *Node) {
	key := func(f Finding) string { return f.Check + " " + f.Subject + " " + string(f.Level) }
	was, is := map[string]bool{}, map[string]bool{}
	for _, f := range old.Findings {
		was[key(f)] = true
	}
	for _, f := range now.Findings {
		is[key(f)] = true
		if !was[key(f)] {
			c.add(f.Level, now.Name, "host", f.Check+" "+f.Subject, findingWord(f.Level), f.Got)
		}
	}
	for _, f := range old.Findings {
		if !is[key(f)] {
			c.add(OK, now.Name, "host", f.Check+" "+f.Subject, "no longer "+findingWord(f.Level), "")
		}
	}
}

func findingWord(l Level) string {
	if l == Bad {
		return "wrong"
	}
	return "unknown"
}

func (c *comparison) source() {
	old, now := c.before.Source, c.after.Source
	switch {
	case old.StaleSince.IsZero() && !now.StaleSince.IsZero():
		c.add(Warn, "", "source", "the source", "is not in step", "what was known stays in force")
	case !old.StaleSince.IsZero() && now.StaleSince.IsZero():
		c.add(OK, "", "source", "the source", "is in step again", "")
	}
	for _, p := range now.Problems {
		if !slices.Contains(old.Problems, p) {
			c.add(Warn, "", "source", p, "", "")
		}
	}
	for _, p := range old.Problems {
		if !slices.Contains(now.Problems, p) {
			c.add(OK, "", "source", "no longer:", p, "")
		}
	}
}

// summed makes events of changes. Of one kind, to the same end, the first few names stand
// for many.
func summed(changes []change) []Event {
	type alike struct{ kind, became string }
	groups := map[alike][]*change{}
	var order []alike
	for i := range changes {
		c := &changes[i]
		k := alike{c.kind, c.became}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], c)
	}
	var out []Event
	for _, k := range order {
		out = append(out, told(groups[k])...)
	}
	slices.SortStableFunc(out, func(a, b Event) int { return b.At.Compare(a.At) })
	return out
}

func told(changes []*change) []Event {
	if len(changes) > mostOfAKind {
		return []Event{together(changes)}
	}
	out := make([]Event, 0, len(changes))
	for _, c := range changes {
		out = append(out, Event{c.at, c.level, c.node, c.kind, c.text()})
	}
	return out
}

// together is many changes as one event: how many, the first of them, and why where that
// is the same for all.
func together(changes []*change) Event {
	first := *changes[0]
	whats := make([]string, 0, len(changes))
	for _, c := range changes {
		what := c.what
		if c.node != first.node {
			first.node = ""
		}
		if c.why != first.why {
			first.why = ""
		}
		if c.at.After(first.at) {
			first.at = c.at
		}
		whats = append(whats, what)
	}
	if first.node == "" {
		for i, c := range changes {
			if c.kind != "node" && c.node != "" {
				whats[i] = c.node + " " + whats[i]
			}
		}
	}
	first.what = fmt.Sprintf("%d times: %s", len(changes), columns.First(mostOfAKind, whats))
	return Event{first.at, first.level, first.node, first.kind, first.text()}
}
