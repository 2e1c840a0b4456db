package speaker

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/sirupsen/logrus"
)

// logHandler hands GoBGP's lines (slog) to logrus, and notes in the journal what
// GoBGP tells nobody but its log: the text of a peer's Cease (RFC 9003) and why
// a connection does not come about. Routes that peers send end here (takeOut). A
// warning is said once, and then counted.
type logHandler struct {
	log     *logrus.Entry
	journal *journal
	repeats *repeats
	// peer is the attribute "Key" of GoBGP's per-peer loggers.
	peer netip.Addr
}

// stoppedTwice is GoBGP's line when its Stop comes after StopBgp.
const stoppedTwice = "failed to stop BGP server"

// Enabled is true at every level: the failure of a connection is a debug line.
func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool { return true }

// Handle writes one line, one level lower where it is only information: GoBGP
// has a line for every peer at every load of policies, and the journal says
// what matters.
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Message == stoppedTwice {
		return nil
	}
	h.tap(r)
	level := logrus.DebugLevel
	switch {
	case r.Level >= slog.LevelError:
		level = logrus.ErrorLevel
	case r.Level >= slog.LevelWarn:
		level = logrus.WarnLevel
	case r.Level < slog.LevelInfo:
		level = logrus.TraceLevel
	}
	if !h.log.Logger.IsLevelEnabled(level) {
		return nil
	}
	if level <= logrus.WarnLevel {
		k := repeatKey{h.peer, r.Message}
		if !h.repeats.first(k, func(more int) { h.log.Log(level, k.again(more)) }) {
			return nil
		}
	}
	fields := logrus.Fields{}
	r.Attrs(func(a slog.Attr) bool {
		fields[a.Key] = a.Value.Any()
		return true
	})
	h.log.WithFields(fields).Log(level, "gobgp: "+r.Message)
	return nil
}

// tap notes lines by which GoBGP's state machine says why a session does not come
// up (pkg/server/fsm.go). The state itself stays Active meanwhile.
func (h *logHandler) tap(r slog.Record) {
	if !h.peer.IsValid() {
		return
	}
	switch r.Message {
	case updateShown:
		h.journal.heard(h.peer, takeOut(r))
	case "Peer Up":
		h.journal.connected(h.peer, true)
	case "Peer Down":
		h.journal.connected(h.peer, false)
	case "received notification":
		h.journal.said(h.peer, attribute(r, "Communicated-Reason").String())
	case "outgoing connection established":
		h.journal.dialled(h.peer)
	case "failed to connect":
		h.journal.failed(h.peer, cause{kind: noConnection, text: attribute(r, "Error").String()})
	case "Session will be reset due to malformed BGP Header", "Session will be reset due to malformed BGP message":
		h.journal.failed(h.peer, cause{kind: otherCause, text: attribute(r, "Error").String()})
	case "outgoing connection IO error":
		h.journal.failed(h.peer, cause{kind: closedEarly, text: "closed during the handshake"})
	case "sent notification":
		h.journal.failed(h.peer, sentNotification(attribute(r, "Code"), attribute(r, "Subcode")))
	}
}

// sentNotification is the cause of a notification that GoBGP has sent. That of a state
// machine's error is its answer to another message than an OPEN.
func sentNotification(code, subcode slog.Value) cause {
	if code.Kind() != slog.KindInt64 || subcode.Kind() != slog.KindInt64 {
		return cause{}
	}
	n := notification{uint8(code.Int64()), uint8(subcode.Int64())}
	if n.code == bgp.BGP_ERROR_FSM_ERROR {
		return cause{kind: openRefused, text: "no OPEN"}
	}
	return cause{kind: refusedOpen, text: "notification sent", notification: n}
}

func attribute(r slog.Record, key string) slog.Value {
	var out slog.Value
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			out = a.Value
		}
		return a.Key != key
	})
	if out.Kind() == slog.KindAny && out.Any() == nil {
		return slog.StringValue("")
	}
	return out
}

// WithAttrs keeps the attributes as fields of the entry.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := *h
	fields := logrus.Fields{}
	for _, a := range attrs {
		if a.Key == "Key" {
			if peer, err := netip.ParseAddr(a.Value.String()); err == nil {
				out.peer = peer
			}
		}
		fields[a.Key] = a.Value.Any()
	}
	out.log = h.log.WithFields(fields)
	return &out
}

// WithGroup is the handler itself: GoBGP has no groups.
func (h *logHandler) WithGroup(string) slog.Handler { return h }
