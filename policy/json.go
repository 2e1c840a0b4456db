package policy

import (
	"encoding/json"
	"fmt"
	"time"
)

// plainSession has Session's fields without its methods.
type plainSession Session

// sessionJSON is how a Session is written: times as "1m30s", not nanoseconds.
// Its own fields hide those of the same name further in.
type sessionJSON struct {
	plainSession
	HoldTime            string `json:"holdTime"`
	KeepaliveTime       string `json:"keepaliveTime"`
	ConnectRetryTime    string `json:"connectRetryTime"`
	GracefulRestartTime string `json:"gracefulRestartTime"`
}

// MarshalJSON writes times as text.
func (s Session) MarshalJSON() ([]byte, error) {
	return json.Marshal(sessionJSON{
		plainSession: plainSession(s),
		HoldTime:     s.HoldTime.String(), KeepaliveTime: s.KeepaliveTime.String(),
		ConnectRetryTime: s.ConnectRetryTime.String(), GracefulRestartTime: s.GracefulRestartTime.String(),
	})
}

// UnmarshalJSON reads what MarshalJSON wrote; a password comes back only as
// the word that there is one.
func (s *Session) UnmarshalJSON(b []byte) error {
	var j sessionJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*s = Session(j.plainSession)
	for _, f := range []struct {
		name, text string
		to         *time.Duration
	}{
		{"holdTime", j.HoldTime, &s.HoldTime}, {"keepaliveTime", j.KeepaliveTime, &s.KeepaliveTime},
		{"connectRetryTime", j.ConnectRetryTime, &s.ConnectRetryTime}, {"gracefulRestartTime", j.GracefulRestartTime, &s.GracefulRestartTime},
	} {
		d, err := time.ParseDuration(f.text)
		if err != nil {
			return fmt.Errorf("session %s: %s: %w", s.Peer, f.name, err)
		}
		*f.to = d
	}
	return nil
}
