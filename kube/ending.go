package kube

import (
	"time"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/routes"
)

// ending says of the Pods that are being deleted until when they count. Kube-OVN gives
// their addresses to others then, whether the objects are gone or not: a kubelet that
// does not answer leaves them for as long as that lasts, and the address would have two
// announcers.
type ending map[objects.Key]time.Time

// note takes a Pod as it is now; nil for one that is gone.
func (e ending) note(k objects.Key, o *stored) {
	if k.Kind != objects.KindPod {
		return
	}
	delete(e, k)
	if pods, _ := o.value().([]routes.Pod); len(pods) > 0 && !pods[0].Until.IsZero() {
		e[k] = pods[0].Until
	}
}

// over gives the Pods that do not count any more, and forgets them.
func (e ending) over(now time.Time) (keys []objects.Key) {
	for k, until := range e {
		if !now.Before(until) {
			keys = append(keys, k)
			delete(e, k)
		}
	}
	return keys
}

// next is when the first of them ends; zero for never.
func (e ending) next() (first time.Time) {
	for _, until := range e {
		first = earlier(first, until)
	}
	return first
}
