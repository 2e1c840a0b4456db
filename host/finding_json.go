package host

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Report is what JSON tells of a host: findings, in one object.
type Report struct {
	Findings []Finding `json:"findings"`
}

// NewReport gives the Report of findings; none are an empty list.
func NewReport(findings []Finding) Report {
	return Report{append([]Finding{}, findings...)}
}

// findingJSON is a Finding as JSON has it.
type findingJSON struct {
	Check   string `json:"check"`
	Subject string `json:"subject"`
	State   State  `json:"state"`
	Want    string `json:"want"`
	// Got is the line and its evidence, as people read them.
	Got   string `json:"got"`
	Why   string `json:"why"`
	Fix   string `json:"fix"`
	About About  `json:"about"`
	// Cause is the first line of got.
	Cause    string   `json:"cause"`
	Evidence []string `json:"evidence"`
	// Drops is what --host-gate asks: whether the traffic of what it is about is lost.
	Drops bool `json:"drops"`
}

// MarshalJSON gives all that is told of a finding, with what follows from it.
func (f Finding) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // the caller's encoder may
	err := e.Encode(findingJSON{
		Check: f.Check, Subject: f.Subject, State: f.State, Want: f.Want, Got: f.Text(), Why: f.Why, Fix: f.Fix,
		About: f.About, Cause: f.Got, Evidence: append([]string{}, f.Evidence...), Drops: f.Drops(),
	})
	return b.Bytes(), err
}

// UnmarshalJSON reads what MarshalJSON gives, also of an older daemon, which tells
// no cause.
func (f *Finding) UnmarshalJSON(b []byte) error {
	var in findingJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if lines := strings.Split(in.Got, "\n"); in.Cause == "" {
		in.Cause, in.Evidence = lines[0], lines[1:]
	}
	*f = Finding{
		Check: in.Check, About: in.About, Subject: in.Subject, State: in.State, Want: in.Want,
		Got: in.Cause, Evidence: in.Evidence, Why: in.Why, Fix: in.Fix,
	}
	return nil
}
