package live

import (
	"strings"
	"syscall"
	"testing"
)

// TestSIGTERMMeansWhatBecomesOfTheDaemonSet plays the kubelet, which is not here: the Pod is
// told to end, by an upgrade that starts it again and by an uninstall that does not. The
// router keeps the routes of the one and drops those of the other at once.
func TestSIGTERMMeansWhatBecomesOfTheDaemonSet(t *testing.T) {
	for name, start := range map[string]func(*world) *router{
		"frr":  func(w *world) *router { return w.startRouter("a", 1) },
		"bird": func(w *world) *router { return w.startBIRD("a", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := start(w)
			w.routers["a"] = a
			w.apply("{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: fairway, namespace: " + namespace + "}, spec: {selector: {matchLabels: {app: fairway}}, template: {metadata: {labels: {app: fairway}}, spec: {containers: [{name: fairway, image: fairway}]}}}}")
			w.run()
			w.peer("a", ", gracefulRestart: {}")
			w.subnet("blue", "10.1.0.0/16", "")
			a.has("10.1.0.0/16")

			t.Run("an upgrade", func(t *testing.T) {
				w.says("/status.json", "starts it again")
				lost := a.losses()
				w.stop(syscall.SIGTERM)
				w.run()
				w.says("/status.json", `"announced": 1`)
				w.subnet("green", "10.2.0.0/16", "")
				a.has("10.1.0.0/16 10.2.0.0/16")
				if got := lost(); len(got) > 0 {
					t.Errorf("the router lost %v", got)
				}
			})
			t.Run("the node is cordoned", func(t *testing.T) {
				w.patch(node(), "n1", `{"spec":{"unschedulable":true,"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]}}`)
				w.says("/status.json", "is cordoned")
				w.stop(syscall.SIGTERM)
				a.has("")
				w.patch(node(), "n1", `{"spec":{"unschedulable":null,"taints":null}}`)
				w.run()
				a.has("10.1.0.0/16 10.2.0.0/16")
			})
			t.Run("an uninstall takes the rights with it", func(t *testing.T) {
				w.says("/status.json", "starts it again")
				w.delete(like("apps/v1", "DaemonSet", namespace), "fairway")
				for _, binding := range []string{"RoleBinding", "Role"} {
					w.delete(like("rbac.authorization.k8s.io/v1", binding, namespace), "fairway")
				}
				for _, binding := range []string{"ClusterRoleBinding", "ClusterRole"} {
					w.delete(like("rbac.authorization.k8s.io/v1", binding, ""), "fairway")
				}
				w.stop(syscall.SIGTERM)
				a.has("")
				if log := w.log.last(20); !strings.Contains(log, "withdrawing everything") || !strings.Contains(log, "is gone") {
					t.Error(log)
				}
			})
		})
	}
}
