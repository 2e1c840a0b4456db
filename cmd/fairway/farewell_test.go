package main

import (
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/routes"
)

// What a SIGTERM means is decided by what was known before it came.
func TestSIGTERMKeepsRoutesOnlyWhereTheDaemonComesBack(t *testing.T) {
	well := routes.Node{Name: "n1", Ready: true}
	with := func(change func(*routes.Node)) *routes.Node {
		n := well
		change(&n)
		return &n
	}
	const set = "DaemonSet fairway-system/fairway"
	tainted := routes.Settings{DrainTaints: []string{"going"}}
	for name, c := range map[string]struct {
		flag string
		p    prospect
		keep bool
		why  string
	}{
		"an upgrade":                      {onStopAuto, prospect{set, kube.FateStartedAgain, &well, tainted}, true, "starts it again"},
		"an uninstall":                    {onStopAuto, prospect{set, kube.FateRemoved, &well, tainted}, false, "is gone"},
		"nothing was ever known":          {onStopAuto, prospect{set, kube.FateUnknown, &well, tainted}, false, "nothing is known"},
		"no cluster":                      {onStopAuto, prospect{}, false, "no DaemonSet"},
		"the Node is gone":                {onStopAuto, prospect{set, kube.FateStartedAgain, nil, tainted}, false, "Node is gone"},
		"the Node is drained":             {onStopAuto, prospect{set, kube.FateStartedAgain, with(func(n *routes.Node) { n.Annotations = map[string]string{routes.AnnotationDrain: "true"} }), tainted}, false, routes.AnnotationDrain},
		"the Node has a drain taint":      {onStopAuto, prospect{set, kube.FateStartedAgain, with(func(n *routes.Node) { n.Taints = []string{"going=now"} }), tainted}, false, "taint going"},
		"the Node is cordoned":            {onStopAuto, prospect{set, kube.FateStartedAgain, with(func(n *routes.Node) { n.Taints = []string{cordoned} }), tainted}, false, "cordoned"},
		"the Node is shutting down":       {onStopAuto, prospect{set, kube.FateStartedAgain, with(func(n *routes.Node) { n.Ready, n.ShuttingDown = false, true }), tainted}, false, "shutting down"},
		"the Node is not Ready":           {onStopAuto, prospect{set, kube.FateStartedAgain, with(func(n *routes.Node) { n.Ready = false }), tainted}, false, "not Ready"},
		"the flag says keep":              {onStopKeep, prospect{set, kube.FateRemoved, nil, tainted}, true, "--on-stop=keep"},
		"the flag says withdraw":          {onStopWithdraw, prospect{set, kube.FateStartedAgain, &well, tainted}, false, "--on-stop=withdraw"},
		"the flag counts without cluster": {onStopKeep, prospect{}, true, "--on-stop=keep"},
	} {
		t.Run(name, func(t *testing.T) {
			got := (&stopFlags{onStop: c.flag}).farewell(c.p)
			if got.Keep != c.keep || !strings.Contains(got.Because, c.why) {
				t.Errorf("%+v", got)
			}
		})
	}
}
