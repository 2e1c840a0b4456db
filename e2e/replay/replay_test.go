package replay

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// story is a trace and one of its wants.
type story struct {
	Trace
	Want
}

func stories(t *testing.T) []story {
	t.Helper()
	var out []story
	traces, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(traces) == 0 {
		t.Fatalf("no traces: %v", err)
	}
	for _, path := range traces {
		trace, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		wants, err := filepath.Glob(strings.TrimSuffix(path, ".jsonl") + "*.want")
		if err != nil {
			t.Fatal(err)
		}
		had := 0
		for _, w := range wants {
			want, err := ReadWant(w)
			if err != nil {
				t.Fatal(err)
			}
			if name, _, _ := strings.Cut(want.Name, "."); name == trace.Name {
				out = append(out, story{trace, want})
				had++
			}
		}
		if had == 0 {
			t.Errorf("%s has no want", trace.Name)
		}
	}
	return out
}

// play gives what all nodes announce.
func (s story) play(t *testing.T, ways map[string]Way) []Change {
	t.Helper()
	var out []Change
	for _, node := range s.Nodes() {
		out = append(out, s.playOne(t, node, ways[node])...)
	}
	return out
}

func (s story) playOne(t *testing.T, node string, way Way) []Change {
	t.Helper()
	changes, err := Play(s.Trace, s.Want, node, way)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// check fails with the whole timeline.
func (s story) check(t *testing.T, changes []Change, late time.Duration) {
	t.Helper()
	if wrong := Check(s.Want, changes, late); len(wrong) > 0 {
		t.Errorf("%s: %s\n%s", s.Want.Name, strings.Join(wrong, "\n"), Timeline(changes))
	}
}

func TestEveryRecordingEndsAsItMust(t *testing.T) {
	for _, s := range stories(t) {
		t.Run(s.Want.Name, func(t *testing.T) { s.check(t, s.play(t, nil), 0) })
	}
}

// TestTheRecordingsNeedNoGate: what the API says is enough, where a node's own data
// plane is not looked at.
func TestTheRecordingsNeedNoGate(t *testing.T) {
	for _, s := range stories(t) {
		if strings.HasSuffix(s.Want.Name, ".gate") {
			continue
		}
		t.Run(s.Want.Name, func(t *testing.T) {
			s.Want.Down = nil
			s.check(t, s.play(t, nil), 0)
		})
	}
}

// TestANodeThatHearsLaterLeavesNoGap: two daemons never hear of a change at the same
// moment, nor does a router hear of them.
func TestANodeThatHearsLaterLeavesNoGap(t *testing.T) {
	const lag = 400 * time.Millisecond
	for _, s := range stories(t) {
		for _, node := range s.Nodes() {
			t.Run(s.Want.Name+" on "+node, func(t *testing.T) {
				s.check(t, s.play(t, map[string]Way{node: {Lag: lag}}), lag)
			})
		}
	}
}

// TestARestartInTheMiddleChangesNothing kills the daemon of a node just after events,
// and half a second later. The next one finds its state, and hears of what is there at
// once, or all of it later. What takes a second to be believed then takes that second
// anew.
func TestARestartInTheMiddleChangesNothing(t *testing.T) {
	const soon, later, believed = time.Millisecond, 500 * time.Millisecond, time.Second
	for _, r := range []Restart{{}, {Down: 2 * time.Second, Old: 100 * time.Millisecond}} {
		for _, s := range stories(t) {
			t.Run(fmt.Sprintf("%s, down for %s", s.Want.Name, r.Down), func(t *testing.T) {
				for _, node := range s.Nodes() {
					others := s.play(t, nil)
					others = slices.DeleteFunc(others, func(c Change) bool { return c.Node == node })
					for _, at := range s.moments() {
						for _, r.At = range []time.Duration{at + soon, at + later} {
							changes := slices.Concat(others, s.playOne(t, node, Way{Restarts: []Restart{r}}))
							// Nobody knows that the next gateway's daemon is not there.
							excused := stretch{r.At, r.At + r.Down}
							if wrong := Check(s.Want, changes, r.Down+believed, excused); len(wrong) > 0 {
								t.Fatalf("%s restarted at %s: %s\n%s", node, r.At, strings.Join(wrong, "\n"), Timeline(changes))
							}
						}
					}
				}
			})
		}
	}
}

// moments are some of the times at which something happens, spread over all of them.
func (s story) moments() []time.Duration {
	const most = 8
	_, after := s.Before()
	step := 1 + len(after)/most
	var out []time.Duration
	for i := 0; i < len(after); i += step {
		out = append(out, after[i].At)
	}
	return out
}
