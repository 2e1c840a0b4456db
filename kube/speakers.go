package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/objects"
)

// speakersRetry is the pause after the API server has refused to show them: an older
// release's role has not the right.
const speakersRetry = time.Minute

// Speakers follows what all nodes say of themselves. Only the reporter does. It needs
// the verbs list and watch on speakers.
type Speakers struct {
	feed *feed
	log  *logrus.Entry
}

// NewSpeakers gives a Speakers that has not begun. changed is called after each change,
// and must not block.
func NewSpeakers(c *Cluster, changed func(), log *logrus.Entry) *Speakers {
	r := speakerResource()
	return &Speakers{&feed{resource: r, client: c.clients[r.version], changed: changed, refused: speakersRetry}, log}
}

// Run follows until ctx ends.
func (s *Speakers) Run(ctx context.Context) { s.feed.run(klog.NewContext(ctx, logger(s.log))) }

// Latest gives the Speakers by node, and why they are not in step; "" while they are. It
// gives nil where they have not been read.
func (s *Speakers) Latest() (byNode map[string]*v1alpha1.Speaker, why string) {
	c := s.feed.condition()
	if !c.synced {
		return nil, cmp.Or(c.why, notReadYet)
	}
	byNode = map[string]*v1alpha1.Speaker{}
	for k, o := range s.feed.objects() {
		if speaker, ok := o.Value.(*v1alpha1.Speaker); ok {
			byNode[k.Name] = speaker
		}
	}
	return byNode, c.why
}

// notReadYet is why Speakers are not known before the API server has answered.
const notReadYet = "the API server has not answered yet"

// Refused reports whether the API server has said no, and so will go on saying.
func (s *Speakers) Refused() bool {
	c := s.feed.condition()
	return !c.synced && c.why != ""
}

// trimSpeaker takes away what a Speaker's readers do not read.
func trimSpeaker(text []byte) []byte {
	var s v1alpha1.Speaker
	if err := json.Unmarshal(text, &s); err != nil {
		return text
	}
	s.ObjectMeta = metav1.ObjectMeta{Name: s.Name}
	out, err := json.Marshal(s)
	if err != nil {
		return text
	}
	return out
}

// readSpeaker converts a Speaker; one that does not decode has no Value.
func readSpeaker(text []byte) objects.Object {
	var s v1alpha1.Speaker
	if err := json.Unmarshal(text, &s); err != nil {
		return objects.Object{Problems: []objects.Problem{{Severity: objects.Wrong, Message: fmt.Sprintf("is no Speaker: %v", err)}}}
	}
	return objects.Object{Key: objects.Key{Kind: kindSpeaker, Name: s.Name}, Value: &s}
}
