package account

import (
	"fmt"
	"slices"

	"github.com/fairway-bgp/fairway/status"
)

// Event is one thing that a node tells of itself, as an Event about its Node.
type Event struct {
	Warning         bool
	Reason, Message string
}

// News turns pictures of this node into Events: what changed between one picture and
// the next. The zero News has seen none.
type News struct{ before *status.Status }

// Of gives the Events that a picture is worth.
func (n *News) Of(now *status.Status) []Event {
	before := n.before
	n.before = now
	if before == nil {
		return nil
	}
	return slices.Concat(sessionEvents(before, now), drainEvents(before, now), sourceEvents(before, now))
}

func event(reason, format string, args ...any) Event {
	return Event{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func warning(reason, format string, args ...any) Event {
	e := event(reason, format, args...)
	e.Warning = true
	return e
}

// sessionEvents tell which sessions went up or down, or do not come up, each time for
// another reason.
func sessionEvents(before, now *status.Status) []Event {
	var out []Event
	for _, e := range now.Sessions {
		was := sessionOf(before, e.Peer)
		switch {
		case e.Established() && !was.Established():
			out = append(out, event("BGPSessionUp", "session with %s (%s) is established", e.Peer, e.Neighbour()))
		case was.Established() && !e.Established():
			out = append(out, warning("BGPSessionDown", "session with %s (%s) is down: %s", e.Peer, e.Neighbour(), e.Trouble()))
		case !e.Established() && e.LastError != "" && e.LastError != was.LastError:
			out = append(out, warning("BGPSessionFailed", "session with %s (%s) does not come up: %s", e.Peer, e.Neighbour(), e.Trouble()))
		}
		if e.Established() && e.Trouble() != "" && e.Trouble() != was.Trouble() {
			out = append(out, warning("BGPSessionLimited", "session with %s (%s): %s", e.Peer, e.Neighbour(), e.Trouble()))
		}
	}
	return out
}

func sessionOf(s *status.Status, peer string) status.Session {
	if i := slices.IndexFunc(s.Sessions, func(e status.Session) bool { return e.Peer == peer }); i >= 0 {
		return s.Sessions[i]
	}
	return status.Session{}
}

// drainEvents tell how far a drain has come; that what is withdrawn is still being
// withdrawn is none.
func drainEvents(before, now *status.Status) []Event {
	stage := now.DrainStage()
	if stage == before.DrainStage() {
		return nil
	}
	switch stage {
	case status.NotDraining:
		return []Event{event("Undrained", "this node announces again: %d prefixes", len(now.Plan.Adverts))}
	case status.Waiting:
		return []Event{event("Draining", "%s", now.DrainText())}
	case status.LastAnnouncer:
		return []Event{warning("LastAnnouncer", "%s", now.DrainText())}
	case status.NothingAnnounced:
		return []Event{event("Drained", "nothing is announced from this node any more")}
	}
	return nil
}

// sourceEvents tell afterwards that the objects were not followed: meanwhile no Event
// could be written.
func sourceEvents(before, now *status.Status) []Event {
	if before.Source.StaleSince.IsZero() || !now.Source.StaleSince.IsZero() {
		return nil
	}
	stayed := "; what was announced then stayed"
	if !before.Source.Known() {
		stayed = ""
	}
	return []Event{warning("SourceWasStale", "objects were not followed since %s%s", before.Source.StaleSince.Format("15:04:05Z"), stayed)}
}
