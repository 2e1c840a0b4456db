package account

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/status"
)

// Bounds of a Speaker, so that it stays small with any number of Subnets.
const (
	mostListed = 50
	mostText   = 256
	// mostMessage keeps a condition's message below its schema's 32768.
	mostMessage = 1024
)

// established is the state of a session that is up, as Speakers have it.
const established = "established"

// stoppedText is for people, in every condition and where the node is asked.
const stoppedText = "fairway has stopped on this node"

// SpeakerStatus gives the picture as the node's Speaker holds it. When its conditions
// became so is for the writer to say, who knows what they were before.
func SpeakerStatus(s *status.Status) v1alpha1.SpeakerStatus {
	out := v1alpha1.SpeakerStatus{
		Configured: int32(len(s.Sessions)),
		Announced:  announced(s),
		Withheld:   withheld(s.Plan.Withheld),
		Findings:   findingRecords(s.Findings),
		Problems:   problemRecords(s.Source.Problems),
		Conditions: conditions(s), DrainRequest: columns.Cut(s.DrainRequest, mostText),
	}
	if !s.DrainUntil.IsZero() {
		until := apiTime(s.DrainUntil)
		out.DrainUntil = &until
	}
	if s.Speaker.RouterID.IsValid() {
		out.RouterID = s.Speaker.RouterID.String()
	}
	for _, e := range s.Sessions {
		if e.Established() {
			out.Established++
		}
		if len(out.Sessions) < mostListed {
			out.Sessions = append(out.Sessions, sessionRecord(e))
		}
	}
	return out
}

// Farewell gives what a Speaker holds once its daemon has ended, from what it held
// last: a Speaker that looks well must not outlive its daemon.
func Farewell(last v1alpha1.SpeakerStatus) v1alpha1.SpeakerStatus {
	out := v1alpha1.SpeakerStatus{Configured: last.Configured, RouterID: last.RouterID}
	stopped := func(kind string, is metav1.ConditionStatus) {
		out.Conditions = append(out.Conditions, metav1.Condition{Type: kind, Status: is, Reason: v1alpha1.ReasonStopped, Message: stoppedText})
	}
	stopped(v1alpha1.ConditionReady, metav1.ConditionFalse)
	for _, c := range last.Conditions {
		if c.Type != v1alpha1.ConditionReady {
			stopped(c.Type, metav1.ConditionUnknown)
		}
	}
	return out
}

func sessionRecord(e status.Session) v1alpha1.SessionStatus {
	out := v1alpha1.SessionStatus{
		Peer: e.Peer, Address: e.Neighbour(), LocalAddress: e.LocalAddress, State: strings.ToLower(e.State),
		LastError: columns.Cut(e.LastError, mostText), Advertised: int64(e.Advertised), NotOffered: e.NotOffered,
		Trouble: columns.Cut(e.Trouble(), mostText), PeerASN: int64(e.PeerASN), Planned: int64(e.Planned), Flaps: int64(e.Flaps),
	}
	if r := e.LastReset; r != nil {
		last := apiTime(r.At)
		out.LastReset, out.LastResetReason = &last, r.String()
	}
	if e.BFD != nil {
		out.BFD = strings.ToLower(e.BFD.State)
	}
	if !e.Since.IsZero() {
		since := apiTime(e.Since)
		out.Since = &since
	}
	return out
}

// apiTime is a time as it comes back from the API server, which keeps whole seconds.
func apiTime(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second).Local()) }

func announced(s *status.Status) v1alpha1.AnnouncedPrefixes { return announcedUpTo(s, mostListed) }

func announcedUpTo(s *status.Status, most int) v1alpha1.AnnouncedPrefixes {
	adverts := s.Plan.Adverts
	out := v1alpha1.AnnouncedPrefixes{Count: int64(len(adverts)), Sent: int64(s.Announced())}
	for _, a := range adverts[:min(most, len(adverts))] {
		out.First = append(out.First, v1alpha1.AnnouncedPrefix{
			Prefix: a.Prefix.String(), Subnet: a.Subnet, Role: string(a.Role), Sent: s.Sent(a), NotSentTo: s.NotSentTo(a),
			NextHop: a.NextHopText(), Peers: chosenPeers(len(s.Sessions), a),
		})
	}
	return out
}

// chosenPeers gives nil where an advert is for all sessions.
func chosenPeers(sessions int, a *policy.Advert) []string {
	if len(a.Peers) == sessions {
		return nil
	}
	return a.Peers
}

func withheld(list []policy.Withheld) v1alpha1.WithheldPrefixes {
	return withheldUpTo(list, mostListed)
}

func withheldUpTo(list []policy.Withheld, most int) v1alpha1.WithheldPrefixes {
	out := v1alpha1.WithheldPrefixes{Count: int64(len(list))}
	for i, w := range list {
		if out.Reasons == nil {
			out.Reasons = map[string]int64{}
		}
		out.Reasons[string(w.Reason)]++
		if i < most {
			out.First = append(out.First, v1alpha1.WithheldPrefix{
				Prefix: w.Prefix, Subnet: w.Subnet, Reason: string(w.Reason), Detail: columns.Cut(w.Detail, mostText),
			})
		}
	}
	return out
}

