package objects

import (
	"fmt"
	"strings"
	"time"
)

// Severity says what a Problem costs.
type Severity string

// Severities. Wrong: the object is not used, or its last good version is.
// Refused: the object of a file is used all the same, while an API server would take it
// with another meaning or not at all. Warning: the object is used all the same.
const (
	Wrong   Severity = "wrong"
	Refused Severity = "refused"
	Warning Severity = "warning"
)

// Bad reports whether the object is to be mended before anybody goes by it: a command
// that has read one does not end well.
func (s Severity) Bad() bool { return s == Wrong || s == Refused }

// Problem is one thing that is wrong with the input. It is an error, whose text
// has all fields but Severity and Since.
type Problem struct {
	Severity Severity `json:"severity"`
	// Where is the file and the document in it, empty for an object of an API
	// server.
	Where string `json:"where"`
	// Object is kind and name, such as "BGPPeer tor-a"; empty if there is none.
	Object string `json:"object"`
	// Field is the path inside the object, such as "spec.peerASN".
	Field string `json:"field"`
	// Value is what the field has, "missing", or empty. It never holds a secret.
	Value string `json:"value"`
	// Message says what is wrong and what to do.
	Message string `json:"message"`
	// Since is when a watch first saw this field of this object wrong, zero where
	// nothing watches.
	Since time.Time `json:"since,omitzero"`
}

// Error reads like "peers.yaml document 2: BGPPeer tor-a: spec.port: 0: …".
func (p Problem) Error() string {
	parts := make([]string, 0, 5)
	for _, s := range []string{p.Where, p.Object, p.Field, p.Value, p.Message} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// missing stands for a value that is not there.
const missing = "missing"

// report collects the problems of one object.
type report struct {
	object string
	// inFile is whether the object is in a file, where nothing has looked at its
	// fields yet.
	inFile   bool
	problems []Problem
}

// wrong notes something for which the object cannot be used.
func (r *report) wrong(field string, value any, format string, args ...any) {
	r.add(Wrong, field, value, format, args)
}

// refused notes something with which the object is used, and an API server would not.
func (r *report) refused(field string, value any, format string, args ...any) {
	r.add(Refused, field, value, format, args)
}

// warn notes something with which the object is used all the same.
func (r *report) warn(field string, value any, format string, args ...any) {
	r.add(Warning, field, value, format, args)
}

func (r *report) add(s Severity, field string, value any, format string, args []any) {
	r.problems = append(r.problems, Problem{
		Severity: s, Object: r.object, Field: field,
		Value: shown(value), Message: fmt.Sprintf(format, args...),
	})
}

// usable reports whether nothing was wrong.
func (r *report) usable() bool {
	for _, p := range r.problems {
		if p.Severity == Wrong {
			return false
		}
	}
	return true
}

// shown gives a value as a Problem shows it: on one line, and not too much.
func shown(value any) string {
	if value == nil {
		return ""
	}
	const most = 64
	s := []rune(fmt.Sprint(value))
	if len(s) > most {
		s = append(s[:most-1], '…')
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, string(s))
}

// StampSince dates problems: one with the same field of the same object, or the
// same document, as before keeps its date, whatever it says now.
func StampSince(problems, before []Problem, now time.Time) {
	same := func(p Problem) Problem {
		p.Since, p.Value, p.Message = time.Time{}, "", ""
		if p.Object != "" {
			p.Where = ""
		}
		return p
	}
	since := map[Problem]time.Time{}
	for _, p := range before {
		since[same(p)] = p.Since
	}
	for i, p := range problems {
		problems[i].Since = now
		if t, ok := since[same(p)]; ok {
			problems[i].Since = t
		}
	}
}
