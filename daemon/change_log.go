package daemon

import (
	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/status"
)

// changeLog logs what changed between one picture and the next, each thing once.
// Sessions are not among it: the speaker tells of them as it happens.
type changeLog struct {
	log  *logrus.Entry
	last *status.Status
}

// write logs what is new in a picture.
func (l *changeLog) write(now *status.Status) {
	before := l.last
	if before == nil {
		before = &status.Status{}
	}
	l.last = now
	for _, stale := range []bool{true, false} {
		for _, text := range added(before.Source.Texts(stale), now.Source.Texts(stale)) {
			l.log.Warn(text)
		}
	}
	// Of the source itself it is said below.
	for _, text := range added(now.Source.Texts(false), before.Source.Texts(false)) {
		l.log.Info("no longer: " + text)
	}
	for _, text := range added(before.Source.Ignored, now.Source.Ignored) {
		l.log.Info("ignored: " + text)
	}
	if !before.Source.StaleSince.IsZero() && now.Source.StaleSince.IsZero() {
		l.log.Info("the source is in step again")
	}
	for _, text := range added(before.Speaker.Errors, now.Speaker.Errors) {
		l.log.Error(text)
	}
	if now.DrainStage() != before.DrainStage() && now.Draining {
		l.log.Info("draining: " + now.DrainText())
	}
	l.writePlan(before.Plan, now.Plan)
	if now.Ready && !before.Ready {
		l.log.WithField("prefixes", len(now.Plan.Adverts)).Info("ready")
	}
}

func (l *changeLog) writePlan(before, now policy.Plan) {
	for _, a := range added(advertLines(before), advertLines(now)) {
		l.log.WithFields(logrus.Fields{"prefix": a.prefix, "subnet": a.subnet, "role": a.role}).Info("announced")
	}
	for _, a := range added(advertPrefixes(now), advertPrefixes(before)) {
		l.log.WithFields(logrus.Fields{"prefix": a.prefix, "subnet": a.subnet}).Info("withdrawn")
	}
	for _, h := range added(before.Withheld, now.Withheld) {
		l.log.WithFields(logrus.Fields{"prefix": h.Prefix, "subnet": h.Subnet, "reason": h.Reason}).Info("withheld: " + h.Detail)
	}
	for _, w := range added(before.Warnings, now.Warnings) {
		l.log.WithFields(logrus.Fields{"subnet": w.Subnet, "reason": w.Reason}).Warn(w.Detail)
	}
}

type advertLine struct{ prefix, subnet, role string }

func advertLines(p policy.Plan) []advertLine {
	var out []advertLine
	for _, a := range p.Adverts {
		out = append(out, advertLine{a.Prefix.String(), a.Subnet, string(a.Role)})
	}
	return out
}

func advertPrefixes(p policy.Plan) []advertLine {
	lines := advertLines(p)
	for i := range lines {
		lines[i].role = ""
	}
	return lines
}

// added gives what is in now and not in before, in now's order.
func added[T comparable](before, now []T) []T {
	had := make(map[T]bool, len(before))
	for _, b := range before {
		had[b] = true
	}
	var out []T
	for _, n := range now {
		if !had[n] {
			out = append(out, n)
		}
	}
	return out
}
