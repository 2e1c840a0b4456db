package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// showSpeakers prints what every node says about itself, and which of them say nothing.
func showSpeakers(ctx context.Context, w, stderr io.Writer, access kube.Access, asJSON bool) error {
	cluster, err := kube.Connect(access)
	if err != nil {
		return err
	}
	speakers, err := cluster.Speakers(ctx)
	if err != nil {
		return err
	}
	s, err := cluster.NodesAndPeers(ctx, routes.DefaultSettings)
	if err != nil {
		fmt.Fprintf(stderr, "fairway: which Nodes there are, and which of them are Ready, is not known, so a Speaker below may be of a node that is gone: %s\n", columns.Plain(err.Error()))
	}
	rows := account.Rows(s, speakers, heartbeats(ctx, stderr, cluster, speakers))
	if asJSON {
		err = writeJSON(w, rows)
	} else {
		err = writeSpeakers(w, rows, time.Now())
	}
	if err != nil {
		return err
	}
	if len(speakers) == 0 || slices.ContainsFunc(rows, func(r account.Row) bool { return len(r.Degraded) > 0 }) {
		return wrong(nil)
	}
	return nil
}

// heartbeats is heartbeatsOf for a command: who may not read them is told on stderr, and
// knows of none.
func heartbeats(ctx context.Context, stderr io.Writer, cluster *kube.Cluster, speakers []v1alpha1.Speaker) account.Heartbeats {
	out, err := heartbeatsOf(ctx, cluster, speakers)
	if err != nil {
		fmt.Fprintf(stderr, "fairway: which daemons live is not known, so what a Speaker says may be old: %s\n", columns.Plain(err.Error()))
	}
	return out
}

// heartbeatsOf reads those of all daemons that name a Lease. They are in one namespace,
// but where Fairway has moved.
func heartbeatsOf(ctx context.Context, cluster *kube.Cluster, speakers []v1alpha1.Speaker) (account.Heartbeats, error) {
	var out account.Heartbeats
	asked := map[string]bool{}
	for i := range speakers {
		namespace, _, ok := strings.Cut(speakers[i].Status.Heartbeat, "/")
		if !ok || asked[namespace] {
			continue
		}
		asked[namespace] = true
		last, at, err := cluster.Heartbeats(ctx, namespace)
		if err != nil {
			return account.Heartbeats{}, err
		}
		if out.Last == nil {
			out.Last = last
		}
		maps.Copy(out.Last, last)
		out.At = at
	}
	return out, nil
}

// writeSpeakers prints a row for each node, and below it what is not as it should be, which
// needs no line where it is well; then a row for each session.
func writeSpeakers(w io.Writer, rows []account.Row, now time.Time) error {
	var b strings.Builder
	if !slices.ContainsFunc(rows, func(r account.Row) bool { return r.Standing != account.Absent }) {
		b.WriteString("No Speakers: fairway runs on no node of this cluster (a Speaker that was deleted is back within minutes).\n")
	}
	t := columns.NewTable(columns.Column{Heading: "Node", Least: 19}, columns.Column{Heading: "Sessions"},
		columns.Column{Heading: "Announced", Right: true}, columns.Column{Heading: "Withheld", Right: true}, columns.Column{Heading: "State"})
	for i := range rows {
		addRow(t, &rows[i])
	}
	if !t.Empty() {
		t.Write(&b)
	}
	writeSpeakerSessions(&b, rows, now)
	_, err := io.WriteString(w, b.String())
	return err
}

// mostSessionRows is how many sessions are listed; of more than that, those that are up
// are counted.
const mostSessionRows = 60

// writeSpeakerSessions prints a row for each session of the daemons that live.
func writeSpeakerSessions(b *strings.Builder, rows []account.Row, now time.Time) {
	total := 0
	for i := range rows {
		total += len(rows[i].Status.Sessions)
	}
	t := columns.NewTable(columns.Column{Heading: "Node", Least: 12}, columns.Column{Heading: "Peer", Least: 8}, columns.Column{Heading: "AS", Right: true},
		columns.Column{Heading: "State"}, columns.Column{Heading: "For"}, columns.Column{Heading: "Sent", Right: true}, columns.Column{Heading: "Last reset"})
	up := 0
	for i := range rows {
		if rows[i].Standing == account.Dead {
			continue
		}
		for _, s := range rows[i].Status.Sessions {
			established := s.State == "established"
			if established && total > mostSessionRows {
				up++
				continue
			}
			addSession(t, rows[i].Name, s, now)
		}
	}
	if !t.Empty() {
		b.WriteByte('\n')
		t.Write(b)
	}
	if up > 0 {
		fmt.Fprintf(b, "and %s\n", columns.Count(up, "session that is up", "sessions that are up"))
	}
}

// recentReset is for how long the reason of a reset is told with it.
const recentReset = time.Hour

// addSession adds a row for a session, and why it was reset if that was not long ago.
func addSession(t *columns.Table, node string, s v1alpha1.SessionStatus, now time.Time) {
	asn := "-"
	if s.PeerASN != 0 {
		asn = fmt.Sprint(s.PeerASN)
	}
	t.Row(node, s.Peer, asn, s.State, agoOr(s.Since, now), fmt.Sprintf("%d/%d", s.Advertised, s.Planned), agoOr(s.LastReset, now))
	if s.LastReset != nil && now.Sub(s.LastReset.Time) < recentReset {
		t.Prose("  ", "    ", fmt.Sprintf("last reset: %s; %s since its daemon started", s.LastResetReason, columns.Count(int(s.Flaps), "reset", "resets")))
	}
}

// agoOr gives the time since then, "-" for no time.
func agoOr(then *metav1.Time, now time.Time) string {
	if then == nil {
		return "-"
	}
	return status.Ago(then.Time, now)
}

// announcedText is how many prefixes some router has been sent, and of how many where
// that is not all.
func announcedText(a v1alpha1.AnnouncedPrefixes) string {
	if a.Sent < a.Count {
		return fmt.Sprintf("%d of %d", a.Sent, a.Count)
	}
	return fmt.Sprint(a.Sent)
}

// addRow adds what one node says, and below it what is not as it should be. What a dead
// daemon has said is not known to be so.
func addRow(t *columns.Table, r *account.Row) {
	switch r.Standing {
	case account.Absent:
		t.Row(r.Name, "-", "-", "-", r.State())
	case account.Dead:
		t.Row(r.Name, fmt.Sprintf("?/%d up", r.Status.Configured), "?", "?", r.State())
	default:
		t.Row(r.Name, fmt.Sprintf("%d/%d up", r.Status.Established, r.Status.Configured),
			announcedText(r.Status.Announced), fmt.Sprint(r.Status.Withheld.Count), r.State())
	}
	for _, c := range r.Degraded {
		t.Prose("  ", "    ", c)
	}
	if r.Standing == account.Dead {
		return
	}
	if drain, ok := account.DrainOf(&r.Speaker); ok && drain.Text != "" {
		t.Prose("  draining: ", "    ", drain.Text)
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Status.Withheld.Reasons)) {
		t.Prose("  ", "    ", fmt.Sprintf("%d withheld: %s", r.Status.Withheld.Reasons[reason], reason))
	}
}
