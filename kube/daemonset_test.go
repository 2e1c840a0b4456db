package kube

import "testing"

const ownDaemonSet = `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: fairway, namespace: ` + testNamespace + `}, spec: {
  selector: {matchLabels: {app: fairway}},
  template: {metadata: {labels: {app: fairway}}, spec: {nodeSelector: {kubernetes.io/os: linux}, containers: [{name: fairway, image: "fairway:1"}]}}}}`

// An upgrade leaves the DaemonSet where it is, an uninstall deletes it first, and whoever
// takes a node out of its nodeSelector has the Pod there removed.
func TestFateIsKnownBeforeThePodIsTold(t *testing.T) {
	w := newTown(t)
	linux := map[string]string{"kubernetes.io/os": "linux"}
	w.apply(`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: other, namespace: ` + testNamespace + `}, spec: {
  selector: {matchLabels: {app: other}}, template: {metadata: {labels: {app: other}}, spec: {containers: [{name: other, image: "other:1"}]}}}}`)
	d := NewDaemonSet(w.cluster, "fairway", func() {}, quietLog())
	w.background(d.Run)
	is := func(what string, f Fate) {
		t.Helper()
		w.eventually(what, func() bool { return d.Fate(linux) == f })
	}
	w.eventually("the list has been read", func() bool { return d.feed.condition().synced })
	is("nothing is known of a DaemonSet that was never there", FateUnknown)
	w.apply(ownDaemonSet)
	is("the Pod is started again", FateStartedAgain)
	if f := d.Fate(nil); f != FateRemoved {
		t.Errorf("on a node that the nodeSelector leaves out: %d", f)
	}
	w.delete(daemonSetsPath + "/fairway")
	is("the Pod goes with its DaemonSet", FateRemoved)
	w.apply(ownDaemonSet)
	is("a DaemonSet that comes back starts it again", FateStartedAgain)
}
