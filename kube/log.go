package kube

import (
	"github.com/go-logr/logr"
	"github.com/sirupsen/logrus"
)

// logger lets client-go log through the entry: its errors as warnings, because
// this package retries and says in its own words what that means; the rest only
// for debugging.
func logger(log *logrus.Entry) logr.Logger { return logr.New(sink{log}) }

type sink struct{ log *logrus.Entry }

// Init is for sinks that look at the call stack.
func (s sink) Init(logr.RuntimeInfo) {}

// Enabled leaves client-go's chatter, which begins at 4, to nobody.
func (s sink) Enabled(level int) bool {
	return level < 4 && s.log.Logger.IsLevelEnabled(logrus.DebugLevel)
}

// Info logs for debugging.
func (s sink) Info(_ int, text string, pairs ...any) { s.with(pairs).Debug(text) }

// Error logs for debugging too: what matters of it is in the source's status.
func (s sink) Error(err error, text string, pairs ...any) {
	s.with(pairs).WithError(err).Debug(text)
}

// WithValues adds fields.
func (s sink) WithValues(pairs ...any) logr.LogSink { return sink{s.with(pairs)} }

// WithName adds the name of a part.
func (s sink) WithName(name string) logr.LogSink { return sink{s.log.WithField("logger", name)} }

func (s sink) with(pairs []any) *logrus.Entry {
	log := s.log
	for i := 0; i+1 < len(pairs); i += 2 {
		if name, ok := pairs[i].(string); ok {
			log = log.WithField(name, pairs[i+1])
		}
	}
	return log
}
