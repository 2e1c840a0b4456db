package daemon

import (
	"cmp"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// changeLog logs what changed between one picture and the next, each thing once. That
// a session went up or down is not among it: the speaker tells as it happens.
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
	for _, t := range added(troubles(before), troubles(now)) {
		l.log.WithFields(logrus.Fields{"peer": t.peer, "address": t.address}).Warn("session: " + t.text)
	}
	l.writePlan(before.Plan, now.Plan, now.Sent)
	if now.Ready && !before.Ready {
		l.log.WithField("prefixes", len(now.Plan.Adverts)).Info("ready")
	}
}

// mostLines bounds what is logged of each kind after one pass: a node that starts in a
// large cluster, or leaves it, would log for longer than it works.
const mostLines = 200

// writePlan logs what is new in a plan; sent tells what a router has been sent.
func (l *changeLog) writePlan(before, now policy.Plan, sent func(*policy.Advert) bool) {
	come, gone := l.few("prefixes to announce"), l.few("prefixes withdrawn")
	defer come.end()
	defer gone.end()
	eachNews(before.Adverts, now.Adverts, func(a *policy.Advert) {
		come.line(func() { l.announced(a, sent(a)) })
	}, func(a *policy.Advert) {
		gone.line(func() {
			l.log.WithFields(logrus.Fields{"prefix": a.Prefix.String(), "subnet": a.Subnet}).Info("withdrawn")
		})
	})
	withheld, warned := l.few("prefixes withheld"), l.few("warnings")
	defer withheld.end()
	defer warned.end()
	for _, h := range added(before.Withheld, now.Withheld) {
		withheld.line(func() {
			l.log.WithFields(logrus.Fields{"prefix": h.Prefix, "subnet": h.Subnet, "reason": h.Reason}).Info("withheld: " + h.Detail)
		})
	}
	for _, w := range added(before.Warnings, now.Warnings) {
		warned.line(func() {
			l.log.WithFields(logrus.Fields{"subnet": w.Subnet, "reason": w.Reason}).Warn(w.Detail)
		})
	}
}

// announced logs an advert that is new.
func (l *changeLog) announced(a *policy.Advert, sent bool) {
	text := "announced"
	if !sent {
		text = "to be announced: no session has it yet"
	}
	l.log.WithFields(logrus.Fields{"prefix": a.Prefix.String(), "subnet": a.Subnet, "role": string(a.Role)}).Info(text)
}

// few writes the first lines of a kind, and how many more there were.
type few struct {
	log  *logrus.Entry
	what string
	n    int
}

func (l *changeLog) few(what string) *few { return &few{log: l.log, what: what} }

func (f *few) line(write func()) {
	if f.n++; f.n <= mostLines {
		write()
	}
}

func (f *few) end() {
	if more := f.n - mostLines; more > 0 {
		f.log.Infof("and %d more %s, which fairway status has", more, f.what)
	}
}

// eachNews compares two plans' adverts. come is called for each prefix of a Subnet that is
// new, or has another role, and gone for each that is no more.
func eachNews(before, now []*policy.Advert, come, gone func(*policy.Advert)) {
	if routes.SameList(before, now) {
		return
	}
	order := func(a, b *policy.Advert) int {
		return cmp.Or(a.Prefix.Compare(b.Prefix), strings.Compare(a.Subnet, b.Subnet))
	}
	for len(before) > 0 || len(now) > 0 {
		switch {
		case len(before) > 0 && len(now) > 0 && before[0] == now[0]:
			before, now = before[1:], now[1:]
		case len(before) == 0 || len(now) > 0 && order(now[0], before[0]) < 0:
			come(now[0])
			now = now[1:]
		case len(now) == 0 || order(before[0], now[0]) < 0:
			gone(before[0])
			before = before[1:]
		default:
			if before[0].Role != now[0].Role {
				come(now[0])
			}
			before, now = before[1:], now[1:]
		}
	}
}

// trouble is what is in the way of a session.
type trouble struct{ peer, address, text string }

func troubles(s *status.Status) []trouble {
	var out []trouble
	for _, e := range s.Sessions {
		if text := e.Trouble(); text != "" && (e.LastError != "" || e.Established()) {
			out = append(out, trouble{e.Peer, e.Neighbour(), text})
		}
	}
	return out
}

// added gives what is in now and not in before, in now's order.
func added[T comparable](before, now []T) []T {
	if routes.SameList(before, now) {
		return nil
	}
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
