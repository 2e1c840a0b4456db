package daemon

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/status"
)

// News turns pictures of this node into Events about its Node: what changed
// between one picture and the next. The zero News has seen none.
type News struct{ before *status.Status }

// Of gives the Events that a picture is worth; uid is the Node's.
func (n *News) Of(now *status.Status, uid types.UID) []kube.Event {
	before := n.before
	n.before = now
	if before == nil {
		return nil
	}
	event := func(warning bool, reason, format string, args ...any) kube.Event {
		return kube.Event{Kind: "Node", Name: now.Node, UID: uid, Warning: warning, Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
	var out []kube.Event
	for _, e := range now.Sessions {
		was := sessionOf(before, e.Peer)
		switch {
		case e.Established() && !was.Established():
			out = append(out, event(false, "BGPSessionUp", "session with %s (%s) is established", e.Peer, e.Address))
		case was.Established() && !e.Established():
			out = append(out, event(true, "BGPSessionDown", "session with %s (%s) is down: %s", e.Peer, e.Address, cmp.Or(e.LastError, strings.ToLower(e.State))))
		}
	}
	if stage := now.DrainStage(); stage != before.DrainStage() {
		switch stage {
		case status.NotDraining:
			out = append(out, event(false, "Undrained", "this node announces again: %d prefixes", len(now.Plan.Adverts)))
		case status.Waiting:
			out = append(out, event(false, "Draining", "%s", now.DrainText()))
		case status.LastAnnouncer:
			out = append(out, event(true, "LastAnnouncer", "%s", now.DrainText()))
		case status.NothingAnnounced:
			out = append(out, event(false, "Drained", "nothing is announced from this node any more"))
		}
	}
	if !before.Source.StaleSince.IsZero() && now.Source.StaleSince.IsZero() {
		stayed := "; what was announced then stayed"
		if !before.Source.Known() {
			stayed = ""
		}
		out = append(out, event(true, "SourceWasStale", "objects were not followed since %s%s", before.Source.StaleSince.Format("15:04:05Z"), stayed))
	}
	return out
}

func sessionOf(s *status.Status, peer string) status.Session {
	if i := slices.IndexFunc(s.Sessions, func(e status.Session) bool { return e.Peer == peer }); i >= 0 {
		return s.Sessions[i]
	}
	return status.Session{}
}
