package daemon

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

// peerAfter is how long what a BGPPeer's status says must have stood to be told: a
// session that comes up takes moments, and one that flaps is told of at times.
const peerAfter = 10 * time.Second

// peerNews turns the statuses of BGPPeers into what is new: a session that is down, or
// for another reason, or up again. The zero value has told nothing.
type peerNews struct {
	told map[string]peerWord
	// seen is what was seen last.
	seen map[string]sighting
	// begun is true after the first look, at which only what is wrong is news.
	begun bool
}

// peerWord is what there is to tell of a BGPPeer.
type peerWord struct {
	ready           metav1.ConditionStatus
	reason, message string
}

// sighting is what a BGPPeer's status says, since when, and since when for that reason:
// the words of two errors may take turns.
type sighting struct {
	peerWord
	since, reasonSince time.Time
}

// after gives the sighting of a word, after the one before; known is false for none.
func (s sighting) after(word peerWord, known bool, at time.Time) sighting {
	now := sighting{word, at, at}
	if known && s.peerWord == word {
		now.since = s.since
	}
	if known && s.ready == word.ready && s.reason == word.reason {
		now.reasonSince = s.reasonSince
	}
	return now
}

// isNews reports whether a sighting has stood long enough to be told after another.
func (s sighting) isNews(was peerWord, at time.Time) bool {
	if s.ready != was.ready || s.reason != was.reason {
		return at.Sub(s.reasonSince) >= peerAfter
	}
	return s.peerWord != was && at.Sub(s.since) >= peerAfter
}

// next gives what is new, of as many BGPPeers as may be told of now.
func (n *peerNews) next(now map[string]v1alpha1.BGPPeerStatus, most int, at time.Time) []report {
	var out []report
	told, seen := map[string]peerWord{}, map[string]sighting{}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		word := peerWordOf(now[name])
		was, known := n.told[name]
		if known {
			told[name] = was
		}
		before, saw := n.seen[name]
		seen[name] = before.after(word, saw, at)
		good := word.ready == metav1.ConditionTrue
		switch {
		case word.ready == metav1.ConditionUnknown:
		case good && (!n.begun || known && was.ready == metav1.ConditionTrue):
			told[name] = word
		case !seen[name].isNews(was, at) || len(out) >= most:
		default:
			out = append(out, report{name, !good, word.reason, word.message})
			told[name] = word
		}
	}
	n.told, n.seen, n.begun = told, seen, true
	return out
}

func peerWordOf(s v1alpha1.BGPPeerStatus) peerWord {
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
	if c == nil {
		return peerWord{ready: metav1.ConditionUnknown}
	}
	return peerWord{c.Status, c.Reason, c.Message}
}
