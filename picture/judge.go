package picture

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
)

// levelOf judges a node by what is shown of it.
func levelOf(n Node) Level {
	down := slices.ContainsFunc(n.Sessions, func(s Session) bool { return !s.Up })
	has := func(l Level) bool {
		return slices.ContainsFunc(n.Findings, func(f Finding) bool { return f.Level == l })
	}
	switch {
	case n.Silent, n.State == stateNotReady, down, has(Bad):
		return Bad
	case len(n.Problems) > 0, slices.ContainsFunc(n.Sessions, func(s Session) bool { return s.Level != OK }):
		return Warn
	case has(Unknown):
		return Unknown
	}
	return OK
}

// stateNotReady is the word for a node whose wish is not carried out.
const stateNotReady = "not ready"

// sessionLevel judges a session: not up, or up and not all well.
func sessionLevel(up bool, trouble string) Level {
	switch {
	case !up:
		return Bad
	case trouble != "":
		return Warn
	}
	return OK
}

// tally counts what a verdict is made of.
type tally struct {
	sessions, down   int
	limited          int
	planned, unsent  int64
	withheld         int64
	wrong, uncertain int
	// by counts the nodes that are not well, by state.
	by map[string]int
	// problems counts nodes with something else that is not well.
	problems int
}

func count(p *Picture) tally {
	t := tally{by: map[string]int{}}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if n.State == stateNotReady || n.Silent {
			t.by[n.State]++
		}
		if n.Silent {
			continue
		}
		t.addSessions(n.Sessions)
		for _, f := range n.Findings {
			switch f.Level {
			case Bad:
				t.wrong++
			case Unknown:
				t.uncertain++
			}
		}
		l := &p.Lists[n.List]
		t.planned, t.unsent, t.withheld = t.planned+l.Planned, t.unsent+l.Planned-l.Sent, t.withheld+l.Withhold
		if n.Level == Warn {
			t.problems++
		}
	}
	return t
}

func (t *tally) addSessions(sessions []Session) {
	t.sessions += len(sessions)
	for _, s := range sessions {
		switch {
		case !s.Up:
			t.down++
		case s.Level != OK:
			t.limited++
		}
	}
}

// judge gives the verdict on a Picture that is otherwise whole. It is as bad as the
// worst node, or as a source that is not in step.
func judge(p *Picture) Verdict {
	t := count(p)
	v := Verdict{Level: OK}
	for i := range p.Nodes {
		v.Level = worse(v.Level, p.Nodes[i].Level)
	}
	if !p.Source.StaleSince.IsZero() || len(p.Source.Problems) > 0 {
		v.Level = worse(v.Level, Warn)
	}
	bad := t.complaints(p)
	if len(bad) == 0 && v.Level != OK {
		bad = append(bad, p.firstProblem())
	}
	v.Text = strings.Join(append(bad, t.facts(p, len(bad) == 0)...), ", ")
	return v
}

// complaints are what is not well, the worst first.
func (t *tally) complaints(p *Picture) []string {
	var out []string
	for _, state := range slices.Sorted(maps.Keys(t.by)) {
		if !p.Whole {
			out = append(out, state)
		} else {
			out = append(out, fmt.Sprintf("%s %s", columns.Count(t.by[state], "node", "nodes"), state))
		}
	}
	add := func(n int, text string) {
		if n > 0 {
			out = append(out, text)
		}
	}
	add(t.down, fmt.Sprintf("%d of %s down", t.down, columns.Count(t.sessions, "session", "sessions")))
	add(t.limited, columns.Count(t.limited, "session does", "sessions do")+" not carry everything as asked")
	add(int(t.unsent), fmt.Sprintf("%d of %s sent to no router", t.unsent, columns.Count(int(t.planned), "prefix", "prefixes")))
	add(t.wrong, columns.Count(t.wrong, "host check", "host checks")+" wrong")
	add(t.uncertain, columns.Count(t.uncertain, "host check", "host checks")+" could not tell")
	if !p.Source.StaleSince.IsZero() {
		out = append(out, "the source is not in step")
	}
	add(len(p.Source.Problems), columns.Count(len(p.Source.Problems), "problem", "problems")+" with the objects")
	if p.Whole {
		add(t.problems, columns.Count(t.problems, "node", "nodes")+" degraded")
	}
	return out
}

// facts are what is so, well or not. Where nothing is wrong they are the verdict.
func (t *tally) facts(p *Picture, well bool) []string {
	var out []string
	if p.Whole {
		out = append(out, columns.Count(len(p.Nodes), "node", "nodes"))
	}
	switch {
	case well && t.sessions == 0 && !p.Whole:
		out = append(out, "no BGPPeer selects this node")
	case well:
		out = append(out, columns.Count(t.sessions, "session", "sessions")+" up")
	}
	if sent := t.planned - t.unsent; !p.Whole {
		out = append(out, columns.Count(int(sent), "prefix", "prefixes")+" announced")
	}
	if t.withheld > 0 && !p.Whole {
		out = append(out, fmt.Sprintf("%d withheld", t.withheld))
	}
	return out
}

// firstProblem is for what has no count of its own.
func (p *Picture) firstProblem() string {
	for i := range p.Nodes {
		if n := &p.Nodes[i]; len(n.Problems) > 0 {
			return n.Problems[0]
		}
	}
	return "something is not as it should be"
}

// worse gives the worse of two levels.
func worse(a, b Level) Level {
	order := func(l Level) int { return slices.Index([]Level{Bad, Warn, Unknown, OK}, l) }
	if order(b) < order(a) {
		return b
	}
	return a
}
