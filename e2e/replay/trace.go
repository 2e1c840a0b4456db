package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Trace is what an API server told of one change and its consequences.
type Trace struct {
	Name   string
	Events []Event
	// Zero is when the change was asked for, which is At 0 of the Events. The
	// recording has whole seconds only, so that it may be a second early.
	Zero time.Time
}

// Event is one watch event.
type Event struct {
	// At counts from the change.
	At time.Duration
	// Type is ADDED, MODIFIED or DELETED.
	Type, Kind, Name string
	Object           json.RawMessage
}

// listed is how far from the first event on a recording only tells what there was.
const listed = time.Second

// Read reads a recording, of one JSON object a line.
func Read(path string) (Trace, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Trace{}, err
	}
	t := Trace{Name: strings.TrimSuffix(filepath.Base(path), ".jsonl")}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		e, when, err := readEvent(lines.Bytes())
		if err != nil {
			return Trace{}, fmt.Errorf("%s line %d: %w", path, len(t.Events)+1, err)
		}
		if zero := when.Add(-e.At); zero.After(t.Zero) {
			t.Zero = zero
		}
		t.Events = append(t.Events, e)
	}
	slices.SortStableFunc(t.Events, func(a, b Event) int { return int(a.At - b.At) })
	return t, lines.Err()
}

// readEvent gives the event, and the latest time that stands in the object.
func readEvent(line []byte) (Event, time.Time, error) {
	var raw struct {
		T      float64
		Type   string
		Object json.RawMessage
	}
	var head struct {
		Kind     string
		Metadata struct {
			Name              string
			CreationTimestamp time.Time
		}
		Status struct {
			Conditions []struct{ LastUpdateTime time.Time }
		}
	}
	if err := json.Unmarshal(line, &raw); err != nil {
		return Event{}, time.Time{}, err
	}
	if err := json.Unmarshal(raw.Object, &head); err != nil {
		return Event{}, time.Time{}, err
	}
	when := head.Metadata.CreationTimestamp
	for _, c := range head.Status.Conditions {
		if c.LastUpdateTime.After(when) {
			when = c.LastUpdateTime
		}
	}
	return Event{seconds(raw.T), raw.Type, head.Kind, head.Metadata.Name, raw.Object}, when, nil
}

// seconds is rounded to the millisecond that the recordings have.
func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond)
}

// Before gives the events that tell what there was before the change, and the
// others.
func (t Trace) Before() (before, after []Event) {
	end := min(0, t.Events[0].At+listed)
	for _, e := range t.Events {
		if e.At < end {
			before = append(before, e)
		} else {
			after = append(after, e)
		}
	}
	return before, after
}

// Nodes gives the names of all Nodes, sorted.
func (t Trace) Nodes() []string {
	var out []string
	for _, e := range t.Events {
		if e.Kind == "Node" && !slices.Contains(out, e.Name) {
			out = append(out, e.Name)
		}
	}
	slices.Sort(out)
	return out
}
