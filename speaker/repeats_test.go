package speaker

import (
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
)

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	said []string
}

func (l *lines) Levels() []logrus.Level { return logrus.AllLevels }

func (l *lines) Fire(e *logrus.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, e.Level.String()+" "+e.Message)
	return nil
}

// TestAFloodOfConnectionsIsOneLineAndACount: GoBGP warns of each connection that it
// does not take, and whoever has a peer's address can open thousands in a second.
func TestAFloodOfConnectionsIsOneLineAndACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, kept := quiet(), &lines{}
		log.Logger.AddHook(kept)
		repeats := newRepeats()
		gobgp := slog.New(&logHandler{log: log, journal: newJournal(log, func() {}), repeats: repeats})
		tor, spine := gobgp.With(slog.String("Key", "192.0.2.7")), gobgp.With(slog.String("Key", "192.0.2.8"))
		for range 5000 {
			tor.Warn("Closed an accepted connection")
			tor.Info("an information is none")
		}
		spine.Warn("Closed an accepted connection")
		gobgp.Error("broken")
		gobgp.Error("broken")
		time.Sleep(repeatWindow + time.Second)
		tor.Warn("Closed an accepted connection")
		time.Sleep(repeatWindow + time.Second)
		synctest.Wait()
		slices.Sort(kept.said)
		want := []string{
			"error gobgp: broken",
			"error gobgp: broken: 1 more in the last minute",
			"warning gobgp: Closed an accepted connection",
			"warning gobgp: Closed an accepted connection",
			"warning gobgp: Closed an accepted connection",
			"warning refused 4999 more connections from 192.0.2.7 in the last minute",
		}
		if !slices.Equal(kept.said, want) {
			t.Errorf("%q", kept.said)
		}
		if len(repeats.more) > 0 {
			t.Errorf("what was counted is kept: %v", repeats.more)
		}
	})
}
