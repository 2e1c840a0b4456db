package replay

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// stretch is a time from one moment to another.
type stretch struct{ from, to time.Duration }

// Check compares what the nodes announce with the want, and gives a line for each
// difference. late is how much later than it says things may happen, excused are
// times at which there may be no announcer.
func Check(w Want, changes []Change, late time.Duration, excused ...stretch) []string {
	on := announcedBy(changes)
	var out []string
	for at, there := range on {
		for _, s := range there {
			if left := subtract(s, w.allowed(at, late)); len(left) > 0 {
				out = append(out, fmt.Sprintf("%s announces %s %s, where it must not", at.node, at.prefix, shown(left)))
			}
		}
	}
	for _, s := range w.Announced {
		must := stretch{s.From.At + s.From.Slack + late, s.To.At}
		if s.From.At == start {
			must.from = start
		}
		if left := subtract(must, on[place{s.Node, s.Prefix}]); len(left) > 0 {
			out = append(out, fmt.Sprintf("%s does not announce %s %s, where it must", s.Node, s.Prefix, shown(left)))
		}
	}
	for _, s := range w.Carried {
		by := slices.Clone(excused)
		for at, there := range on {
			if at.prefix == s.Prefix {
				by = append(by, there...)
			}
		}
		if left := subtract(stretch{s.From.At, s.To.At}, by); len(left) > 0 {
			out = append(out, fmt.Sprintf("nobody announces %s %s", s.Prefix, shown(left)))
		}
	}
	slices.Sort(out)
	return out
}

// place is a prefix on a node.
type place struct {
	node   string
	prefix netip.Prefix
}

// allowed gives the times at which a node may announce a prefix.
func (w Want) allowed(at place, late time.Duration) []stretch {
	var out []stretch
	for _, s := range slices.Concat(w.Announced, w.Maybe) {
		if s.Node == at.node && s.Prefix == at.prefix {
			out = append(out, stretch{s.From.At, s.To.At + s.To.Slack + late})
		}
	}
	return out
}

// announcedBy gives when each node announces each prefix.
func announcedBy(changes []Change) map[place][]stretch {
	out := map[place][]stretch{}
	since := map[place]time.Duration{}
	for _, c := range changes {
		at := place{c.Node, c.Prefix}
		from, there := since[at]
		switch {
		case c.Role == "":
			out[at] = append(out[at], stretch{from, c.At})
			delete(since, at)
		case !there:
			since[at] = c.At
		}
	}
	for at, from := range since {
		out[at] = append(out[at], stretch{from, end})
	}
	return out
}

// subtract gives what is left of a stretch without others.
func subtract(s stretch, others []stretch) []stretch {
	others = slices.Clone(others)
	slices.SortFunc(others, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
	var left []stretch
	for _, o := range others {
		if o.from > s.from {
			left = append(left, stretch{s.from, min(o.from, s.to)})
		}
		s.from = max(s.from, o.to)
		if s.from >= s.to {
			break
		}
	}
	left = append(left, s)
	return slices.DeleteFunc(left, func(l stretch) bool { return l.from >= l.to })
}

func shown(all []stretch) string {
	text := ""
	for i, s := range all {
		if i > 0 {
			text += " and "
		}
		text += fmt.Sprintf("from %s to %s", word(s.from), word(s.to))
	}
	return text
}

func word(at time.Duration) string {
	switch at {
	case start:
		return "start"
	case end:
		return "end"
	}
	return fmt.Sprintf("%.3f", at.Seconds())
}
