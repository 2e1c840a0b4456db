package routes

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Drain is why a node is to be emptied of routes.
type Drain struct {
	// Cause is the condition, taint or annotation, for people; "" where there is
	// none.
	Cause string
	// Asked is whether a person asked for it on this very Node: then it is carried
	// out whoever is left without an announcer. A machine that is shut down loses its
	// sessions by itself.
	Asked bool
}

// On reports whether the node is to be emptied.
func (d Drain) On() bool { return d.Cause != "" }

// DrainOf gives the Node's drain: its annotation, a taint of the settings, or the
// kubelet's graceful shutdown. With an annotation whose value does not parse, the
// last good one counts and the error says so.
func DrainOf(n *Node, s Settings, lastGood map[string]string) (Drain, error) {
	on, err := drainAsked(n, lastGood)
	switch {
	case on && err != nil:
		return Drain{fmt.Sprintf("%v; the last good value, true, stays in force", err), true}, err
	case on:
		return Drain{fmt.Sprintf("Node %s has annotation %s: \"true\"", n.Name, AnnotationDrain), true}, nil
	case n.ShuttingDown:
		return Drain{Cause: fmt.Sprintf("Node %s is shutting down", n.Name)}, err
	}
	for _, t := range s.DrainTaints {
		if slices.ContainsFunc(n.Taints, func(has string) bool { return has == t || strings.HasPrefix(has, t+"=") }) {
			return Drain{Cause: fmt.Sprintf("Node %s has taint %s", n.Name, t)}, err
		}
	}
	return Drain{}, err
}

// drainAsked reads the annotation.
func drainAsked(n *Node, lastGood map[string]string) (bool, error) {
	v, ok := n.Annotations[AnnotationDrain]
	if !ok {
		return false, nil
	}
	on, err := ParseSwitch(v)
	if err != nil {
		on, _ = ParseSwitch(lastGood[AnnotationDrain])
		return on, fmt.Errorf("%s of Node %s: %w", AnnotationDrain, n.Name, err)
	}
	return on, nil
}

// drainSince gives since when the node is drained.
func (s *Snapshot) drainSince(d Drain) time.Time {
	switch {
	case !d.On():
		return time.Time{}
	case s.History.DrainSince.IsZero():
		return s.At
	}
	return s.History.DrainSince
}

// DrainSince is what the node's drain leaves to the next decision.
func (s *Snapshot) DrainSince(n *Node) time.Time {
	d, _ := DrainOf(n, s.Settings, s.LastGoodNode)
	return s.drainSince(d)
}

// leave is the answer to "does a drained node still announce it?": first with a
// path that loses and GRACEFUL_SHUTDOWN (RFC 8326), so that traffic moves while
// both ways work; after Settings.DrainWait not at all. Nothing begins meanwhile.
type leave struct {
	// gently is whether it is announced with the path that loses.
	gently bool
	// refusal is why it is not announced, stay why it still is after the wait; "" for
	// neither.
	refusal, stay string
}

func (c *Case) judgeDrain() leave {
	d := c.emptied
	if !d.On() {
		return leave{}
	}
	end := c.Snapshot.drainSince(d).Add(c.Snapshot.DrainWait)
	switch {
	case c.Past.Role == "":
		return leave{refusal: d.Cause}
	case !c.Snapshot.At.IsZero() && c.Snapshot.At.Before(end):
		c.wake(end)
		return leave{gently: true}
	case !d.Asked && c.stays(c.elsewhere()):
		return leave{gently: true, stay: d.Cause}
	}
	return leave{refusal: d.Cause}
}

// Gently reports whether the path shall lose to every other, because the node is
// about to withdraw it.
func (c *Case) Gently() bool { return c.drain.gently }