// problemRecords gives the objects that cannot be used as they are; what is only odd
// about one, or wrong with the source itself, is in the conditions alone.
func problemRecords(problems []status.Problem) []v1alpha1.ProblemStatus {
	var out []v1alpha1.ProblemStatus
	for _, p := range problems {
		if !p.Stale && p.Severity == objects.Wrong && len(out) < mostListed {
			out = append(out, v1alpha1.ProblemStatus{Object: p.Object, Text: columns.Cut(textOf(p.Problem), mostText)})
		}
	}
	return out
}

// textOf gives a problem in words, without what it is about.
func textOf(p objects.Problem) string {
	p.Object = ""
	return p.Error()
}

// findingRecords gives the findings that are not ok.
func findingRecords(findings []host.Finding) []v1alpha1.FindingStatus {
	var out []v1alpha1.FindingStatus
	for _, f := range findings {
		if f.State != host.OK && len(out) < mostListed {
			out = append(out, v1alpha1.FindingStatus{Check: f.Check, Subject: f.Subject, State: string(f.State), Why: columns.Cut(f.Why, mostText), Fix: columns.Cut(f.Fix, mostText)})
		}
	}
	return out
}

// hostCondition is true if every check is ok, and unknown before the first
// audit, where a check is unknown, or where nobody audits.
func hostCondition(s *status.Status) metav1.Condition {
	var messages []string
	for _, f := range s.Findings {
		if f.State != host.OK {
			messages = append(messages, fmt.Sprintf("%s %s: %s", f.Check, f.Subject, f.State))
		}
	}
	switch {
	case !s.Audited:
		return metav1.Condition{Type: v1alpha1.ConditionHostReady, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotChecked}
	case host.Worst(s.Findings) == host.Unknown:
		c := condition(v1alpha1.ConditionHostReady, true, v1alpha1.ReasonUnknown, "", messages...)
		c.Status = metav1.ConditionUnknown
		return c
	}
	return condition(v1alpha1.ConditionHostReady, host.Worst(s.Findings) == host.OK, v1alpha1.ReasonAllChecksOK, v1alpha1.ReasonFindings, messages...)
}

// conditions sums the picture up, in Kubernetes' form.
func conditions(s *status.Status) []metav1.Condition {
	out := []metav1.Condition{
		condition(v1alpha1.ConditionReady, s.Ready, v1alpha1.ReasonAsPlanned, v1alpha1.ReasonNotReady, s.Waiting...),
		sessionsCondition(s),
		condition(v1alpha1.ConditionRoutesInSync, s.Speaker.InSync, v1alpha1.ReasonAsPlanned, v1alpha1.ReasonNotAsPlanned, s.Speaker.Errors...),
		hostCondition(s),
		condition(v1alpha1.ConditionSourceFresh, s.Source.StaleSince.IsZero(), v1alpha1.ReasonFollowing, v1alpha1.ReasonStale, s.Source.Texts(true)...),
		inputCondition(s.Source),
	}
	if stage := s.DrainStage(); stage != status.NotDraining {
		done := status.NothingAnnounced
		out = append(out, condition(v1alpha1.ConditionDrained, stage == done, string(done), string(stage), s.DrainText()))
	}
	return out
}

func condition(kind string, yes bool, good, bad string, messages ...string) metav1.Condition {
	c := metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: good}
	if !yes {
		c.Status, c.Reason = metav1.ConditionFalse, bad
	}
	c.Message = columns.Cut(strings.Join(messages, "; "), mostMessage)
	return c
}

// inputCondition tells of objects that are not as they should be, which the API
// server could not know: two BGPPeers with one address, a Secret that is not there.
func inputCondition(s status.Source) metav1.Condition {
	problems := s.Texts(false)
	return condition(v1alpha1.ConditionInputValid, len(problems) == 0, v1alpha1.ReasonUnderstood, v1alpha1.ReasonProblems, problems...)
}

// sessionsCondition is true if there are sessions and all of them are up.
func sessionsCondition(s *status.Status) metav1.Condition {
	var down []string
	for _, e := range s.Sessions {
		if why := e.Trouble(); why != "" {
			down = append(down, fmt.Sprintf("%s (%s): %s", e.Peer, e.Neighbour(), why))
		}
	}
	if len(s.Sessions) == 0 {
		return condition(v1alpha1.ConditionSessionsEstablished, false, "", v1alpha1.ReasonNoPeer, s.Source.NoSessions())
	}
	return condition(v1alpha1.ConditionSessionsEstablished, len(down) == 0, v1alpha1.ReasonAllUp, v1alpha1.ReasonSessionDown, down...)
}
