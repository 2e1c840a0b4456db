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
	// seen is what was seen last, and since when.
	seen  map[string]peerWord
	since map[string]time.Time
	// begun is true after the first look, at which only what is wrong is news.
	begun bool
}

// peerWord is what there is to tell of a BGPPeer.
type peerWord struct {
	ready           metav1.ConditionStatus
	reason, message string
}

// next gives what is new, of as many BGPPeers as may be told of now.
func (n *peerNews) next(now map[string]v1alpha1.BGPPeerStatus, most int, at time.Time) []report {
	var out []report
	told, seen, since := map[string]peerWord{}, map[string]peerWord{}, map[string]time.Time{}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		word := peerWordOf(now[name])
		was, known := n.told[name]
		if known {
			told[name] = was
		}
		seen[name], since[name] = word, at
		if begin, same := n.since[name]; same && n.seen[name] == word {
			since[name] = begin
		}
		good := word.ready == metav1.ConditionTrue
		switch {
		case word.ready == metav1.ConditionUnknown, word == was:
		case good && (!n.begun || known && was.ready == metav1.ConditionTrue):
			told[name] = word
		case at.Sub(since[name]) < peerAfter || len(out) >= most:
		default:
			out = append(out, report{name, !good, word.reason, word.message})
			told[name] = word
		}
	}
	n.told, n.seen, n.since, n.begun = told, seen, since, true
	return out
}

func peerWordOf(s v1alpha1.BGPPeerStatus) peerWord {
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
	if c == nil {
		return peerWord{ready: metav1.ConditionUnknown}
	}
	return peerWord{c.Status, c.Reason, c.Message}
}
