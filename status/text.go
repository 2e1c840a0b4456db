package status

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/host"
)

// WriteText prints the picture for people, in lines of 80 columns. now is the
// reader's clock, for "3m ago".
func (s *Status) WriteText(w io.Writer, now time.Time) error {
	var b bytes.Buffer
	columns.Wrap(&b, "", "    ", fmt.Sprintf("Fairway %s on node %s, up %s, %s", s.Version, s.Node, Ago(s.Started, now), s.summary()))
	for _, w := range s.Waiting {
		columns.Wrap(&b, "  ! ", "    ", w)
	}
	for _, n := range s.NotServed {
		columns.Wrap(&b, "  ! ", "    ", n)
	}
	columns.Wrap(&b, "", "    ", fmt.Sprintf("Source %s %s: %s, %s, %s", s.Source.Kind, strings.Join(s.Source.From, " "),
		columns.Count(s.Source.Subnets, "Subnet", "Subnets"), columns.Count(s.Source.Nodes, "Node", "Nodes"), columns.Count(s.Source.Peers, "BGPPeer", "BGPPeers")))
	if !s.Source.StaleSince.IsZero() {
		fmt.Fprintf(&b, "  ! not in step for %s%s\n", Ago(s.Source.StaleSince, now), s.Source.inForce())
	}
	for _, p := range s.Source.Problems {
		columns.Wrap(&b, "  ! ", "    ", p.Error())
	}
	if len(s.Source.Ignored) > 0 {
		columns.Wrap(&b, "  ignored: ", "    ", strings.Join(s.Source.Ignored, ", "))
	}
	if s.Speaker.ASN == 0 && !s.Source.Known() {
		fmt.Fprintf(&b, "Speaker not started: no session is known yet\n")
	} else if s.Speaker.ASN == 0 {
		fmt.Fprintf(&b, "Speaker not started: no session is wanted\n")
	} else {
		fmt.Fprintf(&b, "Speaker AS %d, router ID %s: its table has %s, %s\n", s.Speaker.ASN, s.Speaker.RouterID, columns.Count(s.Speaker.Originated, "prefix", "prefixes"), inSync(s.Speaker.InSync))
	}
	for _, e := range s.Speaker.Errors {
		columns.Wrap(&b, "  ! ", "    ", e)
	}
	s.writeDrain(&b, now)
	if s.OnStop.Keep {
		columns.Wrap(&b, "", "    ", "SIGTERM leaves the routes to peers with graceful restart: "+s.OnStop.Because)
	}
	s.writeSessions(&b, now)
	s.writeFindings(&b)
	b.WriteByte('\n')
	if err := s.Plan.WriteOutcome(&b, s.NotSentTo); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// inForce says what counts while the source is not in step, as far as that is
// everything.
func (s Source) inForce() string {
	if s.Known() {
		return "; what was known then stays in force"
	}
	return ""
}

func inSync(ok bool) string {
	if ok {
		return "as planned"
	}
	return "NOT as planned"
}

func (s *Status) writeDrain(b *bytes.Buffer, now time.Time) {
	text := s.DrainText()
	if text == "" {
		return
	}
	if wait := s.drainWaits(now); wait > 0 {
		text += fmt.Sprintf(" (in %s)", wait)
	}
	columns.Wrap(b, "Draining: ", "  ", text)
}

func (s *Status) writeSessions(b *bytes.Buffer, now time.Time) {
	if len(s.Sessions) == 0 {
		fmt.Fprintf(b, "No sessions: %s\n", s.Source.NoSessions())
		return
	}
	b.WriteByte('\n')
	t := columns.NewTable(columns.Column{Heading: "  Peer", Least: 17}, columns.Column{Heading: "Neighbour", Least: 21},
		columns.Column{Heading: "State", Least: 11}, columns.Column{Heading: "For", Least: 8}, columns.Column{Heading: "Sent", Least: 5, Right: true})
	for _, e := range s.Sessions {
		since := "never up"
		if !e.Since.IsZero() {
			since = Ago(e.Since, now)
		}
		t.Row("  "+e.Peer, e.Neighbour(), e.State, since, fmt.Sprint(e.Advertised))
		if why := e.Trouble(); why != "" {
			if !e.LastErrorAt.IsZero() && !e.Established() {
				why += fmt.Sprintf(" (%s ago)", Ago(e.LastErrorAt, now))
			}
			t.Prose("  ! ", "    ", why)
		}
		if e.BFD != nil && e.BFD.Trouble == "" && e.Established() {
			t.Prose("    ", "    ", e.BFD.Text())
		}
		if e.Received > 0 {
			t.Prose("    ", "    ", fmt.Sprintf("has sent %s: none is taken or kept; have the router send this node none (an export filter)",
				columns.Count(e.Received, "prefix", "prefixes")))
		}
	}
	t.Write(b)
}

// writeFindings prints what is not ok about the host; ok needs no line.
func (s *Status) writeFindings(b *bytes.Buffer) {
	for _, g := range host.Group(s.Findings) {
		if g.State == host.OK {
			continue
		}
		columns.Wrap(b, "Host ", "  ", fmt.Sprintf("%s: %s %s: %s (fairway check)", g.State, g.Check, g.Subject(), g.Got))
	}
}

// Ago gives the time from then to now, as "42s", "7m", "3h10m" or "2d4h".
func Ago(then, now time.Time) string {
	d := now.Sub(then)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}
