package live

import (
	"strings"
	"syscall"
	"testing"
)

// TestSIGTERMMeansWhatBecomesOfTheDaemonSet plays the kubelet, which is not here: the Pod is
// told to end, by an upgrade that starts it again and by an uninstall that does not. FRR
// and BIRD keep the routes of the one and drop those of the other at once.
func TestSIGTERMMeansWhatBecomesOfTheDaemonSet(t *testing.T) {
	w := newWorld(t, "frr")
	routers := []*router{w.routers["frr"], w.startBIRD("bird", 2)}
	have := func(prefixes string) {
		t.Helper()
		for _, r := range routers {
			r.has(prefixes)
		}
	}
	w.apply("{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: fairway, namespace: " + namespace + "}, spec: {selector: {matchLabels: {app: fairway}}, template: {metadata: {labels: {app: fairway}}, spec: {containers: [{name: fairway, image: fairway}]}}}}")
	w.run()
	w.peer("frr", ", gracefulRestart: {}")
	w.peer("bird", ", gracefulRestart: {}")
	w.subnet("blue", "10.1.0.0/16", "")
	have("10.1.0.0/16")

	t.Run("an upgrade", func(t *testing.T) {
		w.says("/status.json", "starts it again")
		var losses []func() []string
		for _, r := range routers {
			losses = append(losses, r.losses())
		}
		w.stop(syscall.SIGTERM)
		w.run()
		w.says("/status.json", `"announced": 1`)
		w.subnet("green", "10.2.0.0/16", "")
		have("10.1.0.0/16 10.2.0.0/16")
		for _, lost := range losses {
			if got := lost(); len(got) > 0 {
				t.Errorf("a router lost %v", got)
			}
		}
	})
	t.Run("the node is cordoned", func(t *testing.T) {
		w.patch(node(), "n1", `{"spec":{"unschedulable":true,"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]}}`)
		w.says("/status.json", "is cordoned")
		w.stop(syscall.SIGTERM)
		have("")
		w.patch(node(), "n1", `{"spec":{"unschedulable":null,"taints":null}}`)
		w.run()
		have("10.1.0.0/16 10.2.0.0/16")
	})
	t.Run("an uninstall takes the rights with it", func(t *testing.T) {
		w.says("/status.json", "starts it again")
		w.delete(like("apps/v1", "DaemonSet", namespace), "fairway")
		for _, kind := range []string{"RoleBinding", "Role"} {
			w.delete(like("rbac.authorization.k8s.io/v1", kind, namespace), "fairway")
			w.delete(like("rbac.authorization.k8s.io/v1", "Cluster"+kind, ""), "fairway")
		}
		w.stop(syscall.SIGTERM)
		have("")
		if log := w.log.last(20); !strings.Contains(log, "withdrawing everything") || !strings.Contains(log, "is gone") {
			t.Error(log)
		}
	})
}
