package kube

import (
	"time"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/routes"
)

// ending says of the Pods that are being deleted until when they count, from the moment at
// which that was heard: another machine's clock plays no part. Kube-OVN gives their
// addresses to others then, whether the objects are gone or not: a kubelet that does not
// answer leaves them for as long as that lasts, and the address would have two announcers.
type ending map[objects.Key]time.Time

// note takes a Pod as it is now; nil for one that is gone.
func (e ending) note(k objects.Key, o *stored, now time.Time) {
	if k.Kind != objects.KindPod {
		return
	}
	pods, _ := o.value().([]routes.Pod)
	if len(pods) == 0 || pods[0].Lingers == 0 {
		delete(e, k)
	} else if _, known := e[k]; !known {
		e[k] = now.Add(pods[0].Lingers)
	}
}

// over gives the Pods that do not count any more.
func (e ending) over(now time.Time) (keys []objects.Key) {
	for k, until := range e {
		if !now.Before(until) {
			keys = append(keys, k)
		}
	}
	return keys
}

// next is when the first of the others ends; zero for never.
func (e ending) next(now time.Time) (first time.Time) {
	for _, until := range e {
		if now.Before(until) {
			first = earlier(first, until)
		}
	}
	return first
}
