package replay

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// Want is what has to become of a Trace, and what the nodes' own data planes did
// meanwhile, which no API shows.
type Want struct {
	Name string
	// Announced are the only times at which the nodes announce.
	Announced []Span
	// Maybe are times at which they may or may not.
	Maybe []Span
	// Carried are times at which no moment may be without an announcer; their Node
	// is "".
	Carried []Span
	// Down are times at which a node's datapath to a prefix is down, Translated
	// those at which the prefix is in its set of networks to masquerade. Where the
	// latter has no Span for a prefix, it is not known.
	Down, Translated []Span
}

// Span is a time of one prefix on one node. It may begin and end later by what
// stands beside each.
type Span struct {
	Node     string
	Prefix   netip.Prefix
	From, To Moment
}

// Moment is a time, and how much later than that is still in time.
type Moment struct{ At, Slack time.Duration }

// The words for the beginning and the end of whatever is played.
const (
	start = -time.Hour
	end   = time.Hour
)

// ReadWant reads a want; testdata/README.md says how one is written.
func ReadWant(path string) (Want, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Want{}, err
	}
	w := Want{Name: strings.TrimSuffix(path[strings.LastIndexByte(path, '/')+1:], ".want")}
	for i, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := w.add(words); err != nil {
			return Want{}, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
	}
	return w, nil
}

// add takes the words of a line.
func (w *Want) add(words []string) error {
	to := &w.Announced
	switch words[0] {
	case "maybe":
		to, words = &w.Maybe, words[1:]
	case "down":
		to, words = &w.Down, words[1:]
	case "translated":
		to, words = &w.Translated, words[1:]
	case "carried":
		to, words[0] = &w.Carried, ""
	}
	if len(words) != 4 {
		return fmt.Errorf("%d words where node, prefix, from and to are wanted", len(words))
	}
	s := Span{Node: words[0]}
	var err error
	if s.Prefix, err = netip.ParsePrefix(words[1]); err != nil {
		return err
	}
	if s.From, err = parseMoment(words[2]); err != nil {
		return err
	}
	if s.To, err = parseMoment(words[3]); err != nil {
		return err
	}
	*to = append(*to, s)
	return nil
}

// parseMoment reads "start", "end", "1.5", or "1.5+0.3".
func parseMoment(s string) (Moment, error) {
	switch s {
	case "start":
		return Moment{At: start}, nil
	case "end":
		return Moment{At: end}, nil
	}
	at, slack, more := strings.Cut(s, "+")
	var m Moment
	for _, p := range []struct {
		text string
		into *time.Duration
	}{{at, &m.At}, {slack, &m.Slack}} {
		if p.text == "" && !more {
			continue
		}
		f, err := strconv.ParseFloat(p.text, 64)
		if err != nil {
			return Moment{}, fmt.Errorf("time %q: %w", s, err)
		}
		*p.into = seconds(f)
	}
	return m, nil
}

// holds reports whether a time is in the span, slack left aside.
func (s Span) holds(at time.Duration) bool { return s.From.At <= at && at < s.To.At }
