package bfd

import (
	"encoding/json"
	"fmt"
	"time"
)

// On reports whether there is to be a session: without a multiplier there is none.
func (s Settings) On() bool { return s.Multiplier > 0 }

// settingsJSON is how Settings are written: times as "300ms", not nanoseconds.
type settingsJSON struct {
	Transmit   string `json:"transmitInterval"`
	Receive    string `json:"receiveInterval"`
	Multiplier uint8  `json:"detectMultiplier"`
}

// MarshalJSON writes times as text.
func (s Settings) MarshalJSON() ([]byte, error) {
	return json.Marshal(settingsJSON{s.Transmit.String(), s.Receive.String(), s.Multiplier})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Settings) UnmarshalJSON(b []byte) error {
	var j settingsJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	transmit, err := time.ParseDuration(j.Transmit)
	if err != nil {
		return fmt.Errorf("transmitInterval: %w", err)
	}
	receive, err := time.ParseDuration(j.Receive)
	if err != nil {
		return fmt.Errorf("receiveInterval: %w", err)
	}
	*s = Settings{transmit, receive, j.Multiplier}
	return nil
}
